/*
 * fildrive.mjs - a reader of drives, made from docs/format.md alone
 *
 *   const drive = await openDrive(words, [folder, ...]);
 *   for await (const e of drive.walk())
 *           ... e.path, e.type, e.attr, await e.xattrs(), e.content() ...
 *
 * It shares no code with the writer, trusts no byte it has not verified, and
 * has no cache, so it is slow.  What it cannot read is a FormatError.
 */
import { keyIsRight, keysOf, openBlock, openRecord, paddedRight,
	sha256, unwrapSecret } from './crypt.mjs';
import { parsePieceCid } from './commp.mjs';
import { DAG_PB, RAW, decodeAttr, decodeLink, decodeNode, decodeXattrBlock,
	entries, takeLink } from './node.mjs';
import { Piece, Store } from './piece.mjs';
import { Cursor, FormatError, check, equal, fields, hex, isZero } from './wire.mjs';

const FORMAT = 1n;
const ZEROS = Buffer.alloc(1 << 20);

const COMMIT = {
	1: ['minReader', 'u'], 2: ['minWriter', 'u'], 3: ['sequence', 'u'],
	4: ['parent', 'b'], 5: ['timeS', 's'], 6: ['timeNs', 'u'],
	7: ['writer', 'u'], 8: ['device', 'b'], 9: ['root', 'b'],
	10: ['rootAttr', 'b'], 11: ['inodes', 'b'], 12: ['nextIno', 'u'],
	13: ['nInodes', 'u'], 14: ['nBytes', 'u'], 15: ['nextPiece', 'u'],
	16: ['epoch', 'u'], 17: ['wrapped', 'b'], 18: ['pieces', 'b*'],
	19: ['catalogue', 'b'], 20: ['retained', 'b'], 21: ['settings', 'b'],
};

export function decodeCommit(body, keys) {
	/* Field 1 is looked at before the rest may be misunderstood. */
	check(body[0] === 0x08, 'commit: no min_reader');
	check(body[1] <= Number(FORMAT), `commit for readers of format ${body[1]}`);
	const c = fields(body, COMMIT, 'commit');
	check(c.sequence > 0n, 'commit: sequence');
	check((c.parent === null) === (c.sequence === 1n), 'commit: parent');
	check(c.parent === null || c.parent.length === 32, 'commit: parent');
	check(c.timeNs < 1000000000n, 'commit: time');
	check(c.writer > 0n && c.writer < 1n << 24n, 'commit: writer tag');
	check(!c.device || c.device.length <= 64, 'commit: device');
	for (const name of ['root', 'inodes', 'catalogue', 'retained'])
		c[name] = c[name] && decodeLink(c[name]);
	check(c.root?.codec === DAG_PB, 'commit: root');
	check(c.rootAttr, 'commit: Attr of the root');
	c.rootAttr = decodeAttr(c.rootAttr);
	check(c.epoch > 0n && c.wrapped, 'commit: convergence secret');
	c.convergence = unwrapSecret(c.wrapped, keys.commit, c.epoch);
	let last = 0n;
	c.pieces = c.pieces.map((bytes) => {
		const p = fields(bytes, { 1: ['ordinal', 'u'], 2: ['cid', 'b'],
			3: ['kind', 'u'] }, 'Piece');
		check(p.ordinal > last, 'commit: order of pieces');
		last = p.ordinal;
		check(p.kind === 1n || p.kind === 2n, 'Piece: kind');
		return { ...p, ...parsePieceCid(p.cid) };
	});
	c.settings = fields(c.settings ?? Buffer.alloc(0),
		{ 1: ['compress', 'u'], 2: ['copies', 'u'] }, 'Settings');
	return c;
}

/** One entry of the walk. */
class Entry {
	constructor(drive, path, link, attr, shared = false) {
		Object.assign(this, { drive, path, link, attr, shared });
		const type = Number(attr.mode & 0o170000n);
		this.type = { 0o100000: 'file', 0o040000: 'directory',
			0o120000: 'symlink', 0o010000: 'fifo', 0o020000: 'char',
			0o060000: 'block', 0o140000: 'socket' }[type];
		check(this.type, `${path}: mode ${attr.mode.toString(8)}`);
	}

