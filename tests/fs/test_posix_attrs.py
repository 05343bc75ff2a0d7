"""Modes, owners, times, extended attributes, ACLs, locks, statfs."""
import contextlib
import errno
import fcntl
import mmap
import multiprocessing
import os
import shutil
import stat
import subprocess
import time

import pytest

from conftest import NATIVE, OPTIONS
from drive import PATIENCE, Drive
from syscalls import (KEEP_SIZE, PUNCH_HOLE, UTIME_NOW, UTIME_OMIT, fallocate,
                      outcome, read, refused, same, utimensat, write)

NOBODY = 65534
SECOND = 10**9
LONG_AGO = 10**9 * SECOND
TICK = 0.02  # seconds: more than the clock of ext4's times needs to move


@pytest.fixture
def path(there):
    return write(os.path.join(there, 'f'), b'content')


@contextlib.contextmanager
def as_user(uid, gid=None, groups=()):
    """File-system calls of this thread as somebody else."""
    os.setgroups(list(groups))
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])


def test_chmod_is_kept_to_the_bit(path):
    for mode in (0o000, 0o600, 0o755, 0o7777, 0o4711, 0o2755):
        os.chmod(path, mode)
        assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_a_file_created_with_mode_000_can_be_written(there):
    path = os.path.join(there, 'locked')
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0)
    os.write(fd, b'once')
    os.close(fd)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0
    assert os.stat(path).st_size == 4


def test_the_umask_applies(native, there):
    def op(d):
        old = os.umask(0o027)
        try:
            os.mkdir(os.path.join(d, 'd'), 0o777)
            os.close(os.open(os.path.join(d, 'f'), os.O_CREAT, 0o666))
            os.mkfifo(os.path.join(d, 'p'), 0o666)
        finally:
            os.umask(old)
        return [os.stat(os.path.join(d, n)).st_mode for n in 'dfp']
    same(native, there, op)


@pytest.mark.root
def test_chown_is_kept_and_one_side_may_be_left(path):
    os.chown(path, 1234, 5678)
    os.chown(path, -1, 42)
    st = os.stat(path)
    assert (st.st_uid, st.st_gid) == (1234, 42)


@pytest.mark.root
def test_chown_drops_suid_and_sgid_as_on_ext4(native, there):
    def op(d):
        f = write(os.path.join(d, 'f'))
        got = []
        for mode in (0o6755, 0o6745, 0o2745, 0o4644):
            os.chmod(f, mode)
            with as_user(0):
                os.chown(f, 1000, 1000)
            got.append(stat.S_IMODE(os.stat(f).st_mode))
        return got
    same(native, there, op)


@pytest.mark.root
def test_a_write_by_another_drops_suid_and_sgid(native, there):
    def op(d):
        f = write(os.path.join(d, 'f'), b'x')
        os.chmod(f, 0o6777)
        os.chmod(d, 0o755)
        with as_user(NOBODY):
            write(f, b'y', 'r+b')
        return stat.S_IMODE(os.stat(f).st_mode)
    assert same(native, there, op) == 0o777


@pytest.mark.root
@pytest.mark.parametrize('mode', [0o6644, 0o6755, 0o4711, 0o6745])
@pytest.mark.parametrize('change', ['write', 'direct', 'punch', 'copy'])
def test_who_asks_for_the_mode_alone_sees_no_suid_after_a_write(
        native, there, mode, change):
    """As execve(2) does, and stat(1): the rest of the attributes is not asked
    for, so nothing else makes the kernel look again."""
    def op(d):
        f, other = os.path.join(d, 'f'), os.path.join(d, 'g')
        os.chmod(d, 0o755)
        write(f, bytes(8192))
        write(other, b'z' * 4096)
        for path in f, other:
            os.chown(path, NOBODY, NOBODY)
        os.chmod(f, mode)
        show = ['stat', '-c', '%a', f]
        assert subprocess.check_output(show, text=True).strip() == f'{mode:o}'
        flags = os.O_RDWR | (os.O_DIRECT if change == 'direct' else 0)
        with as_user(NOBODY):
            fd, src = os.open(f, flags), os.open(other, os.O_RDONLY)
            block = mmap.mmap(-1, 4096)
            if change == 'punch':
                fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4096)
            elif change == 'copy':
                os.copy_file_range(src, fd, 4096, 0, 0)
            else:
                os.writev(fd, [block])
            os.close(fd)
            os.close(src)
        return subprocess.check_output(show, text=True).strip()
    same(native, there, op)


