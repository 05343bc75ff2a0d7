"""An archive made to break who unpacks it: the drive takes it, commits go on, memory
stays bounded, and all of it comes back from the words.  docs/testing.md has the
other bombs and their tests."""
import errno
import hashlib
import os
import re
import struct
import subprocess

import pytest

from drive import PATIENCE, SANITIZED, binary, until
from syscalls import read, write

MASK = (1 << 64) - 1
MIB = 1 << 20
FOUND = 26  # exit status of a check that found errors
MOST = 128 * MIB  # that a daemon grows by
ROOM = 256 * MIB  # likewise while it makes a commit
if SANITIZED:  # ASan keeps 256 MiB of what was freed
    MOST = ROOM = 1024 * MIB


def rotl(v, n):
    return (v << n | v >> (64 - n)) & MASK


def colliding_names(n):
    """Names of 32 bytes with one murmur3 x64 128, by which directories are cut into
    shards: the second block undoes what the first did to the state."""
    c1, c2 = 0x87c37b91114253d5, 0x4cf5ad432745937f
    i1, i2, i5 = (pow(c, -1, 1 << 64) for c in (c1, c2, 5))
    found, i = [], 0
    while len(found) < n:
        first = hashlib.sha256(b'%d' % i).digest()[:16]
        i += 1
        k1, k2 = struct.unpack('<QQ', first)
        h1 = rotl(k1 * c1 & MASK, 31) * c2 & MASK
        h1 = (rotl(h1, 27) * 5 + 0x52dce729) & MASK
        h2 = rotl(k2 * c2 & MASK, 33) * c1 & MASK
        h2 = ((rotl(h2, 31) + h1) * 5 + 0x38495ab5) & MASK
        t = rotl((-0x52dce729 * i5 - h2) & MASK, 64 - 27)
        k1 = rotl((h1 ^ t) * i2 & MASK, 64 - 31) * i1 & MASK
        t = rotl(-0x38495ab5 * i5 & MASK, 64 - 31)
        k2 = rotl((h2 ^ t) * i1 & MASK, 64 - 33) * i2 & MASK
        name = first + struct.pack('<QQ', k1, k2)
        if b'/' not in name and b'\0' not in name:
            found.append(name)
    return found


def resident(d):
    (pid,) = d.pids()
    with open(f'/proc/{pid}/statm', encoding='ascii') as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def test_names_that_collide_do_not_stop_commits(drives):
    d = drives().init().mount()
    folder = os.path.join(os.fsencode(d.mnt), b'd')
    names = colliding_names(800)
    os.mkdir(folder)
    for i, name in enumerate(names):
        write(os.path.join(folder, name), b'%d' % i)
    d.sync()
    os.unlink(os.path.join(folder, names[0]))
    os.rename(os.path.join(folder, names[1]), os.path.join(folder, b'plain'))
    write(os.path.join(folder, names[2]), b'changed')
    d.reborn()
    assert set(os.listdir(folder)) == {*names[2:], b'plain'}
    assert read(os.path.join(folder, b'plain')) == b'1'
    assert read(os.path.join(folder, names[2])) == b'changed'
    assert read(os.path.join(folder, names[-1])) == b'799'


def test_thousands_of_links_to_one_file_do_not_stop_commits(drives):
    d = drives().init().mount()
    first = os.path.join(d.mnt, 'first')
    write(first, b'linked')
    for i in range(20):
        os.mkdir(os.path.join(d.mnt, f'{i}'))
        for k in range(100):
            os.link(first, os.path.join(d.mnt, f'{i}', f'{k}'))
    d.reborn()
    assert os.stat(first).st_nlink == 2001
    assert os.path.samefile(first, os.path.join(d.mnt, '19', '99'))
    for k in range(100):
        os.unlink(os.path.join(d.mnt, '7', f'{k}'))
    d.reborn()
    assert os.stat(first).st_nlink == 1901
    assert read(os.path.join(d.mnt, '0', '0')) == b'linked'


