"""A bad disk under the drive directory: full, read only, broken.  Each is said and
loses nothing; when it ends, the drive goes on by itself."""
import contextlib
import errno
import os
import random
import signal
import subprocess

import pytest

from drive import until
from syscalls import read, write
from timed import Timed
from trees import assert_same, picture

MIB = 1 << 20


def at(d, *names):
    return os.path.join(d.mnt, *names)


def put(path, data):
    """Written and promised."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        while data:
            data = data[os.write(fd, data):]
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def in_memory(drives, **limits):
    """A drive whose directory is on a small file system of its own."""
    d = drives.adopt(Timed())
    limits = ','.join(f'{k}={v}' for k, v in limits.items())
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'mode=700,{limits}', 'none',
                    d.home], check=True)
    try:
        # Nothing leaves by itself while the disk is being filled.
        d.init().set(reserve_free='1M', full_timeout='200ms',
                     onboard_idle='1h', onboard_age='1h')
        yield d.mount()
    finally:
        if d.pids():
            d.kill9()
        d.detach()
        subprocess.run(['umount', d.home], check=True)


def assert_goes_on(drives, d, want):
    """All of it is there, new things work, and the store gets them."""
    write(at(d, 'after'), b'after')
    for name, data in want.items():
        assert read(at(d, name)) == data, name
    d.sync()
    until(lambda: d.status()['errors'] == [], what='nothing is wrong any more')
    assert not d.status()['cache']['failed']
    tree = picture(d.mnt)
    d.umount()
    assert_same(tree, picture(drives.adopt(d.recovered()).mount().mnt))


def fill_bytes(d):
    path = os.path.join(d.home, 'filler')
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in MIB, 4096, 1:
            with contextlib.suppress(OSError):
                while True:
                    os.write(fd, bytes(size))
    finally:
        os.close(fd)


def fill_inodes(d):
    with contextlib.suppress(OSError):
        for i in range(100000):
            write(os.path.join(d.home, f'filler{i}'))


def at_once(d, fill):
    """While it becomes full the daemon would begin to send what makes room."""
    for pid in d.pids():
        os.kill(pid, signal.SIGSTOP)
    fill(d)
    d.pass_time(1)  # after which it looks at the disk again
    for pid in d.pids():
        os.kill(pid, signal.SIGCONT)


def unfill(d):
    for name in os.listdir(d.home):
        if name.startswith('filler'):
            os.unlink(os.path.join(d.home, name))


@pytest.mark.root
@pytest.mark.parametrize('fill, limits', [
    (fill_bytes, {'size': '300m'}),
    (fill_inodes, {'size': '600m', 'nr_inodes': 60}),
], ids=['bytes', 'inodes'])
def test_a_disk_that_others_fill_is_told_and_waited_for(drives, fill, limits):
    rand = random.Random(3)
    with in_memory(drives, **limits) as d:
        want = {str(i): rand.randbytes(MIB) for i in range(8)}
        for name, data in want.items():
            put(at(d, name), data)
        at_once(d, fill)
        data = rand.randbytes(8 * MIB)
        with pytest.raises(OSError) as e:
            for i in range(100):
                put(at(d, f'more{i}'), data)
                want[f'more{i}'] = data
        assert e.value.errno == errno.ENOSPC
        for name, data in want.items():
            assert read(at(d, name)) == data
        done = d.run('sync', '--drive', d.name, '--wait', check=False)
        assert done.returncode and 'No space left' in done.stderr, done
        until(lambda: any('No space left' in e for e in d.status()['errors']),
              what='status says it')
        os.unlink(at(d, '0'))  # what only frees works
        del want['0']
        unfill(d)
        d.pass_time(2 * 3600)  # it is due, and so is another try
        until(lambda: d.status()['last_commit'], what='it leaves by itself')
        assert_goes_on(drives, d, want)


@pytest.mark.root
def test_a_read_only_directory_is_refused_with_a_reason(drives):
    with in_memory(drives, size='300m') as d:
        put(at(d, 'f'), b'x' * 5000)
        d.umount()
        subprocess.run(['mount', '-o', 'remount,ro', d.home], check=True)
        done = d.run('mount', '--drive', d.name, '--passfile', d.passfile,
                     d.mnt, check=False)
        assert done.returncode and 'Read-only file' in done.stderr, done
        assert not d.is_mounted() and not d.pids()
        subprocess.run(['mount', '-o', 'remount,rw', d.home], check=True)
        d.mount()
        assert_goes_on(drives, d, {'f': b'x' * 5000})


@contextlib.contextmanager
def on_ext4(drives, tmp):
    """A drive whose directory is on an ext4 of its own, which can break."""
    image = os.path.join(tmp, 'image')
    with open(image, 'wb') as f:
        f.truncate(400 * MIB)
    d = drives.adopt(Timed())

    def attach():
        if subprocess.run(['mount', '-o', 'loop,errors=remount-ro', image,
                           d.home], check=False).returncode:
            pytest.skip('this machine has no loop devices')
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', image], check=True,
                   env={**os.environ,
                        'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'})
    attach()
    try:
        d.init().set(reserve_free='1M', full_timeout='200ms',
                     onboard_idle='1s', onboard_age='2s')
        yield d.mount(), attach
    finally:
        if d.pids():
            d.kill9()
        d.detach()
        subprocess.run(['umount', d.home], check=False)


@pytest.mark.root
def test_a_disk_that_turns_read_only_is_told_and_loses_nothing(drives, native):
    """What ext4 does when its disk fails: no write gets through any more."""
    rand = random.Random(4)
    with on_ext4(drives, native) as (d, attach):
        want = {str(i): rand.randbytes(MIB // 4) for i in range(8)}
        for name, data in want.items():
            put(at(d, name), data)
        subprocess.run(['mount', '-o', 'remount,abort', d.home], check=True)
        with pytest.raises(OSError) as e:
            put(at(d, 'lost'), b'never promised')
        assert e.value.errno in (errno.EIO, errno.EROFS)
        with pytest.raises(OSError) as e:
            write(at(d, 'more'), b'x' * 100000)
        assert e.value.errno == errno.EROFS
        for name, data in want.items():
            assert read(at(d, name)) == data
        until(lambda: any('Read-only file' in e and 'read only until' in e
                          for e in d.status()['errors']),
              what='status says it')
        assert d.status()['cache']['failed']
        done = d.run('sync', '--drive', d.name, '--wait', check=False)
        assert done.returncode and 'local commit failed' in done.stderr, done
        done = d.run('umount', d.mnt, check=False)
        assert done.returncode and 'could not be written' in done.stderr, done
        until(lambda: not d.pids(), what='the daemon has ended')
        subprocess.run(['umount', d.home], check=True)
        attach()
        d.mount()
        assert_goes_on(drives, d, want)
