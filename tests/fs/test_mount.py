"""A drive's life: init, mount, umount, mount again, and being killed."""
import contextlib
import fcntl
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from commands import CONFIG, LOCKED, MOUNTPOINT, PASSWORD
from conftest import LONG
from drive import PATIENCE, CommandFailed, Drive, until
from syscalls import read, write
from trees import assert_same, make_of_everything, picture


def failure(call):
    """The failed command: one line of error text, no more."""
    with pytest.raises(CommandFailed) as e:
        call()
    assert e.value.stderr.strip(), 'an error without a reason'
    assert len(e.value.stderr.strip().splitlines()) <= 2
    return e.value


def test_init_writes_24_words_that_only_the_owner_reads(drives):
    d = drives().init()
    assert len(read(d.words).split()) == 24
    assert stat.S_IMODE(os.stat(d.words).st_mode) == 0o600


def test_init_never_touches_a_drive_that_is_there(drives):
    d = drives().init()
    words = read(d.words)
    os.unlink(d.words)
    failure(d.init)
    write(d.words, words)
    d.mount()


def test_mount_returns_when_the_drive_can_be_used(drives):
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'first'), b'at once')
    assert read(path) == b'at once'


def test_a_wrong_passphrase_is_refused(drives):
    d = drives().init()
    write(d.passfile, b'something else\n')
    assert failure(d.mount).status == PASSWORD
    assert not d.is_mounted()
    until(lambda: not d.pids(), what='the end of the daemon')


def test_a_mountpoint_that_is_not_there_is_refused(drives):
    d = drives().init()
    d.mnt = os.path.join(d.dir, 'nowhere')
    assert failure(d.mount).status == MOUNTPOINT


def test_a_drive_that_is_not_there_is_named(drives):
    d = drives()
    e = failure(d.mount)
    assert e.status == CONFIG and d.name in e.stderr


def test_a_drive_has_one_daemon(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'safe')
    second = os.path.join(d.dir, 'second')
    os.mkdir(second)
    e = failure(lambda: d.run('mount', '--drive', d.name, '--passfile',
                              d.passfile, second))
    assert e.status == LOCKED
    assert read(os.path.join(d.mnt, 'f')) == b'safe'


def test_an_unknown_option_is_refused(drives):
    d = drives(options=()).init()
    e = failure(lambda: d.mount('rw', 'r0'))
    assert 'r0' in e.stderr


def test_umount_of_what_is_not_mounted_is_an_error(drives):
    d = drives().init()
    assert failure(lambda: d.run('umount', d.mnt)).status == MOUNTPOINT


# Another mount namespace that keeps, of all mounts of tests, $0 alone.
CONTAINER = """
while read -r _ at _; do
    case $at in "$0") ;; "$1"/*) umount -l "$at" ;; esac
done </proc/self/mounts
echo
exec cat
"""


