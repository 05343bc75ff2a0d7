"""test_network.py - a mounted drive, its network, and what goes wrong between them

The devnet's counters and books are the judge: what left this machine, who fetched
it, and what was paid.
"""
import json
import os

import pytest

from devnet import Devnet, no_devnet
from drive import Drive, no_fuse, until

CAN = no_devnet() or no_fuse()
pytestmark = pytest.mark.skipif(bool(CAN), reason=CAN or '')
MIB = 1 << 20


class NetDrive(Drive):
    def __init__(self, net, stores=0, n_rpcs=2, **kw):
        super().__init__(stores=stores, **kw)
        self.net, self.n_rpcs = net, n_rpcs

    def store_args(self):
        if self.stores:
            return super().store_args()
        return ['--store', self.net.url(self.n_rpcs)]

    def wallet(self, *args, **kw):
        return self.run('wallet', *args, '--drive', self.name, '--passfile',
                        self.passfile, **kw)

    def address(self):
        return self.run('config', '--drive', self.name, 'payer').stdout.strip()

    def paying(self):
        """It may store, and does so when it is told to."""
        self.wallet()  # a drive of folders has had none
        self.net.fund(self.address())
        until(lambda: json.loads(self.wallet('--json').stdout)['usdfc'] != '0',
              what='the funds are seen')
        self.wallet('fund', '5', '--budget', '1', '--yes')
        return self.set(onboard_idle='10m', onboard_age='10m')

    def write(self, name, n):
        with open(os.path.join(self.mnt, name), 'wb') as f:
            f.write(os.urandom(n))

    def shipped(self):
        """All copies are where they should be, and nothing is on its way."""
        s = self.status()
        held = {store['pieces'] for store in s['stores']}
        return s['queued']['pieces'] == 0 and len(held) == 1 and 0 not in held


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
        made.append(NetDrive(net, **kw))
        return made[-1]
    yield make
    for drive in made:
        drive.close()


def stats(net):
    return [net.admin(f'provider/{n}')['stats'] for n in (1, 2, 3)]


def grown(net, before, what):
    return sum(now[what] - then[what] for now, then in zip(stats(net), before))


def test_for_two_copies_bytes_leave_this_machine_once(net, drives):
    d = drives().init().paying().mount()
    before = stats(net)
    for n in range(3):
        d.write(f'file{n}', 4 * MIB)
        d.sync()
    until(d.shipped, what='both copies')
    sent = grown(net, before, 'bytesIn') - grown(net, before, 'bytesPulled')
    pulled = grown(net, before, 'bytesPulled')
    assert pulled >= 12 * MIB
    assert 12 * MIB <= sent < 13 * MIB
    d.umount()


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
    d.paying().mount()
    # Nothing changes; a commit is made all the same, and claimed there.
    until(lambda: d.status()['last_commit']['sequence'] == 6, what='one more commit')
    until(d.shipped, what='all is there, too')
    n = len(adds(net, d.address()))
    d.remount()
    until(d.shipped, what='it is known again')
    assert d.status()['last_commit']['sequence'] == 6
    assert len(adds(net, d.address())) == n
    d.umount()


def test_one_sentence_says_what_to_send(net, drives):
    d = drives().init().mount()
    until(lambda: len(d.status()['errors']) == 2, what='both slots wait')
    until(lambda: d.status()['warnings'], what='the wallet was looked at')
    s = d.status()
    said = json.loads(d.wallet('--json').stdout)['waiting']
    assert said.startswith('waiting for funds: send ')
    assert said == s['wallet']['waiting'] == s['warnings'][0]
    assert not any('send' in e for e in s['errors'])
    # What it names is enough, to the last digit.
    wait = s['wallet']
    net.fund(d.address(), fil=wait['need_fil'], usdfc=wait['need_usdfc'])
    until(lambda: {t['state'] for t in d.status()['stores']} == {'ok'},
          what='it begins by itself')
    until(lambda: not d.status()['warnings'], what='it is seen')
    assert not d.status()['errors']
    assert json.loads(d.wallet('--json').stdout)['waiting'] is None
    d.write('file', MIB)
    d.sync()
    d.umount()
