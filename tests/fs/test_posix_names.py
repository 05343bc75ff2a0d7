"""Names, links, renames and directories, as on ext4."""
import errno
import os
import socket
import stat
import subprocess

import pytest

from syscalls import (EXCHANGE, NOREPLACE, handle_of, link_fd, open_handle,
                      outcome, read, refused, rename2, same, write)


def paths(folder, *names):
    return [os.path.join(folder, n) for n in names]


def test_a_hard_link_is_the_same_file_and_counts(there):
    a, b = paths(there, 'a', 'b')
    write(a, b'x')
    os.link(a, b)
    assert os.stat(a).st_ino == os.stat(b).st_ino
    assert os.stat(a).st_nlink == os.stat(b).st_nlink == 2
    write(b, b'more')
    assert read(a) == b'more'
    os.unlink(a)
    assert os.stat(b).st_nlink == 1
    assert read(b) == b'more'


def test_after_link_both_names_show_the_plain_size(there):
    # gocryptfs 2.3 shows the size of the ciphertext here.
    a, b = paths(there, 'a', 'b')
    write(a, b'x' * 1024)
    with open(a, 'rb') as f:
        os.link(a, b)
        assert os.fstat(f.fileno()).st_size == 1024
    assert os.stat(a).st_size == os.stat(b).st_size == 1024


def test_a_directory_cannot_be_hard_linked(native, there):
    def op(d):
        os.mkdir(os.path.join(d, 'dir'))
        os.link(*paths(d, 'dir', 'link'))
    assert same(native, there, op) == 'EPERM'


def test_a_symlink_keeps_any_target_and_its_length(there):
    for i, target in enumerate((b'x', b'/absolute/\xff', b'y' * 4095)):
        link = os.path.join(os.fsencode(there), b'%d' % i)
        os.symlink(target, link)
        assert os.readlink(link) == target
        st = os.lstat(link)
        assert stat.S_ISLNK(st.st_mode) and st.st_size == len(target)


def test_a_symlink_is_followed_and_may_dangle(there):
    a, link, lost = paths(there, 'a', 'link', 'lost')
    write(a, b'through')
    os.symlink('a', link)
    os.symlink('nothing', lost)
    assert read(link) == b'through'
    assert refused(lambda: os.stat(lost)) == 'ENOENT'


def test_a_fifo_passes_bytes(there):
    fifo = os.path.join(there, 'fifo')
    os.mkfifo(fifo, 0o640)
    r = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(fifo, os.O_WRONLY)
    try:
        os.write(w, b'through the pipe')
        assert os.read(r, 100) == b'through the pipe'
    finally:
        os.close(r)
        os.close(w)
    assert stat.S_ISFIFO(os.stat(fifo).st_mode)


def test_a_socket_can_be_bound(there):
    cwd = os.getcwd()
    os.chdir(there)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind('sock')
            assert stat.S_ISSOCK(os.stat('sock').st_mode)
    finally:
        os.chdir(cwd)


@pytest.mark.root
def test_a_device_node_is_the_device(there):
    null = os.path.join(there, 'null')
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    st = os.stat(null)
    assert stat.S_ISCHR(st.st_mode)
    assert (os.major(st.st_rdev), os.minor(st.st_rdev)) == (1, 3)


def test_names_of_255_bytes_work_and_256_are_refused(native, there):
    name = os.path.join(there, 'n' * 255)
    write(name, b'long')
    assert os.listdir(there) == ['n' * 255]
    os.rename(name, os.path.join(there, 'm' * 255))
    assert read(os.path.join(there, 'm' * 255)) == b'long'
    assert same(native, there, lambda d: write(
        os.path.join(d, 'n' * 256))) == 'ENAMETOOLONG'
    assert same(native, there, lambda d: os.mkdir(
        os.path.join(d, 'n' * 256))) == 'ENAMETOOLONG'


def test_names_are_any_bytes_but_slash_and_nul(there):
    there = os.fsencode(there)
    names = {b'\xff\xfe', b'\x01', b'\n', b' ', b'-', b'\\', b'"', b"'",
             b'*', b'caf\xc3\xa9', b'cafe\xcc\x81', b'.hidden', b'...',
             b'\xed\xa0\x80', 'ﬁ'.encode(), b'a ', b'a', b'A'}
    for name in names:
        write(os.path.join(there, name), name)
    assert set(os.listdir(there)) == names
    for name in names:
        assert read(os.path.join(there, name)) == name


