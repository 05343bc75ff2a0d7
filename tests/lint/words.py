#!/usr/bin/env python3
"""words.py ROOT - what may not be written in this tree

Functions with a bad history (the ban list), side effects in assert, // comments,
SQL text outside of its homes, and markers for work that is left undone: those
belong in an issue.

words.py --self-test plants each of them in a temporary tree and must find it.
"""
import os
import re
import sys

import tree
from planted import main

BANNED = re.compile(
    r'(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strncpy|strtok|atoi|sscanf'
    r'|gets|alloca|rand|system|popen|localtime|gmtime)\s*\(')
CRYPTO = re.compile(r'(?<![\w.>])(memcmp)\s*\(')
SLEEP = re.compile(r'(?<![\w.>])(sleep|usleep|nanosleep|uv_sleep)\s*\(')
ASSERT = re.compile(r'(?<!\w)assert\s*\(([^;]*)\)\s*;')
ASSIGNS = re.compile(r'(?<![=!<>])=(?!=)|\+\+|--')
SLASHES = re.compile(r'//')
SQL = re.compile(
    r'"\s*(SELECT\s+\S+.*\sFROM\s|SELECT\s+count|INSERT\s+(INTO|OR)\s'
    r'|REPLACE\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s'
    r'|(CREATE|DROP|ALTER)\s+(TABLE|INDEX|UNIQUE|VIEW|TRIGGER)\s'
    r'|PRAGMA\s|SAVEPOINT\s|(BEGIN(\s+\w+)?|COMMIT|ROLLBACK)\s*[";])')
# Written in two halves, so that this file passes its own test.
MARKER = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK)\b')
SQL_HOMES = ('src/db/', 'cache/stmts.h', 'src/ledger/stmts.h', 'tests/')


def lines(path, text, pattern, say):
    return [f'{path}:{text.count(chr(10), 0, m.start()) + 1}: '
            f'{say.format(m.group(m.lastindex or 0).strip())}'
            for m in pattern.finditer(text)]


def check_c(path, text):
    code = tree.bare(text)
    wrong = lines(path, code, BANNED, 'banned function {}')
    wrong += lines(path, code, SLASHES, 'a comment is written /* like this */')
    if path.startswith('crypto/'):
        wrong += lines(path, code, CRYPTO, '{} leaks timing: sodium_memcmp')
    if path.startswith('src/'):
        wrong += lines(path, code, SLEEP, '{} hides a race or blocks a thread')
    for m in ASSERT.finditer(code):
        if ASSIGNS.search(m.group(1)):
            at = code.count('\n', 0, m.start()) + 1
            wrong.append(f'{path}:{at}: side effect inside assert')
    if not path.startswith(SQL_HOMES):
        wrong += lines(path, tree.bare(text, strings=False), SQL,
                       'SQL text belongs in stmts.h: {}')
    return wrong


def check(root):
    wrong = []
    for path in tree.walk(root, ('.c', '.h')):
        wrong += check_c(path, tree.read(root, path))
    for path in tree.walk(root, ('.c', '.h', '.sh', '.py', '.build', '.sql',
                                 '.md', '.js', '.mjs'),
                          tree.ROOMS + ('docs', '.ci')):
        wrong += lines(path, tree.read(root, path), MARKER,
                       '{}: an issue or nothing')
    return wrong


PLANTED = (
    ('src/a.c', 'strcpy(a, b);\n', True),
    ('src/b.c', 'x->system(a);\n', False),
    ('src/c.c', '/* sleep( */ char *p = "rand()";\n', False),
    ('src/d.c', 'nanosleep(&t, NULL);\n', True),
    ('tests/d.c', 'nanosleep(&t, NULL);\n', False),
    ('crypto/a.c', 'memcmp(a, b, 3);\n', True),
    ('cache/a.c', 'memcmp(a, b, 3);\n', False),
    ('cache/b.c', 'assert(a = b);\n', True),
    ('cache/c.c', 'assert(n++ < 3);\n', True),
    ('cache/d.c', 'assert(a == b && c <= d && e != f);\n', False),
    ('cache/e.c', 'char *s = "SELECT a FROM b";\n', True),
    ('cache/f.c', 'char *s = "PRAGMA wal";\n', True),
    ('cache/g.c', 'char *s = "http://x y"; /* // */\n', False),
    ('cache/h.c', 'int a; // no\n', True),
    ('cache/stmts.h', 'STMT(a, "SELECT a FROM b")\n', False),
    ('fuse/a.c', 'log("COMMIT failed");\n', False),
    ('fuse/b.c', 'run(db, "COMMIT");\n', True),
    ('fuse/c.c', '/* TO' 'DO later */\n', True),
    ('fuse/d.c', 'char t[] = "aXXXXXX";\n', False),
    ('docs/a.md', 'FIX' 'ME\n', True),
)


if __name__ == '__main__':
    sys.exit(main(check, PLANTED))
