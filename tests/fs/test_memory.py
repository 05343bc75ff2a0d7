"""What a core of the daemon has, be it the kernel's or root's: no key, no word, no
passphrase; and what may be swapped out."""
import mmap
import os
import resource
import subprocess

import pytest

import memory
from conftest import LONG
from drive import PASSPHRASE, SANITIZED, binary
from syscalls import read, write

CONTENT = b'a sentence that stands nowhere but in a file of this test'

pytestmark = [pytest.mark.root, pytest.mark.skipif(
    SANITIZED,
    reason='this machine runs a build with sanitizers, which lock no memory '
    'and keep what was freed')]


def busy(d):
    """Everything that needs a key: databases, slots, commits, pieces, heads."""
    folder = os.path.join(d.mnt, 'folder')
    os.mkdir(folder)
    for i in range(40):
        write(os.path.join(folder, f'{i}'), CONTENT * (1 << (i % 12)))
    d.sync()
    d.run('verify', '--drive', d.name, '--all', '--quiet')
    d.run('snapshots', '--drive', d.name)
    d.remount()
    assert CONTENT in read(os.path.join(folder, '3'))
    write(os.path.join(folder, 'more'), CONTENT * 1000)
    d.sync()


def secrets(d):
    """(what no process of the drive may have, what the daemon has in locked
    memory)"""
    with open(d.words, encoding='ascii') as f:
        words = f.read().split()
    entropy = memory.entropy_of(words)
    never = {'entropy': entropy, 'passphrase': PASSPHRASE.encode()}
    for i in range(22):
        never[f'words {i}'] = ' '.join(words[i:i + 3]).encode()
    return never, memory.keys_of(entropy)


def check(d, locked=True):
    never, keys = secrets(d)
    (pid,) = d.pids()
    found = memory.where(pid, {**never, **keys, 'content': CONTENT})
    # The search finds what is there.
    assert found['content'] and found['content'][0].in_core
    for name in never:
        assert not found[name], (name, found[name])
    for name in keys:
        assert found[name], f'the daemon has no key {name}?'
        for m in found[name]:
            assert not m.in_core, f'key {name} would be in a core: {m}'
            assert m.locked or not locked, f'key {name} may be swapped: {m}'


def test_keys_are_in_locked_memory_only_and_words_nowhere(drives):
    d = drives().init().mount()
    busy(d)
    check(d)


def test_after_a_recover_it_is_the_same(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), CONTENT * 100)
    d.reborn()
    assert read(os.path.join(d.mnt, 'f')) == CONTENT * 100
    write(os.path.join(d.mnt, 'g'), CONTENT * 100)
    d.sync()
    check(d)


def test_without_room_to_lock_memory_keys_are_still_in_no_core(drives):
    """Who may lock nothing: it works, and status says it where there is swap."""
    d = drives().init()
    limits = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    subprocess.run(
        ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock',
         binary(), 'mount', '--drive', d.name, '--passfile', d.passfile,
         d.mnt], check=True, cwd='/', env=d.env(), stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK,
                                              (0, limits[1])))
    (pid,) = d.pids()
    assert all(not m.locked for m in memory.mappings(pid))
    path = os.path.join(d.mnt, 'f')
    write(path, CONTENT)
    d.sync()
    check(d, locked=False)


if LONG:  # a core of a gigabyte and more
    def test_a_core_that_root_takes_has_no_key(drives):
        """gcore asks the kernel what may be dumped, and reads that as root."""
        d = drives().init().mount()
        busy(d)
        never, keys = secrets(d)
        (pid,) = d.pids()
        base = os.path.join(d.dir, 'core')
        subprocess.run(['gcore', '-o', base, str(pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(f'{base}.{pid}', 'rb') as f, \
                mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as core:
            assert core.find(CONTENT) >= 0
            for name, secret in {**never, **keys}.items():
                assert core.find(secret) < 0, f'{name} is in the core'
        assert d.is_mounted()


def test_status_warns_of_plain_swap_and_of_nothing_else(drives):
    d = drives().init().mount()
    with open('/proc/swaps', encoding='utf-8') as f:
        swaps = f.read().splitlines()[1:]
    warned = [w for w in d.status()['warnings'] if 'swap' in w]
    assert swaps or not warned
    if any(line.startswith('/dev/sd') for line in swaps):
        assert warned
