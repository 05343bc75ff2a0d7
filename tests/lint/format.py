#!/usr/bin/env python3
"""format.py ROOT - every C file is as clang-format 14 would write it

Other versions lay out some lines differently: with one of those the test is
skipped (exit 77), so that a newer distribution does not see failures that are
none of its business.
"""
import os
import re
import shutil
import subprocess
import sys

import tree

SKIP = 77


def main():
    root = sys.argv[1]
    tool = shutil.which('clang-format-14') or shutil.which('clang-format')
    if not tool:
        print('no clang-format here')
        return SKIP
    version = subprocess.check_output([tool, '--version'], text=True)
    if not re.search(r'version 14\.', version):
        print(f'needs version 14, this is {version.strip()}')
        return SKIP
    files = tree.walk(root, ('.c', '.h'))
    done = subprocess.run([tool, '--dry-run', '-Werror', *files], cwd=root,
                          check=False)
    if done.returncode:
        print(f'\nto mend: cd {os.path.abspath(root)} && {tool} -i FILE')
    return 1 if done.returncode else 0


if __name__ == '__main__':
    sys.exit(main())
