"""test_recover_faults.py - a drive comes back though its network is not well (I6)

Providers that are gone, hang, or lie, and endpoints of the chain that do: named, got
along without where that is possible, and an end in words where it is not.
"""
import os

import pytest

from lostdrive import INTEGRITY, OFFLINE, files_of, warnings
from syscalls import write
from trees import assert_same, picture

pytestmark = pytest.mark.devnet


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


def test_what_may_be_at_a_store_that_is_away_is_not_called_lost(lost, net):
    """A folder of another drive beside a network that does not answer."""
    d = lost().paying().mount()
    files_of(d)
    d.sync()
    d.gone()
    empty = os.path.join(d.dir, 'empty')
    os.mkdir(empty)
    for n in (0, 1):
        net.admin(f'rpc/{n}', {'down': True})
    d.bring_back(stores=['--store', 'dir://' + empty, *d.short()], check=False)
    assert d.said.returncode == OFFLINE, d.said.stderr
    net.admin('reset', {})
    d.bring_back(stores=['--store', 'dir://' + empty, *d.short()])
