"""lostdrive.py - a drive on a network that is lost, and brought back by its words"""
import base64
import os
import shutil

from netdrive import NetDrive
from syscalls import write
from trees import picture

INTEGRITY, OFFLINE = 17, 14  # exit codes


class Lost(NetDrive):
    """A drive that can be lost: what recover prints is kept."""
    said = None

    def short(self, n_rpcs=2):
        """The store as a person would type it: no copies."""
        return ['--store', self.net.url(n_rpcs).partition('&copies=')[0]]

    def bring_back(self, *options, stores=None, check=True):
        self.said = self.run('recover', '--drive', self.name,
                             *(stores or self.short()), '--words-file',
                             self.words, '--passfile', self.passfile, *options,
                             check=check)
        return self

    def gone(self):
        """The machine is lost, and another takes its place."""
        if self.is_mounted():
            self.umount()
        shutil.rmtree(self.home)
        os.mkdir(self.home, 0o700)
        return self

    def back(self, *options, **kw):
        self.gone().bring_back(*options, **kw)
        return self.set(onboard_idle='10m', onboard_age='10m').mount()

    def value(self, key):
        return self.run('config', '--drive', self.name, key).stdout.strip()

    def set_ids(self):
        return sorted(s['dataSetId'] for s in self.sets())


def files_of(d, n=3):
    """So many more of them."""
    at = len(os.listdir(d.mnt))
    for i in range(at, at + n):
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(200000 + i))
    return picture(d.mnt)


def text_of(cid):
    return 'b' + base64.b32encode(bytes.fromhex(cid[2:])).decode() \
        .lower().rstrip('=')


def warnings(d, text):
    return [line for line in d.said.stderr.splitlines()
            if 'warning' in line and text in line]
