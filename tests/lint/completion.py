#!/usr/bin/env python3
"""completion.py ROOT FILDRIVE - what Tab does in bash and in zsh

Each shell runs on a terminal of its own with nothing but our completion loaded;
a line is typed, Tab pressed, and the line as the shell has it then compared.
Exit 77 (skipped) where a shell is not installed.
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 120  # seconds until a shell that says nothing has failed
SKIP = 77
# C-x q shows the line, and begins a new one.
SHELLS = {
    'bash': (['bash', '--norc', '--noprofile', '-i'], r'''
        PS1= PS2=; . "$ROOT/packaging/completion/fildrive.bash"
        show() { printf 'LINE[%s]\n' "$READLINE_LINE"; READLINE_LINE=; }
        bind 'set bell-style none'; bind -x '"\C-xq": show' '''),
    'zsh': (['zsh', '-f', '-i'], r'''
        PS1= PS2=; fpath=("$ROOT/packaging/completion" $fpath)
        autoload -Uz compinit; compinit -u -D
        show() { print -r -- "LINE[$BUFFER]"; BUFFER= }
        setopt noautomenu nolistbeep; zle -N show; bindkey '^Xq' show '''),
}
LINES = (
    ('sna', 'snapshots '),
    ('help rec', 'help recover '),
    ('mount --passf', 'mount --passfile '),
    ('mount --passfile pa', 'mount --passfile pass '),
    ('mount --drive he', 'mount --drive here '),
    ('mount fold', 'mount folder/'),
    ('mount -o fold', 'mount -o fold'),
    ('status --js', 'status --json '),
    ('init --store di', 'init --store dir:///'),
    ('init -s dir://{dir}/fold', 'init -s dir://{dir}/folder/'),
    ('recover -w wo', 'recover -w words '),
    ('verify -s wo', 'verify -s wo'),
    ('publish fold', 'publish folder/'),
    ('publish -o wo', 'publish -o words '),
    ('config --drive here cop', 'config --drive here copies '),
    ('init --store fi', 'init --store filecoin://'),
    ('init --store filecoin://m', 'init --store filecoin://mainnet'),
    ('recover -s filecoin://c', 'recover -s filecoin://calibration'),
    ('wallet wi', 'wallet withdraw '),
    ('frobnicate --x', 'frobnicate --x'),
)


class Shell:
    def __init__(self, name, root, env):
        args, script = SHELLS[name]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(env['HOME'])
            os.execvpe(args[0], args, {**env, 'ROOT': root})
        self.seen = ''
        # In two halves, so that the echo of the line is not taken for it.
        lines = [*filter(None, map(str.strip, script.split('\n'))),
                 'echo REA""DY']
        self.type('; '.join(lines).replace('{;', '{') + '\n')
        self.wait('READY')

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, pattern):
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen, re.S)):
            if time.monotonic() > end:
                raise TimeoutError(f'no {pattern} in: {self.seen[-500:]!r}')
            if select.select([self.fd], [], [], 1)[0]:
                self.seen += os.read(self.fd, 4096).decode(errors='replace')
        self.seen = self.seen[found.end():]
        return found

    def complete(self, line):
        self.type(f'fildrive {line}\t\x18q')
        shown = self.wait(r'LINE\[fildrive (.*?)\]').group(1)
        return re.sub(r'\r\n?', '', shown)

    def close(self):
        os.close(self.fd)  # it gets SIGHUP
        os.waitpid(self.pid, 0)


def main():
    root, fildrive = map(os.path.realpath, sys.argv[1:])
    missing = [name for name in SHELLS if not shutil.which(name)]
    if missing:
        print('no', *missing, 'here')
        return SKIP
    wrong = 0
    with tempfile.TemporaryDirectory() as top:
        env = {'PATH': os.path.dirname(fildrive) + ':' + os.environ['PATH'],
               'HOME': top, 'FILDRIVE_HOME': os.path.join(top, 'home'),
               'TERM': 'dumb', 'COLUMNS': '200', 'LC_ALL': 'C.UTF-8',
               'FILDRIVE_KDF_MEM_KIB': '64', 'FILDRIVE_KDF_OPS': '1'}
        for name in 'home', 'folder':
            os.mkdir(os.path.join(top, name))
        with open(os.path.join(top, 'pass'), 'w', encoding='utf-8') as f:
            f.write('correct horse battery staple\n')
        os.chmod(os.path.join(top, 'pass'), 0o600)
        subprocess.run([fildrive, 'init', '--drive', 'here', '--store',
                        f'dir://{top}/folder', '--passfile', f'{top}/pass',
                        '--words-out', f'{top}/words'], check=True, env=env,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        for name in SHELLS:
            shell = Shell(name, root, env)
            for typed, want in LINES:
                typed, want = (s.format(dir=top) for s in (typed, want))
                got = shell.complete(typed)
                if got != want:
                    wrong += 1
                    print(f'{name}: {typed!r} became {got!r}, not {want!r}')
            shell.close()
    print(f'{len(LINES)} lines in {len(SHELLS)} shells, {wrong} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
