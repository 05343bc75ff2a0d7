#!/usr/bin/env python3
"""server.py - an HTTP server on 127.0.0.1 that behaves, and misbehaves, on demand

Prints its port and serves until its standard input ends.  Bodies are the bytes
of pattern(): byte i is (131 i + i / 256) mod 256.
"""
import http.server
import os
import socket
import struct
import sys
import threading
import time

TABLE = bytes((i * 131 + (i >> 8)) & 255 for i in range(65536))


def pattern(first, n):
    start = first % 65536
    return (TABLE * ((start + n) // 65536 + 1))[start:start + n]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    lock = threading.Lock()
    now = peak = 0
    was_reset = threading.Event()
    patience = 60  # seconds

    def log_message(self, *args):
        pass

    def answer(self, status, body=b'', length=None, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', len(body) if length is None
                         else length)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def ranged(self, n, shift=0):
        text = self.headers.get('Range')
        if not text:
            return self.answer(200, pattern(0, n))
        first, last = (int(x) for x in text[len('bytes='):].split('-'))
        if first >= n:
            return self.answer(416, b'', Content_Range=f'bytes */{n}')
        first, last = first + shift, min(last, n - 1) + shift
        return self.answer(206, pattern(first, last - first + 1),
                           Content_Range=f'bytes {first}-{last}/{n + shift}')

    def do_GET(self):
        verb, *rest = self.path.split('/')[1:]
        getattr(self, 'get_' + verb)(*rest)

    do_HEAD = do_GET

    def get_bytes(self, n):
        self.ranged(int(n))

    def get_norange(self, n):
        self.answer(200, pattern(0, int(n)))

    def get_lie(self, n):
        self.ranged(int(n), shift=1)

    def get_unasked(self):
        self.answer(206, b'abc', Content_Range='bytes 0-2/9')

    def get_short(self, n):
        self.answer(200, pattern(0, int(n) // 2), length=int(n))
        self.hang_up()

    def get_chunked(self, n):
        self.send_response(206)
        self.send_header('Transfer-Encoding', 'chunked')
        self.send_header('Content-Range', f'bytes 0-99/{n}')
        self.end_headers()
        self.wfile.write(b'32\r\n' + pattern(0, 50) + b'\r\n0\r\n\r\n')

    def get_endless(self):
        self.send_response(200)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        try:
            while True:
                self.wfile.write(b'1000\r\n' + pattern(0, 4096) + b'\r\n')
        except OSError:
            self.close_connection = True

    def get_slow(self, ms):
        time.sleep(int(ms) / 1000)
        self.answer(200, b'late')

    def get_drip(self):
        self.answer(200, b'x', length=100)
        time.sleep(600)

    def get_status(self, code, after=None, *_):
        fields = {'Retry_After': after} if after else {}
        self.answer(int(code), b'the machine\r\nis on fire', **fields)

    def get_essay(self):
        self.answer(503, b'a' * 500000)

    def get_redirect(self):
        self.answer(302, b'', Location='http://127.0.0.1:1/elsewhere')

    def get_header(self, n):
        self.answer(200, b'', X_Long='y' * int(n))

    def get_headers(self, n):
        self.answer(200, b'', **{f'X_{i}': 'z' * 100 for i in range(int(n))})

    def get_twice(self):
        self.send_response(200)
        self.send_header('Content-Length', '3')
        self.send_header('Content-Length', '4')
        self.end_headers()
        self.wfile.write(b'abcd')

    def get_gzip(self):
        self.answer(200, b'abc', Content_Encoding='gzip')

    def get_asks(self):
        self.answer(200, '\n'.join(
            f'{k}: {v}' for k, v in self.headers.items()).encode())

    def get_garbage(self):
        self.wfile.write(b'\x00\x01 this is no answer\r\n\r\n')
        self.hang_up()

    def get_busy(self, ms):
        with Handler.lock:
            Handler.now += 1
            Handler.peak = max(Handler.peak, Handler.now)
        # The first waits for a second one beside it, on a slow machine too.
        end = time.monotonic() + Handler.patience
        while Handler.peak < 2 and time.monotonic() < end:
            time.sleep(0.005)
        if Handler.peak < 2:
            Handler.patience = 0
        time.sleep(int(ms) / 1000)
        with Handler.lock:
            Handler.now -= 1
        self.answer(200, b'ok')

    def get_peak(self):
        self.answer(200, str(Handler.peak).encode())

    def get_drops(self):
        """Answers.  Whatever comes next on the connection is not read: a reset,
        as of a server that has just decided to end an idle one."""
        self.answer(200, b'kept')
        self.connection.recv(1, socket.MSG_PEEK)
        os.close(self.connection.detach())
        self.close_connection = True

    def reset(self):
        """As of a server that was killed with bytes to read."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack('ii', 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True
        Handler.was_reset.set()

    def get_gone(self):
        """When a connection was reset."""
        Handler.was_reset.wait()
        self.answer(200)

    def get_stop(self):
        os._exit(0)

    def do_POST(self):
        n = int(self.headers['Content-Length'])
        self.answer(200, (self.headers.get('Content-Type', '-') + ' ').encode() +
                    self.rfile.read(n))

    def do_PUT(self):
        n = int(self.headers['Content-Length'])
        if self.path == '/put/refuse':
            self.close_connection = True
            self.answer(413, b'too much')
            self.wfile.flush()
            # As servers do: what is under way must not meet a closed socket,
            # whose reset would overtake the answer.
            self.connection.shutdown(socket.SHUT_WR)
            while self.connection.recv(65536):
                pass
            return None
        if self.path == '/put/cut':
            self.rfile.read(n // 2)
            return self.hang_up()
        if self.path == '/put/reset':
            return self.reset()
        if self.path == '/put/stall':
            return time.sleep(600)
        skip, body = int(self.path.split('/')[2]), self.rfile.read(n)
        good = body == pattern(skip, n)
        return self.answer(201, f'{len(body)} {good}'.encode())


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *args):
        pass


def main():
    server = Server(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == '__main__':
    main()