@pytest.mark.root
@pytest.mark.parametrize('who', ['outsider', 'member', 'root'])
@pytest.mark.parametrize('change', ['write', 'direct', 'truncate', 'allocate',
                                    'punch', 'copy', 'chown', 'mmap'])
def test_sgid_without_group_execution_goes_by_who_changes(native, there, who,
                                                          change):
    """It stays if that is one of the file's group, be it by a supplementary
    group, or root: what the kernel does on its own file systems."""
    def op(d):
        f, other = os.path.join(d, 'f'), os.path.join(d, 'g')
        os.chmod(d, 0o755)
        write(f, bytes(8192))
        write(other, b'z' * 4096)
        os.chown(f, 1000 if change == 'chown' else 0, 4242)
        os.chown(other, NOBODY, NOBODY)
        uid = {'root': 0, 'outsider': 1000, 'member': 1000}[who]
        got = []
        for mode in 0o6666, 0o2666, 0o6676, 0o2646:
            os.chmod(f, mode)
            flags = os.O_RDWR | (os.O_DIRECT if change == 'direct' else 0)
            with as_user(uid, groups=[7, 4242] if who == 'member' else [7]):
                fd, src = os.open(f, flags), os.open(other, os.O_RDONLY)
                block = mmap.mmap(-1, 4096)
                if change == 'truncate':
                    os.truncate(fd, 4096)
                elif change == 'allocate':
                    fallocate(fd, 0, 0, 12288)
                elif change == 'punch':
                    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4096)
                elif change == 'copy':
                    os.copy_file_range(src, fd, 4096, 0, 0)
                elif change == 'chown':
                    os.chown(f, uid, 7)
                elif change == 'mmap':
                    with mmap.mmap(fd, 4096) as m:
                        m[0] = 1
                        m.flush()
                else:
                    os.writev(fd, [block])
                os.close(fd)
                os.close(src)
            got.append(f'{stat.S_IMODE(os.stat(f).st_mode):o}')
            os.chown(f, 1000 if change == 'chown' else 0, 4242)
        return got
    same(native, there, op)


@pytest.mark.root
@pytest.mark.parametrize('mode,uid,gid,want', [
    (0o600, NOBODY, NOBODY, 'EACCES'), (0o604, NOBODY, NOBODY, b'content'),
    (0o640, 1000, 77, b'content'), (0o004, 1000, 77, 'EACCES'),
    (0o400, 1000, 1, b'content'), (0o040, 1000, 1000, 'EACCES')])
def test_permissions_are_enforced(native, there, mode, uid, gid, want):
    def op(d):
        f = write(os.path.join(d, 'f'), b'content')
        os.chown(f, 1000 if mode != 0o640 else 5, 77)
        os.chmod(f, mode)
        with as_user(uid, gid):
            return read(f)
    assert same(native, there, op) == want


@pytest.mark.root
def test_a_sticky_directory_protects_the_files_of_others(native, there):
    def op(d):
        os.chmod(d, 0o1777)
        f = write(os.path.join(d, 'f'))
        with as_user(NOBODY):
            write(os.path.join(d, 'own'))
            os.unlink(os.path.join(d, 'own'))
            return (outcome(lambda: os.unlink(f)),
                    outcome(lambda: os.rename(f, f + '2')))
    assert same(native, there, op) == ('EPERM', 'EPERM')


