/*
 * node.mjs - links, attributes and UnixFS nodes with the extension fields
 *
 * Sections 1 and 3 of docs/format.md.  A link here is { kind, codec, digest,
 * key, place, bytes }: kind is 'sealed' or 'identity', place is null or
 * { ordinal, offset, length }.
 */
import { murmur3128 } from '@multiformats/murmur3';

import { sha256 } from './crypt.mjs';
import { Cursor, FormatError, check, equal, fields, isZero, protobuf }
	from './wire.mjs';

export const RAW = 0x55;
export const DAG_PB = 0x70;

const SHARED_BUCKET_MAX = 1024;
const SHARED_LEVEL = 7;
const LAST_LEVEL = 15;

export const identityLink = (codec, bytes) =>
	({ kind: 'identity', codec, bytes, place: null });

/** An encoded link of section 1; null is kind 0. */
export function decodeLink(bytes) {
	const c = new Cursor(bytes);
	const link = takeLink(c);
	c.done('link');
	return link;
}

/** The same from a cursor, which then stands behind it. */
export function takeLink(c) {
	const kind = c.u8();
	const codec = c.u8();
	if (kind === 0) {
		check(codec === 0, 'link: none with a codec');
		return null;
	}
	check(codec === RAW || codec === DAG_PB, `link: codec ${codec}`);
	if (kind === 2) {
		const n = c.u8();
		check(n <= 128, `link: identity of ${n} bytes`);
		return identityLink(codec, c.take(n));
	}
	check(kind === 1, `link: kind ${kind}`);
	const digest = c.take(32);
	const key = c.take(32);
	const place = { ordinal: c.u64(), offset: Number(c.u64()),
		length: c.u32() };
	return { kind: 'sealed', codec, digest, key,
		place: place.ordinal ? place : null };
}

/** The CID in a dag-pb link; key and place come later. */
function linkOfCid(cid) {
	const c = new Cursor(cid);
	check(c.u8() === 1, 'CID is not version 1');
	const codec = c.u8();
	check(codec === RAW || codec === DAG_PB, `CID: codec ${codec}`);
	const hash = c.u8();
	const n = c.size();
	check(n === c.left, 'CID: length of the digest');
	if (hash === 0) {
		check(n <= 128, `identity CID of ${n} bytes`);
		return identityLink(codec, c.take(n));
	}
	check(hash === 0x12 && n === 32, `CID: hash ${hash}`);
	return { kind: 'sealed', codec, digest: c.take(32), place: null };
}

const ATTR = {
	1: ['ino', 'u'], 2: ['mode', 'u'], 3: ['uid', 'u'], 4: ['gid', 'u'],
	5: ['size', 'u'],
	6: ['mtimeS', 's'], 7: ['mtimeNs', 'u'], 8: ['ctimeS', 's'],
	9: ['ctimeNs', 'u'], 10: ['btimeS', 's'], 11: ['btimeNs', 'u'],
	12: ['atimeS', 's'], 13: ['atimeNs', 'u'],
	14: ['nlink', 'u'], 15: ['rdev', 'u'], 16: ['xattrs', 'b*'],
	17: ['ref', 'b'], 18: ['shared', 'u'],
};

function xattrSet(list) {
	let last = null;
	return list.map((bytes) => {
		const x = fields(bytes, { 1: ['name', 'b'], 2: ['value', 'b'] },
			'Xattr');
		check(x.name && x.name.length <= 255 && !x.name.includes(0),
			'Xattr: name');
		check(!last || Buffer.compare(last, x.name) < 0, 'Xattr: order');
		last = x.name;
		x.value ??= Buffer.alloc(0);
		check(x.value.length <= 65536, 'Xattr: value');
		return x;
	});
}

