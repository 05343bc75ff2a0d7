"""test_recover_devnet.py - a drive on Filecoin, lost, and back from its words (I6)

Nothing but the words and the network's name: no drive directory, no note of which
provider holds what, which session key signs, or what may be spent.  The devnet's own
books say whether anything was stored or paid for anew.
"""
import base64
import json
import os
import shutil

import pytest

from devnet import Devnet, no_devnet
from drive import until
from netdrive import NetDrive
from syscalls import read, write
from trees import assert_same, make_of_everything, picture

CAN = no_devnet()
pytestmark = pytest.mark.skipif(bool(CAN), reason=CAN or '')
INTEGRITY, OFFLINE = 17, 14  # exit codes


class Lost(NetDrive):
    """A drive that can be lost: what recover prints is kept."""
    said = None

    def short(self, n_rpcs=2):
        """The store as a person would type it: no copies."""
        return ['--store', self.net.url(n_rpcs).partition('&copies=')[0]]

    def bring_back(self, *options, stores=None, check=True):
        self.said = self.run('recover', '--drive', self.name,
                             *(stores or self.short()), '--words-file',
                             self.words, '--passfile', self.passfile, *options,
                             check=check)
        return self

    def gone(self):
        """The machine is lost, and another takes its place."""
        if self.is_mounted():
            self.umount()
        shutil.rmtree(self.home)
        os.mkdir(self.home, 0o700)
        return self

    def back(self, *options, **kw):
        self.gone().bring_back(*options, **kw)
        return self.set(onboard_idle='10m', onboard_age='10m').mount()

    def value(self, key):
        return self.run('config', '--drive', self.name, key).stdout.strip()

    def set_ids(self):
        return sorted(s['dataSetId'] for s in self.sets())


@pytest.fixture(scope='module', name='net')
def _net():
    net = Devnet(epoch_ms=20)
    yield net
    net.close()


@pytest.fixture(name='lost')
def _lost(net):
    made = []

    def make(**kw):
        made.append(Lost(net, **kw))
        return made[-1]
    yield make
    for drive in made:
        drive.close()
    net.admin('reset', {})


def files_of(d, n=3):
    """So many more of them."""
    at = len(os.listdir(d.mnt))
    for i in range(at, at + n):
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(200000 + i))
    return picture(d.mnt)


def test_words_and_a_network_bring_everything_back(lost):
    d = lost().paying().mount()
    make_of_everything(d.mnt, os.geteuid() == 0)
    want = picture(d.mnt)
    d.sync()
    before = d.set_ids()
    d.back()
    assert_same(want, picture(d.mnt))
    assert 'warning' not in d.said.stderr
    assert '1 USDFC a month' in d.said.stdout
    assert d.value('budget') == '1' and d.value('copies') == '2'
    write(os.path.join(d.mnt, 'after'), b'written on the new machine' * 1000)
    want = picture(d.mnt)
    d.sync()
    assert d.set_ids() == before, 'it goes on at the same data sets'
    d.back()
    assert_same(want, picture(d.mnt))
    d.sync()
    assert d.set_ids() == before


def test_the_copies_that_a_drive_kept_are_found_without_being_said(lost):
    d = lost(n_copies=3).paying(deposit='20').mount()
    want = files_of(d)
    d.sync()
    before = d.set_ids()
    assert len(before) == 3
    d.back()
    assert_same(want, picture(d.mnt))
    assert d.value('copies') == '3' and 'copies=3' in d.value('store')
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    d.sync()
    assert d.set_ids() == before
    assert all(len(s['pieces']) == len(d.sets()[0]['pieces'])
               for s in d.sets())


def text_of(cid):
    return 'b' + base64.b32encode(bytes.fromhex(cid[2:])).decode() \
        .lower().rstrip('=')


def warnings(d, text):
    return [line for line in d.said.stderr.splitlines()
            if 'warning' in line and text in line]


