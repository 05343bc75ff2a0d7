"""test_drive.py - drives that fildrive wrote, read by the second reader

manifest.mjs is made from docs/format.md alone.  It opens the stores with the
words, and what it finds has to be what stood on the mount.
"""
import json
import os
import random
import socket
import stat
import subprocess

import pytest

from golden import GOLDEN, listed, plain
from trees import assert_same, picture

HERE = os.path.dirname(os.path.abspath(__file__))
NODE = os.environ.get('FILDRIVE_NODE', 'node')
MIB = 1 << 20
KINDS = {'file': stat.S_IFREG, 'directory': stat.S_IFDIR,
         'symlink': stat.S_IFLNK, 'fifo': stat.S_IFIFO,
         'socket': stat.S_IFSOCK, 'char': stat.S_IFCHR, 'block': stat.S_IFBLK}


def node(*args, **env):
    done = subprocess.run([NODE, *args], check=False, capture_output=True,
                          timeout=120, env={**os.environ, **env})
    assert done.returncode == 0, \
        (done.stderr + done.stdout).decode(errors='replace')[-4000:]
    return done.stdout


def manifest(drive, *options, stores=None):
    return json.loads(node(os.path.join(HERE, 'manifest.mjs'), '--words-file',
                           drive.words, *options, *(stores or drive.stores)))


def as_picture(found):
    """A manifest in the form of trees.picture()."""
    links = {name: names for names in found['links'] for name in names}
    rows = {}
    for e in found['entries']:
        row = {'mode': oct(KINDS[e['type']] | e['mode']),
               'owner': (e['uid'], e['gid']), 'mtime_ns': int(e['mtime_ns']),
               'xattrs': {name: bytes.fromhex(value)
                          for name, value in e['xattrs'].items()
                          if not name.startswith('security.')}}
        if e['type'] == 'file':
            row['size'], row['sha256'] = e['size'], e['sha256']
        elif e['type'] == 'symlink':
            row['target'] = os.fsencode(e['target'])
        elif e['type'] in ('char', 'block'):
            row['device'] = os.makedev(*e['rdev'])
        if e['path'] in links:
            row['links'] = sorted(map(os.fsencode, links[e['path']]))
        rows[os.fsencode(e['path'] or '.')] = row
    return rows


def write(path, data=b''):
    with open(path, 'wb') as f:
        f.write(data)


