"""An older state put back is found out: by the drive against its stores (I9),
and said without anybody asking for a commit."""
import os
import shutil

from drive import until
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