def lose_one_each(d):
    """Each of two data sets lacks a piece that the other has."""
    sets = d.sets()
    cids = sorted({p['cid'] for s in sets for p in s['pieces']})
    assert len(sets) == 2 and len(cids) > 1
    for s, cid in zip(sets, cids):
        d.net.admin(f'provider/{s["providerId"]}/lose',
                    {'pieceCid': text_of(cid)})


def test_fewer_copies_than_there_are_data_sets_lose_nothing(lost, net):
    """One slot, and a data set beside it that alone has a piece."""
    d = lost().paying().mount()
    for n in (1, 3):
        want = files_of(d, n)
        d.sync()
    lose_one_each(d)
    d.gone().bring_back(stores=['--store', net.url(2, 1)])
    assert d.said.stderr.count('is read from, and not written to any more') == 1
    assert d.value('copies') == '1'
    d.set(proof_watch='1h').mount()
    assert_same(want, picture(d.mnt))
    # What the slot did not have is put there, and it has been paid for.
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    d.sync()
    assert len(d.set_ids()) == 2


def test_each_of_two_that_lost_a_piece_helps_the_other(lost):
    d = lost().paying().mount()
    for n in (1, 3):
        want = files_of(d, n)
        d.sync()
    lose_one_each(d)
    d.gone().bring_back().set(proof_watch='1h').mount()
    assert_same(want, picture(d.mnt))


def test_with_one_provider_dead_the_other_serves(lost, net):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    before = d.set_ids()
    dead = d.sets()[0]
    net.admin(f'provider/{dead["providerId"]}', {'down': True})
    d.back()
    assert len(warnings(d, f'data set {dead["dataSetId"]} at')) == 1
    assert len(warnings(d, 'data set')) == 1
    assert_same(want, picture(d.mnt))
    net.admin(f'provider/{dead["providerId"]}', {'down': False})
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    d.sync()
    assert d.set_ids() == before


def test_a_provider_that_hangs_is_waited_for_once(lost, net):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    net.admin(f'provider/{d.sets()[0]["providerId"]}', {'latencyMs': 600000})
    d.gone()
    d.bring_back()
    assert len(warnings(d, f'data set {d.set_ids()[0]} at')) == 1
    d.mount()
    assert_same(want, picture(d.mnt))


def test_all_providers_dead_are_said_and_nothing_is_made(lost, net):
    d = lost().paying().mount()
    files_of(d)
    d.sync()
    for s in d.sets():
        net.admin(f'provider/{s["providerId"]}', {'down': True})
    d.gone().bring_back(check=False)
    assert d.said.returncode == OFFLINE, d.said.stderr
    assert not os.listdir(d.home)


def test_a_provider_that_lies_is_caught_and_the_other_serves(lost, net):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    liar = d.sets()[0]['providerId']
    size = max(int(p['size']) for p in net.admin(f'provider/{liar}')['pieces'])
    for offset in (0, 5000, size - 100):
        net.admin(f'provider/{liar}', {'flip': {'offset': offset}})
        d.gone().bring_back()
        d.mount()
        assert_same(want, picture(d.mnt))


def test_a_drive_goes_on_where_it_was_after_a_replacement(lost, net):
    """Of three data sets two are in use; one has ended."""
    d = lost().paying(deposit='20').set(proof_watch='1s').mount()
    files_of(d)
    d.sync()
    first = d.sets()[0]
    net.admin(f'provider/{first["providerId"]}/terminate',
              {'dataSetId': int(first['dataSetId'])})
    until(lambda: len(d.sets()) == 3, what='another data set is there')
    until(d.shipped, what='it has all that the drive has')
    want = files_of(d, 1)
    d.sync()
    before = d.set_ids()
    in_use = {d.provider_of(i) for i in (0, 1)}
    assert int(first['providerId']) not in in_use
    d.gone().bring_back()
    assert len(warnings(d, 'is read from, and not written to')) == 1
    assert len(warnings(d, f'data set {first["dataSetId"]} at')) == 1
    d.set(proof_watch='1s').mount()
    assert_same(want, picture(d.mnt))
    files_of(d, 1)
    d.sync()
    assert d.set_ids() == before
    assert {d.provider_of(i) for i in (0, 1)} == in_use


