#!/usr/bin/env python3
"""layers.py ROOT - who may include whom (docs/architecture.md)

A room's code includes its own headers and those of the rooms below it; a
third-party header has one home.  Tests of a room (tests/unit/<room>) obey the
room's own row, and besides the helpers of the tests and the libraries of the
rooms they see; component tests, fuzz targets and benches may see everything.

Also: an include names its room ("cache/cache.h", never "cache.h"), and a .c
file includes its own header first, which proves that the header stands alone.

layers.py --self-test plants violations in a temporary tree and must find them.
"""
import os
import re
import sys

import tree
from planted import main

# room -> the rooms whose headers it may include, besides its own
BELOW = {
    'base': (),
    'crypto': ('base',),
    'db': ('base', 'crypto'),
    'dag': ('base', 'crypto'),
    'cache': ('base', 'crypto', 'db'),
    'net': ('base', 'crypto', 'dag'),
    'ledger': ('base', 'crypto', 'db', 'dag', 'net'),
    'chain': ('base', 'crypto', 'dag', 'net'),
    'provider': ('base', 'crypto', 'db', 'dag', 'net', 'ledger', 'chain'),
    'retrieve': ('base', 'crypto', 'db', 'dag', 'net', 'cache', 'ledger',
                 'provider'),
    'onboard': ('base', 'crypto', 'db', 'dag', 'net', 'cache', 'ledger',
                'provider'),
    'fuse': ('base', 'cache'),
    'daemon': ('base', 'crypto', 'db', 'dag', 'net', 'cache', 'ledger',
               'chain', 'provider', 'retrieve', 'onboard', 'fuse'),
}

# third-party header -> the rooms that may include it
HOMES = (
    (r'sqlite3', ('db',)),
    (r'curl/', ('net',)),
    (r'uv(\.h|/)', ('net', 'daemon')),
    (r'(linux/)?fuse', ('fuse',)),
    (r'(sodium|blake2|openssl/|secp256k1|zstd)', ('crypto',)),
    (r'gmp', ('chain',)),
    (r'jansson', ('net', 'daemon')),
    (r'(cmocka|setjmp)', ()),
)
TESTS_MAY = re.compile(r'(cmocka|setjmp|jansson)')

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    """(room or None if it may see everything, is it a test)."""
    part = path.split('/')
    if part[0] == 'tests':
        if part[1] == 'unit' and len(part) > 3:
            return part[2], True
        return None, True
    return (part[1] if part[0] == 'src' else part[0]), False


def own_header(path):
    """The spelling under which a .c file includes its own header."""
    stem = path[:-2] + '.h'
    return stem[4:] if stem.startswith('src/') else stem


def check(root):
    wrong = []
    for path in tree.walk(root, ('.c', '.h')):
        text = tree.bare(tree.read(root, path), strings=False)
        room, is_test = room_of(path)
        if room is not None and room not in BELOW:
            wrong.append(f'{path}: room {room} is in no row of '
                         'tests/lint/layers.py')
            continue
        first = None
        for m in INCLUDE.finditer(text):
            at = f'{path}:{text.count(chr(10), 0, m.start()) + 1}'
            quoted, name = m.group(1) == '"', m.group(2)
            first = first or name
            if quoted:
                wrong += project(at, path, room, is_test, name)
            else:
                wrong += foreign(at, room, is_test, name)
        if path.endswith('.c') and not is_test and \
           os.path.exists(os.path.join(root, path[:-2] + '.h')) and \
           first != own_header(path):
            wrong.append(f'{path}: includes {first} before its own header '
                         f'"{own_header(path)}"')
    return wrong


def project(at, path, room, is_test, name):
    head = name.split('/')[0]
    if is_test and head not in BELOW:
        return []  # a neighbour, or a helper of the tests
    if '/' not in name:
        return [f'{at}: write the room: "{os.path.dirname(path)}/{name}"']
    if head == 'tests':
        return [f'{at}: product code includes a test header']
    if room is None or head == room or head in BELOW[room]:
        return []
    return [f'{at}: {room} may not include "{name}" '
            f'(it may see: {", ".join(BELOW[room]) or "nothing"})']


def foreign(at, room, is_test, name):
    if room is None or (is_test and TESTS_MAY.match(name)):
        return []
    rooms = {room, *BELOW[room]} if is_test else {room}
    for pattern, homes in HOMES:
        if re.match(pattern, name) and not rooms & set(homes):
            return [f'{at}: <{name}> belongs to '
                    f'{" and ".join(homes) or "tests"}, not to {room}']
    return []


# (path, text, must it be found)
PLANTED = (
    ('src/base/a.c', '#include "crypto/hash.h"\n', True),
    ('crypto/a.c', '#include "base/buf.h"\n#include <sodium.h>\n', False),
    ('cache/a.c', '#include "dag/cid.h"\n', True),
    ('cache/b.c', '#include "db/db.h"\n', False),
    ('cache/c.c', '#include <sqlite3.h>\n', True),
    ('cache/d.c', '/* #include <sqlite3.h> */\n', False),
    ('fuse/a.c', '#include "crypto/hash.h"\n', True),
    ('fuse/b.c', '# include <fuse3/fuse_lowlevel.h>\n', False),
    ('src/onboard/a.c', '#include "retrieve/retrieve.h"\n', True),
    ('src/retrieve/a.c', '#include "onboard/onboard.h"\n', True),
    ('src/ledger/a.c', '#include <uv.h>\n', True),
    ('src/net/a.c', '#include <uv.h>\n', False),
    ('src/net/b.c', '#include "cache.h"\n', True),
    ('src/db/a.c', '#include <stdio.h>\n#include "db/a.h"\n', True),
    ('src/db/a.h', '#include <stdint.h>\n', False),
    ('src/chain/a.c', '#include <gmp.h>\n#include "net/http.h"\n', False),
    ('src/chain/b.c', '#include <secp256k1.h>\n', True),
    ('src/chain/c.c', '#include "ledger/ledger.h"\n', True),
    ('crypto/b.c', '#include <gmp.h>\n', True),
    ('src/dag/a.c', '#include <jansson.h>\n', True),
    ('src/daemon/a.c', '#include "tests/x/fault.h"\n', True),
    ('tests/unit/cache/a.c', '#include "dag/cid.h"\n', True),
    ('tests/unit/cache/b.c', '#include <cmocka.h>\n', False),
    ('tests/unit/cache/c.c', '#include "common.h"\n', False),
    ('tests/unit/cache/d.c', '#include <sodium.h>\n', False),
    ('tests/unit/cache/e.c', '#include <curl/curl.h>\n', True),
    ('tests/unit/cache/f.c', '#include "helper/fault.h"\n', False),
    ('tests/component/x/a.c', '#include "dag/cid.h"\n', False),
    ('src/nowhere/a.c', '#include "base/buf.h"\n', True),
)


if __name__ == '__main__':
    sys.exit(main(check, PLANTED))
