"""Gateways and routers of all sorts, below one port: prints the port, ends with its input.

/good /lies /large /away /none   gateways: /{name}/ipfs/{cid}?format=raw
/json /lines /nobody /nonsense   routers: /{name}/routing/v1/providers/{cid}
/asked                           what was asked for since the last time, a line each
"""
import base64
import hashlib
import http.server
import json
import sys
import threading

BLOCK = bytes(range(256)) * 40
CID = 'b' + base64.b32encode(bytes([1, 0x55, 0x12, 0x20]) + hashlib.sha256(BLOCK).digest()) \
    .decode().lower().rstrip('=')
asked = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def give(self, status, body, kind='application/octet-stream'):
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def gateway(self, name, rest):
        if rest != f'ipfs/{CID}?format=raw' or \
           self.headers['Accept'] != 'application/vnd.ipld.raw':
            return self.give(404, b'not here')
        if name == 'good':
            return self.give(200, BLOCK)
        if name == 'lies':
            return self.give(200, b'x' + BLOCK[1:])
        if name == 'large':
            return self.give(200, bytes(3 << 20))
        if name == 'away':
            return self.give(502, b'bad gateway')
        return self.give(404, b'not here')

    def router(self, name):
        port = self.server.server_port
        good = {'Schema': 'peer', 'ID': 'x', 'Protocols': ['transport-ipfs-gateway-http'],
                'Addrs': ['/ip4/10.0.0.1/udp/4001/quic-v1',
                          f'/ip4/127.0.0.1/tcp/{port}/http/http-path/good']}
        lies = dict(good, Addrs=[f'/ip4/127.0.0.1/tcp/{port}/http/http-path/lies'])
        other = dict(good, Protocols=['transport-bitswap'],
                     Addrs=[f'/ip4/127.0.0.1/tcp/{port}/http/http-path/none'])
        if name == 'json':
            return self.give(200, json.dumps({'Providers': [other, lies, good]}).encode())
        if name == 'lines':
            return self.give(200, '\n'.join(map(json.dumps, [other, good])).encode() + b'\n',
                             'application/x-ndjson')
        if name == 'nonsense':
            return self.give(200, b'<html>welcome</html>')
        return self.give(404, b'{"Providers": null}')

    def do_GET(self):
        if self.path == '/asked':
            body = ''.join(a + '\n' for a in asked).encode()
            asked.clear()
            return self.give(200, body)
        _, name, rest = self.path.split('/', 2)
        asked.append(name)
        if rest.startswith('routing/v1/providers/' + CID):
            return self.router(name)
        return self.gateway(name, rest)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # who hangs up in the middle is part of the test


server = Server(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
