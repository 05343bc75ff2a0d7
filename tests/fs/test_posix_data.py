"""Bytes in files: holes, fallocate, mmap, append, direct I/O, copies."""
import errno
import mmap
import os
import struct
import threading

import pytest

from conftest import NATIVE
from syscalls import (COLLAPSE_RANGE, INSERT_RANGE, KEEP_SIZE, PUNCH_HOLE,
                      ZERO_RANGE, fallocate, outcome, read, refused, same,
                      syncfs, write)

MIB = 1 << 20


@pytest.fixture
def fd(there):
    fd = os.open(os.path.join(there, 'f'), os.O_RDWR | os.O_CREAT, 0o644)
    yield fd
    os.close(fd)


def on_file(call):
    """For same(): call(fd) with a new file in the folder, then its bytes."""
    def op(d):
        fd = os.open(os.path.join(d, 'f'), os.O_RDWR | os.O_CREAT)
        try:
            return call(fd), os.fstat(fd).st_size, os.pread(fd, 4 * MIB, 0)
        finally:
            os.close(fd)
    return op


def test_a_gigabyte_of_hole_takes_no_space_and_reads_as_zeros(fd):
    os.pwrite(fd, b'end', 1 << 30)
    st = os.fstat(fd)
    assert st.st_size == (1 << 30) + 3
    assert st.st_blocks * 512 < MIB
    assert os.pread(fd, 4096, 1 << 29) == bytes(4096)


def test_seek_finds_data_and_holes(fd):
    os.pwrite(fd, b'x' * 65536, MIB)
    os.ftruncate(fd, 4 * MIB)
    data = os.lseek(fd, 0, os.SEEK_DATA)
    assert MIB - 65536 <= data <= MIB and data > 0
    hole = os.lseek(fd, data, os.SEEK_HOLE)
    assert MIB + 65536 <= hole < 2 * MIB
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
    assert refused(lambda: os.lseek(fd, hole, os.SEEK_DATA)) == 'ENXIO'
    assert refused(lambda: os.lseek(fd, 4 * MIB, os.SEEK_HOLE)) == 'ENXIO'
    assert os.lseek(fd, 3 * MIB, os.SEEK_HOLE) == 3 * MIB


def test_fallocate_grows_a_file_with_zeros(fd):
    os.write(fd, b'abc')
    fallocate(fd, 0, 0, 100000)
    assert os.fstat(fd).st_size == 100000
    assert os.pread(fd, 100000, 0) == b'abc' + bytes(99997)


def test_fallocate_can_keep_the_size(fd):
    os.write(fd, b'abc')
    fallocate(fd, KEEP_SIZE, 0, MIB)
    assert os.fstat(fd).st_size == 3
    os.ftruncate(fd, 8)
    assert os.pread(fd, 8, 0) == b'abc' + bytes(5)


@pytest.mark.parametrize('off,n', [(4096, 8192), (100, 5000), (0, 1),
                                   (MIB - 1, 2), (0, 2 * MIB), (5, MIB)])
@pytest.mark.parametrize('mode', [PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE,
                                  ZERO_RANGE | KEEP_SIZE],
                         ids=['punch', 'zero', 'zero_keep'])
def test_a_cleared_range_is_zero_and_its_surroundings_stay(native, there,
                                                           mode, off, n):
    def clear(fd):
        os.pwrite(fd, bytes(range(1, 251)) * 5000, 0)  # 1,250,000 bytes
        fallocate(fd, mode, off, n)
    same(native, there, on_file(clear))


def test_punching_frees_space(fd):
    os.pwrite(fd, os.urandom(4 * MIB), 0)
    os.fsync(fd)
    before = os.fstat(fd).st_blocks
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 0, 4 * MIB)
    os.fsync(fd)
    assert before >= 4 * MIB // 512
    assert os.fstat(fd).st_blocks < before // 8


@pytest.mark.skipif(NATIVE, reason='ext4 can')
@pytest.mark.parametrize('mode', [COLLAPSE_RANGE, INSERT_RANGE],
                         ids=['collapse', 'insert'])
def test_shifting_ranges_is_not_supported_and_says_so(fd, mode):
    os.pwrite(fd, b'x' * MIB, 0)
    with pytest.raises(OSError) as e:
        fallocate(fd, mode, 0, 4096)
    assert e.value.errno == errno.EOPNOTSUPP
    assert os.pread(fd, MIB, 0) == b'x' * MIB


@pytest.mark.parametrize('sizes', [(10, 5), (5, 10), (4096, 4097),
                                   (5000, 100, 9000), (MIB + 7, 3, MIB + 9),
                                   (8192, 4096, 8192), (1, 0, 1)])
def test_truncate_drops_bytes_for_good(native, there, sizes):
    # gocryptfs #1024: write, shrink, write, shrink left a block that failed.
    def cut(fd):
        for i, size in enumerate(sizes):
            os.pwrite(fd, b'%d' % (i + 1) * 5000, 0)
            os.ftruncate(fd, size)
    same(native, there, on_file(cut))


