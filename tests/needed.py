#!/usr/bin/env python3
"""needed.py BUILD [SUITE...] - what has to be built for these suites

One target of ninja a line, those that the tests of the suites name in `depends`
or are themselves.  Fails if two tests of one suite have one name, whatever was
asked for: that confuses meson's log and so the count.
"""
import collections
import json
import os
import sys


def load(build, what):
    with open(os.path.join(build, 'meson-info', f'intro-{what}.json'),
              encoding='utf-8') as f:
        return json.load(f)


def main():
    build, suites = sys.argv[1], set(sys.argv[2:])
    tests = load(build, 'tests')
    names = collections.Counter((t['suite'][0], t['name']) for t in tests)
    twice = [' / '.join(name) for name, n in names.items() if n > 1]
    if twice:
        sys.exit(f'two tests are called {" and ".join(twice)}')

    files = {t['id']: t['filename'] for t in load(build, 'targets')}
    root = os.path.realpath(build)
    print(*sorted({os.path.relpath(os.path.realpath(file), root)
                   for t in tests
                   if suites & {s.partition(':')[2] for s in t['suite']}
                   for of in t['depends'] for file in files[of]}), sep='\n')


if __name__ == '__main__':
    main()
