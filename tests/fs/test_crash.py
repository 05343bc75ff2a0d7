"""kill -9 at random times: what was acknowledged is there, and one instant."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import cars
import crashwriter
from conftest import LONG
from drive import PATIENCE, until
from syscalls import write
from trees import assert_same, picture

WRITERS = 4
WRITER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'crashwriter.py')


def start_writers(d, logs, seed):
    started = []
    for w in range(WRITERS):
        folder = os.path.join(d.mnt, f'{seed}.{w}')
        os.mkdir(folder)
        fd = os.open(d.mnt, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        started.append(subprocess.Popen(
            [sys.executable, WRITER, folder, os.path.join(logs, f'{seed}.{w}'),
             f'{seed}.{w}'], stderr=subprocess.PIPE, text=True))
    return started


def wait_for_steps(logs, seed):
    """Each writer runs by now, whatever it takes to start one here."""
    def run():
        return all(os.path.exists(log) and os.path.getsize(log)
                   for log in (os.path.join(logs, f'{seed}.{w}')
                               for w in range(WRITERS)))
    until(run, what='all writers write')


def assert_one_instant(d, logs, seed, cut=None):
    """Each writer's folder is the tree after one of its steps, not before the
    last acknowledged sync, and all of them are so at one moment."""
    begun, ended, steps = [], [], 0
    for w in range(WRITERS):
        found = crashwriter.picture(os.path.join(d.mnt, f'{seed}.{w}'))
        may, done = crashwriter.states(os.path.join(logs, f'{seed}.{w}'), cut)
        fits = [s for s in may if s[0] == found]
        assert fits, tell(may, found, os.path.join(logs, f'{seed}.{w}'))
        begun.append(min(s[1] for s in fits))
        ended.append(max(s[2] for s in fits))
        steps += done
    assert max(begun) <= min(ended), \
        f'{seed}: two writers are found at different moments: ' \
        f'{begun} {ended}'
    return steps


def tell(may, found, log):
    """How the found tree differs from what the last sync promised."""
    want = may[0][0]
    with open(log, encoding='ascii') as f:
        steps = [line for line in f if line[0] == '>']
    wrong = [f'{log}: {len(may)} trees are possible, none is there; '
             f'last steps {steps[-8:]}; against the promised one:']
    for name in sorted(want.keys() | found.keys()):
        a, b = want.get(name, 'absent'), found.get(name, 'absent')
        if a == b:
            continue
        if isinstance(a, bytes) and isinstance(b, bytes):
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y),
                      min(len(a), len(b)))
            end = max((i for i, (x, y) in enumerate(zip(a, b)) if x != y),
                      default=at)
            wrong.append(f'{name}: {len(a)} bytes, now {len(b)}; '
                         f'other bytes from {at} to {end}: '
                         f'{a[at:at + 8]} {b[at:at + 8]}; its steps: '
                         f'{[s for s in steps if name in s]}')
        else:
            wrong.append(f'{name}: was {type(a)}, is {type(b)}')
    return '\n'.join(wrong[:20])


@pytest.mark.parametrize('onboarding', [False, True],
                         ids=['quiet', 'while onboarding'])
def test_kill_9_under_writers_loses_nothing_acknowledged(
        drives, native, onboarding):
    seed = random.randrange(1 << 32)
    print('seed', seed)
    rand = random.Random(seed)
    d = drives().init()
    if onboarding:
        d.run('config', '--drive', d.name, 'onboard_idle', '1ms')
        d.run('config', '--drive', d.name, 'onboard_age', '1s')
    d.mount()
    turn, steps, kept = 0, 0, {}
    # A machine that is busy or syncs slowly takes more turns for the same.
    while turn < (500 if LONG else 8) or steps < 300:
        name = f'{seed}-{turn}'
        writers = start_writers(d, native, name)
        wait_for_steps(native, name)
        time.sleep(rand.uniform(0, 0.65))  # the time of the cut
        d.kill9()
        for w in writers:
            w.communicate(timeout=PATIENCE)
        d.mount()
        steps += assert_one_instant(d, native, name)
        for w in range(WRITERS):
            kept[f'{name}.{w}'] = crashwriter.picture(
                os.path.join(d.mnt, f'{name}.{w}'))
        if turn % 50 == 49:  # old rounds are still as they were found
            for folder, tree in kept.items():
                assert crashwriter.picture(
                    os.path.join(d.mnt, folder)) == tree
                shutil.rmtree(os.path.join(d.mnt, folder))
            kept = {}
        turn += 1
    d.remount()
    for folder, tree in kept.items():
        assert crashwriter.picture(os.path.join(d.mnt, folder)) == tree, folder
    d.umount()
    assert d.run('fsck', '--drive', d.name, '--passfile',
                 d.passfile).returncode == 0


def fill(folder):
    """Small files, files of several leaves, and a file that is there twice."""
    rand = random.Random(5)
    for i in range(60):
        os.makedirs(os.path.join(folder, f'd{i % 7}'), exist_ok=True)
        write(os.path.join(folder, f'd{i % 7}', f'{i}'),
              rand.randbytes(rand.choice((10, 5000, 70000))))
    for i in range(4):
        write(os.path.join(folder, f'big{i}'), rand.randbytes(3_500_000))
    shutil.copy(os.path.join(folder, 'big0'), os.path.join(folder, 'again'))


def assert_stored_once(d, quiet):
    """Nothing is left to send, and the store has no block twice."""
    s = d.status()
    assert s['queued'] == {'pieces': 0, 'bytes': 0}
    assert os.listdir(os.path.join(d.home, d.name, 'outbox')) == []
    for store in d.stores:
        seen = set()
        for path in cars.pieces(store):
            for block in cars.blocks(path):
                assert block.digest not in seen, f'twice in {store}'
                seen.add(block.digest)
        # What was sealed for a commit that a cut undid may stay: nodes.
        assert cars.total(store) < quiet * 1.1 + 500_000
        # A piece that was under way is dropped by the store a day later.
        assert {n for n in os.listdir(store) if not n.startswith('.part-') and
                not n.endswith('.car')} == {'fildrive-store', 'heads'}


def test_kill_9_while_onboarding_sends_everything_once(drives):
    calm = drives().init().mount()
    fill(calm.mnt)
    calm.sync()
    quiet = cars.total(calm.stores[0])
    calm.close()

    seed = random.randrange(1 << 32)
    print('seed', seed)
    rand = random.Random(seed)
    d = drives().init().mount()
    fill(d.mnt)
    d.run('sync', '--drive', d.name, '--local')
    want = picture(d.mnt)
    for _ in range(400 if LONG else 25):
        waiting = d.start_sync()
        time.sleep(rand.uniform(0, 0.25))  # the time of the cut
        d.kill9()
        waiting.communicate(timeout=PATIENCE)
        d.mount()
    d.sync()
    assert_same(want, picture(d.mnt))
    assert_stored_once(d, quiet)
    assert_same(want, picture(drives.adopt(d.umount().recovered())
                              .mount().mnt))


def test_kill_9_between_commits_of_two_stores_keeps_both_complete(drives):
    seed = random.randrange(1 << 32)
    print('seed', seed)
    rand = random.Random(seed)
    d = drives(stores=2, copies=2).init().mount()
    for turn in range(300 if LONG else 12):
        write(os.path.join(d.mnt, f'{turn}'), rand.randbytes(300_000))
        with open(os.path.join(d.mnt, '0'), 'ab') as f:
            f.write(rand.randbytes(1000))
            os.fsync(f.fileno())
        for name in os.listdir(d.mnt):
            fd = os.open(os.path.join(d.mnt, name), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        waiting = d.start_sync()
        time.sleep(rand.uniform(0, 0.15))  # the time of the cut
        d.kill9()
        waiting.communicate(timeout=PATIENCE)
        d.mount()
    d.sync()
    want = picture(d.mnt)
    assert_stored_once(d, (turn + 1) * 700_000)
    names = [{os.path.basename(p) for p in cars.pieces(s)} for s in d.stores]
    assert names[0] == names[1]
    d.umount()
    for store in d.stores:  # each alone is enough
        only = drives.adopt(d.recovered(stores=[store]))
        assert_same(want, picture(only.mount().mnt))
        only.umount()


def test_a_killed_sync_command_leaves_the_daemon_at_work(drives):
    d = drives().init().mount()
    fill(d.mnt)
    waiting = d.start_sync()
    time.sleep(0.02)
    waiting.send_signal(signal.SIGKILL)
    waiting.communicate(timeout=PATIENCE)
    d.sync()
    assert d.status()['cache']['dirty_inodes'] == 0
