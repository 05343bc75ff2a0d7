#!/usr/bin/env python3
"""bench.py - fildrive beside native ext4, an empty FUSE server and gocryptfs

Runs the same workloads on each, and prints the median seconds of each row, with the
ratio of fildrive to the others.  The systems take turns after a few rows each,
because a machine that others share is another one from minute to minute.  Numbers
for people: nothing here passes or fails.

Cold rows start from a fresh mount (where there is one) and dropped kernel
caches, which needs root.  The random bytes are incompressible.  After each row
that writes, what was written is synced, through the mount and then on the disk
below, and that time counts.

The second table has the CPU seconds (user and system) that the server of the
mount took for the same rows.  On a machine that does other work besides they say
more than the seconds on the wall; with --least both are minima, not medians.
"""
import argparse
import contextlib
import datetime
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

from drive import Drive, mounts, until
from syscalls import syncfs

MIB = 1 << 20
FILES, BYTES = 20458, 182 * MIB  # of the source tree


def serves(pid, mnt):
    """Does the process have the mountpoint in its command line?"""
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as f:
            return mnt.encode() in f.read().split(b'\0')
    except OSError:
        return False  # it has ended


def cpu_of(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii',
                  errors='replace') as f:
            fields = f.read().rpartition(')')[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


# The systems: each has a name, a folder, cold() and server_cpu().

class Native:
    name = 'ext4'

    def __init__(self, args):
        self.dir = tempfile.mkdtemp(prefix='bench-', dir=args.dir)
        self.mnt = os.path.join(self.dir, 'mnt')
        os.mkdir(self.mnt)
        self.start()

    def start(self):
        pass

    def stop(self):
        pass

    def cold(self):
        """A fresh mount, where that keeps the files, and no kernel cache."""
        self.sync()
        self.stop()
        self.start()
        with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
            f.write('3')

    def server_cpu(self):
        """CPU seconds of the processes that serve the mount."""
        return sum(cpu_of(pid) for pid in os.listdir('/proc')
                   if pid.isdigit() and serves(pid, self.mnt))

    def sync(self):
        for path in (self.mnt, self.dir):
            fd = os.open(path, os.O_RDONLY)
            syncfs(fd)
            os.close(fd)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Fuse(Native):
    def umount(self):
        if self.mnt in mounts():
            subprocess.check_call(['fusermount3', '-u', self.mnt])

    def stop(self):
        self.umount()


class Nullfs(Fuse):
    name, options = 'nullfs', ()
    process = None

    def __init__(self, args):
        self.binary = args.nullfs
        super().__init__(args)

    def start(self):
        if self.mnt not in mounts():
            self.process = subprocess.Popen([self.binary, *self.options,
                                             self.mnt],
                                            stdout=subprocess.DEVNULL)
            until(lambda: self.mnt in mounts(), what='nullfs is mounted')

    def cold(self):  # a new one would be empty
        with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
            f.write('3')

    def stop(self):
        self.umount()
        if self.process:
            self.process.wait()


class NullfsXattr(Nullfs):
    """The floor of who keeps extended attributes: each file is asked for some."""
    name, options = 'nullfs-x', ('--xattr',)


class Gocryptfs(Fuse):
    name = 'gocryptfs'

    def __init__(self, args):
        self.made = False
        super().__init__(args)

    def start(self):
        plain = os.path.join(self.dir, 'cipher')
        key = os.path.join(self.dir, 'pass')
        if not self.made:
            os.mkdir(plain)
            with open(key, 'w', encoding='ascii') as f:
                f.write('x\n')
            subprocess.check_call(['gocryptfs', '-q', '-init', '-scryptn',
                                   '10', '-passfile', key, plain])
            self.made = True
        subprocess.check_call(['gocryptfs', '-q', '-nosyslog', '-passfile',
                               key, plain, self.mnt])


class Fildrive(Native):
    name = 'fildrive'

    def __init__(self, args):
        os.environ['FILDRIVE_BIN'] = args.fildrive
        os.environ['TMPDIR'] = args.dir
        # Nothing leaves meanwhile, as nothing leaves the others: what operations
        # take while it does is bench_foreground.py's to say.
        self.drive = Drive(cache_size=args.cache_size).init().set(
            onboard_bytes='1T', onboard_idle='1d', onboard_age='1d')
        self.dir, self.mnt = self.drive.dir, self.drive.mnt
        self.start()

    def start(self):
        self.drive.mount()

    def stop(self):
        self.drive.umount()

    def close(self):
        self.drive.close()


# The rows: each gets the system and what prepare() made, and is timed whole.

class Material:
    """What goes in: random bytes, and a tar of a tree like a source tree."""

    def __init__(self, folder, scale):
        self.scale = scale
        self.noise = random.Random(1).randbytes(4 * MIB)
        self.tar = os.path.join(folder, 'tree.tar')
        rng = random.Random(2)
        words = [bytes(rng.choices(b'abcdefghijklmnopqrstuvwxyz_', k=n))
                 for n in rng.choices(range(2, 12), k=4000)]
        text = b' '.join(rng.choices(words, k=60000))
        n = self.count(FILES)
        with tarfile.open(self.tar, 'w') as tar:
            for i in range(n):
                size = min(int(rng.expovariate(FILES / BYTES)), 2 * MIB)
                info = tarfile.TarInfo(
                    f'tree/d{i % 37:02}/s{i % 1021:04}/file{i}.c')
                at = rng.randrange(len(text) // 2)
                body = (text[at:] * (size // (len(text) // 2) + 1))[:size]
                info.size, info.mtime, info.mode = len(body), 10**9 + i, 0o644
                tar.addfile(info, Bytes(body))

    def count(self, n):
        return max(1, int(n * self.scale))


class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, n):
        self.at += n
        return self.data[self.at - n:self.at]


def sh(command, cwd):
    subprocess.run(command, shell=True, check=True, cwd=cwd,
                   stdout=subprocess.DEVNULL)


def write_big(s, m):
    with open(os.path.join(s.mnt, 'big'), 'wb', buffering=0) as f:
        for i in range(m.count(1024)):
            at = i * 4099 % (3 * MIB)  # no two MiB are equal
            f.write(m.noise[at:at + MIB])
        os.fsync(f.fileno())


def read_all(path):
    with open(path, 'rb', buffering=0) as f:
        while f.read(MIB):
            pass


def read_big(s, _):
    read_all(os.path.join(s.mnt, 'big'))


def write_random(s, m):
    size, rng = m.count(256) * MIB, random.Random(3)
    with open(os.path.join(s.mnt, 'random'), 'r+b', buffering=0) as f:
        for _ in range(m.count(64) * 256):
            at = rng.randrange(1000 * 4096)
            os.pwrite(f.fileno(), m.noise[at:at + 4096],
                      rng.randrange(size // 4096) * 4096)
        os.fsync(f.fileno())


def read_random(s, m):
    size, rng = m.count(256) * MIB, random.Random(4)
    with open(os.path.join(s.mnt, 'random'), 'rb', buffering=0) as f:
        for _ in range(m.count(64) * 256):
            os.pread(f.fileno(), 4096, rng.randrange(size // 4096) * 4096)


def make_random(s, m):
    with open(os.path.join(s.mnt, 'random'), 'wb', buffering=0) as f:
        for _ in range(m.count(256)):
            f.write(m.noise[:MIB])
        os.fsync(f.fileno())


def untar(s, m):
    sh(f'tar -xf {m.tar}', s.mnt)
    s.sync()


def copy(s, _):
    sh('cp -r tree copy', s.mnt)
    s.sync()


def remove(s, _):
    sh('rm -rf tree copy', s.mnt)
    s.sync()


def small_synced(s, m):
    folder = tempfile.mkdtemp(prefix='small', dir=s.mnt)
    for i in range(m.count(200)):
        with open(os.path.join(folder, str(i)), 'wb') as f:
            f.write(m.noise[i * 1024:i * 1024 + 1024])
            f.flush()
            os.fsync(f.fileno())


# What a system does in one go: (row or None for what is not timed, call, cold).
LARGE = (
    ('write 1 GiB, fsync', write_big, False),
    ('read it cold', read_big, True),
), (
    (None, make_random, False),
    ('64 MiB of random 4 KiB writes, fsync', write_random, False),
    ('as many random reads cold', read_random, True),
)
TREE = (
    ('untar 20,458 files, sync', untar, False),
    (None, lambda s, m: sh('ls -lR tree', s.mnt), False),
    ('ls -lR warm', lambda s, m: sh('ls -lR tree', s.mnt), False),
), (
    ('ls -lR cold', lambda s, m: sh('ls -lR tree', s.mnt), True),
), (
    ('grep -r cold',
     lambda s, m: sh('grep -r nothing_like_this tree || true', s.mnt), True),
    ('md5sum of all warm', lambda s, m: sh(
        'find tree -type f -print0 | xargs -0 md5sum', s.mnt), False),
    ('cp -r, sync', copy, False),
    ('rm -rf both, sync', remove, False),
)
SMALL = ((
    ('200 files of 1 KiB, each fsynced', small_synced, False),
),) * 5  # a tenth of a second each: what the disk does besides is as long


def note(results, row, name, value):
    results.setdefault(row, {}).setdefault(name, []).append(value)


def measure(system, material, rows, seconds, cpu):
    for row, call, cold in rows:
        if cold:
            system.cold()
        before = system.server_cpu()
        start = time.perf_counter()
        call(system, material)
        took = time.perf_counter() - start
        worked = system.server_cpu() - before
        if row:
            note(seconds, row, system.name, took)
            note(cpu, row, system.name, worked)
            print(f'  {system.name:10} {took:8.2f} s {worked:8.2f} s CPU  '
                  f'{row}', file=sys.stderr, flush=True)


def ratio(a, b):
    return f'{a / b:.2f}' if b >= 0.01 else '-'


def table(seconds, names, what, middle):
    others = [n for n in names if n != 'fildrive']
    head = [what, *names]
    if 'fildrive' in names:
        head += [f'÷ {n}' for n in others]
    rows = [head]
    for row, by in seconds.items():
        value = {n: middle(by[n]) for n in names}
        cells = [f'{value[n]:.2f}' for n in names]
        if 'fildrive' in names:
            cells += [ratio(value['fildrive'], value[n]) for n in others]
        rows.append([row, *cells])
    rows.insert(1, ['-' * len(row0) for row0 in head])
    widths = [max(len(r[i]) for r in rows) for i in range(len(head))]
    return '\n'.join('| ' + ' | '.join(
        c.ljust(w) if i == 0 else c.rjust(w)
        for i, (c, w) in enumerate(zip(r, widths))) + ' |' for r in rows)


def machine():
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        model = next((line.split(':', 1)[1].strip() for line in f
                      if line.startswith('model name')), platform.machine())
    return (f'{model}, {len(os.sched_getaffinity(0))} cores, '
            f'Linux {platform.release()}, {datetime.date.today()}')


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0])
    p.add_argument('--fildrive', help='the binary; left out without it')
    p.add_argument('--nullfs', help='the binary; left out without it')
    p.add_argument('--dir', default='/var/tmp', help='where to work (ext4)')
    p.add_argument('--scale', type=float, default=0.1,
                   help='1 for the full sizes, 0.1 (the default) for minutes')
    p.add_argument('--full', dest='scale', action='store_const', const=1.0,
                   help='the full sizes')
    p.add_argument('--runs', type=int, default=3)
    p.add_argument('--least', action='store_true',
                   help='minima instead of medians: for a busy machine')
    p.add_argument('--cache-size', default='8G', help="of fildrive's drive")
    p.add_argument('--no-tree', action='store_true',
                   help='only the rows on large files, and the fsyncs')
    p.add_argument('--only', help='systems, with commas between')
    return p.parse_args()


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit('bench.py: cold rows drop the kernel caches: run it as root')
    kinds = [Native]
    kinds += [Nullfs, NullfsXattr] if args.nullfs else []
    kinds += [Gocryptfs] if shutil.which('gocryptfs') else []
    kinds += [Fildrive] if args.fildrive else []
    if args.only:
        kinds = [k for k in kinds if k.name in args.only.split(',')]
    work = tempfile.mkdtemp(prefix='bench-', dir=args.dir)
    groups = LARGE + (() if args.no_tree else TREE) + SMALL
    seconds, cpu = {}, {}
    try:
        material = Material(work, args.scale)
        for run in range(args.runs):
            print(f'run {run + 1} of {args.runs}', file=sys.stderr, flush=True)
            with contextlib.ExitStack() as stack:
                systems = []
                for kind in kinds:
                    systems.append(kind(args))
                    stack.callback(systems[-1].close)
                for rows in groups:
                    for system in systems:
                        measure(system, material, rows, seconds, cpu)
                    systems.append(systems.pop(0))  # another one begins
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f'{machine()}; {args.runs} runs, scale {args.scale:g}\n')
    names, middle = [k.name for k in kinds], statistics.median
    word = 'median'
    if args.least:
        middle, word = min, 'least'
    print(table(seconds, names, f'seconds ({word})', middle))
    servers = [n for n in names if n != Native.name]
    print()
    print(table(cpu, servers, f'CPU seconds of the server ({word})', middle))


if __name__ == '__main__':
    main()
