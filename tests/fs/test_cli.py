"""What the commands say, and how they end: fildrive(1) holds them to it."""
import json
import os
import re
import stat
import subprocess

import pytest

from commands import (CONFIG, DAMAGE, FSCK_USAGE, OFFLINE, PASSWORD, USAGE,
                      fails, on_terminal)
from drive import PASSPHRASE, PATIENCE, CommandFailed, binary, until
from syscalls import read, write

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MAN = os.path.join(ROOT, 'packaging', 'man', 'fildrive.1')


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