def fill_with_links(d, files, each):
    """So many files with so many names each, and one more that is refused."""
    for i in range(files):
        first = os.path.join(d.mnt, f'f{i}')
        write(first, b'%d' % i)
        made = 1
        while made < each:
            folder = os.path.join(d.mnt, f'd{i}-{made}')
            os.mkdir(folder)
            at = os.open(folder, os.O_RDONLY)
            n = min(each - made, 5000)
            for k in range(n):
                os.link(first, f'{k}', dst_dir_fd=at)
            os.close(at)
            made += n
        with pytest.raises(OSError) as e:
            os.link(first, os.path.join(d.mnt, 'one more'))
        assert e.value.errno == errno.EMLINK
        assert os.stat(first).st_nlink == each
        # One that goes makes room for one.
        os.unlink(os.path.join(d.mnt, f'd{i}-1', '0'))
        os.link(first, os.path.join(d.mnt, f'd{i}-1', 'again'))


def links_come_back(d, files, each):
    before = resident(d)
    d.sync()
    assert resident(d) < before + ROOM
    d.reborn()
    for i in range(files):
        first = os.path.join(d.mnt, f'f{i}')
        assert os.stat(first).st_nlink == each
        folder = os.path.join(d.mnt, f'd{i}-1')
        assert len(os.listdir(folder)) == min(each - 1, 5000)
        assert os.path.samefile(first, os.path.join(folder, 'again'))
        assert read(os.path.join(folder, '1')) == b'%d' % i


@pytest.mark.long
@pytest.mark.parametrize('files', [1, 16])
def test_as_many_links_as_a_file_takes_do_not_stop_commits(drives, files):
    d = drives().init().mount()
    fill_with_links(d, files, 65000)
    links_come_back(d, files, 65000)


def test_names_with_every_byte_come_back(drives):
    """Single bytes, pairs that are no text, and the longest names."""
    d = drives().init().mount()
    top = os.fsencode(d.mnt)
    plain = [bytes([i]) for i in range(1, 256) if i not in b'/.']
    odd = [bytes([i, k]) for i in b'\n\xc3\xff'
           for k in range(1, 256) if k != ord('/')]
    names = [*plain, *odd, b'...', b'\xff' * 255, b'\n' * 255]
    for folder in (b'few', b'many'):
        os.mkdir(os.path.join(top, folder))
    for name in names:
        write(os.path.join(top, b'many', name), name)
        os.symlink(name, os.path.join(top, name + b'@' if len(name) < 255
                                      else name))
    for name in plain[:20]:
        os.mkdir(os.path.join(top, b'few', name))
        os.setxattr(os.path.join(top, b'few', name), 'user.x', name)
    d.reborn()
    assert sorted(os.listdir(os.path.join(top, b'many'))) == sorted(names)
    for name in names:
        assert read(os.path.join(top, b'many', name)) == name
        assert os.readlink(os.path.join(
            top, name + b'@' if len(name) < 255 else name)) == name
    for name in plain[:20]:
        assert os.getxattr(os.path.join(top, b'few', name), 'user.x') == name
    d.umount()
    d.run('fsck', '--drive', d.name, '--passfile', d.passfile)


def test_files_that_claim_to_be_huge_cost_little(drives):
    """As sparse members of an archive are: all the sizes that may be asked for."""
    d = drives().init().mount()
    before = resident(d)
    sizes = [1 << 40, 1 << 43, (1 << 53) - 1]
    for i, size in enumerate(sizes):
        path = os.path.join(d.mnt, f'{i}')
        write(path, b'x')
        os.truncate(path, size)
    d.sync()
    assert resident(d) < before + ROOM
    until(lambda: not d.status()['queued']['pieces'], what='all is held')
    assert sum(os.path.getsize(os.path.join(d.stores[0], n))
               for n in os.listdir(d.stores[0])) < 64 * MIB
    d.reborn()
    for i, size in enumerate(sizes):
        path = os.path.join(d.mnt, f'{i}')
        assert os.path.getsize(path) == size
        with open(path, 'rb') as f:
            assert f.read(2) == b'x\0'
            f.seek(size - 3)
            assert f.read() == bytes(3)
    assert resident(d) < before + ROOM


TOOL = os.environ.get('FILDRIVE_BOMBS') or os.path.join(
    os.path.dirname(binary()), '..', '..', 'tests', 'fs', 'bombs')
