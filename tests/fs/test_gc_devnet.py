"""What nothing needs any more is not paid for any longer."""
import json
import os
import signal
import subprocess
import time

import pytest

from devnet import Devnet
from drive import PATIENCE, binary, until
from netdrive import NetDrive
from syscalls import read, write
from timed import Timed

pytestmark = pytest.mark.devnet
MIB = 1 << 20
PERIOD = 120  # epochs from proof to proof
EPOCH_MS = 20
STALLED = 12  # kills while the chain stands still


@pytest.fixture(name='net')
def _net():
    net = Devnet(epoch_ms=EPOCH_MS)
    yield net
    net.close()


def gc(d, *args, **kw):
    return d.run('gc', '--drive', d.name, '--quiet', '--passfile', d.passfile,
                 *args, **kw).stdout


def fill(d):
    """A drive of four commits that has deleted most of what it had."""
    d.paying().set(store_timeout='10m').mount()
    write(os.path.join(d.mnt, 'kept'), b'k' * 50_000)
    d.sync()
    write(os.path.join(d.mnt, 'gone'), os.urandom(4 * MIB))
    d.sync()
    os.unlink(os.path.join(d.mnt, 'gone'))
    d.sync()
    until(d.shipped, what='both have all')
    return d


def removals(d):
    return [e for e in d.books() if e['kind'] == 'remove']


def left(d):
    return [s['left']['pieces']
            for s in json.loads(gc(d, '--json'))['stores']]


def test_dead_pieces_are_removed_once_and_the_rate_falls(net, d):
    fill(d)
    said = gc(d, '--dry-run', '--forget-before', '99')
    assert 'Needed by nothing' in said and 'costs 0.004 USDFC once' in said
    assert 'not pay for itself within a year' in said
    assert 'rpc=' not in said and '  filecoin://devnet#1: 1 piece, ' in said
    said = gc(d, '--yes')
    assert not removals(d) and 'All of it' not in said

    before = {s['dataSetId']: int(s['leaves']) for s in d.sets()}
    said = gc(d, '--yes', '--all', '--forget-before', '99')
    assert said.count('go with its next proof') == 2
    until(lambda: left(d) == [0, 0], what='the drive has seen it')
    net.advance(3 * PERIOD)
    for s in d.sets():
        assert int(s['leaves']) < before[s['dataSetId']] - 4 * MIB // 32
    assert len(removals(d)) == 2
    d.assert_paid_once()
    assert 'removing' in str(d.history())

    write(os.path.join(d.mnt, 'new'), b'n' * 50_000)
    d.sync()
    assert gc(d, '--yes').count('go with') == 0
    assert len(removals(d)) == 2
    d.umount()
    assert d.mount().status()['stores'][0]['state'] is not None
    assert read(os.path.join(d.mnt, 'kept')) == b'k' * 50_000
    d.umount()
    d.run('destroy', '--drive', d.name, '--passfile', d.passfile, '--yes')
    assert all(s['pdpEndEpoch'] != '0' for s in d.sets())


def paid(d):
    return sum(int(e['amount']) for e in d.books() if e['kind'] == 'payment')


def agreed(d):
    until(lambda: d.spent() == paid(d), what='the books of both agree')


def test_a_fee_that_its_command_does_not_see_is_in_the_books(net, d):
    fill(d)
    for n in (1, 2, 3):
        net.admin(f'provider/{n}/fault',
                  {'route': 'DELETE /pdp/data-sets', 'times': 99,
                   'when': 'after', 'cut': True})
    said = gc(d, '--yes', '--all', '--forget-before', '99', check=False)
    assert 'go with its next proof' not in said
    until(lambda: len(removals(d)) == 2, what='they are removed all the same')
    d.umount().mount()  # it looks what is gone
    until(lambda: left(d) == [0, 0], what='the drive has seen it')
    net.advance(3 * PERIOD)  # it is paid with a proof
    agreed(d)
    d.assert_paid_once()
    assert str(d.history()).count('removing') == 2
    d.umount()
    assert str(d.history()).count('removing') == 2


def test_what_a_provider_refuses_is_not_in_the_books(net, d):
    fill(d)
    for n in (1, 2, 3):
        net.admin(f'provider/{n}/fault',
                  {'route': 'DELETE /pdp/data-sets', 'times': 1,
                   'status': 500, 'text': 'not today'})
    gc(d, '--yes', '--all', '--forget-before', '99', check=False)
    agreed(d)
    assert not removals(d)
    assert gc(d, '--yes', '--all').count('go with its next proof') == 2
    until(lambda: left(d) == [0, 0], what='the drive has seen it')
    net.advance(3 * PERIOD)  # it is paid with a proof
    agreed(d)
    d.assert_paid_once()


