"""Mounting and what is asked of a mounted drive: status, umount, sync, and mount(8)."""
import os
import signal
import subprocess
import time

import pytest

from commands import DAMAGE, MOUNTPOINT, USAGE, fails
from drive import PATIENCE, CommandFailed, alive, binary, until
from syscalls import read, refused, write
from timed import Timed


# mount, status, umount


def test_status_says_what_it_knows_and_no_more(drives):
    d = drives().init().set(onboard_idle='1d', onboard_age='1d')
    status = d.status()
    assert status['mounted'] is False and 'cache' not in status
    assert 'unknown while it is not mounted' in \
        d.run('status', '--drive', d.name).stdout
    d.mount()
    write(os.path.join(d.mnt, 'f'), b'x' * 100000)
    status = d.status()
    assert status['mounted'] and status['mountpoint'] == d.mnt
    assert status['pid'] in d.pids()
    assert status['cache']['dirty_inodes'] > 0
    assert status['bytes_fetched'] == 0 and status['errors'] == []
    assert status['stores'][0]['url'] == 'dir://' + d.stores[0]
    text = d.run('status', '--drive', d.name).stdout
    assert d.mnt in text and 'Dirty:' in text
    d.umount()
    assert d.status()['mounted'] is False


def test_status_knows_the_mount_as_soon_as_mount_returns(drives):
    d = drives().init()
    others = os.environ.get('LD_PRELOAD', '')
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt,
          LD_PRELOAD=os.environ['FILDRIVE_HOLDLOCK'] + ' ' + others,
          HOLDTHREADS_MS='100')
    assert d.status()['mounted']
    d.umount()


def test_a_deaf_client_does_not_stop_the_others(drives):
    import socket
    d = drives().init().mount()
    deaf = []
    for _ in range(8):
        deaf.append(socket.socket(socket.AF_UNIX))
        deaf[-1].connect(os.path.join(d.home, d.name + '.sock'))
        deaf[-1].sendall(b'{"verb": "status"}\n{"verb": ')
    assert d.status()['mounted']
    for s in deaf:
        s.close()
    d.umount()


def test_verify_does_not_take_silence_for_soundness(drives):
    """Of a daemon of another version, or of none: nothing that it left out is 0."""
    import socket
    import threading
    d = drives().init()

    def answer(line):
        conn = listener.accept()[0]
        with conn, conn.makefile('rb') as asked:
            assert b'verify' in asked.readline()
            conn.sendall(line)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(d.home, d.name + '.sock'))
        listener.listen()
        for line in (b'{"ok": true}\n', b'{"ok": true, "n_faults": "0"}\n'):
            for option in ('--quiet', '--json'):
                daemon = threading.Thread(target=answer, args=(line,))
                daemon.start()
                fails(DAMAGE, lambda o=option: d.run('verify', '--drive', d.name, o),
                      'does not say')
                daemon.join()


def test_umount_names_what_to_do_when_busy(drives):
    d = drives().init().mount()
    path = os.path.join(d.mnt, 'held')
    with open(path, 'wb') as held:
        held.write(b'before')
        held.flush()
        fails(MOUNTPOINT, lambda: d.run('umount', d.mnt), 'busy', '--lazy')
        assert d.is_mounted() and read(path) == b'before'
        d.run('umount', '--lazy', d.mnt)
        assert not d.is_mounted()
        held.write(b' and after')
    until(lambda: not d.pids(), what='the daemon has ended')
    d.mount()
    assert read(path) == b'before and after'