def build(top):
    """One of everything."""
    rng = random.Random(7)
    top = os.fsencode(top)
    at = lambda *names: os.path.join(top, *names)
    os.makedirs(at(b'a', b'b', b'c'))
    os.mkdir(at(b'nothing in it'), 0o1750)
    for size in (0, 1, 127, 128, 129, 255, 256, 257, 4095, 65537, MIB - 1, MIB,
                 MIB + 1, 3 * MIB + 12345):
        write(at(b'a', b'size %d' % size), rng.randbytes(size))
    write(at(b'a', b'text'), b'the same line again\n' * 100000)
    with open(at(b'sparse'), 'wb') as f:
        f.truncate(9 * MIB + 3)
        f.seek(5 * MIB)
        f.write(b'data')
    with open(at(b'all hole'), 'wb') as f:
        f.truncate(2 * MIB)
    os.link(at(b'a', b'size 65537'), at(b'a', b'b', b'second name'))
    os.link(at(b'a', b'size 65537'), at(b'third name'))
    os.symlink('a/b', at(b'link'))
    os.symlink(b'/no/such/\xff' + b't' * 1000, at(b'long link'))
    os.link(at(b'link'), at(b'link again'), follow_symlinks=False)
    os.mkfifo(at(b'fifo'), 0o640)
    with socket.socket(socket.AF_UNIX) as s:
        here = os.open(top, os.O_RDONLY)
        s.bind(f'/proc/self/fd/{here}/socket')
        os.close(here)
    if os.geteuid() == 0:
        os.mknod(at(b'null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(at(b'disk'), stat.S_IFBLK | 0o600, os.makedev(259, 70000))
        os.chown(at(b'a', b'text'), 1234, 4000000000)
        os.chmod(at(b'a', b'text'), 0o6755)
    for name in ('ünïcødé', 'e\u0301 and \u00e9', '\U0001f4be', '日本語',
                 'x' * 255, '-rf', 'new\nline'):
        write(at(name.encode()), name.encode())
    write(at(b'not \xff\xfe utf-8 \xc3'), b'bytes')
    write(at(b'a', b'marked'), b'm')
    for i in range(5):
        os.setxattr(at(b'a', b'marked'), f'user.n{i}', b'v' * i)
    os.setxattr(at(b'a'), 'user.large', rng.randbytes(5000))
    os.setxattr(at(b'a'), 'user.empty', b'')
    os.mkdir(at(b'many'))
    for i in range(1500):
        write(at(b'many', b'an entry with number %d' % i), b'%d' % i)
    for n in range(112, 152, 4):  # about the size where shards begin
        os.mkdir(at(b'about %d' % n))
        for i in range(n):
            os.symlink('over there', at(b'about %d' % n, b'entry %d' % i))
    for when, name in ((-1500000001, b'size 1'), (1, b'size 127'),
                       (2**33 * 10**9 + 999999999, b'size 128')):
        os.utime(at(b'a', name), ns=(0, when))


@pytest.fixture(scope='module', name='written')
def _written(drive):
    """A drive with two commits, and what it was at each."""
    build(drive.mnt)
    first = picture(drive.mnt)
    drive.sync()
    at_first = drive.status()['last_commit']['sequence']
    with open(os.path.join(drive.mnt, 'a', 'size 1048577'), 'r+b') as f:
        f.seek(MIB - 1)
        f.write(b'changed')
    os.unlink(os.path.join(drive.mnt, 'third name'))
    os.rename(os.path.join(drive.mnt, 'a', 'b'),
              os.path.join(drive.mnt, 'many', 'moved'))
    write(os.path.join(drive.mnt, 'new'), b'new')
    for i in range(2, 148):
        os.unlink(os.path.join(drive.mnt, 'about 148', f'entry {i}'))
    for i in range(112, 1000):
        os.symlink('over there',
                   os.path.join(drive.mnt, 'about 112', f'entry {i}'))
    second = picture(drive.mnt)
    drive.sync()
    return drive, first, at_first, second


def test_the_second_reader_finds_what_stood_on_the_mount(written):
    drive, _, at_first, second = written
    found = manifest(drive)
    assert_same(second, as_picture(found))
    assert int(found['sequence']) > at_first
    assert found['inodes'] == found['counted']['inodes']
    assert found['bytes'] == found['counted']['bytes']
    assert found['blocks']['seen'] == found['blocks']['keyed']
    assert found['shapes']['sharded'] >= 4
    assert list(found['shapes']['called']) == ['4'], 'shards are called shards'
    assert sum(p['commit'] for p in found['pieces']) == int(found['sequence'])


def test_history_is_a_chain_to_the_first_commit(written):
    drive = written[0]
    found = manifest(drive, '--no-pieces')
    assert found['history'] == [str(h) for h in
                                range(int(found['sequence']), 0, -1)]


def test_trailers_lead_to_the_same_as_heads(written):
    drive = written[0]
    assert manifest(drive, '--no-pieces') == \
        manifest(drive, '--no-pieces', '--by', 'trailer')


def test_a_retained_commit_is_what_it_was(written):
    drive, first, at_first, _ = written
    assert_same(first, as_picture(manifest(
        drive, '--no-pieces', '--sequence', str(at_first))))


def test_holes_are_known_to_the_format(written):
    rows = {e['path']: e for e in manifest(written[0], '--no-pieces')['entries']}
    assert rows['sparse']['holes'] == [[0, 5 * MIB], [6 * MIB, 9 * MIB + 3]]
    assert rows['all hole']['holes'] == [[0, 2 * MIB]]


def test_stock_decoders_read_the_opened_drive(written):
    drive = written[0]
    out = node('--test-reporter=tap', '--test-name-pattern', 'whole drive',
               os.path.join(HERE, 'test_interop.mjs'),
               FILDRIVE_DRIVE_STORE=':'.join(drive.stores),
               FILDRIVE_DRIVE_WORDS=drive.words)
    assert b'- stock decoders read a whole drive\n' in out


@pytest.mark.parametrize('sequence', (1, 2, 3, 4))
def test_the_golden_drive_is_as_it_was_written(sequence):
    found = json.loads(node(
        os.path.join(HERE, 'manifest.mjs'), '--words-file',
        os.path.join(GOLDEN, 'words'),
        *([] if sequence == 4 else ['--no-pieces', '--sequence',
                                    str(sequence)]),
        os.path.join(GOLDEN, 'store')))
    want = {path: {key: value for key, value in row.items()
                   if key not in ('ino', 'nlink', 'ctime_ns', 'leaves')}
            for path, row in listed(sequence).items()}
    assert_same(want, plain(as_picture(found)))
    if sequence == 4:
        assert found['blocks']['compressed'] >= 2
        assert found['shapes']['sharded'] == 1
        assert list(found['shapes']['called']) == ['3'], 'as it was written'
        assert len(found['pieces']) == 5
        assert found['history'] == ['4', '3', '2', '1']


def test_one_of_two_stores_is_enough(drives):
    drive = drives(stores=2, copies=2).init().mount()
    write(os.path.join(drive.mnt, 'file'), os.urandom(MIB + 5))
    want = picture(drive.mnt)
    drive.sync()
    for store in drive.stores:
        assert_same(want, as_picture(manifest(drive, stores=[store])))


def test_compressed_contents_open(drives):
    drive = drives().init()
    drive.run('config', '--drive', drive.name, 'compress', 'all')
    drive.mount()
    text = b'%d bottles of beer on the wall\n'
    write(os.path.join(drive.mnt, 'text'),
          b''.join(text % i for i in range(60000)))
    write(os.path.join(drive.mnt, 'noise'), os.urandom(MIB + 777))
    want = picture(drive.mnt)
    drive.sync()
    found = manifest(drive)
    assert_same(want, as_picture(found))
    assert found['blocks']['compressed'] >= 2
