"""Out: what leaves for the stores, when, how often, and how it is told."""
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
from cars import heads
from conftest import LONG
from drive import PATIENCE, until
from syscalls import read, write
from trees import assert_same, picture

MIB = 1 << 20


def at(d, *names):
    return os.path.join(d.mnt, *names)


def published(d):
    last = d.status()['last_commit']
    return last['sequence'] if last else 0


def is_clean(d):
    s = d.status()
    return s['cache']['dirty_inodes'] == 0 and s['queued']['pieces'] == 0 and \
        s['last_commit'] is not None


def names(store):
    return {os.path.basename(p) for p in cars.pieces(store)}


def quiet(d):
    """Nothing leaves it but by a sync, however long the test takes."""
    return d.set(onboard_idle='1h', onboard_age='1d')


# ---- when ----

def test_an_empty_drive_is_published(drives):
    d = drives().init().mount().sync()
    assert published(d) == 1 and cars.pieces(d.stores[0])


def test_nothing_new_makes_no_commit(drives):
    d = drives().init().mount()
    write(at(d, 'f'), b'x' * 5000)
    d.sync()
    before = published(d), names(d.stores[0])
    d.sync()
    read(at(d, 'f'))
    d.remount().sync()
    assert (published(d), names(d.stores[0])) == before


def test_changes_leave_after_some_quiet(drives):
    d = drives().init().set(onboard_idle='300ms').mount()
    write(at(d, 'f'), b'x' * 100000)
    # the empty drive may have left before
    until(lambda: is_clean(d) and d.state(at(d, 'f')) == 'stored',
          what='the file has left by itself')
    n = published(d)
    os.rename(at(d, 'f'), at(d, 'g'))
    until(lambda: published(d) > n, what='a rename leaves by itself, too')


def test_nothing_leaves_by_itself_while_writing_goes_on(drives):
    d = drives().init().set(onboard_idle='3s', onboard_age='1d').mount()
    end = time.monotonic() + PATIENCE
    while True:
        write(at(d, 'f'), b'x')
        d.sync()
        n, longest, written = published(d), 0, time.monotonic()
        stop = written + 8
        while time.monotonic() < stop:
            write(at(d, 'f'), b'%f' % stop)
            longest = max(longest, time.monotonic() - written)
            written = time.monotonic()
            time.sleep(0.01)
        left = published(d) > n
        longest = max(longest, time.monotonic() - written)
        if not left:
            break
        # Nobody wrote for so long, on a machine that has more to do: of two writes
        # one may have been done at its beginning, the other at its end.
        assert longest >= 1.5, 'something has left'
        assert time.monotonic() < end
    until(lambda: published(d) > n, what='it has left when it was quiet')


def test_changes_leave_at_an_age_though_writing_goes_on(drives):
    d = drives().init().set(onboard_idle='1h', onboard_age='1s').mount()
    end = time.monotonic() + PATIENCE
    i = 0
    while published(d) == 0:
        write(at(d, 'f'), b'%d' % i)
        i += 1
        assert time.monotonic() < end, 'nothing has left'


def test_many_changes_do_not_wait_for_quiet(drives):
    d = drives().init().set(onboard_idle='1h', onboard_age='1d',
                            onboard_bytes='4M').mount()
    write(at(d, 'small'), os.urandom(MIB))
    time.sleep(2.5)  # it is given the time to do wrong
    assert published(d) == 0
    write(at(d, 'big'), os.urandom(5 * MIB))
    # A part of it, if that is enough before the rest is written.
    until(lambda: published(d) and d.state(at(d, 'small')) == 'stored',
          what='the bytes have left by themselves')


# ---- what ----

def test_a_copy_costs_next_to_nothing(drives):
    d = drives().init().mount()
    write(at(d, 'a'), os.urandom(50 * MIB))
    d.sync()
    before = cars.total(d.stores[0])
    assert 50 * MIB < before < 52 * MIB
    shutil.copyfile(at(d, 'a'), at(d, 'b'))
    d.sync()
    assert cars.total(d.stores[0]) - before < MIB
    with open(at(d, 'c'), 'wb') as f, open(at(d, 'a'), 'rb') as a:
        f.write(b'not at the same place' + a.read())  # other leaves
    d.sync()
    assert cars.total(d.stores[0]) - before > 50 * MIB
    assert read(at(d, 'b')) == read(at(d, 'a'))


