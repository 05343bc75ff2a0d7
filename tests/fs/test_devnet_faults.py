"""A drive on a network where things go wrong: nothing is lost, nothing is paid twice

Providers die, lie, refuse, are slow, end the service; the chain is reorganised; the
budget is used up; the session key is taken away.  What the drive holds is right at
any time, and what it was charged is in its books once.
"""
import os
import signal
import subprocess
import time

import pytest

from devnet import Devnet
from drive import until
from netdrive import NetDrive
from syscalls import write
from timed import Timed
from trees import assert_same, picture

pytestmark = pytest.mark.devnet
EPOCH_MS = 20


@pytest.fixture(scope='module', name='fleet')
def _fleet():
    net = Devnet(epoch_ms=EPOCH_MS, providers=4)
    yield net
    net.close()


@pytest.fixture(name='net')
def _net(fleet):
    yield fleet
    fleet.pace(EPOCH_MS)
    fleet.admin('reset', {})


def more(d, n=3, size=60_000):
    """So many more files; the tree as it should be found."""
    at = len(os.listdir(d.mnt))
    for i in range(at, at + n):
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(size + i))
    return picture(d.mnt)


def begun(d):
    """Mounted, with one commit at two providers."""
    d.paying().set(proof_watch='1s').mount()
    more(d)
    d.sync()
    until(d.shipped, what='both have all')
    until(lambda: all(d.provider_of(i) for i in (0, 1)), what='it says who')
    return d


def bare(d):
    """The machine is lost, and another has nothing but the words."""
    return d.lose().recover().set(onboard_idle='10m', onboard_age='10m',
                                  proof_watch='1s')


def reads(d, want):
    """A failure is remembered for some seconds."""
    try:
        assert_same(want, picture(d.mnt))
        return True
    except OSError:
        return False


def named(d, provider):
    """What status says of it: that it is wrong, or why it was given up."""
    stores = d.status()['stores']
    return ' '.join([str(s['proof']['warning']) for s in stores
                     if s.get('proof', {}).get('provider') == provider] +
                    [g['why'] for s in stores for g in s.get('given_up') or []
                     if g['provider'] == provider])


def n_adds(d):
    return len([e for e in d.books() if e['kind'] == 'add'])


def creates(d):
    return len([e for e in d.books() if e['kind'] == 'create'])


# ---- dead ----

def test_who_is_dead_from_the_start_is_not_chosen(net, d):
    net.admin('provider/1', {'down': True})
    d.paying().set(proof_watch='1s').mount()
    more(d)
    d.sync()
    until(d.shipped, what='both have all')
    until(lambda: 0 not in (d.provider_of(0), d.provider_of(1)), what='who')
    assert 1 not in (d.provider_of(0), d.provider_of(1))
    d.assert_paid_once()


def test_who_vanishes_half_way_gets_the_rest_when_it_is_back(net, d):
    begun(d)
    gone = d.provider_of(1)
    before = net.admin(f'provider/{gone}')['stats']['bytesIn']
    net.admin(f'provider/{gone}', {'bytesPerSecond': 400_000})
    want = more(d, 2, 1_500_000)
    net.pace(0)  # however quick the upload is, it is not over before
    sync = d.start_sync()
    until(lambda: net.admin(f'provider/{gone}')['stats']['bytesIn'] >
          before + 500_000, what='an upload is half way')
    net.admin(f'provider/{gone}', {'down': True})
    until(lambda: d.status()['stores'][1]['state'] != 'ok', what='it is said')
    assert_same(want, picture(d.mnt))
    assert sync.poll() is None
    net.admin(f'provider/{gone}', {'down': False, 'bytesPerSecond': 0})
    net.pace(EPOCH_MS)
    assert sync.wait() == 0
    sync.stderr.close()
    until(d.shipped, what='both have all')
    assert creates(d) == 2
    d.assert_paid_once()


@pytest.mark.parametrize('slot', [0, 1])
def test_one_of_two_is_enough_to_read_everything(net, d, slot):
    begun(d)
    want = more(d)
    d.sync()
    until(d.shipped, what='both have all')
    net.admin(f'provider/{d.provider_of(slot)}', {'down': True})
    bare(d).mount()
    assert_same(want, picture(d.mnt))


# ---- lying ----

