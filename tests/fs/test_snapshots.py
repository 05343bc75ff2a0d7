"""Past commits: listed, and mounted read only beside the drive."""
import errno
import json
import os

import pytest

from drive import CommandFailed, mounts, until
from syscalls import read, write


@pytest.fixture
def history(drives, tmp_path):
    """A mounted drive of three commits, and a second mountpoint."""
    d = drives().init().set(onboard_idle='1h', onboard_age='1d').mount()
    for i in range(1, 4):
        write(os.path.join(d.mnt, 'same'), b'%d' % i * 100000)
        write(os.path.join(d.mnt, f'only{i}'), b'here')
        if i > 1:
            os.unlink(os.path.join(d.mnt, f'only{i - 1}'))
        d.sync()
    other = tmp_path / 'snapshot'
    other.mkdir()
    yield d, str(other)
    if str(other) in mounts():
        d.run('umount', str(other))


def folders(home):
    return [n for n in os.listdir(home) if os.path.isdir(os.path.join(home, n))]


def show(d, sequence, where):
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, '--snapshot',
          str(sequence), where)


def test_commits_are_listed_mounted_or_not(history):
    d, _ = history
    for _ in range(2):
        rows = json.loads(d.run('snapshots', '--drive', d.name, '--json',
                                '--passfile', d.passfile).stdout)
        assert [r['sequence'] for r in rows] == [1, 2, 3]
        assert all(r['published'] and r['device'] for r in rows)
        assert rows == sorted(rows, key=lambda r: r['time'])
        assert [r['inodes'] for r in rows] == [3, 3, 3]
        assert [r['bytes'] for r in rows] == [100004] * 3
        if d.is_mounted():
            d.umount()


def test_a_past_commit_is_shown_while_the_drive_goes_on(history):
    d, where = history
    show(d, 1, where)
    assert sorted(os.listdir(where)) == ['only1', 'same']
    assert read(os.path.join(where, 'same')) == b'1' * 100000
    with pytest.raises(OSError) as refused:
        write(os.path.join(where, 'new'), b'')
    assert refused.value.errno == errno.EROFS
    write(os.path.join(d.mnt, 'same'), b'now')
    assert read(os.path.join(where, 'same')) == b'1' * 100000
    d.run('umount', where)
    assert os.listdir(where) == []
    until(lambda: folders(d.home) == [d.name], what='its folder goes')


def test_a_commit_that_is_not_there_is_refused_by_number(history):
    d, where = history
    with pytest.raises(CommandFailed) as refused:
        show(d, 9, where)
    assert 'no commit 9' in refused.value.stderr
    assert where not in mounts()