def test_rename_replaces_a_file_at_once(there):
    a, b = paths(there, 'a', 'b')
    write(a, b'new')
    write(b, b'old')
    ino = os.stat(a).st_ino
    os.rename(a, b)
    assert read(b) == b'new' and os.stat(b).st_ino == ino
    assert os.listdir(there) == ['b']


def test_rename_leaves_no_source_behind(there):
    # kubo's mount did until 0.40.
    a, b = paths(there, 'a', 'b')
    write(a, b'x')
    os.rename(a, b)
    assert refused(lambda: os.stat(a)) == 'ENOENT'
    assert os.listdir(there) == ['b']


def test_rename_of_hard_links_of_one_file_does_nothing(native, there):
    def op(d):
        a, b = paths(d, 'a', 'b')
        write(a, b'x')
        os.link(a, b)
        os.rename(a, b)
        return sorted(os.listdir(d)), os.stat(b).st_nlink
    assert same(native, there, op) == (['a', 'b'], 2)


def test_rename_onto_a_full_directory_is_refused_and_loses_nothing(there):
    # CryFS 0.11.3 succeeds and drops the old tree; rclone 1.67 did so to borg.
    a, b = paths(there, 'a', 'b')
    os.mkdir(a)
    os.mkdir(b)
    write(os.path.join(a, 'new'), b'new')
    write(os.path.join(b, 'old'), b'old')
    assert refused(lambda: os.rename(a, b)) in ('ENOTEMPTY', 'EEXIST')
    assert read(os.path.join(b, 'old')) == b'old'
    assert read(os.path.join(a, 'new')) == b'new'


def test_rename_onto_an_empty_directory_replaces_it(there):
    a, b = paths(there, 'a', 'b')
    os.mkdir(a)
    os.mkdir(b)
    write(os.path.join(a, 'new'), b'new')
    os.rename(a, b)
    assert os.listdir(there) == ['b'] and os.listdir(b) == ['new']


@pytest.mark.parametrize('case', [
    ('file onto dir', 'f', 'd', 'EISDIR'),
    ('dir onto file', 'd', 'f', 'ENOTDIR'),
    ('dir into itself', 'd', 'd/sub', 'EINVAL'),
    ('missing', 'none', 'f', 'ENOENT'),
    ('into missing', 'f', 'none/f', 'ENOENT'),
    ('through file', 'f', 'g/f', 'ENOTDIR'),
    ('dot dot', 'd', 'd/..', 'EBUSY'),
    ('child onto its parent', 'd/c', 'd', 'ENOTEMPTY'),
], ids=lambda c: c[0].replace(' ', '_'))
def test_a_rename_that_cannot_be_is_refused_as_on_ext4(native, there, case):
    def op(d):
        for name in ('f', 'g'):
            write(os.path.join(d, name))
        os.makedirs(os.path.join(d, 'd/c'))
        os.rename(*paths(d, case[1], case[2]))
    assert same(native, there, op) == case[3]


def test_noreplace_moves_to_a_missing_name_and_refuses_a_taken_one(there):
    # With a target that exists the kernel answers by itself.
    a, b, c = paths(there, 'a', 'b', 'c')
    write(a, b'a')
    rename2(a, b, NOREPLACE)
    assert read(b) == b'a' and refused(lambda: os.stat(a)) == 'ENOENT'
    write(c, b'c')
    assert refused(lambda: rename2(b, c, NOREPLACE)) == 'EEXIST'
    assert read(b) == b'a' and read(c) == b'c'


def test_exchange_swaps_a_file_and_a_full_directory(there):
    a, b = paths(there, 'a', 'b')
    write(a, b'file')
    os.mkdir(b)
    write(os.path.join(b, 'in'), b'side')
    rename2(a, b, EXCHANGE)
    assert read(b) == b'file'
    assert read(os.path.join(a, 'in')) == b'side'
    assert refused(lambda: rename2(a, os.path.join(there, 'no'),
                                   EXCHANGE)) == 'ENOENT'


def test_exchange_across_folders_moves_the_link_counts(native, there):
    def op(d):
        x, y = paths(d, 'x', 'y')
        os.makedirs(os.path.join(x, 'dir'))
        os.mkdir(y)
        write(os.path.join(y, 'file'))
        rename2(os.path.join(x, 'dir'), os.path.join(y, 'file'), EXCHANGE)
        return os.stat(x).st_nlink, os.stat(y).st_nlink
    assert same(native, there, op) == (2, 3)


