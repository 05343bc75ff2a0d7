"""What the commands say, and how they end: fildrive(1) holds them to it."""
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import time

import pytest

from drive import PASSPHRASE, PATIENCE, CommandFailed, alive, binary, until
from syscalls import read, refused, write
from timed import Timed

USAGE, MOUNTPOINT, CONFIG, PASSWORD, LOCKED = 2, 10, 11, 12, 13
OFFLINE, DAMAGE = 14, 17
FSCK_USAGE = 16
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MAN = os.path.join(ROOT, 'packaging', 'man', 'fildrive.1')


def fails(status, call, *says):
    """The call fails with this status and one line that has these words."""
    with pytest.raises(CommandFailed) as e:
        call()
    assert e.value.status == status, e.value
    lines = e.value.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('fildrive: '), e.value
    for word in says:
        assert word in lines[0], e.value
    return e.value


def on_terminal(d, *args, answers=(), **env):
    """(exit status, all that was shown); answers go to successive prompts; one may
    be a function, which says it when it has done what it is there for."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir('/')
        os.execve(binary(), [binary(), *args], {**d.env(), **env})
    shown, answers, end = '', list(answers), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            part = os.read(fd, 4096).decode()
        except OSError:
            part = ''  # the terminal's other side is closed
        if not part:
            break
        shown += part
        if answers and shown.endswith((': ', '[y/N] ')):
            answer = answers.pop(0)
            answer = answer() if callable(answer) else answer
            os.write(fd, answer.encode() + b'\n')
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


def verbs(d):
    return re.findall(r'^  ([a-z]+) ', d.run('help').stdout, re.M)


def options(d, verb):
    return re.findall(r'--[a-z-]+', d.run(verb, '--help').stdout)


# help and the manual


def test_every_verb_and_option_stands_in_the_manual(drives):
    d = drives()
    with open(MAN, encoding='utf-8') as f:
        manual = f.read().replace('\\-', '-')
    for verb in verbs(d):
        assert f'fildrive {verb}' in manual, verb
        for option in options(d, verb):
            assert option in manual or option == '--help', f'{verb} {option}'


def test_every_config_key_stands_in_the_manual(drives):
    d = drives().init()
    with open(MAN, encoding='utf-8') as f:
        config = f.read().partition('.SH CONFIG')[2].partition('.SH STATUS')[0]
    keys = re.findall(r'^([a-z_]+) ', d.run('config', '--drive', d.name).stdout,
                      re.M)
    assert 'copies' in keys and 'store' in keys
    for key in keys:
        assert key in config, key


def test_every_status_member_stands_in_the_manual(drives):
    d = drives().init().mount()
    with open(MAN, encoding='utf-8') as f:
        manual = f.read().partition('.SH STATUS')[2].partition('.SH EXIT')[0]
    status = d.status()
    for name in [*status, *status['cache']]:
        assert name in manual, name


def test_help_needs_no_drive(drives):
    d = drives()
    for verb in verbs(d):
        text = d.run(verb, '--help').stdout
        assert text.startswith(f'usage: fildrive {verb}')
        assert d.run('help', verb).stdout == text
    assert d.run('--version').stdout == d.run('version').stdout
    assert json.loads(d.run('version', '--json').stdout)['version']


def test_what_was_meant_is_suggested(drives):
    d = drives()
    fails(USAGE, lambda: d.run('mont'), "'mont'", "'mount'")
    fails(USAGE, lambda: d.run('status', '--jsn'), '--jsn', '--json')
    fails(USAGE, lambda: d.run('frobnicate'), 'fildrive help')
    fails(USAGE, lambda: d.run('mount'), 'usage: fildrive mount')
    fails(FSCK_USAGE, lambda: d.run('fsck', '--mend'), '--mend')


def test_a_full_disk_under_the_output_is_an_error(drives):
    d = drives()
    with open('/dev/full', 'w', encoding='utf-8') as full:
        done = subprocess.run([binary(), 'help'], stdout=full, check=False,
                              stderr=subprocess.PIPE, env=d.env(), text=True)
    assert done.returncode == 1 and 'standard output' in done.stderr


# init


def test_init_shows_the_words_on_a_terminal_once(drives):
    d = drives()
    status, shown = on_terminal(d, 'init', '--drive', d.name, *d.store_args(),
                                answers=[PASSPHRASE, PASSPHRASE])
    assert status == 0, shown
    words = re.findall(r'(\d+)\. ([a-z]+)', shown)
    assert sorted(int(n) for n, _ in words) == list(range(1, 25))
    assert PASSPHRASE not in shown
    d.mount()


def test_the_words_that_are_shown_open_the_drive(drives):
    d = drives()
    _, shown = on_terminal(d, 'init', '--drive', d.name, *d.store_args(),
                           answers=[PASSPHRASE, PASSPHRASE])
    words = sorted((int(n), w) for n, w in
                   re.findall(r'(\d+)\. ([a-z]+)', shown))
    new = write(os.path.join(d.dir, 'new'), b'another one\n')
    d.run('passwd', '--drive', d.name, '--words-file', '-', '--new-passfile',
          new, stdin=' '.join(w for _, w in words))
    fails(PASSWORD, d.mount)
    write(d.passfile, b'another one\n')
    d.mount()


def test_two_passphrases_that_differ_make_no_drive(drives):
    d = drives()
    status, shown = on_terminal(d, 'init', '--drive', d.name, *d.store_args(),
                                answers=[PASSPHRASE, 'typing error'])
    assert status == PASSWORD and 'differ' in shown
    assert os.listdir(d.home) == []


def test_words_do_not_go_where_no_person_reads(drives):
    d = drives()
    fails(USAGE, lambda: d.run('init', '--drive', d.name, *d.store_args(),
                               '--passfile', d.passfile), '--words-out')
    assert os.listdir(d.home) == []


def test_words_never_overwrite_a_file(drives):
    d = drives()
    write(d.words, b'precious')
    fails(USAGE, d.init, d.words)
    assert read(d.words) == b'precious'
    assert os.listdir(d.home) == []


def test_a_store_is_checked_before_anything_is_made(drives):
    d = drives(stores=0)
    base = ['init', '--drive', d.name, '--passfile', d.passfile,
            '--words-out', d.words, '--store']
    inside = os.path.join(d.home, d.name, 'store')
    for url, says in (('dir://relative', 'three slashes'),
                      ('ftp://host/x', 'unknown kind'),
                      (f'dir://{d.dir}/no/such/parent', 'No such file'),
                      (f'dir://{d.passfile}', 'not a folder'),
                      (f'dir://{inside}', 'store'),
                      (f'dir://{d.home}', 'around')):
        fails(CONFIG, lambda u=url: d.run(*base, u), says)
    same = f'dir://{d.dir}/./mnt'
    fails(CONFIG, lambda: d.run(*base, f'dir://{d.mnt}', '--store', same),
          'one folder')
    fails(CONFIG, lambda: d.run(*base[:-1]), '--store')
    fails(CONFIG, lambda: d.run(*base, f'dir://{d.mnt}', '--copies', '2'),
          '2 copies')
    assert os.listdir(d.home) == [] and not os.path.exists(d.words)


def test_a_store_folder_is_made(drives):
    d = drives(stores=0)
    d.stores = [os.path.join(d.dir, 'new')]
    d.init()
    assert os.path.isdir(d.stores[0])


def test_what_a_killed_init_left_is_cleared_away(drives):
    d = drives()
    left = os.path.join(d.home, f'.{d.name}.tmp')
    os.makedirs(os.path.join(left, 'data'))
    write(os.path.join(left, 'data', 'x'), b'half')
    d.init()
    assert sorted(os.listdir(d.home)) == [d.name]


@pytest.mark.root
def test_what_a_killed_init_left_goes_on_overlayfs_too(drives):
    """As in a container; files there have another st_dev than folders."""
    d = drives()
    disk = os.path.join(d.dir, 'disk')
    os.mkdir(disk)
    subprocess.run(['mount', '-t', 'tmpfs', 'none', disk], check=True)
    try:
        lower = os.path.join(d.dir, 'lower')
        upper, work = (os.path.join(disk, n) for n in ('upper', 'work'))
        os.makedirs(os.path.join(lower, f'.{d.name}.tmp', 'data'))
        write(os.path.join(lower, f'.{d.name}.tmp', 'data', 'x'), b'half')
        os.mkdir(upper)
        os.mkdir(work)
        subprocess.run(['mount', '-t', 'overlay', '-o',
                        f'lowerdir={lower},upperdir={upper},workdir={work}',
                        'none', d.home], check=True)
        d.init()
        assert sorted(os.listdir(d.home)) == [d.name]
    finally:
        subprocess.run(['umount', d.home], check=False)
        subprocess.run(['umount', disk], check=True)


def test_the_drive_directory_is_the_owners_alone(drives):
    d = drives().init()
    top = os.path.join(d.home, d.name)
    assert stat.S_IMODE(os.stat(top).st_mode) == 0o700
    for where, _, files in os.walk(top):
        for name in files:
            mode = os.stat(os.path.join(where, name)).st_mode
            assert stat.S_IMODE(mode) == 0o600, name


def test_a_new_passphrase_that_is_none_is_refused(drives):
    """By init and by passwd; the old one opens the drive as before."""
    d = drives()
    empty = d.passfile + '.empty'
    write(empty, b'\n')
    os.chmod(empty, 0o600)
    fails(PASSWORD, lambda: d.run(
        'init', '--drive', d.name, *d.store_args(), '--passfile', empty,
        '--words-out', d.words), 'empty')
    assert os.listdir(d.home) == []
    d.init()

    def passwd(*args):
        d.run('passwd', '--drive', d.name, '--passfile', d.passfile, *args)
    fails(PASSWORD, lambda: passwd('--new-passfile', empty), 'empty')
    fails(PASSWORD, lambda: passwd('--new-passfile', '/none'), 'No such file')
    fails(PASSWORD, lambda: passwd('--new-extpass', 'true'), 'empty')
    fails(USAGE, lambda: passwd('--new-extpass', 'true', '--new-passfile',
                                empty))
    fails(USAGE, lambda: passwd('--extpass', 'true'))
    fails(PASSWORD, lambda: d.run('passwd', '--drive', d.name, '--passfile',
                                  empty, '--add', '--new-extpass', 'echo x'))
    d.mount()


def test_what_init_wants_to_have_paid_is_checked(drives):
    d = drives()
    paid = 'filecoin://calibration?rpc=http://127.0.0.1:9'

    def init(store, *args):
        d.run('init', '--drive', d.name, '--store', store, '--passfile',
              d.passfile, '--words-out', d.words, *args)
    fails(USAGE, lambda: init(paid, '--months', '0'), '--months')
    fails(USAGE, lambda: init(paid, '--months', '121'), '--months')
    fails(USAGE, lambda: init(paid, '--size', 'much'), '--size')
    fails(USAGE, lambda: init('dir://' + d.stores[0], '--months', '3'),
          'cost money')
    assert os.listdir(d.home) == [] and not os.path.exists(d.words)


def test_a_dead_endpoint_is_named_once(drives):
    d = drives()
    for urls, says in ((['http://127.0.0.1:9'], 'its endpoint does not'),
                       (['http://127.0.0.1:9', 'http://127.0.0.1:10'],
                        'none of its 2 endpoints')):
        store = 'filecoin://calibration?' + '&'.join(f'rpc={u}' for u in urls)
        done = d.run('quote', '--store', store, check=False)
        assert done.returncode == OFFLINE, done
        for url in urls:
            assert len(re.findall(url + r'\b', done.stderr)) == 1, done.stderr
        assert says in done.stderr.splitlines()[-1], done.stderr


def test_names_that_could_leave_the_home_are_refused(drives):
    d = drives()
    for name in ('../x', '.hidden', '', 'a/b', 'x' * 65):
        fails(CONFIG, lambda n=name: d.run('status', '--drive=' + n))


# passphrases


def test_the_passphrase_comes_from_a_program_too(drives):
    d = drives().init()
    d.run('mount', '--drive', d.name, '--extpass', f"echo '{PASSPHRASE}'",
          d.mnt)
    d.umount()
    d.run('mount', '--drive', d.name, d.mnt,
          FILDRIVE_EXTPASS=f'cat {d.passfile}')
    d.umount()
    d.run('mount', '--drive', d.name, '--passfile', '-', d.mnt,
          stdin=PASSPHRASE + '\nrest\n', FILDRIVE_EXTPASS='false')
    d.umount()
    fails(PASSWORD, lambda: d.run('mount', '--drive', d.name, '--extpass',
                                  'exit 3', d.mnt), 'failed')
    fails(PASSWORD, lambda: d.run('mount', '--drive', d.name, '--extpass',
                                  'echo x; exit 3', d.mnt), 'status 3')
    fails(USAGE, lambda: d.run('mount', '--drive', d.name, '--extpass', 'true',
                               '--passfile', d.passfile, d.mnt))


def test_a_person_has_three_tries(drives):
    d = drives().init()
    status, shown = on_terminal(d, 'mount', '--drive', d.name, d.mnt,
                                answers=['a', 'b', PASSPHRASE])
    assert status == 0 and shown.count('Passphrase: ') == 3, shown
    assert d.is_mounted() and PASSPHRASE not in shown
    d.umount()
    status, shown = on_terminal(d, 'mount', '--drive', d.name, d.mnt,
                                answers=['a', 'b', 'c', 'd'])
    assert status == PASSWORD and shown.count('Passphrase: ') == 3, shown
    assert not d.is_mounted()


def test_a_passfile_that_others_read_is_warned_about(drives):
    d = drives().init()
    os.chmod(d.passfile, 0o644)
    done = d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    assert 'chmod 600' in done.stderr


def test_a_weak_passphrase_is_said_and_raised_by_passwd(drives):
    d = drives().init()
    more = {'FILDRIVE_KDF_MEM_KIB': '128'}

    def warned(**env):
        status = d.run('status', '--drive', d.name, '--json', **env).stdout
        return [w for w in json.loads(status)['warnings'] if 'guess' in w]
    assert not warned() and warned(**more)
    said = d.run('passwd', '--drive', d.name, '--passfile', d.passfile,
                 '--add', '--new-extpass', 'echo another', **more).stderr
    assert '1 passphrase ' in said and 'easier to guess' in said
    assert warned(**more)
    # The same passphrase again, as new ones are.
    d.run('passwd', '--drive', d.name, '--passfile', d.passfile,
          '--new-passfile', d.passfile, **more)
    assert not warned(**more)
    d.mount()
    assert not warned(**more)


def test_passwd_adds_changes_and_removes(drives):
    d = drives().init().mount()
    files = {}
    for name in ('one', 'two', 'three'):
        files[name] = write(os.path.join(d.dir, name), name.encode() + b'\n')
        os.chmod(files[name], 0o600)

    def passwd(old, *args):
        return d.run('passwd', '--drive', d.name, '--passfile', old, *args)

    def opens(path):
        try:
            d.run('mount', '--drive', d.name, '--passfile', path, d.mnt)
        except CommandFailed as e:
            assert e.status == PASSWORD
            return False
        d.umount()
        return True

    passwd(d.passfile, '--add', '--new-passfile', files['one'])
    passwd(files['one'], '--new-passfile', files['two'])
    d.umount()
    assert opens(d.passfile) and opens(files['two'])
    assert not opens(files['one'])
    passwd(d.passfile, '--remove')
    assert not opens(d.passfile) and opens(files['two'])
    fails(1, lambda: passwd(files['two'], '--remove'))
    fails(PASSWORD, lambda: passwd(files['three'], '--new-passfile',
                                   files['one']))
    assert opens(files['two'])


def test_a_passwd_that_began_earlier_undoes_nothing(drives):
    """One passphrase is removed while another passwd is on its way."""
    d = drives().init()
    for name in ('one', 'two'):
        write(os.path.join(d.dir, name), name.encode() + b'\n')
        os.chmod(os.path.join(d.dir, name), 0o600)
    one, two, go = (os.path.join(d.dir, n) for n in ('one', 'two', 'go'))
    d.run('passwd', '--drive', d.name, '--passfile', d.passfile, '--add',
          '--new-passfile', one)
    others = os.environ.get('LD_PRELOAD', '')
    env = {**d.env(), 'HOLDLOCK_FILE': go,
           'LD_PRELOAD': os.environ['FILDRIVE_HOLDLOCK'] + ' ' + others}
    with subprocess.Popen([binary(), 'passwd', '--drive', d.name,
                           '--passfile', d.passfile, '--new-passfile', two],
                          env=env, stdout=subprocess.DEVNULL) as late:
        until(lambda: os.path.exists(go + '.waits'), what='it has begun')
        d.run('passwd', '--drive', d.name, '--passfile', one, '--remove')
        write(go, b'')
        assert late.wait(PATIENCE) == 0
    fails(PASSWORD, lambda: d.run('mount', '--drive', d.name, '--passfile', one,
                                  d.mnt))
    d.run('mount', '--drive', d.name, '--passfile', two, d.mnt)


def test_words_of_another_drive_set_no_passphrase(drives):
    d, other = drives().init(), drives().init()
    fails(PASSWORD, lambda: d.run('passwd', '--drive', d.name, '--words-file',
                                  other.words, '--new-passfile', d.passfile),
          'another drive')
    d.mount()


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


# config, fsck


def test_config_shows_and_sets(drives):
    d = drives().init()

    def config(*args):
        return d.run('config', '--drive', d.name, *args).stdout.strip()
    assert config('copies') == '1'
    config('cache_size', '2G')
    assert config('cache_size') == '2G'
    more = os.path.join(d.dir, 'more')
    config('store', 'dir://' + more)
    config('copies', '2')
    assert config('store').splitlines() == ['dir://' + d.stores[0],
                                            'dir://' + more]
    fails(CONFIG, lambda: config('--remove', 'store', 'dir://' + more))
    fails(CONFIG, lambda: config('copies', '0'), 'copies')
    fails(CONFIG, lambda: config('cache_size', '1M'), '256M')
    fails(USAGE, lambda: d.mount('cache_size=1M'), 'cache_size: at least 256M')
    fails(USAGE, lambda: config('copy'), "'copy'")
    d.mount()


def test_a_config_with_a_typing_error_is_named(drives):
    d = drives().init()
    path = os.path.join(d.home, d.name, 'config')
    write(path, read(path) + b'copys = 2\n')
    line = read(path).count(b'\n')
    fails(CONFIG, d.mount, f'line {line}', 'copys')
    fails(CONFIG, lambda: d.run('status', '--drive', d.name), 'copys')


@pytest.mark.parametrize('name', ['drive.db', 'ledger.db', 'keys'])
def test_what_is_missing_is_damage_and_a_way_out_is_named(drives, name):
    d = drives().init()
    path = os.path.join(d.home, d.name, name)
    if name == 'keys':
        write(path, b'')
        fails(DAMAGE, d.mount, 'key file', 'words')
        return
    os.rename(path, path + '.away')
    fails(DAMAGE, d.mount, name + ': it is missing', 'fildrive fsck')
    done = d.run('fsck', '--drive', d.name, '--passfile', d.passfile, check=False)
    assert done.returncode in (4, 8) and '--salvage' in done.stdout, done
    os.rename(path + '.away', path)
    d.mount()


def test_fsck_has_the_exit_codes_of_fsck(drives):
    d = drives().init()
    fsck = ['fsck', '--drive', d.name, '--passfile', d.passfile]
    assert 'clean' in d.run(*fsck).stdout
    d.mount()
    write(os.path.join(d.mnt, 'f'), b'x' * 100000)
    fails(8, lambda: d.run(*fsck), 'in use by process')
    d.umount()
    assert 'clean' in d.run(*fsck).stdout
    write(d.passfile, b'wrong\n')
    fails(8, lambda: d.run(*fsck), 'passphrase')


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
