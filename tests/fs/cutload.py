"""cutload.py - what people's programs do on a drive while the power goes

Run as a program: cutload.py KIND FOLDER LOG.  It works in FOLDER for ever and
records in LOG, outside the drive, what it is about to do and what was promised:
`> N T what` before turn N, `< N T` when its sync was acknowledged, with T of the
monotonic clock (ns).

The other half judges what is found: check(KIND, FOLDER, LOG, cut) for a power
cut between the times cut.t0 and cut.t1.  A turn that was promised before t0 has
to be there, one that began after t1 must not, and nothing may be found that no
moment of the program's life had.
"""
import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time

N_BALLAST, BALLAST = 40, 4 << 20
GIT = ('git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c',
       'safe.directory=*', '-c', 'core.fsync=all', '-c', 'gc.auto=0')


def sync(folder):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def content(what, n):
    return random.Random(what).randbytes(n)


class Load:
    def __init__(self, folder, log):
        self.root = folder
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, mark, n, what=''):
        os.write(self.log, b'%s %d %d %s\n' % (
            mark.encode(), n, time.monotonic_ns(), what.encode()))

    def at(self, *names):
        return os.path.join(self.root, *names)

    def run(self):
        for n in range(1 << 30):
            self.say('>', n)
            self.turn(n)
            sync(self.root)
            self.say('<', n)


def turns(log, cut):
    """(the last turn that was promised, the last that may have begun); -1."""
    promised = begun = -1
    with contextlib.suppress(FileNotFoundError), \
            open(log, encoding='ascii') as f:
        for line in f:
            if not line.endswith('\n'):
                break
            mark, n, t, _ = line.split(' ', 3)
            if mark == '<' and int(t) <= cut.t0:
                promised = int(n)
            if mark == '>' and int(t) <= cut.t1:
                begun = int(n)
    return promised, begun


# ---- git ----