	/** [{ name, value }], ascending. */
	async xattrs() {
		if (!this.attr.ref)
			return this.attr.xattrs;
		return decodeXattrBlock(await this.drive.load(this.attr.ref));
	}

	/** The target of a symbolic link. */
	async target() {
		check(this.type === 'symlink', 'no symbolic link');
		const node = decodeNode(await this.drive.load(this.link));
		check(node.type === 'symlink' && node.data, 'symlink: node');
		check(BigInt(node.data.length) === this.attr.size, 'symlink: size');
		return node.data;
	}

	/** A file's bytes, in chunks; holes are chunks of zeros. */
	async* content() {
		check(this.type === 'file', 'no regular file');
		let n = 0n;
		for await (const part of this.drive.extents(this.link, 0n, false)) {
			n += part.length;
			if (part.bytes) {
				yield part.bytes;
				continue;
			}
			for (let left = part.length; left;) {
				const some = left < ZEROS.length ? Number(left) : ZEROS.length;
				yield ZEROS.subarray(0, some);
				left -= BigInt(some);
			}
		}
		check(n === this.attr.size, `${n} bytes, size ${this.attr.size}`);
	}

	/** The file's holes, merged: [[begin, end), ...] as BigInt pairs. */
	async holes() {
		const found = [];
		for await (const part of this.drive.extents(this.link, 0n, true)) {
			if (!part.hole)
				continue;
			const end = part.offset + part.length;
			if (found.length && found.at(-1)[1] === part.offset)
				found.at(-1)[1] = end;
			else
				found.push([part.offset, end]);
		}
		return found;
	}
}

export class Drive {
	constructor(words, stores) {
		this.keys = keysOf(words);
		this.stores = stores;
		this.byOrdinal = new Map(); /* BigInt -> piece CID text */
		this.open = new Map(); /* piece CID text -> [Piece], its copies */
		this.blocks = { seen: 0, keyed: 0, compressed: 0 };
	}

	/** The copies of a piece that can be read, best first. */
	async copies(cid) {
		if (this.open.has(cid))
			return this.open.get(cid);
		const found = [];
		let error = new FormatError(`no store has piece ${cid}`);
		for (const store of this.stores) {
			if (!store.pieces.includes(cid))
				continue;
			try {
				found.push(await Piece.open(store.path(cid), this.keys));
			} catch (e) {
				error = e;
			}
		}
		if (!found.length)
			throw error;
		this.byOrdinal.set(found[0].trailer.ordinal, cid);
		this.open.set(cid, found);
		return found;
	}

	/** The CIDs of all pieces in the stores. */
	pieces() {
		return [...new Set(this.stores.flatMap((s) => s.pieces))].sort();
	}

	async head(h) {
		for (const store of this.stores) {
			const record = await store.head(this.keys, h);
			if (record)
				return parsePieceCid(openRecord(record, 'head',
					this.keys.headSeal, this.keys.id)).text;
		}
		return null;
	}

	/** The newest sequence that is claimed, and its piece; null without one. */
	async newestHead() {
		let low = 0n;
		let high = 1n;
		for (; await this.head(high); high *= 2n)
			low = high;
		while (high - low > 1n) {
			const middle = (low + high) / 2n;
			if (await this.head(middle))
				low = middle;
			else
				high = middle;
		}
		return low && { sequence: low, piece: await this.head(low) };
	}

	/** The same without a register: the trailers say it. */
	async newestTrailer() {
		let newest = null;
		for (const cid of this.pieces()) {
			const [{ trailer }] = await this.copies(cid);
			if (trailer.sequence > (newest?.sequence ?? 0n))
				newest = { sequence: trailer.sequence, piece: cid };
		}
		return newest;
	}

	/** The commit that a piece carries. */
	async commitOf(cid, sequence) {
		const [piece] = await this.copies(cid);
		check(piece.trailer.sequence === sequence,
			`piece ${cid} has no commit ${sequence}`);
		const record = await piece.commitRecord();
		const commit = decodeCommit(openRecord(record, 'commit',
			this.keys.commit, this.keys.id), this.keys);
		check(commit.sequence === sequence, 'commit: another sequence');
		commit.name = sha256(record);
		commit.piece = cid;
		commit.previous = piece.trailer.previous;
		if (commit.parent)
			check(equal(commit.parent, commit.previous.digest) &&
				commit.previous.sequence === sequence - 1n,
			'trailer: the previous head is not the parent');
		for (const p of commit.pieces)
			this.byOrdinal.set(p.ordinal, p.text);
		return commit;
	}