@pytest.mark.root
@pytest.mark.parametrize('mode', [0o1777, 0o1775, 0o777])
def test_sticky_rules_are_those_of_ext4(native, there, mode):
    """Who owns the file, the folder, or neither; to remove, rename away, rename
    over, and move a folder."""
    def op(d):
        got = []
        os.chmod(d, 0o755)
        for owner, folder in (NOBODY, 0), (0, NOBODY), (0, 0), (77, 78):
            top = os.path.join(d, f'{owner}-{folder}')
            os.mkdir(top)
            paths = [os.path.join(top, n) for n in ('a', 'b', 'c', 'own')]
            for path in paths[:3]:
                write(path)
                os.chown(path, owner, owner)
            sub = os.path.join(top, 'd')
            os.mkdir(sub)
            os.chown(sub, owner, owner)
            os.chown(top, folder, NOBODY)
            os.chmod(top, mode)
            with as_user(NOBODY):
                write(paths[3])
                got += [outcome(lambda: os.unlink(paths[0])),
                        outcome(lambda: os.rename(paths[1], paths[1] + '2')),
                        outcome(lambda: os.rename(paths[3], paths[2])),
                        outcome(lambda: os.rename(sub, sub + '2')),
                        outcome(lambda: os.rmdir(sub)),
                        outcome(lambda: os.link(paths[2], paths[2] + '2'))]
        return got
    same(native, there, op)


@pytest.mark.root
def test_a_setgid_directory_is_as_on_ext4_for_one_outside_the_group(native,
                                                                    there):
    def op(d):
        top = os.path.join(d, 'top')
        os.chmod(d, 0o755)
        os.mkdir(top)
        os.chown(top, 0, 4242)
        os.chmod(top, 0o2777)
        got = []
        for groups in [], [4242]:
            with as_user(NOBODY, groups=groups):
                names = [os.path.join(top, f'{n}{len(groups)}') for n in 'fdxp']
                os.close(os.open(names[0], os.O_CREAT, 0o2755))
                os.mkdir(names[1])
                os.close(os.open(names[2], os.O_CREAT, 0o644))
                os.chmod(names[2], 0o2755)
                os.mkfifo(names[3], 0o2666)
            got += [(os.stat(n).st_gid, oct(os.stat(n).st_mode)) for n in names]
        return got
    same(native, there, op)


@pytest.mark.root
def test_a_setgid_directory_hands_its_group_down(native, there):
    def op(d):
        top = os.path.join(d, 'top')
        os.mkdir(top)
        os.chown(top, 0, 4242)
        os.chmod(top, 0o2777)
        write(os.path.join(top, 'f'))
        os.mkdir(os.path.join(top, 'd'))
        return [(os.stat(os.path.join(top, n)).st_gid,
                 oct(os.stat(os.path.join(top, n)).st_mode)) for n in 'fd']
    same(native, there, op)


def test_chmod_is_never_refused_to_the_owner(there, path):
    # restic 0.18 stops when a chmod is "not supported".
    os.symlink('f', os.path.join(there, 'link'))
    os.chmod(os.path.join(there, 'link'), 0o640)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert read(path) == b'content'  # kubo's emptied the file


def test_times_are_kept_to_the_nanosecond(path):
    for ns in (1, 999999999, 1234567890123456789, -5 * SECOND + 7,
               (2**31 + 5) * SECOND + 3, 4102444800 * SECOND,
               -2**31 * SECOND, 15032385535 * SECOND + 999999998):
        os.utime(path, ns=(ns, ns + 1))
        st = os.stat(path)
        assert (st.st_atime_ns, st.st_mtime_ns) == (ns, ns + 1)
    assert read(path) == b'content'


@pytest.mark.parametrize('which', ['neither', 'atime', 'mtime', 'now'])
def test_utimensat_sets_what_it_is_told_and_omits_the_rest(native, there,
                                                           which):
    """UTIME_OMIT and UTIME_NOW; whether ctime moves, too."""
    def op(d):
        path = write(os.path.join(d, 'f'), b'content')
        os.utime(path, ns=(3 * SECOND + 1, 4 * SECOND + 2))
        before = os.stat(path)
        time.sleep(TICK)
        given = {'neither': (UTIME_OMIT, UTIME_OMIT), 'atime': (5, UTIME_OMIT),
                 'mtime': (UTIME_OMIT, 5), 'now': (UTIME_NOW, UTIME_OMIT)}
        utimensat(path, *given[which])
        after = os.stat(path)
        return (after.st_atime_ns if which != 'now' else
                after.st_atime_ns >= before.st_ctime_ns,
                after.st_mtime_ns, after.st_ctime_ns != before.st_ctime_ns)
    same(native, there, op)


