#!/usr/bin/env python3
"""packages.py ROOT - packaging/deps.sh asks each distribution for the right names

Runs deps_install in a world of its own (a PATH with little in it, and package
managers that only write down what they are asked for) as Debian and as Fedora,
and compares: each Debian package has its Fedora counterpart in the table here,
and nothing is asked for that is there already.  What fails is tried again, and told
in the end.
"""
import os
import shutil
import subprocess
import sys
import tempfile

# Debian's name: Fedora's, '' if something else of the list brings it.
FEDORA = {
    'gcc': 'gcc', 'libc6-dev': '', 'meson': 'meson',
    'ninja-build': 'ninja-build', 'pkg-config': 'pkgconf-pkg-config',
    'fuse3': 'fuse3', 'libfuse3-dev': 'fuse3-devel',
    'libsodium-dev': 'libsodium-devel', 'libsqlite3-dev': 'sqlite-devel',
    'libcurl4-openssl-dev': 'libcurl-devel', 'libuv1-dev': 'libuv-devel',
    'libb2-dev': 'libb2-devel', 'libssl-dev': 'openssl-devel',
    'libzstd-dev': 'libzstd-devel', 'libjansson-dev': 'jansson-devel',
    'libsecp256k1-dev': 'libsecp256k1-devel', 'libgmp-dev': 'gmp-devel',
    'libcmocka-dev': 'libcmocka-devel', 'python3': 'python3',
    'python3-pytest': 'python3-pytest', 'clang': 'clang',
    'libclang-rt-dev': 'compiler-rt', 'llvm': 'llvm',
    'clang-format-14': 'clang-tools-extra', 'clang-tidy': 'clang-tools-extra',
    'cppcheck': 'cppcheck', 'codespell': 'codespell',
    'shellcheck': 'ShellCheck', 'acl': 'acl', 'attr': 'attr', 'git': 'git',
    'sqlite3': 'sqlite', 'rsync': 'rsync', 'restic': 'restic',
    'borgbackup': 'borgbackup', 'fio': 'fio', 'e2fsprogs': 'e2fsprogs',
    'xfsprogs': 'xfsprogs',
    'mandoc': 'mandoc', 'zsh': 'zsh', 'systemd': 'systemd',
    'nodejs': 'nodejs', 'npm': 'npm', 'ca-certificates': 'ca-certificates',
}
# What Debian always has.
ONLY_FEDORA = {'tar', 'gawk', 'diffutils'}
TOOLS = ('sh', 'env', 'mktemp', 'rm', 'tail', 'grep', 'cat', 'wc')
FAKES = {
    'debian': {
        'id': 'echo 0',
        'dpkg-query': 'case $* in *" git") echo installed ;; *) exit 1 ;; esac',
        'apt-get': 'echo "$@" >>"$ASKED"',
        'sleep': 'exit',
    },
    'fedora': {
        'id': 'echo 0',
        'rpm': 'case $* in *" git") ;; *) exit 1 ;; esac',
        'dnf': 'echo "$@" >>"$ASKED"',
    },
}


def asked_for(root, kind, *sets, broken=0):
    """(exit status, words of the last call of the package manager, output)

    So many calls of `dnf`, or of `apt-get install`, fail first."""
    with tempfile.TemporaryDirectory() as world:
        for tool in TOOLS:
            if where := shutil.which(tool):
                os.symlink(where, os.path.join(world, tool))
        for name, body in FAKES[kind].items():
            path = os.path.join(world, name)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(f'#!{world}/sh\n{body}\n')
                if name in ('dnf', 'apt-get'):
                    f.write('case $* in *update) exit ;; esac\n'
                            'echo >>"$ASKED.installs"\n'
                            'n=$(wc -l <"$ASKED.installs")\n'
                            f'[ "$n" -gt {broken} ] && exit\n'
                            'echo no such host\nexit 1\n')
            os.chmod(path, 0o755)
        log = os.path.join(world, 'asked')
        done = subprocess.run(
            [os.path.join(world, 'sh'), '-uc',
             '. "$0/packaging/deps.sh"; deps_install "$@"', root, *sets],
            check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={'PATH': world, 'ASKED': log})
        calls = ['']
        if os.path.exists(log):
            with open(log, encoding='utf-8') as f:
                calls = f.read().splitlines()
        return done.returncode, calls[-1].split(), done.stdout


def main():
    root, wrong = os.path.realpath(sys.argv[1]), []
    for sets in (['build'], ['build', 'test', 'node']):
        found = {}
        for kind in FAKES:
            status, words, said = asked_for(root, kind, *sets)
            if status or 'install' not in words:
                wrong.append(f'{kind} {sets}: exit status {status}, {said}')
                continue
            found[kind] = [w for w in words[words.index('install') + 1:]
                           if not w.startswith('-')]
            if 'git' in found[kind]:
                wrong.append(f'{kind}: asks for git, which is there')
            if len(set(found[kind])) < len(found[kind]):
                wrong.append(f'{kind}: names one twice: {found[kind]}')
        if len(found) < 2:
            continue
        for name in sorted(set(found['debian']) - FEDORA.keys()):
            wrong.append(f'{name}: what is it called in Fedora? (FEDORA here)')
        want = {FEDORA.get(n, '') for n in found['debian']} - {''}
        for name in sorted((want ^ set(found['fedora'])) - ONLY_FEDORA):
            wrong.append(f'{name}: asked for by '
                         f'{"Fedora" if name not in want else "Debian"} only')
    for kind in FAKES:
        status, _, said = asked_for(root, kind, 'build', broken=99)
        if status == 0 or 'no such host' not in said or 'network' not in said:
            wrong.append(f'{kind}: one that fails is not told: {said}')
    status, _, said = asked_for(root, 'debian', 'build', broken=2)
    if status:
        wrong.append(f'apt that failed twice is not asked again: {said}')
    print(*wrong, sep='\n')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
