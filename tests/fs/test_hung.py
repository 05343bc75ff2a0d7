"""A store whose file system hangs: it holds nobody but itself.

The store is a folder seen through a FUSE server (passfs.c) that is stopped with
SIGSTOP: what a dead file server looks like.
"""
import json
import os
import signal
import subprocess
import time

import pytest

import cars
from cars import heads
from drive import PATIENCE, Drive, mounts, until
from syscalls import read, refused, write
from trees import assert_same, picture

MIB = 1 << 20
# Who waited for the store would do so until it goes on.  Seconds in which a machine
# that does other things has got round to what waits for nobody, and to an end,
# which no timeout of those that people know (60 s for a read) holds up either.
SOON, END = PATIENCE / 2, 50


def at(d, *names):
    return os.path.join(d.mnt, *names)


def names(store):
    return {os.path.basename(p) for p in cars.pieces(store)}


class Share:
    """`front` shows `back` until it is stopped."""

    def __init__(self, folder):
        self.back, self.front = folder + '.back', folder
        os.mkdir(self.back)
        self.process = subprocess.Popen(
            [os.environ['FILDRIVE_PASSFS'], self.back, self.front, '-f'],
            stderr=subprocess.DEVNULL)
        until(lambda: self.front in mounts(), what='the share is mounted')

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        # Not before all its threads stand still.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        self.go_on()
        subprocess.run(['umount', '-l', self.front], check=False,
                       stderr=subprocess.DEVNULL)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def shared(drives):
    """A drive whose store number `which` is on a file system that can hang."""
    shares = []

    def make(which, **kw):
        d = drives(**kw)
        shares.append(Share(d.stores[which]))
        d.init().set(store_timeout='5s')  # the others answer sooner
        return d, shares[-1]
    yield make
    for share in shares:
        share.go_on()
    time.sleep(0.2)  # what hung in it comes back and lets go of it
    for share in shares:
        share.close()


def timed(limit, what, call, *args, **kw):
    began = time.monotonic()
    result = call(*args, **kw)
    took = time.monotonic() - began
    print(f'{what}: {took:.1f} s')
    assert took < limit, f'{what} took {took:.1f} s'
    return result


def silent(d, which):
    return d.status()['stores'][which]['state'] == 'not answering'


def gone(d):
    """Unmounted and unlocked; a thread in the kernel may be longer."""
    assert not d.is_mounted()

    def free():
        done = d.run('status', '--drive', d.name, '--json', check=False)
        return done.returncode == 0 and 'pid' not in json.loads(done.stdout)
    until(free, END, 'the drive is free again')


def test_a_store_that_hangs_holds_up_nothing_else(shared, drives):
    d, share = shared(1, stores=3, copies=2)
    d.mount()
    for i in range(3):
        write(at(d, str(i)), os.urandom(MIB))
    d.sync()
    until(lambda: heads(d.stores[0]) == heads(share.back),
          what='every store has the first head')
    share.stop()

    # Local work, the other stores, and the heads go on.
    for i in range(3, 6):
        timed(SOON, 'a write', write, at(d, str(i)), os.urandom(2 * MIB))
        timed(SOON, 'a sync', d.sync)
    assert heads(d.stores[0]) == heads(d.stores[2]) > heads(share.back)
    want = picture(d.mnt)
    until(lambda: [x['state'] for x in d.status()['stores']] ==
          ['ok', 'not answering', 'ok'],
          what='status says which store is silent')
    s = timed(SOON, 'status', d.status)
    assert any(d.stores[1] in e and 'has not answered for' in e
               for e in s['errors']), s['errors']
    assert s['last_commit']['sequence'] >= 4

    # An end, a beginning, and a read of everything on a bare machine.
    timed(END, 'umount', d.run, 'umount', d.mnt)
    gone(d)
    timed(SOON, 'mount', d.mount)
    assert_same(want, picture(d.mnt))
    back = drives.adopt(timed(SOON, 'recover', d.recovered))
    timed(SOON, 'mount', back.mount)
    assert_same(want, timed(SOON, 'reading all', picture, back.mnt))
    timed(END, 'umount', back.run, 'umount', back.mnt)
    timed(END, 'umount', d.run, 'umount', d.mnt)
    gone(d)

    # It is back: nothing is missing in the end.
    share.go_on()
    d.mount()
    until(lambda: heads(share.back) == heads(d.stores[0]),
          what='it gets the heads that it has missed')
    d.sync()
    until(lambda: d.status()['errors'] == [], what='the error is over')
    d.run('verify', '--drive', d.name, '--all')
    d.umount()