def test_truncate_by_path_and_on_open_empty_a_file(there):
    path = write(os.path.join(there, 'f'), b'x' * 10000)
    os.truncate(path, 10)
    assert read(path) == b'x' * 10
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    assert os.stat(path).st_size == 0


def test_a_write_beyond_the_end_leaves_zeros_between(native, there):
    def op(fd):
        os.pwrite(fd, b'x' * 100, 0)
        os.pwrite(fd, b'y', 3 * MIB + 5)
        os.ftruncate(fd, 50)
        os.pwrite(fd, b'z', 4095)
    same(native, there, on_file(op))


def test_append_goes_to_the_end_though_opened_write_only(there):
    # sshfs #72: with the kernel's write-back cache this corrupted files.
    path = write(os.path.join(there, 'f'), b'start')
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, b'-one')
        write(path, b'-two', 'ab')
        os.pwrite(fd, b'-three', 0)  # Linux appends here, too
    finally:
        os.close(fd)
    assert read(path) == b'start-one-two-three'


def test_no_append_of_many_writers_is_lost_or_torn(there):
    path = os.path.join(there, 'log')

    def writer(who):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for i in range(300):
            os.write(fd, f'{who} {i:06}\n'.encode())
        os.close(fd)
    threads = [threading.Thread(target=writer, args=(c,)) for c in 'abcdefgh']
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = read(path).decode().splitlines()
    assert len(lines) == 2400
    for who in 'abcdefgh':
        assert [line for line in lines if line[0] == who] == \
            [f'{who} {i:06}' for i in range(300)]


def test_shared_maps_and_reads_see_each_other(fd):
    os.ftruncate(fd, 3 * MIB)
    with mmap.mmap(fd, 3 * MIB) as m:
        m[MIB:MIB + 5] = b'mmap!'
        m.flush()
        assert os.pread(fd, 5, MIB) == b'mmap!'
        os.pwrite(fd, b'write', 2 * MIB)
        assert m[2 * MIB:2 * MIB + 5] == b'write'


def test_shared_maps_of_two_processes_and_a_writer_lose_nothing(there):
    """Two map the file and change every other page, a third writes between
    them; each sees what the others did."""
    pages = 512
    path = write(os.path.join(there, 'f'), bytes(pages * 4096))

    def mapped(which):
        fd = os.open(path, os.O_RDWR)
        with mmap.mmap(fd, pages * 4096) as m:
            for k in range(which, pages, 3):
                m[k * 4096:k * 4096 + 8] = struct.pack('>Q', k + 1)
        os.close(fd)
        os._exit(0)
    children = []
    for which in 0, 1:
        pid = os.fork()
        if pid == 0:
            mapped(which)
        children.append(pid)
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, pages * 4096, prot=mmap.PROT_READ) as m:
        for k in range(2, pages, 3):
            os.pwrite(fd, struct.pack('>Q', k + 1), k * 4096)
            assert m[k * 4096 + 7] == (k + 1) & 255
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        for k in range(pages):
            assert struct.unpack('>Q', m[k * 4096:k * 4096 + 8]) == (k + 1,)
    os.fsync(fd)
    for k in range(pages):
        assert os.pread(fd, 8, k * 4096) == struct.pack('>Q', k + 1)
    os.close(fd)


def test_what_was_mapped_is_in_the_file_after_close(there):
    path = os.path.join(there, 'f')
    with open(path, 'w+b') as f:
        f.truncate(100000)
        with mmap.mmap(f.fileno(), 100000) as m:
            m[:] = bytes(range(250)) * 400
    assert read(path) == bytes(range(250)) * 400


def test_direct_io_reads_and_writes(there):
    path = os.path.join(there, 'f')
    with mmap.mmap(-1, 65536) as buf:
        buf[:] = os.urandom(65536)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        try:
            assert os.pwritev(fd, [buf], 0) == 65536
            with mmap.mmap(-1, 65536) as back:
                assert os.preadv(fd, [back], 0) == 65536
                assert back[:] == buf[:]
        finally:
            os.close(fd)
        assert read(path) == buf[:]


@pytest.mark.parametrize('off_in,n,off_out', [
    (0, 2 * MIB + 77, 0), (100, MIB, 7), (MIB, 2 * MIB, 0), (4096, 8192, 4096)])
def test_copy_file_range_copies_exactly_that(native, there, off_in, n,
                                             off_out):
    data = os.urandom(MIB) * 2 + b'tail' * 25

    def op(d):
        write(os.path.join(d, 'in'), data)
        with open(os.path.join(d, 'in'), 'rb') as i, \
                open(os.path.join(d, 'out'), 'w+b') as o:
            o.write(b'o' * 50000)
            o.flush()
            done = 0
            while done < n:
                k = os.copy_file_range(i.fileno(), o.fileno(), n - done,
                                       off_in + done, off_out + done)
                if not k:
                    break
                done += k
        return done, read(os.path.join(d, 'out'))
    same(native, there, op)


