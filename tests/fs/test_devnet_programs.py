"""Backup programs on a drive that lives on a network, and then has to come back"""
import os
import shutil

import pytest

from scenario import lost_and_found
from test_programs import needs, run
from trees import assert_same, make_of_everything, picture

pytestmark = pytest.mark.devnet


@pytest.fixture(name='source')
def _source(native):
    folder = os.path.join(native, 'source')
    os.mkdir(folder)
    make_of_everything(folder, os.geteuid() == 0)
    return folder


def assert_restored(source, out):
    want, got = picture(source), picture(out)
    del want[b'.'], got[b'.']  # their times are the programs' own
    assert_same(want, got)
    shutil.rmtree(out)


def bare(d):
    """The machine is lost; the words bring the drive back on another."""
    d.sync().lose().recover().set(onboard_idle='10m', onboard_age='10m').mount()


@needs('restic')
def test_a_restic_repository_comes_back_from_the_chain(d, native, source):
    out = os.path.join(native, 'out')
    env = {'RESTIC_REPOSITORY': os.path.join(d.mnt, 'repo'),
           'RESTIC_PASSWORD': 'x',
           'RESTIC_CACHE_DIR': os.path.join(native, 'cache')}
    d.paying().mount()
    run('restic', 'init', **env)
    run('restic', 'backup', '.', cwd=source, **env)
    bare(d)
    run('restic', 'check', '--read-data', **env)
    run('restic', 'restore', 'latest', '--target', out, **env)
    assert_restored(source, out)
    run('restic', 'backup', '.', cwd=source, **env)
    bare(d)
    run('restic', 'check', '--read-data', **env)
    d.umount()
    d.assert_paid_once(since_it_was_made=False)


@needs('borg')
def test_a_borg_repository_comes_back_from_the_chain(d, native, source):
    out = os.path.join(native, 'out')
    env = {'BORG_REPO': os.path.join(d.mnt, 'repo'), 'BORG_PASSPHRASE': 'x',
           'BORG_BASE_DIR': os.path.join(native, 'borg'),
           'BORG_RELOCATED_REPO_ACCESS_IS_OK': 'yes'}
    d.paying().mount()
    run('borg', 'init', '-e', 'repokey', **env)
    run('borg', 'create', '::one', '.', cwd=source, **env)
    bare(d)
    run('borg', 'check', '--verify-data', **env)
    os.mkdir(out)
    run('borg', 'extract', '--sparse', '::one', cwd=out, **env)
    assert_restored(source, out)


def test_what_runs_on_calibration_runs_here(net, d):
    lost_and_found(d, '0x' + '5a' * 32, lambda: d.give(usdfc='2', fil='1'))
    account = net.account(d.address())
    assert int(account['usdfc']) > 15 * 10 ** 17  # most of it came back