def test_a_directory_counts_its_subdirectories(native, there):
    def op(d):
        got = []
        for i in range(3):
            os.mkdir(os.path.join(d, f's{i}'))
            got.append(os.stat(d).st_nlink)
        os.rmdir(os.path.join(d, 's0'))
        os.rename(*paths(d, 's1', 's2'))
        return got + [os.stat(d).st_nlink]
    assert same(native, there, op) == [3, 4, 5, 3]


@pytest.mark.parametrize('case', [
    ('rmdir of a full one', lambda d: os.rmdir(d + '/full'), 'ENOTEMPTY'),
    ('rmdir of a file', lambda d: os.rmdir(d + '/file'), 'ENOTDIR'),
    ('rmdir of dot', lambda d: os.rmdir(d + '/full/.'), 'EINVAL'),
    ('rmdir of nothing', lambda d: os.rmdir(d + '/none'), 'ENOENT'),
    ('unlink of a dir', lambda d: os.unlink(d + '/full'), 'EISDIR'),
    ('mkdir of a name taken', lambda d: os.mkdir(d + '/file'), 'EEXIST'),
    ('open of a dir to write', lambda d: os.open(d + '/full', os.O_WRONLY),
     'EISDIR'),
    ('create of a name taken', lambda d: os.open(
        d + '/file', os.O_CREAT | os.O_EXCL), 'EEXIST'),
    ('symlink loop', lambda d: os.stat(d + '/loop'), 'ELOOP'),
    ('lookup in a file', lambda d: os.stat(d + '/file/x'), 'ENOTDIR'),
    ('slash after a file', lambda d: os.stat(d + '/file/'), 'ENOTDIR'),
    ('nofollow', lambda d: os.open(d + '/loop', os.O_NOFOLLOW), 'ELOOP'),
], ids=lambda c: c[0].replace(' ', '_'))
def test_what_cannot_be_is_refused_as_on_ext4(native, there, case):
    def op(d):
        os.mkdir(d + '/full')
        write(d + '/full/in')
        write(d + '/file')
        os.symlink('loop', d + '/loop')
        case[1](d)
    assert same(native, there, op) == case[2]


def test_an_open_file_outlives_its_name(there):
    path = os.path.join(there, 'f')
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.write(fd, b'before')
        os.unlink(path)
        assert os.listdir(there) == []
        assert os.fstat(fd).st_nlink == 0
        os.pwrite(fd, b' and after', 6)
        assert os.pread(fd, 100, 0) == b'before and after'
        os.ftruncate(fd, 3)
        assert os.pread(fd, 100, 0) == b'bef'
    finally:
        os.close(fd)


def test_an_open_file_outlives_being_renamed_over(there):
    a, b = paths(there, 'a', 'b')
    write(a, b'new')
    write(b, b'old')
    with open(b, 'rb') as f:
        os.rename(a, b)
        assert f.read() == b'old'


