"""test_wallet.py - the wallet as a user has it, on a devnet

Every command that moves money: what it says before, that it asks, that it is done
once whatever happens to it, and that it is refused past the limits of the user.
The devnet's own books are the judge.
"""
import contextlib
import json
import os
import pty
import re
import subprocess
import time

import pytest

from devnet import UNIT, Devnet
from drive import PATIENCE, binary, until
from netdrive import NetDrive

pytestmark = pytest.mark.devnet
FUNDS = 15  # exit code
EPOCH_MS = 50


@pytest.fixture(scope='module', name='net')
def _net():
    net = Devnet(epoch_ms=EPOCH_MS)
    yield net
    net.close()


@pytest.fixture(name='honest')
def _honest(net):
    yield net
    net.admin('reset', {})


@pytest.fixture(name='paid')
def _paid(net):
    made = []

    def make(**kw):
        made.append(NetDrive(net, **kw))
        return made[-1]
    yield make
    for drive in made:
        drive.close()


def test_init_says_what_to_send_and_where(paid):
    for _ in range(10):  # it waits for a network for ten seconds only
        d = paid()
        said = d.run('init', '--drive', d.name, *d.store_args(), '--passfile',
                     d.passfile, '--words-out', d.words, '--size', '1G',
                     '--months', '2').stdout
        if 'could not be asked' not in said:
            break
    address = re.search(r'0x[0-9a-fA-F]{40}', said)[0]
    assert re.search(r't410f[a-z2-7]{39}', said)
    assert re.search(r'Send it +[0-9.]+ USDFC, for 1.0 GiB at 2 providers', said)
    assert re.search(r'and +0\.[0-9]+ FIL, for gas', said)
    assert d.address() == address
    shown = d.shown()
    assert shown['address'] == address and shown['fil'] == shown['usdfc'] == '0'
    assert shown['session_until'] is None and not shown['allowed']
    assert 'waits for funds' in d.wallet('history').stdout


def test_init_needs_no_network(paid):
    d = paid()
    done = d.run('init', '--drive', d.name, '--store', 'filecoin://devnet?'
                 'rpc=http://127.0.0.1:9&fwss=' + d.net.at['fwss'],
                 '--passfile', d.passfile, '--words-out', d.words)
    assert 'wallet fund AMOUNT --budget AMOUNT' in done.stdout
    assert d.address().startswith('0x')
    assert d.run('config', '--drive', d.name, 'copies').stdout == '2\n'


def test_a_quote_needs_no_drive_and_adds_up(paid, tmp_path):
    d = paid()
    (tmp_path / 'a').write_bytes(b'x' * 3000)
    os.mkdir(tmp_path / 'b')
    (tmp_path / 'b' / 'c').write_bytes(b'y' * 2000)
    q = json.loads(d.run('quote', str(tmp_path), '--json',
                         *d.store_args()).stdout)
    assert q['bytes'] == 5000 and q['copies'] == 2
    assert q['fees'] == '0.0516' and q['commit'] == '0.0016'
    q = json.loads(d.run('quote', '1T', '--json', '--copies', '3', '--budget',
                         '11.52', *d.store_args()).stdout)
    assert q['copies'] == 3 and q['commit_seconds'] == 5400
    assert q['month'].startswith('7.57') or q['month'].startswith('7.58')
    assert 'costs' in d.run('quote', '10G', *d.store_args()).stdout
    assert d.run('quote', '10G', check=False).returncode == 11
    assert d.run('quote', '/not/there', *d.store_args(),
                 check=False).returncode == 2


def test_what_came_a_moment_ago_is_not_seen_yet_and_fund_says_so(paid, honest):
    d = paid().init()
    honest.pace(0)
    try:
        honest.fund(d.address())
        done = d.wallet('fund', '1', '--budget', '1', '--yes', check=False)
    finally:
        honest.pace(EPOCH_MS)
    assert done.returncode == FUNDS
    assert 'what came within the last minute is not seen yet' in done.stderr
    until(lambda: d.shown()['usdfc'] != '0', what='the funds are seen')
    d.wallet('fund', '1', '--budget', '1', '--yes')
    assert d.deposit() == UNIT


