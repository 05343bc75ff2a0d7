#!/usr/bin/env python3
"""tidy.py ROOT BUILD - clang-tidy over every file that the build compiles

It takes only what nobody else wants of every core (nice 19): most other tests
wait for most of their time.  Slow, so people may narrow it: FILDRIVE_TIDY=changed looks only at files that
differ from main (and what is not committed); FILDRIVE_TIDY=cache/ only at paths
that begin so.  Exit 77 (skipped) without clang-tidy.
"""
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

import tree

SKIP = 77

# gcc's own warnings mean nothing to clang.  All but a twentieth of the time goes
# into the analyzer's walk through the paths of a function: with 40,000 steps (the
# default is 225,000) cache/fetch.c takes well under a third of its 4.5 s.
ARGS = ('-Wno-unknown-warning-option', '-Wno-ignored-optimization-argument',
        '-Wthread-safety',  # which gcc does not have (base/thread.h)
        '-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=40000')


def git(root, *args):
    out = subprocess.run(['git', *args], cwd=root, check=False, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return set(out.stdout.split())


def compiled(root, build):
    """The sources of the tree in the compilation database, once each."""
    with open(os.path.join(build, 'compile_commands.json'),
              encoding='utf-8') as f:
        rows = json.load(f)
    files = {os.path.relpath(os.path.realpath(os.path.join(
        r['directory'], r['file'])), root) for r in rows}
    return sorted(f for f in files
                  if f.split('/')[0] in tree.ROOMS and f.endswith('.c'))


def narrowed(root, files):
    only = os.environ.get('FILDRIVE_TIDY', '')
    if only == 'changed':
        new = git(root, 'diff', '--name-only', 'main...') | \
            git(root, 'diff', '--name-only', 'HEAD') | \
            git(root, 'ls-files', '--others', '--exclude-standard')
        return [f for f in files if f in new]
    return [f for f in files if f.startswith(only)]


def main():
    root, build = os.path.realpath(sys.argv[1]), sys.argv[2]
    tool = shutil.which('clang-tidy')
    if not tool:
        print('no clang-tidy here')
        return SKIP

    def run(path):
        return path, subprocess.run(
            [tool, '-quiet', '-p', build,
             *('--extra-arg=' + a for a in ARGS), path],
            cwd=root, check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    os.nice(19)
    bad = 0
    files = narrowed(root, compiled(root, build))
    cores = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for path, done in pool.map(run, files):
            if done.returncode:
                bad += 1
                print(f'== {path}\n{done.stdout}')
    print(f'{len(files)} files, {bad} with findings')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
