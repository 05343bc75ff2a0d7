"""The drive and ext4 in step: random operations on both give the same answers
and the same trees, with syncs, remounts, crashes, eviction, removal of what
nothing needs, and recovery from the words in between.  What fails is cut down to
the operations that it takes, and printed as a script."""
import os
import random
import shutil
import tempfile

import pytest

import model
from conftest import LONG
from trees import assert_same, picture

# Others by FILDRIVE_TEST_SEEDS=first-last.
SEEDS = range(1, 41) if LONG else (1, 2, 3)
if 'FILDRIVE_TEST_SEEDS' in os.environ:
    _first, _last = os.environ['FILDRIVE_TEST_SEEDS'].split('-')
    SEEDS = range(int(_first), int(_last) + 1)
TURNS = 15
REPLAYS = 400 if LONG else 60  # of a run that failed, to cut it down


class Run:
    """Two roots; the native one decides what can be done."""

    def __init__(self, drives, native):
        self.drives = drives
        self.native = os.path.join(native, str(len(os.listdir(native))))
        os.mkdir(self.native)
        self.drive = self.small(drives().init()).mount()

    @staticmethod
    def small(drive):
        """Of the least size, where evict() has to fill it."""
        return drive.set(cache_size='256M') if LONG else drive

    def compare(self):
        try:
            assert_same(picture(self.native, times=False, owners=False),
                        picture(self.drive.mnt, times=False, owners=False))
        except AssertionError as e:
            raise model.OutOfStep(str(e)) from e

    def sync(self):
        self.drive.sync()

    def remount(self):
        self.drive.remount()
        self.compare()

    def crash(self):
        self.drive.run('sync', '--drive', self.drive.name, '--local')
        self.drive.kill9().mount()
        self.compare()

    def recover(self):
        d = self.drive.sync().umount()
        shutil.rmtree(d.home)
        self.drive = self.small(self.drives.adopt(d.recovered())).mount()
        self.compare()

    def gc(self):
        self.drive.sync().run('gc', '--drive', self.drive.name, '--quiet',
                              '--yes', '--forget-before', '1000000')

    def evict(self):
        """A file as large as all that is free, clean blocks among it."""
        self.drive.sync()
        room = os.statvfs(self.drive.mnt)
        block = b'x' * (1 << 20)
        assert room.f_blocks * room.f_bsize <= 256 << 20
        with open(os.path.join(self.drive.mnt, 'filler'), 'wb') as f:
            for _ in range(room.f_bavail * room.f_bsize * 9 // 10 >> 20):
                f.write(block)
            f.flush()
            os.fsync(f.fileno())
        os.unlink(os.path.join(self.drive.mnt, 'filler'))
        self.drive.remount()  # the kernel has what was evicted
        self.compare()

    TO_THE_DRIVE = {'gc': gc, 'sync': sync, 'remount': remount, 'crash': crash,
                    'recover': recover, 'compare': compare,
                    **({'evict': evict} if LONG else {})}

    def do(self, op):
        if op[0] in self.TO_THE_DRIVE:
            self.TO_THE_DRIVE[op[0]](self)
        else:
            model.both(op, self.native, self.drive.mnt)


def invented(run, r):
    """One operation after the other, each made when it is asked for."""
    for _ in range(TURNS):
        for _ in range(r.randrange(5, 40)):
            yield model.invent(r, run.native)
        yield (r.choice(sorted(Run.TO_THE_DRIVE)),)
    yield ('compare',)


@pytest.mark.parametrize('seed', SEEDS)
def test_drive_and_ext4_stay_in_step(drives, native, seed):
    def fails(ops):
        run = Run(drives, native)
        try:
            for op in ops:
                run.do(op)
        except model.OutOfStep:
            return True
        finally:
            run.drive.close()
        return False

    run, done = Run(drives, native), []
    try:
        for op in invented(run, random.Random(seed)):
            done.append(op)
            run.do(op)
    except model.OutOfStep as e:
        run.drive.close()
        # The last one is what showed it, and stays: a fault is seen there.
        least = model.shrink(done[:-1],
                             lambda ops: fails(ops + done[-1:]), REPLAYS)
        pytest.fail(f'seed {seed}: {e}\n{model.script(least + done[-1:])}')


def test_a_run_that_fails_is_cut_down_to_what_it_takes(native):
    # A file system that loses what is appended to a file with two names.
    def broken(op, root):
        if op[0] == 'append' and os.path.exists(os.path.join(root, op[1])) \
                and os.stat(os.path.join(root, op[1])).st_nlink > 1:
            return None
        return model.do(op, root)

    def fails(ops):
        roots = [tempfile.mkdtemp(dir=native) for _ in range(2)]
        for op in ops:
            if model.do(op, roots[0]) != broken(op, roots[1]):
                return True
        same = picture(roots[0], times=False) == picture(roots[1], times=False)
        for root in roots:
            shutil.rmtree(root)
        return not same

    r, ops = random.Random(5), []
    here = os.path.join(native, 'invented')
    os.mkdir(here)
    while not fails(ops):
        ops.append(model.invent(r, here))
        model.do(ops[-1], here)
    assert len(ops) > 50
    least = model.shrink(ops, fails)
    names = [op[0] for op in least]
    assert {'mkfile', 'link'} <= set(names) and names[-1] == 'append', least
    assert fails(least)
    for i in range(len(least)):  # none can be left out
        assert not fails(least[:i] + least[i + 1:]), (i, least)
    compile(model.script(least), 'script', 'exec')
