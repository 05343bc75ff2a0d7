"""A store flips, cuts or loses what it holds: I4 and repair."""
import contextlib
import errno
import os
import random
import re
import shutil

import pytest

import cars
from conftest import LONG
from drive import PATIENCE, until
from syscalls import flip, read, write
from trees import assert_same, picture

MIB = 1 << 20
FOUND = 26  # exit status of a check that found errors


def at(d, *names):
    return os.path.join(d.mnt, *names)


def names(store):
    return {os.path.basename(p) for p in cars.pieces(store)}


def make(drives, **kw):
    """A drive with the file `bad` in one piece and `good` in another; returns
    the name of the first."""
    d = drives(**kw).init().mount()
    rand = random.Random(7)
    for name in 'bad', 'good':
        before = names(d.stores[0])
        write(os.path.join(d.mnt, name), rand.randbytes(5 * MIB))
        d.sync()
        fresh = names(d.stores[0]) - before
        if name == 'bad':
            # The biggest has the leaves, whatever else was written.
            piece = max(fresh, key=lambda n: os.path.getsize(
                os.path.join(d.stores[0], n)))
    return d, piece


def flip_leaf(path):
    """One bit in the third leaf."""
    leaf = [b for b in cars.blocks(path) if b.size > MIB][2]
    flip(path, leaf.offset + leaf.size // 2, 4)


def cut(path):
    leaf = [b for b in cars.blocks(path) if b.size > MIB][2]
    os.truncate(path, leaf.offset + 1000)


DAMAGE = pytest.mark.parametrize('damage', [flip_leaf, cut, os.unlink],
                                 ids=['flip', 'cut', 'delete'])


@contextlib.contextmanager
def whole(store):
    """Whatever is done to the store's pieces is undone afterwards."""
    shutil.copytree(store, store + '.copy')
    yield
    shutil.rmtree(store)
    os.rename(store + '.copy', store)


@DAMAGE
def test_with_one_copy_only_that_file_is_lost_and_it_is_said(drives, damage):
    d, piece = make(drives)
    want = picture(d.mnt)
    d.lose().recover().mount()
    assert sorted(os.listdir(d.mnt)) == ['bad', 'good']
    with whole(d.stores[0]):
        damage(os.path.join(d.stores[0], piece))
        with pytest.raises(OSError) as e:
            read(os.path.join(d.mnt, 'bad'))
        assert e.value.errno == errno.EIO
        assert read(os.path.join(d.mnt, 'good'))
        if damage is flip_leaf:  # the leaves beside it are whole
            with open(os.path.join(d.mnt, 'bad'), 'rb') as f:
                f.seek(4 * MIB)
                assert len(f.read()) == MIB
        errors = d.status()['errors']
        assert any(piece.removesuffix('.car') in e for e in errors), errors
        done = d.run('verify', '--drive', d.name, '--all', check=False)
        assert done.returncode == FOUND
        assert piece.removesuffix('.car') in done.stdout + done.stderr
        if damage is not os.unlink:
            assert os.path.exists(os.path.join(d.stores[0], piece)), \
                'the only copy was removed, damaged as it was'
        # Local work goes on; what is damaged can be removed and written anew.
        write(os.path.join(d.mnt, 'new'), b'local')
        os.rename(os.path.join(d.mnt, 'bad'), os.path.join(d.mnt, 'worse'))
        os.unlink(os.path.join(d.mnt, 'worse'))
        assert sorted(os.listdir(d.mnt)) == ['good', 'new']
        d.lose()  # nobody writes to the store any more
    d.recover().mount()
    assert_same(want, picture(d.mnt))


@DAMAGE
def test_with_two_copies_nobody_notices_and_repair_follows(drives, damage):
    d, piece = make(drives, stores=2, copies=2)
    want = picture(d.mnt)
    d.lose().recover().mount()
    until(lambda: [s['pieces'] for s in d.status()['stores']] ==
          [len(names(s)) for s in d.stores], what='both have been read back')
    for name in (names(d.stores[0]) if damage is os.unlink else [piece]):
        damage(os.path.join(d.stores[0], name))
    assert_same(want, picture(d.mnt))
    done = d.run('verify', '--drive', d.name, '--all', check=False)

    def repaired():
        try:
            return all(read(os.path.join(d.stores[0], n)) ==
                       read(os.path.join(d.stores[1], n))
                       for n in names(d.stores[1]))
        except FileNotFoundError:
            return False
    if done.returncode:
        assert done.returncode == FOUND
        assert piece.removesuffix('.car') in done.stdout + done.stderr
    else:  # the reader has found it before, and it was repaired at once
        assert repaired()
    until(repaired, what='the damaged copy is whole again')
    until(lambda: d.run('verify', '--drive', d.name, '--all',
                        check=False).returncode == 0,
          what='verify is satisfied')
    until(lambda: not d.status()['errors'], what='no error is left')
    d.umount()
    back = drives.adopt(d.recovered(stores=d.stores[:1])).mount()
    assert_same(want, picture(back.mnt))


def test_what_is_lost_is_named_however_many_pieces_are_damaged(drives):
    """status has room for eight errors, and these are not eight blocks."""
    d, files = drives().init().mount(), 9
    for i in range(files):
        write(at(d, f'{i}'), os.urandom(MIB))
        d.sync()
    d = drives.adopt(d.umount().recovered()).mount()
    assert len(os.listdir(d.mnt)) == files
    for name in names(d.stores[0]):
        path = os.path.join(d.stores[0], name)
        for leaf in [b for b in cars.blocks(path) if b.size >= MIB]:
            with open(path, 'r+b') as f:
                f.seek(leaf.offset)
                f.write(bytes(1000))
    for _ in 'before', 'after':
        for i in range(files):
            with pytest.raises(OSError):
                read(at(d, f'{i}'))
        assert d.run('verify', '--drive', d.name, '--all',
                     check=False).returncode == FOUND
    errors = d.status()['errors']
    assert any(f' of {files} files are lost for good' in e for e in errors), errors
    assert any(f'{files} pieces are whole at no store' in e for e in errors), errors


def test_a_piece_that_is_brought_back_counts_again(drives):
    d, piece = make(drives)
    path = os.path.join(d.stores[0], piece)
    # A drive with the bytes in its cache would seal them anew.
    d = drives.adopt(d.umount().recovered()).mount()
    os.rename(path, path + '.away')
    args = ('verify', '--drive', d.name, '--all')
    assert d.run(*args, check=False).returncode == FOUND
    until(lambda: any('at no store' in e for e in d.status()['errors']),
          what='status says it')
    # What cannot be repaired does not hold up what is new.
    write(os.path.join(d.mnt, 'new'), b'x' * 50000)
    d.sync()
    assert d.run(*args, check=False).returncode == FOUND
    os.rename(path + '.away', path)
    assert d.run(*args).returncode == 0
    until(lambda: not d.status()['errors'], what='no error is left')
    assert len(read(os.path.join(d.mnt, 'bad'))) == 5 * MIB


@DAMAGE
def test_what_was_lost_is_named_until_it_is_gone_and_not_after(drives, damage):
    """Who reads status, verify, fsck and gc is told what is lost, what to do
    about it, and nothing any more once that is done."""
    d, piece = make(drives)
    back = drives.adopt(d.umount().recovered()).mount()
    assert sorted(os.listdir(back.mnt)) == ['bad', 'good']
    verify = ('verify', '--drive', back.name, '--all')
    gc = ('gc', '--drive', back.name, '--yes')
    cid = piece.removesuffix('.car')
    damage(os.path.join(back.stores[0], piece))
    with pytest.raises(OSError):
        read(at(back, 'bad'))
    assert any(cid in e for e in back.status()['errors'])
    until(lambda: any(' of /bad are lost for good' in e
                      for e in back.status()['errors']), what='it is named')
    assert any('1 piece is whole at no store' in e
               for e in back.status()['errors'])
    assert not any('No such file' in e
                   for e in back.status()['errors'])
    # It is not the store that is wrong: it answers.
    until(lambda: back.status()['stores'][0]['state'] == 'ok', what='it is ok')
    done = back.run(*verify, check=False)
    assert done.returncode == FOUND
    assert cid in done.stdout and '/bad: ' in done.stdout
    back.umount()
    done = back.run('fsck', '--drive', back.name, '--passfile', back.passfile)
    assert '1 file has lost bytes' in done.stdout
    back.mount()
    with pytest.raises(OSError):
        read(at(back, 'bad'))
    if damage is cut:
        write(at(back, 'bad'), b'written anew')
    else:
        os.unlink(at(back, 'bad'))
    back.sync()
    until(lambda: back.status()['errors'] == [], what='nothing is wrong any more')
    assert back.status()['stores'][0]['error'] is None
    assert 'sound' in back.run(*verify).stdout
    # Only older commits still have it; which of them is in the way is said.
    done = back.run(*gc, check=False)
    if done.returncode:
        hint = re.search(r'gc (--forget-before) (\d+)', done.stderr)
        assert hint and cid in done.stderr, done.stderr
        back.run(*gc, *hint.groups())
    assert back.status()['errors'] == []
    back.umount()
    done = back.run('fsck', '--drive', back.name, '--passfile', back.passfile)
    assert 'lost' not in done.stdout and 'is clean' in done.stdout


@DAMAGE
def test_a_piece_that_was_lost_before_anybody_looked_is_over_too(drives, damage):
    """It is found lost right after a recover, when no folder is known yet that
    could link into it: nobody can say then when that has ended, but verify."""
    d, piece = make(drives)
    d.lose().recover()
    damage(os.path.join(d.stores[0], piece))
    d.mount()
    until(lambda: any('1 piece is whole at no store' in e
                      for e in d.status()['errors']), what='it is lost')
    verify = ('verify', '--drive', d.name, '--all')
    done = d.run(*verify, check=False)
    assert done.returncode == FOUND
    assert piece.removesuffix('.car') in done.stdout and '/bad: ' in done.stdout
    write(at(d, 'new'), b'what is lost is still linked')
    d.sync()
    assert d.run(*verify, check=False).returncode == FOUND
    os.unlink(at(d, 'bad'))
    d.sync()
    assert 'sound' in d.run(*verify).stdout
    assert d.status()['errors'] == []
    write(at(d, 'newer'), b'this commit does not list it any more')
    assert d.sync().run(*verify).returncode == 0
    want = picture(d.mnt)
    d.lose().recover().mount()
    assert_same(want, picture(d.mnt))
    until(lambda: all(not s['unread']['pieces'] for s in d.status()['stores']),
          what='all has been read back')
    assert d.status()['errors'] == []


def test_a_symlink_that_was_lost_is_never_made_up(drives):
    """Its target was not read on this machine: it stays as it was in the commits
    that come, and is there again when its piece is."""
    d = drives().init().mount()
    os.symlink('x' * 300, at(d, 'link'))
    d.sync()
    old = names(d.stores[0])
    write(at(d, 'file'), b'the folder is in another piece')
    d.sync()
    d.lose().recover().mount()
    assert sorted(os.listdir(d.mnt)) == ['file', 'link']
    for name in old:
        path = os.path.join(d.stores[0], name)
        os.rename(path, path + '.away')
    verify = ('verify', '--drive', d.name, '--all')
    assert '/link: 300 bytes are lost' in d.run(*verify, check=False).stdout
    write(at(d, 'file'), b'one more commit')
    d.sync()
    assert '/link: 300 bytes are lost' in d.run(*verify, check=False).stdout
    assert any('/link' in e for e in d.status()['errors'])
    with pytest.raises(OSError):
        os.readlink(at(d, 'link'))
    for name in old:
        path = os.path.join(d.stores[0], name)
        os.rename(path + '.away', path)
    d.lose().recover().mount()
    assert os.readlink(at(d, 'link')) == 'x' * 300


def test_a_symlink_of_a_damaged_piece_is_sealed_anew(drives):
    """Its own block is sound, and its target was not read on this machine."""
    d = drives().init().mount()
    os.symlink('x' * 300, at(d, 'link'))
    write(at(d, 'bad'), os.urandom(5 * MIB))
    d.sync()
    (path,) = [p for p in cars.pieces(d.stores[0])
               if os.path.getsize(p) > 5 * MIB]
    write(at(d, 'file'), b'the folder is in another piece')
    d.sync()
    d.lose().recover().mount()
    assert sorted(os.listdir(d.mnt)) == ['bad', 'file', 'link']
    flip_leaf(path)
    verify = ('verify', '--drive', d.name, '--all')
    assert '/bad: ' in d.run(*verify, check=False).stdout
    os.unlink(at(d, 'bad'))
    d.sync()
    assert 'sound' in d.run(*verify).stdout
    os.unlink(path)
    d.lose().recover().mount()
    assert os.readlink(at(d, 'link')) == 'x' * 300


def test_a_store_that_lies_everywhere_never_gives_wrong_bytes(drives):
    """Each bit of a piece counts: nothing but the right bytes or EIO."""
    d = drives().init().mount()
    rand = random.Random(8)
    for i in range(20):
        write(os.path.join(d.mnt, str(i)), rand.randbytes(20000))
    os.symlink('x' * 300, os.path.join(d.mnt, 'link'))
    os.setxattr(os.path.join(d.mnt, '1'), 'user.x', b'y' * 1000)
    d.sync()
    want = picture(d.mnt)
    d.umount()
    store = d.stores[0]
    (path,) = cars.pieces(store)
    good = read(path)
    wrong = right = 0
    for turn in range(200 if LONG else 12):
        data = bytearray(good)
        for _ in range(3):
            data[rand.randrange(len(data))] ^= 1 << rand.randrange(8)
        write(path, data)
        home = os.path.join(d.dir, f'home{turn}')
        d.home = home
        os.mkdir(home, 0o700)
        done = d.run('recover', '--drive', d.name, *d.store_args(),
                     '--words-file', d.words, '--passfile', d.passfile,
                     check=False)
        if done.returncode == 0:
            d.set(fetch_timeout='2s').mount()
            try:
                assert_same(want, picture(d.mnt))
                right += 1
            except OSError as e:
                assert e.errno == errno.EIO
                wrong += 1
            d.umount()
        else:
            assert done.stderr.strip(), 'refused without a reason'
            wrong += 1
        shutil.rmtree(home)
        os.mkdir(home, 0o700)
    assert wrong > 0
    write(path, good)
    d.recover().mount()
    assert_same(want, picture(d.mnt))


def test_the_newest_commit_is_lost_and_the_one_before_is_offered(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'first'), b'1' * 50000)
    d.sync()
    want, before = picture(d.mnt), names(d.stores[0])
    write(os.path.join(d.mnt, 'second'), b'2' * 50000)
    d.sync().umount()
    for name in names(d.stores[0]) - before:
        os.unlink(os.path.join(d.stores[0], name))
    shutil.rmtree(d.home)
    os.mkdir(d.home, 0o700)
    done = d.run('recover', '--drive', d.name, *d.store_args(), '--words-file',
                 d.words, '--passfile', d.passfile, check=False)
    said = done.stdout + done.stderr
    print(done.returncode, said)
    assert said.strip()
    if done.returncode == 0:
        d.mount()
        got = picture(d.mnt)
        assert b'second' not in got or got[b'second'] != b''
        assert got[b'first'] == want[b'first']


