/*
 * piece.mjs - folders of pieces, the pieces in them, and their indexes
 *
 * Sections 4 (`dir` stores) and 5 of docs/format.md.  Nothing is trusted: a
 * section is checked against its CID, an index against its trailer.
 */
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { headName, openBlock, openRecord, sha256 } from './crypt.mjs';
import { decodeLink, decodeNode, RAW } from './node.mjs';
import { Cursor, FormatError, check, equal, hex, isZero } from './wire.mjs';
import { parsePieceCid } from './commp.mjs';

export const HEADER = Buffer.from(
	'23a265726f6f747381d82a4f000155000a66696c64726976652f316776657273696f6e01',
	'hex');
export const TRAILER_SECTION = 594;
const CID_HEAD = Buffer.from('01551220', 'hex');
const INDEX_HEAD = 32;
const INDEX_ENTRY = 80;

/** A `dir` store. */
export class Store {
	static async open(folder) {
		const marker = await readFile(join(folder, 'fildrive-store'), 'latin1');
		check(/^fildrive store 1\n[0-9a-f]{32}\n?$/.test(marker),
			`${folder}: marker of the store`);
		const store = new Store();
		store.folder = folder;
		store.pieces = (await readdir(folder))
			.filter((name) => /^b[a-z2-7]+\.car$/.test(name))
			.map((name) => name.slice(0, -4)).sort();
		return store;
	}

	path(cid) {
		return join(this.folder, `${cid}.car`);
	}

	/** The head record of sequence h, or null. */
	async head(keys, h) {
		const name = hex(headName(keys, h));
		try {
			return await readFile(join(this.folder, 'heads', name));
		} catch (e) {
			if (e.code === 'ENOENT')
				return null;
			throw e;
		}
	}
}

/** Split a CAR section: { digest, block }. */
export function parseSection(bytes) {
	const c = new Cursor(bytes);
	const n = c.size();
	check(n === c.left, `CAR section: says ${n}, has ${c.left}`);
	check(equal(c.take(4), CID_HEAD), 'CAR section: CID');
	return { digest: c.take(32), block: c.take(c.left) };
}

/** One copy of a piece. */
export class Piece {
	static async open(path, keys) {
		const piece = new Piece();
		piece.path = path;
		piece.keys = keys;
		piece.size = (await stat(path)).size;
		check(piece.size >= HEADER.length + TRAILER_SECTION,
			`${path}: ${piece.size} bytes`);
		check(equal(await piece.read(0, HEADER.length), HEADER),
			`${path}: CAR header`);
		piece.trailer = piece.parseTrailer((await piece.section(
			piece.size - TRAILER_SECTION, TRAILER_SECTION)).block);
		return piece;
	}

	async read(offset, length) {
		const f = await open(this.path);
		try {
			const b = Buffer.alloc(length);
			const { bytesRead } = await f.read(b, 0, length, offset);
			check(bytesRead === length,
				`${this.path}: ends before ${offset} + ${length}`);
			return b;
		} finally {
			await f.close();
		}
	}

	/** A section whose block has its CID's digest. */
	async section(offset, length) {
		check(offset + length <= this.size, `place behind ${this.path}`);
		const s = parseSection(await this.read(offset, length));
		check(equal(sha256(s.block), s.digest),
			`${this.path}: block at ${offset} is not what its CID says`);
		return s;
	}

	parseTrailer(block) {
		check(block.length === 556, `trailer of ${block.length} bytes`);
		const body = openRecord(block, 'trailer', this.keys.trailer,
			this.keys.id);
		check(body.length === 512, `trailer: body of ${body.length}`);
		const c = new Cursor(body);
		const t = { ordinal: c.u64(), size: c.u64(), sequence: c.u64(),
			closed: c.i64(), kind: c.u8() };
		c.zero(7, 'trailer');
		t.commit = { digest: c.take(32), offset: Number(c.u64()),
			length: c.u32() };
		check(t.sequence || (isZero(t.commit.digest) && !t.commit.offset &&
			!t.commit.length), 'trailer: commit without a sequence');
		t.leaves = this.indexLink(c);
		t.nodes = this.indexLink(c);
		t.previous = { sequence: c.u64(), ordinal: c.u64(),
			digest: c.take(32) };
		const n = c.u8();
		check(n <= 48, 'trailer: CID of the previous head');
		t.previous.cid = c.take(n);
		c.zero(48 - n, 'trailer: CID of the previous head');
		if (t.previous.sequence)
			t.previous.piece = parsePieceCid(t.previous.cid).text;
		else
			check(!t.previous.ordinal && isZero(t.previous.digest) && !n,
				'trailer: previous head');
		c.zero(3, 'trailer');
		t.nLeaves = Number(c.u64());
		t.nNodes = Number(c.u64());
		c.zero(136, 'trailer');
		c.done('trailer');
		check(t.size === BigInt(this.size),
			`trailer: size ${t.size}, the piece has ${this.size}`);
		check(t.kind === 1 || t.kind === 2, `trailer: kind ${t.kind}`);
		check(t.ordinal >> 40n && t.ordinal & (1n << 40n) - 1n,
			'trailer: ordinal');
		return t;
	}

