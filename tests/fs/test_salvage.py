"""Salvage: the newest metadata, or the head register, is gone from the stores."""
import os
import shutil

import pytest

from cars import blocks
from commands import DAMAGE
from drive import CommandFailed
from syscalls import flip, read, write
from trees import assert_same, make_of_everything, picture


def pieces(store):
    return {name for name in os.listdir(store) if name.endswith('.car')}


def quiet(drives):
    """One that makes no commit but by a sync."""
    return drives().init().set(onboard_idle='1h', onboard_age='1d').mount()


@pytest.fixture
def cut_off(drives):
    """A drive of two commits whose second one lost all its pieces."""
    d = quiet(drives)
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
    assert failed.value.status == DAMAGE
    assert '--before 2' in failed.value.stderr


def salvage(d, status):
    done = d.run('fsck', '--drive', d.name, '--salvage', '--passfile',
                 d.passfile, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def without_found(rows):
    """But for lost+found, and for the root, which has got it."""
    return {path: row for path, row in rows.items()
            if path.split(b'/')[0] not in (b'lost+found', b'.', b'')}


def same_but_found(want, mnt):
    assert_same(without_found(want), without_found(picture(mnt)))


def test_fsck_salvage_begins_anew_from_what_is_left(cut_off):
    d, first = cut_off
    said = salvage(d, 4)  # the second commit is lost: faults left
    assert 'commit 1 stands in for 2' in said
    assert 'begins anew with commit 1 ' in said
    d.mount()
    same_but_found(first, d.mnt)
    report = read(os.path.join(d.mnt, 'lost+found', 'report.txt')).decode()
    assert report and report in said
    assert os.path.exists(os.path.join(d.home, d.name, 'aside-1', 'drive.db'))
    write(os.path.join(d.mnt, 'goes on'), b'x')
    d.sync()
    assert d.status()['last_commit']['sequence'] > 2


def damage(path, length):
    """The newest commit record of a drive stands in front of the trailer of its
    last piece."""
    flip(path, blocks(path)[length].offset)


def test_a_commit_record_that_is_damaged_is_made_anew(drives):
    d = quiet(drives)
    make_of_everything(d.mnt, os.geteuid() == 0)
    want = picture(d.mnt)
    d.sync()
    d.umount()
    # The other one is of leaves alone; both may have come at the same time.
    small = min((os.path.join(d.stores[0], name) for name in pieces(d.stores[0])),
                key=os.path.getsize)
    damage(small, -2)
    said = salvage(d, 1)  # nothing is lost
    assert 'the record of commit 1 is lost, and was made anew' in said
    d.mount()
    same_but_found(want, d.mnt)
    want = picture(d.mnt)
    d.sync()
    d.umount()
    assert 'is clean' in d.run('fsck', '--drive', d.name, '--passfile',
                               d.passfile).stdout
    shutil.rmtree(d.home)
    back = drives.adopt(d.recovered()).mount()
    assert_same(want, picture(back.mnt))


def test_damaged_folders_are_salvaged_and_listed(drives):
    d = quiet(drives)
    for folder in ('kept', 'hurt'):
        os.mkdir(os.path.join(d.mnt, folder))
        for i in range(40):
            write(os.path.join(d.mnt, folder, f'file {i}'), b'%d' % i * 300)
    d.sync()
    old = pieces(d.stores[0])
    write(os.path.join(d.mnt, 'hurt', 'later'), os.urandom(5000))
    d.sync()
    d.umount()
    new = pieces(d.stores[0]) - old
    path = os.path.join(d.stores[0], new.pop())
    assert not new
    # Of its nodes the first is the folder's, the next the root.
    index = [b.size for b in blocks(path)]
    damage(path, 2)
    said = salvage(d, 4)
    assert 'replaced  /hurt: ' in said, (said, index)
    d.mount()
    assert len(os.listdir(os.path.join(d.mnt, 'hurt'))) == 40
    assert read(os.path.join(d.mnt, 'hurt', 'file 7')) == b'7' * 300
    found = os.listdir(os.path.join(d.mnt, 'lost+found'))
    assert len(found) == 2
    found.remove('report.txt')
    assert os.path.getsize(os.path.join(d.mnt, 'lost+found', found[0])) == 5000
    d.umount()
    assert 'is clean' in d.run('fsck', '--drive', d.name, '--passfile',
                               d.passfile).stdout


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
