"""devnet.py - a devnet of its own for a test (tests/devnet)

Epochs pass by themselves, quickly, unless epoch_ms is 0: then only advance() lets
time pass.  Amounts of the books are units of 10^-18.
"""
import json
import os
import shutil
import subprocess
import urllib.request

from drive import PATIENCE

UNIT = 10 ** 18
# Seconds: a week of epochs takes minutes where much else goes on.
WEEKS = 4 * PATIENCE
UP = os.path.join(os.path.dirname(__file__), '..', 'devnet', 'devnet.mjs')


def no_devnet():
    """Why there is none here, or None."""
    node = shutil.which('node') or shutil.which('nodejs')
    if not node:
        return 'this machine has no Node'
    version = subprocess.check_output([node, '--version'], text=True)
    if [int(n) for n in version.lstrip('v').split('.')[:2]] < [18, 19]:
        return 'this machine has no Node 18.19 or newer'
    if not os.path.isdir(os.path.join(os.path.dirname(UP), 'node_modules')):
        return 'this machine has not run npm ci in tests/devnet'
    return None


class Devnet:
    def __init__(self, epoch_ms=50, **options):
        args = [shutil.which('node') or 'nodejs', os.path.realpath(UP),
                '--json', '--until-eof', '--epoch-ms', str(epoch_ms)]
        for name, value in options.items():
            args += ['--' + name.replace('_', '-'), str(value)]
        self.proc = subprocess.Popen(args, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.at = json.loads(self.proc.stdout.readline())
        self.copies = 2

    def url(self, n_rpcs=2, copies=2):
        """Of a store; with so many endpoints."""
        rpcs = ''.join(f'rpc={rpc}&' for rpc in self.at['rpc'][:n_rpcs])
        return (f'filecoin://devnet?{rpcs}fwss={self.at["fwss"]}'
                f'&endorsements={self.at["endorsements"]}&copies={copies}')

    def admin(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f'{self.at["admin"]}/{path}', data,
                                    timeout=WEEKS) as answer:
            return json.load(answer)

    def fund(self, address, fil='10', usdfc='100'):
        self.admin('fund', {'address': address, 'fil': fil, 'usdfc': usdfc})

    def account(self, address):
        return self.admin(f'account/{address}')

    def ledger(self):
        return self.admin('ledger')

    def advance(self, epochs, **options):
        self.admin('advance', {'epochs': epochs, **options})

    def pace(self, epoch_ms):
        """From now on; 0: time stands still but for advance()."""
        self.admin('chain', {'epochMs': epoch_ms})

    def close(self):
        self.proc.stdin.close()
        self.proc.wait(PATIENCE)
        self.proc.stdout.close()
