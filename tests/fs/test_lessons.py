"""What other drives lost their users' data by; each lesson as a case.

Named after what went wrong elsewhere: files that showed zeros, queues that a
remount forgot, renames that dropped a tree, a dead mount, damage that could not
even be deleted.
"""
import concurrent.futures
import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

import cars
from commands import LOCKED
from drive import PATIENCE, CommandFailed, until
from syscalls import read, write
from trees import assert_same, picture

MIB = 1 << 20


def at(d, *names):
    return os.path.join(d.mnt, *names)


# ---- what was accepted is not forgotten ----

def test_umount_does_not_wait_for_uploads_and_forgets_none(drives):
    d = drives().init().mount().meet()
    os.rename(d.stores[0], d.stores[0] + '.away')
    write(at(d, 'f'), os.urandom(5 * MIB))
    waiting = d.start_sync()
    until(lambda: d.status()['queued']['pieces'], what='a piece is queued')
    write(at(d, 'g'), os.urandom(5 * MIB))  # dirty, in no piece yet
    want = picture(d.mnt)
    d.umount()  # who waited for the store would do so for ever
    assert waiting.wait(PATIENCE) != 0, 'sync --wait said that all is stored'
    d.mount()
    assert_same(want, picture(d.mnt))
    assert d.state(at(d, 'g')) == 'local'
    os.rename(d.stores[0] + '.away', d.stores[0])
    d.reborn()
    assert_same(want, picture(d.mnt))


def test_what_is_dirty_after_a_crash_leaves_by_itself(drives):
    d = drives().init().set(onboard_idle='500ms').mount().meet()
    os.rename(d.stores[0], d.stores[0] + '.away')
    fd = os.open(at(d, 'f'), os.O_WRONLY | os.O_CREAT)
    os.write(fd, b'x' * 100000)
    os.fsync(fd)
    d.kill9()
    try:
        os.close(fd)
    except OSError:
        pass  # nobody is there to hear of it
    d.mount()
    os.rename(d.stores[0] + '.away', d.stores[0])
    until(lambda: d.state(at(d, 'f')) == 'stored',
          what='what a crash left is sent without being asked for')


def test_a_failing_upload_is_tried_for_ever_and_said(drives):
    d = drives().init().mount().meet()
    os.rename(d.stores[0], d.stores[0] + '.away')
    write(at(d, 'f'), b'x' * 100000)
    waiting = d.start_sync()
    for _ in range(3):
        until(lambda: any(d.stores[0] in e for e in d.status()['errors']),
              what='it is said')
        time.sleep(1)
        assert waiting.poll() is None and d.pids()
    os.rename(d.stores[0] + '.away', d.stores[0])
    assert waiting.wait(PATIENCE) == 0
    until(lambda: not d.status()['errors'], what='the error is over')


# ---- absent is not zero ----