	/** Open what the drive is now, and its catalogue. */
	async start(newest) {
		check(newest, 'the stores have no commit of this drive');
		this.commit = await this.commitOf(newest.piece, newest.sequence);
		this.catalogue = await this.readCatalogue(this.commit);
		for (const [ordinal, p] of this.catalogue)
			this.byOrdinal.set(ordinal, p.text);
		this.inodes = await this.readInodes(this.commit.inodes);
	}

	/** Commits from the newest to the first, as far as they are stored. */
	async* history() {
		for (let c = this.commit; ;) {
			yield c;
			if (!c.parent || !this.pieces().includes(c.previous.piece))
				return;
			const { parent } = c;
			c = await this.commitOf(c.previous.piece, c.previous.sequence);
			check(equal(c.name, parent), 'commit: not the parent');
		}
	}

	async section(link, piece, place) {
		const s = await piece.section(place.offset, place.length);
		check(equal(s.digest, link.digest), 'another block is at the place');
		return s.block;
	}

	/** The sealed block of a link, from its place, else by the indexes. */
	async fetch(link) {
		const cid = link.place && this.byOrdinal.get(link.place.ordinal);
		for (const piece of cid ? await this.copies(cid) : []) {
			try {
				return await this.section(link, piece, link.place);
			} catch (e) {
				if (!(e instanceof FormatError))
					throw e;
			}
		}
		for (const other of this.pieces())
			for (const piece of await this.copies(other))
				for (const e of await piece.entries())
					if (equal(e.digest, link.digest))
						return this.section(link, piece, e.place);
		throw new FormatError(`no piece has block ${hex(link.digest)}`);
	}

	/** The opened bytes that a link names. */
	async load(link) {
		if (link.kind === 'identity')
			return link.bytes;
		const opened = openBlock(await this.fetch(link), link.key);
		check(paddedRight(opened.n, opened.padded, link.codec === RAW),
			`padding: ${opened.n} bytes to ${opened.padded}`);
		this.blocks.seen++;
		this.blocks.compressed += opened.compressed;
		if (keyIsRight(this.commit.convergence, opened.payload, link.key))
			this.blocks.keyed++;
		return opened.body;
	}

	entries(link, visit) {
		return entries(link, (l) => this.load(l), visit);
	}

	async readCatalogue(commit) {
		const all = new Map();
		if (!commit.catalogue)
			return all;
		for await (const e of this.entries(commit.catalogue)) {
			const name = e.name.toString('latin1');
			check(/^[0-9a-f]{16}$/.test(name), 'catalogue: name');
			check(e.link.kind === 'identity' && e.link.codec === RAW,
				'catalogue: link');
			const attr = decodeAttr(e.attr);
			check(attr.mode === 0o100400n &&
				attr.size === BigInt(e.link.bytes.length), 'catalogue: Attr');
			const kind = e.link.bytes.at(-1);
			check(kind === 1 || kind === 2, 'catalogue: kind');
			all.set(BigInt(`0x${name}`),
				{ kind, ...parsePieceCid(e.link.bytes.subarray(0, -1)) });
		}
		return all;
	}

	async readInodes(link) {
		const all = new Map();
		if (!link)
			return all;
		for await (const e of this.entries(link)) {
			const name = e.name.toString('latin1');
			check(/^[0-9a-f]{16}$/.test(name), 'inode table: name');
			const attr = decodeAttr(e.attr);
			check(attr.ino === BigInt(`0x${name}`) && attr.nlink > 1n &&
				!attr.shared, 'inode table: Attr');
			all.set(attr.ino, { link: e.link, attr });
		}
		return all;
	}

