"""kill -9 at each durable write of the ledger, while a drive goes to a network

Each kill comes right before a transaction of the ledger or right after it, so that
every state that onboarding persists is met, and every step between two of them has
been taken and not written down.  Afterwards nothing is lost, and the network's own
books say that nothing was stored or paid for twice.
"""
import os
import threading

import pytest

from drive import until
from netdrive import Killed
from syscalls import write

pytestmark = pytest.mark.devnet
DRIVES = 4  # at a time; what they wait for is the network, not this machine
PATIENT = '10m'  # with a network that is one process of a busy machine

# What an ordinary commit goes through.  (Who opens a ledger drops what is BUILDING.)
STATES = {'piece READY', 'piece HELD', 'placement PLANNED',
          'placement PARKED', 'placement STORED', 'placement VERIFIED',
          'head BUILT', 'head CLAIMED', 'add SIGNED', 'add SENT', 'add LANDED'}


class Sweep:
    """Drives that are killed at one moment after the other, side by side.

    What a moment meets depends on how the threads ran: from the last one it goes on
    with the first until all has been met that is wanted, some times at most."""
    rounds = 5

    def __init__(self, net, wanted=frozenset(), n_wanted=0):
        self.net, self.lock = net, threading.Lock()
        self.wanted, self.n_wanted = wanted, n_wanted
        self.next, self.last, self.met, self.failed = 1, None, [], []

    def take(self):
        with self.lock:
            if self.last is not None and self.next > self.last and \
               self.rounds and not self.enough():
                self.next, self.last = 1, None
                self.rounds -= 1
            moment = self.next
            self.next += 1
            over = self.last is not None and moment > self.last
        return None if over or self.failed else moment

    def enough(self):
        return len(self.met) >= self.n_wanted and \
            self.wanted <= set().union(*self.met)

    def run(self, one_drive, each=(None,) * DRIVES):
        def body(what):
            try:
                with Killed(self.net) as d:
                    one_drive(d, what)
            except BaseException as e:  # reported by the case, not by the thread
                self.failed.append(e)
        threads = [threading.Thread(target=body, args=(e,)) for e in each]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failed:
            raise self.failed[0]


def put(d, name, data):
    path = os.path.join(d.mnt, name)
    write(path, data)
    with open(path, 'rb') as f:
        os.fsync(f.fileno())
    return data


def assert_whole(d, kept):
    for name, data in kept.items():
        with open(os.path.join(d.mnt, name), 'rb') as f:
            assert f.read() == data, name


def assert_stored_once(d, n_sets=2):
    until(d.shipped, what='all copies are there')
    lines = d.assert_paid_once()
    assert len([e for e in lines if e['kind'] == 'create']) == n_sets


def test_a_commit_killed_at_any_state_is_stored_and_paid_once(net):
    sweep = Sweep(net, STATES, 20)

    def one_drive(d, _):
        d.paying().set(store_timeout=PATIENT).mount()
        kept = {}
        put(d, 'first', b'1' * 5000)
        d.sync()
        while (moment := sweep.take()) is not None:
            name = str(moment)
            kept[name] = put(d, name, os.urandom(3000 + moment))
            d.kill_at(moment)
            if d.dies_in(d.start_sync()):
                d.kill_at(0)
                with sweep.lock:
                    sweep.met.append(d.states())
                d.mount().sync()
            else:
                with sweep.lock:
                    sweep.last = min(moment, sweep.last or moment)
            assert_whole(d, kept)
        assert_stored_once(d)

    sweep.run(one_drive)
    assert len(sweep.met) >= 20
    assert STATES <= set().union(*sweep.met)


def test_a_first_commit_killed_again_and_again_makes_two_data_sets(net):
    met = []

    def one_drive(d, step):
        d.paying().set(store_timeout=PATIENT).mount()
        kept = {'a': put(d, 'a', os.urandom(5000)),
                'b': put(d, 'b', os.urandom(1_500_000))}
        moment = step
        while True:
            d.kill_at(moment)
            if not d.dies_in(d.start_sync()):
                break
            d.kill_at(0)
            met.append(d.states())
            d.mount()
            moment += step
        assert_whole(d, kept)
        assert_stored_once(d)

    wanted = {'add SIGNED', 'placement PARKED', 'head BUILT'}
    # What a moment meets depends on how the threads ran.
    for steps in ((3, 5, 7), (2, 4, 6), (8, 9, 10), (11, 12, 13)) * 2:
        Sweep(net).run(one_drive, steps)
        if wanted <= set().union(*met):
            return
    assert wanted <= set().union(*met)


def test_a_replacement_killed_again_and_again_is_made_and_paid_once(net):
    deaths = []

    def one_drive(d, step):
        d.paying().set(proof_watch='1s', store_timeout=PATIENT).mount()
        kept = {'a': put(d, 'a', os.urandom(50_000))}
        d.sync()
        until(d.shipped, what='both have all')
        until(lambda: d.provider_of(1), what='it says who')
        gone = d.provider_of(1)
        mine = [s['dataSetId'] for s in d.sets()
                if s['providerId'] == str(gone)]
        d.umount()
        net.admin(f'provider/{gone}/terminate', {'dataSetId': int(mine[0])})

        def replaced():
            # A kill may make it announce itself to the new one once more.
            newest = (d.status().get('last_commit') or {}).get('sequence', 0)
            return newest >= 2 and d.provider_of(1) not in (0, gone) and \
                d.shipped()
        moment = step
        while True:
            d.kill_at(moment)
            d.mount_or_die()
            if d.ends_with(replaced):
                break
            deaths.append(d.states())
            moment += step
        given = [g['provider'] for s in d.status()['stores']
                 for g in s.get('given_up') or []]
        assert given == [gone]
        assert_stored_once(d, 3)
        assert_whole(d, kept)

    for steps in (3, 5, 7), (2, 4, 6), (3, 4, 5):
        Sweep(net).run(one_drive, steps)
        if len(deaths) > 10:
            return
    assert len(deaths) > 10