def test_who_lies_is_never_believed_and_is_replaced(net, d):
    begun(d)
    want = more(d, 5)
    d.sync()
    until(d.shipped, what='both have all')
    liar = d.provider_of(1)
    bare(d).set(readback='1T')  # at once, whoever reads what from whom
    net.admin(f'provider/{liar}', {'flip': {'offset': 3000}})
    d.mount()
    assert_same(want, picture(d.mnt))
    until(lambda: liar not in (d.provider_of(0), d.provider_of(1)),
          what='another has its place')
    until(d.shipped, what='copies are full again')
    assert 'back wrong' in named(d, liar)
    assert creates(d) == 3
    assert_same(want, picture(d.mnt))


def test_who_lies_to_a_reader_is_named(net, d):
    d.paying().set(proof_watch='1s').mount()
    write(os.path.join(d.mnt, 'large'), os.urandom(9_000_000))
    want = picture(d.mnt)
    d.sync()
    until(d.shipped, what='both have all')
    until(lambda: all(d.provider_of(i) for i in (0, 1)), what='it says who')
    liar, other = d.provider_of(1), d.provider_of(0)
    bare(d).set(proof_watch='30s', readback='1M').mount()
    os.listdir(d.mnt)
    # One byte of nine millions, in a piece that is not read back soon.
    net.admin(f'provider/{liar}', {'flip': {'offset': 4_000_000}})
    net.admin(f'provider/{other}', {'down': True})

    def found_out():
        with pytest.raises(OSError):  # and no wrong byte
            picture(d.mnt)
        return 'back wrong' in named(d, liar)
    until(found_out, what='it is named')
    net.admin(f'provider/{other}', {'down': False})
    until(lambda: reads(d, want), what='there is one who has it right')


# ---- slow, busy, refusing ----

def test_busy_slow_and_refusing_providers_get_everything_once(net, d):
    begun(d)
    for slot in (0, 1):
        p = f'provider/{d.provider_of(slot)}'
        net.admin(p, {'parkMs': 500, 'bytesPerSecond': 300_000,
                      'refuseAdd': 1, 'replaceTx': 1})
        for route in ('POST /pdp/piece.*', 'POST /pdp/data-sets.*'):
            net.admin(p + '/fault', {'route': route, 'status': 429,
                                     'text': 'busy', 'retryAfter': 1})
        net.admin(p + '/fault', {'route': 'POST /pdp/data-sets.*',
                                 'when': 'after', 'cut': True})
    want = more(d)
    d.sync()
    until(d.shipped, what='both have all')
    assert creates(d) == 2
    d.assert_paid_once()
    net.admin('reset', {})
    bare(d).mount()
    assert_same(want, picture(d.mnt))


def test_who_ends_the_service_is_replaced(net, d):
    begun(d)
    gone = d.provider_of(0)
    mine = [s['dataSetId'] for s in d.sets() if s['providerId'] == str(gone)]
    net.admin(f'provider/{gone}/terminate', {'dataSetId': int(mine[0])})
    until(lambda: d.provider_of(0) not in (0, gone), what='another has its place')
    want = more(d)
    d.sync()
    until(d.shipped, what='copies are full again')
    assert creates(d) == 3
    d.assert_paid_once()
    net.admin(f'provider/{gone}', {'down': True})
    bare(d).mount()
    assert_same(want, picture(d.mnt))


# ---- the chain ----

def test_a_commit_that_the_chain_undoes_is_made_again_and_paid_once(net, d):
    begun(d)
    for lose in (False, True):
        want = more(d, 1)
        before = n_adds(d)
        sync = d.start_sync()
        until(lambda: n_adds(d) > before, what='an add is on chain')
        net.admin('reorg', {'epochs': 4, 'lose': lose})
        assert sync.wait() == 0
        sync.stderr.close()
        until(d.shipped, what='both have all')
        until(lambda: n_adds(d) == before + 2, what='it is on chain again')
    assert creates(d) == 2
    d.assert_paid_once()
    bare(d).mount()
    assert_same(want, picture(d.mnt))


def test_who_fills_the_cache_waits_as_long_as_the_chain_answers(net, d):
    d.patience *= 4  # 160 MB, which two providers in one process hash
    d.paying().set(proof_watch='1s', cache_size='256M',
                   full_timeout='20s').mount()
    more(d)
    d.sync()
    until(d.shipped, what='both have all')
    net.pace(0)
    with subprocess.Popen(['dd', 'if=/dev/urandom', 'bs=1M', 'count=160',
                           'of=' + os.path.join(d.mnt, 'large')],
                          stderr=subprocess.DEVNULL) as dd:
        with pytest.raises(subprocess.TimeoutExpired):  # 137 MiB fit
            dd.wait(45)
        net.pace(EPOCH_MS)
        assert dd.wait() == 0
    d.sync()
    assert os.path.getsize(os.path.join(d.mnt, 'large')) == 160 << 20