/** An Attr; `xattrs` are decoded, `ref` is a link or null. */
export function decodeAttr(bytes) {
	check(bytes.length <= 4096, `Attr of ${bytes.length} bytes`);
	const a = fields(bytes, ATTR, 'Attr');
	for (const t of ['m', 'c', 'b', 'a'])
		check(a[`${t}timeNs`] < 1000000000n, `Attr: ${t}time`);
	check(a.shared <= 1n, 'Attr: field 18');
	check(!a.ref || !a.xattrs.length, 'Attr: fields 16 and 17');
	a.xattrs = xattrSet(a.xattrs);
	const total = a.xattrs.reduce(
		(n, x) => n + x.name.length + x.value.length, 0);
	check(total <= 256, `Attr: ${total} bytes of extended attributes`);
	if (a.ref) {
		const r = fields(a.ref, { 1: ['cid', 'b'], 2: ['key', 'b'],
			3: ['place', 'b'] }, 'Ref');
		check(r.cid?.length === 36 && r.key?.length === 32, 'Ref');
		a.ref = linkOfCid(r.cid);
		check(a.ref.kind === 'sealed' && a.ref.codec === RAW, 'Ref: CID');
		a.ref.key = r.key;
		if (r.place) {
			const c = new Cursor(r.place);
			a.ref.place = { ordinal: c.varint(), offset: c.size(),
				length: c.size() };
			c.done('Ref: place');
		}
	}
	return a;
}

/** The block of a Ref. */
export function decodeXattrBlock(bytes) {
	check(bytes.length <= 1 << 20, `xattr block of ${bytes.length} bytes`);
	return xattrSet(fields(bytes, { 16: ['x', 'b*'] }, 'xattr block').x);
}

function takePlaces(links, bytes) {
	const c = new Cursor(bytes);
	let i = 0;
	while (c.left) {
		const n = c.size();
		check(n > 0 && i + n <= links.length, `x_places: run of ${n}`);
		const ordinal = c.varint();
		let offset = ordinal ? c.size() : 0;
		for (const end = i + n; i < end; i++) {
			if (!ordinal)
				continue;
			const length = c.size();
			check(links[i].kind === 'sealed', 'x_places: identity link');
			links[i].place = { ordinal, offset, length };
			offset += length;
		}
	}
	check(i === links.length, `x_places: ${i} of ${links.length} links`);
}

const TYPES = { 0: 'raw', 1: 'directory', 2: 'file', 4: 'symlink', 5: 'shard' };

function takeData(node, bytes) {
	const attrs = [];
	let keys = null;
	let places = null;
	let holes = null;
	let last = 0;
	for (const [number, , value] of protobuf(bytes, 'UnixFS Data')) {
		check(number >= last, 'UnixFS Data: order of fields');
		last = number;
		if (number === 1)
			node.type = TYPES[value];
		else if (number === 2)
			node.data = value;
		else if (number === 3)
			node.filesize = value;
		else if (number === 4)
			node.blocksizes.push(value);
		else if (number === 5)
			node.hashType = value;
		else if (number === 6)
			node.fanout = value;
		else if (number === 1201)
			keys = value;
		else if (number === 1202)
			places = value;
		else if (number === 1203)
			holes = value;
		else if (number === 1204)
			attrs.push(value);
		else
			throw new FormatError(`UnixFS Data: field ${number}`);
	}
	check(node.type, 'UnixFS Data: type');
	const n = node.links.length;
	check((keys?.length ?? 0) === 32 * n, 'x_keys: count');
	node.links.forEach((link, i) => {
		const key = keys.subarray(32 * i, 32 * i + 32);
		if (link.kind === 'sealed')
			link.key = key;
		else
			check(isZero(key), 'x_keys: key of an identity link');
	});
	check(n === 0 || places, 'x_places: absent');
	if (places)
		takePlaces(node.links, places);
	if (holes) {
		check(node.type === 'file', 'x_holes: not a file');
		check(holes.length === Math.ceil(n / 8), 'x_holes: length');
		check(!isZero(holes), 'x_holes: no hole');
		for (let i = 0; i < 8 * holes.length; i++) {
			const bit = holes[i >> 3] >> (i & 7) & 1;
			check(!bit || i < n, 'x_holes: bit behind the last link');
			if (bit)
				node.links[i].hole = true;
		}
	}
	if (node.type === 'directory' || node.type === 'shard') {
		check(attrs.length === n, `${attrs.length} Attrs, ${n} links`);
		node.links.forEach((link, i) => {
			link.attr = attrs[i];
		});
	} else {
		check(attrs.length === 0, 'Attr beside a file');
	}
}

