"""An older state put back is found out: by the drive against its stores (I9),
and said without anybody asking for a commit."""
import os
import shutil

import pytest

from commands import DAMAGE
from drive import CommandFailed, until
from syscalls import read, write


def fenced(d):
    s = d.status()
    return s['fenced'] and any('commit' in e for e in s['errors'])


def test_an_old_drive_directory_is_found_out_at_the_mount(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'first')
    d.sync()
    d.umount()
    old = d.home + '.old'
    shutil.copytree(d.home, old, symlinks=True)
    d.mount()
    write(os.path.join(d.mnt, 'f'), b'second')
    d.sync()
    d.umount()
    shutil.rmtree(d.home)
    os.rename(old, d.home)
    d.mount()
    until(lambda: fenced(d), what='status says that the directory is old')
    assert read(os.path.join(d.mnt, 'f')) == b'first'
    write(os.path.join(d.mnt, 'local'), b'still works')
    d.umount()
    shutil.rmtree(d.home)
    back = drives.adopt(d.recovered()).mount()
    assert read(os.path.join(back.mnt, 'f')) == b'second'


def test_a_superseded_device_says_so_without_committing(drives):
    first = drives().init().mount()
    write(os.path.join(first.mnt, 'f'), b'1')
    first.sync()
    first.umount()
    second = drives.adopt(first.recovered()).mount()
    write(os.path.join(second.mnt, 'g'), b'2')
    second.sync()
    second.umount()
    first.mount()
    until(lambda: fenced(first), what='status says who went on')


def test_a_device_that_went_on_alone_is_not_fenced(drives):
    d = drives(stores=2, copies=2).init().mount()
    for i in range(3):
        write(os.path.join(d.mnt, f'{i}'), b'x' * 1000)
        d.sync()
        d.remount()
    assert not d.status()['fenced']


def three_commits(d):
    for i in range(3):
        write(os.path.join(d.mnt, f'{i}'), os.urandom(100000))
        d.sync()


def swap_in(store, old):
    os.rename(store, store + '.newer')
    os.rename(old, store)


def went_back(d):
    return any('has gone back' in e for e in d.status()['errors'])


def test_a_store_that_went_back_is_named_and_filled_again(drives):
    """All but the newest of its files are there, as a backup would have it."""
    d = drives(stores=2, copies=2).init().mount()
    three_commits(d)
    old = d.stores[1] + '.old'
    shutil.copytree(d.stores[1], old)
    three_commits(d)
    d.umount()
    pieces = set(os.listdir(d.stores[1]))
    swap_in(d.stores[1], old)
    d.mount()
    until(lambda: went_back(d), what='status names the store')
    until(lambda: pieces <= set(os.listdir(d.stores[1])),
          what='the store has everything again')
    write(os.path.join(d.mnt, 'new'), b'x')
    d.sync()
    assert not d.status()['fenced']
    # From that store alone the newest commit comes back.
    d.umount()
    back = drives.adopt(d.recovered(stores=[d.stores[1]])).mount()
    assert read(os.path.join(back.mnt, 'new')) == b'x'


def test_all_stores_that_went_back_are_found_out_by_who_knows_a_number(drives):
    d = drives().init().mount()
    three_commits(d)
    d.umount()
    old = d.stores[0] + '.old'
    shutil.copytree(d.stores[0], old)
    d.mount()
    three_commits(d)
    number = d.status()['last_commit']['sequence']
    d.umount()
    swap_in(d.stores[0], old)
    with pytest.raises(CommandFailed) as e:
        d.recovered('--at-least', str(number))
    assert e.value.status == DAMAGE
    assert 'they have gone back' in e.value.stderr
    drives.adopt(d.recovered('--at-least', '3'))
