"""test_network.py - a mounted drive, its network, and what goes wrong between them

The devnet's counters and books are the judge: what left this machine, who fetched
it, and what was paid.
"""
import json
import os
import re
import time

import pytest

from devnet import Devnet
from drive import PATIENCE, SANITIZED, until
from evil import KINDS, Evil
from netdrive import NetDrive

pytestmark = pytest.mark.devnet
MIB = 1 << 20
# MiB that an answer may cost; with a sanitizer what was freed stays for a while.
ROOM = 64 + 256 * SANITIZED
STOOD = 5  # s; who is silent for 10 is passed over for a while


class Drive(NetDrive):
    """With folders as stores, or none."""

    def __init__(self, net, stores=0, **kw):
        super().__init__(net, **kw)
        self.stores = [os.path.join(self.dir, f'store{i}')
                       for i in range(stores)]
        for folder in self.stores:
            os.mkdir(folder, 0o700)
        self.urls = [net.url(self.n_rpcs, self.n_copies)]

    def store_args(self):
        urls = ['dir://' + s for s in self.stores] or self.urls
        return [a for url in urls for a in ('--store', url)]

    def init(self):
        """With time for a network that is one process of a busy machine."""
        return super().init().set(store_timeout='10m')

    def fund(self):
        """It may store, and does so when it is told to."""
        self.wallet()  # a drive of folders has had none
        self.give()
        self.wallet('fund', '5', '--budget', '1', '--yes')
        return self.set(onboard_idle='10m', onboard_age='10m')

    def write(self, name, n):
        with open(os.path.join(self.mnt, name), 'wb') as f:
            f.write(os.urandom(n))

    def shipped(self):
        """All copies are where they should be, and nothing is on its way."""
        return super().shipped() and not self.status()['uploading']['pieces']

    def grown(self):
        """MiB that the daemon had at most, since it was started."""
        with open(f'/proc/{self.pids()[0]}/status', encoding='ascii') as f:
            return int(re.search(r'VmHWM:\s+(\d+)', f.read())[1]) >> 10


@pytest.fixture(scope='module', name='network')
def _network():
    net = Devnet()
    yield net
    net.close()


@pytest.fixture(name='net')
def _net(network):
    yield network
    network.admin('reset', {})


@pytest.fixture(name='drives')
def _drives(net):
    made = []

    def make(**kw):
        made.append(Drive(net, **kw))
        return made[-1]
    yield make
    for drive in made:
        drive.close()


def stats(net):
    return [net.admin(f'provider/{n}')['stats'] for n in (1, 2, 3)]


def grown(net, before, what):
    return sum(now[what] - then[what] for now, then in zip(stats(net), before))


def leaves_once(d, name):
    """4 MiB.  False: it did not, but somebody stood still for long meanwhile."""
    before, began = stats(d.net), time.monotonic()
    d.write(name, 4 * MIB)
    d.sync()
    until(d.shipped, what='both copies')
    pulled = grown(d.net, before, 'bytesPulled')
    sent = grown(d.net, before, 'bytesIn') - pulled
    if pulled >= 4 * MIB and 4 * MIB <= sent < 4 * MIB + MIB // 3:
        return True
    assert time.monotonic() - began > STOOD, (pulled, sent)
    return False


def test_for_two_copies_bytes_leave_this_machine_once(net, drives):
    d = drives().paying().mount()
    for n in range(3):
        assert any(leaves_once(d, f'file{n}.{k}') for k in range(20))
    d.umount()


def has_paid(d, before, began):
    """For a commit with two copies.  If somebody stood still for long meanwhile the
    head was claimed by the other one, perhaps, which had added it already."""
    n = len(adds(d.net, d.address())) - before
    return n == 2 or n == 3 and time.monotonic() - began > STOOD


def content(d):
    got = {}
    for name in sorted(os.listdir(d.mnt)):
        with open(os.path.join(d.mnt, name), 'rb') as f:
            got[name] = f.read()
    return got