# ---- the outbox ----

def _outbox(d):
    return cars.pieces(os.path.join(d.home, d.name, 'outbox'))


def _in_the_outbox_alone(d):
    """A tree of which no store has a byte."""
    os.rename(d.stores[0], d.stores[0] + '.away')
    os.mkdir(at(d, 'dir'))
    write(at(d, 'dir', 'large'), os.urandom(5 * MIB))
    write(at(d, 'dir', 'small'), os.urandom(3000))
    os.link(at(d, 'dir', 'small'), at(d, 'hard'))
    waiting = d.start_sync()
    until(lambda: d.status()['cache']['dirty_inodes'] == 0,
          what='it is sealed')
    d.umount()
    waiting.wait(PATIENCE)


def test_an_outbox_that_was_deleted_costs_nothing_that_is_in_the_cache(drives):
    d = drives().init().mount()
    write(at(d, 'before'), b'1' * 5000)
    d.sync()
    _in_the_outbox_alone(d)
    lost = _outbox(d)
    assert lost
    for path in lost:
        os.unlink(path)
    d.mount()
    os.rename(d.stores[0] + '.away', d.stores[0])
    write(at(d, 'after'), b'2' * 5000)
    d.sync()
    until(lambda: d.status()['errors'] == [], what='nothing is wrong any more')
    want = picture(d.mnt)
    back = drives.adopt(d.umount().recovered()).mount()
    assert_same(want, picture(back.mnt))


