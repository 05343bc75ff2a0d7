"""netdrive.py - a drive that lives on a network, and pays for it

The devnet's own books are the judge of what was stored and paid: they are kept by
another program, in another language.
"""
import fcntl
import json
import os
import subprocess
import tempfile

from devnet import UNIT
from drive import PATIENCE, CommandFailed, Drive, binary, until


def units(text):
    """Of a decimal amount, exactly."""
    whole, _, part = text.partition('.')
    return int(whole) * UNIT + int((part + '0' * 18)[:18])


def amount(n):
    """The other way round."""
    return f'{n // UNIT}.{n % UNIT:018d}'


class NetDrive(Drive):
    def __init__(self, net, n_rpcs=2, n_copies=2, options=()):
        super().__init__(stores=0, options=options)
        self.net, self.n_rpcs, self.n_copies = net, n_rpcs, n_copies
        self.extra_env, self.log, self.daemon = {}, None, None

    def env(self):
        return {**super().env(), **self.extra_env}

    def store_args(self):
        return ['--store', self.net.url(self.n_rpcs, self.n_copies)]

    def mount_logged(self):
        """In the foreground, where its log is a file; umount() ends it."""
        self.log = os.path.join(self.dir, 'log')
        with open(self.log, 'ab') as log:
            self.daemon = subprocess.Popen(
                [binary(), 'mount', '-f', '--drive', self.name, '--passfile',
                 self.passfile, self.mnt], env=self.env(), cwd='/',
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.is_mounted() and self.status()['mounted'],
              what='it is mounted, and answers')
        return self

    def logged(self):
        with open(self.log, encoding='utf-8', errors='replace') as f:
            return f.read()

    def umount(self):
        if not self.daemon:
            return super().umount()
        self.run('umount', self.mnt)
        assert self.daemon.wait(PATIENCE) == 0, self.logged()
        self.daemon = None
        return self

    def close(self):
        super().close()
        if self.daemon:
            self.daemon.wait(PATIENCE)

    # money

    def wallet(self, *args, **kw):
        return self.run('wallet', *args, '--drive', self.name, '--passfile',
                        self.passfile, **kw)

    def shown(self):
        return json.loads(self.wallet('--json').stdout)

    def address(self):
        return self.run('config', '--drive', self.name, 'payer').stdout.strip()

    def give(self, **kw):
        """To its wallet, from nothing."""
        had = self.shown()['usdfc']
        self.net.fund(self.address(), **kw)
        # What endpoints agree on is a block or two old.
        until(lambda: self.shown()['usdfc'] != had, what='the funds are seen')
        return self

    def funded(self, **kw):
        return self.init().give(**kw)

    def paying(self, deposit='5', budget='1'):
        """It may store.  Nothing leaves it but by a sync."""
        self.funded()
        self.wallet('fund', deposit, '--budget', budget, '--yes')
        return self.set(onboard_idle='10m', onboard_age='10m')

    def deposit(self):
        return int(self.net.account(self.address())['deposit']['funds'])

    def begin(self, *args):
        """A command that is going to be killed."""
        return subprocess.Popen(
            [binary(), 'wallet', *args, '--yes', '--drive', self.name,
             '--passfile', self.passfile], env=self.env(), cwd='/',
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)

    def history(self):
        return json.loads(self.run('wallet', 'history', '--json', '--drive',
                                   self.name, '--passfile',
                                   self.passfile).stdout)

    def spent(self):
        """What providers were paid at once, as the drive has it, in units."""
        return sum(units(row['amount']) for row in self.history()
                   if row['what'] == 'provider')

    def use_key(self, key):
        """This key pays in place of the words'; 0x… in hex."""
        path = os.path.join(self.dir, 'key')
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  'w', encoding='ascii') as f:
            f.write(key + '\n')
        self.wallet('import', path)
        os.unlink(path)
        return self

    # what the books of the network say of it

    def sets(self):
        return self.net.account(self.address())['dataSets']

    def books(self):
        """The lines of the network's ledger that this drive's wallet caused."""
        address = self.address()
        return [e for e in self.net.ledger()['entries']
                if address in (e.get('payer'), e.get('from'), e.get('owner'))]

    def assert_paid_once(self, since_it_was_made=True):
        """No piece was added to a data set twice, no number was used twice, and
        what was paid at once is what the drive says that it has spent (which is
        not known to one that was recovered)."""
        lines = self.books()
        adds = [e for e in lines if e['kind'] == 'add']
        pieces = [(e['dataSetId'], p) for e in adds for p in e['pieces']]
        assert len(pieces) == len(set(pieces)), 'a piece was added twice'
        assert len({e['nonce'] for e in adds}) == len(adds)
        creates = [e for e in lines if e['kind'] == 'create']
        assert len({e['clientDataSetId'] for e in creates}) == len(creates)
        paid = sum(int(e['amount']) for e in lines if e['kind'] == 'payment')
        assert self.spent() == paid or not since_it_was_made
        assert self.net.ledger()['balanced']
        return lines

    def rates(self):
        """Rail -> what its settlements came to, in units."""
        sums = {}
        for e in self.books():
            if e['kind'] == 'settlement':
                assert int(e['amount']) == int(e['net']) + int(e['fee'])
                sums[e['railId']] = sums.get(e['railId'], 0) + int(e['amount'])
        return sums

    def assert_adds_up(self):
        """Every unit that was ever deposited is there, or was paid for something."""
        lines = self.assert_paid_once()
        total = {}
        for e in lines:
            total[e['kind']] = total.get(e['kind'], 0) + int(e.get('amount', 0))
        assert self.deposit() == total['deposit'] - total.get('withdraw', 0) \
            - total['payment'] - sum(self.rates().values())
        assert units(self.shown()['deposit']) == self.deposit()

    # where it is

    def provider_of(self, slot):
        """Number of the provider that holds the copies of a slot, from 1; 0: it is
        not known yet."""
        s = self.status()
        return s['stores'][slot].get('proof', {}).get('provider', 0) \
            if s['mounted'] else 0

    def shipped(self):
        """All copies are where they should be, and nothing is on its way."""
        s = self.status()
        held = {store.get('pieces', 0) for store in s['stores']} \
            if s['mounted'] else {0}
        return len(held) == 1 and 0 not in held and s['queued']['pieces'] == 0


