"""What a commit does to the drive that it is made of."""
import os

from drive import until
from syscalls import write


def test_a_changed_attribute_is_clean_after_one_commit(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'file')
    write(path, b'x' * 10000)
    os.mkdir(os.path.join(d.mnt, 'dir'))
    d.sync()
    os.chmod(path, 0o600)
    os.utime(os.path.join(d.mnt, 'dir'), (1, 2))
    os.link(path, os.path.join(d.mnt, 'second'))
    d.sync()
    os.chmod(path, 0o640)
    d.sync()
    until(lambda: d.status()['cache']['dirty_inodes'] == 0,
          what='an inode is dirty for ever: a commit would follow a commit')