def adds(net, address):
    return [e for e in net.ledger()['entries']
            if e['kind'] == 'add' and e.get('payer') == address]


def test_a_network_that_becomes_a_store_gets_all_and_the_newest_head(net, drives):
    d = drives(stores=1).init().mount()
    for n in range(5):
        d.write(f'file{n}', MIB)
        d.sync()
    d.umount()
    d.set(store=net.url(2), copies=3, onboard_idle='10m', onboard_age='10m')
    d.fund().mount()
    # Nothing changes; a commit is made all the same, and claimed there.
    until(lambda: d.status()['last_commit']['sequence'] == 6, what='one more commit')
    until(d.shipped, what='all is there, too')
    n = len(adds(net, d.address()))
    d.remount()
    until(d.shipped, what='it is known again')
    assert d.status()['last_commit']['sequence'] == 6
    assert len(adds(net, d.address())) == n
    # Now the words and the network's name are enough.
    want = content(d)
    d.lose()
    d.stores = []
    d.recover().mount()
    assert content(d) == want
    d.umount()


def of_the_wallet(s):
    """Plain swap is warned of, too, where a machine has it."""
    return [w for w in s['warnings'] if 'swap' not in w]


def test_one_sentence_says_what_to_send(net, drives):
    for _ in range(10):  # init waits for a network for ten seconds only
        d = drives().init()
        if d.run('config', '--drive', d.name, 'budget').stdout != 'none\n':
            break
    d.mount()
    s = {}

    def waits():
        s.update(d.status())
        return len(s['errors']) == 2 and of_the_wallet(s)
    until(waits, what='both slots wait, and the wallet was looked at')
    said = json.loads(d.wallet('--json').stdout)['waiting']
    assert said.startswith('waiting for funds: send ')
    assert said == s['wallet']['waiting'] and of_the_wallet(s) == [said]
    assert not any('send' in e for e in s['errors'])
    # What it names is enough, to the last digit.
    wait = s['wallet']
    net.fund(d.address(), fil=wait['need_fil'], usdfc=wait['need_usdfc'])
    until(lambda: {t['state'] for t in d.status()['stores']} == {'ok'},
          what='it begins by itself')
    until(lambda: not of_the_wallet(d.status()), what='it is seen')
    until(lambda: not d.status()['errors'], what='nothing else is wrong')
    assert json.loads(d.wallet('--json').stdout)['waiting'] is None
    d.write('file', MIB)
    d.sync()
    d.umount()


def test_endpoints_that_contradict_stop_all_spending_and_are_named(net, drives):
    d = drives(n_rpcs=2).paying().mount()
    d.write('first', MIB)
    d.sync()
    until(d.shipped, what='both copies')
    paid = len(adds(net, d.address()))
    # One of them says that whatever is asked about was added long ago.
    net.admin('rpc/1', {'callResult': {'0x35b0e3f4': '0x' + '00' * 15 + '09' +
                                       '00' * 15 + '01'}})
    d.write('second', MIB)
    sync = d.start_sync()
    hosts = [re.search(r'//(.*)', url)[1] for url in net.at['rpc'][:2]]
    until(lambda: any(all(h in e for h in hosts) and 'disagree' in e
                      for e in d.status()['errors']), what='they are named')
    assert len(adds(net, d.address())) == paid
    assert sync.poll() is None
    net.admin('reset', {})
    began = time.monotonic()
    assert sync.wait(PATIENCE) == 0
    sync.stderr.close()
    until(d.shipped, what='both copies')
    assert has_paid(d, paid, began)
    d.umount()


