"""drive.py - a fildrive drive of its own for a test

Everything of a Drive stands in one new folder: FILDRIVE_HOME, the stores, the
passphrase file, the words and the mountpoint.  close() leaves nothing behind,
whatever the test did to it.

The commands are those of the manual; their failures raise CommandFailed with
what the command printed.  The key derivation is made cheap through the
environment (FILDRIVE_KDF_MEM_KIB, FILDRIVE_KDF_OPS), which init reads.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

FUSE = '/dev/fuse'
PASSPHRASE = 'correct horse battery staple'
# Seconds after which what was waited for will not come any more: a command that
# hangs, an event that is not seen.  Long, because a machine may be busy or its
# disk slow, and because no case that passes waits for it.
PATIENCE = 240

SANITIZERS = 'ASAN_OPTIONS', 'TSAN_OPTIONS', 'UBSAN_OPTIONS'
SANITIZED = any(os.environ.get(s) for s in SANITIZERS)


class CommandFailed(AssertionError):
    def __init__(self, args, done):
        super().__init__(f'{" ".join(args)}: exit status {done.returncode}\n'
                         f'{done.stdout}{done.stderr}')
        self.status, self.stdout = done.returncode, done.stdout
        self.stderr = done.stderr


def no_fuse():
    """Why nothing can be mounted here, or None."""
    try:
        os.close(os.open(FUSE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return f'this machine has no {FUSE} to use: {e.strerror}'
    # In a container there may be one, and nobody may mount.
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(dir=os.environ.get(
            'TMPDIR', '/var/tmp')) as where, ours, theirs:
        done = subprocess.run(
            ['fusermount3', where], check=False, text=True,
            stderr=subprocess.PIPE, pass_fds=[theirs.fileno()],
            env={**os.environ, '_FUSE_COMMFD': str(theirs.fileno())})
        if not done.returncode:
            subprocess.run(['fusermount3', '-uz', where], check=True)
        elif 'not permitted' in done.stderr:
            return f'this machine lets nobody mount: {done.stderr.strip()}'
    return None


def binary():
    return os.path.realpath(os.environ['FILDRIVE_BIN'])


def mounts():
    """mountpoint -> kind, of this mount namespace."""
    found = {}
    with open('/proc/self/mountinfo', encoding='utf-8',
              errors='surrogateescape') as f:
        for line in f:
            left, _, right = line.partition(' - ')
            path = re.sub(rb'\\([0-7]{3})',
                          lambda m: bytes([int(m.group(1), 8)]),
                          os.fsencode(left.split()[4]))
            found[os.fsdecode(path)] = right.split()[0]
    return found


def until(true, seconds=PATIENCE, what='condition'):
    """Polls an outside event; a test that waits longer has failed."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f'{what} not met in {seconds} s'
        time.sleep(0.01)


def alive(pid):
    """False once every thread of the process has let go of its files."""
    try:
        for tid in os.listdir(f'/proc/{pid}/task'):
            with open(f'/proc/{pid}/task/{tid}/stat', encoding='ascii',
                      errors='replace') as f:
                if f.read().rpartition(')')[2].split()[0] not in 'ZX':
                    return True
    except OSError:
        return os.path.exists(f'/proc/{pid}')
    return False


