"""Calls beside read and write: splice, sendfile, io_uring, notification, locks of
open files; and what a mount that becomes read only, a daemon that stands still,
and a cache that is full do to open files."""
import ctypes
import errno
import fcntl
import mmap
import multiprocessing
import os
import random
import select
import shutil
import signal
import struct
import subprocess

import pytest

from drive import PATIENCE, CommandFailed, until
from syscalls import outcome, read, refused, same, write

MIB = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)
F_OFD_GETLK, F_OFD_SETLK = 36, 37


def checked(got):
    if got < 0:
        raise OSError(ctypes.get_errno(), 'libc')
    return got


# ---- moving bytes without a buffer ----

@pytest.mark.parametrize('off,n', [(0, 3 * MIB), (1000, 70001), (4096, 4096)])
def test_sendfile_sends_exactly_that_both_ways(native, there, off, n):
    data = random.Random(off).randbytes(3 * MIB + 17)
    ours = write(os.path.join(there, 'f'), data)
    for source, target in ((ours, os.path.join(native, 'out')),
                           (write(os.path.join(native, 'f'), data),
                            os.path.join(there, 'out')),
                           (ours, os.path.join(there, 'both'))):
        with open(source, 'rb') as a, open(target, 'wb') as b:
            done = 0
            while done < n:
                got = os.sendfile(b.fileno(), a.fileno(), off + done, n - done)
                assert got
                done += got
        assert read(target) == data[off:off + n]


def test_splice_carries_a_file_through_a_pipe(there):
    data = random.Random(2).randbytes(MIB + 5)
    source = write(os.path.join(there, 'f'), data)
    target = os.path.join(there, 'out')
    r, w = os.pipe()
    with open(source, 'rb') as a, open(target, 'wb') as b:
        left, at = len(data), 0
        while left:
            got = os.splice(a.fileno(), w, min(left, 65536), offset_src=at)
            at += got
            left -= got
            while got:
                got -= os.splice(r, b.fileno(), got)
    os.close(r)
    os.close(w)
    assert read(target) == data


