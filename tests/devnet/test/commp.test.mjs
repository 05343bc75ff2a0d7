/* Piece commitments against the vectors of the reference. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { pieceCidV1, pieceCidV2, pieceKey, readPieceV2, text }
	from '../lib/cid.mjs';
import { PieceHasher, fr32, pieceOf, prove, verifyPath, zeros }
	from '../lib/commp.mjs';

const file = new URL('../../vectors/commp/commp.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file));

const SIZE_MAX = 1 << 18;

const patterns = {
	mod251: (n) => Buffer.from(Uint8Array.from({ length: n }, (_, i) => i % 251)),
	zero: (n) => Buffer.alloc(n),
	ff: (n) => Buffer.alloc(n, 0xff),
	lcg: (n) => {
		let x = 1;
		return Buffer.from(Uint8Array.from({ length: n }, () => {
			x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
			return x >>> 24;
		}));
	},
};

const small = vectors.vectors.filter((v) => patterns[v.pattern] &&
	v.size <= SIZE_MAX);

test('every vector of a piece gives its two CIDs', () => {
	assert.ok(small.length > 30);
	for (const v of small) {
		const p = pieceOf(patterns[v.pattern](v.size));
		assert.equal(text(pieceCidV2(p.root, p.height, p.padding)),
			v.pieceCidV2, v.description);
		assert.equal(text(pieceCidV1(p.root)), v.pieceCidV1);
		if (v.size === 0) { /* nothing but padding: no contract takes it */
			assert.throws(() => readPieceV2(v.pieceCidV2));
			continue;
		}
		assert.equal(readPieceV2(v.pieceCidV2).rawSize, v.size);
		assert.equal(pieceKey(v.pieceCidV2), v.pieceCidV1);
		assert.equal(pieceKey(v.pieceCidV1), v.pieceCidV1);
	}
});

test('how a piece arrives in chunks does not change it', () => {
	const bytes = patterns.lcg(300001);
	const hasher = new PieceHasher();
	for (let at = 0; at < bytes.length; at += 70001)
		hasher.update(bytes.subarray(at, at + 70001));
	const { root, padding } = hasher.finish();
	const whole = pieceOf(bytes);
	assert.deepEqual([root, padding], [whole.root, whole.padding]);
});

test('a path proves its leaf and no other', async () => {
	for (const size of [127, 1000, 130048, 130049, 700000]) {
		const bytes = patterns.mod251(size);
		const piece = pieceOf(bytes);
		const leaves = Number(readPieceV2(pieceCidV2(piece.root, piece.height,
			piece.padding)).leaves);
		for (const leaf of [0, Math.floor(leaves / 2), leaves - 1]) {
			const { leaf: node, path } = await prove(piece, leaf,
				(off, n) => bytes.subarray(off, off + n));
			const args = [`0x${node.toString('hex')}`,
				path.map((p) => `0x${p.toString('hex')}`)];
			assert.ok(verifyPath(piece.root, piece.height, ...args,
				BigInt(leaf)), `${size} at ${leaf}`);
			assert.ok(!verifyPath(piece.root, piece.height, ...args,
				BigInt(leaf ^ 1)));
		}
	}
});

test('zero commitments and quads are those of the reference', () => {
	for (const { level, root } of vectors.zeroCommitments)
		assert.equal(zeros[level].toString('hex'), root);
	for (const { inputHex, outputHex } of vectors.fr32) {
		assert.equal(fr32(Buffer.from(inputHex, 'hex')).toString('hex'),
			outputHex);
	}
});