class Drive:
    patience = PATIENCE  # of its commands, seconds

    def __init__(self, stores=1, copies=None, cache_size=None, name='test',
                 options=()):
        self.dir = tempfile.mkdtemp(prefix='fd-', dir=os.environ.get(
            'TMPDIR', '/var/tmp'))
        self.name = name
        self.options = tuple(options)
        self.copies, self.cache_size = copies, cache_size
        self.home = os.path.join(self.dir, 'home')
        self.mnt = os.path.join(self.dir, 'mnt')
        self.passfile = os.path.join(self.dir, 'pass')
        self.words = os.path.join(self.dir, 'words')
        self.stores = [os.path.join(self.dir, f'store{i}')
                       for i in range(stores)]
        os.chmod(self.dir, 0o711)  # others may pass through to the mount
        for folder in (self.home, self.mnt, *self.stores):
            os.mkdir(folder, 0o755 if folder == self.mnt else 0o700)
        with open(self.passfile, 'w', encoding='utf-8') as f:
            f.write(PASSPHRASE + '\n')
        os.chmod(self.passfile, 0o600)

    # commands

    def env(self):
        return {**{k: v for k, v in os.environ.items()
                   if not k.startswith(('FILDRIVE_', 'XDG_'))},
                'FILDRIVE_HOME': self.home, 'HOME': self.dir,
                'FILDRIVE_KDF_MEM_KIB': '64', 'FILDRIVE_KDF_OPS': '1'}

    def run(self, *args, check=True, stdin='', **env):
        """One fildrive command; CompletedProcess with text output.

        Output goes to files: a daemon that kept a pipe open would make the
        caller wait for its end."""
        args = [binary(), *args]
        with tempfile.TemporaryFile('w+', dir=self.dir) as out, \
                tempfile.TemporaryFile('w+', dir=self.dir) as err:
            done = subprocess.run(args, check=False, text=True, stdout=out,
                                  stderr=err, input=stdin,
                                  timeout=self.patience,
                                  env={**self.env(), **env}, cwd='/')
            out.seek(0)
            err.seek(0)
            done.stdout, done.stderr = out.read(), err.read()
        if check and done.returncode:
            raise CommandFailed(args, done)
        return done

    def store_args(self):
        args = []
        for store in self.stores:
            args += ['--store', 'dir://' + store]
        return args

    def init(self):
        extra = []
        if self.copies:
            extra += ['--copies', str(self.copies)]
        if self.cache_size:
            extra += ['--cache-size', str(self.cache_size)]
        self.run('init', '--drive', self.name, *self.store_args(),
                 '--passfile', self.passfile, '--words-out', self.words,
                 *extra)
        return self

    def mount(self, *options):
        extra = ['-o', ','.join([*self.options, *options])] \
            if self.options or options else []
        self.run('mount', '--drive', self.name, '--passfile', self.passfile,
                 *extra, self.mnt)
        assert self.is_mounted(), 'mount returned, but nothing is mounted'
        return self

    def umount(self):
        self.run('umount', self.mnt)
        assert not self.is_mounted()
        until(lambda: not self.pids(), what='the daemon has ended')
        return self

    def remount(self, *options):
        return self.umount().mount(*options)

    def status(self):
        return json.loads(self.run('status', '--drive', self.name,
                                   '--json').stdout)

    def answered(self):
        """The status when no store is silent, as one on a busy disk is at times."""
        seen = []

        def look():
            seen[:] = [self.status()]
            return all(s['state'] != 'not answering' for s in seen[0]['stores'])
        until(look, what='all stores answer')
        return seen[0]

    def sync(self):
        self.run('sync', '--drive', self.name, '--wait')
        return self

    def start(self, *args):
        """A command that may take longer; the test waits for it, or ends it."""
        return subprocess.Popen([binary(), *args], env=self.env(), cwd='/',
                                text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    def start_sync(self):
        return self.start('sync', '--drive', self.name, '--wait', '--quiet')

    def set(self, **values):
        """Of the config; holds from the next mount on."""
        for key, value in values.items():
            self.run('config', '--drive', self.name, key, str(value))
        return self

    def state(self, path, what='state'):
        return os.getxattr(path, 'user.fildrive.' + what,
                           follow_symlinks=False).decode()

    def lose(self):
        """The machine is gone: only words, stores and passphrases stay."""
        self.umount()
        shutil.rmtree(self.home)
        os.mkdir(self.home, 0o700)
        return self

    def recover(self):
        """On the bare machine; the mountpoint stays the same."""
        self.run('recover', '--drive', self.name, *self.store_args(),
                 '--words-file', self.words, '--passfile', self.passfile)
        return self

    def reborn(self):
        return self.sync().lose().recover().mount()

    def recovered(self, *options, stores=None):
        """The same drive on a bare machine: words and stores, no home.

        This drive's directory is left alone; it must not be mounted."""
        other = Drive(stores=0, name=self.name, options=self.options)
        other.run(*self.brings(other, stores), *options)
        return other

    def brings(self, other, stores=None):
        """The words, and the stores' names, to another machine: the command that
        recovers this drive there as `other`."""
        other.stores = self.stores if stores is None else stores
        shutil.copy(self.words, other.words)
        return ['recover', '--drive', self.name, *other.store_args(),
                '--words-file', other.words, '--passfile', other.passfile]

    # what the kernel and the process table say

    def is_mounted(self):
        return self.mnt in mounts()

    def pids(self):
        """The daemons of this drive: our binary with our FILDRIVE_HOME."""
        want = b'FILDRIVE_HOME=' + os.fsencode(self.home)
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{pid}/environ', 'rb') as f:
                    if want in f.read().split(b'\0') and \
                       os.readlink(f'/proc/{pid}/exe').startswith(binary()):
                        found.append(int(pid))
            except OSError:
                pass  # ended meanwhile, or somebody else's
        return found

    def meet(self):
        """Until each store was there once: who has never been is made anew."""
        until(lambda: all(s['state'] == 'ok'
                          for s in self.status()['stores']),
              what='the stores are known')
        return self

    def kill9(self):
        """The daemon is gone, as after a power cut of the process."""
        assert self.kill_any(), 'no daemon to kill'
        return self

    def kill_any(self):
        """The processes of it that there were: the daemon's, those of commands."""
        pids = self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # a command's
                os.kill(pid, signal.SIGKILL)
        # A dying process has no environment any more, but still its lock.
        until(lambda: not any(map(alive, pids)), what='the daemon is gone')
        self.detach()
        return pids

    def detach(self):
        while self.is_mounted():
            if subprocess.run(['fusermount3', '-uz', self.mnt], check=False,
                              stderr=subprocess.DEVNULL).returncode and \
               subprocess.run(['umount', '-l', self.mnt],
                              check=False).returncode:
                raise AssertionError(f'{self.mnt} cannot be detached')

    def close(self):
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.detach()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