@pytest.mark.root
@pytest.mark.parametrize('ends', ['itself', 'by lock'])
def test_umount_says_that_a_container_still_has_the_mount(drives, ends):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'kept')
    with subprocess.Popen(['unshare', '-m', '--propagation', 'private', 'sh', '-c',
                           CONTAINER, d.mnt, tempfile.gettempdir()],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b'\n'
        umount = d.start('umount', d.mnt)
        said = umount.stderr.readline() + umount.stderr.readline()
        assert d.mnt in said and 'still has it' in said, said
        assert f'fildrive lock --drive {d.name}' in said
        assert umount.poll() is None and not d.is_mounted() and d.pids()
        if ends == 'by lock':
            d.run('lock', '--drive', d.name)
        else:
            other.stdin.close()
        assert umount.communicate(timeout=PATIENCE)[1] == ''
        other.stdin.close()
    assert umount.returncode == 0 and not d.pids()
    d.mount()
    assert read(os.path.join(d.mnt, 'f')) == b'kept'


def test_everything_is_there_after_a_remount(drives):
    d = drives().init().mount()
    make_of_everything(d.mnt, os.geteuid() == 0)
    want = picture(d.mnt)
    d.remount()
    assert_same(want, picture(d.mnt))


def test_inode_numbers_stay_over_a_remount(drives):
    d = drives().init().mount()
    for i in range(50):
        write(os.path.join(d.mnt, f'f{i}'))
    before = {n: os.stat(os.path.join(d.mnt, n)).st_ino
              for n in os.listdir(d.mnt)}
    d.remount()
    assert before == {n: os.stat(os.path.join(d.mnt, n)).st_ino
                      for n in os.listdir(d.mnt)}


def test_fusermount_ends_the_daemon_and_loses_nothing(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'not synced' * 1000)
    subprocess.check_call(['fusermount3', '-u', d.mnt])
    until(lambda: not d.pids(), what='the daemon has ended')
    d.mount()
    assert read(os.path.join(d.mnt, 'f')) == b'not synced' * 1000


def test_a_terminated_daemon_unmounts_and_loses_nothing(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'not synced' * 1000)
    for pid in d.pids():
        os.kill(pid, signal.SIGTERM)
    until(lambda: not d.pids(), what='the daemon has ended')
    assert not d.is_mounted()
    d.mount()
    assert read(os.path.join(d.mnt, 'f')) == b'not synced' * 1000


def test_a_busy_drive_is_not_unmounted_under_its_user(drives):
    d = drives().init().mount()
    with open(os.path.join(d.mnt, 'f'), 'wb') as f:
        failure(lambda: d.run('umount', d.mnt))
        f.write(b'goes on')
    assert read(os.path.join(d.mnt, 'f')) == b'goes on'


def test_unlinked_open_files_are_gone_after_a_crash(drives):
    d = drives().init().mount()
    held = os.open(os.path.join(d.mnt, 'f'), os.O_WRONLY | os.O_CREAT)
    os.write(held, os.urandom(1 << 20))
    os.fsync(held)
    os.unlink(os.path.join(d.mnt, 'f'))
    fd = os.open(d.mnt, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    d.kill9()
    with contextlib.suppress(OSError):  # nobody is there to hear of it
        os.close(held)
    d.mount()
    assert os.listdir(d.mnt) == []


def test_a_mount_that_was_killed_can_be_mounted_again(drives):
    d = drives().init().mount()
    for pid in d.pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not d.pids(), what='the killed daemon is gone')
    with pytest.raises(OSError):
        os.listdir(d.mnt)
    d.detach()
    d.mount()
    assert os.listdir(d.mnt) == []


class Writer:
    """Writes numbered files; has promised one once its fsync returned."""
    KEPT = 25

    def __init__(self, d, who):
        self.folder = os.path.join(d.mnt, f'w{who}')
        self.who, self.next, self.promised = who, 0, set()
        os.mkdir(self.folder)

    def body(self, i):
        return f'{self.who}:{i}:'.encode() * (1 + i * 37 % 3000)

    def at(self, i):
        return os.path.join(self.folder, str(i))

    def sync(self):
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def run(self):
        try:
            while True:
                with open(self.at('tmp'), 'wb') as f:
                    f.write(self.body(self.next))
                    f.flush()
                    os.fsync(f.fileno())
                os.rename(self.at('tmp'), self.at(self.next))
                self.sync()
                self.promised.add(self.next)
                self.next += 1
        except OSError:
            pass  # the daemon was killed

    def judge(self):
        """What was promised is there, what was removed is not, and a name has
        the bytes that were synced before it was given."""
        found = set(os.listdir(self.folder))
        if 'tmp' in found:
            found.remove('tmp')
            assert self.body(self.next).startswith(read(self.at('tmp')))
        found = set(map(int, found))
        assert self.promised <= found <= self.promised | {self.next}, self.who
        for i in found:
            assert read(self.at(i)) == self.body(i), self.at(i)

    def remove(self, rand):
        """Most of what is old, so that others get its place on the disk."""
        for i in rand.sample(sorted(self.promised),
                             max(len(self.promised) - self.KEPT, 0)):
            os.unlink(self.at(i))
            self.promised.remove(i)
        self.sync()


def test_what_fsync_acknowledged_survives_kill_9_again_and_again(drives):
    d = drives().init().mount()
    writers, rand = [Writer(d, who) for who in range(4)], random.Random(1)
    d.run('sync', '--drive', d.name, '--local')
    for round_ in range(200 if LONG else 4):
        threads = [threading.Thread(target=w.run) for w in writers]
        for t in threads:
            t.start()
        enough = sum(w.next for w in writers) + 25 + round_ % 5 * 10
        until(lambda n=enough: sum(w.next for w in writers) >= n,
              what='writes go on')
        assert all(t.is_alive() for t in threads)
        d.kill9()
        for t in threads:
            t.join()
        d.mount()
        for w in writers:
            w.judge()
            w.remove(rand)


def test_a_rename_never_shows_without_the_bytes_that_it_renamed(drives):
    # The rename may be lost; a name with an empty or torn file may not be.
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'config')
    bodies = [b'%d' % i * 20000 for i in range(10)]
    for round_ in range(40 if LONG else 4):
        for body in bodies:
            write(path + '.new', body)
            os.rename(path + '.new', path)
        if round_ % 2:
            fd = os.open(d.mnt, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        d.kill9()
        d.mount()
        if round_ % 2 or os.path.exists(path):
            assert read(path) in bodies


def test_a_stopped_drive_shows_no_name_and_no_content(drives):
    d = drives().init().mount()
    name, text = 'VERYSECRETNAME', b'VERYSECRETCONTENT'
    os.mkdir(os.path.join(d.mnt, name))
    path = write(os.path.join(d.mnt, name, name), text * 10000)
    os.setxattr(path, 'user.' + name, text)
    os.symlink(name, os.path.join(d.mnt, 'link'))
    d.umount()
    for where, dirs, files in os.walk(d.dir):
        for entry in dirs + files:
            assert name not in entry
        for entry in files:
            data = read(os.path.join(where, entry))
            assert name.encode() not in data, entry
            assert text not in data, entry


def test_state_attributes_can_be_read_but_are_not_listed(drives):
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'f'), b'x')
    assert os.getxattr(path, 'user.fildrive.state')
    assert os.listxattr(path) == []


