"""Real programs on a real mount, and what the stores bring back of their work.

Each case works in a drive of its own.  Then everything is sent, the drive
directory is deleted, the drive recovered from its words and mounted at the same
place; the tree must be the same, and so must be the program's own verdict.
"""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading

import pytest

from conftest import LONG
from drive import PATIENCE, until
from syscalls import read, write
from trees import assert_same, make_of_everything, picture


@pytest.fixture
def there(drives):
    """A folder on a new drive; there.again() loses it and brings it back."""
    d = drives().init().mount()
    folder = Folder(os.path.join(d.mnt, 'there'))
    os.mkdir(folder)

    def again():
        want = picture(d.mnt, everything=True)
        d.reborn()
        assert_same(want, picture(d.mnt, everything=True))
    folder.again = again
    return folder


class Folder(str):
    """A path that can carry again()."""


def run(*args, cwd=None, **env):
    done = subprocess.run(args, check=False, text=True, cwd=cwd,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          # A compiler, or gigabytes, where others work too.
                          timeout=PATIENCE * 10,
                          env={**os.environ, **env})
    assert done.returncode == 0, f'{args}: {done.stdout[-3000:]}'
    return done.stdout


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None,
                              reason=f'no {program} here')


def git(*args, cwd):
    return run('git', '-c', 'user.name=t', '-c', 'user.email=t@example.org',
               '-c', 'safe.directory=*', *args, cwd=cwd)


@needs('git')
def test_git_commits_clones_and_finds_no_fault(there):
    origin, clone = os.path.join(there, 'a'), os.path.join(there, 'b')
    os.mkdir(origin)
    git('init', '-q', '.', cwd=origin)
    for i in range(5):
        for j in range(40):
            write(os.path.join(origin, f'file{j}'), b'%d %d\n' % (i, j) * 50)
        git('add', '-A', cwd=origin)
        git('commit', '-qm', f'commit {i}', cwd=origin)
    git('gc', '-q', cwd=origin)
    git('clone', '-q', origin, clone, cwd=there)
    git('fsck', '--full', '--strict', cwd=clone)
    assert git('status', '--porcelain', cwd=clone) == ''
    assert git('rev-list', '--count', 'HEAD', cwd=clone).strip() == '5'
    there.again()
    for repository in origin, clone:
        git('fsck', '--full', '--strict', cwd=repository)
        assert git('status', '--porcelain', cwd=repository) == ''
    write(os.path.join(clone, 'file1'), b'after')
    git('commit', '-qam', 'after', cwd=clone)
    git('fsck', '--full', '--strict', cwd=clone)


