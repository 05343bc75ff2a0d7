#!/usr/bin/env python3
"""curio_server.py - what a storage provider may answer, right and wrong

Prints its port and serves on 127.0.0.1 until its standard input ends.  The first
part of a path names the behaviour; what is uploaded is kept under its CID and
served with ranges.
"""
import http.server
import json
import sys
import threading
import time

UUID = '2b0dd6d7-8f6d-4b3c-a1e5-1f0a6d4cf003'
HASH = '0x' + 'ab' * 32
OTHER = '0x' + 'cd' * 32
PIECES = {}
WAITING = {}

STATES = {
    'waiting': {'txStatus': 'pending', 'ok': None, 'addMessageOk': None,
                'dataSetCreated': False, 'piecesAdded': False},
    'receipt': {'txStatus': 'confirmed', 'ok': True, 'addMessageOk': True,
                'dataSetCreated': False, 'piecesAdded': False},
    'done': {'txStatus': 'confirmed', 'ok': True, 'addMessageOk': True,
             'dataSetCreated': True, 'piecesAdded': True, 'dataSetId': 7,
             'confirmedPieceIds': [3, 4], 'confirmedTxHash': OTHER},
    'reverted': {'txStatus': 'confirmed', 'ok': False, 'addMessageOk': False},
    'failed': {'txStatus': 'failed', 'ok': None, 'addMessageOk': None},
    'rejected': {'txStatus': 'rejected', 'ok': None, 'addMessageOk': None},
    'reorged': {'txStatus': 'reorged', 'ok': None, 'addMessageOk': None},
    'numberless': {'dataSetCreated': True, 'piecesAdded': True,
                   'dataSetId': -1, 'confirmedPieceIds': ['3']},
    'many': {'dataSetCreated': True, 'piecesAdded': True, 'dataSetId': 7,
             'confirmedPieceIds': list(range(41))},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body=b'', **fields):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def split(self):
        mode, _, rest = self.path[1:].partition('/')
        return ('', self.path[1:]) if mode in ('pdp', 'piece') else (mode, rest)

    def piece(self, mode, cid):
        data = PIECES.get(cid)
        if data is None:
            return self.answer(404, b'piece not found')
        text = self.headers.get('Range')
        if mode == 'rangeless' or not text:
            return self.answer(200, data)
        first, last = (int(x) for x in text[len('bytes='):].split('-'))
        first += mode == 'shifted'
        last = min(last, len(data) - 1)
        return self.answer(206, data[first:last + 1],
                           Content_Range=f'bytes {first}-{last}/{len(data)}')

    def do_GET(self):
        mode, rest = self.split()
        if rest == 'pdp/ping':
            return self.answer({'alerts': 503}.get(mode, 200),
                               {'other': b'<html>', 'huge': b'x' * 9999,
                                'newline': b'curio-pdp\n'}.get(mode, b'curio-pdp'))
        if rest.startswith('piece/'):
            return self.piece(mode, rest.partition('/')[2])
        if rest.startswith('pdp/piece?pieceCid='):
            cid = rest.partition('=')[2]
            WAITING[cid] = WAITING.get(cid, 2) - 1
            if cid not in PIECES or WAITING[cid] > 0:
                return self.answer(404, b'piece not found [eid: 1]')
            return self.answer(200, {'pieceCid': cid[:-1] + 'x'
                                     if mode == 'liar' else cid})
        if mode == 'forgotten':
            return self.answer(500, b'Message status not found')
        if mode == 'gone':
            return self.answer(404, b'not found')
        if mode == 'slow':
            time.sleep(600)  # the caller has gone by then
        return self.answer(200, STATES.get(mode, [1]))

    do_HEAD = do_GET

    def do_POST(self):
        mode, rest = self.split()
        try:
            sent = json.loads(self.body())
        except ValueError:
            return self.answer(400, b'no JSON')
        if mode == 'busy':
            return self.answer(429, b'too many', Retry_After='17')
        if mode == 'broken':
            return self.answer(500, b'Failed to send transaction: vm error='
                                    b'[0xdae03403] [eid: 2]')
        if rest == 'pdp/piece':
            at = {'elsewhere': 'http://127.0.0.1:1/pdp/piece/upload/' + UUID,
                  'slashes': '//127.0.0.1/pdp/piece/upload/' + UUID,
                  'dots': '/pdp/piece/upload/../../x'}
            if mode == 'there':
                return self.answer(200, sent)
            Handler.cid, Handler.mode = sent['pieceCid'], mode
            return self.answer(201, b'', Location=at.get(
                mode, '/pdp/piece/upload/' + UUID))
        if rest == 'pdp/piece/pull':
            rows = [{'pieceCid': p['pieceCid'], 'status': s} for p, s in
                    zip(sent['pieces'], ('complete', 'failed', 'retrying'))]
            rows.reverse()
            return self.answer(200, {'status': 'complete',
                                     'pieces': rows[mode == 'short':]})
        if rest.endswith('/terminate'):
            return self.answer(409 if mode == 'again' else 202, b'')
        if mode == 'terminated':
            return self.answer(409, b'data set is terminated')
        ok = (sent['extraData'] == '0x0102ff' and
              len(sent.get('pieces', [])) == (0 if rest == 'pdp/data-sets' else 2)
              and ('recordKeeper' in sent) == ('/pieces' not in rest))
        if not ok:
            return self.answer(400, b'not what was meant to be sent')
        return self.answer(201, b'', Location='/' + rest + '/added/' +
                           (HASH if mode != 'hashless' else 'x'))

    def do_PUT(self):
        data = self.body()
        status = {'wrong': 400, 'large': 413, 'twice': 409}.get(Handler.mode, 204)
        if status == 204:
            PIECES[Handler.cid] = data
        self.answer(status)

    def do_DELETE(self):
        mode, rest = self.split()
        sent = json.loads(self.body())
        if mode == 'busy':
            return self.answer(429, b'35 wait already')
        ok = rest == 'pdp/data-sets/7/pieces/3' and sent['pieceIds'] == [3, 4]
        return self.answer(200 if ok else 400, {'txHash': HASH})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # who was cancelled has hung up


def main():
    server = Server(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


main()