@pytest.mark.parametrize('direct', [0, 1])
def test_io_uring_reads_back_what_it_wrote(there, direct):
    if shutil.which('fio') is None:
        pytest.skip('this machine has no fio')
    off = '/proc/sys/kernel/io_uring_disabled'
    if os.path.exists(off) and int(read(off)) == 2:
        pytest.skip('this machine lets nobody use io_uring')
    done = subprocess.run(
        ('fio', '--name=t', f'--directory={there}', '--rw=randrw', '--bs=4k',
         '--size=2m', '--ioengine=io_uring', '--iodepth=16',
         f'--direct={direct}', '--verify=crc32c', '--verify_fatal=1',
         '--randseed=3', '--fallocate=none', '--fixedbufs'), cwd=there,
        check=False, timeout=PATIENCE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


# ---- being told of changes ----

def events(folder, changes):
    """What inotify(7) says of a folder: (names of the events, name)."""
    names = {0x2: 'modify', 0x4: 'attrib', 0x8: 'close_write', 0x40: 'from',
             0x80: 'to', 0x100: 'create', 0x200: 'delete', 0x400: 'self'}
    fd = checked(_libc.inotify_init1(os.O_CLOEXEC))
    try:
        checked(_libc.inotify_add_watch(fd, os.fsencode(folder),
                                        sum(names)))
        changes(folder)
        seen, cookies = [], []
        while select.select([fd], [], [], 0)[0]:
            data = os.read(fd, 65536)
            while data:
                _, mask, cookie, n = struct.unpack('iIII', data[:16])
                name = data[16:16 + n].rstrip(b'\0').decode()
                seen.append(('+'.join(v for k, v in names.items()
                                      if mask & k), name))
                if cookie:
                    cookies.append(cookie)
                data = data[16 + n:]
        assert len(cookies) == 2 * len(set(cookies)), 'from and to belong'
        return seen
    finally:
        os.close(fd)


def test_inotify_says_what_it_says_on_ext4(native, there):
    def changes(d):
        a, b = os.path.join(d, 'a'), os.path.join(d, 'b')
        write(a, b'content')
        write(a, b'more', 'ab')
        os.chmod(a, 0o600)
        os.utime(a, (1, 1))
        os.truncate(a, 3)
        os.link(a, b)
        os.rename(b, os.path.join(d, 'c'))
        os.unlink(a)
        write(a)
        os.rename(a, os.path.join(d, 'c'))
        os.symlink('x', a)
        os.mkdir(b)
        os.rmdir(b)
        os.unlink(a)
        write(os.path.join(d, 'c'), b'abc')
        with open(os.path.join(d, 'c'), 'r+b') as f, \
                mmap.mmap(f.fileno(), 3) as m:
            m[0:1] = b'y'
            m.flush()
    got = same(native, there, lambda d: events(d, changes))
    assert isinstance(got, list), got
    assert ('create', 'a') in got and ('from', 'b') in got


@pytest.mark.root
def test_fanotify_tells_of_the_whole_mount(drive, there):
    """By file descriptor, as virus scanners have it.  (Of a whole mount by handle
    it wants a file system with an fsid, which FUSE does not have.)"""
    close_write, opened = 0x8, 0x20
    fd = _libc.fanotify_init(0, os.O_RDONLY)
    if fd < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
        pytest.skip('this machine lets nobody use fanotify')
    checked(fd)
    try:
        checked(_libc.fanotify_mark(fd, 0x1 | 0x10,  # FAN_MARK_MOUNT
                                    ctypes.c_uint64(close_write | opened), -100,
                                    os.fsencode(drive.mnt)))
        path = write(os.path.join(there, 'f'), b'content')
        seen, data = {}, os.read(fd, 65536)
        while data:
            n, _, _, _, mask, at, _ = struct.unpack('IBBHQii', data[:24])
            name = os.readlink(f'/proc/self/fd/{at}')
            seen[name] = seen.get(name, 0) | mask
            if name == path:
                assert os.pread(at, 10, 0) == b'content'
            os.close(at)
            data = data[n:]
        assert seen[path] & (close_write | opened) == close_write | opened
    finally:
        os.close(fd)


# ---- locks of open files ----

def ofd_lock(fd, kind, start, n, call=F_OFD_SETLK):
    got = fcntl.fcntl(fd, call, struct.pack('hhqqi4x', kind, 0, start, n, 0))
    return struct.unpack('hhqqi4x', got)[0]


def test_locks_belong_to_open_files_not_to_processes(there):
    path = write(os.path.join(there, 'f'), b'x' * 100)
    a, b = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    again = os.dup(a)
    try:
        ofd_lock(a, fcntl.F_WRLCK, 0, 10)
        assert refused(lambda: ofd_lock(b, fcntl.F_RDLCK, 9, 1)) == 'EAGAIN'
        ofd_lock(again, fcntl.F_WRLCK, 5, 10)  # the same open file
        ofd_lock(b, fcntl.F_WRLCK, 15, 10)
        assert ofd_lock(b, fcntl.F_WRLCK, 0, 1,
                        F_OFD_GETLK) == fcntl.F_WRLCK
        # Another open of the same process is closed: unlike a lock of
        # fcntl(F_SETLK), this one stays.
        os.close(os.open(path, os.O_RDONLY))
        assert refused(lambda: ofd_lock(b, fcntl.F_RDLCK, 0, 1)) == 'EAGAIN'
        pid = os.fork()
        if pid == 0:  # has the lock too, and gives it up for both
            ofd_lock(a, fcntl.F_UNLCK, 0, 0)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        ofd_lock(b, fcntl.F_WRLCK, 0, 15)
    finally:
        for fd in (a, b, again):
            os.close(fd)


def _hold(path, ready, go):
    f = open(path, 'r+b')
    fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
    fcntl.flock(f, fcntl.LOCK_EX)
    ready.send(True)
    go.recv()
    os._exit(0)  # with both held


def test_a_waiting_lock_is_given_when_its_holder_dies(there):
    path = write(os.path.join(there, 'f'), b'x' * 100)
    here, over = multiprocessing.Pipe()
    holder = multiprocessing.Process(target=_hold, args=(path, over, over))
    holder.start()
    assert here.recv()
    with open(path, 'r+b') as f:
        assert refused(lambda: fcntl.lockf(
            f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)) in ('EAGAIN', 'EACCES')
        here.send(True)
        fcntl.lockf(f, fcntl.LOCK_EX, 1, 5)  # waits
        fcntl.flock(f, fcntl.LOCK_EX)
    holder.join()


# ---- open files while the mount changes under them ----

@pytest.mark.root
def test_a_file_without_a_name_keeps_a_mount_writable(drives):
    """As on ext4: what it holds would have to be freed later."""
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'f')
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b'content')
    os.unlink(path)
    reader = os.open(f'/proc/self/fd/{fd}', os.O_RDONLY)
    os.close(fd)
    with pytest.raises(CommandFailed, match='open'):
        d.run('mount', '-o', 'remount,ro', d.mnt)
    assert os.read(reader, 10) == b'content'
    write(path, b'new')  # nothing became read only
    os.close(reader)

    def read_only():
        return not d.run('mount', '-o', 'remount,ro', d.mnt,
                         check=False).returncode
    until(read_only, what='the last close has arrived')
    assert refused(lambda: os.unlink(path)) == 'EROFS'
    d.run('mount', '-o', 'remount,rw', d.mnt)
    os.unlink(path)
    assert os.listdir(d.mnt) == []


