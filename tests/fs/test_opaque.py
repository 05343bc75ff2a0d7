"""I5 and I9: whoever holds the pieces or the dead machine's disk sees nothing."""
import os
import random
import resource
import signal
import subprocess

import pytest

import cars
from drive import PATIENCE, SANITIZED, SANITIZERS, alive, until
from syscalls import read, write

NAMES = [b'TopSecretFolder', b'a-file-with-a-known-name.txt', b'KnownLinkName']
TEXTS = [b'The quick brown fox jumps over the lazy dog',
         b'user.known.attribute', b'known attribute value',
         b'/known/target/of/a/link']
BODY = 8  # bytes before the body of a sealed block
TAG = 16  # and behind it


def make_known(root):
    root = os.fsencode(root)
    folder = os.path.join(root, NAMES[0])
    os.mkdir(folder)
    for i in range(50):
        path = os.path.join(folder, b'%d-' % i + NAMES[1])
        write(path, TEXTS[0] * (1 << (i % 12)))
        os.setxattr(path, TEXTS[1], TEXTS[2] * 20)
    os.symlink(TEXTS[3] * 9, os.path.join(folder, NAMES[2]))
    write(os.path.join(root, b'leaves'), random.Random(2).randbytes(3 << 20))


def assert_nothing_known(folder, seen=()):
    found = 0
    for where, dirs, files in os.walk(os.fsencode(folder)):
        for name in dirs + files:
            assert not any(known in name for known in NAMES)
        for name in files:
            path = os.path.join(where, name)
            if not os.path.isfile(path):
                continue
            data = read(path)
            found += len(data)
            for known in (*NAMES, *TEXTS, *seen):
                assert known not in data, (path, known)
                # As UTF-16, and the start alone, would tell as much.
                assert known[:12] not in data, (path, known)
    return found


def padded(n):
    """Padmé over bodies, with a floor (docs/format.md, sealed blocks)."""
    if n <= 256:
        return 256
    e = n.bit_length() - 1
    s = e.bit_length()
    mask = (1 << (e - s)) - 1
    return (n + mask) & ~mask


def test_pieces_show_no_name_content_or_equality(drives):
    d = drives().init().mount()
    make_known(d.mnt)
    d.sync()
    assert assert_nothing_known(d.stores[0]) > 1 << 20
    # The same content in another drive: no block is the same.
    other = drives().init().mount()
    make_known(other.mnt)
    other.sync()
    digests = [{b.digest for p in cars.pieces(x.stores[0])
                for b in cars.blocks(p)} for x in (d, other)]
    shared = digests[0] & digests[1]
    assert not shared, 'two drives seal equal content alike'


def test_every_block_stands_on_the_padding_ladder(drives):
    d = drives().init().mount()
    rand = random.Random(3)
    for i in range(300):
        write(os.path.join(d.mnt, f'{i}'),
              rand.randbytes(rand.randrange(1, 200000)))
    make_known(d.mnt)
    d.sync()
    sizes = []
    for path in cars.pieces(d.stores[0]):
        found = cars.blocks(path)
        # The commit and the trailer, at the end, have sizes of their own.
        sizes += [b.size for b in found[:-3]]
    ladder = {padded(n) + BODY + TAG for n in range(1, (1 << 20) + 1)}
    off = [n for n in sizes if n not in ladder]
    assert len(sizes) > 300 and not off, off
    assert (1 << 20) + BODY + TAG in sizes


def test_a_killed_machine_shows_nothing(drives):
    d = drives().init().set(onboard_idle='1h', onboard_age='1d').mount()
    make_known(d.mnt)
    fd = os.open(d.mnt, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    d.kill9()
    with open(d.words, 'rb') as f:
        words = f.read().split()
    secrets = [b' '.join(words[i:i + 3]) for i in range(22)]
    secrets.append(b'correct horse battery')
    assert assert_nothing_known(d.home, secrets) > 0
    d.mount().meet()
    os.rename(d.stores[0], d.stores[0] + '.away')  # the outbox is full
    waiting = d.start_sync()
    until(lambda: d.status()['queued']['pieces'], what='a piece is queued')
    d.kill9()
    waiting.communicate(timeout=PATIENCE)
    assert assert_nothing_known(d.home, secrets) > 3 << 20


@pytest.mark.parametrize('number', [signal.SIGSEGV, signal.SIGABRT])
def test_a_daemon_that_crashes_leaves_no_core(drives, native, number,
                                              monkeypatch):
    for sanitizer in SANITIZERS:  # this crash is none of theirs
        monkeypatch.setenv(sanitizer, os.environ.get(sanitizer, '') +
                           ':handle_segv=0:handle_abort=0')
    d = drives()
    unlimited = resource.RLIM_INFINITY, resource.RLIM_INFINITY
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    if limits[1] == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_CORE, unlimited)
    try:
        d.init().mount()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    make_known(d.mnt)
    (pid,) = d.pids()
    with open(f'/proc/{pid}/limits', encoding='ascii') as f:
        (core,) = [line for line in f if line.startswith('Max core file')]
    assert core.split()[4:6] == ['0', '0']
    with open(f'/proc/{pid}/coredump_filter', encoding='ascii') as f:
        print('coredump_filter', f.read())
    # Not dumpable: its /proc files belong to root, whoever runs it, and
    # another process of the same user may not look into its memory.
    assert os.stat(f'/proc/{pid}/mem').st_uid == 0

    def cores():
        return {os.path.join(folder, n)
                for folder in ('/', native, d.dir, d.home, '/tmp')
                for n in os.listdir(folder) if n in ('core', f'core.{pid}')}
    before = cores()  # others may crash, too
    os.kill(pid, number)
    until(lambda: not alive(pid), what='the daemon is gone')
    assert cores() <= before
    d.detach()
    d.mount()


@pytest.mark.root
def test_another_process_of_the_user_cannot_read_the_daemons_memory(drives):
    """As the user nobody, who may own a drive like anyone else."""
    d = drives(options=()).init().mount()
    (pid,) = d.pids()
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        status = dict(line.split(':', 1) for line in f)
    # Sanitizers make mlock() do nothing.
    if not SANITIZED:
        assert int(status['VmLck'].split()[0]) > 0, 'no memory is locked'
    looked = subprocess.run(
        ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
         'cat', f'/proc/{pid}/environ'], check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert looked.returncode != 0 and looked.stdout == b''