def test_umount_outlives_who_only_looks_in_passing(drives):
    """Whatever the machine did meanwhile: it is looks that are counted."""
    d = drives.adopt(Timed()).init().mount()
    go = os.path.join(d.dir, 'go')
    env = {**d.env(), 'HOLDPAUSE_FILE': go}
    env['LD_PRELOAD'] = os.environ['FILDRIVE_HOLDLOCK'] + ' ' + env['LD_PRELOAD']

    def refused_again():
        until(lambda: command.poll() is not None or
              os.path.exists(go + '.waits'), what='it pauses')
        assert command.poll() is None, command.stderr.read()
    with open(os.path.join(d.mnt, 'held'), 'wb'):
        command = subprocess.Popen([binary(), 'umount', d.mnt], env=env, cwd='/',
                                   stderr=subprocess.PIPE, text=True)
        refused_again()
        d.pass_time(60)
        write(go)
        until(lambda: not os.path.exists(go), what='it looks again')
        refused_again()
    while command.poll() is None:  # the pauses for the end of the daemon as well
        write(go)
        time.sleep(0.01)
    said = command.communicate(timeout=d.patience)[1]
    assert command.returncode == 0, said
    assert not d.is_mounted()


def test_umount_finds_the_drive_by_name_and_by_odd_paths(drives):
    d = drives().init()
    d.mnt = os.path.join(d.dir, 'a b\\ü')
    os.mkdir(d.mnt)
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    d.run('umount', '--drive', d.name)
    assert not os.listdir(d.mnt)
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    d.run('umount', d.mnt + '/')
    assert not os.path.ismount(d.mnt)
    fails(MOUNTPOINT, lambda: d.run('umount', d.mnt), 'no drive is mounted')
    fails(MOUNTPOINT, lambda: d.run('umount', '--drive', d.name), 'not mounted')


def test_a_path_that_is_no_text_is_shown_and_unmounted(drives):
    d = drives().init()
    d.mnt = os.fsdecode(os.path.join(os.fsencode(d.dir), b'caf\xe9'))
    os.mkdir(d.mnt)
    for args in ['--drive', d.name], [d.mnt]:
        d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
        assert d.status()['mountpoint'].endswith('/caf\\xe9')
        assert d.status()['mountpoint_bytes'] == '0x' + os.fsencode(d.mnt).hex()
        assert '/caf\\xe9' in d.run('status', '--drive', d.name).stdout
        d.run('umount', *args)
        assert not d.pids(), 'umount returns when the daemon has ended'


def test_umount_clears_away_a_dead_mount(drives):
    d = drives().init().mount()
    pids = d.pids()
    for pid in pids:
        os.kill(pid, 9)
    until(lambda: not any(map(alive, pids)), what='the killed daemon is gone')
    fails(MOUNTPOINT, d.mount, 'dead mount', 'fildrive umount')
    d.run('umount', d.mnt)
    assert not d.is_mounted()
    d.mount()


def test_what_was_written_is_there_when_umount_returns(drives):
    d = drives().init().mount()
    for i in range(50):
        write(os.path.join(d.mnt, f'f{i}'), os.urandom(20000))
    d.run('umount', d.mnt)
    d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    assert len(os.listdir(d.mnt)) == 50


@pytest.mark.parametrize('number', [15, 2, 1])
def test_signals_unmount_in_order(drives, number):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'kept')
    os.kill(d.pids()[0], number)
    until(lambda: not d.pids(), what='the daemon has ended')
    assert not d.is_mounted()
    assert not os.path.exists(os.path.join(d.home, d.name + '.sock'))
    d.mount()
    assert read(os.path.join(d.mnt, 'f')) == b'kept'


def test_a_caller_without_standard_files_gets_a_whole_daemon(drives):
    d = drives().init()
    for closed in '<&-', '<&- >&- 2>&-':
        subprocess.run(['sh', '-c', f'exec "$@" {closed}', 'sh', binary(),
                        'mount', '--drive', d.name, '--passfile', d.passfile,
                        d.mnt], env=d.env(), check=True, timeout=PATIENCE)
        (pid,) = d.pids()
        for fd in range(3):
            assert os.readlink(f'/proc/{pid}/fd/{fd}') == '/dev/null'
        assert d.status()['mounted']
        d.umount()
        assert not os.path.exists(os.path.join(d.home, d.name + '.sock'))


