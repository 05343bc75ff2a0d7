"""Out and back: a drive is onboarded, lost, and recovered from its words."""
import os
import shutil

from conftest import LONG
from syscalls import read, write
from trees import assert_same, make_of_everything, picture


def lose(d):
    """The machine is gone: only words, stores and passphrases stay."""
    d.umount()
    shutil.rmtree(d.home)


def test_words_and_store_bring_everything_back(drives):
    d = drives().init().mount()
    make_of_everything(d.mnt, os.geteuid() == 0)
    want = picture(d.mnt)
    d.sync()
    lose(d)
    back = drives.adopt(d.recovered()).mount()
    assert_same(want, picture(back.mnt))


def test_a_recovered_drive_can_be_written_and_recovered_again(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'first'), b'1' * 100000)
    d.sync()
    lose(d)
    second = drives.adopt(d.recovered()).mount()
    write(os.path.join(second.mnt, 'second'), b'2' * 100000)
    with open(os.path.join(second.mnt, 'first'), 'r+b') as f:
        f.write(b'changed')
    want = picture(second.mnt)
    second.sync()
    lose(second)
    third = drives.adopt(second.recovered()).mount()
    assert_same(want, picture(third.mnt))


def test_recover_and_listing_fetch_no_file(drives):
    d = drives().init().mount()
    for i in range(8):
        write(os.path.join(d.mnt, f'big{i}'), os.urandom(4 << 20))
    d.sync()
    lose(d)
    back = drives.adopt(d.recovered()).mount()
    assert len(os.listdir(back.mnt)) == 8
    for name in os.listdir(back.mnt):
        assert os.stat(os.path.join(back.mnt, name)).st_size == 4 << 20
    assert back.status()['bytes_fetched'] < 2 << 20
    read(os.path.join(back.mnt, 'big3'))
    assert 4 << 20 <= back.status()['bytes_fetched'] < 16 << 20


def test_pieces_show_no_name_and_no_content(drives):
    d = drives().init().mount()
    name, text = b'VERYSECRETNAME', b'VERYSECRETCONTENT'
    write(os.path.join(os.fsencode(d.mnt), name), text * 5000)
    d.sync()
    found = 0
    for where, _, files in os.walk(d.stores[0]):
        for entry in files:
            data = read(os.path.join(where, entry))
            found += len(data)
            assert name not in data and text not in data
    assert found > 0


def test_two_stores_both_hold_a_piece_and_one_is_enough(drives):
    d = drives(stores=2, copies=2).init().mount()
    write(os.path.join(d.mnt, 'f'), b'twice' * 100000)
    d.sync()
    lose(d)
    shutil.rmtree(d.stores[0])
    os.mkdir(d.stores[0])
    back = drives.adopt(d.recovered()).mount()
    assert read(os.path.join(back.mnt, 'f')) == b'twice' * 100000


def holes_of(path):
    """Where data begins and ends, from SEEK_DATA and SEEK_HOLE."""
    fd, found, at = os.open(path, os.O_RDONLY), [], 0
    try:
        while True:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                return found
            end = os.lseek(fd, at, os.SEEK_HOLE)
            found.append((at, end))
            at = end
    finally:
        os.close(fd)


def test_a_recovered_sparse_file_has_its_holes_before_it_is_read(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'sparse')
    mib = 1 << 20
    want = [(3 * mib, 5 * mib), (40 * mib, 41 * mib), (63 * mib, 64 * mib)]
    for at, end in want:
        with open(path, 'r+b' if os.path.exists(path) else 'wb') as f:
            f.seek(at)
            f.write(os.urandom(end - at))
        d.sync()
    with open(path, 'r+b') as f:
        f.truncate(70 * mib + 5)
    d.sync()
    assert holes_of(path) == want
    lose(d)
    back = drives.adopt(d.recovered()).mount()
    path = os.path.join(back.mnt, 'sparse')
    assert holes_of(path) == want
    assert back.status()['bytes_fetched'] < mib
    with open(path, 'r+b') as f:  # and after it is written and lost again
        f.seek(50 * mib)
        f.write(b'x' * mib)
    back.sync()
    lose(back)
    third = drives.adopt(back.recovered()).mount()
    assert holes_of(os.path.join(third.mnt, 'sparse')) == [
        *want[:2], (50 * mib, 51 * mib), want[2]]


def test_one_file_of_a_large_drive_is_all_that_is_fetched(drives):
    """300 MiB, and 2 GiB in the long form: mounting and listing cost nodes, and
    a file costs itself and its read-ahead."""
    d = drives().init().mount()
    n, size = (128 if LONG else 18), 16 << 20
    for i in range(n):
        write(os.path.join(d.mnt, f'{i:03}'), os.urandom(size))
    d.sync()
    lose(d)
    back = drives.adopt(d.recovered()).mount()
    assert len(os.listdir(back.mnt)) == n
    for i in range(n):
        assert os.stat(os.path.join(back.mnt, f'{i:03}')).st_size == size
    assert back.status()['bytes_fetched'] < 1 << 20
    read(os.path.join(back.mnt, '007'))
    assert size <= back.status()['bytes_fetched'] < size + (8 << 20)