	indexLink(c) {
		const bytes = c.take(86);
		c.zero(2, 'trailer');
		if (isZero(bytes))
			return null;
		const link = decodeLink(bytes);
		check(link.kind === 'sealed' && link.place, 'trailer: index link');
		return link;
	}

	/** The commit's record, checked against the trailer. */
	async commitRecord() {
		const { digest, offset, length } = this.trailer.commit;
		const s = await this.section(offset, length);
		check(equal(s.digest, digest), `${this.path}: another commit`);
		return s.block;
	}

	/* A sealed block of this piece's indexes. */
	async opened(link) {
		check(link.place?.ordinal === this.trailer.ordinal,
			'index in another piece');
		const s = await this.section(link.place.offset, link.place.length);
		check(equal(s.digest, link.digest), 'index: digest of a block');
		this.indexPlaces.push(link.place);
		return openBlock(s.block, link.key).body;
	}

	async indexBytes(link) {
		if (link.codec === RAW)
			return this.opened(link);
		const node = decodeNode(await this.opened(link));
		check(node.type === 'file', 'index is no file');
		const parts = [];
		for (const child of node.links)
			parts.push(await this.indexBytes(child));
		const bytes = Buffer.concat(parts);
		check(BigInt(bytes.length) === node.filesize, 'index: size');
		return bytes;
	}

	/** All entries of both indexes; their blocks are then in *IndexPlaces. */
	async entries() {
		if (this.all)
			return this.all;
		this.indexPlaces = [];
		const leaves = await this.index(this.trailer.leaves,
			this.trailer.nLeaves);
		this.leafIndexPlaces = this.indexPlaces;
		this.indexPlaces = [];
		this.all = leaves.concat(await this.index(this.trailer.nodes,
			this.trailer.nNodes));
		this.nodeIndexPlaces = this.indexPlaces;
		return this.all;
	}

	async index(link, n) {
		if (!link) {
			check(n === 0, 'trailer: entries without an index');
			return [];
		}
		const bytes = await this.indexBytes(link);
		const c = new Cursor(bytes);
		check(c.take(8).toString('latin1') === 'fdxindex', 'index: magic');
		check(c.u32() === 1 && c.u32() === INDEX_ENTRY, 'index: version');
		check(c.u64() === this.trailer.ordinal, 'index: ordinal');
		check(c.u64() === BigInt(n), 'index: number of entries');
		check(bytes.length === INDEX_HEAD + n * INDEX_ENTRY, 'index: length');
		const all = [];
		for (let last = null; c.left;) {
			const e = { kind: 'sealed', digest: c.take(32), key: c.take(32),
				place: { ordinal: this.trailer.ordinal,
					offset: Number(c.u64()), length: c.u32() },
				what: c.u8(), codec: c.u8() };
			c.zero(2, 'index');
			check(e.what >= 1 && e.what <= 10, `index: kind ${e.what}`);
			check((link === this.trailer.leaves) === (e.what === 1),
				'index: kind in the wrong index');
			const order = last && (Buffer.compare(last.digest, e.digest) ||
				last.place.offset - e.place.offset);
			check(order === null || order < 0, 'index: order');
			last = e;
			all.push(e);
		}
		return all;
	}

	/** Every section, in order: { offset, length, digest, block }. */
	async* sections() {
		let at = HEADER.length;
		while (at < this.size) {
			const head = new Cursor(await this.read(at,
				Math.min(10, this.size - at)));
			const n = head.size();
			const length = head.at + n;
			yield { offset: at, length, ...await this.section(at, length) };
			at += length;
		}
		if (at !== this.size)
			throw new FormatError(`${this.path}: last section`);
	}
}
