"""test_recover_devnet.py - a drive on Filecoin, lost, and back from its words (I6)

Nothing but the words and the network's name: no drive directory, no note of which
provider holds what, which session key signs, or what may be spent.  The devnet's own
books say whether anything was stored or paid for anew.
"""
import json
import os

import pytest

from drive import until
from lostdrive import INTEGRITY, files_of, text_of, warnings
from syscalls import write
from trees import assert_same, make_of_everything, picture

pytestmark = pytest.mark.devnet


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
    for s in d.status()['stores']:
        assert s['pieces'] + s['unread']['pieces'] == \
            len(d.sets()[0]['pieces']), 'none is said to have nothing'
    assert_same(want, picture(d.mnt))
    assert d.value('copies') == '3' and 'copies=3' in d.value('store')
    write(os.path.join(d.mnt, 'more'), b'm' * 100000)
    d.sync()
    assert d.set_ids() == before
    assert all(len(s['pieces']) == len(d.sets()[0]['pieces'])
               for s in d.sets())


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
    until(lambda: d.provider_of(0) and d.provider_of(1), what='both were looked at')
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
    until(lambda: d.provider_of(0) and d.provider_of(1), what='both are looked at')
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
    d.paying().set(copies='3').mount()
    want = files_of(d)
    d.sync()
    before = d.set_ids()
    for n in (0, 1):
        net.admin(f'rpc/{n}', {'down': True})
    d.gone().bring_back(stores=both)
    assert len(warnings(d, 'cannot be counted on')) == 2
    assert d.value('copies') == '3'
    d.mount()
    assert_same(want, picture(d.mnt))
    net.admin('reset', {})
    # Two copies at three places.  Without copies= the network gets as many slots
    # as the drive has data sets there, not one beside the folder.
    d.gone().bring_back(stores=both).set(copies='2').mount()
    want = files_of(d, 1)
    d.sync()
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


def test_an_imported_key_that_paid_is_named(lost):
    d = lost().init()
    key = os.path.join(d.dir, 'key')
    write(key, b'0x' + os.urandom(32).hex().encode() + b'\n')
    os.chmod(key, 0o600)
    d.wallet('import', key)
    payer = d.address()
    d.give()
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


def test_of_several_session_keys_the_newest_is_taken(lost):
    """The first is still good, and one that comes many renewals later."""
    d = lost().paying().mount()
    want = files_of(d)
    d.sync()
    d.umount()
    d.set(session='17')
    d.wallet('session', 'renew', '--yes')
    assert d.value('session') == '18'
    signer, before = d.value('signer'), d.set_ids()
    d.back()
    assert d.value('session') == '18' and d.value('signer') == signer
    assert_same(want, picture(d.mnt))
    files_of(d, 1)
    d.sync()
    assert d.set_ids() == before
