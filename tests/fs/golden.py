"""golden.py - a drive that was written once, and must be readable for ever

tests/vectors/golden holds a store, the words, and the list of what stood on the
mount at each commit.  test_golden.py and tests/interop read it.  Run as root

    FILDRIVE_BIN=… /usr/bin/python3 tests/fs/golden.py tests/vectors/golden

writes it; README.md there says when that may be done again.
"""
import json
import os
import random
import shutil
import stat
import sys

from drive import Drive
from syscalls import write
from trees import picture

MIB = 1 << 20
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, '..', 'vectors', 'golden')


def plain(rows):
    """A picture as JSON has it: names as the file system's, bytes in hex."""
    found = {}
    for path, row in rows.items():
        row = {**row, 'xattrs': {name: value.hex()
                                 for name, value in row['xattrs'].items()}}
        if 'target' in row:
            row['target'] = os.fsdecode(row['target'])
        if 'links' in row:
            row['links'] = [os.fsdecode(name) for name in row['links']]
        found[os.fsdecode(path)] = row
    return json.loads(json.dumps(found))


def listed(sequence):
    with open(os.path.join(GOLDEN, 'list.json'), encoding='ascii') as f:
        return json.load(f)['commits'][str(sequence)]


def copy(to):
    """The store (reading may touch it) and the words."""
    store = os.path.join(to, 'store')
    shutil.copytree(os.path.join(GOLDEN, 'store'), store)
    shutil.copy(os.path.join(GOLDEN, 'words'), os.path.join(to, 'words'))
    return store


def first(at, rng):
    """One of everything that fits into few bytes."""
    os.mkdir(at('a'))
    os.mkdir(at('nothing in it'), 0o1750)
    for size in (0, 1, 128, 129, 256, 257, 4097):
        write(at('a', f'size {size}'), rng.randbytes(size))
    os.link(at('a', 'size 4097'), at('a second name'))
    os.link(at('a', 'size 4097'), at('nothing in it', 'third name'))
    os.symlink('a/size 1', at('link'))
    os.symlink(b'/no/such/\xff' + b't' * 300, at('long link'))
    os.mkfifo(at('fifo'), 0o640)
    os.mknod(at('null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(at('disk'), stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    os.chown(at('a', 'size 129'), 1234, 4000000000)
    os.chmod(at('a', 'size 129'), 0o6755)
    for name in ('ünïcødé', '\U0001f4be', 'x' * 255, 'new\nline'):
        write(at(name), name.encode())
    write(at(b'not \xff\xfe utf-8 \xc3'), b'bytes')
    os.setxattr(at('a', 'size 1'), 'user.small', b'in the attributes')
    os.setxattr(at('a'), 'user.large', rng.randbytes(3000))
    os.setxattr(at('a'), 'user.empty', b'')
    for when, name in ((-1500000001, 'size 1'), (1, 'size 128'),
                       (2**33 * 10**9 + 999999999, 'size 256')):
        os.utime(at('a', name), ns=(0, when))


def second(at, _):
    """A directory in shards, two levels of them."""
    os.mkdir(at('many'))
    for i in range(420):
        os.symlink('over there', at('many', f'an entry with number {i}'))


def third(at, rng):
    """Compressed leaves, several in a file, and holes."""
    line = b'%d bottles of beer on the wall\n'
    write(at('text'), b''.join(line % i for i in range(80000))[:2 * MIB + 77])
    with open(at('sparse'), 'wb') as f:
        f.truncate(5 * MIB + 3)
        f.seek(2 * MIB)
        f.write(b'data between holes' * 300)
    with open(at('all hole'), 'wb') as f:
        f.truncate(2 * MIB)
    write(at('noise'), rng.randbytes(20000))


def fourth(at, _):
    """Changed, moved, and gone: earlier commits still have it."""
    os.unlink(at('a second name'))
    os.rename(at('a', 'size 257'), at('many', 'moved'))
    for i in range(0, 420, 3):
        os.unlink(at('many', f'an entry with number {i}'))
    with open(at('text'), 'r+b') as f:
        f.seek(MIB + 5)
        f.write(b'CHANGED')
    write(at('new'), b'new' * 100)


def as_lines(commits):
    """JSON with a line a name, so that people can read it."""
    line = ',\n'.join
    return '{"commits": {\n%s\n}}\n' % line(
        '"%d": {\n%s\n}' % (sequence, line(
            f'{json.dumps(path)}: {json.dumps(row, sort_keys=True)}'
            for path, row in sorted(rows.items())))
        for sequence, rows in commits.items())


def make(to):
    rng = random.Random(11)
    commits = {}
    with Drive(options=('allow_other', 'suid', 'dev')) as d:
        d.init()
        for sequence, step in enumerate((first, second, third, fourth), 1):
            if step is third:
                d.run('config', '--drive', d.name, 'compress', 'all')
            d.mount()
            step(lambda *names: os.path.join(
                os.fsencode(d.mnt), *map(os.fsencode, names)), rng)
            d.sync()
            assert d.status()['last_commit']['sequence'] == sequence
            commits[sequence] = plain(picture(d.mnt, everything=True))
            d.umount()
        shutil.rmtree(os.path.join(to, 'store'), ignore_errors=True)
        shutil.copytree(d.stores[0], os.path.join(to, 'store'))
        shutil.copy(d.words, os.path.join(to, 'words'))
        with open(os.path.join(to, 'list.json'), 'w', encoding='ascii') as f:
            f.write(as_lines(commits))


if __name__ == '__main__':
    make(sys.argv[1])