def test_a_daemon_that_stood_still_goes_on_where_it_was(drives):
    """As over a suspend: open files, names and locks are those from before."""
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'f'), b'a' * 5000)
    gone = os.path.join(d.mnt, 'gone')
    fd = os.open(gone, os.O_RDWR | os.O_CREAT)
    os.write(fd, b'b' * 5000)
    os.unlink(gone)
    holder = open(path, 'r+b')
    fcntl.flock(holder, fcntl.LOCK_EX)
    pids = d.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    waiting = subprocess.Popen(
        ['sh', '-c', 'echo later >>"$1/new" && cat "$1/new"', 'sh', d.mnt],
        stdout=subprocess.PIPE)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert waiting.communicate(timeout=PATIENCE)[0] == b'later\n'
    assert os.pread(fd, 9000, 0) == b'b' * 5000
    os.pwrite(fd, b'c', 6000)
    assert os.fstat(fd).st_size == 6001 and os.fstat(fd).st_nlink == 0
    with open(path, 'rb') as f:
        assert refused(lambda: fcntl.flock(
            f, fcntl.LOCK_EX | fcntl.LOCK_NB)) == 'EAGAIN'
    os.close(fd)
    holder.close()
    d.remount()
    assert sorted(os.listdir(d.mnt)) == ['f', 'new']


def _append(path, who, lines, done):
    """Opens for each line, so that the mount may change between two."""
    i = 0
    while i < lines:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError as e:
            assert e.errno == errno.EROFS
            continue
        for _ in range(min(5, lines - i)):
            line = b'%d %d ' % (who, i)
            line += bytes([97 + (who + i) % 26]) * (40 + i * 37 % 5000) + b'\n'
            assert os.write(fd, line) == len(line)
            i += 1
        os.close(fd)
    done.put(who)


@pytest.mark.root
def test_no_append_is_lost_or_torn_while_a_mount_is_remounted(drives):
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'log'))
    writers, lines, done = 8, 60, multiprocessing.Queue()
    running = [multiprocessing.Process(target=_append,
                                       args=(path, i, lines, done))
               for i in range(writers)]
    for p in running:
        p.start()
    try:
        while any(p.is_alive() for p in running):
            # Refused while one of them has it open, and then all go on.
            d.run('mount', '-o', 'remount,ro', d.mnt, check=False)
            d.run('mount', '-o', 'remount,rw', d.mnt)
    finally:
        for p in running:
            p.join(PATIENCE)
    assert [p.exitcode for p in running] == [0] * writers

    def check():
        seen = []
        for line in read(path).splitlines():
            who, i, rest = line.split()
            who, i = int(who), int(i)
            assert rest == bytes([97 + (who + i) % 26]) * (40 + i * 37 % 5000)
            seen.append((who, i))
        assert sorted(seen) == [(w, i) for w in range(writers)
                                for i in range(lines)]
        for w in range(writers):
            mine = [i for who, i in seen if who == w]
            assert mine == sorted(mine), 'its own lines are in order'
    check()
    d.remount()
    check()


# ---- a mapped file, while all else comes and goes ----

CELL = 1000  # bytes; no power of two: cells cross pages


