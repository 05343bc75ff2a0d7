#!/usr/bin/env python3
"""record.py PASSFS - write the traces anew: what programs do to a file system

Each program works on a mount of passfs (tests/fs/passfs.c), which writes down
what it is asked.  Bytes are not kept: the tests make up their own.  The traces
here were written with git 2.39.5, SQLite 3.40.1 and GNU tar 1.34.
"""
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def git(root):
    def run(*args):
        subprocess.run(
            ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org',
             '-c', 'safe.directory=*', '-c', 'core.fsync=all', '-c',
             'gc.auto=0', *args], cwd=root, check=True)
    run('init', '-q', '--template=', '.')
    for n in range(3):
        for k in range(3):
            put(os.path.join(root, f'f{n + k}'), b'%d %d\n' % (n, k) * 200)
        run('add', '-A')
        run('commit', '-qm', f'{n}')
    run('repack', '-adq')


def sqlite(root, journal):
    db = sqlite3.connect(os.path.join(root, 'db'), isolation_level=None)
    db.execute('PRAGMA locking_mode=EXCLUSIVE')  # needs no shared memory
    db.execute(f'PRAGMA journal_mode={journal}')
    db.execute('PRAGMA synchronous=FULL')
    db.execute('CREATE TABLE t(i INTEGER PRIMARY KEY, x)')
    for i in range(12):
        db.execute('INSERT INTO t VALUES(?, ?)', (i, os.urandom(1500)))
    db.execute('UPDATE t SET x = zeroblob(900) WHERE i < 4')
    db.execute('DELETE FROM t WHERE i > 6')
    db.execute('VACUUM')
    db.close()


def untar(root):
    with tempfile.TemporaryDirectory() as top:
        for i in range(40):
            folder = os.path.join(top, 'tree', f'd{i % 5}')
            os.makedirs(folder, exist_ok=True)
            put(os.path.join(folder, f'f{i}'), os.urandom(i * i * 40))
        os.link(os.path.join(top, 'tree', 'd1', 'f1'),
                os.path.join(top, 'tree', 'd2', 'same'))
        with tarfile.open(os.path.join(top, 'a.tar'), 'w') as tar:
            tar.add(os.path.join(top, 'tree'), 'tree')
        subprocess.run(['tar', '-xf', os.path.join(top, 'a.tar'), '-C', root],
                       check=True)
    sync(os.path.join(root, 'tree'))
    subprocess.run(['rm', '-r', os.path.join(root, 'tree', 'd3')], check=True)


def save(root):
    """As editors and mail programs do it; logs that are cut; files that move."""
    for n in range(12):
        new = os.path.join(root, 'text.new')
        put(new, b'x' * (3000 * n + 1))
        sync(new)
        os.rename(new, os.path.join(root, 'text'))
        sync(root)
        with open(os.path.join(root, 'log'), 'ab') as f:
            f.write(b'l' * 5000)
        if n % 4 == 3:
            os.truncate(os.path.join(root, 'log'), 100 * n)
        tmp = os.path.join(root, f'tmp{n}')
        put(tmp, b'm' * (700 * n))
        os.makedirs(os.path.join(root, 'new'), exist_ok=True)
        os.link(tmp, os.path.join(root, 'new', f'{n}'))
        os.unlink(tmp)
        if n % 3 == 2:
            os.makedirs(os.path.join(root, 'cur'), exist_ok=True)
            os.rename(os.path.join(root, 'new', f'{n}'),
                      os.path.join(root, 'cur', f'{n}'))
            sync(os.path.join(root, 'cur'))


PROGRAMS = {'git': git, 'sqlite-wal': lambda root: sqlite(root, 'wal'),
            'sqlite-delete': lambda root: sqlite(root, 'delete'),
            'untar': untar, 'save': save}


def record(passfs, name, program):
    to = os.path.join(HERE, name + '.trace')
    with tempfile.TemporaryDirectory() as top:
        real, mnt = os.path.join(top, 'real'), os.path.join(top, 'mnt')
        os.mkdir(real)
        os.mkdir(mnt)
        open(to, 'w').close()
        server = subprocess.Popen([passfs, real, mnt, '-f', '-s'],
                                  env={**os.environ, 'PASSFS_TRACE': to})
        while not os.path.ismount(mnt):
            time.sleep(0.01)
        try:
            program(mnt)
        finally:
            subprocess.run(['fusermount3', '-u', mnt], check=True)
            server.wait()


if __name__ == '__main__':
    for one, what in PROGRAMS.items():
        record(os.path.realpath(sys.argv[1]), one, what)