@pytest.mark.parametrize('journal', ['wal', 'delete'])
def test_sqlite_keeps_every_row_of_many_writers(there, journal):
    path = os.path.join(there, 'db')
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute(f'PRAGMA journal_mode={journal}').fetchone() == \
            (journal,)
        db.execute('CREATE TABLE t(who, i, PRIMARY KEY(who, i))')
    wrong = []

    def writer(who):
        try:
            db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            for i in range(40):
                db.execute('BEGIN IMMEDIATE')
                db.execute('INSERT INTO t VALUES(?, ?)', (who, i))
                db.execute('COMMIT')
            db.close()
        except sqlite3.Error as e:
            wrong.append(e)
    threads = [threading.Thread(target=writer, args=(w,)) for w in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    def check():
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert db.execute('SELECT count(*) FROM t').fetchone() == (120,)
            assert db.execute('PRAGMA integrity_check').fetchone() == ('ok',)
    check()
    there.again()
    check()


@needs('rsync')
def test_rsync_keeps_everything_both_ways(native, there):
    source = os.path.join(native, 'source')
    os.mkdir(source)
    make_of_everything(source, os.geteuid() == 0)
    want = picture(source)
    far, back = os.path.join(there, 'far'), os.path.join(native, 'back')
    run('rsync', '-aHAX', '--sparse', source + '/', far + '/')
    assert_same(want, picture(far))
    run('rsync', '-aHAX', '--sparse', far + '/', back + '/')
    assert_same(want, picture(back))
    def check(*what):
        again = run('rsync', '-aHAXi', *what, source + '/', far + '/')
        assert again == '', 'a second run has nothing to do'
    check()
    there.again()
    assert_same(want, picture(far))
    check('--dry-run', '--checksum')
    check()


@needs('restic')
def test_restic_backs_up_checks_and_restores(native, there):
    source = os.path.join(native, 'source')
    os.mkdir(source)
    make_of_everything(source, os.geteuid() == 0)
    env = {'RESTIC_REPOSITORY': os.path.join(there, 'repo'),
           'RESTIC_PASSWORD': 'x',
           'RESTIC_CACHE_DIR': os.path.join(native, 'cache')}
    run('restic', 'init', **env)
    run('restic', 'backup', '.', cwd=source, **env)
    run('restic', 'check', '--read-data', **env)

    def restore(name):
        out = os.path.join(there, name)
        run('restic', 'restore', 'latest', '--target', out, **env)
        want, got = picture(source), picture(out)
        del want[b'.'], got[b'.']  # restic does not keep the top one's times
        assert_same(want, got)
    restore('out')
    there.again()
    run('restic', 'check', '--read-data', **env)
    restore('again')
    run('restic', 'backup', '.', cwd=source, **env)
    run('restic', 'check', '--read-data', **env)


@needs('borg')
def test_borg_creates_checks_and_extracts(native, there):
    source = os.path.join(native, 'source')
    os.mkdir(source)
    make_of_everything(source, os.geteuid() == 0)
    env = {'BORG_REPO': os.path.join(there, 'repo'), 'BORG_PASSPHRASE': 'x',
           'BORG_BASE_DIR': os.path.join(native, 'borg'),
           'BORG_RELOCATED_REPO_ACCESS_IS_OK': 'yes'}
    run('borg', 'init', '-e', 'repokey', **env)
    run('borg', 'create', '::one', '.', cwd=source, **env)
    run('borg', 'check', '--verify-data', **env)

    def extract(name):
        out = os.path.join(there, name)
        os.mkdir(out)
        run('borg', 'extract', '--sparse', '::one', cwd=out, **env)
        want, got = picture(source), picture(out)
        del want[b'.'], got[b'.']
        assert_same(want, got)
    extract('out')
    there.again()
    run('borg', 'check', '--verify-data', **env)
    extract('again')
    run('borg', 'create', '::two', '.', cwd=source, **env)
    run('borg', 'check', '--verify-data', **env)


@needs('fio')
@pytest.mark.parametrize('rw,engine', [('randwrite', 'psync'),
                                       ('write', 'psync'),
                                       ('randwrite', 'mmap')])
def test_fio_reads_back_what_it_wrote(native, there, rw, engine):
    job = ('fio', '--name=t', f'--directory={there}', f'--rw={rw}', '--bs=4k',
           f'--size={"1g" if LONG else "32m"}', f'--ioengine={engine}',
           '--verify=crc32c', '--verify_fatal=1', '--end_fsync=1',
           '--randseed=7', '--do_verify=1')
    run(*job, cwd=native)
    there.again()
    run(*job, '--verify_only', cwd=native)


def test_tar_unpacks_and_finds_no_difference(native, there):
    source = os.path.join(native, 'source')
    os.mkdir(source)
    make_of_everything(source, os.geteuid() == 0)
    archive = os.path.join(native, 'a.tar')
    run('tar', '--xattrs', '--xattrs-include=*', '--format=posix', '-cSf',
        archive, '-C', source, '.')
    run('tar', '--xattrs', '--xattrs-include=*', '-xpf', archive, '-C', there)
    run('tar', '-df', archive, '-C', there)
    assert_same(picture(source), picture(there))
    there.again()
    run('tar', '-df', archive, '-C', there)


def test_the_way_vim_saves_leaves_the_new_text_and_a_backup(there):
    path = write(os.path.join(there, 'f'), b'old')
    os.chmod(path, 0o640)
    os.rename(path, path + '~')
    with open(path, 'wb') as f:
        f.write(b'new')
        f.flush()
        os.fsync(f.fileno())
    os.chmod(path, 0o640)
    assert read(path) == b'new' and read(path + '~') == b'old'
    os.unlink(path + '~')
    assert os.listdir(there) == ['f']


def test_the_way_borg_locks_admits_one(there):
    # A folder with the holder's name in it is renamed to the lock's name.
    lock = os.path.join(there, 'lock.exclusive')
    won = []

    def contend(who):
        mine = os.path.join(there, f'tmp{who}')
        os.mkdir(mine)
        write(os.path.join(mine, str(who)))
        try:
            os.rename(mine, lock)
            won.append(who)
        except OSError:
            shutil.rmtree(mine)
    threads = [threading.Thread(target=contend, args=(w,)) for w in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(won) == 1 and os.listdir(lock) == [str(won[0])]


@needs('gcc')
def test_a_program_is_compiled_and_runs_from_the_drive(there):
    write(os.path.join(there, 'a.c'),
          b'#include <stdio.h>\nint main(void) { return puts("hello") < 0; }')
    run('gcc', '-o', 'a', 'a.c', cwd=there)
    assert run(os.path.join(there, 'a')) == 'hello\n'
    there.again()
    assert run(os.path.join(there, 'a')) == 'hello\n'
    run('gcc', '-o', 'a', 'a.c', cwd=there)
    assert run(os.path.join(there, 'a')) == 'hello\n'


@needs('ninja')
def test_a_source_tree_is_unpacked_and_built(there):
    """This very tree: unpacked, configured, and its ground floor built."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    tar, tree = os.path.join(there, 'tree.tar'), os.path.join(there, 'tree')
    pack = ['tar', '-cf', tar, '-C', root, '--exclude=node_modules',
            'meson.build', 'meson_options.txt', 'src', 'crypto', 'cache', 'fuse',
            'packaging', 'tests', 'docs']

    def packed():
        done = subprocess.run(pack, check=False).returncode
        assert done in (0, 1)
        return done == 0
    # Who runs a lint meanwhile changes a folder (__pycache__), and tar says so.
    until(packed, what='the tree is left alone')
    os.mkdir(tree)
    run('tar', '-xf', tar, '-C', tree)
    build = os.path.join(tree, 'b')
    run('meson', 'setup', '-Dtests=false', build, tree)
    run('ninja', '-C', build, 'src/base/libbase.a', 'src/dag/libdag.a')
    there.again()
    run('tar', '-df', tar, '-C', tree)
    assert 'no work to do' in run('ninja', '-C', build, 'src/base/libbase.a',
                                  'src/dag/libdag.a')
