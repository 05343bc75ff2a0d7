"""The disk under the drive directory rots: found, said, brought back from the
stores where they have it, and never other bytes than those that were written."""
import errno
import os
import shutil

import pytest

from commands import DAMAGE
from conftest import LONG
from drive import until
from syscalls import flip, read, write
from test_disk import MIB, at
from trees import assert_same, picture

PAGE = 4096
CLEAN, REPAIRED, LEFT = 0, 1, 4  # exit codes of fsck


def local(d, *names):
    return os.path.join(d.home, d.name, *names)


def slots(d):
    return read(local(d, 'data', '00000001'))


def rot(d, but=b''):
    """A bit of each slot of the first segment, but for those that are as they
    were before."""
    data = slots(d)
    # Its tags stand in the first MiB, and are left alone.
    for off in range(MIB, len(data), PAGE):
        if any(data[off:off + PAGE]) and \
           data[off:off + PAGE] != but[off:off + PAGE]:
            flip(local(d, 'data', '00000001'), off + 100, 4)


def fsck(d, *options):
    done = d.run('fsck', *options, '--drive', d.name, '--passfile', d.passfile,
                 check=False)
    return done.returncode, done.stdout


def quiet(drives):
    return drives().init().set(onboard_idle='1h', onboard_age='1d').mount()


@pytest.mark.parametrize('repair', [False, True], ids=['mount', 'fsck'])
def test_slots_that_rot_come_back_from_the_store(drives, repair):
    d = quiet(drives)
    for i in range(4):
        write(at(d, str(i)), os.urandom(300_000))
    want = picture(d.sync().mnt)
    d.umount()
    rot(d)
    status, said = fsck(d)
    assert status == LEFT and 'damaged on the disk' in said
    if repair:
        assert fsck(d, '--repair')[0] == REPAIRED
        assert fsck(d)[0] == CLEAN
    d.mount()
    assert_same(want, picture(d.mnt))
    if not repair:
        assert any('damaged on the disk' in w for w in d.status()['warnings'])
    assert d.answered()['errors'] == []
    with open(at(d, '1'), 'r+b') as f:  # the rest of that leaf is read, too
        f.seek(12345)
        f.write(b'changed')
    want = picture(d.sync().mnt)
    d.umount()
    assert fsck(d)[0] == CLEAN
    assert_same(want, picture(drives.adopt(d.recovered()).mount().mnt))


def test_what_only_rotten_slots_had_is_named_until_it_is_written_anew(drives):
    d = quiet(drives)
    stored = os.urandom(300_000)
    write(at(d, 'stored'), stored)
    d.sync().umount()
    before = slots(d)
    d.mount()
    write(at(d, 'new'), os.urandom(300_000))
    with open(at(d, 'stored'), 'r+b') as f:
        f.write(os.urandom(4096))
    d.umount()
    rot(d, but=before)
    status, said = fsck(d)
    assert status == LEFT and '/new (inode' in said and '/stored (inode' in said
    d.mount()
    with pytest.raises(OSError) as e:
        read(at(d, 'new'))
    assert e.value.errno == errno.EIO
    with open(at(d, 'stored'), 'rb') as f:
        f.seek(4096)
        assert f.read() == stored[4096:]
    assert any('fsck names it' in e for e in d.status()['errors'])

    # Everything else is committed.
    write(at(d, 'other'), b'all is well')
    done = d.run('sync', '--drive', d.name, '--wait', check=False)
    assert done.returncode == DAMAGE, done
    assert '2 files are damaged on this disk' in done.stderr
    assert any('2 files are damaged on this disk' in e
               for e in d.status()['errors'])
    done = d.run('verify', '--drive', d.name, check=False)
    assert '/new: damaged on this disk' in done.stdout + done.stderr, done
    there = drives.adopt(d.recovered()).mount()
    assert sorted(os.listdir(there.mnt)) == ['other', 'stored']
    assert read(at(there, 'other')) == b'all is well'
    assert read(at(there, 'stored')) == stored
    there.umount().close()
    os.unlink(at(d, 'stored'))
    done = d.run('sync', '--drive', d.name, '--wait', check=False)
    assert done.returncode == DAMAGE and done.stderr.strip().endswith(' /new')

    os.unlink(at(d, 'new'))
    write(at(d, 'new'), b'written anew')
    want = picture(d.sync().mnt)
    assert not any('damaged on this disk' in e for e in d.status()['errors'])
    d.umount()
    assert fsck(d)[0] == CLEAN
    assert_same(want, picture(drives.adopt(d.recovered()).mount().mnt))


