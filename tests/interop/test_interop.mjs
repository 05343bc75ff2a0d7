/*
 * test_interop.mjs - the reader made from the page against the writer
 *
 *   FILDRIVE_VECTORS       tests/vectors
 *   FILDRIVE_PUBLISH_CAR   the program publish_car; absent: its case skips
 *   FILDRIVE_DRIVE_STORE   stores of a drive, with colons between them, and
 *   FILDRIVE_DRIVE_WORDS   the file with its words: one case more
 */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync,
	symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { importer } from 'ipfs-unixfs-importer';
import { MemoryBlockstore } from 'blockstore-core/memory';

import { blockstore, cidOf, exported, openedDag, readCar, sameTree } from './check.mjs';
import { parsePieceCid, pieceCid } from './commp.mjs';
import { headName, keyedHash, keysOf, openBlock, sealRecord, sha256 }
	from './crypt.mjs';
import { openDrive } from './fildrive.mjs';
import { manifest } from './manifest.mjs';
import { decodeAttr, decodeNode } from './node.mjs';
import { FormatError, hex, le64, padme } from './wire.mjs';

const VECTORS = process.env.FILDRIVE_VECTORS ??
	join(dirname(
		fileURLToPath(import.meta.url)), '..', 'vectors');
const GOLDEN = join(VECTORS, 'format', 'piece.car');
const EXAMPLE = JSON.parse(
	readFileSync(join(VECTORS, 'format', 'example.json')));
const TMP = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'interop-'));
after(() => rmSync(TMP, { recursive: true }));

/* A store made by hand around the golden piece; `spoil` changes its bytes. */
async function goldenStore(spoil = () => {}) {
	const folder = mkdtempSync(join(TMP, 'store-'));
	const car = readFileSync(GOLDEN);
	spoil(car);
	const cid = await pieceCid(GOLDEN);
	const keys = keysOf(EXAMPLE.words);
	writeFileSync(join(folder, `${parsePieceCid(cid).text}.car`), car);
	writeFileSync(join(folder, 'fildrive-store'),
		`fildrive store 1\n${'0'.repeat(32)}\n`);
	mkdirSync(join(folder, 'heads'));
	writeFileSync(join(folder, 'heads', hex(headName(keys, 1n))), sealRecord(
		cid, 'head', keys.headSeal, keys.id, Buffer.alloc(24, 7)));
	return folder;
}

test('the words lead to the keys of the page', () => {
	const keys = keysOf(EXAMPLE.words);
	assert.equal(hex(keys.secret), EXAMPLE.drive_secret);
	assert.equal(hex(keys.id), EXAMPLE.drive_id);
	assert.equal(hex(keys.commit), EXAMPLE.key_commit);
	assert.equal(hex(keys.trailer), EXAMPLE.key_trailer);
	assert.equal(hex(keys.head), EXAMPLE.key_head);
	assert.equal(hex(keys.headSeal), EXAMPLE.key_head_seal);
	assert.equal(hex(headName(keys, 1n)), EXAMPLE.head_name_1);
	assert.equal(hex(headName(keys, 2n)), EXAMPLE.head_name_2);
	assert.throws(() => keysOf(EXAMPLE.words.replace('abandon', 'zoo')));
});

test('sizes follow the ladder of the page', () => {
	assert.deepEqual([1, 9, 256, 257, 388, 1000, 1048576, 1048577].map(padme),
		[1, 10, 256, 272, 400, 1024, 1048576, 1081344]);
});

test('piece CIDs are those of other implementations', async () => {
	const { vectors } = JSON.parse(
		readFileSync(join(VECTORS, 'commp', 'commp.json')));
	const small = vectors.filter((v) => v.size <= 1 << 20 &&
		['mod251', 'zero', 'ff'].includes(v.pattern));
	assert.ok(small.length > 8);
	for (const v of small) {
		const byte = { mod251: (i) => i % 251, zero: () => 0, ff: () => 255 };
		const path = join(TMP, 'commp');
		writeFileSync(path, Uint8Array.from({ length: v.size },
			(_, i) => byte[v.pattern](i)));
		assert.equal(hex(await pieceCid(path)), v.pieceCidV2Hex,
			v.description);
	}
});

