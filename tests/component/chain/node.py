#!/usr/bin/env python3
"""node.py - JSON-RPC nodes on 127.0.0.1 that behave, and misbehave, on demand

Prints its port and serves until its standard input ends.  The first part of the
path says how the node behaves, the rest are its arguments; each path is a node of
its own.  Methods:

  eth_chainId, eth_blockNumber, eth_getBalance, eth_call
  t_echo [x]          x
  t_revert, t_lotus   errors of two makes
  t_error [code, message, data]
  t_big [n]           "0x" and n bytes
  t_slow [ms]
  t_seen              [HTTP requests, largest array, eth_chainId calls] of this path
"""
import http.server
import json
import socket
import sys
import threading
import time

CHAIN = 314159
HEAD = 1000
REVERT = '0x5d946944'
LOTUS = ('failed to estimate gas: message execution failed (exit=[33], '
         'revert reason=[message failed with backtrace:\n00: f0123 (method '
         '3844450837) -- contract reverted at 75 (33)\n (RetCode=33)], vm '
         'error=[0x42d750dc000000000000000000000000000000000000000000000000'
         '000000000000aaaa000000000000000000000000000000000000000000000000'
         '000000000000bbbb])')


class Fault(Exception):
    """An error object."""


class Node:
    """What is remembered of one path."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = self.largest = self.probes = self.faults = 0

    def first(self, n):
        """True for the first n of the faults."""
        with self.lock:
            self.faults += 1
            return self.faults <= n


NODES = {}
NODES_LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def say(self, status, body, **fields):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', len(body))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_POST(self):
        with NODES_LOCK:
            self.node = NODES.setdefault(self.path, Node())
        self.how, *self.args = self.path.strip('/').split('/')
        body = self.rfile.read(int(self.headers['Content-Length']))
        ask = json.loads(body)
        calls = ask if isinstance(ask, list) else [ask]
        with self.node.lock:
            self.node.requests += 1
            self.node.largest = max(self.node.largest, len(calls))
            self.node.probes += sum(c['method'] == 'eth_chainId'
                                    for c in calls)
        self.probe = calls[0]['method'] == 'eth_chainId'
        fault = getattr(self, 'whole_' + self.how, None)
        if fault and fault(ask, calls):
            return
        items = [self.item(c) for c in calls]
        change = getattr(self, 'change_' + self.how, None)
        if change and not self.probe:
            items = change(items)
        self.say(200, items if isinstance(ask, list) or len(items) != 1
                 else items[0])

    def item(self, call):
        reply = {'jsonrpc': '2.0', 'id': call['id']}
        try:
            reply['result'] = getattr(self, call['method'], self.unknown)(
                *call['params'])
        except Fault as e:
            reply['error'] = e.args[0]
        return reply

    # --- methods ---

    def unknown(self, *args):
        raise Fault({'code': -32601, 'message': 'method not found'})

    def eth_chainId(self):
        return hex(int(self.args[0]) if self.how == 'chain' else CHAIN)

    def eth_blockNumber(self):
        return hex(HEAD + (int(self.args[0]) if self.how in ('lag', 'nulls')
                           else 0))

    def eth_getBalance(self, who, block):
        if self.how == 'nulls' and int(block, 16) > HEAD - 4:
            raise Fault({'code': 1, 'message':
                         'requested epoch was a null round (999)'})
        if self.how == 'lie':
            return '0xffffffff'
        if self.how == 'reorg' and self.node.first(1):
            return '0xeeee'
        # A balance that changes with every block, as honest nodes see it.
        return ('0x%X' if self.how == 'upper' else '0x%x') % (
            0xabc000 + int(block, 16))

    def eth_call(self, call, block):
        """The getters of FWSS: its version is the path's argument."""
        how = self.args[0]
        if how == 'none':
            raise Fault({'code': 3, 'message': 'execution reverted',
                         'data': REVERT})
        if call['data'] == '0xffa1ad74':
            text = how if how[0] in '012v' else '1.3.1'
            if how == 'long':
                text = '1.3.' + '1' * 60
            raw = text.encode()
            raw += b'\0' * (-len(raw) % 32)
            return f'0x{32:064x}{len(text):064x}' + raw.hex()
        if how == 'zero':
            return '0x' + '0' * 64
        return '0x' + call['data'][2:].rjust(62 if how == 'short' else 64, '0')

    def t_echo(self, x):
        return x

    def t_revert(self):
        raise Fault({'code': 3, 'message': 'execution reverted',
                     'data': REVERT})

    def t_lotus(self):
        raise Fault({'code': 11, 'message': LOTUS})

    def t_error(self, code, message, data=None):
        raise Fault({'code': code, 'message': message, 'data': data})

    def t_here(self):
        """Some nodes cannot."""
        if self.how == 'old':
            raise Fault({'code': 1, 'message': 'refusing explicit call due '
                         'to state fork at epoch'})
        return self.how

    def t_big(self, n):
        return '0x' + '00' * n

    def t_slow(self, ms):
        time.sleep(ms / 1000)
        return '0x1'

    def t_seen(self):
        return [self.node.requests, self.node.largest, self.node.probes]

    # --- faults of a whole answer: True if it was answered ---

    def whole_down(self, ask, calls):
        if len(self.args) > 1 and self.probe:
            return False
        if self.args and not self.node.first(int(self.args[0])):
            return False
        self.say(503, b'<html>no</html>')
        return True

    def whole_busy(self, ask, calls):
        if self.probe or not self.node.first(int(self.args[0])):
            return False
        self.say(429, b'slow down', Retry_After=self.args[1])
        return True

    def whole_busyrpc(self, ask, calls):
        if self.probe or not self.node.first(int(self.args[0])):
            return False
        self.say(200, {'jsonrpc': '2.0', 'id': calls[0]['id'] if
                       isinstance(ask, dict) else None,
                       'error': {'code': -32005, 'message': 'rate limit'}})
        return True

    def whole_batches(self, ask, calls):
        """At most n calls in an array; refused in one of three ways."""
        if len(calls) <= int(self.args[0]):
            return False
        if self.args[1] == 'http':
            self.say(400, b'no')
        elif self.args[1] == '500':
            self.say(500, {'jsonrpc': '2.0', 'id': None, 'error':
                           {'code': -32600, 'message': 'too many'}})
        else:
            self.say(200, {'jsonrpc': '2.0', 'id': None, 'error':
                           {'code': -32600, 'message': 'Batch too large'}})
        return True

    def whole_status(self, ask, calls):
        """An error object under an HTTP status."""
        if self.probe:
            return False
        self.say(int(self.args[0]), {
            'jsonrpc': '2.0', 'id': calls[0]['id'],
            'error': {'code': 3, 'message': 'execution reverted',
                      'data': REVERT}})
        return True

    def whole_html(self, ask, calls):
        self.say(200, b'<html>please log in</html>')
        return True

    def whole_deep(self, ask, calls):
        if self.probe:
            return False
        self.say(200, b'{"jsonrpc":"2.0","id":%d,"result":' % calls[0]['id'] +
                 b'[' * 5000 + b']' * 5000 + b'}')
        return True

    def whole_endless(self, ask, calls):
        if self.probe:
            return False
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        try:
            while True:
                self.wfile.write(b'10000\r\n' + b' ' * 65536 + b'\r\n')
        except OSError:
            self.close_connection = True
        return True

    def whole_cut(self, ask, calls):
        if self.probe:
            return False
        self.hang_up()
        return True

    def whole_hang(self, ask, calls):
        if self.probe and self.args:
            return False
        time.sleep(3)
        self.hang_up()
        return True

    def whole_delay(self, ask, calls):
        time.sleep(int(self.args[0]) / 1000)
        return False

    # --- faults of items ---

    def change_order(self, items):
        return items[::-1]

    def change_wrongid(self, items):
        items[0]['id'] += 1000
        return items

    def change_twice(self, items):
        return [items[0], items[0]]

    def change_missing(self, items):
        return items[:-1]

    def change_neither(self, items):
        return [{'jsonrpc': '2.0', 'id': i['id']} for i in items]

    def change_both(self, items):
        items[0]['error'] = {'code': 1, 'message': 'x'}
        return items

    def change_textid(self, items):
        items[0]['id'] = str(items[0]['id'])
        return items

    def change_null(self, items):
        return [{'jsonrpc': '2.0', 'id': i['id'], 'result': None}
                for i in items]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    server = Server(('127.0.0.1', 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == '__main__':
    main()
