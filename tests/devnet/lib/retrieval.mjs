/*
 * retrieval.mjs - /piece and /ipfs of a provider, and delegated routing
 *
 * Section 3.8 of the reference: what Go's ServeContent makes of ranges and
 * conditions, and a compression that spoils both for those who accept it.
 */
import { createGzip } from 'node:zlib';
import { Readable } from 'node:stream';

import { CidError, base58, parseCid, pieceKey } from './cid.mjs';
import { car } from './ipfs.mjs';
import { json, text } from './http.mjs';

const LAST_MODIFIED = 'Thu, 01 Jan 1970 00:00:00 GMT';
const RANGES_MAX = 64;
const SNIFF = 512;

/** Ranges of a header as [start, end); null: ignore it, []: none fits. */
export function parseRanges(header, size) {
	if (header === undefined)
		return null;
	if (!header.startsWith('bytes='))
		return [];
	const out = [];
	let misses = 0;
	for (const part of header.slice(6).split(',')) {
		const m = /^\s*(\d*)-(\d*)\s*$/.exec(part);
		if (m === null || (m[1] === '' && m[2] === ''))
			return [];
		let [start, end] = [Number(m[1]), Number(m[2]) + 1];
		if (m[1] === '') {
			start = Math.max(0, size - Number(m[2]));
			end = size;
		} else if (m[2] === '' || end > size) {
			end = size;
		}
		if (m[1] !== '' && m[2] !== '' && Number(m[2]) < Number(m[1]))
			return [];
		if (start >= size || start >= end)
			misses++;
		else
			out.push([start, end]);
	}
	if (out.length === 0 && misses > 0)
		return [];
	/* More than the whole thing is an attack, or stupid: send the whole. */
	const total = out.reduce((n, [a, b]) => n + b - a, 0);
	return out.length > RANGES_MAX || total > size ? null : out;
}

const sniff = (head) => {
	for (const b of head) {
		if (b <= 0x08 || b === 0x0b || (b >= 0x0e && b <= 0x1a) ||
			(b >= 0x1c && b <= 0x1f))
			return 'application/octet-stream';
	}
	return 'text/plain; charset=utf-8';
};