# ---- money ----

def test_a_budget_for_one_copy_buys_one_until_it_is_raised(net, d):
    d.paying(budget='0.04').set(proof_watch='1s').mount()
    want = more(d)
    sync = d.start_sync()
    until(lambda: creates(d) == 1, what='one has a copy')
    until(lambda: any('budget' in e for e in d.status()['errors']),
          what='it says what stands in the way')
    assert creates(d) == 1 and sync.poll() is None
    d.wallet('fund', '0', '--budget', '1', '--yes')
    sync.terminate()  # the config holds from the next mount on
    sync.wait()
    sync.stderr.close()
    d.remount().sync()
    until(d.shipped, what='both have all')
    assert creates(d) == 2
    d.assert_paid_once()
    bare(d).mount()
    assert_same(want, picture(d.mnt))


def test_a_session_key_that_ends_stops_adding_until_it_is_renewed(net, d):
    begun(d)
    d.wallet('session', 'revoke', '--yes')
    want = more(d)
    before = n_adds(d)
    sync = d.start_sync()
    until(lambda: any('session renew' in e for e in d.status()['errors']),
          what='it says what to do')
    assert n_adds(d) == before
    assert_same(want, picture(d.mnt))
    d.wallet('session', 'renew', '--yes')
    assert sync.wait() == 0  # it is mounted all the time
    sync.stderr.close()
    until(d.shipped, what='both have all')
    d.assert_paid_once()


# ---- going back ----

class Clocked(Timed, NetDrive):
    pass


def said_to_be_behind(d):
    return [e for e in d.status()['errors'] if 'and has shown' in e]


def paid_for(d):
    return [e for e in d.books() if e['kind'] in ('add', 'create')]


def test_an_endpoint_that_went_back_is_named_until_it_catches_up(net):
    """The register of a chain cannot go back: who shows less does not know, or lies."""
    with Clocked(net=net) as d:
        begun(d)
        want = more(d)
        d.sync()
        until(d.shipped, what='both have all')
        last = d.status()['last_commit']['sequence']
        before = paid_for(d)
        d.umount()
        for n in (0, 1):  # no number was ever used
            net.admin(f'rpc/{n}',
                      {'callResult': {'0x35b0e3f4': '0x' + '00' * 32}})
        d.mount()
        until(lambda: said_to_be_behind(d), what='it is said')
        for said in said_to_be_behind(d):
            assert 'shows commit 0 as the newest' in said
            assert "the chain's endpoint is behind, or does not say" in said
        s = d.status()
        assert not s['fenced'] and s['last_commit']['sequence'] == last
        assert paid_for(d) == before
        assert_same(want, picture(d.mnt))
        net.admin('reset', {})
        d.pass_time(601)  # to the next look
        until(lambda: not said_to_be_behind(d), what='it has caught up')
        # Nothing was sent or paid again on its word.
        until(d.shipped, what='both have all')
        assert paid_for(d) == before
        more(d)
        d.sync()
        assert d.status()['last_commit']['sequence'] == last + 1


# ---- stopped ----

def counted(net, what):
    return sum(net.admin(f'provider/{n}')['stats'][what] for n in (1, 2, 3, 4))


def test_who_was_stopped_has_not_waited_for_a_provider_that_fetches(net):
    """Else what one provider fetches from the other is uploaded to both."""
    with Clocked(net=net) as d:
        begun(d)
        sent, fetched = counted(net, 'uploads'), counted(net, 'pulled')
        for n in (1, 2, 3, 4):
            net.admin(f'provider/{n}/fault', {'route': 'GET /piece/.*',
                                              'times': 100, 'delayMs': 12_000})
        more(d)
        sync = d.start_sync()
        until(lambda: counted(net, 'uploads') > sent, what='one has it')
        for _ in range(3):
            time.sleep(2)  # the other one is asked to fetch it
            for pid in d.pids():
                os.kill(pid, signal.SIGSTOP)
            d.set_clock(monotonic=d.monotonic + 3600)
            for pid in d.pids():
                os.kill(pid, signal.SIGCONT)
        time.sleep(2)  # it looks at its clock
        net.admin('reset', {})
        assert sync.wait() == 0
        sync.stderr.close()
        until(d.shipped, what='both have all')
        # What was fetched is among the uploads.
        assert counted(net, 'uploads') - sent == \
            2 * (counted(net, 'pulled') - fetched)
        d.assert_paid_once()
