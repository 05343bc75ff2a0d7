/*
 * crypt.mjs - words, keys, sealed blocks, sealed records
 *
 * Sections 2, 4 and 7 of docs/format.md.
 */
import { createDecipheriv, createHash } from 'node:crypto';

import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { decompress } from 'fzstd';

import { Cursor, FormatError, check, equal, isZero, ladder, le64, powerOfTwo }
	from './wire.mjs';

const BODY_MAX = 2064384;

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

/** B(k, m) of the page. */
export const keyedHash = (key, message) =>
	Buffer.from(blake2b(message, { key, dkLen: 32 }));

const derive = (key, label) =>
	keyedHash(key, Buffer.from(`fildrive ${label}`));

/** All that the words lead to: { secret, id, commit, trailer, head, headSeal }. */
export function keysOf(words) {
	const text = words.trim().split(/\s+/).join(' ').toLowerCase();
	const entropy = mnemonicToEntropy(text, wordlist);
	check(entropy.length === 32, `${text.split(' ').length} words, not 24`);
	const secret = derive(entropy, 'drive');
	return {
		secret,
		id: derive(secret, 'drive id').subarray(0, 16),
		commit: derive(secret, 'commit'),
		trailer: derive(secret, 'trailer'),
		head: derive(secret, 'head'),
		headSeal: derive(secret, 'head seal'),
	};
}

/** The name of sequence h in the head register, binary. */
export const headName = (keys, h, network = 0n) =>
	keyedHash(keys.head, Buffer.concat([le64(network), le64(h)]));

function zstdContentSize(frame) {
	check(frame.length >= 6 && frame.readUInt32LE() === 0xfd2fb528,
		'not a zstd frame');
	const flags = frame[4];
	const single = flags >> 5 & 1;
	const bytes = [single, 2, 4, 8][flags >> 6];
	check(bytes > 0, 'zstd frame without its content size');
	const at = 5 + (single ? 0 : 1) + [0, 1, 2, 4][flags & 3];
	check(at + bytes <= frame.length, 'short zstd frame');
	const field = frame.subarray(at, at + bytes);
	const n = bytes === 1 ? field[0] : bytes === 2 ? field.readUInt16LE() + 256 :
		bytes === 4 ? field.readUInt32LE() : Number(field.readBigUInt64LE());
	return n;
}

/*
 * Open a sealed block whose digest has been compared.  Returns { body, padded,
 * compressed, payload }; `body` is after decompression, `padded` the length of
 * what stood on disk for it.
 */
export function openBlock(block, key) {
	check(block.length >= 16 + 8, `sealed block of ${block.length} bytes`);
	const d = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12),
		{ authTagLength: 16 });
	d.setAuthTag(block.subarray(block.length - 16));
	let payload;
	try {
		payload = Buffer.concat([
			d.update(block.subarray(0, block.length - 16)), d.final(),
		]);
	} catch {
		throw new FormatError('the key does not open the sealed block');
	}
	const c = new Cursor(payload);
	check(c.u8() === 1, 'sealed block: version');
	const flags = c.u8();
	check((flags & ~1) === 0, `sealed block: flags ${flags}`);
	c.zero(2, 'sealed block');
	const n = c.u32();
	check(n <= BODY_MAX, `sealed block: body of ${n}`);
	const padded = c.left;
	let body = c.take(n);
	check(isZero(c.take(c.left)), 'sealed block: padding is not zero');
	if (flags & 1) {
		const size = zstdContentSize(body);
		check(size > n && size <= BODY_MAX, `zstd: ${n} bytes for ${size}`);
		body = Buffer.from(decompress(body, new Uint8Array(size)));
		check(body.length === size, 'zstd: wrong content size');
	}
	return { body, n, padded, compressed: flags === 1, payload };
}

/** Whether a writer of the page pads a body of n to `padded`. */
export const paddedRight = (n, padded, leaf) =>
	padded === ladder(n) || (leaf && padded === powerOfTwo(n));

function recordAd(magic, id) {
	const ad = Buffer.alloc(28);
	ad.write(magic, 0);
	ad.writeUInt32LE(1, 8);
	id.copy(ad, 12);
	return ad;
}

/** Open `nonce ‖ tag ‖ ciphertext`. */
export function openBox(box, key, ad, what) {
	check(box.length >= 40, `${what}: ${box.length} bytes`);
	try {
		return Buffer.from(xchacha20poly1305(key, box.subarray(0, 24), ad)
			.decrypt(Buffer.concat([box.subarray(40), box.subarray(24, 40)])));
	} catch {
		throw new FormatError(`${what}: the key does not open it`);
	}
}

/** Open a sealed record; its body. */
export function openRecord(record, magic, key, id) {
	const c = new Cursor(openBox(record, key, recordAd(magic, id), magic));
	const n = c.u32();
	const padded = c.left;
	const body = c.take(n);
	check(isZero(c.take(c.left)), `${magic}: padding is not zero`);
	check(padded === ladder(n), `${magic}: ${n} bytes padded to ${padded}`);
	return body;
}

/** Seal a record, for tests that build a store. */
export function sealRecord(body, magic, key, id, nonce) {
	const plain = Buffer.alloc(4 + ladder(body.length));
	plain.writeUInt32LE(body.length);
	Buffer.from(body).copy(plain, 4);
	const out = Buffer.from(
		xchacha20poly1305(key, nonce, recordAd(magic, id)).encrypt(plain));
	const tag = out.length - 16;
	return Buffer.concat([nonce, out.subarray(tag), out.subarray(0, tag)]);
}

/** The convergence secret in a commit. */
export function unwrapSecret(wrapped, key, epoch) {
	check(wrapped.length === 72, 'wrapped secret: not 72 bytes');
	const ad = Buffer.alloc(15);
	ad.write('convergence');
	ad.writeUInt32LE(Number(epoch), 11);
	return openBox(wrapped, key, ad, 'wrapped secret');
}

export const keyIsRight = (secret, payload, key) =>
	equal(keyedHash(secret, payload), key);