def test_absent_bytes_are_never_seen_as_zeros(drives):
    """Many readers, while the file comes in and is evicted again."""
    d = drives().init().mount()
    data = bytes(b or 1 for b in random.Random(1).randbytes(12 * MIB))
    write(at(d, 'f'), data)
    d.sync().lose().recover().mount()
    wrong = []

    def reader(seed):
        rand = random.Random(seed)
        fd = os.open(at(d, 'f'), os.O_RDONLY)
        for _ in range(60):
            off, n = rand.randrange(len(data)), rand.choice((1, 4096, 300000))
            got = os.pread(fd, n, off)
            if got != data[off:off + n]:
                wrong.append((off, n, got.count(0)))
        os.close(fd)
    threads = [threading.Thread(target=reader, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:5]


def test_a_write_into_absent_bytes_keeps_those_around_it(drives):
    d = drives().init().mount()
    data = bytearray(random.Random(1).randbytes(6 * MIB))
    write(at(d, 'f'), data)
    d.sync().lose().recover().mount()
    with open(at(d, 'f'), 'r+b', buffering=0) as f:
        for off, n in ((5, 10), (MIB - 3, 6), (3 * MIB, 4096),
                       (6 * MIB - 1, 100)):
            f.seek(off)
            new = os.urandom(n)
            f.write(new)
            data[off:off + n] = new
    fd = os.open(at(d, 'f'), os.O_WRONLY | os.O_APPEND)
    os.write(fd, b'tail')
    os.close(fd)
    data += b'tail'
    assert read(at(d, 'f')) == data
    os.truncate(at(d, 'f'), 2 * MIB + 77)
    os.truncate(at(d, 'f'), 4 * MIB)
    data[2 * MIB + 77:] = bytes(2 * MIB - 77)
    assert read(at(d, 'f')) == data
    d.reborn()
    assert read(at(d, 'f')) == data


# ---- absent bytes and a store that is away ----

def away(drives):
    """A recovered drive with an absent file, a local one, and no store: a read of
    what is absent waits for an hour."""
    d = drives().init().mount()
    write(at(d, 'absent'), os.urandom(3 * MIB))
    d.sync().lose().recover().set(fetch_timeout='1h').mount()
    assert os.listdir(d.mnt) == ['absent']
    os.stat(at(d, 'absent'))
    os.rename(d.stores[0], d.stores[0] + '.away')
    write(at(d, 'local'), b'here' * 1000)
    return d


def start_reader(d, off):
    with open(at(d, 'absent'), 'rb', buffering=0) as f:
        f.seek(off)
        return subprocess.Popen(['cat'], stdin=f, stdout=subprocess.DEVNULL)


def test_reading_what_no_store_gives_ends_and_harms_nothing_else(drives):
    d = away(drives)
    readers = [start_reader(d, i % 3 * MIB) for i in range(4)]
    until(lambda: d.status()['requests']['waiting'], what='they wait')
    for i in range(20):  # the rest is usable meanwhile (I7)
        assert read(at(d, 'local')) == b'here' * 1000
        write(at(d, f'new{i}'), b'x')
        os.listdir(d.mnt)
    assert all(r.poll() is None for r in readers), 'it had to wait for them'
    for r in readers:
        r.kill()
        r.wait(PATIENCE)

    d.umount().set(fetch_timeout='3s').mount()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        parked = [pool.submit(read, at(d, 'absent')) for _ in range(4)]
        for p in parked:
            with pytest.raises(OSError) as e:
                p.result(timeout=PATIENCE)
            assert e.value.errno == errno.EIO
    # the kernel's own read-ahead may have come later than the last reader
    until(lambda: d.status()['requests']['waiting'] == 0,
          what='nobody waits any more')
    assert any(d.stores[0] in e for e in d.status()['errors'])
    os.rename(d.stores[0] + '.away', d.stores[0])

    def readable():
        try:
            return len(read(at(d, 'absent'))) == 3 * MIB
        except OSError:
            return False
    until(readable, what='the store is back, and so is the file')


def test_a_parked_read_can_be_interrupted(drives):
    d = away(drives)

    def waiting():
        return d.status()['requests']['waiting']
    for i, number in enumerate((signal.SIGINT, signal.SIGTERM,
                                signal.SIGKILL)):
        # The kernel's own read-ahead goes on waiting, so each reads another
        # chunk, to be counted.
        before = waiting()
        reader = start_reader(d, i * MIB)
        until(lambda n=before: waiting() > n, what='the read waits')
        reader.send_signal(number)
        assert reader.wait(PATIENCE) == -number
    d.umount()  # does not hang behind what still waits


def test_umount_does_not_hang_behind_a_store_that_is_away(drives):
    d = away(drives)
    write(at(d, 'f'), b'x')
    sync = d.start_sync()
    until(lambda: d.status()['queued']['pieces'], what='a piece is queued')
    d.umount()
    sync.communicate(timeout=PATIENCE)


# ---- names ----

def test_a_folder_is_not_renamed_over_one_that_has_something(drives):
    d = drives().init().mount()
    for name in 'a', 'b', 'empty':
        os.mkdir(at(d, name))
    write(at(d, 'a', 'mine'), b'1')
    write(at(d, 'b', 'his'), b'2')
    d.sync().lose().recover().mount()  # neither of them is loaded
    with pytest.raises(OSError) as e:
        os.rename(at(d, 'a'), at(d, 'b'))
    assert e.value.errno in (errno.ENOTEMPTY, errno.EEXIST)
    assert read(at(d, 'b', 'his')) == b'2' and read(at(d, 'a', 'mine')) == b'1'
    with pytest.raises(OSError) as e:
        os.rmdir(at(d, 'b'))
    assert e.value.errno == errno.ENOTEMPTY
    os.rename(at(d, 'a'), at(d, 'empty'))
    assert sorted(os.listdir(d.mnt)) == ['b', 'empty']


def test_a_link_says_the_right_size_at_once(drives):
    d = drives().init().mount()
    f = write(at(d, 'f'), b'x' * 1024)
    os.link(f, f + 'l')
    os.symlink('target', f + 's')
    for path in f, f + 'l':
        st = os.stat(path)
        assert (st.st_size, st.st_nlink, st.st_blocks > 0) == (1024, 2, True)
    assert os.lstat(f + 's').st_size == 6
    d.sync().lose().recover().mount()
    for path in f, f + 'l':
        assert (os.stat(path).st_size, os.stat(path).st_nlink) == (1024, 2)
    assert os.stat(f).st_ino == os.stat(f + 'l').st_ino
    assert os.readlink(f + 's') == 'target'
    os.unlink(f)
    assert os.stat(f + 'l').st_nlink == 1
    d.reborn()
    assert read(f + 'l') == b'x' * 1024 and os.stat(f + 'l').st_nlink == 1


def test_shrink_write_shrink_keeps_every_block_readable(drives):
    d = drives().init().mount()
    rand, want = random.Random(6), bytearray()
    path = write(at(d, 'f'))
    with open(path, 'r+b', buffering=0) as f:
        for turn in range(300):
            if rand.random() < 0.5:
                n = rand.randrange(0, 30000)
                f.truncate(n)
                want = want[:n].ljust(n, b'\0')
            else:
                off, n = rand.randrange(len(want) + 1), rand.randrange(1, 9000)
                data = rand.randbytes(n)
                f.seek(off)
                f.write(data)
                want[off:off + n] = data
            if turn % 50 == 20:
                os.fsync(f.fileno())
                d.sync()
    assert read(path) == want
    d.remount()
    assert read(path) == want
    d.reborn()
    assert read(path) == want


# ---- one of each ----

def test_one_drive_is_not_mounted_twice(drives):
    d = drives().init().mount()
    other = os.path.join(d.dir, 'other')
    os.mkdir(other)
    with pytest.raises(CommandFailed) as e:
        d.run('mount', '--drive', d.name, '--passfile', d.passfile, other)
    assert e.value.status == LOCKED
    write(at(d, 'f'), b'the first one goes on')
    d.sync()


def test_the_daemon_opens_nothing_on_its_own_mount(drives):
    d = drives().init().mount()
    write(at(d, 'f'), os.urandom(3 * MIB))
    d.sync()
    dev = os.stat(d.mnt).st_dev
    (pid,) = d.pids()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            target = os.readlink(f'/proc/{pid}/fd/{fd}')
        except OSError:
            continue
        assert not target.startswith(d.mnt), target
    assert not os.readlink(f'/proc/{pid}/cwd').startswith(d.mnt)
    with open(f'/proc/{pid}/mountinfo', encoding='utf-8') as f:
        assert dev and any(d.mnt in line for line in f)


def test_a_dead_mount_does_not_look_like_an_empty_folder(drives):
    d = drives().init().mount()
    write(at(d, 'f'), b'x')
    (pid,) = d.pids()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not d.pids(), what='the daemon is gone')
    with pytest.raises(OSError) as e:
        os.listdir(d.mnt)
    assert e.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)


