"""model.py - random operations as data: what is done on two trees in step

An operation is a tuple of its name and plain values, so that a run can be done
again, cut short, and printed as a script.  Bytes are (seed, length).  Paths are
relative to the root; an operation that cannot be done fails on both sides with
the same errno, or the trees are out of step.
"""
import os
import random

NAMES = [f'n{i}' for i in range(8)]


class OutOfStep(AssertionError):
    """The two sides do not agree; `what` says where."""


def blob(seed, n):
    return random.Random(seed).randbytes(n)


# ---- operations ----


def mkfile(root, path, data):
    with open(os.path.join(root, path), 'xb') as f:
        f.write(blob(*data))


def mkdir(root, path):
    os.mkdir(os.path.join(root, path))


def symlink(root, path, target):
    os.symlink(target, os.path.join(root, path))


def link(root, old, new):
    os.link(os.path.join(root, old), os.path.join(root, new))


def rename(root, old, new):
    os.rename(os.path.join(root, old), os.path.join(root, new))


def unlink(root, path):
    os.unlink(os.path.join(root, path))


def rmdir(root, path):
    if path != '.':
        os.rmdir(os.path.join(root, path))


def chmod(root, path, mode):
    path = os.path.join(root, path)
    if not os.path.islink(path):
        os.chmod(path, mode)


def setxattr(root, path, data):
    path = os.path.join(root, path)
    if not os.path.islink(path):
        os.setxattr(path, 'user.model', blob(*data))


def pwrite(root, path, off, data):
    with open(os.path.join(root, path), 'r+b') as f:
        os.pwrite(f.fileno(), blob(*data), off)


def append(root, path, data):
    with open(os.path.join(root, path), 'ab') as f:
        f.write(blob(*data))


def truncate(root, path, size):
    os.truncate(os.path.join(root, path), size)


def copy_range(root, src, src_off, dst, dst_off, n):
    src, dst = os.path.join(root, src), os.path.join(root, dst)
    if os.path.samefile(src, dst):
        return
    with open(src, 'rb') as a, open(dst, 'r+b') as b:
        while n:
            done = os.copy_file_range(a.fileno(), b.fileno(), n, src_off,
                                      dst_off)
            if not done:
                return
            src_off, dst_off, n = src_off + done, dst_off + done, n - done


OPERATIONS = {f.__name__: f for f in (
    mkfile, mkdir, symlink, link, rename, unlink, rmdir, chmod, setxattr,
    pwrite, append, truncate, copy_range)}


def do(op, root):
    """What came of it: a value or an errno."""
    name, *args = op
    try:
        return OPERATIONS[name](root, *args)
    except OSError as e:
        return ('errno', e.errno)


def both(op, native, drive):
    """On both sides, with the same outcome."""
    outcome = do(op, native), do(op, drive)
    if outcome[0] != outcome[1]:
        raise OutOfStep(f'{op}: {outcome[0]} and {outcome[1]}')


# ---- making them ----


def _paths(native, files=True, dirs=True, regular=False):
    found = []
    for where, _, names in os.walk(native):
        rel = os.path.relpath(where, native)
        found += [rel] * dirs
        for name in names * files:
            path = os.path.normpath(os.path.join(rel, name))
            full = os.path.join(native, path)
            if not regular or (os.path.isfile(full)
                               and not os.path.islink(full)):
                found.append(path)
    return sorted(found)


def invent(r, native):
    """The next operation, from a random source and what stands in `native`."""
    regular = _paths(native, dirs=False, regular=True)
    path = r.choice(_paths(native))
    new = os.path.normpath(os.path.join(
        r.choice(_paths(native, files=False)), r.choice(NAMES)))
    off = r.choice([0, r.randrange(5000), r.randrange(3 << 20)])
    size = r.choice([0, r.randrange(1, 9000), r.randrange(1, 4 << 20)])
    n = r.choice([1, r.randrange(1, 9000), r.randrange(1, 1 << 20)])
    data = (r.randrange(1 << 30), n)
    small = (data[0], r.choice([0, 10, 130, 5000, n]))
    made = [('mkfile', new, small), ('mkdir', new),
            ('symlink', new, 'x' * (n % 300 + 1)),
            ('rename', path, new), ('unlink', path), ('rmdir', path),
            ('chmod', path, r.choice([0o600, 0o644, 0o755, 0o4711])),
            ('setxattr', path, (data[0], min(n, 300)))]
    if regular:
        file, other = r.choice(regular), r.choice(regular)
        made += [('pwrite', file, off, data)] * 2
        made += [('append', file, data), ('truncate', file, size),
                 ('link', file, new),
                 ('copy_range', file, off // 4096 * 4096, other,
                  size // 4096 * 4096, n)]
    return r.choice(made)


# ---- a run that failed ----


def shrink(ops, fails, most=400):
    """The least of `ops` that still fails, by delta debugging (Zeller and
    Hildebrandt, 2002): halves, then smaller parts are left out as long as what
    remains fails.  `fails` is asked `most` times at most."""
    parts = 2
    while len(ops) > 1 and most > 0:
        size = max(1, len(ops) // parts)
        for start in range(0, len(ops), size):
            fewer = ops[:start] + ops[start + size:]
            most -= 1
            if fewer and fails(fewer):
                ops, parts = fewer, max(2, parts - 1)
                break
            if most <= 0:
                break
        else:
            if size == 1:
                break
            parts = min(len(ops), 2 * parts)
    return ops


def script(ops):
    """A program that does them under its first argument."""
    return '\n'.join([
        'import sys; sys.path.insert(0, "tests/fs"); import model',
        *(f'model.do({op!r}, sys.argv[1])' if op[0] in OPERATIONS
          else f'# here: {op[0]}' for op in ops), ''])
