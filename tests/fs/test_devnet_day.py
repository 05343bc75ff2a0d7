"""A day in fast forward: what happens on a network while nobody looks

Time is the chain's: epochs are let pass, and the daemon of a mounted drive sees
deadlines go by, proofs missing, and its deposit melt.
"""
import contextlib
import os

import pytest

from devnet import Devnet
from drive import until
from netdrive import amount, units
from syscalls import write

pytestmark = pytest.mark.devnet
DAY = 2880  # epochs
PERIOD = 120
EPOCH_MS = 20


@pytest.fixture(name='net')
def _net(request):
    net = Devnet(epoch_ms=EPOCH_MS, **getattr(request, 'param', {}))
    yield net
    net.close()


def fill(d, n=5):
    kept = {f'{i}': os.urandom(40_000 + i) for i in range(n)}
    for name, data in kept.items():
        write(os.path.join(d.mnt, name), data)
    return kept


def proven(d):
    return all(s.get('proof', {}).get('state') == 'proven'
               for s in d.status()['stores'])


def paid(d):
    """Provider -> what came of its rail so far, in units."""
    rates = d.rates()
    return {int(e['providerId']): rates.get(e['railId'], 0)
            for e in d.books() if e['kind'] == 'create'}


@contextlib.contextmanager
def time_goes_on(net):
    """For what has to land; else days would pass while this machine is busy."""
    net.pace(EPOCH_MS)
    yield
    net.pace(0)


def test_who_misses_proofs_is_replaced_and_the_books_add_up(net, d):
    d.paying().set(proof_watch='1s', store_timeout='10m').mount()
    fill(d)
    d.sync()
    until(d.shipped, what='both have all')
    net.advance(2 * PERIOD)
    until(lambda: proven(d), what='both have proven')
    honest, liar = d.provider_of(0), d.provider_of(1)
    net.pace(0)
    net.advance(PERIOD, settle=True)
    before = paid(d)
    net.admin(f'provider/{liar}', {'missProofs': True})
    net.advance(3)  # what it has sent has landed
    (last,) = [s for s in d.sets() if s['providerId'] == str(liar)]
    missed = int(last['provingDeadline']) + PERIOD * last['provenThisPeriod']
    net.advance(missed - int(net.ledger()['epoch']) + PERIOD // 2)
    until(lambda: 'is late with the proof' in str(
        d.status()['stores'][1]['proof']['warning']), what='it is said')
    assert d.provider_of(1) == liar  # one proof is borne
    net.pace(EPOCH_MS)

    net.advance(DAY // 4)
    until(lambda: d.provider_of(1) not in (0, liar), what='another has its place')
    until(d.shipped, what='copies are full again')
    s = d.status()
    assert s['stores'][0]['state'] == s['stores'][1]['state'] == 'ok'
    given = s['stores'][1]['given_up']
    assert [g['provider'] for g in given] == [liar]
    assert 'has not proven' in given[0]['why']
    assert {s['proof']['provider'] for s in s['stores']} == {1, 2, 3} - {liar}

    # The rest of the day, and everybody takes what is due.
    net.advance(DAY // 2)
    until(lambda: proven(d), what='the new one has proven')
    net.advance(PERIOD, settle=True)
    after = paid(d)
    assert len(after) == 3 and all(after.values())
    assert d.provider_of(0) == honest
    # What was not proven was not paid.
    assert (after[liar] - before[liar]) * 3 < after[honest] - before[honest]
    assert len([e for e in d.books() if e['kind'] == 'create']) == 3
    d.assert_adds_up()

    # Nobody but its owner ends what is still paid for: all three of them.
    d.umount()
    d.run('destroy', '--drive', d.name, '--passfile', d.passfile, '--yes')
    ended = {e['dataSetId'] for e in net.ledger()['entries']
             if e['kind'] == 'terminate'}
    assert len(ended) == 3
    assert net.ledger()['balanced']


@pytest.mark.parametrize('net', [{'period': DAY, 'window': 60}], indirect=True)
def test_a_deposit_that_melts_is_said_in_time_and_can_be_filled_up(net, d):
    d.paying(deposit='0.36').set(store_timeout='10m').mount_logged()
    kept = fill(d)
    d.sync()
    until(d.shipped, what='both have all')
    net.pace(0)
    assert d.shown()['runway_days'] >= 30
    month = units(d.shown()['month'])
    said = []

    def warned():
        return [w for w in d.status()['warnings'] if 'the deposit lasts' in w]

    assert not warned()
    for level in (30, 7, 3):
        if level == 7:  # three weeks of it are taken out
            with time_goes_on(net):
                d.wallet('withdraw', amount(month * 21 // 30), '--yes')
        net.advance(max(1, d.shown()['runway_days'] - level + 1) * DAY)
        until(lambda: d.status()['wallet']['runway_days'] < level,
              what='the daemon sees how long it lasts')
        said.append(d.status()['wallet']['runway_days'])
        assert warned() and 'wallet fund' in warned()[0]
        until(lambda: d.logged().count('the deposit that pays') == len(said),
              what='the log says so, once')
    assert 29 >= said[0] > said[1] > said[2] >= 0

    # Nothing is left: what is stored is not added to, and everything works here.
    net.advance(6 * DAY)
    until(lambda: d.status()['wallet']['runway_days'] == 0, what='it is empty')
    write(os.path.join(d.mnt, 'more'), b'm' * 50_000)
    kept['more'] = b'm' * 50_000
    n_adds = len([e for e in d.books() if e['kind'] == 'add'])
    sync = d.start_sync()
    until(lambda: any('USDFC' in e for e in d.status()['errors']),
          what='it says what is missing')
    assert len([e for e in d.books() if e['kind'] == 'add']) == n_adds
    net.pace(EPOCH_MS)
    d.give(usdfc='5')
    d.wallet('fund', '2', '--yes')
    assert sync.wait() == 0
    sync.stderr.close()
    until(d.shipped, what='it goes on')
    until(lambda: not warned(), what='there is nothing to warn of')
    for name, data in kept.items():
        with open(os.path.join(d.mnt, name), 'rb') as f:
            assert f.read() == data
    d.assert_paid_once()
    assert units(d.shown()['deposit']) == d.deposit()
    d.umount()