def test_a_change_in_a_big_file_costs_a_leaf(drives):
    d = drives().init().mount()
    write(at(d, 'f'), os.urandom(50 * MIB))
    d.sync()
    before = cars.total(d.stores[0])
    with open(at(d, 'f'), 'r+b') as f:
        f.seek(20 * MIB + 12345)
        f.write(b'another')
    d.sync()
    assert MIB < cars.total(d.stores[0]) - before < MIB + 300_000


def test_new_names_modes_and_times_cost_no_leaf(drives):
    d = drives().init().mount()
    write(at(d, 'f'), os.urandom(5 * MIB))
    d.sync()
    before = cars.total(d.stores[0])
    os.rename(at(d, 'f'), at(d, 'g'))
    os.chmod(at(d, 'g'), 0o600)
    os.utime(at(d, 'g'), ns=(1, 2))
    os.setxattr(at(d, 'g'), 'user.a', b'b')
    d.sync()
    assert 0 < cars.total(d.stores[0]) - before < 50_000


def test_a_hole_costs_next_to_nothing(drives):
    d = drives().init().mount()
    with open(at(d, 'f'), 'wb') as f:
        f.truncate(1 << 40)
        f.seek(1 << 39)
        f.write(b'in the middle')
    d.sync()
    assert cars.total(d.stores[0]) < 4 * MIB
    back = drives.adopt(d.umount().recovered()).mount()
    fd = os.open(at(back, 'f'), os.O_RDONLY)
    assert os.fstat(fd).st_size == 1 << 40
    assert os.lseek(fd, 0, os.SEEK_DATA) <= 1 << 39
    assert os.pread(fd, 13, 1 << 39) == b'in the middle'
    assert os.pread(fd, 4096, 1 << 30) == bytes(4096)
    os.close(fd)


def test_a_commit_is_one_instant_though_a_writer_goes_on(drives):
    """Two files in step: no commit shows them out of step, or a torn line."""
    d = drives().init().set(onboard_idle='1ms', onboard_age='1s').mount()
    begun, stop = threading.Event(), threading.Event()
    wrong = []

    def writer():
        try:
            with open(at(d, 'a'), 'wb', buffering=0) as a, \
                    open(at(d, 'b'), 'wb', buffering=0) as b:
                i = 0
                while not stop.is_set():
                    a.write(b'%09d\n' % i)
                    b.write(b'%09d\n' % i)
                    os.rename(at(d, f'n{i}'), at(d, f'n{i + 1}')) if i else \
                        write(at(d, 'n1'))
                    i += 1
                    begun.set()
        except OSError as e:
            wrong.append(e)
            begun.set()
    thread = threading.Thread(target=writer)
    thread.start()
    try:
        assert begun.wait(PATIENCE)  # else there is no n1 to be found
        for _ in range(200 if LONG else 8):
            write(at(d, 'other'), os.urandom(2 * MIB))
            d.sync()
            back = drives.adopt(d.recovered()).mount('ro')
            a, b = read(at(back, 'a')), read(at(back, 'b'))
            for text in a, b:
                lines = text.split(b'\n')
                assert lines.pop() == b''
                assert lines == [b'%09d' % i for i in range(len(lines))]
            n = len(b) // 10
            assert len(a) // 10 in (n, n + 1)
            (name,) = [e for e in os.listdir(back.mnt) if e[0] == 'n']
            assert int(name[1:]) in (n, n - 1, n + 1), name
            back.close()
    finally:
        stop.set()
        thread.join()
    assert not wrong


# ---- what is said ----

def test_a_store_that_is_not_there_at_the_first_mount_is_never_made(drives):
    # A stick that was plugged in for init: its folder on this disk is no store.
    d = drives().init()
    os.rename(d.stores[0], d.stores[0] + '.unplugged')
    d.mount()
    write(at(d, 'f'), os.urandom(100000))
    until(lambda: d.status()['stores'][0]['state'] == 'away', what='it is missed')
    assert not os.path.exists(d.stores[0])
    assert d.status()['errors']
    os.rename(d.stores[0] + '.unplugged', d.stores[0])
    assert d.sync().answered()['stores'][0]['state'] == 'ok'