def test_who_waits_for_a_hung_store_is_told_which_one(shared):
    d, share = shared(1, stores=2, copies=2)
    d.mount()
    write(at(d, 'f'), os.urandom(MIB))
    d.sync()
    share.stop()
    write(at(d, 'g'), os.urandom(MIB))
    done = timed(SOON, 'sync --wait', d.run, 'sync', '--drive', d.name, '--wait',
                 check=False)
    assert done.returncode != 0
    assert d.stores[1] in done.stderr and 'not answered' in done.stderr
    done = timed(SOON, 'verify', d.run, 'verify', '--drive', d.name, '--all',
                 check=False)
    assert done.returncode != 0 and d.stores[1] in done.stdout + done.stderr
    assert d.state(at(d, 'g')) != 'stored'

    # It wakes up: at once, without a new mount.
    share.go_on()
    timed(SOON, 'the rest', d.sync)
    assert names(share.back) == names(d.stores[0])
    d.umount()


def test_sigterm_ends_in_time_and_loses_nothing_acknowledged(shared):
    d, share = shared(0, stores=1)
    d.mount()
    write(at(d, 'f'), os.urandom(MIB))
    d.sync()
    share.stop()
    data = os.urandom(3 * MIB)
    write(at(d, 'g'), data)
    waiting = d.start_sync()
    verifying = d.start('verify', '--drive', d.name, '--all')
    until(lambda: silent(d, 0), what='it hangs')
    pid = d.status()['pid']
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not d.is_mounted(), END, 'the mount is gone')
    gone(d)
    assert time.monotonic() - began < END
    assert waiting.wait(END) != 0
    assert verifying.wait(END) != 0
    d.mount()
    assert read(at(d, 'g')) == data
    share.go_on()
    timed(SOON, 'the rest', d.sync)
    d.lose().recover().mount()
    assert read(at(d, 'g')) == data
    d.umount()


def test_a_read_that_only_a_hung_store_can_serve_ends(shared, drives):
    d, share = shared(0, stores=1)
    d.mount()
    data = os.urandom(3 * MIB)
    write(at(d, 'f'), data)
    d.sync()
    back = drives.adopt(d.umount().recovered())
    back.set(store_timeout='5s', fetch_timeout='10s').mount()
    assert os.listdir(back.mnt) == ['f']
    share.stop()
    assert timed(SOON, 'the read', refused,
                 lambda: read(at(back, 'f'))) == 'EIO'
    share.go_on()
    until(lambda: not silent(back, 0), what='it answers again')

    def readable():  # a failed fetch is remembered for some seconds
        try:
            return read(at(back, 'f')) == data
        except OSError:
            return False
    until(readable, what='what it has is read again')
    back.umount()


def _recover(d):
    """Words and stores on a bare machine: the drive, and the recover."""
    other = Drive(stores=0, name=d.name)
    return other, other.start(*d.brings(other))


def test_recover_waits_for_a_silent_store_only_if_the_others_do_not_do(
        drives, shared):
    d, share = shared(1, stores=2, copies=2)
    d.mount()
    write(at(d, 'f'), os.urandom(3 * MIB))
    want = picture(d.mnt)
    d.sync().umount()
    share.stop()
    b, process = _recover(d)
    drives.adopt(b)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    # A little, as with anybody; who waits as long as for what is needed says so.
    assert 'has not answered for' in said and 'waiting for it' not in said, said
    b.mount()
    assert_same(want, picture(b.mnt))
    b.umount()

    # The other store has lost its pieces: now there is a reason to wait.
    for path in cars.pieces(d.stores[0]):
        os.unlink(path)
    for _ in range(5):  # ten seconds, in which a busy machine may do nothing
        c, process = _recover(d)
        drives.adopt(c)
        line = process.stderr.readline()
        while line and 'waiting for it' not in line:
            line = process.stderr.readline()
        assert line, 'it is said who is waited for'
        share.go_on()
        process.communicate(timeout=PATIENCE)
        if process.returncode == 0:
            break
        share.stop()
    assert process.returncode == 0
    c.mount()
    assert_same(want, picture(c.mnt))


def test_a_snapshot_that_a_silent_store_is_asked_for_leaves_in_order(shared):
    d, share = shared(1, stores=2, copies=2)
    d.mount()
    write(at(d, 'f'), b'first')
    d.sync()
    write(at(d, 'f'), b'second')
    d.sync().umount()
    share.stop()
    assert d.run('mount', '--drive', d.name, '--passfile', d.passfile,
                 '--snapshot', '99', d.mnt, check=False).returncode == 1
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, '--snapshot',
          '1', d.mnt)
    assert read(at(d, 'f')) == b'first'
    d.umount()