class Git(Load):
    """A commit a turn, of files some of which change; packed now and then."""

    def git(self, *args):
        subprocess.run([*GIT, *args], cwd=self.root, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def turn(self, n):
        if n == 0:
            self.git('init', '-q', '.')
        for k in range(6):
            with open(self.at(f'f{(n + k) % 20}'), 'wb') as f:
                f.write(content(f'{n} {k}', 3000).hex().encode())
        self.git('add', '-A')
        self.git('commit', '-qm', f'turn {n}')
        if n % 8 == 7:
            self.git('repack', '-adq')


def git_says(folder, *args):
    done = subprocess.run([*GIT, *args], cwd=folder, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f'{folder}: {args}: {done.stdout}'
    return done.stdout


def check_git(folder, log, cut):
    promised, begun = turns(log, cut)
    if promised < 0:
        return
    subjects = git_says(folder, 'log', '--format=%s').splitlines()
    assert promised < len(subjects) <= begun + 1, (promised, subjects, begun)
    assert subjects == [f'turn {n}' for n in reversed(range(len(subjects)))]
    git_says(folder, 'fsck', '--full', '--strict')
    n = len(subjects) - 1
    for k in range(6):
        assert git_says(folder, 'show', f'HEAD:f{(n + k) % 20}') == \
            content(f'{n} {k}', 3000).hex()


# ---- SQLite ----

class Sqlite(Load):
    """A row a turn, each a transaction of its own; the commit is the sync."""
    journal = 'wal'

    def run(self):
        db = sqlite3.connect(self.at('db'), isolation_level=None)
        db.execute(f'PRAGMA journal_mode={self.journal}')
        # With a journal that is deleted, FULL does not sync the directory.
        db.execute('PRAGMA synchronous=EXTRA')
        db.execute('CREATE TABLE t(i INTEGER PRIMARY KEY, x)')
        db.execute('CREATE INDEX t_x ON t(x)')
        sync(self.root)
        for n in range(1 << 30):
            self.say('>', n)
            db.execute('INSERT INTO t VALUES(?, ?)',
                       (n, content(f'row {n}', 900)))
            self.say('<', n)


class SqliteDelete(Sqlite):
    journal = 'delete'


def check_sqlite(folder, log, cut):
    promised, begun = turns(log, cut)
    if promised < 0:
        return
    with contextlib.closing(sqlite3.connect(os.path.join(folder, 'db'))) as db:
        assert db.execute('PRAGMA integrity_check').fetchone() == ('ok',)
        rows = db.execute('SELECT i, x FROM t ORDER BY i').fetchall()
    assert promised < len(rows) <= begun + 1, (promised, len(rows), begun)
    for n, row in enumerate(rows):
        assert row == (n, content(f'row {n}', 900)), (folder, n)


# ---- untar ----

def members():
    """Name and content, in the archive's order; None: a directory."""
    r = random.Random('archive')
    for d in range(6):
        yield f'd{d}', None
        for f in range(25):
            size = r.choice((0, 30, 700, 4096, 9000, 70000))
            yield f'd{d}/f{f}', content(f'{d} {f}', size)


class Untar(Load):
    def __init__(self, folder, log):
        super().__init__(folder, log)
        self.archive = log + '.tar'
        with tarfile.open(self.archive, 'w') as tar:
            for name, data in members():
                info = tarfile.TarInfo(name)
                info.mode = 0o755 if data is None else 0o644
                info.type = tarfile.DIRTYPE if data is None \
                    else tarfile.REGTYPE
                info.size = len(data or b'')
                tar.addfile(info, None if data is None else _Bytes(data))

    def turn(self, n):
        os.mkdir(self.at(f'u{n}'))
        subprocess.run(['tar', '-xf', self.archive, '-C', self.at(f'u{n}')],
                       check=True)
        if n >= 2:  # the turns before last go, but for each third
            if (n - 2) % 3:
                shutil.rmtree(self.at(f'u{n - 2}'))


class _Bytes:
    def __init__(self, data):
        self.data = data

    def read(self, n):
        head, self.data = self.data[:n], self.data[n:]
        return head


def check_untar(folder, log, cut):
    promised, begun = turns(log, cut)
    if promised < 0:
        return
    found = set(os.listdir(folder))
    assert found <= {f'u{n}' for n in range(begun + 1)}, (begun, found)
    for n in range(begun + 1):
        goes = n + 2 <= begun and n % 3  # its removal has begun
        gone = n + 2 <= promised and n % 3
        at = os.path.join(folder, f'u{n}')
        if gone:
            assert f'u{n}' not in found, f'{at}: its removal was promised'
        if f'u{n}' in found:
            check_tree(at, whole=n <= promised and not goes, prefix=not goes)
        else:
            assert goes or n > promised, f'{at} is gone'


def check_tree(at, whole, prefix):
    """All of it; or as far as tar had come: each member in turn, only the last
    one in part; or, while it is removed, whatever was left."""
    ended = None
    for name, data in members():
        path = os.path.join(at, name)
        if not os.path.lexists(path):
            assert not whole, f'{path} is not there'
            ended = ended or name
            continue
        assert not (prefix and ended), f'{path} is there, {ended} is not'
        if data is None:
            continue
        with open(path, 'rb') as f:
            got = f.read()
        assert data.startswith(got), f'{path}: other bytes'
        if got != data:
            assert prefix and not whole, f'{path}: {len(got)} bytes'
            ended = name


# ---- old files, read again and again ----

class Reader(Load):
    """Reads what is in the stores already, which drives it out and in."""

    def run(self):
        r = random.Random()
        for n in range(1 << 30):
            k = r.randrange(N_BALLAST)
            self.say('>', n)
            with open(self.at(f'{k}'), 'rb') as f:
                if f.read() != content(f'ballast {k}', BALLAST):
                    self.say('!', n, f'{k} is not what it was')
                    return
            self.say('<', n)


def make_ballast(folder):
    for k in range(N_BALLAST):
        with open(os.path.join(folder, str(k)), 'wb') as f:
            f.write(content(f'ballast {k}', BALLAST))


def check_reader(folder, log, cut):
    assert sorted(map(int, os.listdir(folder))) == list(range(N_BALLAST))
    with open(log, encoding='ascii') as f:
        assert '!' not in f.read()
    for k in random.Random(cut.t0).sample(range(N_BALLAST), N_BALLAST):
        with open(os.path.join(folder, str(k)), 'rb') as f:
            assert f.read() == content(f'ballast {k}', BALLAST), k


LOADS = {'git': Git, 'wal': Sqlite, 'delete': SqliteDelete, 'untar': Untar,
         'reader': Reader}
CHECKS = {'git': check_git, 'wal': check_sqlite, 'delete': check_sqlite,
          'untar': check_untar, 'reader': check_reader}


if __name__ == '__main__':
    LOADS[sys.argv[1]](sys.argv[2], sys.argv[3]).run()
