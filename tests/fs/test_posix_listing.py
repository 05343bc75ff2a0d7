"""Listing by position while names come and go, deep paths, and folders that are
replaced while they are open."""
import ctypes
import os
import random
import subprocess
import time

import pytest

from drive import PATIENCE
from syscalls import NOREPLACE, WHITEOUT, outcome, rename2, same, write

_libc = ctypes.CDLL(None, use_errno=True)


class _Dirent(ctypes.Structure):
    _fields_ = [('ino', ctypes.c_uint64), ('off', ctypes.c_int64),
                ('reclen', ctypes.c_uint16), ('kind', ctypes.c_ubyte),
                ('name', ctypes.c_char * 256)]


for _name, _result, _more in (
        ('opendir', ctypes.c_void_p, None), ('closedir', ctypes.c_int, ()),
        ('readdir', ctypes.POINTER(_Dirent), ()),
        ('telldir', ctypes.c_long, ()), ('rewinddir', None, ()),
        ('seekdir', None, (ctypes.c_long,))):
    _f = getattr(_libc, _name)
    _f.restype = _result
    _f.argtypes = [ctypes.c_char_p] if _more is None \
        else [ctypes.c_void_p, *_more]


class Listing:
    """opendir(3) and what goes with it."""

    def __init__(self, path):
        self.dir = _libc.opendir(os.fsencode(path))
        assert self.dir

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _libc.closedir(self.dir)

    def tell(self):
        return _libc.telldir(self.dir)

    def seek(self, at):
        _libc.seekdir(self.dir, at)

    def rewind(self):
        _libc.rewinddir(self.dir)

    def next(self):
        """The next name but . and .., or None at the end."""
        while True:
            entry = _libc.readdir(self.dir)
            if not entry:
                return None
            name = entry.contents.name
            if name not in (b'.', b'..'):
                return name.decode()

    def rest(self):
        return list(iter(self.next, None))


def fill(folder, names):
    fd = os.open(folder, os.O_RDONLY)
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_a_position_leads_back_to_the_same_name(there):
    fill(there, (f'{i:04}' for i in range(1000)))
    with Listing(there) as d:
        at, names = [], []
        while True:
            at.append(d.tell())
            name = d.next()
            if name is None:
                break
            names.append(name)
        assert sorted(names) == [f'{i:04}' for i in range(1000)]
        assert len(set(at)) == len(at)
        for i in random.Random(1).sample(range(1000), 100):
            d.seek(at[i])
            assert d.next() == names[i]
            assert d.next() == (names + [None])[i + 1]
        d.seek(at[600])
        assert d.rest() == names[600:]
        d.rewind()
        assert d.rest() == names


def test_a_position_holds_though_its_name_is_gone(there):
    names = [f'{i:04}' for i in range(1000)]
    fill(there, names)
    with Listing(there) as d:
        first = [d.next() for _ in range(400)]
        at = d.tell()
        rest = d.rest()
        for name in first[::2] + rest[:50]:  # the one it points to, too
            os.unlink(os.path.join(there, name))
        d.seek(at)
        # What is gone may show until somebody rewinds (POSIX).
        assert [x for x in d.rest() if x not in rest[:50]] == rest[50:]
        d.rewind()
        assert d.rest() == first[1::2] + rest[50:]


def test_who_rewinds_sees_what_is_new(there):
    with Listing(there) as d:
        assert d.rest() == []
        write(os.path.join(there, 'new'))
        d.rewind()
        assert d.rest() == ['new']
        os.rename(os.path.join(there, 'new'), os.path.join(there, 'newer'))
        d.rewind()
        assert d.rest() == ['newer']


@pytest.mark.parametrize('n', [4000, pytest.param(
    1000000, marks=pytest.mark.long)])