def test_the_state_of_a_file_over_its_life(drives):
    d = quiet(drives().init()).mount().meet()
    path = write(at(d, 'f'), os.urandom(100000))
    assert d.state(path) == 'local' and d.state(path, 'copies') == '0'
    with pytest.raises(OSError):
        d.state(path, 'cid')
    os.rename(d.stores[0], d.stores[0] + '.away')
    waiting = d.start_sync()
    until(lambda: d.state(path) in ('queued', 'uploading'), what='it is queued')
    assert d.state(path, 'copies') == '0'
    os.rename(d.stores[0] + '.away', d.stores[0])
    assert waiting.wait(PATIENCE) == 0
    assert d.state(path) == 'stored' and d.state(path, 'copies') == '1'
    cid = d.state(path, 'cid')
    assert cid.startswith('bafkrei')
    with open(path, 'r+b') as f:
        f.write(b'changed')
    assert d.state(path) == 'local' and d.state(path, 'copies') == '0'
    d.sync()
    assert d.state(path, 'cid') != cid
    assert os.listxattr(path) == [] and os.listxattr(d.mnt) == []
    for name in 'state', 'cid', 'copies', 'unheard of':
        with pytest.raises(OSError):
            os.setxattr(path, 'user.fildrive.' + name, b'x')
        with contextlib.suppress(OSError):
            os.removexattr(path, 'user.fildrive.' + name)
    assert d.state(path) == 'stored'
    assert d.state(d.mnt) == 'stored'
    back = drives.adopt(d.umount().recovered()).mount()
    assert back.state(at(back, 'f')) == 'stored'
    until(lambda: back.state(at(back, 'f'), 'copies') == '1',
          what='it was read back here')
    assert back.state(at(back, 'f'), 'cid').startswith('bafkrei')


def test_status_counts_what_is_dirty_queued_and_held(drives):
    d = quiet(drives().init()).mount()
    write(at(d, 'f'), os.urandom(3 * MIB))
    s = d.answered()
    assert s['cache']['dirty_bytes'] >= 3 * MIB and not s['cache']['failed']
    assert s['last_commit'] is None and s['mounted'] and not s['fenced']
    assert s['errors'] == []
    began = time.time()
    s = d.sync().answered()
    assert s['cache']['dirty_bytes'] == 0 == s['cache']['dirty_inodes']
    assert s['cache']['clean_bytes'] >= 3 * MIB
    (store,) = s['stores']
    assert store['state'] == 'ok' and store['error'] is None
    assert store['pieces'] == len(cars.pieces(d.stores[0]))
    assert store['bytes'] == cars.total(d.stores[0])
    assert s['queued'] == {'pieces': 0, 'bytes': 0} == s['uploading']
    assert s['last_commit']['sequence'] == 1
    assert began - 60 < s['last_commit']['time'] < time.time() + 60
    assert s['bytes_fetched'] == 0


# ---- stores come and go ----

def test_a_head_that_could_not_be_claimed_is_said_until_it_is(drives):
    """A store that takes pieces and no heads: its disk is full, or damaged."""
    d = drives().init().mount()
    write(at(d, 'before'), b'1' * 50000)
    d.sync()
    heads = os.path.join(d.stores[0], 'heads')
    os.rename(heads, heads + '.away')
    with open(heads, 'wb'):
        pass
    write(at(d, 'more'), b'2' * 50000)
    waiting = d.start_sync()
    until(lambda: d.status()['errors'], what='status says it')
    assert waiting.poll() is None, 'no head, but it says so'
    os.unlink(heads)
    os.rename(heads + '.away', heads)
    assert waiting.wait(PATIENCE) == 0, waiting.stderr.read()
    until(lambda: d.status()['errors'] == [], what='the error is over')