def test_fund_deposits_allows_and_logs_in(paid):
    d = paid().funded()
    said = d.wallet('fund', '5', '--budget', '1', '--yes').stdout
    assert 'deposit 5 USDFC' in said and 'spend 1 USDFC a month' in said
    account = d.net.account(d.address())
    assert account['deposit']['funds'] == str(5 * UNIT)
    assert account['usdfc'] == str(95 * UNIT)
    a = account['approval']
    rate = UNIT // 86400
    assert int(a['rateAllowance']) == rate
    assert int(a['lockupAllowance']) == rate * 86400 + 4 * UNIT // 10 \
        + 12 * UNIT // 10
    assert int(a['maxLockupPeriod']) == 86400
    shown = d.shown()
    assert shown['session_until'] > time.time() + 300 * 86400
    assert shown['budget'] == '1' and shown['deposit'] == '5'
    assert 'may create and add until' in d.wallet('session').stdout

    # Another one has a key that may sign, and sets the allowances only.
    before = account['nonce']
    d.wallet('fund', '0', '--budget', '2', '--yes')
    account = d.net.account(d.address())
    assert account['nonce'] == before + 1
    assert int(account['approval']['rateAllowance']) == 2 * UNIT // 86400
    assert account['deposit']['funds'] == str(5 * UNIT)


