"""syscalls.py - system calls that Python's os lacks, and comparing two folders"""
import ctypes
import errno
import os

_libc = ctypes.CDLL(None, use_errno=True)
for _name in ('fallocate', 'linkat', 'name_to_handle_at',
              'open_by_handle_at', 'renameat2', 'statx', 'syncfs',
              'utimensat'):
    getattr(_libc, _name).restype = ctypes.c_int

AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
COLLAPSE_RANGE, INSERT_RANGE = 8, 32
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


def _checked(r, *args):
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e), *args)


def fallocate(fd, mode, off, n):
    _checked(_libc.fallocate(fd, mode, ctypes.c_int64(off),
                             ctypes.c_int64(n)))


def rename2(old, new, flags):
    _checked(_libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD,
                             os.fsencode(new), flags), old)


def link_fd(fd, path):
    """Names a file that may have no name yet (O_TMPFILE)."""
    _checked(_libc.linkat(AT_FDCWD, b'/proc/self/fd/%d' % fd, AT_FDCWD,
                          os.fsencode(path), AT_SYMLINK_FOLLOW), path)


def syncfs(fd):
    _checked(_libc.syncfs(fd))


def utimensat(path, atime, mtime):
    """Nanoseconds of the second 0, UTIME_NOW or UTIME_OMIT."""
    times = (ctypes.c_long * 4)(0, atime, 0, mtime)
    _checked(_libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0), path)


class Statx(ctypes.Structure):
    """struct statx of linux/stat.h; times are (seconds, nanoseconds)."""
    _fields_ = [(n, ctypes.c_uint32) for n in ('mask', 'blksize')] + \
        [('attributes', ctypes.c_uint64)] + \
        [(n, ctypes.c_uint32) for n in ('nlink', 'uid', 'gid')] + \
        [('mode', ctypes.c_uint16), ('_1', ctypes.c_uint16)] + \
        [(n, ctypes.c_uint64) for n in ('ino', 'size', 'blocks',
                                        'attributes_mask')] + \
        [(f'{n}_raw', ctypes.c_int64 * 2) for n in ('atime', 'btime', 'ctime',
                                                    'mtime')] + \
        [(n, ctypes.c_uint32) for n in ('rdev_major', 'rdev_minor',
                                        'dev_major', 'dev_minor')] + \
        [('mnt_id', ctypes.c_uint64), ('_2', ctypes.c_uint64 * 13)]

    BTIME, MNT_ID = 0x800, 0x1000
    BASIC = 0x7ff

    def time(self, which):
        """Nanoseconds since 1970."""
        s, ns = getattr(self, which + '_raw')
        return s * 10**9 + (ns & 0xffffffff)


def statx(path, mask=Statx.BASIC | Statx.BTIME | Statx.MNT_ID):
    got = Statx()
    no_follow = 0x100
    _checked(_libc.statx(AT_FDCWD, os.fsencode(path), no_follow, mask,
                         ctypes.byref(got)), path)
    return got


class _Handle(ctypes.Structure):
    _fields_ = [('n', ctypes.c_uint), ('kind', ctypes.c_int),
                ('bytes', ctypes.c_ubyte * 128)]


def handle_of(path):
    """name_to_handle_at(2)"""
    handle, mount_id = _Handle(n=128), ctypes.c_int()
    _checked(_libc.name_to_handle_at(AT_FDCWD, os.fsencode(path),
                                     ctypes.byref(handle),
                                     ctypes.byref(mount_id), 0), path)
    return handle


def open_handle(mount, handle):
    """open_by_handle_at(2), for reading"""
    fd = os.open(mount, os.O_RDONLY)
    try:
        got = _libc.open_by_handle_at(fd, ctypes.byref(handle), os.O_RDONLY)
        _checked(got)
        return got
    finally:
        os.close(fd)


def write(path, data=b'', mode='wb'):
    with open(path, mode) as f:
        f.write(data)
    return path


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def flip(path, off, bits=1):
    """Damage: these bits of the byte at off are others now."""
    with open(path, 'r+b') as f:
        f.seek(off)
        byte = f.read(1)[0]
        f.seek(off)
        f.write(bytes([byte ^ bits]))


def outcome(call):
    """What a call returns, or the name of its errno."""
    try:
        return call()
    except OSError as e:
        return errno.errorcode[e.errno]


def refused(call):
    """The name of the errno that a call fails with."""
    got = outcome(call)
    assert isinstance(got, str), f'succeeded: {got!r}'
    return got


def same(native, there, call):
    """call(folder) comes out alike on ext4 and on the drive; its outcome."""
    want, got = outcome(lambda: call(native)), outcome(lambda: call(there))
    assert got == want
    return got