test('a sealed block opens and its key is the hash of its payload', () => {
	const key = Buffer.from(EXAMPLE.leaf_link.slice(68, 132), 'hex');
	const block = Buffer.from(EXAMPLE.leaf_block, 'hex');
	const { body, payload } = openBlock(block, key);
	assert.equal(hex(body), EXAMPLE.leaf_body);
	assert.equal(hex(sha256(block)), EXAMPLE.leaf_link.slice(4, 68));
	const secret = Buffer.from(EXAMPLE.convergence_secret, 'hex');
	assert.deepEqual(keyedHash(secret, payload), key);
	for (let i = 0; i < block.length; i++) {
		block[i] ^= 1;
		assert.throws(() => openBlock(block, key), FormatError);
		block[i] ^= 1;
	}
});

for (const by of ['head', 'trailer'])
	test(`the golden drive opens by its ${by}`, async () => {
		const drive = await openDrive(EXAMPLE.words, [await goldenStore()], by);
		const { commit } = drive;
		assert.equal(hex(commit.convergence), EXAMPLE.convergence_secret);
		assert.equal(hex(commit.root.digest), EXAMPLE.root_digest);
		assert.equal(hex(commit.root.key), EXAMPLE.root_key);
		assert.equal(commit.sequence, 1n);
		const m = await manifest(drive);
		const rows = Object.fromEntries(m.entries.map((r) => [r.path, r]));
		assert.deepEqual(Object.keys(rows), ['', 'hello.txt', 'link', 'zero']);
		assert.deepEqual(m.counted, { inodes: 4, bytes: 13 });
		assert.deepEqual([m.inodes, m.bytes], [4, 13]);
		assert.equal(rows['hello.txt'].sha256,
			hex(sha256(Buffer.from(EXAMPLE.leaf_body, 'hex'))));
		assert.deepEqual(rows['hello.txt'].xattrs,
			{ 'user.note': Buffer.from('green').toString('hex') });
		assert.equal(rows['hello.txt'].mode, 0o644);
		assert.equal(rows['hello.txt'].mtime_ns, '1700000000123456789');
		assert.equal(rows.link.target, 'hello.txt');
		assert.equal(rows.zero.type, 'char');
		assert.deepEqual(rows.zero.rdev, [1, 5]);
		assert.deepEqual(m.pieces, [{ leaf: 1, leafIndex: 1, node: 1,
			nodeIndex: 1, commit: 1, filler: 0, trailer: 1 }]);
		assert.equal(m.blocks.keyed, m.blocks.seen);
	});

test('the golden root is the bytes of the page', async () => {
	const drive = await openDrive(EXAMPLE.words, [await goldenStore()]);
	assert.equal(hex(await drive.load(drive.commit.root)), EXAMPLE.root_body);
	for (const name of ['hello', 'link', 'zero'])
		assert.ok(decodeAttr(Buffer.from(EXAMPLE[`attr_${name}`], 'hex')).ino);
});

test('one wrong byte in a block is noticed', async () => {
	for (const at of [36, 37, 41, 80, 353, 672, 1133, 1134, 1500, 1789, 2383]) {
		const store = await goldenStore((car) => {
			car[at] ^= 0x40;
		});
		await assert.rejects(async () => {
			await manifest(await openDrive(EXAMPLE.words, [store]));
		}, FormatError, `byte ${at}`);
	}
});

test('another store answers for a spoiled one', async () => {
	const spoiled = await goldenStore((car) => {
		car[100] ^= 1;
		car[700] ^= 1;
	});
	const drive = await openDrive(EXAMPLE.words,
		[spoiled, await goldenStore()]);
	const m = await manifest(drive, null, false);
	assert.equal(m.entries.length, 4);
});

test('indexes answer where a place is unknown or wrong', async () => {
	const drive = await openDrive(EXAMPLE.words, [await goldenStore()]);
	const { root } = drive.commit;
	for (const place of [null, { ...root.place, offset: 36, length: 318 },
		{ ...root.place, ordinal: 77n }, { ...root.place, offset: 99999 }])
		assert.equal(hex(await drive.load({ ...root, place })),
			EXAMPLE.root_body);
	await assert.rejects(drive.load({ ...root, place: null,
		digest: Buffer.alloc(32) }), /no piece has block/);
});

test('stock CAR readers read a piece', async () => {
	const { roots, blocks } = await readCar(GOLDEN);
	assert.equal(roots.length, 1);
	assert.equal(Buffer.from(roots[0].multihash.digest).toString(),
		'fildrive/1');
	assert.equal(blocks.length, 6);
	assert.ok(blocks.every(({ cid }) => cid.code === 0x55));
});

