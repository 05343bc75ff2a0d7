/*
 * check.mjs - what other people's IPFS libraries make of our files
 *
 * None of this uses our own parsers: CARs go through @ipld/car, CIDs through
 * multiformats, nodes through @ipld/dag-pb and ipfs-unixfs-exporter.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { strict as assert } from 'node:assert';

import { CarBlockIterator } from '@ipld/car';
import { IdentityBlockstore } from 'blockstore-core/identity';
import { MemoryBlockstore } from 'blockstore-core/memory';
import { exporter, recursive } from 'ipfs-unixfs-exporter';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { sha256 } from 'multiformats/hashes/sha2';

import { fsdecode } from './wire.mjs';

/** Read a whole CAR, every CID recomputed; its roots and blocks. */
export async function readCar(path) {
	const car = await CarBlockIterator.fromIterable(createReadStream(path));
	const blocks = [];
	for await (const { cid, bytes } of car) {
		const hash = await sha256.digest(bytes);
		assert.ok(cid.equals(CID.createV1(cid.code, hash)), `${path}: ${cid}`);
		blocks.push({ cid, bytes });
	}
	return { roots: await car.getRoots(), blocks };
}

/** A block store for the stock exporter. */
export function blockstore(blocks) {
	const memory = new MemoryBlockstore();
	for (const { cid, bytes } of blocks)
		memory.put(cid, bytes);
	return new IdentityBlockstore(memory);
}

/** The CID that stands in a dag-pb link for one of our links. */
export const cidOf = (link) => CID.createV1(link.codec,
	link.kind === 'identity' ? Digest.create(0, link.bytes) :
		Digest.create(0x12, link.digest));

/*
 * What the stock exporter finds below `root`: a Map from path to { type, size,
 * sha256 } or { type, target }.  The root's own path is empty.
 */
export async function exported(root, store) {
	const found = new Map();
	for await (const { cid, path: full } of recursive(root, store)) {
		const e = await exporter(cid, store);
		const path = full.split('/').slice(1).join('/');
		assert.ok(!found.has(path), `${path} comes twice`);
		if (e.unixfs?.type === 'symlink') {
			found.set(path, { type: 'symlink',
				target: Buffer.from(e.unixfs.data).toString() });
			continue;
		}
		if (e.type === 'directory') {
			found.set(path, { type: 'directory' });
			continue;
		}
		const h = createHash('sha256');
		let size = 0;
		for await (const chunk of e.content()) {
			h.update(chunk);
			size += chunk.length;
		}
		found.set(path, { type: 'file', size, sha256: h.digest('hex') });
	}
	return found;
}

/*
 * Open a whole drive with our reader and answer every block that it opened
 * under the CID of the sealed one: an ordinary UnixFS DAG for other decoders.
 * `rows` is what they should find, as in exported(): special files and files
 * with several names are empty to them.
 */
export async function openedDag(drive) {
	const opened = new Map();
	const rows = new Map();
	const load = drive.load.bind(drive);
	drive.load = async (link) => {
		const bytes = await load(link);
		const cid = cidOf(link);
		opened.set(cid.toString(), { cid, bytes });
		return bytes;
	};
	const empty = { type: 'file', size: 0,
		sha256: createHash('sha256').digest('hex') };
	for await (const e of drive.walk()) {
		const row = { type: e.type };
		if (e.shared) {
			Object.assign(row, empty);
		} else if (e.type === 'symlink') {
			row.target = (await e.target()).toString();
		} else if (e.type === 'file') {
			const h = createHash('sha256');
			row.size = 0;
			for await (const bytes of e.content()) {
				h.update(bytes);
				row.size += bytes.length;
			}
			row.sha256 = h.digest('hex');
		} else if (e.type !== 'directory') {
			Object.assign(row, empty);
		}
		rows.set(fsdecode(e.path), row);
	}
	drive.load = load;
	return { root: cidOf(drive.commit.root), rows,
		blocks: [...opened.values()] };
}

/*
 * Compare the two.  Stock decoders in this language take names for UTF-8 and
 * spoil others; of those only the number is compared.
 */
export function sameTree(found, rows) {
	assert.equal(found.size, rows.size);
	const utf8 = (path) => !/[\udc80-\udcff]/u.test(path);
	const plain = new Map([...rows].filter(([path]) => utf8(path)));
	const same = new Map([...found].filter(([path]) => plain.has(path)));
	assert.deepEqual(same, plain);
}