def test_names_not_touched_show_once_while_others_come_and_go(there, n):
    """Readers at several places of a large folder, one of which jumps back; the
    folder changes between any two names that they read."""
    fill(there, (f'keep-{i}' for i in range(n)))
    fill(there, (f'go-{i}' for i in range(n // 10)))
    keep = {f'keep-{i}' for i in range(n)}
    rand, made, gone = random.Random(n), 0, 0
    readers = [Listing(there) for _ in range(3)]
    seen = [[] for _ in readers]
    try:
        ended = set()
        jumper, back, jumps = readers[2], readers[2].tell(), 3
        while len(ended) < len(readers):
            for i, d in enumerate(readers):
                if i in ended:
                    continue
                for _ in range(rand.randrange(1, n // 100)):
                    name = d.next()
                    if name is None:
                        ended.add(i)
                        break
                    seen[i].append(name)
            if gone < n // 10:
                for _ in range(n // 400):
                    os.unlink(os.path.join(there, f'go-{gone}'))
                    gone += 1
                fill(there, (f'come-{made + i}' for i in range(n // 400)))
                os.rename(os.path.join(there, f'come-{made}'),
                          os.path.join(there, f'moved-{made}'))
                made += n // 400
            if 2 not in ended and jumps and rand.randrange(30) == 0:
                del seen[2][:]  # all over again
                jumper.seek(back)
                jumps -= 1
        for names in seen:
            kept = [x for x in names if x.startswith('keep-')]
            assert len(kept) == len(keep) and set(kept) == keep
            others = [x for x in names if not x.startswith('moved-')]
            assert len(others) == len(set(others)), 'a name showed twice'
        assert gone and made
        left = {x for x in os.listdir(there) if not x.startswith('keep-')}
        assert len(left) == n // 10 - gone + made
    finally:
        for d in readers:
            d.__exit__()


def test_getcwd_and_rm_work_beyond_the_longest_path(there):
    """Too long for a path at once: every program goes down by steps."""
    script = r'''
import os, sys
os.chdir(sys.argv[1])
top = os.getcwd()
for i in range(500):
    os.mkdir(f'level-{i}')
    os.chdir(f'level-{i}')
def at(depth):
    return top + ''.join(f'/level-{i}' for i in range(depth))
assert os.getcwd() == at(500)
for i in range(200):
    os.chdir('..')
assert os.getcwd() == at(300)
os.rename('level-300', 'renamed')
os.chdir('renamed')
assert os.getcwd() == at(300) + '/renamed'
'''
    subprocess.run(['/usr/bin/python3', '-c', script, there], check=True)
    out = subprocess.run(['sh', '-c', 'cd "$1" && find . | wc -l && rm -rf *',
                          'sh', there], check=True, stdout=subprocess.PIPE)
    assert int(out.stdout) == 501
    assert os.listdir(there) == []


def test_a_folder_renamed_over_while_open_is_as_on_ext4(native, there):
    def op(d):
        old, new = os.path.join(d, 'old'), os.path.join(d, 'new')
        os.mkdir(old)
        os.mkdir(new)
        write(os.path.join(new, 'inside'))
        fd, moved = os.open(old, os.O_RDONLY), os.open(new, os.O_RDONLY)
        try:
            os.rename(new, old)
            return (os.listdir(fd), os.fstat(fd).st_nlink,
                    outcome(lambda: os.mkdir('x', dir_fd=fd)),
                    outcome(lambda: os.stat('.', dir_fd=fd).st_nlink),
                    os.listdir(moved), os.listdir(old),
                    os.stat(old).st_ino == os.fstat(moved).st_ino,
                    os.path.samestat(os.stat('..', dir_fd=moved), os.stat(d)))
        finally:
            os.close(fd)
            os.close(moved)
    assert same(native, there, op)[:3] == ([], 0, 'ENOENT')


def test_an_open_file_that_is_replaced_can_still_be_changed(native, there):
    def op(d):
        a, b = os.path.join(d, 'a'), os.path.join(d, 'b')
        write(a, b'new')
        write(b, b'old')
        fd = os.open(b, os.O_RDWR)
        try:
            os.rename(a, b)
            os.pwrite(fd, b'gone', 2)
            os.fchmod(fd, 0o600)
            st = os.fstat(fd)
            return os.pread(fd, 10, 0), st.st_nlink, st.st_size, st.st_mode, \
                outcome(lambda: os.link(f'/proc/self/fd/{fd}',
                                        os.path.join(d, 'c'),
                                        follow_symlinks=True))
        finally:
            os.close(fd)
    assert same(native, there, op)[:2] == (b'olgone', 0)


@pytest.mark.root
@pytest.mark.parametrize('flags', [WHITEOUT, WHITEOUT | NOREPLACE])
@pytest.mark.parametrize('taken', [False, True])
def test_a_whiteout_takes_the_place_of_what_was_moved(native, there, flags,
                                                      taken):
    """As overlayfs has it: a device 0, 0 hides the name below."""
    def op(d):
        a, b = os.path.join(d, 'a'), os.path.join(d, 'b')
        write(a, b'content')
        if taken:
            write(b, b'other')
        result = outcome(lambda: rename2(a, b, flags))
        st = os.lstat(a)
        return result, st.st_mode, st.st_rdev, st.st_nlink, \
            os.path.exists(b) and open(b, 'rb').read()
    got = same(native, there, op)
    assert got[0] == ('EEXIST' if taken and flags & NOREPLACE else None)


def test_a_listing_ends_though_names_are_made_while_it_goes_on(there):
    """One process makes names as fast as it can, another lists until the end."""
    maker = subprocess.Popen(['/usr/bin/python3', '-c', '''
import os, sys
i = 0
while os.path.exists(sys.argv[1] + '/go on'):
    open(f'{sys.argv[1]}/made-{i}', 'w').close()
    i += 1
'''.strip(), there]) if write(os.path.join(there, 'go on')) else None
    try:
        end = time.monotonic() + PATIENCE
        for _ in range(10):
            with Listing(there) as d:
                names = []
                for name in iter(d.next, None):
                    names.append(name)
                    assert time.monotonic() < end, 'the listing has no end'
            assert len(names) == len(set(names)) and 'go on' in names
    finally:
        os.unlink(os.path.join(there, 'go on'))
        assert maker.wait(timeout=PATIENCE) == 0
