"""conftest.py - fixtures: a mounted drive, a folder on it, and one on ext4

With FILDRIVE_TEST_NATIVE=1 the folder tests run on the local file system in
place of a drive, which checks the tests themselves.

A case is skipped when the machine or the user cannot run it.  Then the reason
begins with `this machine` or `this user`; any other skip fails the run
(tests/count.py).
"""
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from devnet import Devnet, no_devnet
from drive import Drive, no_fuse, until
from lostdrive import Lost
from netdrive import NetDrive

NATIVE = bool(os.environ.get('FILDRIVE_TEST_NATIVE'))
LONG = bool(os.environ.get('FILDRIVE_TEST_LONG'))
# What another user may do is part of what is tested, so others are let in.
OPTIONS = ('allow_other', 'default_permissions', 'suid', 'dev') \
    if os.geteuid() == 0 else ()


# Of what runs in the background of a script, SIGINT is ignored, and so would it
# be in what the cases start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if not LONG:
        late = [i for i in items if i.get_closest_marker('long')]
        items[:] = [i for i in items if i not in late]
        config.hook.pytest_deselected(items=late)
    why = None if NATIVE else no_fuse()
    net = no_devnet() if any(i.get_closest_marker('devnet') for i in items) \
        else None
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
        elif net and item.get_closest_marker('devnet'):
            item.add_marker(pytest.mark.skip(reason=net))
        elif NATIVE and not {'there', 'native'} & set(item.fixturenames):
            item.add_marker(pytest.mark.skip(
                reason='this machine stands in for a drive'))
        elif item.get_closest_marker('root') and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(
                reason='this user is not root'))


@pytest.fixture
def drives():
    """Makes drives that end with the test: drives(stores=2).init().mount()."""
    made = []

    def make(**kw):
        made.append(Drive(**{'options': OPTIONS, **kw}))
        return made[-1]
    make.adopt = lambda drive: made.append(drive) or drive
    make.made = lambda: reversed(made)
    yield make
    for drive in reversed(made):
        drive.close()


# What a file of its own needs another way it makes itself.

@pytest.fixture(scope='module')
def net():
    """A network with a short day, for all tests of a file."""
    made = Devnet(epoch_ms=50)
    yield made
    made.close()


@pytest.fixture
def d(net):
    """A drive on it, which is not there yet."""
    with NetDrive(net) as made:
        yield made


@pytest.fixture
def lost(net):
    """Makes drives that can be lost; then the network begins anew."""
    made = []

    def make(**kw):
        made.append(Lost(net, **kw))
        return made[-1]
    yield make
    for drive_ in made:
        drive_.close()
    net.admin('reset', {})


@pytest.fixture(scope='module')
def drive():
    """One mounted drive for all tests of a file."""
    with Drive(options=OPTIONS) as d:
        yield d.init().mount()


def _folder(root):
    path = tempfile.mkdtemp(prefix='t-', dir=root)
    os.chmod(path, 0o755)
    return path


def _kind(path):
    return subprocess.check_output(['stat', '-f', '-c', '%T', path],
                                   text=True).strip()


@pytest.fixture(scope='session')
def ext4():
    """A folder on ext4, whose answers are the right ones.

    Where the files of tests lie on something else (an image of a container, a
    disk in memory), a file system is made for it.  Without a loop device that
    something has to do, unless it is known to lack what is asked for."""
    top = os.environ.get('TMPDIR', '/var/tmp')
    if _kind(top) == 'ext2/ext3':
        yield top
        return
    own = tempfile.mkdtemp(prefix='ext4-', dir=top)
    os.chmod(own, 0o711)
    image, folder = os.path.join(own, 'image'), os.path.join(own, 'mnt')
    os.mkdir(folder)
    with open(image, 'wb') as f:
        f.truncate(2 << 30)
    made = not subprocess.run(
        ['sh', '-c', 'PATH=$PATH:/usr/sbin:/sbin; mke2fs -q -F -t ext4 "$0" &&'
         'mount -o loop "$0" "$1" && chmod 711 "$1"', image, folder],
        check=False, stdout=subprocess.DEVNULL).returncode
    yield folder if made else top
    if made:
        # What a case has ended may still be dying in it.
        until(lambda: not subprocess.run(['umount', folder],
                                         check=False).returncode,
              what='nobody uses the file system')
    shutil.rmtree(own)


@pytest.fixture
def native(ext4):
    """A new folder on the local file system."""
    if _kind(ext4) == 'tmpfs':
        pytest.skip('this machine has no ext4 to compare with')
    path = _folder(ext4)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def there(request):
    """A new folder on the drive of this file's tests."""
    root = request.getfixturevalue('ext4') if NATIVE \
        else request.getfixturevalue('drive').mnt
    path = _folder(root)
    yield path
    shutil.rmtree(path, ignore_errors=NATIVE)