def test_a_store_that_is_away_is_named_and_caught_up_with(drives):
    d = drives().init().mount()
    write(at(d, 'before'), b'1' * 50000)
    d.sync()
    away = d.stores[0] + '.away'
    os.rename(d.stores[0], away)
    write(at(d, 'while away'), os.urandom(3 * MIB))
    waiting = d.start_sync()
    def named():
        s = d.status()
        return s['stores'][0]['state'] == 'away' and s['stores'][0]['error'] \
            and any(d.stores[0] in e for e in s['errors'])
    until(named, what='status names the store')
    until(lambda: d.status()['queued']['pieces'], what='a piece is queued')
    assert waiting.poll() is None, 'nothing is held, but it says so'
    write(at(d, 'more'), os.urandom(MIB))  # local work goes on (I7)
    assert read(at(d, 'before')) == b'1' * 50000
    assert not os.path.exists(d.stores[0]), 'a new store was made in its place'
    os.rename(away, d.stores[0])
    assert waiting.wait(PATIENCE) == 0, waiting.stderr.read()
    until(lambda: d.status()['errors'] == [], what='the error is over')
    want = picture(d.sync().mnt)
    d.lose().recover().mount()
    assert_same(want, picture(d.mnt))


def test_an_empty_folder_in_place_of_the_store_is_not_taken_for_it(drives):
    d = drives().init().mount()
    write(at(d, 'f'), b'x' * 50000)
    d.sync()
    away = d.stores[0] + '.away'
    os.rename(d.stores[0], away)
    os.mkdir(d.stores[0])  # as the mountpoint of an absent stick
    write(at(d, 'g'), b'y' * 50000)
    waiting = d.start_sync()
    until(lambda: d.status()['stores'][0]['state'] == 'away',
          what='it is seen that this is not the store')
    assert os.listdir(d.stores[0]) == []
    os.rmdir(d.stores[0])
    os.rename(away, d.stores[0])
    assert waiting.wait(PATIENCE) == 0


def test_a_drive_mounts_and_works_while_its_store_is_away(drives):
    d = drives().init().mount()
    write(at(d, 'f'), b'x' * 50000)
    d.sync().umount()
    os.rename(d.stores[0], d.stores[0] + '.away')
    d.mount()
    assert read(at(d, 'f')) == b'x' * 50000
    write(at(d, 'g'), b'y' * 50000)
    d.remount()
    assert read(at(d, 'g')) == b'y' * 50000
    os.rename(d.stores[0] + '.away', d.stores[0])
    d.sync()


def test_of_three_stores_one_may_be_away_and_is_filled_up_later(drives):
    d = drives(stores=3, copies=2).init().mount()
    write(at(d, '0'), os.urandom(MIB))
    d.sync()
    away = d.stores[1] + '.away'
    os.rename(d.stores[1], away)
    for i in range(1, 4):
        write(at(d, str(i)), os.urandom(MIB))
        d.sync()
    until(lambda: [x['state'] for x in d.status()['stores']] ==
          ['ok', 'away', 'ok'], what='status says which one is away')
    want = picture(d.mnt)
    os.rename(away, d.stores[1])
    until(lambda: heads(d.stores[1]) == heads(d.stores[0]),
          what='it gets the heads that it has missed')
    back = drives.adopt(d.umount().recovered(stores=d.stores[:2])).mount()
    assert_same(want, picture(back.mnt))


def test_two_copies_are_two_stores(drives):
    d = drives(stores=2, copies=2).init().mount()
    write(at(d, 'f'), os.urandom(2 * MIB))
    d.sync()
    assert names(d.stores[0]) == names(d.stores[1]) != set()
    assert d.state(at(d, 'f'), 'copies') == '2'
    for name in names(d.stores[0]):
        assert read(os.path.join(d.stores[0], name)) == \
            read(os.path.join(d.stores[1], name))
    os.rename(d.stores[1], d.stores[1] + '.away')
    write(at(d, 'g'), os.urandom(2 * MIB))
    waiting = d.start_sync()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(2)
    assert d.state(at(d, 'g')) != 'stored', 'one copy is not two (I10)'
    os.rename(d.stores[1] + '.away', d.stores[1])
    assert waiting.wait(PATIENCE) == 0
    assert names(d.stores[0]) == names(d.stores[1])


