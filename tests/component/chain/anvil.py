#!/usr/bin/env python3
"""anvil.py - a real EVM node for one test: prints its port, ends with standard input

What it prints is the port of a proxy in front of it, which changes answers as the
path says:

  /        nothing
  /blind   it never has a receipt
  /forge   it has one for everything, ten blocks deep
  /ahead   its account has sent 1000 transactions more

usage: anvil.py [ARGUMENT…]   handed to anvil
       anvil.py --where        says where it is; fails if it is nowhere

FILDRIVE_ANVIL names the program, else it is the one that npm brought to
tests/anvil.
"""
import glob
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BROUGHT = os.path.join(HERE, '../../anvil/node_modules/@foundry-rs',
                       'anvil-*/bin/anvil')


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536
    disable_nagle_algorithm = True
    node = None

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        with urllib.request.urlopen(urllib.request.Request(
                self.node, body, {'Content-Type': 'application/json'})) as r:
            reply = json.load(r)
        change = getattr(self, 'as_' + self.path.strip('/'), None)
        if change:
            many = isinstance(reply, list)
            calls = {c['id']: c for c in (json.loads(body) if many else
                                          [json.loads(body)])}
            for item in reply if many else [reply]:
                change(calls[item['id']], item)
        text = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header('Content-Length', len(text))
        self.end_headers()
        self.wfile.write(text)

    def as_blind(self, call, item):
        if call['method'] == 'eth_getTransactionReceipt':
            item['result'] = None

    def as_forge(self, call, item):
        if call['method'] == 'eth_getTransactionReceipt':
            item['result'] = {
                'transactionHash': call['params'][0],
                'blockHash': '0x' + '12' * 32, 'blockNumber': '0x1',
                'status': '0x1', 'gasUsed': '0x5208',
                'effectiveGasPrice': '0x1'}

    def as_ahead(self, call, item):
        if call['method'] == 'eth_getTransactionCount':
            item['result'] = hex(int(item['result'], 16) + 1000)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    found = [os.environ.get('FILDRIVE_ANVIL') or '', *glob.glob(BROUGHT)]
    program = next((p for p in found if os.access(p, os.X_OK)), None)
    if not program:
        sys.exit('anvil.py: no anvil')
    if sys.argv[1:] == ['--where']:
        print(program)
        return
    anvil = subprocess.Popen(
        [program, '--host', '127.0.0.1', '--port', '0', '--chain-id',
         '314159', '--accounts', '1', *sys.argv[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in anvil.stdout:
        m = re.match(r'Listening on 127\.0\.0\.1:(\d+)', line)
        if m:
            Proxy.node = 'http://127.0.0.1:' + m.group(1)
            break
    threading.Thread(target=anvil.stdout.read, daemon=True).start()
    server = Server(('127.0.0.1', 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    anvil.terminate()
    anvil.wait()


if __name__ == '__main__':
    main()