def test_in_the_foreground_the_log_is_on_stderr(drives):
    d = drives().init()
    with subprocess.Popen([binary(), 'mount', '-f', '--drive', d.name,
                           '--passfile', d.passfile, d.mnt], env=d.env(),
                          stderr=subprocess.PIPE, text=True) as p:
        until(d.is_mounted, what='mounted')
        until(lambda: d.status()['mounted'], what='answers')
        p.terminate()
        text = p.communicate(timeout=PATIENCE)[1]
    assert p.returncode == 0 and 'unmounted, all changes are on disk' in text
    assert not d.is_mounted()


def test_sync_local_makes_durable(drives):
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), b'durable')
    d.run('sync', '--drive', d.name, '--local')
    d.kill9().mount()
    assert read(os.path.join(d.mnt, 'f')) == b'durable'
    fails(USAGE, lambda: d.run('sync', '--wait', '--local'))
    d.umount()
    fails(MOUNTPOINT, lambda: d.run('sync', '--drive', d.name), 'not mounted')


def test_mount_waits_for_the_daemon_of_the_mount_before(drives):
    # umount(8) returns when the mount has gone; the daemon ends a little later.
    d, other = drives().init().mount(), drives().init()
    assert d.name == other.name, 'whose mount of this name does not count'
    write(os.path.join(d.mnt, 'f'), b'written')
    [pid] = d.pids()
    os.kill(pid, signal.SIGSTOP)
    subprocess.run(['fusermount3', '-u', d.mnt], check=True)
    other.mount() # which as a rule gets the number of the device that has gone
    again = d.start('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    try:
        said = again.stderr.readline() # or nothing, if it ended
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f'Waiting for process {pid} ' in said
    assert again.wait(PATIENCE) == 0
    again.stderr.close()
    assert read(os.path.join(d.mnt, 'f')) == b'written'


def test_the_mount_helper_takes_what_fstab_has(drives):
    d = drives().init()
    helper = os.path.join(d.dir, 'mount.fildrive')
    os.symlink(binary(), helper)
    opts = f'rw,noauto,nofail,x-systemd.automount,passfile={d.passfile}'

    def mount(*args):
        return subprocess.run([helper, *args], env=d.env(), check=False,
                              stderr=subprocess.DEVNULL).returncode
    def shown():
        with open('/proc/self/mountinfo', encoding='utf-8',
                  errors='surrogateescape') as f:
            return next(x.split()[5].split(',') for x in f
                        if x.split()[4] == d.mnt)
    assert mount(d.name, d.mnt, '-o', opts) == 0
    assert d.is_mounted()
    # mount(8) leaves suid and dev out: they are what it means.
    assert ('nosuid' in shown()) == (os.geteuid() != 0)
    assert mount(d.name, d.mnt, '-o', opts) == 32
    d.umount()
    assert mount(d.name, d.mnt, '-o', opts + ',nosuid,nodev') == 0
    assert 'nosuid' in shown() and 'nodev' in shown()
    d.umount()
    assert mount(d.name, d.mnt, '-o', opts + ',r0') == 1
    assert mount(d.name) == 1
    assert not d.is_mounted()


@pytest.mark.root
def test_a_remount_makes_a_drive_read_only_and_back(drives):
    """By what mount(8) calls for the type that /proc/mounts shows, with what it
    gives it, and by the command."""
    d = drives().init().mount()
    helper = os.path.join(d.dir, 'mount.fuse.fildrive')
    os.symlink(binary(), helper)
    path = write(os.path.join(d.mnt, 'f'), b'content')

    def shown():
        with open('/proc/self/mountinfo', encoding='utf-8',
                  errors='surrogateescape') as f:
            return next(x.split()[5].split(',') for x in f
                        if x.split()[4] == d.mnt)

    def remount(opts):
        kernels = 'noatime,user_id=0,group_id=0,default_permissions,allow_other'
        subprocess.run([helper, 'fildrive:' + d.name, d.mnt, '-o',
                        f'{kernels},remount,{opts}'], check=True, env=d.env())
    before = shown()
    remount('ro')
    assert 'ro' in shown() and 'nosuid' not in shown()
    assert refused(lambda: write(path, b'more')) == 'EROFS'
    assert read(path) == b'content'
    remount('rw')
    assert shown() == before
    write(path, b'more')
    with open(path, 'ab'):
        with pytest.raises(CommandFailed, match='open for writing'):
            d.mount('remount', 'ro')
    for opts in ('ro', 'nosuid'):
        d.run('mount', '-o', 'remount,' + opts, d.mnt)
    assert {'ro', 'nosuid', 'noatime'} <= set(shown()), 'one keeps the other'
    d.run('mount', '-o', 'remount,rw,suid', d.mnt)
    assert shown() == before
    with pytest.raises(CommandFailed, match='chosen when a drive is mounted'):
        d.run('mount', '-o', 'remount,relatime', d.mnt)
    with pytest.raises(CommandFailed, match='frob'):
        d.run('mount', '-o', 'remount,frob', d.mnt)
    d.umount()
    with pytest.raises(CommandFailed, match='no drive is mounted'):
        d.run('mount', '-o', 'remount,ro', d.mnt)


@pytest.mark.root
def test_what_was_mounted_read_only_stays_so(drives):
    """Nobody would publish what is written there; a snapshot goes with its
    mount."""
    d = drives().init().mount()
    path = write(os.path.join(d.mnt, 'f'), b'content')
    d.umount().mount('ro')
    with pytest.raises(CommandFailed, match='was mounted read only'):
        d.run('mount', '-o', 'remount,rw', d.mnt)
    subprocess.run(['mount', '-i', '-o', 'remount,rw', d.mnt], check=True)
    for change in (lambda: write(path, b'more'), lambda: os.unlink(path),
                   lambda: write(path + '2'), lambda: os.mkdir(path + '3'),
                   lambda: os.setxattr(path, 'user.a', b'b'),
                   lambda: os.rename(path, path + '4'),
                   lambda: os.link(path, path + '5'),
                   lambda: os.chmod(path, 0o600),
                   lambda: os.symlink('x', path + '6'),
                   lambda: os.utime(path)):
        assert refused(change) == 'EROFS'
    assert read(path) == b'content'


# sync --wait


def test_what_sync_waited_for_is_at_the_store(drives):
    # Half of all drives draw a writer tag that is negative to SQLite.
    for _ in range(6):
        d = drives().init().set(onboard_idle='1d', onboard_age='1d').mount()
        write(os.path.join(d.mnt, 'f'), os.urandom(300000))
        d.sync()
        pieces = [n for n in os.listdir(d.stores[0]) if n.endswith('.car')]
        size = sum(os.path.getsize(os.path.join(d.stores[0], n))
                   for n in pieces)
        assert size > 300000, pieces
        status = d.status()
        assert status['queued']['pieces'] == 0
        assert status['stores'][0]['pieces'] == len(pieces)
        assert status['last_commit']['sequence'] == 1
        d.close()


def test_sync_says_what_it_waits_for(drives):
    """Once, and once more when that is back; with --quiet never."""
    d = drives().init().mount()
    write(os.path.join(d.mnt, 'f'), os.urandom(5000))
    os.rename(d.stores[0], d.stores[0] + '.away')
    said = [os.path.join(d.dir, n) for n in ('loud', 'quiet')]
    waiting = []
    for path, more in zip(said, ([], ['--quiet'])):
        with open(path, 'wb') as f:
            waiting.append(subprocess.Popen(
                [binary(), 'sync', '--wait', '--drive', d.name, *more],
                env=d.env(), stderr=f, stdin=subprocess.DEVNULL))
    until(lambda: b' away (' in read(said[0]))
    line = next(s for s in d.run('status', '--drive', d.name).stdout.split('\n')
                if s.startswith('Store: '))
    assert line.split(None, 1)[1].split(': ')[1].startswith('away')
    os.rename(d.stores[0] + '.away', d.stores[0])
    assert [p.wait(PATIENCE) for p in waiting] == [0, 0]
    lines = read(said[0]).decode().splitlines()
    assert 1 <= len(lines) <= 2, lines
    assert lines[0].startswith('fildrive: sync waits; store dir://'
                               + d.stores[0] + ': away (')
    assert all(s.endswith(': ok') for s in lines[1:]), lines
    assert read(said[1]) == b''