def test_a_new_store_is_filled_up(drives):
    d = drives().init().mount()
    for i in range(3):
        write(at(d, str(i)), os.urandom(MIB))
        d.sync()
    d.umount()
    d.stores.append(os.path.join(d.dir, 'new'))
    d.set(store='dir://' + d.stores[1], copies=2)
    d.mount()
    until(lambda: os.path.isdir(d.stores[1]) and
          names(d.stores[1]) == names(d.stores[0]),
          what='the new store has every piece')
    until(lambda: heads(d.stores[1]) == heads(d.stores[0]),
          what='the new store has every head')
    until(lambda: d.state(at(d, '0'), 'copies') == '2', what='it was read back')
    want = picture(d.mnt)
    back = drives.adopt(d.umount().recovered(stores=d.stores[1:])).mount()
    assert_same(want, picture(back.mnt))


@pytest.mark.root
def test_a_full_store_is_named_and_waited_for(drives):
    d = drives()
    store = d.stores[0]
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=6m,mode=700', 'none',
                    store], check=True)
    try:
        d.init().mount()
        write(at(d, 'f'), os.urandom(MIB))
        d.sync()
        path = write(at(d, 'big'), os.urandom(12 * MIB))
        waiting = d.start_sync()
        until(lambda: [store in e and 'space' in e
                       for e in d.status()['errors']] == [True],
              what='status says why')
        assert waiting.poll() is None
        write(at(d, 'g'), b'local work goes on')
        want = read(path)
        subprocess.run(['mount', '-o', 'remount,size=64m', store], check=True)
        assert waiting.wait(PATIENCE) == 0
        assert d.sync().answered()['errors'] == []
        d.lose().recover().mount()
        assert read(path) == want
        d.umount()
    finally:
        d.close()
        # A daemon that is dying still has it open.
        until(lambda: not subprocess.run(['umount', store], check=False).returncode,
              what='nobody uses the store')


# ---- the cache ----

def on_disk(folder):
    """Bytes of the disk; the daemon may remove a segment meanwhile."""
    total = 0
    for where, _, entries in os.walk(folder):
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(where, entry)).st_blocks * 512
    return total


class Sampled:
    """The most that the drive directory ever held, looked at all the time.  For a
    look the daemon stands still: what goes from one file into another while they
    are counted would count twice."""

    def __init__(self, d):
        self.most, self.end = 0, threading.Event()
        self.folder, (self.pid,) = d.home, d.pids()
        self.thread = threading.Thread(target=self.run)

    def stands_still(self):
        for tid in os.listdir(f'/proc/{self.pid}/task'):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), \
                    open(f'/proc/{self.pid}/task/{tid}/stat', encoding='ascii',
                         errors='replace') as f:
                if f.read().rpartition(')')[2].split()[0] not in 'TtZX':
                    return False
        return True

    def look(self):
        os.kill(self.pid, signal.SIGSTOP)
        try:
            until(self.stands_still, what='the daemon stands still')
            self.most = max(self.most, on_disk(self.folder))
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def run(self):
        while not self.end.wait(0.05):
            self.look()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self.look()


def test_the_drive_directory_never_takes_more_than_the_cache_size(drives):
    size = 256 * MIB
    d = drives(cache_size='256M').init()
    d.set(full_timeout='10m', onboard_idle='1s', onboard_age='1s').mount()
    rand, data = random.Random(2), random.Random(3).randbytes(8 * MIB)
    with Sampled(d) as seen:
        for i in range((120 if LONG else 40) * 3):
            path = at(d, str(rand.randrange(80)))
            what = rand.randrange(6)
            if what == 0 and os.path.exists(path):
                os.unlink(path)
            elif what == 1 and os.path.exists(path):
                os.truncate(path, rand.randrange(8 * MIB))
            elif what == 2:
                fd = os.open(path, os.O_RDWR | os.O_CREAT)
                for _ in range(200):  # scattered: what is freed has holes
                    at_block = rand.randrange(2048) * 4096
                    os.pwrite(fd, data[at_block:at_block + 4096],
                              rand.randrange(2048) * 4096)
                os.fsync(fd)
                os.close(fd)
            else:
                write(path, data[:rand.randrange(8 * MIB)])
            if i % 10 == 9:
                d.run('sync', '--drive', d.name, '--local')
    assert seen.most > 128 * MIB, 'it was not put to the test'
    assert seen.most <= size, seen.most / MIB
    for name in os.listdir(d.mnt):
        os.unlink(at(d, name))
    d.sync()
    until(lambda: on_disk(os.path.join(d.home, d.name, 'data')) <= 16 * MIB,
          what='the disk has its room back')


