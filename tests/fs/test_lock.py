"""fildrive lock: the mount goes though it is busy, and what could show something
of the drive goes with it: process, keys, what the kernel has cached."""
import errno
import os
import subprocess

import pytest

from commands import CONFIG
from drive import CommandFailed, PATIENCE, mounts, until
from syscalls import read, write


def close(fd):
    """Of a file of a mount that may be gone."""
    try:
        os.close(fd)
    except OSError as e:
        assert e.errno == errno.ENOTCONN, e


def gone(d):
    assert not d.is_mounted()
    assert not d.pids(), 'the process is there, and may have keys'


def test_lock_ends_a_busy_mount_and_what_was_written_is_there(drives):
    d = drives().init().mount()
    folder = os.path.join(d.mnt, 'd')
    os.mkdir(folder)
    path = os.path.join(folder, 'f')
    write(path, b'written a moment ago')
    fd = os.open(path, os.O_RDWR)
    with subprocess.Popen(['cat'], cwd=folder, stdin=subprocess.PIPE) as user:
        assert os.pread(fd, 7, 0) == b'written'
        assert 'is locked' in d.run('lock', '--drive', d.name).stdout
        gone(d)
        for use in (lambda: os.pread(fd, 7, 0), lambda: os.pwrite(fd, b'x', 0),
                    lambda: os.fstatvfs(fd)):
            with pytest.raises(OSError) as e:
                use()
            assert e.value.errno in (errno.ENOTCONN, errno.EIO)
        user.stdin.close()
    close(fd)
    d.mount()
    assert read(path) == b'written a moment ago'


def test_an_interrupted_upload_goes_on_after_a_lock(drives):
    d = drives(stores=2, copies=2).init().mount().meet()
    os.rename(d.stores[1], d.stores[1] + '.away')
    write(os.path.join(d.mnt, 'f'), os.urandom(1 << 20))
    waiting = d.start_sync()
    until(lambda: d.status()['queued']['pieces'], what='a piece is queued')
    d.run('lock', '--drive', d.name)
    gone(d)
    waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode != 0, 'sync said that the stores have it'
    os.rename(d.stores[1] + '.away', d.stores[1])
    d.mount().sync()
    assert d.state(os.path.join(d.mnt, 'f')) != 'local'


def test_a_lock_takes_the_snapshots_of_the_drive_along(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'1')
    d.sync()
    other = os.path.join(d.dir, 'then')
    os.mkdir(other)
    number = str(d.status()['last_commit']['sequence'])
    d.run('mount', '--drive', d.name, '--passfile', d.passfile,
          '--snapshot', number, other)
    assert other in mounts() and len(d.pids()) == 2
    said = d.run('lock', '--drive', d.name).stdout
    assert f"Drive '{d.name}' is locked" in said
    assert f"Snapshot '{d.name}.{number}' is locked" in said
    assert other not in mounts()
    gone(d)


def test_all_drives_are_locked_and_then_there_is_nothing_to_lock(drives):
    d = drives().init().mount()
    d.run('lock', '--all')
    gone(d)
    assert 'nothing to lock' in d.run('lock', '--all').stdout
    assert 'nothing to lock' in d.run('lock', '--drive', d.name).stdout
    with pytest.raises(CommandFailed) as e:
        d.run('lock', '--drive', 'nobody')
    assert e.value.status == CONFIG


def test_a_lazily_unmounted_drive_is_locked_too(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'f')
    write(path, b'cached')
    fd = os.open(path, os.O_RDONLY)
    assert os.pread(fd, 6, 0) == b'cached'
    d.run('umount', '--lazy', d.mnt)
    assert not d.is_mounted() and d.pids(), 'who has it open keeps it going'
    assert os.pread(fd, 6, 0) == b'cached'
    d.run('lock', '--drive', d.name)
    gone(d)
    with pytest.raises(OSError):
        os.pread(fd, 6, 0)
    close(fd)


def test_a_drive_that_nobody_uses_is_locked_though_a_file_is_open(drives):
    d = drives().init().set(lock_after='1s').mount()
    fd = os.open(os.path.join(d.mnt, 'f'), os.O_CREAT | os.O_RDWR, 0o600)
    os.write(fd, b'x')
    until(lambda: not d.is_mounted() and not d.pids(), what='it is locked')
    close(fd)
    d.set(lock_after='0').mount()
    assert read(os.path.join(d.mnt, 'f')) == b'x'


def test_a_daemon_is_found_from_another_environment(drives):
    """As a unit of the system and a shell over ssh find the one of a desktop."""
    d = drives()
    run = os.path.join(d.dir, 'run')
    os.mkdir(run, 0o700)
    bare = {'FILDRIVE_HOME': '', 'XDG_DATA_HOME': '', 'XDG_RUNTIME_DIR': ''}
    d.run('init', '--drive', d.name, *d.store_args(), '--passfile', d.passfile,
          '--words-out', d.words, **bare)
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt, **bare)
    try:
        said = d.run('lock', '--all', **{**bare, 'XDG_RUNTIME_DIR': run}).stdout
        assert 'is locked' in said and not d.is_mounted()
    finally:
        if d.is_mounted():
            d.run('umount', d.mnt, **bare)
