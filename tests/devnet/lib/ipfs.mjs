/*
 * ipfs.mjs - the blocks of CAR pieces, as an indexed provider finds them
 *
 * CARv1; blocks are known by their multihash.  A CAR for a DAG follows the links
 * of dag-pb nodes.
 */
import { readCid, readVarint, varint } from './cid.mjs';

const HEADER_MAX = 1 << 20;
const BLOCK_MAX = 4 << 20;
const PREFIX = 128;
const DAG_PB = 0x70;

const key = (multihash) => Buffer.from(multihash).toString('hex');

export class IpfsIndex {
	constructor() {
		this.blocks = new Map();
	}

	/** All blocks of a piece; what is no CAR adds nothing. */
	async add(piece, read) {
		let at = 0;
		const frame = async () => {
			const head = await read(at, Math.min(PREFIX, piece.size - at));
			const [length, start] = readVarint(head, 0);
			return { head, length, start };
		};
		const found = [];
		try {
			const header = await frame();
			if (header.length === 0 || header.length > HEADER_MAX)
				return;
			at += header.start + header.length;
			while (at < piece.size) {
				const { head, length, start } = await frame();
				if (length === 0 || length > BLOCK_MAX)
					break; /* the zeros behind a CAR, or no CAR */
				const cid = readCid(head, start);
				found.push([key(cid.multihash), { v1: piece.v1,
					offset: at + cid.end, length: length - (cid.end - start) }]);
				at += start + length;
			}
		} catch {
			/* indexing is best effort: what was read up to here counts */
		}
		for (const [k, place] of found) {
			if (!this.blocks.has(k))
				this.blocks.set(k, place);
		}
	}

	has(cid) {
		return this.blocks.has(key(cid.multihash));
	}

	place(cid) {
		return this.blocks.get(key(cid.multihash));
	}
}

/** CIDs that a dag-pb node links to. */
export function links(block) {
	const out = [];
	const fields = function* (bytes) {
		let at = 0;
		while (at < bytes.length) {
			const [tag, a] = readVarint(bytes, at);
			const [n, b] = readVarint(bytes, a);
			const wire = tag & 7;
			if (wire !== 2 && wire !== 0)
				throw new Error('not dag-pb');
			const end = wire === 2 ? b + n : b;
			yield [tag >> 3, bytes.subarray(b, end)];
			at = end;
		}
	};
	for (const [number, link] of fields(block)) {
		if (number !== 2)
			continue;
		for (const [n, hash] of fields(link)) {
			if (n === 1)
				out.push(readCid(hash));
		}
	}
	return out;
}

const cidBytes = (cid) => cid.version === 0 ? Buffer.from(cid.multihash) :
	Buffer.from([1, ...varint(cid.codec), ...cid.multihash]);

/** A CARv1 of one block, or of all below it; null if a block is missing. */
export async function* car(root, scope, get) {
	const bytes = cidBytes(root);
	const cid = Buffer.concat([Buffer.from([0xd8, 0x2a, 0x58,
		bytes.length + 1, 0]), bytes]);
	const header = Buffer.concat([Buffer.from('a265726f6f747381', 'hex'), cid,
		Buffer.from('6776657273696f6e01', 'hex')]);
	yield Buffer.concat([Buffer.from(varint(header.length)), header]);
	const seen = new Set();
	const todo = [root];
	while (todo.length > 0) {
		const next = todo.shift();
		const id = key(next.multihash);
		if (seen.has(id))
			continue;
		seen.add(id);
		const block = await get(next);
		if (block === undefined)
			return;
		const name = cidBytes(next);
		yield Buffer.concat([Buffer.from(varint(name.length + block.length)),
			name, block]);
		if (scope !== 'block' && next.codec === DAG_PB)
			todo.unshift(...links(block));
	}
}