@pytest.mark.root
def test_who_may_set_times_is_as_on_ext4(native, there):
    """The owner to anything, who may write to now, nobody else."""
    def op(d):
        os.chmod(d, 0o755)
        got = []
        for mode, owner in (0o666, 0), (0o644, 0), (0o400, NOBODY):
            path = write(os.path.join(d, f'{mode:o}'), b'content')
            os.chmod(path, mode)
            os.chown(path, owner, 0)
            with as_user(NOBODY):
                got += [outcome(lambda: os.utime(path)),
                        outcome(lambda: utimensat(path, UTIME_NOW, UTIME_OMIT)),
                        outcome(lambda: utimensat(path, UTIME_OMIT, UTIME_OMIT)),
                        outcome(lambda: os.utime(path, ns=(5, 5)))]
        return got
    same(native, there, op)


def test_times_of_a_symlink_are_its_own(there, path):
    link = os.path.join(there, 'link')
    os.symlink('f', link)
    before = os.stat(path).st_mtime_ns
    os.utime(link, ns=(5, 6), follow_symlinks=False)
    assert os.lstat(link).st_mtime_ns == 6
    assert os.stat(path).st_mtime_ns == before


@pytest.mark.parametrize('change,moves', [
    (lambda f: write(f, b'x', 'ab'), 'mc'),
    (lambda f: os.truncate(f, 3), 'mc'),
    (lambda f: os.chmod(f, 0o611), 'c'),
    (lambda f: os.link(f, f + '2'), 'c'),
    (lambda f: os.rename(f, f + '3'), 'c'),
    (lambda f: os.setxattr(f, 'user.a', b'b'), 'c'),
    (lambda f: os.utime(f, ns=(1, 1)), 'mc'),
    (read, ''),
], ids=['write', 'truncate', 'chmod', 'link', 'rename', 'setxattr', 'utime',
        'read'])
def test_a_change_moves_the_times_it_should(path, change, moves):
    fd = os.open(path, os.O_RDONLY)
    try:
        before = os.fstat(fd)
        time.sleep(0.02)  # more than a tick of the kernel's coarse clock
        change(path)
        after = os.fstat(fd)
        assert (after.st_mtime_ns != before.st_mtime_ns) == ('m' in moves)
        assert (after.st_ctime_ns != before.st_ctime_ns) == ('c' in moves)
        assert after.st_ctime_ns >= before.st_ctime_ns
    finally:
        os.close(fd)


def _shows(path, option):
    out = subprocess.check_output(['findmnt', '-no', 'OPTIONS', '-T', path],
                                  text=True)
    return option in out.strip().split(',')


def _read_by(how, path):
    flags = os.O_RDONLY | (os.O_NOATIME if how == 'noatime' else 0)
    if how == 'readlink':
        os.readlink(path)
    elif how == 'list':
        os.listdir(path)
    elif how == 'stat':
        os.stat(path)
    elif how == 'run':
        subprocess.run([path], check=True)
    elif how == 'write':
        os.close(os.open(path, os.O_WRONLY))
    else:
        fd = os.open(path, flags)
        if how == 'mmap':
            with mmap.mmap(fd, 2, prot=mmap.PROT_READ) as m:
                assert m[0] == ord('#')
        else:
            os.read(fd, 100)
        os.close(fd)


@pytest.fixture(scope='module')
def relatime():
    with Drive(options=(*OPTIONS, 'relatime')) as d:
        yield d.init().mount()


@pytest.mark.parametrize('how', ['read', 'noatime', 'mmap', 'run', 'stat',
                                 'write', 'readlink', 'list'])