def test_what_only_an_ended_service_holds_comes_back_and_moves(lost, net):
    d = lost(n_copies=1).paying(deposit='20').mount()
    want = files_of(d)
    d.sync()
    first, = d.sets()
    d.umount()
    net.admin(f'provider/{first["providerId"]}/terminate',
              {'dataSetId': int(first['dataSetId'])})
    until(lambda: int(d.sets()[0]['pdpEndEpoch']), what='it ends')
    d.gone().bring_back().set(proof_watch='1s').mount()
    assert d.value('copies') == '1'
    assert_same(want, picture(d.mnt))
    until(lambda: len(d.sets()) == 2, what='another data set is there')
    cids = {p['cid'] for p in first['pieces']}
    until(lambda: cids <= {p['cid'] for p in d.sets()[1]['pieces']},
          what='it has all that the drive has')


def test_a_folder_beside_a_network_is_enough_and_both_go_on(lost, net):
    d = lost()
    folder = os.path.join(d.dir, 'folder')
    both = ['--store', 'dir://' + folder, *d.store_args()]
    d.store_args = lambda: both
    d.paying().set(copies='2').mount()
    want = files_of(d)
    d.sync()
    before = d.set_ids()
    for n in (0, 1):
        net.admin(f'rpc/{n}', {'down': True})
    d.gone().bring_back(stores=both)
    assert d.value('copies') == '2'
    d.mount()
    assert_same(want, picture(d.mnt))
    net.admin('reset', {})
    # The network without copies=: as many slots as the drive had data sets.
    d.gone().bring_back(stores=['--store', 'dir://' + folder, *d.short()])
    d.mount()
    assert_same(want, picture(d.mnt))
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    d.sync()
    assert len(d.status()['stores']) == 3
    assert d.set_ids() == before


def test_a_snapshot_is_mounted_from_a_network(lost):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    number = json.loads(d.run('snapshots', '--drive', d.name,
                              '--json').stdout)[-1]['sequence']
    write(os.path.join(d.mnt, 'later'), b'not in the snapshot')
    d.sync().umount()
    d.mount(f'snapshot={number}')
    assert_same(want, picture(d.mnt))


def test_a_damaged_drive_is_salvaged_from_a_network(lost, net):
    """No provider has the newest head's piece any more."""
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    older = {p['cid'] for p in d.sets()[0]['pieces']}
    write(os.path.join(d.mnt, 'later'), b'lost' * 1000)
    d.sync()
    for s in d.sets():
        for cid in {p['cid'] for p in s['pieces']} - older:
            net.admin(f'provider/{s["providerId"]}/lose',
                      {'pieceCid': text_of(cid)})
    d.gone().bring_back(check=False)
    assert d.said.returncode == INTEGRITY and '--salvage' in d.said.stderr
    d.bring_back('--salvage').mount()
    got = picture(d.mnt)
    assert {k: v for k, v in want.items() if k != b'.'}.items() <= got.items()


WORD = '00' * 31
LIES = {
    'its funds': {'balanceOf': '1'},
    # There are no data sets.
    'sets': {'callResult': {'0x3208aa1f': f'0x{WORD}20{WORD}00'}},
    # They say nothing of whose they are.
    'metadata': {'callResult': {
        '0xf417c13f': f'0x{WORD}40{WORD}60{WORD}00{WORD}00'}},
    # No number was ever used: there is no commit.
    'heads': {'callResult': {'0x35b0e3f4': f'0x{WORD}00'}},
}