class Killed(NetDrive):
    """Whose daemon can be made to die at a durable write of its ledger."""

    def __init__(self, net, **kw):
        super().__init__(net, **kw)
        self.counts = os.path.join(self.dir, 'counts')
        with open(self.counts, 'wb') as f:
            f.write(bytes(16))
        others = os.environ.get('LD_PRELOAD', '')
        self.extra_env = {'LD_PRELOAD': os.environ['FILDRIVE_KILLAT'] + ' ' +
                          others,
                          'KILLAT_FILE': self.counts,
                          'KILLAT_NAME': '/ledger.db-wal'}

    def kill_at(self, moment):
        """The moment-th from now on; 0: never.  How many were left until then."""
        with open(self.counts, 'r+b') as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            left = int.from_bytes(f.read(8), 'little')
            f.seek(0)
            f.write(moment.to_bytes(8, 'little'))
            f.flush()
        return left

    def moments(self):
        with open(self.counts, 'rb') as f:
            return int.from_bytes(f.read()[8:], 'little')

    def mount_or_die(self):
        self.run('mount', '--drive', self.name, '--passfile', self.passfile,
                 self.mnt, check=False)

    def outlived(self):
        """It can no longer be killed; true: nor was it, at the last moment."""
        return self.kill_at(0) > 0

    def ends_with(self, done):
        """Waits until `done` or until the daemon is dead; true: done."""
        def over():
            try:
                return not self.pids() or done()
            except CommandFailed:  # it died while it was asked
                return False
        until(over, what='an end, or its death')
        if self.outlived():
            return True
        until(lambda: not self.pids(), what='the daemon is gone')
        self.detach()
        return False

    def states(self):
        """What stands in the ledger of the drive, which is not mounted."""
        with tempfile.TemporaryDirectory(dir=self.dir) as top:
            copy = os.path.join(top, 'drive')
            subprocess.run(['cp', '-a', os.path.join(self.home, self.name),
                            copy], check=True)
            said = subprocess.run(
                [os.environ['FILDRIVE_LEDGER_STATES'], copy, self.words],
                check=True, stdout=subprocess.PIPE, text=True).stdout
        return set(said.splitlines())

    def dies_in(self, sync):
        """Waits for a sync to end.  True: the daemon has died, of it or right
        after it."""
        status = sync.wait()
        sync.stderr.close()
        if status == 0 and self.outlived():
            return False
        until(lambda: not self.pids(), what='the daemon is gone')
        self.detach()
        return True