def test_relatime_moves_access_times_as_on_ext4(native, relatime, how):
    """Once after each change, whether the kernel has the bytes in memory or
    not: whoever looks for unread mail goes by that."""
    if not _shows(native, 'relatime'):
        pytest.skip('this machine has no ext4 with relatime')

    def op(d):
        path, got = os.path.join(d, 'f'), []
        if how == 'readlink':
            os.symlink('x', path)
        elif how == 'list':
            os.mkdir(path)
        else:
            write(path, b'#!/bin/sh\n')
            os.chmod(path, 0o755)
        for _ in range(2):
            before = LONG_AGO
            os.utime(path, ns=(before, LONG_AGO), follow_symlinks=False)
            for _ in range(3):
                time.sleep(TICK)
                _read_by(how, path)
                now = os.stat(path, follow_symlinks=False).st_atime_ns
                got.append(now != before)
                before = now
            if how not in ('readlink', 'list'):
                write(path, b'# changed\n', 'ab')
        return got
    there = os.path.join(relatime.mnt, how)
    os.mkdir(there)
    moved = same(native, there, op)
    assert moved == [how not in ('noatime', 'stat', 'write'), False, False] * 2


def test_strictatime_moves_access_times_each_time(drives):
    d = drives().init().mount('strictatime')
    path = write(os.path.join(d.mnt, 'f'), b'#content')
    for target in path, d.mnt:
        before = 0
        for _ in range(3):
            time.sleep(TICK)
            _read_by('list' if target == d.mnt else 'read', target)
            now = os.stat(target).st_atime_ns
            assert now > before
            before = now
        _read_by('noatime', path)
        assert os.stat(target).st_atime_ns == before
    d.umount().mount('ro', 'strictatime')
    before = os.stat(path).st_atime_ns
    _read_by('read', path)
    assert os.stat(path).st_atime_ns == before


def test_an_access_time_is_kept_and_is_no_change_to_commit(relatime):
    path = write(os.path.join(relatime.mnt, 'f'), b'content')
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    relatime.sync()
    commit = relatime.status()['last_commit']
    assert read(path) == b'content'
    moved = os.stat(path).st_atime_ns
    assert moved > LONG_AGO
    assert relatime.sync().status()['last_commit'] == commit
    relatime.remount()
    assert os.stat(path).st_atime_ns == moved
    assert os.stat(path).st_mtime_ns == LONG_AGO


@pytest.mark.skipif(NATIVE, reason='ext4 has relatime')
def test_without_relatime_reading_moves_no_access_time(path):
    assert _shows(path, 'noatime')
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    assert read(path) == b'content'
    os.listdir(os.path.dirname(path))
    assert os.stat(path).st_atime_ns == LONG_AGO


def test_a_name_that_comes_or_goes_moves_its_folders_times(there):
    before = os.stat(there)
    for change in (lambda: write(there + '/a'),
                   lambda: os.rename(there + '/a', there + '/b'),
                   lambda: os.unlink(there + '/b')):
        time.sleep(0.02)
        change()
        after = os.stat(there)
        assert after.st_mtime_ns > before.st_mtime_ns
        assert after.st_ctime_ns > before.st_ctime_ns
        before = after


@pytest.mark.parametrize('space', ['user', pytest.param(
    'trusted', marks=pytest.mark.root)])
def test_extended_attributes_are_kept_listed_and_removed(path, space):
    a, b = f'{space}.a', f'{space}.\xfc' + 'n' * 100
    os.setxattr(path, a, b'1')
    os.setxattr(path, b, bytes(range(256)))
    os.setxattr(path, a, b'')
    assert set(os.listxattr(path)) == {a, b}
    assert os.getxattr(path, a) == b''
    assert os.getxattr(path, b) == bytes(range(256))
    os.removexattr(path, a)
    assert os.listxattr(path) == [b]
    assert refused(lambda: os.getxattr(path, a)) == 'ENODATA'
    assert refused(lambda: os.removexattr(path, a)) == 'ENODATA'