# What can be read of a folder of bombs (bombs.c); all else is an error.
FILES = {'fine': b'fine\n', 'empties': b'xx', 'huge': b'h' * 4096,
         'less': b'l' * 10}
FOLDERS = ['barren', 'in endless', 'in ring', 'in self', 'in symlink', 'same',
           'shards']
TWINS = ['twins']  # whose folders are read one by one
WRONG = ['child lies', 'claims', 'deep', 'overflow', 'zstd', 'zstd lies']


def peak(d):
    (pid,) = d.pids()
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmHWM:\s+(\d+)', f.read())[1]) << 10


@pytest.fixture(name='bombed')
def _bombed(drives):
    """A drive whose newest commit, the second, has bombs for a tree."""
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'before'), b'before')
    d.sync()
    d.umount()
    subprocess.run([TOOL, 'dir://' + d.stores[0], d.words], check=True,
                   cwd=d.dir, timeout=PATIENCE)
    return d


def head(path, n):
    with open(path, 'rb', buffering=0) as f:
        return f.read(n)


def test_what_the_words_holder_makes_to_break_readers_ends_in_an_error(
        bombed, drives):
    d = drives.adopt(bombed.recovered())
    d.set(onboard_idle='1d', onboard_age='1d').mount()
    before = peak(d)
    assert sorted(os.listdir(d.mnt)) == sorted(
        [*FILES, *FOLDERS, *TWINS, *WRONG])
    for name in WRONG:
        with pytest.raises(OSError) as e:
            head(os.path.join(d.mnt, name), 100)
        assert e.value.errno == errno.EIO, name
    for name in FOLDERS:
        with pytest.raises(OSError) as e:
            os.listdir(os.path.join(d.mnt, name))
        assert e.value.errno == errno.EIO, name
    for name, want in FILES.items():
        assert head(os.path.join(d.mnt, name), len(want)) == want
    huge = os.path.join(d.mnt, 'huge')
    with open(huge, 'rb', buffering=0) as f:
        assert os.lseek(f.fileno(), 0, os.SEEK_HOLE) == 1 << 52
        os.lseek(f.fileno(), -3, os.SEEK_END)
        assert f.read() == b'hhh'
    assert peak(d) < before + MOST
    # The drive works, and so do its commits.
    write(os.path.join(d.mnt, 'after'), b'after')
    d.sync()
    assert d.status()['last_commit']['sequence'] == 3


def test_a_loss_among_bombs_is_named_and_mended(bombed, drives):
    """Who looks what is lost goes through nodes that are linked again and again."""
    d = drives.adopt(bombed.recovered()).mount()
    write(os.path.join(d.mnt, 'before'), os.urandom(3 * MIB))
    d.sync()
    before = set(os.listdir(d.stores[0]))
    write(os.path.join(d.mnt, 'lost'), os.urandom(3 * MIB))
    d.sync()
    piece = max(set(os.listdir(d.stores[0])) - before,
                key=lambda n: os.path.getsize(os.path.join(d.stores[0], n)))
    write(os.path.join(d.mnt, 'later'), b'the root is in another piece')
    d.sync()
    d = drives.adopt(d.umount().recovered()).mount()
    for name in os.listdir(d.mnt):
        os.stat(os.path.join(d.mnt, name))
    os.unlink(os.path.join(d.stores[0], piece))
    was = peak(d)
    done = d.run('verify', '--drive', d.name, '--all', check=False)
    assert done.returncode == FOUND
    assert '/lost: 3145728 bytes are lost for good' in done.stdout
    assert '/before' not in done.stdout
    assert peak(d) < was + MOST
    os.unlink(os.path.join(d.mnt, 'lost'))
    d.sync()
    until(lambda: not any('/lost' in e for e in d.status()['errors']),
          what='it is not named any more')


def test_salvage_takes_what_can_be_read_of_bombs(bombed, drives):
    d = drives.adopt(bombed.recovered('--salvage')).mount()
    for name, want in FILES.items():
        assert head(os.path.join(d.mnt, name), len(want)) == want
    d.sync()
