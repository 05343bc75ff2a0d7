#!/usr/bin/env python3
"""bench_scale.py - what a drive of a million files costs

Makes a drive of so many small files, in folders of a thousand (tree) or all in
one (flat), and measures what should not depend on how many there are: one change
committed, a mount, a recovery; and what has to: listings, and removing it all.

A row has the seconds on the wall, the CPU seconds of the daemon, its peak resident
set in that step, and what came to the store.  Beside them stand the goals.
Numbers for people: nothing here passes or fails.

Kernel caches are dropped where a row says cold, and peaks are begun anew for each
row; both need root.  --save keeps the drive as it is once all is stored, and a
later run with the same folder begins there.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

from bench import cpu_of, machine
from drive import Drive

FOLDER = 1000  # files of a folder of the tree
MIB = 1 << 20
COLUMNS = ('s', 's CPU', 'MiB', 'KiB sent')


def resident(pid):
    """The peak of a process, MiB."""
    try:
        with open(f'/proc/{pid}/status', encoding='ascii',
                  errors='replace') as f:
            found = re.search(r'^VmHWM:\s*(\d+) kB', f.read(), re.M)
    except OSError:
        found = None  # it has ended
    return int(found.group(1)) / 1024 if found else 0


def begin_peak(pid):
    try:
        with open(f'/proc/{pid}/clear_refs', 'w', encoding='ascii') as f:
            f.write('5')
    except OSError:
        pass  # it has ended, or a kernel without it: the peak is that since the start


def stored(drive):
    """Bytes at the stores."""
    return sum(os.lstat(os.path.join(where, name)).st_size
               for store in drive.stores
               for where, _, names in os.walk(store) for name in names)


def drop_caches():
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w', encoding='ascii') as f:
        f.write('3')


class Goals:
    """Most of each, or None."""

    def __init__(self, seconds=None, kib=None, mib=300):
        self.limits = (seconds, None, mib, kib)

    def text(self, values):
        parts = [f'{limit} {unit}' for limit, unit in
                 zip(self.limits, COLUMNS) if limit is not None]
        over = [unit for value, limit, unit in
                zip(values, self.limits, COLUMNS)
                if limit is not None and value > limit]
        return ', '.join(parts) + (' (over: ' + ', '.join(over) + ')'
                                   if over else '')


class Bench:
    def __init__(self, args, shape):
        self.args, self.shape, self.rows = args, shape, []
        self.drive = Drive(cache_size=args.cache_size)
        self.top = os.path.join(self.drive.mnt, shape)

    # the files

    def path(self, number):
        if self.shape == 'flat':
            return os.path.join(self.top, f'file-{number:07}.txt')
        return os.path.join(self.folder(number // FOLDER),
                            f'file-{number:07}.txt')

    def folder(self, number):
        return os.path.join(self.top, f'folder-{number:04}')

    def make(self):
        os.mkdir(self.top)
        where = None
        for i in range(self.args.files):
            if self.shape == 'tree' and i % FOLDER == 0:
                os.mkdir(self.folder(i // FOLDER))
            if self.shape == 'tree' and i % FOLDER == 0 or where is None:
                if where is not None:
                    os.close(where)
                where = os.open(os.path.dirname(self.path(i)), os.O_RDONLY)
            fd = os.open(f'file-{i:07}.txt',
                         os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644,
                         dir_fd=where)
            if self.args.bytes:
                os.write(fd, b'%-*d' % (self.args.bytes, i))
            os.close(fd)
        os.close(where)

    def change(self, number):
        with open(self.path(number), 'wb') as f:
            f.write(b'changed\n')
        self.drive.sync()

    def create(self, number):
        with open(self.path(number) + '.new', 'xb') as f:
            f.write(b'new\n')
        self.drive.sync()

    def rename(self, number):
        os.rename(self.path(number), self.path(number) + '.renamed')
        self.drive.sync()

    def remove(self, number):
        os.unlink(self.path(number))
        self.drive.sync()

    def some_folder(self):
        return self.top if self.shape == 'flat' else self.folder(3)

    @staticmethod
    def walk(where):
        """All of it, with the attributes of each."""
        subprocess.run(['find', where, '-size', '+9999G'], check=True,
                       stdout=subprocess.DEVNULL)

    # measuring

    def step(self, name, goals, call, *args):
        pids = self.drive.pids()
        before = {pid: cpu_of(pid) for pid in pids}
        for pid in pids:
            begin_peak(pid)
        sent = stored(self.drive)
        start = time.perf_counter()
        call(*args)
        took = time.perf_counter() - start
        pids = self.drive.pids()
        values = (took, sum(cpu_of(pid) - before.get(pid, 0) for pid in pids),
                  max(map(resident, pids), default=0),
                  (stored(self.drive) - sent) / 1024)
        self.rows.append((name, values, goals))
        print(f'  {self.shape} {values[0]:9.2f} s {values[1]:9.2f} s CPU '
              f'{values[2]:5.0f} MiB {values[3]:11.1f} KiB  {name}',
              file=sys.stderr, flush=True)

    def mount(self):
        self.drive.mount()
        os.listdir(self.drive.mnt)

    def recover(self):
        self.drive.recover()
        self.mount()

    # keeping a drive

    def saved(self):
        return os.path.join(self.args.save, self.shape) if self.args.save \
            else None

    def save(self):
        """The drive is not mounted."""
        if self.saved():
            shutil.copytree(self.drive.dir, self.saved(), symlinks=True)
            with open(os.path.join(self.saved(), 'was'), 'w',
                      encoding='utf-8') as f:
                f.write(self.drive.dir)

    def load(self):
        """Where it was made: its stores are known by their paths."""
        drive = self.drive
        with open(os.path.join(self.saved(), 'was'), encoding='utf-8') as f:
            was = f.read()
        if os.path.exists(was):
            sys.exit(f'bench_scale.py: {was} is in use by another run')
        shutil.rmtree(drive.dir)
        subprocess.run(['cp', '-a', self.saved(), was], check=True)

        def moved(path):
            return os.path.join(was, os.path.relpath(path, drive.dir))
        drive.home, drive.mnt = moved(drive.home), moved(drive.mnt)
        drive.passfile, drive.words = moved(drive.passfile), moved(drive.words)
        drive.stores = [moved(store) for store in drive.stores]
        drive.dir = was
        self.top = os.path.join(drive.mnt, self.shape)

    # the whole

    def prepare(self):
        if self.saved() and os.path.isdir(self.saved()):
            self.load()
            return
        # commits are made when a row asks for one
        self.drive.init().set(onboard_idle='1d', onboard_age='1d',
                              onboard_bytes='1T')
        self.mount()
        self.step('all of them written', Goals(), self.make)
        self.step('all of them stored', Goals(), self.drive.sync)
        once = Goals(1, 128)
        self.step('one changed, stored', once, self.change, 1)
        self.step('another one', once, self.change, 1001)
        self.drive.umount()
        self.save()

    def small(self):
        """What must not depend on how many there are."""
        once = Goals(1, 128)
        if self.drive.is_mounted():
            self.drive.umount()
        drop_caches()
        self.step('mounted, cold, and ls of the root', Goals(1), self.mount)
        self.drive.umount()
        self.step('mounted again', Goals(1), self.mount)
        self.step('one changed, stored', once, self.change, 7)
        self.step('another one', once, self.change, 8)
        self.step('one created, stored', once, self.create, 9)
        self.step('one renamed, stored', once, self.rename, 10)
        self.step('one removed, stored', once, self.remove, 11)
        name = self.some_folder()
        self.step('a folder renamed, stored', once, lambda: (
            os.rename(name, name + '.renamed'), self.drive.sync()))
        os.rename(name + '.renamed', name)
        self.drive.sync()

    def large(self):
        """What has to."""
        self.step('find, all attributes', Goals(), self.walk, self.top)
        self.step('again', Goals(), self.walk, self.top)

    def lost(self):
        """The machine; the words and a folder are left."""
        self.drive.lose()
        drop_caches()
        self.step('recovered, mounted, ls of the root', Goals(2), self.recover)
        self.step('ls -l of one folder, fetched', Goals(), self.walk,
                  self.some_folder())
        self.step('one changed in it, stored', Goals(None, 128), self.change,
                  3007)
        self.step('find, all fetched', Goals(), self.walk, self.top)
        self.step('one changed, stored', Goals(1, 128), self.change, 17)

    def removed(self):
        self.step('rm -rf of all', Goals(), shutil.rmtree, self.top)
        self.step('and stored', Goals(), self.drive.sync)

    def run(self):
        with self.drive:
            self.prepare()
            for part in self.args.parts.split(','):
                if part != 'small' and not self.drive.is_mounted():
                    self.mount()
                getattr(self, part)()


def table(bench):
    rows = [(f'{bench.args.files:,} files, {bench.shape}', *COLUMNS, 'goal')]
    rows.append(tuple('-' * len(cell) for cell in rows[0]))
    for name, v, goals in bench.rows:
        rows.append((name, f'{v[0]:.2f}', f'{v[1]:.2f}', f'{v[2]:.0f}',
                     f'{v[3]:.1f}', goals.text(v)))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return '\n'.join('| ' + ' | '.join(
        c.ljust(w) if i in (0, 5) else c.rjust(w)
        for i, (c, w) in enumerate(zip(r, widths))) + ' |' for r in rows)


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__.split('\n\n', maxsplit=1)[0])
    p.add_argument('--fildrive', required=True, help='the binary')
    p.add_argument('--files', type=int, default=1000000)
    p.add_argument('--bytes', type=int, default=100, help='of each file')
    p.add_argument('--shape', default='tree,flat')
    p.add_argument('--parts', default='small,large,lost,removed')
    p.add_argument('--dir', default='/var/tmp', help='where to work (ext4)')
    p.add_argument('--save', help='a folder for the drive that was made')
    p.add_argument('--cache-size', default='16G', help="of the drive")
    return p.parse_args()


def main():
    args = arguments()
    if os.geteuid() != 0:
        sys.exit('bench_scale.py: it drops the kernel caches: run it as root')
    if args.files < 10 * FOLDER:
        sys.exit(f'bench_scale.py: {10 * FOLDER} files at least')
    Drive.patience = 4 * 3600
    os.environ['FILDRIVE_BIN'], os.environ['TMPDIR'] = args.fildrive, args.dir
    done = []
    for shape in args.shape.split(','):
        done.append(Bench(args, shape))
        done[-1].run()
    print(machine())
    for bench in done:
        print()
        print(table(bench))


if __name__ == '__main__':
    main()