# ---- full ----

@contextlib.contextmanager
def store_away(d):
    """Its store is: nothing leaves, so nothing becomes clean."""
    os.rename(d.stores[0], d.stores[0] + '-away')
    yield
    os.rename(d.stores[0] + '-away', d.stores[0])


def test_an_allocated_file_can_be_filled_on_a_full_drive(drives):
    d = drives(cache_size='256M').init().set(full_timeout='200ms').mount()
    path, n = at(d, 'promised'), 24 * MIB
    with open(path, 'wb') as f:
        os.posix_fallocate(f.fileno(), 0, n)
        assert os.fstat(f.fileno()).st_blocks * 512 == n
    data = os.urandom(MIB)
    with store_away(d), pytest.raises(OSError) as e, \
            open(at(d, 'others'), 'wb', buffering=0) as f:
        for _ in range(300):
            f.write(os.urandom(MIB))  # no two are alike
    assert e.value.errno == errno.ENOSPC
    d.remount()  # a promise is kept
    assert os.stat(path).st_blocks * 512 == n
    with open(path, 'r+b', buffering=0) as f:
        for _ in range(n // MIB):
            assert f.write(data) == MIB
        os.fsync(f.fileno())
    assert read(path) == data * (n // MIB)
    assert os.stat(path).st_blocks * 512 == n


@pytest.mark.root
def test_a_full_disk_refuses_before_it_accepts(drives):
    """Nothing that was accepted is lost when the disk under the drive fills."""
    d = drives()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200m,mode=700', 'none',
                    d.home], check=True)
    try:
        d.init().set(reserve_free=0, full_timeout='1s')
        d.mount()
        want, i = {}, 0
        with store_away(d), pytest.raises(OSError) as e:
            while i < 400:
                data = os.urandom(MIB)
                fd = os.open(at(d, str(i)), os.O_WRONLY | os.O_CREAT)
                try:
                    assert os.write(fd, data) == MIB
                    os.fsync(fd)
                    want[str(i)] = data
                finally:
                    os.close(fd)
                i += 1
        assert e.value.errno == errno.ENOSPC
        assert len(want) > 20
        assert not d.status()['cache']['failed']
        for name, data in want.items():
            assert read(at(d, name)) == data
        for name in list(want)[:20]:  # rm frees room
            os.unlink(at(d, name))
            del want[name]
        d.run('sync', '--drive', d.name, '--local')
        d.kill9()
        d.mount()
        for name, data in want.items():
            assert read(at(d, name)) == data
        write(at(d, 'after'), b'there is room again')
        d.umount()
    finally:
        d.close()
        subprocess.run(['umount', d.home], check=False)


