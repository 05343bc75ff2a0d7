"""tree.py - which files the lints look at, and C with its comments taken out

The source folders are walked instead of asking git, so that a file is checked
before it is added and in an unpacked release as well.
"""
import os
import re

ROOMS = ('src', 'fuse', 'cache', 'crypto', 'tests', 'packaging')
PRUNED = ('node_modules', '__pycache__', 'vectors', 'corpus')


def walk(root, suffixes, folders=ROOMS):
    """Paths relative to `root`, sorted, of the files that end in a suffix."""
    found = []
    for folder in folders:
        top = os.path.join(root, folder)
        for where, dirs, files in os.walk(top):
            dirs[:] = [d for d in dirs
                       if d not in PRUNED and not d.startswith('build')]
            found += [os.path.relpath(os.path.join(where, f), root)
                      for f in files if f.endswith(suffixes)]
    return sorted(found)


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                    r"|'(?:\\.|[^'\\\n])*'", re.S)


def bare(text, strings=True):
    """`text` with comments (and string contents) blanked, lines kept.

    A // comment stays as the two slashes, so that a rule can find it (but for
    clang-tidy's marker, // NOLINT(check): reason)."""
    def blank(m):
        t = m.group(0)
        if t.startswith('/*'):
            return ' ' + '\n' * t.count('\n')
        if t.startswith('//'):
            return '' if t.startswith('// NOLINT') else '//'
        return t[0] + t[0] if strings else t
    return _TOKEN.sub(blank, text)


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8',
              errors='replace') as f:
        return f.read()
