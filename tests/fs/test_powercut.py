"""Power cuts of the whole machine, found out by a file system that is not ours.

The drive directory is on a disk whose content is copied at random moments while
people's programs work and pieces leave (powercut.py).  Each copy is what a
machine would start from: mounted, recovered, and judged by what the programs
had been promised outside of it (crashwriter.py, cutload.py)."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import crashwriter
import cutload
from conftest import OPTIONS
from drive import PATIENCE, Drive, until
from powercut import KINDS, Cut, Tray, cannot
from syscalls import read, write
from test_crash import WRITER, WRITERS, assert_one_instant, start_writers, \
    wait_for_steps
from trees import assert_same, picture

# Rounds of the long form, for each kind of file system, and cuts of a round.
ROUNDS = int(os.environ.get('FILDRIVE_TEST_ROUNDS', '8'))
CUTS = 10
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ('git', 'wal', 'delete', 'untar')


class OnDisk(Drive):
    """A drive whose directory, and nothing else, is on a disk of its own."""
    disk = None

    def close(self):
        if self.pids():
            self.kill9()
        self.detach()
        if self.disk:
            self.disk.umount()
            self.disk = None
        super().close()


def on_disk(drives, tray, kind):
    d = drives.adopt(OnDisk(stores=0, options=OPTIONS,
                            cache_size=256 << 20))
    d.disk = tray.disk('live', d.home, kind)
    d.stores = [tray.at('store')]
    os.mkdir(d.stores[0], 0o700)
    return d.init().set(reserve_free='8M', onboard_idle='200ms',
                        onboard_age='1s')


def at_the_cut(drives, live, cut):
    """The machine that starts again from what the cut left."""
    d = drives.adopt(OnDisk(stores=0, name=live.name, options=OPTIONS))
    d.stores = live.stores
    shutil.copy(live.words, d.words)
    shutil.copy(live.passfile, d.passfile)
    d.disk = cut.mount(d.home)
    return d


class StoreAndDisk:
    """A cut of the machine: of its disk, and the store as it was by then.

    The store is not on that machine, and the daemon's last word to it may have
    arrived; but none that it says later, so the daemon stands still meanwhile."""

    def __init__(self, tray, d, name):
        pids = d.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.cut = d.disk.cut(name)
            self.store = tray.copy(d.stores[0], name + '.store')
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def drop(self):
        os.unlink(self.cut.path)
        shutil.rmtree(self.store)


def start_program(kind, folder, log):
    return subprocess.Popen(
        [sys.executable, os.path.join(HERE, 'cutload.py'), kind, folder, log],
        stderr=subprocess.PIPE, text=True, start_new_session=True)


def end(process):
    """With what it has started, if it leads a group."""
    if os.getpgid(process.pid) == process.pid:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


class Round:
    """Programs at work on a drive, and where they say what they were promised."""

    def __init__(self, d, logs, name):
        self.d, self.logs, self.name = d, logs, name
        self.folders = {kind: os.path.join(d.mnt, f'{name}.{kind}')
                        for kind in PROGRAMS}
        self.folders['reader'] = os.path.join(d.mnt, 'ballast')
        self.running = []

    def log(self, kind):
        return os.path.join(self.logs, f'{self.name}.{kind}')

    def __enter__(self):
        for kind in PROGRAMS:
            os.mkdir(self.folders[kind])
        self.running = start_writers(self.d, self.logs, self.name)
        for kind, folder in self.folders.items():
            self.running.append(start_program(kind, folder, self.log(kind)))
        wait_for_steps(self.logs, self.name)
        return self

    def __exit__(self, *_):
        """All of them have gone on until now, or say why not."""
        died = [p for p in self.running if p.poll() is not None]
        for p in self.running:
            end(p)
        said = [p.communicate(timeout=PATIENCE)[1] for p in self.running]
        assert not died, said

    def judge(self, found, cut):
        """What is found is what was promised by the cut."""
        steps = assert_one_instant(found, self.logs, self.name, cut)
        for kind, folder in self.folders.items():
            cutload.CHECKS[kind](
                os.path.join(found.mnt, os.path.relpath(folder, self.d.mnt)),
                self.log(kind), cut)
        return steps

    def remove(self):
        for kind in PROGRAMS:
            shutil.rmtree(self.folders[kind])
        for w in range(WRITERS):
            shutil.rmtree(os.path.join(self.d.mnt, f'{self.name}.{w}'))


def assert_the_state_is_true(drives, found):
    """What the ledger calls published is at the store, all of it, and what the
    drive calls stored has the same bytes there."""
    last = found.status()['last_commit']
    if not last:
        return
    there = drives.adopt(found.recovered()).mount('ro')
    newest = json.loads(there.run('snapshots', '--drive', there.name,
                                  '--json').stdout)
    assert newest[-1]['sequence'] >= last['sequence'], (newest, last)
    for where, _, names in os.walk(found.mnt):
        for name in names:
            path = os.path.join(where, name)
            rel = os.path.relpath(path, found.mnt)
            if rel.startswith('ballast/') or found.state(path) != 'stored':
                continue
            assert read(os.path.join(there.mnt, rel)) == read(path), rel
    there.umount().close()


def pictures(d):
    """Of all but the old files, of which each cut looks at some."""
    return {os.path.join(os.fsencode(name), rel):
            {k: v for k, v in row.items() if k != 'leaves'}  # holes may differ
            for name in os.listdir(d.mnt) if name != 'ballast'
            for rel, row in picture(os.path.join(d.mnt, name),
                                    everything=True).items()}


def assert_sound(d):
    s = d.answered()
    # The keys are those of a test, so the machine may have plain swap.
    assert not (s['errors'] or [w for w in s['warnings'] if 'swap' not in w] or
                s['fenced'] or s['requests']['timed_out']), s


def judge(drives, tray, live, at, loads, thorough):
    """One machine that starts again; returns how many steps were judged."""
    os.rename(live.stores[0], live.stores[0] + '.live')
    os.rename(at.store, live.stores[0])
    try:
        d = at_the_cut(drives, live, at.cut)
        d.set(onboard_idle='1h', onboard_age='1h').mount()
        try:
            steps = loads.judge(d, at.cut)
        finally:  # says why a read failed
            assert_sound(d)
        if thorough:
            assert_the_state_is_true(drives, d)
        d.sync().run('verify', '--drive', d.name, '--all')
        assert_sound(d)
        want = pictures(d) if thorough else None
        d.umount()
        assert d.run('fsck', '--drive', d.name, '--passfile',
                     d.passfile).returncode == 0
        if thorough:  # it went on, and all of it left
            there = drives.adopt(d.recovered()).mount()
            assert_same(want, pictures(there))
            there.umount().close()
        d.close()
    finally:
        os.rename(live.stores[0], at.store)
        os.rename(live.stores[0] + '.live', live.stores[0])
    return steps


@pytest.mark.root
@pytest.mark.long
@pytest.mark.parametrize('kind', KINDS)
def test_whenever_the_power_goes_all_that_was_promised_is_there(
        drives, native, kind):
    if cannot():
        pytest.skip(f'this machine has {cannot()}')
    seed = random.randrange(1 << 32)
    print('seed', seed)
    rand = random.Random(seed)
    with Tray(native) as tray:
        try:
            live = on_disk(drives, tray, kind).mount()
            os.mkdir(os.path.join(live.mnt, 'ballast'))
            cutload.make_ballast(os.path.join(live.mnt, 'ballast'))
            live.sync()
            for turn in range(ROUNDS):
                one_round(drives, tray, live, native, rand, turn)
            live.umount()
        finally:
            for d in drives.made():
                d.close()


def one_round(drives, tray, live, logs, rand, turn):
    cuts = []
    with Round(live, logs, f'{turn}') as loads:
        for n in range(CUTS):
            time.sleep(rand.expovariate(2))  # the time of the cut
            cuts.append(StoreAndDisk(tray, live, f'cut{n}'))
    live.sync().umount()
    steps = 0
    for n, at in enumerate(cuts):
        steps += judge(drives, tray, live, at, loads, n % 5 == 4)
        at.drop()
    print(f'round {turn}: {len(cuts)} cuts, {steps} steps', flush=True)
    live.mount()
    loads.remove()


# ---- the judges are judged ----

@pytest.mark.parametrize('kind', [*PROGRAMS, 'writer'])
def test_a_broken_promise_is_found_out(native, kind):
    """A program stands still, its folder is copied, it goes on.  The copy is
    right for a cut at that moment, and for no later one."""
    folder, log = (os.path.join(native, n) for n in ('folder', 'log'))
    os.mkdir(folder)
    if kind == 'writer':
        p = subprocess.Popen([sys.executable, WRITER, folder, log, 'seed'],
                             stderr=subprocess.PIPE, start_new_session=True)
    else:
        p = start_program(kind, folder, log)

    def promised():
        if kind == 'writer':
            return os.path.getsize(log) if os.path.exists(log) else 0
        return cutload.turns(log, now())[0]

    def further():
        more = promised() + (5000 if kind == 'writer' else 2)
        until(lambda: promised() > more, what='it goes on')
    try:
        further()
        stand_still(p.pid)
        then = now()
        shutil.copytree(folder, folder + '.cut', symlinks=True)
        os.killpg(p.pid, signal.SIGCONT)
        further()
    finally:
        end(p)
        p.communicate(timeout=PATIENCE)
    late = now()
    shutil.copytree(folder + '.cut', folder + '.late', symlinks=True)

    def judge_at(where, cut):
        if kind == 'writer':
            may = crashwriter.states(log, cut)[0]
            assert crashwriter.picture(where) in [s[0] for s in may]
        else:
            cutload.CHECKS[kind](where, log, cut)
    judge_at(folder + '.cut', then)
    with pytest.raises(AssertionError):
        judge_at(folder + '.late', late)


def states(group):
    """Of its processes."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/stat', encoding='ascii',
                      errors='replace') as f:
                state, _, of = f.read().rpartition(')')[2].split()[:3]
        except OSError:  # it has ended meanwhile
            continue
        if int(of) == group:
            yield state


def stand_still(group):
    """Each of its processes stops.  One that waits for its child to begin a
    program cannot, if the child was stopped before; then they go on a bit."""
    def stopped():
        os.killpg(group, signal.SIGSTOP)
        for _ in range(100):
            if set(states(group)) <= set('TZX'):
                return True
            time.sleep(0.01)  # a signal takes a moment to arrive
        os.killpg(group, signal.SIGCONT)
        return False
    until(stopped, what='it stands still')


def now():
    return Cut('', '', time.monotonic_ns(), time.monotonic_ns())
