"""powercut.py - a disk whose power can be cut at any moment, without cutting it

A Disk is a file system in an image file, on a loop device that writes past the
page cache.  So the image holds what the block layer was given and finished, and
nothing that only the kernel's memory knows: what would be found after a power
cut.  The images lie on XFS, where FICLONE copies a file at one moment between
two writes: cut() is that copy, taken while all goes on.

    with Tray(folder) as tray:
        disk = tray.disk('live', kind)
        ... work below disk.mnt ...
        cut = disk.cut('cut1')           # a file; cut.t0 and cut.t1 enclose it
        found = cut.mount()              # a Disk of its own

A disk that keeps a write in a volatile cache and loses it although a later one
stayed is not seen this way: that is what the recorder of the component tests is
for (tests/helper/recorder.h).  Needs root, loop devices and mkfs.xfs.
"""
import collections
import fcntl
import os
import shutil
import subprocess
import time

from drive import until

FICLONE = 0x40049409
SBIN = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'

# As people have it; as no one should, with nothing ordered and nothing soon; and
# a file system of another making.
KINDS = {
    'ext4': (['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096'], []),
    'ext4, writeback': (['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096'],
                        ['-o', 'data=writeback,commit=60']),
    'xfs': (['mkfs.xfs', '-q', '-f', '-s', 'size=4096'], ['-o', 'nouuid']),
}


class Cut(collections.namedtuple('Cut', 'path kind t0 t1')):
    """What a disk held at one moment between t0 and t1 (monotonic, ns)."""

    def mount(self, mnt):
        return Disk(self.path, mnt, self.kind)



def run(*args):
    done = subprocess.run(args, check=False, text=True,
                          env={**os.environ, 'PATH': SBIN},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f'{args}: {done.stdout}'
    return done.stdout.strip()


def cannot():
    """Why there can be no such disk here, or None."""
    for program in 'losetup', 'mkfs.xfs', 'mke2fs':
        if not shutil.which(program, path=SBIN):
            return f'no {program}'
    if not os.path.exists('/dev/loop-control'):
        return 'no loop devices'
    return None


def attach(image, where, *options, direct=True):
    """Mounted; the loop device goes by itself when it is unmounted."""
    # What has shared blocks is written past the page cache in whole blocks.
    loop = run('losetup', '-f', '--show', '--sector-size', '4096',
               f'--direct-io={"on" if direct else "off"}', image)
    try:
        run('mount', *options, loop, where)
    finally:
        run('losetup', '-d', loop)


def blank(path, size):
    with open(path, 'wb') as f:
        f.truncate(size)


class Disk:
    def __init__(self, path, mnt, kind):
        self.path, self.mnt, self.kind = path, mnt, kind
        os.makedirs(mnt, exist_ok=True)
        attach(path, mnt, *KINDS[kind][1])

    def cut(self, name):
        """What the disk holds at this moment, as a file beside it."""
        to = os.path.join(os.path.dirname(self.path), name)
        with open(self.path, 'rb') as old, open(to, 'wb') as new:
            t0 = time.monotonic_ns()
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
            t1 = time.monotonic_ns()
        return Cut(to, self.kind, t0, t1)

    def umount(self):
        # A daemon that has ended may still be dying with a file open.
        until(lambda: not subprocess.run(['umount', self.mnt], check=False,
                                         env={**os.environ, 'PATH': SBIN}
                                         ).returncode,
              what='nobody uses the disk')


class Tray:
    """Where images lie: XFS in a file of `folder`."""

    def __init__(self, folder, size=8 << 30):
        self.image = os.path.join(folder, 'tray.img')
        self.mnt = os.path.join(folder, 'tray')
        os.mkdir(self.mnt)
        blank(self.image, size)
        run('mkfs.xfs', '-q', '-f', '-s', 'size=4096', '-m', 'reflink=1',
            self.image)
        # What is in the page cache here is safe: this machine stays on.
        attach(self.image, self.mnt, direct=False)

    def at(self, name):
        return os.path.join(self.mnt, name)

    def disk(self, name, mnt, kind, size=900 << 20):
        blank(self.at(name), size)
        run(*KINDS[kind][0], self.at(name))
        return Disk(self.at(name), mnt, kind)

    def copy(self, folder, name):
        """A folder on the tray, copied without copying its bytes."""
        run('cp', '-a', '--reflink=always', folder, self.at(name))
        return self.at(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run('umount', self.mnt)
        os.unlink(self.image)
        os.rmdir(self.mnt)