@pytest.mark.parametrize('lie', LIES)
def test_endpoints_that_contradict_each_other_end_it(lost, net, lie):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    address = d.address()
    d.gone()
    knobs = LIES[lie]
    if 'balanceOf' in knobs:
        knobs = {'balanceOf': {address: '1'}}
    net.admin('rpc/1', knobs)
    d.bring_back(check=False)
    assert d.said.returncode == INTEGRITY, d.said.stderr
    assert 'disagree' in d.said.stderr and 'rpc=' in d.said.stderr
    for rpc in net.at['rpc'][:2]:
        assert rpc.removesuffix('/rpc/v1') in d.said.stderr
    assert not os.listdir(d.home)
    # Whom to believe is a person's to say.
    d.bring_back(stores=d.short(1)).mount()
    assert_same(want, picture(d.mnt))


def test_an_endpoint_that_is_away_or_behind_is_warned_of(lost, net):
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    for n, (knobs, word) in enumerate((({'lag': 30}, 'behind'),
                                       ({'down': True}, net.at['rpc'][0]))):
        net.admin(f'rpc/{1 - n}', knobs)
        d.gone().bring_back()
        warned = warnings(d, 'cannot be counted on')
        assert len(warned) == 1, d.said.stderr
        assert word.removesuffix('/rpc/v1') in warned[0]
        net.admin('reset', {})
    d.mount()
    assert_same(want, picture(d.mnt))


def test_no_endpoint_is_said(lost, net):
    d = lost().paying().mount()
    files_of(d)
    d.sync()
    d.gone()
    for n in (0, 1):
        net.admin(f'rpc/{n}', {'down': True})
    d.bring_back(check=False)
    assert d.said.returncode == OFFLINE, d.said.stderr
    assert not os.listdir(d.home)


def test_other_words_have_no_data_set_and_hear_of_payers(lost):
    d = lost().paying().mount()
    files_of(d)
    d.sync()
    other = lost().init()
    other.gone().bring_back(check=False)
    assert other.said.returncode == INTEGRITY
    assert '--payer' in other.said.stderr


def test_an_imported_key_that_paid_is_named(lost, net):
    d = lost().init()
    key = os.path.join(d.dir, 'key')
    write(key, b'0x' + os.urandom(32).hex().encode() + b'\n')
    os.chmod(key, 0o600)
    d.wallet('import', key)
    payer = d.address()
    net.fund(payer)
    until(lambda: d.shown()['usdfc'] != '0', what='the funds are seen')
    d.wallet('fund', '5', '--budget', '2.5', '--yes')
    d.set(onboard_idle='10m', onboard_age='10m').mount()
    want = files_of(d)
    d.sync()
    before = d.set_ids()
    d.gone().bring_back(check=False)
    assert d.said.returncode == INTEGRITY
    d.bring_back('--payer', payer).mount()
    assert d.value('budget') == '2.5'
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    want = {**picture(d.mnt), **{k: v for k, v in want.items() if k != b'.'}}
    d.sync()
    assert d.set_ids() == before
    assert_same(want, picture(d.mnt))


def test_the_session_key_in_force_is_found(lost):
    d = lost().paying().mount()
    files_of(d)
    d.sync()
    d.umount()
    for n in (2, 3):
        d.wallet('session', 'renew', '--yes')
        assert d.value('session') == str(n)
    before = d.set_ids()
    d.back()
    assert 'warning' not in d.said.stderr
    assert d.value('session') == '3'
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    want = picture(d.mnt)
    d.sync()
    assert d.set_ids() == before
    # None may sign any more: it can be read, and is told what to do.
    d.umount()
    d.wallet('session', 'revoke', '--yes')
    d.back()
    assert 'wallet session renew' in d.said.stderr
    assert_same(want, picture(d.mnt))
    d.umount()
    d.wallet('session', 'renew', '--yes')
    d.mount()
    write(os.path.join(d.mnt, 'again'), b'a' * 100000)
    d.sync()
    assert d.set_ids() == before
