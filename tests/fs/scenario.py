"""scenario.py - what has to work on every network, with real money or not

A wallet of one's own pays; a tree with one of everything is kept by two providers;
the machine is lost, and the words and the wallet's address bring the tree back on
another one, which goes on at the same data sets; in the end they are destroyed, and
what is left of the deposit goes back.
"""
import os

from drive import until
from syscalls import write
from trees import assert_same, make_of_everything, picture


def kept(d):
    """Both providers hold all of it, says the drive."""
    until(lambda: d.status()['queued']['pieces'] == 0, d.patience, 'all is sent')
    return d


def sets_of(d):
    """Numbers of the data sets, once it is known which they are."""
    found = []

    def known():
        found[:] = sorted(s.get('proof', {}).get('data_set') or 0
                          for s in d.status()['stores'])
        return all(found)
    until(known, d.patience, 'the data sets are known')
    return found


def lost_and_found(d, key, may_give=lambda: None):
    """`d` is not made yet; `key` is the wallet's, and has the funds once
    may_give() has returned."""
    d.init().use_key(key)
    payer = d.address()
    may_give()
    d.wallet('fund', '1', '--budget', '1', '--yes')
    try:
        d.set(proof_watch='10s').mount()
        make_of_everything(d.mnt, os.geteuid() == 0)
        want = picture(d.mnt)
        kept(d.sync())
        sets = sets_of(d)

        d.lose()
        d.run('recover', '--drive', d.name, *d.store_args(), '--words-file',
              d.words, '--passfile', d.passfile, '--payer', payer)
        d.use_key(key).set(proof_watch='10s').mount()
        assert_same(want, picture(d.mnt))
        write(os.path.join(d.mnt, 'after'), os.urandom(300_000))
        want = picture(d.mnt)
        kept(d.sync())
        assert sets_of(d) == sets, 'it goes on at the same data sets'
        assert_same(want, picture(d.mnt))
        d.umount()
    finally:  # whatever happened, nothing is to be paid any more
        if d.is_mounted():
            d.kill9()
        if os.path.isdir(os.path.join(d.home, d.name)):
            d.use_key(key)
            d.run('destroy', '--drive', d.name, '--passfile', d.passfile, '--yes')
            d.wallet('withdraw', 'all', '--yes')
