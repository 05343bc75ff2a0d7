"""What a commit does to the drive that it is made of."""
import errno
import os

from drive import until
from syscalls import flip, read, write


def test_a_changed_attribute_is_clean_after_one_commit(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'file')
    write(path, b'x' * 10000)
    os.mkdir(os.path.join(d.mnt, 'dir'))
    d.sync()
    os.chmod(path, 0o600)
    os.utime(os.path.join(d.mnt, 'dir'), (1, 2))
    os.link(path, os.path.join(d.mnt, 'second'))
    d.sync()
    os.chmod(path, 0o640)
    d.sync()
    until(lambda: d.status()['cache']['dirty_inodes'] == 0,
          what='an inode is dirty for ever: a commit would follow a commit')


def pieces(store):
    found = [os.path.join(store, n) for n in os.listdir(store)]
    return [n for n in found if n.endswith('.car')]


def damaged_only_copy(drives):
    """A drive that is not mounted, and the piece of its only store that has all
    leaves, with a byte changed in it."""
    d = drives().init().mount()
    for i in range(12):  # more than 8 MiB: a piece of leaves alone
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(1 << 20))
    d.sync()
    d.umount()
    largest = max(pieces(d.stores[0]), key=os.path.getsize)
    flip(largest, os.path.getsize(largest) // 2)
    return d, largest


def test_verify_leaves_a_damaged_only_copy_and_commits_go_on(drives):
    d, damaged = damaged_only_copy(drives)
    size = os.path.getsize(damaged)
    d = drives.adopt(d.recovered()).mount()  # has no byte of its own
    done = d.run('verify', '--drive', d.name, '--all', check=False)
    assert done.returncode and os.path.basename(damaged)[:-4] in done.stdout
    write(os.path.join(d.mnt, 'more'), os.urandom(100000))
    d.sync()
    errors = d.status()['errors']
    assert any('at no store' in e for e in errors), errors
    assert os.path.getsize(damaged) == size


def test_what_a_damaged_only_copy_held_is_sealed_anew_from_the_cache(drives):
    d, damaged = damaged_only_copy(drives)
    d.mount()
    held = d.status()['last_commit']['sequence']
    d.run('verify', '--drive', d.name, '--all', check=False)
    until(lambda: d.status()['last_commit']['sequence'] > held,
          what='no commit stands on what is sealed anew')
    want = {n: read(os.path.join(d.mnt, n)) for n in os.listdir(d.mnt)}
    assert len(want) == 12
    d.umount()
    os.remove(damaged)
    back = drives.adopt(d.recovered()).mount()
    assert {n: read(os.path.join(back.mnt, n)) for n in want} == want


def test_a_damaged_copy_is_replaced_from_another_store(drives):
    d = drives(stores=2, copies=2).init().mount()
    write(os.path.join(d.mnt, 'f'), os.urandom(3 << 20))
    d.sync()
    damaged = max(pieces(d.stores[0]), key=os.path.getsize)
    with open(damaged, 'rb') as f:
        want = f.read()
    flip(damaged, len(want) // 2)
    d.run('verify', '--drive', d.name, '--all', check=False)

    def whole():
        try:
            with open(damaged, 'rb') as f:
                return f.read() == want
        except FileNotFoundError:  # the other one is about to come
            return False

    until(whole, what='the damaged copy was not replaced')


def test_two_emptied_stores_are_filled_at_once_from_the_third(drives):
    d = drives(stores=3, copies=3).init().mount()
    for i in range(3):
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(3 << 20))
        d.sync()
    want = sorted(os.path.basename(p) for p in pieces(d.stores[2]))
    for store in d.stores[:2]:
        for piece in pieces(store):
            os.remove(piece)
    d.run('verify', '--drive', d.name, '--all', check=False)

    def filled():
        return all(sorted(os.path.basename(p) for p in pieces(s)) == want
                   for s in d.stores)

    until(filled, what='the stores are not filled again')
    outbox = os.path.join(d.home, d.name, 'outbox')
    until(lambda: not os.listdir(outbox), what='the outbox is not emptied')


def test_more_extended_attributes_than_a_commit_keeps_are_refused(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'file')
    write(path, b'x')
    kept = {}
    refused = None
    for i in range(40):
        try:
            os.setxattr(path, f'user.n{i}', os.urandom(60000))
            kept[f'user.n{i}'] = os.getxattr(path, f'user.n{i}')
        except OSError as e:
            refused = e.errno
            break
    assert refused == errno.ENOSPC and len(kept) > 10
    os.setxattr(path, 'user.n0', b'smaller')  # makes room for another
    kept['user.n0'] = b'smaller'
    os.setxattr(path, 'user.last', b'y' * 50000)
    kept['user.last'] = b'y' * 50000
    d.sync()
    d.umount()
    back = drives.adopt(d.recovered()).mount()
    path = os.path.join(back.mnt, 'file')
    assert {n: os.getxattr(path, n) for n in os.listxattr(path)} == kept
