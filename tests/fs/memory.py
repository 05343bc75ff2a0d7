"""memory.py - the memory of a daemon, as root and a core file have it

An image is what smaps(5) lists, read through /proc/PID/mem: root may, whatever the
process says of itself.  A core file has of it what is not marked DONTDUMP.

The keys of a drive are derived here once more from its words, as docs/format.md
section 7 has them, so that they can be looked for.
"""
import array
import hashlib
import os
import re

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
USES = 'commit', 'trailer', 'head', 'head seal', 'local db', 'local segment'
PAGE = os.sysconf('SC_PAGE_SIZE')


def derive(parent, label):
    return hashlib.blake2b(b'fildrive ' + label.encode(), key=parent,
                           digest_size=32).digest()


def entropy_of(words):
    with open(os.path.join(TOP, 'crypto', 'words_english.c'),
              encoding='ascii') as f:
        known = re.findall(r'"([a-z]+)"', f.read())
    assert len(known) == 2048
    bits = ''.join(f'{known.index(w):011b}' for w in words)
    entropy = int(bits[:256], 2).to_bytes(32, 'big')
    assert hashlib.sha256(entropy).digest()[0] == int(bits[256:], 2)
    return entropy


def keys_of(entropy):
    """name -> 32 bytes, all that the daemon of the drive may have."""
    drive = derive(entropy, 'drive')
    return {'drive': drive, **{use: derive(drive, use) for use in USES}}


class Mapping:
    def __init__(self, line):
        where, self.perms, *_ = line.split()
        self.start, self.end = (int(x, 16) for x in where.split('-'))
        self.name = line.split(None, 5)[5].strip() if line.count(' ') > 5 else ''
        self.flags = set()

    @property
    def in_core(self):
        return 'dd' not in self.flags

    @property
    def locked(self):
        return 'lo' in self.flags

    def __repr__(self):
        return f'{self.start:x}-{self.end:x} {self.perms} ' \
            f'{" ".join(sorted(self.flags))} {self.name}'


def mappings(pid):
    found = []
    with open(f'/proc/{pid}/smaps', encoding='utf-8',
              errors='replace') as f:
        for line in f:
            if re.match(r'[0-9a-f]+-[0-9a-f]+ ', line):
                found.append(Mapping(line))
            elif line.startswith('VmFlags:'):
                found[-1].flags = set(line.split()[1:])
    return found


def present(pagemap, m):
    """The parts of a mapping that are in memory or swapped out: (from, to)."""
    pagemap.seek(m.start // PAGE * 8)
    entries = array.array('Q', pagemap.read((m.end - m.start) // PAGE * 8))
    runs, begin = [], None
    for i, entry in enumerate(entries):
        if entry >> 62 and begin is None:
            begin = i
        elif not entry >> 62 and begin is not None:
            runs.append((begin, i))
            begin = None
    if begin is not None:
        runs.append((begin, len(entries)))
    return [(m.start + a * PAGE, m.start + b * PAGE) for a, b in runs]


def where(pid, wanted):
    """name -> the mappings that hold these bytes, of {name: bytes}."""
    found = {name: [] for name in wanted}
    with open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem, \
            open(f'/proc/{pid}/pagemap', 'rb', buffering=0) as pagemap:
        for m in mappings(pid):
            if m.name.startswith('[v'):  # vvar, vsyscall: the kernel's
                continue
            for start, end in present(pagemap, m):
                try:
                    mem.seek(start)
                    data = mem.read(end - start)
                except OSError:  # given back meanwhile, or a guard page
                    continue
                for name, text in wanted.items():
                    if text in data and m not in found[name]:
                        found[name].append(m)
    return found