	/** Retained commits: { sequence, timeS, link, inodes, attr, ... } each. */
	async retained() {
		const all = [];
		if (!this.commit.retained)
			return all;
		for await (const e of this.entries(this.commit.retained)) {
			const name = e.name.toString('latin1');
			check(/^[0-9a-f]{16}$/.test(name), 'retained commits: name');
			const attr = decodeAttr(e.attr);
			check(attr.mode === 0o100400n && e.link.codec === RAW,
				'retained commits: entry');
			const c = new Cursor(await this.load(e.link));
			const one = { sequence: BigInt(`0x${name}`), timeS: c.i64(),
				link: takeLink(c), inodes: takeLink(c),
				catalogue: takeLink(c), attr: decodeAttr(c.take(c.size())),
				device: c.take(c.size()) };
			/* An older writer had not counted them. */
			one.nInodes = c.left ? c.varint() : 0n;
			one.nBytes = one.nInodes ? c.varint() : 0n;
			c.done('retained commit');
			check(one.link?.codec === DAG_PB, 'retained commit: root');
			all.push(one);
		}
		return all;
	}

	/*
	 * The extents of a file: { offset, length, bytes } for data, { hole: true }
	 * for holes, whose zeros are verified.  With `skip` leaves that are no
	 * holes are not fetched.
	 */
	async* extents(link, offset, skip) {
		if (link.codec === RAW) {
			const bytes = await this.load(link);
			yield { offset, length: BigInt(bytes.length), bytes };
			return;
		}
		const node = decodeNode(await this.load(link));
		check(node.type === 'file', `${node.type} in a file`);
		check(!node.data, 'file node with bytes of its own');
		for (const [i, child] of node.links.entries()) {
			const length = node.blocksizes[i];
			check(child.name.length === 0, 'file: link with a name');
			if (child.hole) {
				await this.checkZeros(child, length);
				yield { offset, length, hole: true };
			} else if (skip && child.codec === RAW) {
				yield { offset, length };
			} else {
				let n = 0n;
				for await (const part of this.extents(child, offset, skip)) {
					n += part.length;
					yield part;
				}
				check(n === length, `file: child of ${n}, not ${length}`);
			}
			offset += length;
		}
	}

	async checkZeros(link, length) {
		this.zeros ??= new Set();
		const id = `${hex(link.digest ?? link.bytes)} ${length}`;
		if (this.zeros.has(id))
			return;
		if (link.codec === RAW) {
			const bytes = await this.load(link);
			check(isZero(bytes) && BigInt(bytes.length) === length,
				'hole that is not zeros');
		} else {
			const node = decodeNode(await this.load(link));
			check(node.type === 'file' && node.filesize === length, 'hole');
			for (const [i, child] of node.links.entries())
				await this.checkZeros(child, node.blocksizes[i]);
		}
		this.zeros.add(id);
	}

	/*
	 * Every name of a tree, directories before what is in them, the root first
	 * under the empty path.  Paths are bytes.  Without arguments the newest.
	 */
	async* walk(from = null) {
		const inodes = from?.inodes ? await this.readInodes(from.inodes) :
			from ? new Map() : this.inodes;
		const root = new Entry(this, Buffer.alloc(0),
			from?.link ?? this.commit.root, from?.attr ?? this.commit.rootAttr);
		check(root.type === 'directory', 'the root is no directory');
		yield root;
		yield* this.walkBelow(root, inodes);
	}

	async* walkBelow(dir, inodes) {
		for await (const e of this.entries(dir.link)) {
			check(e.name.length > 0 && !e.name.includes(0) &&
				!e.name.includes(0x2f) && !/^\.\.?$/.test(e.name.toString()),
			'name of an entry');
			const path = dir.path.length ?
				Buffer.concat([dir.path, Buffer.from('/'), e.name]) : e.name;
			let attr = decodeAttr(e.attr);
			let { link } = e;
			if (attr.shared) {
				const real = inodes.get(attr.ino);
				check(real, `no inode ${attr.ino} in the table`);
				check((real.attr.mode & 0o170000n) === (attr.mode & 0o170000n),
					'inode table: another type');
				check(e.link.kind === 'identity' && !e.link.bytes.length,
					'a hard link has content of its own');
				({ link, attr } = real);
			}
			const entry = new Entry(this, path, link, attr, link !== e.link);
			yield entry;
			if (entry.type === 'directory')
				yield* this.walkBelow(entry, inodes);
		}
	}
}

/** Open a drive; `by` is 'head' or 'trailer', how the newest commit is found. */
export async function openDrive(words, folders, by = 'head') {
	const stores = [];
	for (const folder of folders)
		stores.push(await Store.open(folder));
	const drive = new Drive(words, stores);
	await drive.start(by === 'head' ? await drive.newestHead() :
		await drive.newestTrailer());
	return drive;
}