def test_who_fills_the_cache_waits_for_no_quiet(drives):
    d = drives(cache_size='256M').init()
    d.set(full_timeout='10m', onboard_idle='1d', onboard_age='1d').mount()
    data = random.Random(4).randbytes(8 * MIB)
    with open(at(d, 'f'), 'wb') as f:
        for i in range(25):  # of which 17 fit
            f.write(data)
            f.seek(8 * MIB * (i + 1) + i)  # no two chunks are the same
    assert d.status()['content']['bytes'] >= 192 * MIB


def test_more_than_the_cache_holds_can_be_written_and_read(drives):
    size = 256 * MIB
    d = drives(cache_size='256M').init().set(full_timeout='10m').mount()
    rand, want = random.Random(1), {}
    files = (3 if LONG else 2) * size // (16 * MIB)
    with Sampled(d) as seen:
        for i in range(files):
            data = rand.randbytes(16 * MIB)
            write(at(d, f'{i:02}'), data)
            want[f'{i:02}'] = hash(data)
        s = d.sync().status()
    assert s['cache']['used_bytes'] <= size
    assert seen.most <= size, seen.most / MIB
    d.remount()  # what the kernel still has would not be asked for
    for name in sorted(want):
        assert hash(read(at(d, name))) == want[name], name
    s = d.answered()
    assert s['cache']['used_bytes'] <= size
    assert s['bytes_fetched'] >= files * 16 * MIB - size - 32 * MIB
    assert s['errors'] == []


def test_what_is_removed_from_a_full_drive_makes_room_while_its_store_is_away(
        drives):
    d = drives(cache_size='256M').init()
    d.set(full_timeout='2s', onboard_idle='1s').mount()
    write(at(d, 'first'), b'1' * 50000)
    d.sync()
    os.rename(d.stores[0], d.stores[0] + '.away')
    rand, files = random.Random(5), 0
    with pytest.raises(OSError) as e:
        for files in range(256):
            write(at(d, f'{files:03}'), rand.randbytes(MIB))
    assert e.value.errno == errno.ENOSPC
    assert files >= 64, 'what is under way fits into the outbox'
    waiting = d.start_sync()

    def free():
        s = os.statvfs(d.mnt)
        return s.f_bavail * s.f_frsize

    before = free()
    for i in range(files - 8):
        os.unlink(at(d, f'{i:03}'))
    until(lambda: free() >= before + (files - 12) * MIB, what='df shows the room')
    for i in range(files - 16):
        write(at(d, f'new{i:03}'), rand.randbytes(MIB))
    assert waiting.poll() is None, 'nothing is held, but it says so'
    os.rename(d.stores[0] + '.away', d.stores[0])
    assert waiting.wait(PATIENCE) == 0, waiting.stderr.read()
    want = picture(d.sync().mnt)
    d.lose().recover().mount()
    assert_same(want, picture(d.mnt))


# ---- two devices ----

def test_a_second_device_takes_over_and_the_first_one_says_so(drives):
    first = drives().init().mount()
    write(at(first, 'f'), b'1')
    first.sync()
    second = drives.adopt(first.recovered()).mount()
    write(at(second, 'by the second'), b'2')
    second.sync()
    write(at(first, 'by the first'), b'3')
    done = first.run('sync', '--drive', first.name, '--wait', check=False)
    assert done.returncode != 0 and 'superseded' in done.stderr
    s = first.status()
    assert s['fenced']
    assert any('another device' in e for e in s['errors']), s['errors']
    assert read(at(first, 'by the first')) == b'3', 'nothing local is lost'
    write(at(first, 'still'), b'works')
    first.remount()
    assert first.status()['fenced'], 'a remount does not forget it'
    assert read(at(first, 'still')) == b'works'
    third = drives.adopt(second.umount().recovered()).mount()
    assert sorted(os.listdir(third.mnt)) == ['by the second', 'f']
