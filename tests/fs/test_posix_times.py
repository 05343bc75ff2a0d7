"""The time of birth, what statx(2) says beside it, and times far away"""
import os
import platform
import time

import pytest

from syscalls import Statx, link_fd, statx, write

BORN = tuple(map(int, platform.release().split('.')[:2])) >= (6, 6)
needs_statx = pytest.mark.skipif(
    not BORN, reason='this machine has a kernel before 6.6, which does not ask')

# Before 1970, the ends of 32 bits, the end of ext4, the end of four digits.
FAR = [-2**31, -1, 0, 2**31, 2**32 + 1, 15032385535, 253402300799]


def born(path):
    got = statx(path)
    assert got.mask & Statx.BTIME, 'no time of birth'
    return got.time('btime')


@needs_statx
def test_the_time_of_birth_is_shown_and_stays(drives):
    d = drives().init().mount()
    path, other = (os.path.join(d.mnt, n) for n in ('f', 'other'))
    before = time.time_ns()
    write(path, b'1')
    assert before - 10**9 < born(path) <= os.stat(path).st_mtime_ns
    at = born(path)
    for change in (lambda: write(path, b'2', 'ab'), lambda: os.truncate(path, 0),
                   lambda: os.chmod(path, 0o600),
                   lambda: os.utime(path, (1, 1)), lambda: os.link(path, other),
                   lambda: os.rename(other, path)):
        change()
        assert born(path) == at
    d.remount()
    assert born(path) == at
    d = d.reborn()
    assert born(os.path.join(d.mnt, 'f')) == at


@needs_statx
def test_whatever_has_a_name_was_born(there):
    os.mkdir(os.path.join(there, 'dir'))
    os.symlink('x', os.path.join(there, 'link'))
    os.mkfifo(os.path.join(there, 'fifo'))
    fd = os.open(there, os.O_TMPFILE | os.O_RDWR)
    link_fd(fd, os.path.join(there, 'tmp'))
    os.close(fd)
    for name in os.listdir(there):
        path = os.path.join(there, name)
        assert born(path) <= os.lstat(path).st_ctime_ns
    assert born(there)


@pytest.mark.parametrize('mask', [Statx.BASIC, Statx.BASIC | Statx.BTIME])
def test_statx_says_what_stat_says(there, mask):
    path = write(os.path.join(there, 'f'), b'x' * 5000)
    os.utime(path, ns=(-5, 2**33 * 10**9 + 7))
    for path in (path, there):
        st, got = os.stat(path), statx(path, mask)
        assert got.mask & Statx.BASIC == Statx.BASIC
        assert (got.mode, got.uid, got.gid, got.nlink, got.ino, got.size,
                got.blocks, got.blksize) == \
            (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_ino,
             st.st_size, st.st_blocks, st.st_blksize)
        assert (got.dev_major, got.dev_minor) == (os.major(st.st_dev),
                                                  os.minor(st.st_dev))
        for name in ('atime', 'mtime', 'ctime'):
            assert got.time(name) == getattr(st, f'st_{name}_ns')


@pytest.mark.root
def test_statx_of_a_device_has_its_number(there):
    path = os.path.join(there, 'null')
    os.mknod(path, 0o20666, os.makedev(1, 3))
    for mask in (Statx.BASIC, Statx.BASIC | Statx.BTIME):
        got = statx(path, mask)
        assert (got.rdev_major, got.rdev_minor) == (1, 3)


def test_statx_tells_the_mount_from_what_is_around_it(drive):
    inside, above = statx(drive.mnt), statx(os.path.dirname(drive.mnt))
    assert inside.mask & Statx.MNT_ID
    assert inside.mnt_id != above.mnt_id
    path = write(os.path.join(drive.mnt, 'f'))
    assert statx(path).mnt_id == inside.mnt_id
    # No attribute (compressed, encrypted, append only...) is claimed.
    assert statx(path).attributes & ~0x2000 == 0  # of the mount's root


def test_times_far_away_are_kept_to_the_nanosecond(drives):
    d = drives().init().mount()

    def check():
        for second in FAR:
            st = os.stat(os.path.join(d.mnt, str(second)))
            assert (st.st_atime_ns, st.st_mtime_ns) == \
                (second * 10**9 + 1, second * 10**9 + 999999999)
    for second in FAR:
        path = write(os.path.join(d.mnt, str(second)))
        os.utime(path, ns=(second * 10**9 + 1, second * 10**9 + 999999999))
    check()
    d.remount()
    check()
    d = d.reborn()
    check()