def test_one_endpoint_that_cannot_be_used_holds_up_nothing(net, drives):
    d = drives(n_rpcs=2).paying().mount()
    for knobs in ({'down': True}, {'lag': 30}, {'garbage': 10 ** 9},
                  {'chainId': '0x1'}):
        for n in (0, 1):
            net.admin(f'rpc/{n}', knobs)
            paid, began = len(adds(net, d.address())), time.monotonic()
            d.write(f'file{n}', 65536)
            d.sync()
            net.admin('reset', {})
            until(d.shipped, what='both copies')
            assert has_paid(d, paid, began), knobs
    d.umount()


def keeps(d):
    """A file at both stores; the memory and the additions that there were."""
    began = time.monotonic()
    d.write('kept', MIB)
    d.sync()
    until(d.shipped, what='both copies')
    assert has_paid(d, 0, began)
    return d.grown(), len(adds(d.net, d.address()))


def harmless(d, servers, before, paid):
    """It was asked and answered so; nothing came of it but an error."""
    until(lambda: any(s.seen for s in servers), what='it is asked')
    d.write('local', 65536)
    with open(os.path.join(d.mnt, 'kept'), 'rb') as f:
        assert len(f.read()) == MIB
    assert len(d.status()['stores']) == 2
    assert d.grown() < before + ROOM, servers[0].kind
    assert len(adds(d.net, d.address())) == paid


@pytest.fixture(name='evil')
def _evil(net):
    made = []

    def make(honest):
        made.append(Evil(honest))
        return made[-1]
    yield make
    for server in made:
        server.close()


def test_a_hostile_endpoint_gets_nothing_done(net, drives, evil):
    server = evil(net.at['rpc'][0])
    d = drives()
    d.urls = [re.sub(r'rpc=[^&]*&', '', net.url(1)).replace(
        '?', f'?rpc={server.url}&')]
    d.paying().mount()
    before, paid = keeps(d)
    for kind in KINDS:
        d.umount()
        server.be(kind)
        d.mount()
        harmless(d, [server], before, paid)
    server.be(None)
    began = time.monotonic()
    d.sync()
    until(d.shipped, what='both copies')
    assert has_paid(d, paid, began)
    d.umount()


@pytest.fixture(name='servers')
def _servers(net, evil):
    """In front of every provider."""
    made = [evil(p['url']) for p in net.at['providers']]
    for urls in ([s.url for s in made], [p['url'] for p in net.at['providers']]):
        for n, url in enumerate(urls):
            net.admin(f'provider/{n + 1}', {'capabilities': {
                'serviceURL': '0x' + url.encode().hex()}})
        if urls[0] == made[0].url:
            yield made


def test_a_hostile_provider_gets_nothing_done(drives, servers):
    d = drives().paying().mount()
    before, paid = keeps(d)
    for kind in KINDS:
        d.umount()
        for server in servers:
            server.be(kind)
        d.mount()
        d.write('more', 65536)
        sync = d.start_sync()
        harmless(d, servers, before, paid)
        sync.kill()
        sync.communicate()
    for server in servers:
        server.be(None)
    d.sync()
    until(d.shipped, what='both copies')
    d.umount()


@pytest.mark.parametrize('by', ['gateway', 'router'])
def test_blocks_come_from_a_gateway_when_no_provider_serves(net, drives, servers,
                                                            by):
    d = drives()
    d.paying()
    d.set(ipfs_indexing='on').mount()
    d.write('file', 3 * MIB)
    with open(os.path.join(d.mnt, 'file'), 'rb') as f:
        want = f.read()
    d.sync()
    until(d.shipped, what='both copies')
    d.lose().recover()
    d.set(**{by: net.at['routing'] if by == 'router' else
             ' '.join(p['url'] for p in net.at['providers'])})
    d.mount()
    os.stat(os.path.join(d.mnt, 'file'))
    # The providers serve no pieces any more; somebody serves what they indexed.
    for server in servers:
        server.be('nothing')
    with open(os.path.join(d.mnt, 'file'), 'rb') as f:
        assert f.read() == want
    assert d.status()['bytes_fetched'] >= 3 * MIB
    d.umount()
