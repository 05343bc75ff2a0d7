"""Salvage: the newest metadata, or the head register, is gone from the stores."""
import os
import shutil

import pytest

from drive import CommandFailed
from syscalls import read, write
from trees import assert_same, make_of_everything, picture


def pieces(store):
    return {name for name in os.listdir(store) if name.endswith('.car')}


@pytest.fixture
def cut_off(drives):
    """A drive of two commits whose second one lost all its pieces."""
    d = drives().init().mount()
    make_of_everything(d.mnt, os.geteuid() == 0)
    first = picture(d.mnt)
    d.sync()
    old = pieces(d.stores[0])
    write(os.path.join(d.mnt, 'later'), os.urandom(300000))
    d.sync()
    d.umount()
    for name in pieces(d.stores[0]) - old:
        os.unlink(os.path.join(d.stores[0], name))
    return d, first


def test_recover_says_that_the_newest_commit_is_gone(cut_off):
    d, _ = cut_off
    shutil.rmtree(d.home)
    with pytest.raises(CommandFailed) as failed:
        d.recovered()
    assert failed.value.status == 17
    assert '--before 2' in failed.value.stderr


def test_fsck_salvage_begins_anew_from_what_is_left(cut_off):
    d, first = cut_off
    with pytest.raises(CommandFailed) as said:  # 1: all faults repaired
        d.run('fsck', '--drive', d.name, '--salvage', '--passfile', d.passfile)
    assert said.value.status == 1, said.value
    assert 'commit 1 ' in said.value.stdout
    d.mount()
    assert_same(first, picture(d.mnt))
    assert os.path.exists(os.path.join(d.home, d.name, 'aside-1', 'drive.db'))
    write(os.path.join(d.mnt, 'goes on'), b'x')
    d.sync()
    assert d.status()['last_commit']['sequence'] > 2


def test_pieces_alone_bring_a_drive_back_without_head_register(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'kept'), b'k' * 200000)
    d.sync()
    d.umount()
    shutil.rmtree(d.home)
    shutil.rmtree(os.path.join(d.stores[0], 'heads'))
    back = drives.adopt(d.recovered('--salvage'))
    back.mount()
    assert read(os.path.join(back.mnt, 'kept')) == b'k' * 200000