@pytest.mark.root
def test_a_file_capability_is_kept_honoured_and_lost_by_a_write(native, there):
    """security.capability as setcap(8) writes it: cap_net_raw+ep."""
    cap = bytes.fromhex('01000002 00200000 00000000 00000000 00000000')

    def op(d):
        os.chmod(d, 0o755)
        path = os.path.join(d, 'cat')
        shutil.copy('/bin/cat', path)
        os.setxattr(path, 'security.capability', cap)
        assert os.getxattr(path, 'security.capability') == cap
        status = subprocess.run([path, '/proc/self/status'], user=NOBODY,
                                extra_groups=[], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
        got = [x for x in status.splitlines() if x.startswith('CapEff')]
        for change in ('chmod', 'rename', 'write', 'chown', 'truncate'):
            os.setxattr(path, 'security.capability', cap)
            if change == 'chmod':
                os.chmod(path, 0o711)
            elif change == 'rename':
                os.rename(path, path + '2')
                os.rename(path + '2', path)
            elif change == 'write':
                write(path, b'x', 'ab')
            elif change == 'chown':
                os.chown(path, NOBODY, NOBODY)
            else:
                os.truncate(path, 5)
            got.append((change, outcome(lambda: os.getxattr(
                path, 'security.capability'))))
        return got
    got = same(native, there, op)
    assert got[0].split() == ['CapEff:', '0000000000002000']


def test_extended_attribute_flags_are_obeyed(path):
    assert refused(lambda: os.setxattr(path, 'user.a', b'', os.XATTR_REPLACE)
                   ) == 'ENODATA'
    os.setxattr(path, 'user.a', b'1', os.XATTR_CREATE)
    assert refused(lambda: os.setxattr(path, 'user.a', b'', os.XATTR_CREATE)
                   ) == 'EEXIST'
    os.setxattr(path, 'user.a', b'2', os.XATTR_REPLACE)
    assert os.getxattr(path, 'user.a') == b'2'


def test_a_long_extended_attribute_is_kept_whole(path):
    value = os.urandom(3000)
    os.setxattr(path, 'user.' + 'n' * 250, value)
    assert os.getxattr(path, 'user.' + 'n' * 250) == value
    assert refused(lambda: os.setxattr(path, 'user.' + 'n' * 251, b'')
                   ) == 'ERANGE'
    assert refused(lambda: os.setxattr(path, 'user.big', bytes(65537))
                   ) == 'E2BIG'


def test_a_symlink_takes_no_user_attributes(native, there):
    def op(d):
        os.symlink('x', os.path.join(d, 'l'))
        os.setxattr(os.path.join(d, 'l'), 'user.a', b'',
                    follow_symlinks=False)
    assert same(native, there, op) == 'EPERM'


def acl(path):
    return subprocess.check_output(['getfacl', '-cpn', path], text=True)


def test_an_acl_is_kept_and_shows_in_the_mode(native, there):
    def op(d):
        f = write(os.path.join(d, 'f'))
        os.chmod(f, 0o640)
        subprocess.check_call(['setfacl', '-m', 'u:1234:rw,g:77:r', f])
        return acl(f), oct(os.stat(f).st_mode)
    assert 'user:1234:rw-' in same(native, there, op)[0]


def test_chmod_sets_the_mask_of_an_acl(native, there):
    def op(d):
        f = write(os.path.join(d, 'f'))
        subprocess.check_call(['setfacl', '-m', 'u:1234:rwx', f])
        os.chmod(f, 0o604)
        return acl(f)
    same(native, there, op)


def test_a_default_acl_is_inherited(native, there):
    def op(d):
        top = os.path.join(d, 'top')
        os.mkdir(top)
        subprocess.check_call(['setfacl', '-d', '-m', 'u:1234:rwx,m:rx', top])
        os.mkdir(os.path.join(top, 'd'))
        write(os.path.join(top, 'f'))
        return [acl(os.path.join(top, n)) for n in 'df']
    assert 'default:user:1234:rwx' in same(native, there, op)[0]


@pytest.mark.root
def test_an_acl_is_enforced(native, there):
    def op(d):
        f = write(os.path.join(d, 'f'), b'for one user')
        os.chmod(f, 0o600)
        subprocess.check_call(['setfacl', '-m', f'u:{NOBODY}:r', f])
        with as_user(NOBODY):
            got = read(f)
        with as_user(1000):
            return got, outcome(lambda: read(f))
    assert same(native, there, op) == (b'for one user', 'EACCES')


def held_elsewhere(path, take):
    """What `take` meets in another process."""
    def child(pipe):
        with open(path, 'r+b') as f:
            pipe.send(outcome(lambda: take(f)))
    here, far = multiprocessing.Pipe()
    p = multiprocessing.get_context('fork').Process(target=child, args=(far,))
    p.start()
    assert here.poll(PATIENCE), 'the other process hangs'
    got = here.recv()
    p.join()
    return got


@pytest.mark.parametrize('lock', [fcntl.flock, fcntl.lockf],
                         ids=['flock', 'fcntl'])
def test_a_lock_keeps_other_processes_out(path, lock):
    def take(f):
        lock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(path, 'r+b') as f:
        take(f)
        assert held_elsewhere(path, take) in ('EAGAIN', 'EACCES')
        lock(f, fcntl.LOCK_UN)
        assert held_elsewhere(path, take) is None


def test_byte_range_locks_only_meet_where_they_overlap(path):
    with open(path, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
        flags = fcntl.LOCK_EX | fcntl.LOCK_NB
        assert held_elsewhere(path, lambda g: fcntl.lockf(
            g, flags, 10, 10)) is None
        assert held_elsewhere(path, lambda g: fcntl.lockf(
            g, flags, 10, 5)) in ('EAGAIN', 'EACCES')


def test_statfs_tells_what_df_and_installers_ask(there):
    st = os.statvfs(there)
    assert st.f_bsize == st.f_frsize == 4096
    assert st.f_namemax == 255
    assert st.f_blocks * st.f_frsize >= 64 << 20
    assert 0 < st.f_bavail <= st.f_bfree <= st.f_blocks
    assert 0 < st.f_ffree <= st.f_files  # df -i divides by it


def test_blocks_count_what_is_written(path):
    write(path, os.urandom(1 << 20))
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    assert (1 << 20) <= os.stat(path).st_blocks * 512 <= (1 << 20) + 65536


def test_every_file_has_a_number_of_its_own(there):
    for i in range(300):
        write(os.path.join(there, str(i)))
    with os.scandir(there) as entries:
        listed = {e.name: e.inode() for e in entries}
    assert len(set(listed.values())) == 300
    for name, ino in listed.items():
        assert os.stat(os.path.join(there, name)).st_ino == ino


def test_unsupported_attribute_spaces_are_refused_clearly(path):
    with pytest.raises(OSError) as e:
        os.setxattr(path, 'nonsense.a', b'')
    assert e.value.errno == errno.EOPNOTSUPP


@pytest.mark.root
@pytest.mark.skipif(os.path.exists('/sys/fs/selinux/enforce'),
                    reason='this machine has SELinux, which answers itself')
def test_labels_are_said_to_be_unsupported_until_a_file_has_one(drives):
    """Else ls -l asks for each file."""
    label, value = 'security.selinux', b'system_u:object_r:etc_t:s0\0'
    drive = drives().init().mount()
    a, b = (os.path.join(drive.mnt, n) for n in 'ab')
    for path in (a, b):
        write(path)
        assert refused(lambda p=path: os.getxattr(p, label)) == 'ENOTSUP'
    # and only of these: others are asked for by name
    assert refused(lambda: os.getxattr(a, 'security.other')) == 'ENODATA'
    os.setxattr(a, label, value)
    assert os.getxattr(a, label) == value
    assert refused(lambda: os.getxattr(b, label)) == 'ENODATA'
    drive.remount()
    assert refused(lambda: os.getxattr(b, label)) == 'ENOTSUP'
    assert os.getxattr(a, label) == value
    assert refused(lambda: os.getxattr(b, label)) == 'ENODATA'
