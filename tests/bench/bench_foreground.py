#!/usr/bin/env python3
"""bench_foreground.py - what operations take while a drive is being onboarded

Fills a drive with MIB of random bytes and measures small operations on the mount,
twice: while nothing else is done, and from a sync until all is at the store (a
folder on the same disk).  Prints milliseconds of each operation (median, 90th and
99th of a hundred, mean, worst) and the ratio of both; the CPU that the daemon
took, and how much of it threads that are nicer than its main one.

Numbers for people.  On a busy machine both measurements have the others' load in
them: the ratio stays, if the load does.  --rounds repeats both in turns.
"""
import argparse
import contextlib
import os
import random
import tempfile
import time

from drive import Drive

MIB = 1 << 20
KINDS = ('create', 'stat', 'read 4 KiB', 'write 4 KiB', 'rename', 'unlink',
         'fsync 4 KiB')


def threads(pid):
    """tid -> (nice, seconds)"""
    found = {}
    tick = os.sysconf('SC_CLK_TCK')
    for tid in os.listdir(f'/proc/{pid}/task'):
        try:
            with open(f'/proc/{pid}/task/{tid}/stat', encoding='ascii',
                      errors='replace') as f:
                v = f.read().rpartition(')')[2].split()
        except OSError:
            continue  # it has ended
        found[tid] = (int(v[16]), (int(v[11]) + int(v[12])) / tick)
    return found


class Clock:
    def __init__(self):
        self.took = {kind: [] for kind in KINDS}

    def __call__(self, kind, call, *args):
        start = time.perf_counter_ns()
        result = call(*args)
        self.took[kind].append((time.perf_counter_ns() - start) / 1e6)
        return result


class Load:
    """Operations on small files of its own, and on the big one."""

    def __init__(self, drive, size, noise):
        self.dir = os.path.join(drive.mnt, 'small')
        self.size, self.noise = size, noise
        self.rng, self.n = random.Random(5), 0
        os.makedirs(self.dir, exist_ok=True)
        self.big = os.open(os.path.join(drive.mnt, 'big0'), os.O_RDONLY)
        os.posix_fadvise(self.big, 0, 0, os.POSIX_FADV_RANDOM)

    def close(self):
        os.close(self.big)

    def one(self, clock):
        path = os.path.join(self.dir, f'f{self.n}')
        self.n += 1
        fd = clock('create', os.open, path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        clock('write 4 KiB', os.pwrite, fd, self.noise[:4096], 0)
        if self.n % 16 == 0:
            os.pwrite(fd, self.noise[4096:8192], 4096)
            clock('fsync 4 KiB', os.fsync, fd)
        os.close(fd)
        at = self.rng.randrange(self.size // 4096) * 4096
        os.posix_fadvise(self.big, at, 4096, os.POSIX_FADV_DONTNEED)
        clock('read 4 KiB', os.pread, self.big, 4096, at)
        clock('rename', os.rename, path, path + 'x')
        # a name that the kernel has not seen: it has to ask
        clock('stat', os.path.exists, path + 'y')
        clock('unlink', os.unlink, path + 'x')

    def run(self, clock, done):
        start = last = time.monotonic()
        while True:
            self.one(clock)
            time.sleep(0.002)  # somebody works, nobody floods
            if time.monotonic() - last > 0.25:
                last = time.monotonic()
                if done(last - start):
                    return last - start


def fill(drive, n, noise, turn):
    for k in range(n):
        with open(os.path.join(drive.mnt, f'big{k}'), 'wb', buffering=0) as f:
            for i in range(256):
                at = (i * 4099 + k * 12289 + turn * 40961) % (3 * MIB)
                f.write(turn.to_bytes(4, 'little') + noise[at:at + MIB - 4])
    drive.run('sync', '--local', '--drive', drive.name)


def quantile(v, q):
    v = sorted(v)
    return v[min(len(v) - 1, int(len(v) * q))]


def line(kind, v):
    return (f'{kind:12} {len(v):6} {quantile(v, .5):8.3f} '
            f'{quantile(v, .9):8.3f} {quantile(v, .99):8.3f} '
            f'{sum(v) / len(v):8.3f} {max(v):8.1f}')


def show(calm, busy):
    print(f'{"ms":12} {"n":>6} {"p50":>8} {"p90":>8} {"p99":>8} {"mean":>8} '
          f'{"worst":>8}')
    for kind in KINDS:
        a, b = calm.took[kind], busy.took[kind]
        if not a or not b:
            continue
        print(line(kind, a))
        print(line('  onboarding', b))
        print(f'  ratio{"":14}{quantile(b, .5) / quantile(a, .5):8.2f} '
              f'{quantile(b, .9) / quantile(a, .9):8.2f} '
              f'{quantile(b, .99) / quantile(a, .99):8.2f} '
              f'{sum(b) / len(b) / (sum(a) / len(a)):8.2f}')


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0])
    p.add_argument('--fildrive', required=True, help='the binary')
    p.add_argument('--mib', type=int, default=1024)
    p.add_argument('--rounds', type=int, default=1)
    p.add_argument('--dir', default='/var/tmp', help='where to work')
    p.add_argument('--store', help='where the store is, if on another disk')
    return p.parse_args()


def main():
    args = arguments()
    os.environ['FILDRIVE_BIN'] = args.fildrive
    os.environ['TMPDIR'] = args.dir
    noise = random.Random(1).randbytes(4 * MIB)
    calm, busy = Clock(), Clock()
    with contextlib.ExitStack() as stack:
        drive = stack.enter_context(Drive(cache_size=f'{3 * args.mib + 8192}M'))
        if args.store:
            drive.stores = [stack.enter_context(
                tempfile.TemporaryDirectory(dir=args.store))]
        drive.init().set(onboard_idle=36000, onboard_age=36000,
                         onboard_bytes='1T').mount().meet()
        cpu = niced = spent = 0
        for turn in range(args.rounds):
            fill(drive, max(1, args.mib // 256), noise, turn)
            load = Load(drive, 256 * MIB, noise)
            load.run(calm, lambda t: t > 20)
            before = threads(drive.pids()[0])
            sync = drive.start_sync()
            spent += load.run(busy, lambda t: sync.poll() is not None)
            after = threads(drive.pids()[0])
            base = after[str(drive.pids()[0])][0]
            load.close()
            for tid, (nice, seconds) in after.items():
                took = seconds - before.get(tid, (0, 0))[1]
                cpu += took
                niced += took if nice > base else 0
    show(calm, busy)
    print(f'{args.mib * args.rounds} MiB onboarded in {spent:.1f} s; the daemon '
          f'took {cpu:.1f} s of CPU meanwhile, {niced:.1f} of it niced')


if __name__ == '__main__':
    main()
