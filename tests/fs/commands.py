"""How commands end: their exit status, what they say, and a terminal to ask on."""
import os
import pty
import select
import time

import pytest

from drive import PATIENCE, CommandFailed, binary

USAGE, MOUNTPOINT, CONFIG, PASSWORD, LOCKED = 2, 10, 11, 12, 13
OFFLINE, DAMAGE = 14, 17
FSCK_USAGE = 16


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