# ---- an old copy put back ----

def test_an_old_copy_of_the_drive_directory_is_found_out(drives):
    """I9: detected against the newest commit at the store, and nothing of the
    newer commits is overwritten."""
    d = drives().init().mount()
    write(at(d, 'f'), b'old')
    d.sync().umount()
    shutil.copytree(d.home, d.home + '.old')
    d.mount()
    write(at(d, 'g'), b'new')
    want = picture(d.sync().mnt)
    heads = sorted(os.listdir(os.path.join(d.stores[0], 'heads')))
    d.umount()
    shutil.rmtree(d.home)
    os.rename(d.home + '.old', d.home)
    try:
        d.mount()
    except CommandFailed as e:
        assert 'old' in e.stderr
    else:
        write(at(d, 'h'), b'written on the old one')
        done = d.run('sync', '--drive', d.name, '--wait', check=False)
        assert done.returncode != 0, 'it published over a newer commit'
        until(lambda: d.status()['errors'], what='status says so')
        print(done.stderr, d.status()['errors'])
        assert d.status()['fenced']
        d.umount()
    assert sorted(os.listdir(os.path.join(d.stores[0], 'heads'))) == heads
    back = drives.adopt(d.recovered()).mount()
    assert_same(want, picture(back.mnt))


def test_no_copy_is_counted_that_the_store_has_lost(drives):
    """Deduplication against what is no longer there loses the new copy, too."""
    d = drives().init().mount()
    data = random.Random(9).randbytes(2 * MIB)
    write(at(d, 'f'), data)
    d.sync()
    for path in cars.pieces(d.stores[0]):
        os.unlink(path)
    d.run('verify', '--drive', d.name, '--all', check=False)
    write(at(d, 'copy'), data)
    done = d.run('sync', '--drive', d.name, '--wait', check=False)
    if done.returncode == 0:
        d.umount()
        back = drives.adopt(d.recovered()).mount()
        assert read(at(back, 'copy')) == data