def _mapper(path, who, of, rounds, queue):
    """Every `of`th cell is this one's: fills them with the round, in its order."""
    rand = random.Random(who)
    with open(path, 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
        cells = list(range(who, len(m) // CELL, of))
        for turn in range(rounds):
            rand.shuffle(cells)
            for c in cells:
                at = c * CELL
                assert m[at:at + CELL] == bytes([turn]) * CELL
                m[at:at + CELL] = bytes([turn + 1]) * CELL
            m.flush()
            queue.put((who, turn))


def test_maps_of_several_writers_last_through_eviction_and_onboarding(drives):
    d = drives(cache_size='256M').init().set(
        full_timeout='10m', onboard_idle='1s', onboard_age='1s').mount()
    path = os.path.join(d.mnt, 'mapped')
    size = 4 * MIB // CELL * CELL
    write(path, bytes(size))
    of, rounds, queue = 3, 4, multiprocessing.Queue()
    running = [multiprocessing.Process(target=_mapper,
                                       args=(path, i, of, rounds, queue))
               for i in range(of)]
    for p in running:
        p.start()
    other, filled = random.Random(5).randbytes(16 * MIB), 0
    try:
        # More than the cache holds goes through it meanwhile.
        while any(p.is_alive() for p in running) or filled < 9:
            write(os.path.join(d.mnt, f'other-{filled % 12}'), other[filled:])
            filled += 1
            if filled % 4 == 0:
                d.sync()
    finally:
        for p in running:
            p.join(PATIENCE)
    assert [p.exitcode for p in running] == [0] * of
    cells = size // CELL
    assert read(path) == bytes([rounds]) * size, cells
    d.remount()
    assert read(path) == bytes([rounds]) * size
    d = d.reborn()
    assert read(os.path.join(d.mnt, 'mapped')) == bytes([rounds]) * size


# ---- df ----

def test_df_tells_what_can_be_written_and_takes_back_what_was_sent(drives):
    """The size is that of the cache; what the stores hold can make room, so it
    is free; what is on its way is not."""
    d = drives(cache_size='256M').init().set(onboard_idle='1h',
                                             onboard_age='1d').mount()

    def df():
        st = os.statvfs(d.mnt)
        return st.f_blocks * st.f_frsize, st.f_bavail * st.f_frsize
    size, free = df()
    assert 64 * MIB < free <= size <= 256 * MIB
    data = random.Random(6).randbytes(40 * MIB)
    path = write(os.path.join(d.mnt, 'f'), data)
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    now, left = df()
    assert now <= size and left <= free - 40 * MIB
    d.sync()
    until(lambda: df()[1] >= free - 4 * MIB, what='what was sent is free')
    assert os.stat(path).st_blocks * 512 >= 40 * MIB, 'du counts it as before'
    # What df promises can be written, with no store to make room.
    d.set(full_timeout='1m').umount()
    os.rename(d.stores[0], d.stores[0] + '.away')
    d.mount()
    room = df()[1]
    with open(os.path.join(d.mnt, 'g'), 'wb') as f:
        for at in range(0, room * 8 // 10, MIB):
            f.write(data[at % len(data):][:MIB])
        f.flush()
        os.fsync(f.fileno())
    os.rename(d.stores[0] + '.away', d.stores[0])


def test_df_counts_files_as_they_come_and_go(there):
    def used():
        st = os.statvfs(there)
        return st.f_files - st.f_ffree
    before = used()
    for i in range(20):
        write(os.path.join(there, str(i)))
    assert used() == before + 20
    for i in range(20):
        os.unlink(os.path.join(there, str(i)))
    assert used() == before


@pytest.mark.root
def test_dpkg_installs_replaces_and_removes_a_package(native, there):
    """Links and renames into place with an fsync of each, and looks after what
    it finds there."""
    if shutil.which('dpkg-deb') is None:
        pytest.skip('this machine has no dpkg')

    def run(*args):
        done = subprocess.run(args, check=False, text=True, timeout=PATIENCE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f'{args}: {done.stdout}'
        return done.stdout

    def package(version):
        root = os.path.join(native, 'root-' + version)
        for folder in ('DEBIAN', 'usr/share/demo', 'etc'):
            os.makedirs(os.path.join(root, folder))
        os.chmod(os.path.join(root, 'DEBIAN'), 0o755)  # whatever the umask
        write(os.path.join(root, 'DEBIAN/control'), (
            f'Package: demo\nVersion: {version}\nArchitecture: all\n'
            'Maintainer: t <t@example.org>\nDescription: demo\n').encode())
        write(os.path.join(root, 'DEBIAN/conffiles'), b'/etc/demo.conf\n')
        write(os.path.join(root, 'etc/demo.conf'), b'setting\n')
        for i in range(30):
            write(os.path.join(root, f'usr/share/demo/{i}'),
                  version.encode() * 500)
        os.symlink('1', os.path.join(root, 'usr/share/demo/link'))
        deb = os.path.join(native, version + '.deb')
        run('dpkg-deb', '--build', '--root-owner-group', root, deb)
        return deb
    admin = os.path.join(there, 'var/lib/dpkg')
    for folder in ('updates', 'info', 'triggers'):
        os.makedirs(os.path.join(admin, folder))
    write(os.path.join(admin, 'status'))
    write(os.path.join(admin, 'available'))
    dpkg = ('dpkg', '--root=' + there, '--force-not-root',
            '--force-script-chrootless', '--log=/dev/null')
    for version in '1.0', '2.0':
        run(*dpkg, '--install', package(version))
        assert read(os.path.join(there, 'usr/share/demo/link')) == \
            version.encode() * 500
        assert run(*dpkg, '--verify', 'demo') == ''
    run(*dpkg, '--remove', 'demo')
    assert not os.path.exists(os.path.join(there, 'usr/share/demo'))
    assert read(os.path.join(there, 'etc/demo.conf')) == b'setting\n'
    assert outcome(lambda: run(*dpkg, '--purge', 'demo')) is not None
    assert not os.path.exists(os.path.join(there, 'etc/demo.conf'))
