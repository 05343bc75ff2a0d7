"""A drive that a newer fildrive has written."""
import os
import shutil
import subprocess

import pytest

from drive import PATIENCE, CommandFailed, binary
from syscalls import read, write

TOOL = os.environ.get('FILDRIVE_NEWER_COMMIT') or os.path.join(
    os.path.dirname(binary()), '..', '..', 'tests', 'fs', 'newer_commit')


def publish(d, reader, writer):
    """Another device, with a program of tomorrow."""
    subprocess.run([TOOL, 'dir://' + d.stores[0], d.words, str(reader),
                    str(writer)], check=True, cwd=d.dir, timeout=PATIENCE)


@pytest.fixture(name='newer')
def _newer(drives):
    """Makes a drive whose newest commit, the second, asks for these."""
    def make(reader, writer):
        d = drives().init().mount()
        write(os.path.join(d.mnt, 'file'), b'from today' * 1000)
        d.sync()
        d.umount()
        publish(d, reader, writer)
        return d
    return make


def test_the_same_versions_again_are_no_reason_to_refuse(newer, drives):
    d = newer(1, 1)
    back = drives.adopt(d.recovered()).mount()
    write(os.path.join(back.mnt, 'more'), b'more')
    back.sync()
    assert back.status()['last_commit']['sequence'] == 3


def test_what_only_a_newer_program_may_write_is_read_only(newer, drives):
    d = newer(1, 2)
    back = drives.adopt(d.recovered())
    with pytest.raises(CommandFailed) as refused:
        back.mount()
    assert 'newer fildrive' in refused.value.stderr
    assert '-o ro' in refused.value.stderr
    assert refused.value.status == 1
    assert not back.is_mounted()
    before = sorted(os.listdir(back.stores[0]))
    back.mount('ro')
    assert read(os.path.join(back.mnt, 'file')) == b'from today' * 1000
    with pytest.raises(OSError):
        write(os.path.join(back.mnt, 'more'), b'more')
    back.umount()
    assert sorted(os.listdir(back.stores[0])) == before


def test_recover_says_so(newer):
    d = newer(1, 2)
    shutil.rmtree(d.home)
    os.mkdir(d.home, 0o700)
    said = d.run('recover', '--drive', d.name, *d.store_args(), '--words-file',
                 d.words, '--passfile', d.passfile)
    assert 'newer fildrive' in said.stderr and '-o ro' in said.stderr


def test_fsck_salvage_writes_nothing_of_a_newer_program(newer):
    d = newer(1, 2)
    there = sorted(os.listdir(os.path.join(d.home, d.name)))
    with pytest.raises(CommandFailed) as refused:
        d.run('fsck', '--drive', d.name, '--salvage', '--passfile', d.passfile)
    assert refused.value.status == 8
    assert 'newer fildrive' in refused.value.stderr
    assert sorted(os.listdir(os.path.join(d.home, d.name))) == there


def test_the_device_that_wrote_before_is_superseded(newer):
    d = newer(1, 2)
    d.mount()
    write(os.path.join(d.mnt, 'more'), b'more')
    with pytest.raises(CommandFailed) as refused:
        d.sync()
    assert 'superseded' in refused.value.stderr
    assert read(os.path.join(d.mnt, 'more')) == b'more'


@pytest.mark.parametrize('how', ((), ('--salvage',)))
def test_what_only_a_newer_program_may_read_is_refused(newer, how):
    d = newer(2, 2)
    with pytest.raises(CommandFailed) as refused:
        d.recovered(*how)
    assert 'newer' in refused.value.stderr
    assert '--before' not in refused.value.stderr
    assert refused.value.status == 1
