/*
 * commp.mjs - the piece CID v2 (FRC-0069) of a file
 *
 * Every 127 bytes are spread to four leaves of 254 bits; nodes are SHA-256
 * with the two top bits of the last byte cleared; what is missing to the next
 * power of two are zero leaves.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

import { base32 } from 'multiformats/bases/base32';

import { Cursor, check } from './wire.mjs';

function pair(left, right) {
	const h = createHash('sha256').update(left).update(right).digest();
	h[31] &= 0x3f;
	return h;
}

const zeros = [Buffer.alloc(32)];
function zeroTree(level) {
	while (zeros.length <= level)
		zeros.push(pair(zeros.at(-1), zeros.at(-1)));
	return zeros[level];
}

function spread(input) {
	const out = Buffer.alloc(128);
	for (let m = 0; m < 128; m++) {
		const k = m >> 5;
		const here = m < 127 ? input[m] << 2 * k : 0;
		out[m] = k ? here | input[m - 1] >> 8 - 2 * k : here;
		if ((m & 31) === 31)
			out[m] &= 0x3f;
	}
	return out;
}

class Tree {
	constructor() {
		this.stack = []; /* stack[i]: a full subtree of 2^i leaves, or none */
	}

	add(node) {
		let level = 0;
		for (; this.stack[level]; level++) {
			node = pair(this.stack[level], node);
			this.stack[level] = null;
		}
		this.stack[level] = node;
	}

	root(height) {
		let node = zeroTree(0);
		for (let level = 0; level < height; level++)
			node = this.stack[level] ? pair(this.stack[level], node) :
				pair(node, zeroTree(level));
		return this.stack[height] ?? node;
	}
}

/* Below the lowest set level `node` has to be all zeros: the loop above keeps
 * it so, because it pairs zero trees until it meets a subtree. */

export async function pieceCid(path) {
	const tree = new Tree();
	let rest = Buffer.alloc(0);
	let size = 0;
	const quads = (bytes) => {
		const wide = spread(bytes);
		for (let i = 0; i < 128; i += 32)
			tree.add(wide.subarray(i, i + 32));
	};
	for await (const chunk of createReadStream(path)) {
		size += chunk.length;
		rest = Buffer.concat([rest, chunk]);
		let at = 0;
		for (; at + 127 <= rest.length; at += 127)
			quads(rest.subarray(at, at + 127));
		rest = rest.subarray(at);
	}
	if (rest.length)
		quads(Buffer.concat([rest], 127));
	let height = 2;
	while (127 * 2 ** (height - 2) < size)
		height++;
	return encodePieceCid(tree.root(height), height, size);
}

function encodePieceCid(root, height, size) {
	const padding = [];
	let n = 127 * 2 ** (height - 2) - size;
	for (; n >= 128; n = Math.floor(n / 128))
		padding.push(n % 128 | 0x80);
	padding.push(n);
	return Buffer.from([0x01, 0x55, 0x91, 0x20, padding.length + 33,
		...padding, height, ...root]);
}

/** { text, size } of a binary piece CID v2. */
export function parsePieceCid(bytes) {
	const c = new Cursor(bytes);
	check(c.take(4).toString('hex') === '01559120', 'not a piece CID v2');
	check(c.u8() === c.left, 'piece CID: length');
	const padding = c.size();
	const height = c.u8();
	check(height >= 2 && height <= 50, `piece CID: height ${height}`);
	c.take(32);
	c.done('piece CID');
	const size = 127 * 2 ** (height - 2) - padding;
	check(size > 0, 'piece CID: more padding than piece');
	return { text: base32.encode(bytes), size };
}
