"""A drive that an earlier fildrive wrote is read as it was, for ever."""
import os

import pytest

from drive import Drive, mounts
from golden import copy, listed, plain
from syscalls import write
from trees import assert_same, picture

pytestmark = pytest.mark.root  # other people's files are in it
COMMITS = (1, 2, 3, 4)


@pytest.fixture(scope='module', name='golden')
def _golden(tmp_path_factory):
    """The golden drive, recovered and mounted."""
    there = str(tmp_path_factory.mktemp('golden'))
    store = copy(there)
    with Drive(stores=0) as lost:
        os.rename(os.path.join(there, 'words'), lost.words)
        with lost.recovered(stores=[store]) as d:
            yield d.set(onboard_idle='1d', onboard_age='1d').mount()


def test_all_of_it_is_as_it_was_written(golden):
    assert_same(listed(4), plain(picture(golden.mnt, everything=True)))


@pytest.mark.parametrize('sequence', COMMITS)
def test_each_past_commit_is_as_it_was_written(golden, sequence, tmp_path):
    if sequence == COMMITS[-1]:
        where = golden.mnt
    else:
        where = str(tmp_path)
        golden.run('mount', '--drive', golden.name, '--passfile',
                   golden.passfile, '--snapshot', str(sequence), where)
    try:
        assert_same(listed(sequence), plain(picture(where, everything=True)))
    finally:
        if where in mounts() and where != golden.mnt:
            golden.run('umount', where)


def test_the_list_has_what_it_is_there_for():
    rows = listed(4)
    assert len([r for r in rows.values() if 'links' in r]) == 2
    assert rows['sparse']['leaves'] == [2] and rows['all hole']['leaves'] == []
    assert len(rows['a']['xattrs']['user.large']) == 6000
    assert len([p for p in rows if p.startswith('many/')]) == 281
    assert rows['text']['size'] > 2 << 20


def test_it_can_be_written_on_and_recovered_again(golden):
    """Last: the copy is not golden any more."""
    write(os.path.join(golden.mnt, 'written on'), b'more')
    write(os.path.join(golden.mnt, 'a', 'size 4097'), b'both names')
    want = picture(golden.mnt)
    golden.sync()
    assert golden.status()['last_commit']['sequence'] == 5
    golden.umount()
    with golden.recovered() as again:
        again.mount()
        assert_same(want, picture(again.mnt))
