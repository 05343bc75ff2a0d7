"""Other users of the machine: what they reach, and what they cannot make us do."""
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading

import pytest

from drive import CommandFailed, Drive, PATIENCE, binary
from syscalls import write

pytestmark = pytest.mark.root

NOBODY, OTHER = 65534, 65533


def as_user(uid, *args, env=None):
    """Exit status and all that it printed."""
    r = subprocess.run(['setpriv', f'--reuid={uid}', f'--regid={uid}',
                        '--clear-groups', *args], check=False, cwd='/',
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=PATIENCE, env=env)
    return r.returncode, r.stdout.decode(errors='replace')


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def refused(d, *args):
    with pytest.raises(CommandFailed) as e:
        d.run(*args)
    assert 'folder of the drives' in e.value.stderr
    return e.value


def test_another_user_reaches_neither_mount_nor_socket_nor_files(drives):
    d = drives(options=()).init().mount()
    write(os.path.join(d.mnt, 'f'), b'x')
    for path in (d.mnt, os.path.join(d.mnt, 'f'), d.home,
                 os.path.join(d.home, d.name),
                 os.path.join(d.home, d.name, 'keys')):
        status, said = as_user(NOBODY, 'cat', path)
        assert status != 0 and 'denied' in said, (path, said)
    sock = os.path.join(d.home, d.name + '.sock')
    assert mode(sock) == 0o600
    # Were it open to all, who asks would still be looked at.
    os.chmod(d.home, 0o711)
    os.chmod(sock, 0o666)
    ask = 'import socket, sys; s = socket.socket(socket.AF_UNIX);' \
        's.connect(sys.argv[1]); s.sendall(b\'{"verb": "status"}\\n\');' \
        'print(s.recv(100))'
    status, said = as_user(NOBODY, sys.executable, '-c', ask, sock)
    # It is closed before or after the question, and never answered.
    assert '"ok"' not in said and '"drive"' not in said, said
    assert status != 0 or said.strip() == "b''", said
    assert d.status()['mounted']


def test_a_home_that_others_may_write_to_is_mended_or_refused(drives):
    d = drives().init()
    os.chmod(d.home, 0o777)
    assert not d.status()['mounted']
    assert mode(d.home) == 0o755
    os.chmod(d.home, 0o1777)  # as /tmp: on purpose
    refused(d, 'status', '--drive', d.name)
    refused(d, 'init', '--drive', 'more', *d.store_args(),
            '--passfile', d.passfile, '--words-out', d.words + '2')
    os.chmod(d.home, 0o700)
    os.chown(d.home, OTHER, OTHER)
    refused(d, 'status', '--drive', d.name)
    os.chown(d.home, 0, 0)


def test_a_link_that_somebody_put_in_place_of_the_drive_touches_nothing(drives):
    d = drives().init()
    target = os.path.join(d.dir, 'public')
    os.mkdir(target, 0o755)
    os.chmod(target, 0o755)
    trap = os.path.join(d.dir, 'trap')
    os.mkdir(trap)
    os.chmod(trap, 0o777)
    os.chown(trap, OTHER, OTHER)
    os.symlink(target, os.path.join(trap, d.name))
    with pytest.raises(CommandFailed) as e:
        d.run('status', '--drive', d.name, FILDRIVE_HOME=trap)
    assert 'folder of the drives' in e.value.stderr
    assert mode(target) == 0o755, 'the folder that the link names was closed'
    # And files within a drive directory are not followed.
    keys = os.path.join(d.home, d.name, 'keys')
    os.rename(keys, d.dir + '/keys')
    os.symlink(d.dir + '/keys', keys)
    with pytest.raises(CommandFailed) as e:
        d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt)
    assert 'keys' in e.value.stderr


def test_a_socket_folder_of_somebody_else_is_not_used(drives):
    d = drives()
    run = os.path.join(d.dir, 'run')
    os.makedirs(os.path.join(run, 'fildrive'))
    os.chown(os.path.join(run, 'fildrive'), OTHER, OTHER)
    env = {'FILDRIVE_HOME': '', 'XDG_DATA_HOME': '', 'XDG_RUNTIME_DIR': run}
    d.run('init', '--drive', d.name, *d.store_args(), '--passfile', d.passfile,
          '--words-out', d.words, **env)
    with pytest.raises(CommandFailed) as e:
        d.run('mount', '--drive', d.name, '--passfile', d.passfile, d.mnt, **env)
    assert 'control socket' in e.value.stderr
    assert not d.is_mounted()


def test_a_process_of_somebody_else_is_not_taken_for_the_daemon(drives):
    """It would say that all is synced and at the stores."""
    d = drives.adopt(Drive())
    own = os.path.join(d.dir, 'fildrive')
    shutil.copy(binary(), own)
    os.chown(d.home, NOBODY, NOBODY)
    path = os.path.join(d.home, d.name + '.sock')
    asked = []
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        os.chmod(path, 0o777)

        def serve():
            os.setresuid(OTHER, OTHER, 0)
            s.listen()
            os.setresuid(0, 0, 0)
        serve()

        def answer():
            try:
                while True:
                    c, _ = s.accept()
                    with c:
                        asked.append(c.recv(4096))
                        c.sendall(json.dumps({'ok': True}).encode() + b'\n')
            except OSError:
                pass  # shut down: the test is over
        t = threading.Thread(target=answer)
        t.start()
        status, said = as_user(NOBODY, own, 'sync', '--drive', d.name, '--wait',
                               env=d.env())
        s.shutdown(socket.SHUT_RDWR)
        t.join()
    assert status != 0, said
    assert not any(asked), asked


def test_a_file_of_words_that_others_may_read_is_warned_of(drives):
    d = drives().init()
    os.chmod(d.words, 0o644)
    said = d.run('passwd', '--drive', d.name, '--words-file', d.words,
                 '--new-passfile', d.passfile).stderr
    assert 'others may read the file of recovery words' in said
    os.chmod(d.words, 0o600)
    os.chown(d.passfile, OTHER, OTHER)
    said = d.run('snapshots', '--drive', d.name, '--passfile', d.passfile,
                 check=False).stderr
    assert 'belongs to another user' in said