def test_a_read_only_mount_changes_nothing(drives):
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'f'), b'x')
    d.remount('ro')
    assert read(path) == b'x'
    for change in (lambda: write(path, b'y'), lambda: os.unlink(path),
                   lambda: os.mkdir(path + 'd'), lambda: os.chmod(path, 0)):
        with pytest.raises(OSError) as e:
            change()
        assert e.value.errno == 30  # EROFS


def test_status_says_what_is_dirty_in_json(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'x' * 100000)
    assert isinstance(d.status()['bytes_fetched'], int)


def test_a_drive_closes_behind_a_failed_test():
    d = Drive(options=())
    pids = []
    try:
        d.init().mount()
        pids = d.pids()
        assert pids
    finally:
        d.close()
    until(lambda: not d.pids(), what='the killed daemon is gone')
    assert not os.path.exists(d.dir) and not d.is_mounted()


def test_a_mount_right_after_a_kill_waits_for_the_dying_daemon(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'kept')
    d.run('sync', '--drive', d.name, '--local')
    for pid in d.pids():
        os.kill(pid, signal.SIGKILL)
    d.detach()
    d.mount()
    assert read(os.path.join(d.mnt, 'f')) == b'kept'


def test_who_has_the_lock_and_is_not_known_is_no_dying_daemon(drives):
    d = drives().init().mount().umount()
    with open(os.path.join(d.home, d.name, 'lock'), 'r+b') as lock:
        fcntl.fcntl(lock, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
        for text in (b'', b'who knows\n'):
            lock.truncate(0)
            os.pwrite(lock.fileno(), text, 0)
            with pytest.raises(CommandFailed) as e:
                d.mount()
            said = e.value.stderr.strip()
            assert said.count('\n') == 0 and 'by another process' in said
    d.mount()


# What is left of a daemon that ends where others have all the processors: its first
# thread is gone, its last one holds the lock.
ENDING = """
import ctypes, fcntl, os, struct, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
os.pwrite(fd, b'%d mounted 0:999 /nowhere\\n' % os.getpid(), 0)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0))).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_mount_waits_for_the_last_thread_of_a_daemon(drives):
    d = drives().init().mount().umount()
    lock = os.path.join(d.home, d.name, 'lock')

    def state(pid):
        with open(f'/proc/{pid}/stat', encoding='ascii') as f:
            return f.read().rpartition(')')[2].split()[0]
    with subprocess.Popen([sys.executable, '-c', ENDING, lock],
                          stdin=subprocess.PIPE) as ending:
        until(lambda: state(ending.pid) == 'Z', what='it is ending')
        mount = d.start('mount', '--drive', d.name, '--passfile', d.passfile,
                        d.mnt)
        assert 'Waiting for process' in mount.stderr.readline()
        later = time.monotonic() + 4
        until(lambda: mount.poll() is not None or time.monotonic() > later)
        ending.stdin.close()
        assert mount.wait(PATIENCE) == 0
    assert d.is_mounted()