def test_lost_files_are_named_though_nobody_opened_their_folder(drives):
    d = drives().init().mount()
    write(at(d, 'sound'), os.urandom(2 * MIB))
    d.sync()
    before = names(d.stores[0])
    folder = os.path.join(os.fsencode(at(d, 'dir')), b'caf\xe9')
    os.makedirs(folder)
    write(os.path.join(folder, b'lost \xff'), os.urandom(5 * MIB))
    write(at(d, 'dir', 'other'), b'one of two names')
    os.link(at(d, 'dir', 'other'), at(d, 'dir', 'again'))
    d.sync()
    piece = max(names(d.stores[0]) - before, key=lambda n: os.path.getsize(
        os.path.join(d.stores[0], n)))
    write(os.path.join(folder, b'later'), b'the folders are in another piece')
    d.sync()
    back = drives.adopt(d.umount().recovered()).mount()
    os.unlink(os.path.join(back.stores[0], piece))
    done = back.run('verify', '--drive', back.name, '--all', check=False)
    assert done.returncode == FOUND
    assert '/dir/caf\\xe9/lost \\xff: 5242880 bytes are lost' in done.stdout
    # Its inode stood in that piece, too: the table of hard links.
    assert '/dir/again: what it is a name of is lost' in done.stdout
    assert '/sound' not in done.stdout
    assert any('verify' in e for e in back.status()['errors'])


def test_what_is_nowhere_any_more_is_named_and_holds_nobody_up(drives):
    d, piece = make(drives)
    back = drives.adopt(d.umount().recovered()).mount()
    assert sorted(os.listdir(back.mnt)) == ['bad', 'good']
    os.unlink(os.path.join(back.stores[0], piece))
    assert back.run('verify', '--drive', back.name, '--all',
                    check=False).returncode == FOUND
    write(at(back, 'new'), b'3' * 5000)
    back.sync()
    done = back.run('verify', '--drive', back.name, '--all', check=False)
    assert done.returncode == FOUND
    assert '/bad: 5242880 bytes are lost for good' in done.stdout
    assert '/good' not in done.stdout
    assert any('/bad' in e for e in back.status()['errors'])
    want = read(at(back, 'good'))
    os.unlink(at(back, 'bad'))
    back.sync()
    back.run('verify', '--drive', back.name, '--all')
    until(lambda: back.status()['errors'] == [], what='nothing is wrong any more')
    again = drives.adopt(back.umount().recovered()).mount()
    assert sorted(os.listdir(again.mnt)) == ['good', 'new']
    assert read(at(again, 'good')) == want
