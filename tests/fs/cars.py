"""cars.py - what anybody sees who holds a store's pieces: CAR sections

Reads CARv1 without any of our code: docs/format.md and the CAR specification
are all it knows.
"""
import collections
import hashlib
import os

Block = collections.namedtuple('Block', 'digest offset size')


def varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        n |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return n, at


def blocks(path):
    """Every section of a piece; each one's digest is checked.  One that is not
    CIDv1, raw, sha2-256 fails: nothing else may be seen from outside."""
    with open(path, 'rb') as f:
        data = f.read()
    n, at = varint(data, 0)
    at += n
    found = []
    while at < len(data):
        n, at = varint(data, at)
        cid, block = data[at:at + 36], data[at + 36:at + n]
        assert cid[:4] == b'\x01\x55\x12\x20', cid[:4].hex()
        assert hashlib.sha256(block).digest() == cid[4:], (path, at)
        found.append(Block(cid[4:], at + 36, n - 36))
        at += n
    assert at == len(data)
    return found


def pieces(store):
    """Paths of the pieces that a dir: store holds."""
    return sorted(os.path.join(store, name) for name in os.listdir(store)
                  if name.endswith('.car'))


def total(store):
    return sum(os.path.getsize(path) for path in pieces(store))


def heads(store):
    """Names of what it has in its register; none before the first."""
    try:
        return set(os.listdir(os.path.join(store, 'heads')))
    except FileNotFoundError:
        return set()