@pytest.mark.parametrize('db', ['drive.db', 'ledger.db'])
def test_a_page_that_rots_is_found_and_the_stores_make_it_anew(drives, db):
    """Whichever page it is: no other bytes, a check that finds it, and a way out
    on which nothing is lost that a store has."""
    d = quiet(drives)
    for i in range(40):
        write(at(d, str(i)), os.urandom(30_000))
    want = picture(d.sync().mnt)
    d.umount()
    good = read(local(d, db))
    pages = len(good) // PAGE
    found = last = 0
    for page in range(0, pages, 1 if LONG else max(pages // 4, 1)):
        flip(local(d, db), page * PAGE + 1000, 4)
        done = d.run('mount', '--drive', d.name, '--passfile', d.passfile,
                     d.mnt, check=False)
        if done.returncode == 0:
            seen_right(want, d)
            d.run('umount', d.mnt, check=False)
            until(lambda: not d.pids(), what='the daemon has ended')
        else:
            assert 'inconsistent' in done.stderr, done
        write(local(d, db), good)
        flip(local(d, db), page * PAGE + 1000, 4)
        status, said = fsck(d)
        if status != CLEAN:  # a page that is not in use has nothing to lose
            assert db in said or 'salvage' in said
            found, last = found + 1, page
        write(local(d, db), good)
    assert found > 1
    flip(local(d, db), last * PAGE + 1000, 4)
    status, said = fsck(d, '--salvage')
    assert status == REPAIRED, said
    d.mount()
    assert_same(want, picture(d.mnt))
    write(at(d, 'after'), b'after')
    assert d.sync().answered()['errors'] == []
    d.umount()
    assert fsck(d)[0] == CLEAN


def test_a_sync_ends_whatever_page_of_the_ledger_rots(drives):
    """With what is wrong, if it cannot do its work: nobody waits for ever for what
    a damaged page holds up."""
    d = quiet(drives)
    for i in range(40):
        write(at(d, str(i)), os.urandom(30_000))
    d.sync().umount()
    for folder in (local(d), d.stores[0]):
        shutil.copytree(folder, folder + '.good')
    n = len(read(local(d, 'ledger.db'))) // PAGE
    # Pages of placements and of heads stood here; the others are as good.
    held_up = 0
    for page in sorted(range(n), key=lambda p: (p not in (6, 16), p)):
        flip(local(d, 'ledger.db'), page * PAGE + 1000, 4)
        done = d.run('mount', '--drive', d.name, '--passfile', d.passfile,
                     d.mnt, check=False)
        if done.returncode == 0:
            write(at(d, 'after'), b'after')
            done = d.run('sync', '--drive', d.name, '--wait', check=False)
            assert done.returncode in (0, DAMAGE), done
            held_up += 'of the drive directory is damaged' in done.stderr
            d.run('umount', d.mnt, check=False)
            until(lambda: not d.pids(), what='the daemon has ended')
        for folder in (local(d), d.stores[0]):
            shutil.rmtree(folder)
            shutil.copytree(folder + '.good', folder)
        if held_up and not LONG:
            break
    assert held_up


def seen_right(want, d):
    """What can be read is what was written."""
    try:
        names = os.listdir(d.mnt)
    except OSError as e:
        assert e.errno in (errno.EIO, errno.EUCLEAN)
        return
    for name in names:
        row = want[os.fsencode(name)]
        try:
            assert len(read(at(d, name))) == row['size']
        except OSError as e:
            assert e.errno in (errno.EIO, errno.EUCLEAN)