/** An opened dag-pb block; names stay bytes, for they need not be UTF-8. */
export function decodeNode(bytes) {
	const node = { links: [], blocksizes: [], data: null, filesize: 0n };
	let data = null;
	for (const [number, wire, value] of protobuf(bytes, 'dag-pb')) {
		check(wire === 2 && data === null && (number === 1 || number === 2),
			`dag-pb: field ${number}`);
		if (number === 1) {
			data = value;
			continue;
		}
		const l = { 1: null, 2: Buffer.alloc(0), 3: 0n };
		for (const [n, , v] of protobuf(value, 'PBLink'))
			l[n] = v;
		check(l[1], 'PBLink without a CID');
		node.links.push(Object.assign(linkOfCid(l[1]),
			{ name: l[2], tsize: l[3] }));
	}
	check(data, 'dag-pb: no Data');
	takeData(node, data);
	if (node.type === 'file') {
		check(node.blocksizes.length === node.links.length,
			'file: blocksizes');
		const below = node.blocksizes.reduce((a, b) => a + b, 0n);
		check(node.filesize === below + BigInt(node.data?.length ?? 0),
			'file: filesize');
	}
	return node;
}

/** The 16 bytes that choose a name's buckets, level by level. */
async function bucketsOf(name) {
	const h = await murmur3128.encode(name);
	return Buffer.concat([h.subarray(0, 8), sha256(name).subarray(0, 8)]);
}

/*
 * The entries of one directory, shards opened by `load(link)`, which answers
 * the opened bytes.  Yields { name, link, attr }, in the order of the nodes.
 * `visit(link, node)` is told of every node.
 */
export async function* entries(link, load, visit = () => {}) {
	const node = decodeNode(await load(link));
	visit(link, node);
	if (node.type === 'directory') {
		let last = null;
		for (const l of node.links) {
			check(!last || Buffer.compare(last, l.name) < 0,
				'directory: order of names');
			last = l.name;
			yield { name: l.name, link: l, attr: l.attr };
		}
		return;
	}
	yield* shardEntries(node, [], load, visit);
}

function checkShard(node, level) {
	check(node.type === 'shard', `${node.type} where a shard should be`);
	check(node.fanout === 256n && node.hashType === 0x22n,
		'shard: fanout or hash');
	const bits = new Set();
	const count = new Map();
	for (const [i, l] of node.links.entries()) {
		check(i === 0 || Buffer.compare(node.links[i - 1].name, l.name) < 0,
			'shard: order of links');
		const digits = l.name.subarray(0, 2).toString('latin1');
		check(/^[0-9A-F]{2}$/.test(digits), 'shard: name of a link');
		const bucket = parseInt(digits, 16);
		bits.add(bucket);
		count.set(bucket, (count.get(bucket) ?? 0) + 1);
		l.bucket = bucket;
	}
	const field = node.data ?? Buffer.alloc(0);
	for (let b = 0; b < 256; b++) {
		const at = field.length - 1 - (b >> 3);
		const bit = at >= 0 ? field[at] >> (b & 7) & 1 : 0;
		check(!!bit === bits.has(b), `shard: bit of bucket ${b}`);
	}
	for (const n of count.values())
		check(n === 1 || level === LAST_LEVEL ||
			(level === SHARED_LEVEL && n <= SHARED_BUCKET_MAX),
		`shard: ${n} links in a bucket of level ${level}`);
}

async function* shardEntries(node, path, load, visit) {
	checkShard(node, path.length);
	for (const l of node.links) {
		const here = [...path, l.bucket];
		if (l.name.length === 2) {
			check(here.length <= LAST_LEVEL, 'shard: too deep');
			check(l.attr.length === 0, 'shard: Attr of a sub-shard');
			const below = decodeNode(await load(l));
			visit(l, below);
			yield* shardEntries(below, here, load, visit);
			continue;
		}
		const name = l.name.subarray(2);
		check(equal((await bucketsOf(name)).subarray(0, here.length),
			Buffer.from(here)), 'shard: name in a wrong bucket');
		yield { name, link: l, attr: l.attr };
	}
}
