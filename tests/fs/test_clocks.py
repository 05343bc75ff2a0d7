"""Clocks that jump, machines that sleep, stores that are away for long: nothing is
lost, and the drive goes on by itself."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

import cars
from commands import on_terminal
from drive import PATIENCE, alive, binary, until
from test_disk import MIB, at, put
from test_hung import Share
from timed import DAY, Timed
from trees import assert_same, picture


def sequence(d):
    last = d.status()['last_commit']
    return last['sequence'] if last else 0


def test_clock_jumps_lose_no_commit_and_no_file(drives):
    d = drives.adopt(Timed()).init().set(onboard_idle='1h', onboard_age='1d')
    d.mount()
    jumps = (0, -20 * 365 * DAY, 30 * 365 * DAY, 3600, -3600, 0)
    for n, jump in enumerate(jumps):
        d.set_clock(real=jump)
        before = time.time() + jump
        put(at(d, str(n)), b'%d' % n * 3000)
        assert abs(os.stat(at(d, str(n))).st_mtime - before) < PATIENCE
        d.sync()
        assert sequence(d) == n + 1
        assert d.status()['errors'] == []
    listed = json.loads(d.run('snapshots', '--drive', d.name, '--json').stdout)
    assert [s['sequence'] for s in listed] == list(range(1, n + 2))
    want = picture(d.mnt)
    for jump in jumps:  # and when it is mounted then
        d.umount().set_clock(real=jump)
        d.mount().meet()
        assert_same(want, picture(d.mnt))
        assert d.status()['errors'] == []
    put(at(d, 'again'), b'again')
    want = picture(d.sync().mnt)
    d.umount()
    assert_same(want, picture(drives.adopt(d.recovered()).mount().mnt))


def test_a_clock_that_jumps_ahead_thins_no_snapshots(drives):
    """All of a day are kept; a clock that says that a year has passed may be wrong,
    and is believed when it has said so for a day."""
    d = drives.adopt(Timed()).init().set(onboard_idle='1h', onboard_age='1d')
    d.mount()

    def commit(n):
        put(at(d, 'file'), b'%d' % n)
        d.sync()
        said = d.run('snapshots', '--drive', d.name, '--json').stdout
        return [s['sequence'] for s in json.loads(said)]
    for n in range(1, 4):
        commit(n)
    d.set_clock(real=365 * DAY)
    assert commit(4) == [1, 2, 3, 4]
    assert commit(5) == [1, 2, 3, 4, 5]
    d.pass_time(DAY + 60)
    left = commit(6)
    assert left[-1] == 6 and len(left) < 6


def test_a_store_that_is_away_for_a_week_gets_everything_then(drives):
    d = drives.adopt(Timed(stores=2, copies=2)).init()
    d.set(onboard_idle='1s', onboard_age='2s').mount()
    put(at(d, 'before'), b'1' * 50000)
    d.sync()
    n = sequence(d)
    away = d.stores[1]
    os.rename(away, away + '.away')
    for day in range(7):
        put(at(d, f'day{day}'), os.urandom(30000))
        d.pass_time(DAY)
    until(lambda: any(away in s['url'] and s['error']
                      for s in d.status()['stores']), what='it is said')
    assert sequence(d) == n  # two have to hold it
    want = picture(d.mnt)
    os.rename(away + '.away', away)
    d.pass_time(120)  # the longest pause between two tries
    until(lambda: sequence(d) > n and not d.status()['queued']['pieces'] and
          d.status()['cache']['dirty_inodes'] == 0, what='all has left')
    until(lambda: d.status()['errors'] == [], what='nothing is wrong any more')
    d.sync()  # what it had begun with by itself is ended
    assert_same(want, picture(d.mnt))
    d.umount()
    for store in d.stores:
        back = drives.adopt(d.recovered(stores=[store])).mount()
        assert_same(want, picture(back.mnt))
        back.umount()


@pytest.mark.parametrize('counts', [True, False],
                         ids=['clock goes on', 'clock stands still'])
def test_a_machine_that_sleeps_goes_on_when_it_wakes(drives, counts):
    """In the middle of a commit and of reads of what is not here, for longer
    than any deadline.  Linux lets CLOCK_MONOTONIC stand still; what would be if
    it did not holds as well, for a daemon that was stopped."""
    d = drives.adopt(Timed()).init()
    d.set(onboard_idle='1s', onboard_age='2s').mount()
    for i in range(30):
        put(at(d, f'{i}'), os.urandom(200000))
    want = picture(d.sync().mnt)
    d.lose().recover().set(onboard_idle='1s', onboard_age='2s').mount()
    readers = [subprocess.Popen(['cat', at(d, f'{i}')],
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE) for i in range(30)]
    put(at(d, 'new'), os.urandom(3 * MIB))
    for _ in range(5):
        for pid in d.pids():
            os.kill(pid, signal.SIGSTOP)
        d.set_clock(real=d.real + DAY,
                    monotonic=d.monotonic + (DAY if counts else 0))
        for pid in d.pids():
            os.kill(pid, signal.SIGCONT)
        assert len(os.listdir(d.mnt)) == 31
    said = [r.communicate(timeout=PATIENCE)[1] for r in readers]
    assert set(said) == {b''}
    n = sequence(d)
    put(at(d, 'newer'), b'x' * 1000)
    until(lambda: sequence(d) > n and d.status()['errors'] == [],
          what='it goes on')
    d.sync()
    got = picture(d.mnt)
    assert_same(want, {k: v for k, v in got.items()
                       if k not in (b'new', b'newer', b'.')} |
                {b'.': want[b'.']})
    d.umount()
    assert_same(got, picture(drives.adopt(d.recovered()).mount().mnt))


def start_filling(d):
    """A writer of more than the cache has room for, which waits for it.

    The store is away, or a slow writer would never meet a full cache."""
    os.rename(d.stores[0], d.stores[0] + '-away')
    writer = subprocess.Popen(
        ['dd', 'if=/dev/urandom', 'of=' + at(d, 'f'), 'bs=1M', 'count=200',
         'status=none'], stderr=subprocess.PIPE)

    def waits():
        st = os.statvfs(d.mnt)
        assert writer.poll() is None
        return st.f_bavail * st.f_frsize < MIB and \
            d.status()['requests']['waiting']
    until(waits, what='the cache is full')
    return writer


def assert_room_ends_the_wait(d, writer):
    os.rename(d.stores[0] + '-away', d.stores[0])
    d.sync()
    assert writer.communicate(timeout=PATIENCE)[1] == b''
    assert os.path.getsize(at(d, 'f')) == 200 * MIB
    d.sync()


def test_who_was_stopped_has_not_waited_for_room(drives):
    d = drives.adopt(Timed(cache_size='256M')).init()
    d.set(onboard_idle='1d', onboard_age='1d', full_timeout='1h').mount()
    writer = start_filling(d)
    for pid in d.pids():
        os.kill(pid, signal.SIGSTOP)
    d.pass_time(DAY)
    for pid in d.pids():
        os.kill(pid, signal.SIGCONT)
    assert_room_ends_the_wait(d, writer)


def test_writers_wait_for_room_when_readers_would_have_given_up(drives):
    d = drives.adopt(Timed(cache_size='256M')).init()
    d.set(onboard_idle='1d', onboard_age='1d', full_timeout='1h',
          fetch_timeout='1s').mount()
    writer = start_filling(d)
    for _ in range(10):  # in steps in which nothing seems to stand still
        d.pass_time(0.5)
        time.sleep(0.05)
    assert writer.poll() is None
    assert_room_ends_the_wait(d, writer)


def test_who_was_stopped_has_not_waited_for_a_store(drives):
    """SIGSTOP, a frozen group: the clock goes on, and nobody looks at it."""
    d = drives.adopt(Timed())
    share = Share(d.stores[0])
    try:
        d.init().mount()
        data = os.urandom(200000)
        put(at(d, 'f'), data)
        d.sync().lose().recover()
        d.set(fetch_timeout='1h', store_timeout='1h').mount()
        os.stat(at(d, 'f'))
        share.stop()
        reader = subprocess.Popen(['cat', at(d, 'f')], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        until(lambda: d.status()['requests']['waiting'], what='it waits')
        for _ in range(5):
            for pid in d.pids():
                os.kill(pid, signal.SIGSTOP)
            d.pass_time(DAY)
            for pid in d.pids():
                os.kill(pid, signal.SIGCONT)
            time.sleep(0.5)  # it looks how long it has waited, twice
            error = d.status()['stores'][0]['error'] or 'for 0 s'
            assert int(re.search(r'for (\d+) s', error)[1]) < 3600
            assert d.status()['requests']['waiting']
        share.go_on()
        assert reader.communicate(timeout=PATIENCE) == (data, b'')
    finally:
        share.close()


def test_a_question_may_be_answered_tomorrow(drives):
    """The daemon lets go of who is idle; a person who thinks is not."""
    d = drives.adopt(Timed()).init().set(onboard_idle='1d', onboard_age='1d')
    d.mount()
    for i in range(3):
        put(at(d, 'f'), os.urandom(3 * MIB))
        d.sync()

    def tomorrow():
        d.pass_time(DAY / 2)
        d.status()  # its timers have seen that
        return 'y'
    status, shown = on_terminal(d, 'gc', '--drive', d.name, '--quiet',
                                '--forget-before', '3', answers=[tomorrow])
    assert status == 0 and 'All of it is removed' in shown, shown


def test_umount_waits_for_a_daemon_that_does_not_answer(drives):
    """Stopped, or on a busy machine: what was written is on the disk by the end."""
    d = drives.adopt(Timed()).init().set(onboard_idle='1d', onboard_age='1d')
    d.mount()
    data = os.urandom(300000)
    put(at(d, 'f'), data)
    pids = d.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    umount = subprocess.Popen([binary(), 'umount', d.mnt], env=d.env(),
                              stderr=subprocess.PIPE, text=True)
    try:
        while d.is_mounted():
            d.pass_time(31)  # longer than it waits for any answer
            assert umount.poll() is None
            time.sleep(0.01)
        assert 'does not answer' in umount.stderr.readline()
        assert umount.poll() is None
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert umount.communicate(timeout=PATIENCE)[1] == ''
    assert umount.returncode == 0 and not any(alive(p) for p in pids)
    d.mount()
    with open(at(d, 'f'), 'rb') as f:
        assert f.read() == data


def start_recover(d):
    other = Timed(stores=0, name=d.name)
    return other, other.start(*d.brings(other))


def test_a_recover_that_was_stopped_has_not_waited_for_a_store(drives):
    """For the only one that has it all, and does not answer at once."""
    d = drives.adopt(Timed(stores=2, copies=2))
    share = Share(d.stores[1])
    try:
        d.init().mount()
        put(at(d, 'f'), os.urandom(3 * MIB))
        want = picture(d.mnt)
        d.sync().umount()
        for path in cars.pieces(d.stores[0]):
            os.unlink(path)
        for _ in range(5):  # ten seconds of its own, and this may get none
            share.stop()
            back, process = start_recover(d)
            drives.adopt(back)
            while 'waiting for it' not in (line := process.stderr.readline()):
                assert line
            os.kill(process.pid, signal.SIGSTOP)
            back.pass_time(DAY)
            os.kill(process.pid, signal.SIGCONT)
            time.sleep(0.5)
            share.go_on()
            said = process.communicate(timeout=PATIENCE)[1]
            if process.returncode == 0:
                break
        assert process.returncode == 0, said
        assert_same(want, picture(back.mount().mnt))
    finally:
        share.close()
