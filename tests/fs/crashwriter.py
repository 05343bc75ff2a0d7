"""crashwriter.py - a writer that says beforehand and afterwards what it does

Run as a program: crashwriter.py FOLDER LOG SEED.  It works in FOLDER, on a
drive whose daemon will be killed, and records every step in LOG, outside the
drive: `> N T step` before it, `< N T` after it, with T of the monotonic clock
(ns).  A step is one system call, or one that cannot be seen half done.  It ends
when a call fails, as all do once the daemon is dead.

The other half of the file plays a log back: states() gives the tree after each
step that may have been the last one.
"""
import json
import mmap
import os
import random
import sys
import time

PAGE = 4096
SYNCS = ('fsync', 'fdatasync', 'fsyncdir', 'owrite', 'mstore')


def content(seed, n):
    """Bytes that tell from which step, and from which place in it, they are."""
    r = random.Random(seed)
    return r.randbytes(n)


class Writer:
    def __init__(self, folder, log, seed):
        self.root, self.r, self.n, self.seed = folder, random.Random(seed), 0, \
            seed
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.dirs, self.files = [''], {}

    def at(self, name):
        return os.path.join(self.root, name)

    def step(self, call, *step):
        self.n += 1
        os.write(self.log, b'> %d %d %s\n' % (
            self.n, time.monotonic_ns(), json.dumps(step).encode()))
        done = call()
        os.write(self.log, b'< %d %d\n' % (self.n, time.monotonic_ns()))
        return done

    def new_name(self):
        return os.path.join(self.r.choice(self.dirs), f'n{self.n}')

    def parent(self, name):
        return os.path.dirname(name)

    def sync_dir(self, name):
        fd = os.open(self.at(name), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.step(lambda: os.fsync(fd), 'fsyncdir', name)
        finally:
            os.close(fd)

    def sync_file(self, fd, name):
        if self.r.random() < 0.5:
            self.step(lambda: os.fsync(fd), 'fsync', name)
        else:
            self.step(lambda: os.fdatasync(fd), 'fdatasync', name)

    def write(self, fd, name, off, n):
        seed = f'{self.seed}/{self.n}'
        data = content(seed, n)
        self.step(lambda: os.pwrite(fd, data, off), 'write', name, off, n, seed)
        self.files[name] = max(self.files.get(name, 0), off + n)

    def create(self):
        name, n = self.new_name(), self.r.choice((1, 100, 4096, 5000, 60000))
        fd = self.step(lambda: os.open(
            self.at(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644),
            'create', name)
        self.files[name] = 0
        try:
            self.write(fd, name, 0, n)
            self.sync_file(fd, name)
        finally:
            os.close(fd)
        self.sync_dir(self.parent(name))

    def change(self):
        if not self.files:
            return
        name = self.r.choice(sorted(self.files))
        size = self.files[name]
        off = self.r.choice((size, size, self.r.randrange(size + 1), 0))
        n = self.r.choice((1, 700, 4096, 20000))
        fd = os.open(self.at(name), os.O_RDWR)
        try:
            self.write(fd, name, off, n)
            self.sync_file(fd, name)
        finally:
            os.close(fd)

    def owrite(self):
        if not self.files:
            return
        name = self.r.choice(sorted(self.files))
        seed, n = f'{self.seed}/o{self.n}', self.r.choice((10, 5000))
        off = self.r.randrange(self.files[name] + 1)
        fd = os.open(self.at(name), os.O_RDWR | os.O_SYNC)
        try:
            self.step(lambda: os.pwrite(fd, content(seed, n), off),
                      'owrite', name, off, n, seed)
        finally:
            os.close(fd)
        self.files[name] = max(self.files[name], off + n)

    def mstore(self):
        big = sorted(k for k, v in self.files.items() if v >= 4096)
        if not big:
            return
        name, seed = self.r.choice(big), f'{self.seed}/m{self.n}'
        off, n = self.r.randrange(3000), 900
        fd = os.open(self.at(name), os.O_RDWR)

        def store():
            with mmap.mmap(fd, 4096) as m:
                m[off:off + n] = content(seed, n)
                m.flush()
        try:
            self.step(store, 'mstore', name, off, n, seed)
        finally:
            os.close(fd)

    def truncate(self):
        if not self.files:
            return
        name = self.r.choice(sorted(self.files))
        n = self.r.choice((0, 1, 4097, 30000))
        fd = os.open(self.at(name), os.O_RDWR)
        try:
            self.step(lambda: os.ftruncate(fd, n), 'truncate', name, n)
            self.files[name] = n
            self.sync_file(fd, name)
        finally:
            os.close(fd)

    def rename(self):
        if not self.files:
            return
        old = self.r.choice(sorted(self.files))
        new = self.r.choice([self.new_name(), *sorted(self.files)])
        if old == new:
            return
        self.step(lambda: os.rename(self.at(old), self.at(new)),
                  'rename', old, new)
        self.files[new] = self.files.pop(old)
        self.sync_dir(self.parent(new))

    def unlink(self):
        if len(self.files) < 4:
            return
        name = self.r.choice(sorted(self.files))
        self.step(lambda: os.unlink(self.at(name)), 'unlink', name)
        del self.files[name]
        self.sync_dir(self.parent(name))

    def tree(self):
        name = self.new_name()
        for part in (name, name + '/a', name + '/a/b'):
            self.step(lambda p=part: os.mkdir(self.at(p)), 'mkdir', part)
            self.dirs.append(part)
        self.sync_dir(name)

    def run(self):
        verbs = [self.create] * 4 + [self.change] * 4 + [self.rename] * 2 + [
            self.owrite, self.mstore, self.truncate, self.unlink, self.tree]
        while True:
            self.r.choice(verbs)()


# ---- playing a log back ----

def _apply(tree, step):
    op, name, *rest = step
    if op == 'create':
        tree[name] = b''
    elif op == 'mkdir':
        tree[name] = None
    elif op in ('write', 'owrite', 'mstore'):
        off, n, seed = rest
        old = tree[name].ljust(off, b'\0')
        tree[name] = old[:off] + content(seed, n) + old[off + n:]
    elif op == 'truncate':
        tree[name] = tree[name][:rest[0]].ljust(rest[0], b'\0')
    elif op == 'rename':
        tree[rest[0]] = tree.pop(name)
    elif op == 'unlink':
        del tree[name]
    else:
        assert op in SYNCS, op


def states(log, cut=None):
    """[(tree, earliest, latest)]: each tree that may be found, and when it was
    the state of the drive.  The first is what the last acknowledged sync
    promised; the last one has the step that was cut short.

    Without `cut` the end of the log is the time of the cut.  With it, the log
    went on: what was acknowledged before cut.t0 was promised, and what began
    after cut.t1 cannot have left a trace."""
    steps, done = [], {}
    with open(log, encoding='ascii') as f:
        for line in f:
            if not line.endswith('\n'):
                break
            mark, n, t, *rest = line.split(' ', 3)
            if mark == '>' and cut and int(t) > cut.t1:
                break
            if mark == '>':
                steps.append((int(n), int(t), json.loads(rest[0])))
            else:
                done[int(n)] = int(t)
    before = cut.t0 if cut else 1 << 62
    promised = max([i + 1 for i, (n, _, step) in enumerate(steps)
                    if step[0] in SYNCS and done.get(n, 1 << 63) <= before],
                   default=0)
    tree, found = {}, []
    for i in range(len(steps) + 1):
        begun = steps[i - 1][1] if i else 0
        ended = done.get(steps[i][0], 1 << 62) if i < len(steps) else 1 << 62
        if i:
            if i > promised:
                own_end = done.get(steps[i - 1][0], 1 << 62)
                found += [(part, begun, own_end)
                          for part in _parts(tree, steps[i - 1][2])]
            _apply(tree, steps[i - 1][2])
        if i >= promised:
            found.append((dict(tree), begun, ended))
    return found, len(done)


def _parts(tree, step):
    """The trees in the middle of a write: the kernel hands the first page of
    a write over by itself when it knows only a part of that page, and no file
    system could tell that the rest is on its way."""
    op, name, *rest = step
    if op not in ('write', 'owrite'):
        return
    off, n, seed = rest
    for cut in range(PAGE - off % PAGE, n, PAGE):
        part, old = dict(tree), tree[name].ljust(off, b'\0')
        part[name] = old[:off] + content(seed, n)[:cut] + old[off + cut:]
        yield part


def refuse(error):
    raise error


def picture(root):
    """What there is now, in the form of states()."""
    tree = {}
    for where, dirs, files in os.walk(root, onerror=refuse):
        for name in dirs:
            tree[os.path.relpath(os.path.join(where, name), root)] = None
        for name in files:
            path = os.path.join(where, name)
            with open(path, 'rb') as f:
                tree[os.path.relpath(path, root)] = f.read()
    return tree


def main():
    try:
        Writer(sys.argv[1], sys.argv[2], sys.argv[3]).run()
    except OSError as e:
        print(e, file=sys.stderr)


if __name__ == '__main__':
    main()