def test_a_copy_and_its_source_change_apart(there):
    a, b = os.path.join(there, 'a'), os.path.join(there, 'b')
    write(a, b'1' * MIB)
    with open(a, 'r+b') as i, open(b, 'w+b') as o:
        assert os.copy_file_range(i.fileno(), o.fileno(), MIB) == MIB
        os.pwrite(i.fileno(), b'2' * 4096, 8192)
        os.pwrite(o.fileno(), b'3' * 4096, 65536)
    assert read(a) == b'1' * 8192 + b'2' * 4096 + b'1' * (MIB - 12288)
    assert read(b) == b'1' * 65536 + b'3' * 4096 + b'1' * (MIB - 69632)


def test_a_range_copied_within_a_file_is_that_range(native, there):
    def op(fd):
        os.pwrite(fd, bytes(range(200)) * 10000, 0)
        return os.copy_file_range(fd, fd, 5000, 100, MIB)
    same(native, there, on_file(op))


def test_a_copy_onto_itself_is_refused_as_on_ext4(native, there):
    def op(fd):
        os.pwrite(fd, b'x' * 9000, 0)
        return outcome(lambda: os.copy_file_range(fd, fd, 5000, 0, 100))
    assert same(native, there, on_file(op))[0] == 'EINVAL'


def test_a_file_may_have_8_tib_with_a_byte_at_each_end(fd):
    os.pwrite(fd, b'a', 0)
    os.pwrite(fd, b'z', (8 << 40) - 1)
    assert os.fstat(fd).st_size == 8 << 40
    assert os.pread(fd, 2, (8 << 40) - 2) == b'\0z'
    assert os.fstat(fd).st_blocks * 512 < MIB


def test_a_file_of_8_tib_comes_back_from_its_words(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'f')
    with open(path, 'wb') as f:
        for off in 0, 4 << 40, (8 << 40) - 1:
            f.seek(off)
            f.write(b'x')
    d.sync()
    pieces = sum(os.path.getsize(os.path.join(at, n))
                 for at, _, names in os.walk(d.stores[0]) for n in names)
    assert pieces < 4 * MIB, 'holes take nothing at a store'
    d.lose()
    d = drives.adopt(d.recovered()).mount()
    path = os.path.join(d.mnt, 'f')
    assert os.stat(path).st_size == 8 << 40
    with open(path, 'rb') as f:
        for off in 0, 4 << 40, (8 << 40) - 1:
            assert os.pread(f.fileno(), 1, off) == b'x'
            assert os.pread(f.fileno(), 2, off + 1) in (b'\0\0', b'')
        assert os.lseek(f.fileno(), MIB, os.SEEK_DATA) >= (4 << 40) - MIB


def test_all_the_syncs_succeed(there, fd):
    os.write(fd, b'x')
    os.fsync(fd)
    os.fdatasync(fd)
    folder = os.open(there, os.O_RDONLY)
    try:
        os.fsync(folder)
        syncfs(folder)
    finally:
        os.close(folder)


def test_reads_at_and_past_the_end_are_short(fd):
    os.write(fd, b'x' * 5000)
    assert os.pread(fd, 10000, 4990) == b'x' * 10
    assert os.pread(fd, 10, 5000) == b''
    assert os.pread(fd, 10, 1 << 40) == b''


def test_a_reader_never_sees_a_size_before_its_bytes(there):
    # JuiceFS #5038: zeros showed while a slice was on its way.
    path = write(os.path.join(there, 'f'))
    done = threading.Event()
    wrong = []

    def reader():
        while not done.is_set():
            data = read(path)
            if data.strip(b'x'):
                wrong.append(data)
    t = threading.Thread(target=reader)
    t.start()
    with open(path, 'ab', buffering=0) as f:
        for _ in range(400):
            f.write(b'x' * 3000)
    done.set()
    t.join()
    assert not wrong and os.stat(path).st_size == 1200000


def test_random_writes_cuts_and_holes_are_as_on_ext4(native, there):
    import random  # seeded: the same operations every time
    files = [os.open(os.path.join(d, 'f'), os.O_RDWR | os.O_CREAT)
             for d in (native, there)]
    rng = random.Random(20260101)
    try:
        for step in range(600):
            what, off = rng.randrange(6), rng.randrange(3 * MIB)
            n = rng.choice((1, 100, 4096, 5000, 70000))
            data = rng.randbytes(n)
            for fd in files:
                if what < 3:
                    os.pwrite(fd, data, off)
                elif what == 3:
                    os.ftruncate(fd, off)
                elif what == 4:
                    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, off, n)
                else:
                    fallocate(fd, ZERO_RANGE, off, n)
            if step % 20 == 0:
                assert os.pread(files[0], 4 * MIB, 0) == \
                    os.pread(files[1], 4 * MIB, 0), f'after step {step}'
        assert os.fstat(files[0]).st_size == os.fstat(files[1]).st_size
        assert os.pread(files[0], 4 * MIB, 0) == os.pread(files[1], 4 * MIB, 0)
    finally:
        for fd in files:
            os.close(fd)
