/*
 * cid.mjs - CIDs of pieces and blocks, base32 and varints
 *
 * Section 2.2 of the reference.
 */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const RAW_BYTES_MAX = 127n << 48n;

export class CidError extends Error {}

export function base32(bytes) {
	let out = '';
	let bits = 0;
	let value = 0;
	for (const byte of bytes) {
		value = (value << 8) | byte;
		for (bits += 8; bits >= 5; bits -= 5)
			out += ALPHABET[(value >>> (bits - 5)) & 31];
		value &= 0xff;
	}
	return bits > 0 ? out + ALPHABET[(value << (5 - bits)) & 31] : out;
}

export function unbase32(text) {
	const out = [];
	let bits = 0;
	let value = 0;
	for (const char of text) {
		const digit = ALPHABET.indexOf(char);
		if (digit < 0)
			throw new CidError('selected encoding not supported');
		value = ((value << 5) | digit) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			out.push((value >>> bits) & 0xff);
		}
	}
	if (value & ((1 << bits) - 1) || bits >= 5)
		throw new CidError('stray bits at the end of a CID');
	return Uint8Array.from(out);
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function base58(bytes) {
	let n = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
	let out = '';
	for (; n > 0n; n /= 58n)
		out = BASE58[Number(n % 58n)] + out;
	for (let i = 0; i < bytes.length && bytes[i] === 0; i++)
		out = `1${out}`;
	return out;
}

function unbase58(text) {
	let n = 0n;
	for (const char of text) {
		const digit = BASE58.indexOf(char);
		if (digit < 0)
			throw new CidError('bad base58');
		n = n * 58n + BigInt(digit);
	}
	const hex = n.toString(16);
	return Uint8Array.from(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex'));
}

export function varint(n) {
	const out = [];
	let rest = BigInt(n);
	for (; rest >= 128n; rest >>= 7n)
		out.push(Number(rest & 127n) | 128);
	out.push(Number(rest));
	return out;
}

/** [value, position behind it] */
export function readVarint(bytes, at) {
	let value = 0n;
	for (let i = 0; i < 9; i++) {
		if (at + i >= bytes.length)
			throw new CidError('varint ends early');
		value |= BigInt(bytes[at + i] & 127) << BigInt(7 * i);
		if (bytes[at + i] < 128) {
			if (i > 0 && bytes[at + i] === 0)
				throw new CidError('varint is not minimal');
			return [Number(value), at + i + 1];
		}
	}
	throw new CidError('varint is too long');
}

/** The binary CID at `at`: { version, codec, hash, digest, multihash, end } */
export function readCid(bytes, at = 0) {
	if (bytes[at] === 0x12 && bytes[at + 1] === 0x20) {
		const end = at + 34;
		if (end > bytes.length)
			throw new CidError('CID ends early');
		return { version: 0, codec: 0x70, hash: 0x12,
			digest: bytes.slice(at + 2, end), multihash: bytes.slice(at, end),
			end };
	}
	const [version, a] = readVarint(bytes, at);
	if (version !== 1)
		throw new CidError(`CID version ${version}`);
	const [codec, b] = readVarint(bytes, a);
	const [hash, c] = readVarint(bytes, b);
	const [length, d] = readVarint(bytes, c);
	const end = d + length;
	if (length > 128 || end > bytes.length)
		throw new CidError('CID ends early');
	return { version, codec, hash, digest: bytes.slice(d, end),
		multihash: bytes.slice(b, end), end };
}

export function parseCid(text) {
	let bytes;
	if (/^Qm[1-9A-Za-z]{44}$/.test(text))
		bytes = unbase58(text);
	else if (text.startsWith('b'))
		bytes = unbase32(text.slice(1));
	else
		throw new CidError('invalid cid: selected encoding not supported');
	const cid = readCid(bytes);
	if (cid.end !== bytes.length)
		throw new CidError('invalid cid: trailing data');
	return { ...cid, bytes };
}

/** PieceCIDv2 out of root, height and padding. */
export function pieceCidV2(root, height, padding) {
	const body = [...varint(padding), height, ...root];
	return Uint8Array.from([0x01, 0x55, 0x91, 0x20, ...varint(body.length),
		...body]);
}

export function pieceCidV1(root) {
	return Uint8Array.from([0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20, ...root]);
}

export const text = (bytes) => `b${base32(bytes)}`;

/** Facts of a PieceCIDv2, text or bytes; throws CidError with Curio's reason. */
export function readPieceV2(cid) {
	const bytes = typeof cid === 'string' ? parseCid(cid).bytes :
		Uint8Array.from(cid);
	const { codec, hash, digest, end } = readCid(bytes);
	if (codec !== 0x55 || hash !== 0x1011 || end !== bytes.length)
		throw new CidError('piece CID is not a PieceCIDv2');
	const [padding, at] = readVarint(digest, 0);
	if (digest.length - at !== 33)
		throw new CidError('piece CID digest has a wrong length');
	const height = digest[at];
	const root = digest.slice(at + 1);
	if (height < 2 || height > 50)
		throw new CidError(`piece CID height ${height}`);
	const padded = (1n << BigInt(height)) * 32n;
	if (128n * BigInt(padding) / 127n >= padded || padded > RAW_BYTES_MAX)
		throw new CidError('Padding is too large');
	const leaves = (1n << BigInt(height)) - 128n * BigInt(padding) / 127n / 32n;
	return { bytes, padding, height, root, leaves,
		rawSize: Number(127n * (1n << BigInt(height - 2)) - BigInt(padding)),
		v2: text(bytes), v1: text(pieceCidV1(root)) };
}

/** The v1 text of a piece CID of either version. */
export function pieceKey(cid) {
	const { codec, hash, digest } = parseCid(cid);
	if (codec === 0xf101 && hash === 0x1012 && digest.length === 32)
		return text(pieceCidV1(digest));
	return readPieceV2(cid).v1;
}
