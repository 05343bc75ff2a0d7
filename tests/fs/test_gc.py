"""What nothing needs any more goes from the stores; all else stays."""
import json
import os

import pytest

from drive import CommandFailed, mounts, until
from syscalls import read, write

MIB = 1 << 20


def size_of(store):
    return sum(os.path.getsize(os.path.join(store, n))
               for n in os.listdir(store) if n.endswith('.car'))


def gc(d, *args):
    return d.run('gc', '--drive', d.name, '--quiet', *args).stdout


def content(n, size=3 * MIB):
    """Bytes that follow from the number, and share nothing with others."""
    return b''.join((n * 1000003 + i).to_bytes(8, 'big') * 512
                    for i in range(size // 4096))


@pytest.fixture(name='busy')
def _busy(drives):
    """A commit, and three more, each with other bytes in the same file."""
    d = drives(stores=2, copies=2).init().set(onboard_idle='1d', onboard_age='1d')
    d.mount()
    os.mkdir(os.path.join(d.mnt, 'dir'))
    write(os.path.join(d.mnt, 'dir', 'kept'), content(100))
    d.sync()
    for i in range(1, 4):
        write(os.path.join(d.mnt, 'file'), content(i))
        d.sync()
    return d


def test_only_what_no_snapshot_needs_is_removed(busy, tmp_path):
    d = busy
    before = [size_of(s) for s in d.stores]
    said = gc(d, '--yes')
    assert 'Commits kept: 4.' in said and 'nothing to remove' in said
    assert [size_of(s) for s in d.stores] == before

    said = gc(d, '--dry-run', '--forget-before', '3')
    assert 'Snapshots given up: 2.' in said
    assert 'Needed by nothing: 1 piece, ' in said
    assert [size_of(s) for s in d.stores] == before
    assert len(json.loads(d.run('snapshots', '--drive', d.name,
                                '--json').stdout)) == 4

    found = json.loads(gc(d, '--json', '--forget-before', '4'))
    assert found['dead']['pieces'] >= 1 and found['without_copies'] == 0
    said = gc(d, '--yes', '--forget-before', '4')
    assert 'All of it is removed' in said
    for store, had in zip(d.stores, before):
        assert 2 * MIB < had - size_of(store) < 7 * MIB
    rows = json.loads(d.run('snapshots', '--drive', d.name, '--json').stdout)
    assert [r['sequence'] for r in rows] == [4, 5]

    where = tmp_path / 'snapshot'
    where.mkdir()
    with d.umount().recovered() as other:
        other.mount()
        assert read(os.path.join(other.mnt, 'file')) == content(3)
        assert read(os.path.join(other.mnt, 'dir', 'kept')) == content(100)
        other.run('mount', '--drive', other.name, '--passfile', other.passfile,
                  '--snapshot', '4', str(where))
        try:
            assert read(str(where / 'file')) == content(3)
            assert read(str(where / 'dir' / 'kept')) == content(100)
        finally:
            other.run('umount', str(where))
        assert str(where) not in mounts()


def test_the_drive_goes_on_after_it(busy):
    d = busy
    gc(d, '--yes', '--forget-before', '99')
    write(os.path.join(d.mnt, 'again'), content(1))  # what was given up
    os.unlink(os.path.join(d.mnt, 'file'))
    os.link(os.path.join(d.mnt, 'again'), os.path.join(d.mnt, 'hard'))
    d.sync()
    gc(d, '--yes', '--forget-before', '99')
    for store in d.stores:  # `kept` and `again`, and what is around them
        assert size_of(store) < 10 * MIB
    assert d.run('verify', '--drive', d.name, '--all', '--quiet').returncode == 0
    d.reborn()
    assert sorted(os.listdir(d.mnt)) == ['again', 'dir', 'hard']
    assert read(os.path.join(d.mnt, 'hard')) == content(1)
    assert read(os.path.join(d.mnt, 'dir', 'kept')) == content(100)


def test_without_a_yes_nothing_goes(busy):
    d = busy
    before = [size_of(s) for s in d.stores]
    with pytest.raises(CommandFailed) as refused:
        gc(d, '--forget-before', '99')
    assert 'give --yes' in refused.value.stderr
    assert [size_of(s) for s in d.stores] == before
    assert len(json.loads(d.run('snapshots', '--drive', d.name,
                                '--json').stdout)) == 4
    d.umount()
    with pytest.raises(CommandFailed) as refused:
        gc(d, '--yes')
    assert 'is not mounted' in refused.value.stderr


def test_a_store_that_is_away_is_cleared_when_it_comes_back(busy):
    d = busy
    away = d.stores[1] + '.away'
    os.rename(d.stores[1], away)
    write(os.path.join(d.mnt, 'x'), b'x')
    said = gc(d, '--dry-run', '--forget-before', '3')
    assert 'Needed by nothing' in said  # one store has all that is read
    os.rename(away, d.stores[1])
    d.sync()
    gc(d, '--yes', '--forget-before', '99')
    until(lambda: size_of(d.stores[0]) == size_of(d.stores[1]),
          what='both stores are cleared')
