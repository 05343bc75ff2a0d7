"""The daemon's work in the background does not stand in the way of who works."""
import os

import pytest

from drive import until
from syscalls import write

MIB = 1 << 20


def cores(pid):
    """nicer than the daemon or not -> the numbers of cores its threads may use"""
    found = {True: set(), False: set()}
    own = os.getpriority(os.PRIO_PROCESS, pid)
    for tid in map(int, os.listdir(f'/proc/{pid}/task')):
        try:
            # In this order: one that begins gets nicer before it gives up cores.
            n = len(os.sched_getaffinity(tid))
            found[os.getpriority(os.PRIO_PROCESS, tid) > own].add(n)
        except ProcessLookupError:
            pass  # it has ended
    return found


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2,
                    reason='this machine has one core')
@pytest.mark.skipif(os.getpriority(os.PRIO_PROCESS, 0) == 19,
                    reason='this user runs it with nice 19, below which is none')
def test_while_somebody_works_what_is_sent_leaves_one_core_alone(drive):
    every = len(os.sched_getaffinity(0))
    (pid,) = drive.pids()
    seen = []

    def work():
        write(os.path.join(drive.mnt, 'file'), os.urandom(8 * MIB))
        sync = drive.start_sync()
        while sync.poll() is None:
            os.path.exists(os.path.join(drive.mnt, 'none'))
            seen.append(cores(pid))
        assert sync.returncode == 0
        return any(c[True] == {every - 1} for c in seen)

    until(work, what='a core left alone')
    assert all(c[False] == {every} for c in seen)