def test_killed_at_any_time_nothing_is_removed_or_paid_twice(net, d):
    fill(d)
    args = ['gc', '--drive', d.name, '--quiet', '--passfile', d.passfile,
            '--yes', '--all', '--forget-before', '99']
    kills, stalled = 0, True
    net.pace(0)  # what it pays for cannot land, so it does not end by itself
    while True:
        run = d.start(*args)
        try:
            said = run.communicate(timeout=0.02 * 1.4 ** kills)
            break
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            kills += 1
        if kills % 3 == 2:  # so is the daemon
            d.kill9().mount()
        if stalled and kills == STALLED:
            net.pace(EPOCH_MS)
            kills, stalled = 0, False
    assert run.returncode == 0 and not stalled, said
    d.run(*args)
    until(lambda: left(d) == [0, 0], what='the drive has seen it')
    removed = [(e['dataSetId'], p) for e in removals(d) for p in e['pieceIds']]
    assert removed and len(removed) == len(set(removed))
    net.advance(3 * PERIOD)
    agreed(d)  # what a killed command had paid is there as well
    assert read(os.path.join(d.mnt, 'kept')) == b'k' * 50_000
    # The newest commit is found though the pieces of older heads are gone.
    write(os.path.join(d.mnt, 'last'), b'last')
    d.sync().lose().recover().mount()
    assert read(os.path.join(d.mnt, 'kept')) == b'k' * 50_000
    assert read(os.path.join(d.mnt, 'last')) == b'last'


def test_a_data_set_that_was_given_up_is_ended(net, d):
    d.paying().set(proof_watch='1s', store_timeout='10m').mount()
    write(os.path.join(d.mnt, 'f'), os.urandom(100_000))
    d.sync()
    until(d.shipped, what='both have all')
    net.advance(2 * PERIOD)
    until(lambda: d.provider_of(1), what='it says who')
    bad = d.provider_of(1)
    net.admin(f'provider/{bad}', {'missProofs': True})
    net.advance(6 * PERIOD)
    until(lambda: d.status()['stores'][1].get('proof', {}).get('provider')
          not in (None, 0, bad), what='it is replaced')
    until(d.shipped, what='copies are full again')
    d.sync()
    old = [s['dataSetId'] for s in d.sets() if s['providerId'] == str(bad)]
    assert d.status()['stores'][1]['given_up']
    said = gc(d, '--dry-run')
    assert 'nothing to remove' not in said
    said = gc(d, '--yes')
    assert f'data set {old[0]} has ended' in said
    ended = [s['dataSetId'] for s in d.sets() if s['pdpEndEpoch'] != '0']
    assert ended == old
    until(lambda: not d.status()['stores'][1].get('given_up'),
          what='it is not named any more')
    assert 'is not used' not in gc(d, '--yes')
    d.lose().recover().mount()
    assert os.path.getsize(os.path.join(d.mnt, 'f')) == 100_000


class TimedNet(Timed, NetDrive):
    """Both."""


def test_a_destroy_that_was_stopped_has_not_waited_for_the_chain(net):
    d = TimedNet(net=net, n_copies=1)
    try:
        d.paying().set(store_timeout='10m').mount()
        write(os.path.join(d.mnt, 'f'), b'f' * 50_000)
        d.sync().umount()
        for n in (1, 2, 3):
            net.admin(f'provider/{n}', {'stall': True})
        run = subprocess.Popen(
            [binary(), 'destroy', '--drive', d.name, '--passfile', d.passfile,
             '--yes'], env=d.env(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert any('Done:' in line for line in run.stdout)
        for _ in range(3):  # longer than it would wait
            time.sleep(0.5)  # it asks the provider, and then looks
            os.kill(run.pid, signal.SIGSTOP)
            d.set_clock(monotonic=d.monotonic + 3600)
            os.kill(run.pid, signal.SIGCONT)
        time.sleep(0.5)  # it looks at its clock
        for n in (1, 2, 3):
            net.admin(f'provider/{n}', {'stall': False})
        said = run.communicate(timeout=PATIENCE)[0]
        assert run.returncode == 0 and 'has ended' in said, said
        assert 'own transaction' not in said
    finally:
        d.close()


def test_a_data_set_that_is_gone_has_ended(net):
    """Its provider has deleted it before anybody looked, a sleeping machine, say."""
    def calls_fail(fail):
        for n in (0, 1):
            net.admin(f'rpc/{n}', {'errors': [{'method': 'eth_call',
                                               'times': 10 ** 6}] if fail else []})

    def stall(stalls):
        for n in (1, 2, 3):
            net.admin(f'provider/{n}', {'stall': stalls})

    with NetDrive(net, n_copies=1) as d:
        d.paying().mount()
        write(os.path.join(d.mnt, 'f'), b'f' * 50_000)
        d.sync().umount()
        stall(True)
        with subprocess.Popen(
                [binary(), 'destroy', '--drive', d.name, '--passfile',
                 d.passfile, '--yes'], env=d.env(), stdin=subprocess.DEVNULL,
                text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as run:
            assert any('Done:' in line for line in run.stdout)
            calls_fail(True)
            stall(False)
            until(lambda: not d.sets(), what='its provider has deleted it')
            calls_fail(False)
            said = run.communicate(timeout=PATIENCE)[0]
            assert run.returncode == 0 and 'has ended' in said, said
            assert 'own transaction' not in said
