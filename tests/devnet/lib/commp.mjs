/*
 * commp.mjs - piece commitments, and the paths that prove a leaf
 *
 * Section 2.1 of the reference: bytes are expanded by fr32 (127 to 128), cut
 * into leaves of 32 bytes and hashed to a binary tree of truncated SHA-256.
 *
 * Data is taken in caps of 1024 quads (4096 leaves): the root of each is kept,
 * so that a proof needs only one cap from disk.
 */
import * as crypto from 'node:crypto';

const QUAD = 127;
const CAP_LEVEL = 12;
const CAP_QUADS = 1024;
export const CAP_BYTES = QUAD * CAP_QUADS;

/* hash() is faster, and not in every Node. */
const sha256 = crypto.hash ? (b) => crypto.hash('sha256', b, 'buffer') :
	(b) => crypto.createHash('sha256').update(b).digest();

const parentOf = (pair) => {
	const digest = sha256(pair);
	digest[31] &= 0x3f;
	return digest;
};

export const zeros = [Buffer.alloc(32)];
for (let i = 0; i < 50; i++)
	zeros.push(parentOf(Buffer.concat([zeros[i], zeros[i]])));

/** Whole quads, zero padded, as leaves. */
export function fr32(bytes) {
	const quads = Math.max(1, Math.ceil(bytes.length / QUAD));
	const out = Buffer.alloc(quads * 128);
	for (let q = 0; q < quads; q++) {
		const s = q * QUAD;
		const o = q * 128;
		const at = (i) => i < QUAD ? bytes[s + i] ?? 0 : 0;
		for (let i = 0; i < 32; i++)
			out[o + i] = at(i);
		out[o + 31] &= 0x3f;
		for (let i = 32; i < 64; i++)
			out[o + i] = (at(i) << 2) | (at(i - 1) >> 6);
		out[o + 63] &= 0x3f;
		for (let i = 64; i < 96; i++)
			out[o + i] = (at(i) << 4) | (at(i - 1) >> 4);
		out[o + 95] &= 0x3f;
		for (let i = 96; i < 128; i++)
			out[o + i] = (at(i) << 6) | (at(i - 1) >> 2);
	}
	return out;
}

/** The level above; what is missing on the right is zero data. */
function above(nodes, level) {
	const count = nodes.length / 32;
	const pairs = count % 2 ? Buffer.concat([nodes, zeros[level]]) : nodes;
	const out = Buffer.alloc(pairs.length / 2);
	for (let i = 0; i < out.length; i += 32)
		parentOf(pairs.subarray(2 * i, 2 * i + 64)).copy(out, i);
	return out;
}

/** Levels `from` to `to` over some nodes; the last holds one node. */
function tree(nodes, from, to) {
	const levels = [nodes];
	for (let level = from; level < to; level++)
		levels.push(above(levels.at(-1), level));
	return levels;
}

const pathIn = (levels, from, index) => levels.slice(0, -1).map((nodes, i) => {
	const sibling = Number((BigInt(index) >> BigInt(i)) ^ 1n) * 32;
	return sibling < nodes.length ? nodes.subarray(sibling, sibling + 32) :
		zeros[from + i];
});

/** log2 of the leaves of so many raw bytes */
export function heightOf(size) {
	let height = 2;
	while (127 * 2 ** (height - 2) < size)
		height++;
	return height;
}

export class PieceHasher {
	constructor() {
		this.size = 0;
		this.waiting = [];
		this.held = 0;
		this.caps = [];
	}

	update(chunk) {
		this.size += chunk.length;
		this.waiting.push(chunk);
		this.held += chunk.length;
		while (this.held > CAP_BYTES) {
			const all = Buffer.concat(this.waiting);
			this.caps.push(tree(fr32(all.subarray(0, CAP_BYTES)), 0, CAP_LEVEL)
				.at(-1));
			const rest = all.subarray(CAP_BYTES);
			this.waiting = [rest];
			this.held = rest.length;
		}
	}

	/** { root, height, padding, size, caps } */
	finish() {
		const { size } = this;
		const height = heightOf(size);
		const rest = fr32(Buffer.concat(this.waiting));
		const facts = { size, height,
			padding: 127 * 2 ** (height - 2) - size, caps: this.caps };
		if (height <= CAP_LEVEL)
			return { ...facts, root: tree(rest, 0, height).at(-1) };
		this.caps.push(tree(rest, 0, CAP_LEVEL).at(-1));
		return { ...facts, root: tree(Buffer.concat(this.caps), CAP_LEVEL,
			height).at(-1) };
	}
}

export function pieceOf(bytes) {
	const hasher = new PieceHasher();
	hasher.update(bytes);
	return hasher.finish();
}

/** The leaf and its path.  `read(offset, length)` gives raw bytes of the piece,
 * `piece` is what finish() said; `trees`, a Map, saves hashing a cap again for
 * the next leaf of the same piece. */
export async function prove(piece, leaf, read, trees = new Map()) {
	const low = Math.min(piece.height, CAP_LEVEL);
	const cap = Math.floor(leaf / 2 ** low);
	const inside = leaf % 2 ** low;
	const start = cap * CAP_BYTES;
	const length = Math.min(CAP_BYTES, piece.size - start);
	if (!trees.has(cap)) {
		trees.set(cap, tree(length > 0 ? fr32(await read(start, length)) :
			Buffer.alloc(128), 0, low));
	}
	const levels = trees.get(cap);
	const [nodes] = levels;
	const path = pathIn(levels, 0, inside);
	if (piece.height > low) {
		path.push(...pathIn(tree(Buffer.concat(piece.caps), low, piece.height),
			low, cap));
	}
	const at = inside * 32;
	return { leaf: at < nodes.length ? nodes.subarray(at, at + 32) : zeros[0],
		path };
}

const bytesOf = (hex) => Buffer.from(hex.slice(2), 'hex');

/** Does the path lead from the leaf at this offset to the root? */
export function verifyPath(root, height, leaf, path, offset) {
	if (path.length !== height)
		return false;
	let node = bytesOf(leaf);
	path.forEach((sibling, i) => {
		const other = bytesOf(sibling);
		node = parentOf((offset >> BigInt(i)) & 1n ?
			Buffer.concat([other, node]) : Buffer.concat([node, other]));
	});
	return node.equals(Buffer.from(root));
}
