"""kill -9 while all that a drive does goes on at once.

Four writers, a reader of old files that are evicted and come back, pieces that
leave, gc and passwd: the daemon and the commands end at any time, and often again
while the drive is being mounted.  What was acknowledged is there, passphrases
included, and the stores have kept what the drive needs.  Old files are there in
the long form only: it takes many of them to fill a cache."""
import os
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import cutload
from commands import PASSWORD
from conftest import LONG
from drive import PATIENCE, CommandFailed
from syscalls import read, write
from test_crash import WRITERS, assert_one_instant, start_writers, \
    wait_for_steps
from test_powercut import end, start_program
from trees import assert_same, picture

ROUNDS = int(os.environ.get('FILDRIVE_TEST_ROUNDS', '150' if LONG else '4'))


class Passphrases:
    """Two, of which one opens the drive; again and again it is the other."""

    def __init__(self, d):
        self.d, self.in_doubt, self.changes = d, False, 0
        self.other = write(os.path.join(d.dir, 'other'), b'another one\n')
        os.chmod(self.other, 0o600)

    def change(self):
        """Once; what a kill has cut short is in doubt."""
        done = self.d.run('passwd', '--drive', self.d.name, '--passfile',
                          self.d.passfile, '--new-passfile', self.other,
                          check=False)
        self.in_doubt = done.returncode == -9
        assert done.returncode in (0, -9), done
        if done.returncode == 0:
            self.d.passfile, self.other = self.other, self.d.passfile
            self.changes += 1

    def mount(self):
        """With the one that was promised."""
        try:
            self.d.mount()
        except CommandFailed as e:
            if e.status != PASSWORD or not self.in_doubt:
                raise
            self.d.passfile, self.other = self.other, self.d.passfile
            self.d.mount()
        self.in_doubt = False


def kill_while_it_is_mounted(d, rand):
    options = ('-o', ','.join(d.options)) if d.options else ()
    mounting = d.start('mount', '--drive', d.name, '--passfile', d.passfile,
                       *options, d.mnt)
    time.sleep(rand.uniform(0, 0.15))  # the time of the cut
    d.kill_any()  # it may have ended by itself: the other passphrase was promised
    mounting.communicate(timeout=PATIENCE)
    d.kill_any()  # what was too early to be seen


class Round:
    """All of it, until the kill; then what is found."""

    def __init__(self, d, logs, name, words):
        self.d, self.logs, self.name, self.words = d, logs, name, words
        self.over = False
        self.old = os.path.join(d.mnt, 'ballast') if LONG else None

    def again_and_again(self, command):
        while not self.over:
            command()

    def gc(self):
        """Of what was deleted a round ago; fails once the daemon is dead."""
        self.d.run('gc', '--drive', self.d.name, '--quiet', '--yes',
                   '--forget-before', '999999', check=False)

    def until_killed(self, rand):
        d = self.d
        programs = start_writers(d, self.logs, self.name)
        if self.old:
            programs.append(start_program('reader', self.old,
                                          self.reader_log()))
        wait_for_steps(self.logs, self.name)
        with ThreadPoolExecutor(2) as at_work:
            commands = [at_work.submit(self.again_and_again, c)
                        for c in (self.gc, self.words.change)]
            try:
                time.sleep(rand.uniform(0, 1.5))  # the time of the cut
            finally:
                self.over = True
            d.kill9()
        for command in commands:
            command.result()
        for p in programs:
            if p.poll() is None:
                end(p)
            p.communicate(timeout=PATIENCE)

    def reader_log(self):
        return os.path.join(self.logs, f'{self.name}.reader')

    def judge(self, rand):
        steps = assert_one_instant(self.d, self.logs, self.name)
        if self.old:
            self.judge_old(rand)
        return steps

    def judge_old(self, rand):
        if os.path.exists(self.reader_log()):
            with open(self.reader_log(), encoding='ascii') as f:
                assert '!' not in f.read()
        for k in rand.sample(range(cutload.N_BALLAST), 2):
            assert read(os.path.join(self.old, str(k))) == \
                cutload.content(f'ballast {k}', cutload.BALLAST), k

    def remove(self):
        for w in range(WRITERS):
            shutil.rmtree(os.path.join(self.d.mnt, f'{self.name}.{w}'))


def assert_sound(d):
    """All of it leaves, and the store has what is needed."""
    d.sync().run('verify', '--drive', d.name, '--all', '--quiet')
    s = d.answered()
    # The keys are those of a test, so the machine may have plain swap.
    assert not (s['errors'] or [w for w in s['warnings'] if 'swap' not in w] or
                s['fenced']), s


def test_kill_9_while_everything_goes_on_loses_nothing(drives, native):
    seed = random.randrange(1 << 32)
    print('seed', seed)
    rand = random.Random(seed)
    d = drives(cache_size=256 << 20).init()
    d.set(onboard_idle='200ms', onboard_age='1s').mount()
    if LONG:
        os.mkdir(os.path.join(d.mnt, 'ballast'))
        cutload.make_ballast(os.path.join(d.mnt, 'ballast'))
        d.sync()
    words = Passphrases(d)
    steps = kills = 0
    for turn in range(ROUNDS):
        this = Round(d, native, f'{seed}-{turn}', words)
        this.until_killed(rand)
        kills += 1
        while rand.random() < 0.4:
            kill_while_it_is_mounted(d, rand)
            kills += 1
        words.mount()
        steps += this.judge(rand)
        this.remove()
        if turn % 20 == 19:
            assert_sound(d)
            print(f'{kills} kills, {steps} steps, {words.changes} passphrases',
                  flush=True)
    assert_sound(d)
    want = picture(d.mnt, everything=True)
    d.umount()
    assert d.run('fsck', '--drive', d.name, '--passfile',
                 d.passfile).returncode == 0
    there = drives.adopt(d.recovered()).mount()
    assert_same(want, picture(there.mnt, everything=True))