def test_a_removed_directory_that_is_open_takes_no_names(native, there):
    def op(d):
        path = os.path.join(d, 'dir')
        os.mkdir(path)
        fd = os.open(path, os.O_RDONLY)
        try:
            os.rmdir(path)
            return os.listdir(fd), outcome(lambda: os.open(
                'x', os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        finally:
            os.close(fd)
    assert same(native, there, op) == ([], 'ENOENT')


def test_o_tmpfile_has_no_name_until_it_is_linked(there):
    fd = os.open(there, os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        os.write(fd, b'whole')
        assert os.listdir(there) == []
        assert os.fstat(fd).st_nlink == 0
        link_fd(fd, os.path.join(there, 'named'))
    finally:
        os.close(fd)
    assert read(os.path.join(there, 'named')) == b'whole'
    assert os.stat(os.path.join(there, 'named')).st_nlink == 1


def test_o_tmpfile_with_excl_can_never_be_linked(there):
    fd = os.open(there, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    try:
        assert refused(lambda: link_fd(
            fd, os.path.join(there, 'x'))) == 'ENOENT'
    finally:
        os.close(fd)


def test_listing_while_names_go_shows_each_other_name_once(there):
    names = {f'{i:04}' for i in range(2000)}
    for name in names:
        write(os.path.join(there, name))
    seen, gone = [], set()
    with os.scandir(there) as entries:
        for i, entry in enumerate(entries):
            seen.append(entry.name)
            if i < 500:
                other = f'{1999 - i:04}'
                os.unlink(os.path.join(there, other))
                gone.add(other)
    assert len(seen) == len(set(seen))
    assert names - gone <= set(seen) <= names
    assert set(os.listdir(there)) == names - gone


def test_renaming_what_is_listed_comes_to_an_end(there):
    names = [f'{i:05}' for i in range(5000)]
    for name in names:
        write(os.path.join(there, name))
    met = 0
    with os.scandir(there) as listing:
        for entry in listing:
            os.rename(entry.path, os.path.join(there, f'new-{met}'))
            met += 1
            # ext4 lists by hash, and shows some of them once more.
            assert met <= 3 * len(names), 'names come back for ever'
    left = os.listdir(there)
    assert len(left) == len(names) and not set(left) & set(names)


def test_rm_while_listing_empties_a_directory(there):
    for i in range(3000):
        write(os.path.join(there, f'file-{i}'))
    with os.scandir(there) as entries:
        for entry in entries:
            os.unlink(entry.path)
    assert os.listdir(there) == []


def test_a_tree_1000_deep_works_and_comes_back_from_its_words(drives):
    d = drives().init().mount()
    fd = os.open(d.mnt, os.O_RDONLY)
    for i in range(1000):
        os.mkdir(f'd{i}', dir_fd=fd)
        child = os.open(f'd{i}', os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    leaf = os.open('leaf', os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(leaf, b'deep')
    os.close(leaf)
    os.close(fd)
    d.sync()
    d.lose()
    d = drives.adopt(d.recovered()).mount()
    found = subprocess.check_output(['find', '.', '-name', 'leaf'], cwd=d.mnt,
                                    text=True).strip()
    assert found.count('/') == 1001
    fd = os.open(d.mnt, os.O_RDONLY)
    for part in found.split('/')[1:-1]:
        child = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = child
    leaf = os.open('leaf', os.O_RDONLY, dir_fd=fd)
    assert os.read(leaf, 10) == b'deep'
    os.close(leaf)
    os.close(fd)
    subprocess.run(['rm', '-rf', 'd0'], cwd=d.mnt, check=True)
    assert os.listdir(d.mnt) == []


def test_dot_dot_leads_to_the_new_parent_after_a_rename(there):
    a, b = paths(there, 'a', 'b')
    os.makedirs(os.path.join(a, 'moved'))
    os.mkdir(b)
    fd = os.open(os.path.join(a, 'moved'), os.O_RDONLY)
    try:
        os.rename(os.path.join(a, 'moved'), os.path.join(b, 'moved'))
        assert os.stat('..', dir_fd=fd).st_ino == os.stat(b).st_ino
    finally:
        os.close(fd)


@pytest.mark.root
def test_a_file_handle_is_good_until_the_file_is_gone(drives):
    """What NFS servers and some backup programs keep in place of a path."""
    d = drives().init().mount()
    folder = os.path.join(d.mnt, 'folder')
    path = os.path.join(folder, 'f')
    os.mkdir(folder)
    write(path, b'content')
    handles = handle_of(path), handle_of(folder), handle_of(d.mnt)
    for _ in range(2):
        fds = [open_handle(d.mnt, h) for h in handles]
        assert os.read(fds[0], 10) == b'content'
        assert [os.listdir(fd) for fd in fds[1:]] == [['f'], ['folder']]
        assert os.stat('..', dir_fd=fds[1]).st_ino == os.stat(d.mnt).st_ino
        for fd in fds:
            os.close(fd)
        # The kernel has to ask: it knows none of them any more.
        os.rename(path, os.path.join(folder, 'g'))
        os.rename(os.path.join(folder, 'g'), path)
        d.remount()
    os.unlink(path)
    d.remount()
    assert outcome(lambda: open_handle(d.mnt, handles[0])) == 'ESTALE'


def test_an_error_is_never_a_range_error(there):
    # CryFS answers ERANGE where it means "not supported"; tools give up.
    for call in (lambda: os.link(there, there + 'x'),
                 lambda: os.mkfifo(there),
                 lambda: os.getxattr(there, 'user.none'),
                 lambda: os.setxattr(there, 'nonsense.x', b'')):
        with pytest.raises(OSError) as e:
            call()
        assert e.value.errno not in (errno.ERANGE, errno.ENOSYS)