async function* multipart(provider, piece, ranges, type, boundary) {
	for (const [start, end] of ranges) {
		yield Buffer.from(`\r\n--${boundary}\r\nContent-Range: bytes ${start}-` +
			`${end - 1}/${piece.size}\r\nContent-Type: ${type}\r\n\r\n`);
		yield* provider.bytes(piece, start, end);
	}
	yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

const compressed = (req) =>
	/\bgzip\b/.test(req.headers['accept-encoding'] ?? '');

/** The reply, squeezed if the client lets us: then its length is unknown. */
const maybeGzip = (req, reply) => {
	if (!compressed(req) || req.method === 'HEAD' || reply.status >= 300)
		return reply;
	const { 'Content-Length': _, ...headers } = reply.headers;
	const body = typeof reply.body === 'string' || Buffer.isBuffer(reply.body) ?
		[Buffer.from(reply.body)] : reply.body;
	return { ...reply, headers: { ...headers, 'Content-Encoding': 'gzip' },
		body: Readable.from(body).pipe(createGzip()) };
};

async function servePiece(provider, req, cidText) {
	let v1;
	try {
		v1 = pieceKey(cidText);
	} catch (e) {
		if (!(e instanceof CidError))
			throw e;
		return { status: 400, headers: {}, body: '' };
	}
	const piece = provider.piece(v1);
	if (piece === undefined)
		return { status: 404, headers: {}, body: '' };

	const type = sniff(await provider.read(piece, 0,
		Math.min(SNIFF, piece.size)));
	const etag = `"${cidText}"`;
	const headers = { Vary: 'Accept-Encoding', ETag: etag,
		'Cache-Control': 'public, max-age=29030400, immutable',
		'Content-Type': type, 'Last-Modified': LAST_MODIFIED,
		'Accept-Ranges': 'bytes' };
	if (type.startsWith('text/plain')) {
		headers['Content-Disposition'] = `inline; filename="${cidText}.asc"; ` +
			`filename*=UTF-8''${cidText}.asc`;
	}
	const match = req.headers['if-none-match'];
	if (match !== undefined && (match.trim() === '*' ||
		match.split(',').some((m) => m.trim().replace(/^W\//, '') === etag)))
		return { status: 304, headers, body: '' };

	const only = req.headers['if-range'];
	const ranges = only !== undefined && only !== etag ? null :
		parseRanges(req.headers.range, piece.size);
	if (ranges?.length === 0) {
		return text(416, 'invalid range: failed to overlap',
			{ 'Content-Range': `bytes */${piece.size}` });
	}
	if (ranges?.length > 1) {
		const boundary = 'fildrive-devnet-boundary';
		return { status: 206, headers: { ...headers, 'Content-Type':
			`multipart/byteranges; boundary=${boundary}` },
		body: multipart(provider, piece, ranges, type, boundary) };
	}
	const [start, end] = ranges?.[0] ?? [0, piece.size];
	if (ranges !== null) {
		headers['Content-Range'] =
			`bytes ${start}-${end - 1}/${piece.size}`;
	}
	return { status: ranges === null ? 200 : 206,
		headers: { ...headers, 'Content-Length': String(end - start) },
		body: provider.bytes(piece, start, end) };
}

const wants = (req) => {
	const format = req.query.get('format');
	if (format !== null)
		return format;
	const accept = req.headers.accept ?? '';
	if (accept.includes('application/vnd.ipld.car'))
		return 'car';
	return accept.includes('application/vnd.ipld.raw') ? 'raw' : undefined;
};

async function block(provider, cid) {
	const place = provider.ipfs.place(cid);
	const piece = place && provider.piece(place.v1);
	if (piece === undefined)
		return undefined;
	const parts = [];
	for await (const chunk of provider.bytes(piece, place.offset,
		place.offset + place.length))
		parts.push(chunk);
	return Buffer.concat(parts);
}

async function serveIpfs(provider, req, path) {
	const [cidText, ...rest] = path.split('/').filter((p) => p !== '');
	let cid;
	try {
		cid = parseCid(decodeURIComponent(cidText ?? ''));
	} catch (e) {
		if (!(e instanceof CidError || e instanceof URIError))
			throw e;
		return text(400, `failed to parse root CID: ${e.message}`);
	}
	const format = wants(req);
	if (format === undefined)
		return text(400, 'invalid Accept header; unsupported');
	if (format !== 'raw' && format !== 'car')
		return text(400, `invalid format parameter; unsupported: "${format}"`);
	if (rest.length > 0 && format === 'raw')
		return text(400, 'path not supported for raw requests');
	const root = await block(provider, cid);
	if (root === undefined)
		return text(404, 'failed to load root node');

	const headers = { 'Cache-Control': 'public, max-age=29030400, immutable',
		Vary: 'Accept', 'X-Ipfs-Path': `/ipfs/${cidText}`,
		'X-Content-Type-Options': 'nosniff' };
	if (format === 'raw') {
		return { status: 200, body: root, headers: { ...headers,
			ETag: `"${cidText}.raw"`,
			'Content-Type': 'application/vnd.ipld.raw',
			'Content-Disposition': `attachment; filename="${cidText}.bin"` } };
	}
	const scope = req.query.get('dag-scope') ?? 'all';
	if (!['all', 'entity', 'block'].includes(scope))
		return text(400, 'invalid dag-scope parameter');
	return { status: 200, headers: { ...headers,
		'Content-Type': 'application/vnd.ipld.car; version=1; order=dfs; dups=n',
		'Content-Disposition': `attachment; filename="${cidText}.car"` },
	body: car(cid, scope, (c) => block(provider, c)) };
}

/** GET or HEAD of /piece/... and /ipfs/... */
export async function retrieve(provider, req) {
	const [, room, rest] = /^\/(piece|ipfs)\/(.*)$/.exec(req.path);
	return maybeGzip(req, room === 'piece' ?
		await servePiece(provider, req, rest) :
		await serveIpfs(provider, req, rest));
}

/** The peer id of a provider: an identity of 32 bytes that it alone has. */
const peerId = (provider) => base58(Buffer.concat([
	Buffer.from('002408011220', 'hex'), Buffer.alloc(12),
	Buffer.from(provider.address.slice(2), 'hex')]));

/** Delegated routing v1 over the indexes of all providers. */
export function route(providers, req) {
	const m = /^\/routing\/v1\/providers\/([^/]+)$/.exec(req.path);
	if (m === null)
		return text(404, 'not found');
	let cid;
	try {
		cid = parseCid(m[1]);
	} catch (e) {
		if (!(e instanceof CidError))
			throw e;
		return text(400, `invalid cid: ${e.message}`);
	}
	const found = providers.filter(({ provider }) => provider.ipfs.has(cid));
	return json(found.length > 0 ? 200 : 404, { Providers: found.map(
		({ provider, listener }) => ({ Schema: 'peer', ID: peerId(provider),
			Addrs: [`/ip4/127.0.0.1/tcp/${listener.port}/http`],
			Protocols: ['transport-ipfs-gateway-http'],
			'transport-ipfs-gateway-http': 'oBIA' })) });
}
