"""evil.py - a server on 127.0.0.1 that answers as no honest one does

It stands in front of an honest one and lets everything through until it is told to
misbehave; then whoever asks gets bytes of that kind, as fast as they are taken.
"""
import gzip
import os
import socket
import threading

CHUNK = b'%x\r\n' % (1 << 16) + b'x' * (1 << 16) + b'\r\n'
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'


def whole(body, extra=b''):
    return OK + extra + b'Content-Length: %d\r\n\r\n' % len(body) + body


def answer(result):
    """As of JSON-RPC; the id is that of nobody."""
    return whole(b'{"jsonrpc":"2.0","id":7,"result":' + result + b'}')


def endless(head, again):
    yield head
    while True:
        yield again


KINDS = {
    'noise': lambda _: [os.urandom(1 << 16)],
    'nothing': lambda _: [],
    'silence': lambda e: e.ended.wait() and [],
    'a byte now and then': lambda e: e.drip(OK + b'\r\n{'),
    'headers without end': lambda _: endless(OK, b'X-Header: ' + b'h' * 4000 +
                                             b'\r\n'),
    'a header without end': lambda _: endless(OK + b'X: ', b'h' * 65536),
    'a body without end': lambda _: endless(
        OK + b'Transfer-Encoding: chunked\r\n\r\n7\r\n{"a":"x\r\n', CHUNK),
    'an immense body': lambda _: endless(
        OK + b'Content-Length: %d\r\n\r\n' % (1 << 62), b'[' * 65536),
    'a body that is cut': lambda _: [OK + b'Content-Length: 5000\r\n\r\n{"a":'],
    'a bomb': lambda e: [whole(e.bomb, b'Content-Encoding: gzip\r\n')],
    'deep JSON': lambda _: [whole(b'[' * (1 << 20))],
    'wide JSON': lambda _: [whole(b'[' + b'{},' * (1 << 20) + b'{}]')],
    'the wrong JSON': lambda _: [whole(b'{"jsonrpc":"2.0","id":1,"result":{}}')],
    'an answer to nobody': lambda _: [answer(b'"0x1"')],
    'an immense number': lambda _: [answer(b'"0x' + b'f' * (1 << 20) + b'"')],
    'a circle': lambda _: [b'HTTP/1.1 302 Found\r\nLocation: /again\r\n'
                           b'Content-Length: 0\r\n\r\n'],
    'another place': lambda _: [b'HTTP/1.1 307 Go\r\nLocation: file:///etc/passwd'
                                b'\r\nContent-Length: 0\r\n\r\n'],
    'bad status': lambda _: [b'HTTP/1.1 999999 x\r\n\r\n'],
}


class Evil:
    def __init__(self, honest):
        host, port = honest.removeprefix('http://').split(':')
        self.honest = (host, int(port))
        self.kind, self.seen = None, 0
        self.ended = threading.Event()
        self.bomb = gzip.compress(bytes(64 << 20))
        self.open, self.lock = set(), threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.listener.getsockname()[1]

    def be(self, kind):
        """None: honest.  Connections of before are cut."""
        with self.lock:
            self.kind, self.seen = kind, 0
            self.ended.set()
            self.ended = threading.Event()
            for s in self.open:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.be(None)
        self.listener.close()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def drip(self, data):
        for n in range(len(data)):
            yield data[n:n + 1]
            if self.ended.wait(0.3):
                return

    def serve(self, s):
        with self.lock:
            self.open.add(s)
            kind = self.kind
        try:
            with s:
                if kind is None:
                    self.through(s)
                    return
                data = s.recv(1 << 16)
                while data and b'\r\n\r\n' not in data:
                    more = s.recv(1 << 16)
                    if not more:
                        return
                    data += more
                self.seen += bool(data)
                for part in KINDS[kind](self):
                    s.sendall(part)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(s)

    def through(self, s):
        with socket.create_connection(self.honest) as far:
            with self.lock:
                self.open.add(far)
            back = threading.Thread(target=self.copy, args=(far, s), daemon=True)
            back.start()
            self.copy(s, far)
            back.join()
            with self.lock:
                self.open.discard(far)

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(1 << 16):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (a, b):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
