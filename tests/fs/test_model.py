"""The drive and ext4 in step: random operations on both give the same answers
and the same trees, with remounts, onboarding, and recovery from the words in
between.  A failing seed prints its last operations."""
import os
import random
import shutil
import stat

import pytest

from conftest import LONG
from trees import assert_same, picture

NAMES = [f'n{i}' for i in range(8)]
SEEDS = range(1, 41) if LONG else (1, 2, 3)


class Model:
    """Two roots, one random source; paths are taken from the ext4 side."""

    def __init__(self, seed, native, drive):
        self.random = random.Random(seed)
        self.native, self.drive, self.log = native, drive, []

    def paths(self, files=True, dirs=True, regular=False):
        found = []
        for where, _, names in os.walk(self.native):
            rel = os.path.relpath(where, self.native)
            found += [rel] * dirs
            for name in names * files:
                path = os.path.normpath(os.path.join(rel, name))
                if not regular or stat.S_ISREG(
                        os.lstat(os.path.join(self.native, path)).st_mode):
                    found.append(path)
        return sorted(found)

    def new_name(self):
        where = self.random.choice(self.paths(files=False))
        return os.path.normpath(
            os.path.join(where, self.random.choice(NAMES)))

    def both(self, what, act):
        """The same call on both sides, with the same outcome."""
        self.log.append(what)
        outcome = []
        for root in (self.native, self.drive.mnt):
            try:
                outcome.append(act(root))
            except OSError as e:
                outcome.append(('errno', e.errno))
        assert outcome[0] == outcome[1], (what, outcome, self.log[-20:])

    def step(self):
        r = self.random
        regular = self.paths(dirs=False, regular=True)
        any_path, new = r.choice(self.paths()), self.new_name()
        file = r.choice(regular) if regular else None
        off = r.choice([0, r.randrange(5000), r.randrange(3 << 20)])
        data = r.randbytes(r.choice([1, r.randrange(1, 9000),
                                     r.randrange(1, 1 << 20)]))
        size = r.choice([0, r.randrange(1, 9000), r.randrange(1, 4 << 20)])
        acts = {
            'make': lambda at: make(at(new), data[:r_small]),
            'mkdir': lambda at: os.mkdir(at(new)),
            'symlink': lambda at: os.symlink('x' * (len(data) % 300 + 1),
                                             at(new)),
            'rename': lambda at: os.rename(at(any_path), at(new)),
            'unlink': lambda at: os.unlink(at(any_path)),
            'rmdir': lambda at: any_path == '.' or os.rmdir(at(any_path)),
            'chmod': lambda at: chmod(at(any_path), r_mode),
            'xattr': lambda at: xattr(at(any_path), data[:300]),
        }
        r_small = r.choice([0, 10, 130, 5000, len(data)])
        r_mode = r.choice([0o600, 0o644, 0o755, 0o4711])
        if file:
            other = r.choice(regular)
            acts.update({
                'write': lambda at: pwrite(at(file), data, off),
                'write again': lambda at: pwrite(at(file), data, off),
                'truncate': lambda at: os.truncate(at(file), size),
                'link': lambda at: os.link(at(file), at(new)),
                'copy': lambda at: copy_range(
                    at(file), off // 4096 * 4096, at(other),
                    size // 4096 * 4096, len(data)),
            })
        name = r.choice(sorted(acts))
        self.both((name, new, any_path, file, off, len(data), size),
                  lambda root: acts[name](
                      lambda path: os.path.join(root, path)))

    def compare(self):
        assert_same(picture(self.native, times=False, owners=False),
                    picture(self.drive.mnt, times=False, owners=False))


def make(path, data):
    with open(path, 'xb') as f:
        f.write(data)


def pwrite(path, data, off):
    with open(path, 'r+b') as f:
        os.pwrite(f.fileno(), data, off)


def chmod(path, mode):
    if not os.path.islink(path):
        os.chmod(path, mode)


def xattr(path, value):
    if not os.path.islink(path):
        os.setxattr(path, 'user.model', value)


def copy_range(src, src_off, dst, dst_off, n):
    if os.path.samefile(src, dst):
        return
    with open(src, 'rb') as a, open(dst, 'r+b') as b:
        while n:
            done = os.copy_file_range(a.fileno(), b.fileno(), n, src_off,
                                      dst_off)
            if not done:
                return
            src_off, dst_off, n = src_off + done, dst_off + done, n - done


@pytest.mark.parametrize('seed', SEEDS)
def test_drive_and_ext4_stay_in_step(drives, native, seed):
    d = drives().init().mount()
    model = Model(seed, native, d)
    for _ in range(15):
        for _ in range(model.random.randrange(5, 40)):
            model.step()
        what = model.random.randrange(4)
        model.log.append(('then', what))
        if what == 0:
            d.sync()
        elif what == 1:
            d.umount()
            d.mount()
        elif what == 2:
            d.sync()
            d.umount()
            shutil.rmtree(d.home)
            d = model.drive = drives.adopt(d.recovered()).mount()
        if what != 0:
            model.compare()
    model.compare()