def test_nothing_is_sent_without_a_yes(paid):
    d = paid().funded()
    done = d.wallet('fund', '5', '--budget', '1', check=False)
    assert done.returncode == 2 and '--yes' in done.stderr
    assert 'deposit 5 USDFC' in done.stdout  # it was said
    master, slave = pty.openpty()
    asked = subprocess.Popen(
        [binary(), 'wallet', 'fund', '5', '--budget', '1', '--drive', d.name,
         '--passfile', d.passfile], env=d.env(), stdin=slave,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.write(master, b'n\n')
    out, err = asked.communicate(timeout=PATIENCE)
    assert 'Send? [y/N]' in out and 'nothing was sent' in err
    assert asked.returncode == 2
    assert d.net.account(d.address())['nonce'] == 0
    os.write(master, b'y\n')
    subprocess.run([binary(), 'wallet', 'fund', '5', '--budget', '1', '--drive',
                    d.name, '--passfile', d.passfile], env=d.env(), stdin=slave,
                   check=True, stdout=subprocess.DEVNULL)
    assert d.deposit() == 5 * UNIT
    os.close(master)
    os.close(slave)


def test_a_wrong_passphrase_moves_nothing(paid):
    d = paid().funded()
    wrong = os.path.join(d.dir, 'wrong')
    with open(wrong, 'w', encoding='utf-8') as f:
        f.write('not it\n')
    os.chmod(wrong, 0o600)
    for args in (['fund', '5', '--budget', '1'], ['withdraw', '1'],
                 ['session', 'renew'], ['export']):
        done = d.run('wallet', *args, '--yes', '--drive', d.name, '--passfile',
                     wrong, check=False)
        assert done.returncode == 12, done.stderr
        assert '0x' not in done.stdout
    assert d.net.account(d.address())['nonce'] == 0


def test_limits_of_the_user_are_kept(paid):
    d = paid().funded(usdfc='20')
    d.run('config', '--drive', d.name, 'budget', 'none')
    done = d.wallet('fund', '5', '--yes', check=False)
    assert done.returncode == FUNDS and '--budget' in done.stderr
    d.set(deposit_cap='6')
    done = d.wallet('fund', '6.5', '--budget', '1', '--yes', check=False)
    assert done.returncode == FUNDS and 'deposit_cap' in done.stderr
    d.wallet('fund', '4', '--budget', '1', '--yes')
    done = d.wallet('fund', '2.1', '--yes', check=False)
    assert done.returncode == FUNDS and 'deposit_cap' in done.stderr
    d.set(deposit_cap='none')
    done = d.wallet('fund', '17', '--yes', check=False)
    assert done.returncode == FUNDS and 'the wallet has 16 USDFC' in done.stderr
    done = d.wallet('fund', '1', '--yes', '--max-gas', '0.0000001', check=False)
    assert done.returncode == FUNDS and '--max-gas' in done.stderr
    for bad in ('1e3', '-1', '1,5', 'x', '1.0000000000000000001'):
        assert d.wallet('fund', '--yes', '--', bad,
                        check=False).returncode == 2
    assert d.deposit() == 4 * UNIT
    done = d.wallet('withdraw', '4.1', '--yes', check=False)
    assert done.returncode == FUNDS
    d.wallet('withdraw', 'all', '--yes')
    assert d.deposit() == 0


def test_no_gas_is_said_in_figures(paid):
    d = paid().funded(fil='0', usdfc='5')
    done = d.wallet('fund', '5', '--budget', '1', '--yes', check=False)
    assert done.returncode == FUNDS and 'has 0 FIL' in done.stderr


@contextlib.contextmanager
def under_way(d, *args):
    """A command whose transaction waits to be mined: for that no time passes."""
    d.net.pace(0)
    try:
        run = d.begin(*args)
        assert any('transaction' in line for line in run.stdout), 'nothing is sent'
        yield run
    finally:
        d.net.pace(EPOCH_MS)


def test_a_killed_command_pays_once(paid):
    """At any time, and each third one while it is on its way for certain."""
    d = paid().funded()
    d.wallet('fund', '1', '--budget', '1', '--yes')
    paid_in = UNIT
    for n in range(1, 13):
        amount = UNIT + n
        text = f'1.{n:018d}'
        if n % 3 == 0:
            with under_way(d, 'fund', text) as run:
                run.kill()
                run.communicate()
            said = d.wallet('fund', text, '--yes').stdout
            assert 'Begun before' in said
        else:
            run = d.begin('fund', text)
            time.sleep(n * 0.06)  # the time of the kill
            run.kill()
            said = run.communicate()[0]
            if 'Done: deposit' not in said:  # else it was told
                said = d.wallet('fund', text, '--yes').stdout
        paid_in += amount
        assert d.deposit() == paid_in, said
    ledger = d.net.ledger()
    assert ledger['balanced']


def test_a_command_that_ended_unheard_is_told_not_repeated(paid):
    d = paid().funded()
    d.wallet('fund', '1', '--budget', '1', '--yes')
    with open('/dev/full', 'w', encoding='ascii') as full:
        done = subprocess.run(
            [binary(), 'wallet', 'fund', '2', '--yes', '--drive', d.name,
             '--passfile', d.passfile], env=d.env(), stdout=full, check=False)
    assert done.returncode == 1
    assert d.deposit() == 3 * UNIT
    said = d.wallet('fund', '2', '--yes').stdout
    assert 'it is not made again' in said
    assert d.deposit() == 3 * UNIT
    d.wallet('fund', '2', '--yes')  # meant as one more
    assert d.deposit() == 5 * UNIT


def settled_unheard(d, *args):
    """A command whose transaction is done, and that hangs as it is to say so: nobody
    reads on."""
    log = os.path.join(d.home, d.name, 'tx')
    with under_way(d, *args) as run:
        file = os.path.join(log, max(os.listdir(log)))
        sent = os.stat(file).st_ino
        full = os.open(f'/proc/self/fd/{run.stdout.fileno()}',
                       os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(full, b'\n' * 4096)
        os.close(full)
    until(lambda: os.stat(file).st_ino != sent, what='its end is written down')
    return run


def down(net, is_down):
    for n in (0, 1):
        net.admin(f'rpc/{n}', {'down': is_down})


def test_what_is_done_is_no_error_though_the_chain_is_away_now(paid, honest):
    """Who hears of an error does it again, and pays twice."""
    d = paid().funded()
    d.wallet('fund', '1', '--budget', '1', '--yes')
    run = settled_unheard(d, 'fund', '2')
    down(honest, True)
    said = run.communicate()[0]
    assert run.returncode == 0 and 'Done: deposit 2 USDFC' in said
    assert 'It is done all the same' in said
    down(honest, False)
    assert d.deposit() == 3 * UNIT
    run = settled_unheard(d, 'withdraw', '1')
    run.kill()
    run.communicate()
    down(honest, True)
    said = d.wallet('withdraw', '1', '--yes').stdout
    assert 'it is not made again' in said
    down(honest, False)
    assert d.deposit() == 2 * UNIT


def test_what_could_not_be_sent_is_named_and_can_be_sent_again(paid, honest):
    d = paid().funded()
    asked = subprocess.Popen(
        [binary(), 'wallet', 'fund', '2', '--budget', '1', '--drive', d.name,
         '--passfile', d.passfile], env=d.env(), stdin=(tty := pty.openpty())[1],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ''
    while 'Send?' not in said:
        said += asked.stdout.read(1)
    down(honest, True)
    os.write(tty[0], b'y\n')
    err = asked.communicate(timeout=PATIENCE)[1]
    for fd in tty:
        os.close(fd)
    assert asked.returncode == 14 and 'not sent' in err
    down(honest, False)
    assert d.net.account(d.address())['nonce'] == 0
    d.wallet('fund', '2', '--budget', '1', '--yes')
    assert d.deposit() == 2 * UNIT


def test_two_commands_do_not_work_at_once(paid):
    d = paid().funded()
    with under_way(d, 'fund', '2', '--budget', '1') as run:
        done = d.wallet('withdraw', '1', '--yes', check=False)
        assert done.returncode == 13 and 'another process' in done.stderr
    run.communicate()
    assert run.returncode == 0 and d.deposit() == 2 * UNIT


def test_a_session_key_is_renewed_and_revoked(paid):
    d = paid().funded()
    d.wallet('fund', '1', '--budget', '1', '--yes')
    first = d.run('config', '--drive', d.name, 'signer').stdout
    d.wallet('session', 'renew', '--yes')
    assert d.run('config', '--drive', d.name, 'session').stdout == '2\n'
    second = d.run('config', '--drive', d.name, 'signer').stdout
    assert first != second
    assert d.shown()['session_until'] > time.time()
    d.wallet('session', 'revoke', '--yes')
    assert 'may sign nothing' in d.wallet('session').stdout
    text = d.wallet('history').stdout
    assert text.count('done:') == 5


def test_a_key_can_be_taken_out_and_another_put_in(paid):
    d = paid().funded()
    key = d.wallet('export').stdout.strip()
    assert re.fullmatch('0x[0-9a-f]{64}', key)
    own = d.address()
    other = os.path.join(d.dir, 'key')
    with open(other, 'w', encoding='utf-8') as f:
        f.write('0x' + '11' * 32 + '\n')
    os.chmod(other, 0o600)
    said = d.wallet('import', other).stdout
    address = d.address()
    assert address != own and f'--payer {address}' in said
    assert d.wallet('export').stdout.strip() == '0x' + '11' * 32
    d.give()
    d.wallet('fund', '3', '--budget', '1', '--yes')
    assert d.deposit() == 3 * UNIT
    with open(os.path.join(d.home, d.name, 'wallet-key'), 'rb') as f:
        assert b'\x11' * 8 not in f.read()
    d.wallet('import', '--words')
    assert d.address() == own and d.wallet('export').stdout.strip() == key


def test_who_was_recovered_with_a_payer_can_have_its_key_again(paid):
    d = paid().funded()
    key = '0x' + '22' * 32
    own = d.address()
    d.use_key(key)
    other = d.address()
    d.give()
    d.wallet('fund', '2', '--budget', '1', '--yes')
    # As `recover --payer` leaves it, or a kill in the middle of an import.
    os.unlink(os.path.join(d.home, d.name, 'wallet-key'))
    done = d.wallet('withdraw', '1', '--yes', check=False)
    assert done.returncode == 17 and 'wallet import' in done.stderr
    assert own in done.stderr and other in done.stderr
    d.use_key(key)
    d.wallet('withdraw', '1', '--yes')
    assert d.deposit() == UNIT


def test_an_endpoint_that_lies_is_noticed(paid, honest):
    d = paid().funded()
    address = d.address()
    honest.admin('rpc/1', {'balanceOf': {address: str(999 * UNIT)}})
    done = d.wallet(check=False)
    assert done.returncode == 17, done.stderr
    done = d.wallet('fund', '1', '--budget', '1', '--yes', check=False)
    assert done.returncode == 17
    honest.admin('reset', {})
    # It names a contract of its own to be paid into.
    for selector in ('0xbc471469', '0xd39b33ab', '0x9f6aa572'):
        honest.admin('rpc/0', {'callResult': {
            selector: '0x' + '00' * 12 + '66' * 20}})
        done = d.wallet('fund', '1', '--budget', '1', '--yes', check=False)
        assert done.returncode != 0
        honest.admin('reset', {})
    assert d.net.account(address)['nonce'] == 0
    d.wallet('fund', '1', '--budget', '1', '--yes')


def test_a_chain_that_is_away_is_said(paid, honest):
    d = paid().funded()
    for n in (0, 1):
        honest.admin(f'rpc/{n}', {'down': True})
    done = d.wallet(check=False)
    assert done.returncode == 14, done.stderr


def test_destroy_has_nothing_to_end_and_says_so(paid):
    d = paid().funded()
    done = d.run('destroy', '--drive', d.name, '--passfile', d.passfile, '--yes')
    assert 'No provider stores anything' in done.stdout


def test_a_drive_on_the_main_network_is_made_without_a_network(drives):
    d = drives()
    said = d.run('init', '--drive', 'main', '--store',
                 'filecoin://mainnet?copies=3&rpc=http://127.0.0.1:9',
                 '--passfile', d.passfile, '--words-out', d.words).stdout
    assert 'wallet on mainnet is 0x' in said and 'FIL for gas' in said
    assert d.run('config', '--drive', 'main', 'copies').stdout == '3\n'