test('stock decoders read opened nodes and skip our fields', async () => {
	const drive = await openDrive(EXAMPLE.words, [await goldenStore()]);
	const { root, rows, blocks } = await openedDag(drive);
	const body = Buffer.from(EXAMPLE.root_body, 'hex');
	const pb = dagPb.decode(body);
	assert.equal(UnixFS.unmarshal(pb.Data).type, 'directory');
	assert.deepEqual(pb.Links.map((l) => `${l.Name} ${l.Hash}`),
		decodeNode(body).links.map((l) => `${l.name} ${cidOf(l)}`));
	sameTree(await exported(root, blockstore(blocks)), rows);
});

/* ---- publish ---- */

const PUBLISH = process.env.FILDRIVE_PUBLISH_CAR;

function bytesOf(n, seed) {
	const b = Buffer.alloc(n);
	for (let i = 0, x = seed; i < n; i++) {
		x = Math.imul(x, 1664525) + 1013904223 >>> 0;
		b[i] = x >>> 24;
	}
	return b;
}

/* [path, content] for files, [path] for folders, [path, null, target]. */
function publishTree() {
	const tree = [
		['empty', Buffer.alloc(0)],
		['one', Buffer.from('1')],
		['chunk', bytesOf(1 << 20, 1)],
		['chunk and a byte', bytesOf((1 << 20) + 1, 2)],
		['big', bytesOf(3 << 19, 3)],
		['nested'], ['nested/deeper'], ['nested/deeper/still'],
		['nested/deeper/still/file', Buffer.from('down here')],
		['nothing in it'],
		['.hidden', Buffer.from('dot')],
		['link', null, 'nested/deeper'],
		['dangling', null, '/no/such/ÿ'],
		['ünïcødé', Buffer.from('latin')],
		['日本語', Buffer.from('kanji')],
		['e\u0301 and \u00e9', Buffer.from('not normalised')],
		['\u{1f4be}', Buffer.from('disk')],
		['many'],
	];
	for (let i = 0; i < 10000; i++)
		tree.push([`many/entry number ${i}`, Buffer.from(`${i % 100}`)]);
	return tree;
}

async function imported(tree) {
	const candidates = tree.map(([path, content, link]) => link ?
		{ path: `top/${path}`, link } : { path: `top/${path}`, content });
	let root = null;
	for await (const e of importer(candidates, new MemoryBlockstore(),
		{ profile: 'unixfs-v1-2025' }))
		root = e.path === 'top' ? e.cid : root;
	return root;
}

test('published folders have the CIDs of other tools', {
	skip: !PUBLISH && 'FILDRIVE_PUBLISH_CAR is not set',
}, async () => {
	const tree = publishTree();
	const top = mkdtempSync(join(TMP, 'top-'));
	for (const [path, content, target] of tree) {
		if (target)
			symlinkSync(target, join(top, path));
		else if (content)
			writeFileSync(join(top, path), content);
		else
			mkdirSync(join(top, path));
	}
	const car = join(TMP, 'published.car');
	const root = execFileSync(PUBLISH, [top, car]).toString().trim();
	assert.equal(root, `${await imported(tree)}`);

	const { roots, blocks } = await readCar(car);
	assert.deepEqual(roots.map(String), [root]);
	assert.equal(new Set(blocks.map((b) => `${b.cid}`)).size, blocks.length);
	const found = await exported(roots[0], blockstore(blocks));
	const want = tree.map(([path, content, target]) => [path, target ?
		{ type: 'symlink', target } : content ? { type: 'file',
			size: content.length, sha256: hex(sha256(content)) } :
			{ type: 'directory' }]);
	assert.deepEqual(found, new Map([['', { type: 'directory' }], ...want]));
});

/* ---- a drive that somebody wrote ---- */

const STORES = process.env.FILDRIVE_DRIVE_STORE;

if (STORES)
	test('stock decoders read a whole drive', async () => {
		const words = readFileSync(process.env.FILDRIVE_DRIVE_WORDS, 'utf8');
		const drive = await openDrive(words, STORES.split(':'));
		for (const cid of drive.pieces())
			for (const { path } of await drive.copies(cid))
				await readCar(path);
		const { root, rows, blocks } = await openedDag(drive);
		sameTree(await exported(root, blockstore(blocks)), rows);
	});
