"""conftest.py - fixtures: a mounted drive, a folder on it, and one on ext4

With FILDRIVE_TEST_NATIVE=1 the folder tests run on the local file system in
place of a drive, which checks the tests themselves.
"""
import os
import shutil
import tempfile

import pytest

from drive import FUSE, Drive

NATIVE = bool(os.environ.get('FILDRIVE_TEST_NATIVE'))
LONG = bool(os.environ.get('FILDRIVE_TEST_LONG'))
# What another user may do is part of what is tested, so others are let in.
OPTIONS = ('allow_other', 'default_permissions', 'suid', 'dev') \
    if os.geteuid() == 0 else ()


def pytest_collection_modifyitems(items):
    why = None
    if not NATIVE and not os.path.exists(FUSE):
        why = f'no {FUSE} on this machine'
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif NATIVE and not {'there', 'native'} & set(item.fixturenames):
            item.add_marker(pytest.mark.skip(reason='needs a drive'))
        elif item.get_closest_marker('root') and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason='needs root'))


@pytest.fixture
def drives():
    """Makes drives that end with the test: drives(stores=2).init().mount()."""
    made = []

    def make(**kw):
        made.append(Drive(**{'options': OPTIONS, **kw}))
        return made[-1]
    make.adopt = lambda drive: made.append(drive) or drive
    yield make
    for drive in reversed(made):
        drive.close()


@pytest.fixture(scope='module')
def drive():
    """One mounted drive for all tests of a file."""
    with Drive(options=OPTIONS) as d:
        yield d.init().mount()


def _folder(root):
    path = tempfile.mkdtemp(prefix='t-', dir=root)
    os.chmod(path, 0o755)
    return path


@pytest.fixture
def native():
    """A new folder on the local file system (ext4 as a rule)."""
    path = _folder(os.environ.get('TMPDIR', '/var/tmp'))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def there(request):
    """A new folder on the drive of this file's tests."""
    root = os.environ.get('TMPDIR', '/var/tmp') if NATIVE \
        else request.getfixturevalue('drive').mnt
    path = _folder(root)
    yield path
    shutil.rmtree(path, ignore_errors=NATIVE)
