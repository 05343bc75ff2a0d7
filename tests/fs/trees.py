"""trees.py - everything that a tree is made of, to compare two of them"""
import errno
import hashlib
import os
import stat


def _content(path):
    h = hashlib.sha256()
    with open(path, 'rb') as f:
        for block in iter(lambda: f.read(1 << 20), b''):
            h.update(block)
    return h.hexdigest()


def _xattrs(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
            if not name.startswith('security.')}


def refuse(error):
    """For os.walk, which passes over what it cannot list."""
    raise error


def _leaves(path, size):
    """The MiB of a file that are not holes, as it says itself.  Zeros that
    were written may have become a hole."""
    found, at = set(), 0
    fd = os.open(path, os.O_RDONLY)
    try:
        while at < size:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError as e:
                if e.errno == errno.ENXIO:  # holes to the end
                    break
                raise
            end = os.lseek(fd, at, os.SEEK_HOLE)
            found.update(range(at >> 20, (end + (1 << 20) - 1) >> 20))
            at = end
    finally:
        os.close(fd)
    return sorted(found)


def picture(root, times=True, owners=True, everything=False):
    """Relative path -> what is there: kind, mode, owner, times, attributes and
    ACLs, content, target, device, and which names are one file.  Everything:
    also inode numbers, times of change, and which MiB are holes."""
    root = os.fsencode(root)
    found, links = {}, {}
    for where, dirs, files in os.walk(root, onerror=refuse):
        for name in [b'.'] * (where == root) + dirs + files:
            path = os.path.join(where, name)
            rel = os.path.relpath(path, root)
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            row = {'mode': oct(st.st_mode), 'xattrs': _xattrs(path)}
            if owners:
                row['owner'] = (st.st_uid, st.st_gid)
            if times:
                row['mtime_ns'] = st.st_mtime_ns
            if everything:
                row['ino'], row['nlink'] = st.st_ino, st.st_nlink
                row['ctime_ns'] = st.st_ctime_ns
            if kind == stat.S_IFREG:
                row['size'], row['sha256'] = st.st_size, _content(path)
                if everything:
                    row['leaves'] = _leaves(path, st.st_size)
            elif kind == stat.S_IFLNK:
                row['target'] = os.readlink(path)
            elif kind in (stat.S_IFBLK, stat.S_IFCHR):
                row['device'] = st.st_rdev
            if kind != stat.S_IFDIR and st.st_nlink > 1:
                links.setdefault(st.st_ino, []).append(rel)
            found[rel] = row
    for names in links.values():
        for rel in names:
            found[rel]['links'] = sorted(names)
    return found


def assert_same(want, got):
    """Both pictures are equal; says what differs, not everything."""
    wrong = []
    for rel in sorted(want.keys() | got.keys()):
        a, b = want.get(rel), got.get(rel)
        if a is None or b is None:
            wrong.append(f'{rel!r}: {"is new" if a is None else "is gone"}')
        elif a != b:
            wrong += [f'{rel!r}: {key} was {a.get(key)!r}, is {b.get(key)!r}'
                      for key in sorted(a.keys() | b.keys())
                      if a.get(key) != b.get(key)]
    assert not wrong, '\n'.join([f'{len(wrong)} differences:'] + wrong[:30])


def age_all(root):
    """Each entry gets a time of its own, years ago: rsync takes the times of
    two folders as equal when only the nanoseconds differ."""
    ns = 1_500_000_000_123_456_789
    for where, dirs, files in os.walk(os.fsencode(root), topdown=False):
        for name in files + dirs:
            ns += 1_000_000_007
            os.utime(os.path.join(where, name), ns=(ns, ns),
                     follow_symlinks=False)
    os.utime(root, ns=(ns, ns))


def make_of_everything(root, root_user):
    """A tree with one of each thing that a drive has to keep."""
    def at(*names):
        return os.path.join(root, *names)
    os.makedirs(at('dir', 'sub', 'empty'))
    os.mkdir(at('many'))
    for i in range(300):
        with open(at('many', f'{i:03}'), 'w', encoding='utf-8') as f:
            f.write(f'{i}\n' * (i + 1))
    for name, size in (('empty', 0), ('one', 1), ('block', 4096),
                       ('block+1', 4097), ('chunk', 1 << 20),
                       ('chunks', (5 << 20) + 321)):
        with open(at('dir', name), 'wb') as f:
            f.write(os.urandom(size))
    with open(at('dir', 'hole'), 'wb') as f:
        f.seek(16 << 20)
        f.write(b'after a hole')
    with open(os.fsencode(at('dir', 'name ')) + b'\xff\n', 'wb') as f:
        f.write(b'odd')
    os.link(at('dir', 'block'), at('dir', 'sub', 'same as block'))
    os.symlink('../dir/one', at('dir', 'link'))
    os.symlink('nowhere', at('dangling'))
    os.mkfifo(at('fifo'), 0o640)
    os.setxattr(at('dir', 'one'), 'user.colour', b'\x00green\xff')
    os.setxattr(at('dir'), 'user.on a dir', b'')
    os.chmod(at('dir', 'one'), 0o4751)
    os.chmod(at('dir', 'sub'), 0o2770)
    if root_user:
        os.chown(at('dir', 'chunk'), 1234, 5678)
        os.chown(at('dangling'), 42, 43, follow_symlinks=False)
        os.mknod(at('null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    age_all(root)
