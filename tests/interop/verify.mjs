/*
 * verify.mjs - everything that can be checked about the pieces of a drive
 *
 * Each piece has the name that its bytes commit to, consists of the parts that
 * section 5 of docs/format.md lists and in their order, and its indexes name
 * exactly its blocks, with keys that open them to what they say.
 */
import { parsePieceCid, pieceCid } from './commp.mjs';
import { openBlock, paddedRight } from './crypt.mjs';
import { RAW, decodeNode, decodeXattrBlock } from './node.mjs';
import { TRAILER_SECTION } from './piece.mjs';
import { check, equal, hex, isZero } from './wire.mjs';

const BASIC_MAX = 16384;
const OPENED = {
	2: ['file'], 3: ['directory', 'shard'], 4: ['shard'], 5: ['symlink'],
	7: ['directory', 'shard'], 8: ['directory', 'shard'],
	9: ['directory', 'shard'], 10: ['directory', 'shard'],
};

function checkOpened(entry, block) {
	const o = openBlock(block, entry.key);
	check(paddedRight(o.n, o.padded, entry.codec === RAW),
		`padding: ${o.n} bytes to ${o.padded}`);
	if (entry.what === 1 || entry.what === 6) {
		check(entry.codec === RAW, `index: kind ${entry.what} is not raw`);
		if (entry.what === 6)
			decodeXattrBlock(o.body);
		return;
	}
	if (entry.what === 10 && entry.codec === RAW)
		return; /* what a retained commit was: read by Drive.retained() */
	const { type } = decodeNode(o.body);
	check(OPENED[entry.what].includes(type),
		`index: kind ${entry.what} opens to a ${type}`);
}

/*
 * Walk one piece.  Returns the number of sections by what they are: { leaf,
 * index of leaves, node, index of nodes, commit, filler, trailer }.
 */
export async function verifyPiece(piece) {
	const t = piece.trailer;
	const known = new Map();
	for (const e of await piece.entries())
		known.set(e.place.offset, e);
	const index = new Map();
	for (const part of ['leafIndex', 'nodeIndex'])
		for (const p of piece[`${part}Places`])
			index.set(p.offset, part);
	check(known.size === t.nLeaves + t.nNodes, 'index: one place twice');

	const parts = ['leaf', 'leafIndex', 'node', 'nodeIndex', 'commit',
		'filler', 'trailer'];
	const count = Object.fromEntries(parts.map((p) => [p, 0]));
	let part = 0;
	const enter = (name, s) => {
		const next = parts.indexOf(name);
		check(next >= part, `${name} behind ${parts[part]} at ${s.offset}`);
		part = next;
		count[name]++;
	};
	for await (const s of piece.sections()) {
		const e = known.get(s.offset);
		if (e) {
			check(equal(e.digest, s.digest) && e.place.length === s.length,
				`index: entry of ${hex(s.digest)}`);
			checkOpened(e, s.block);
			enter(e.what === 1 ? 'leaf' : 'node', s);
		} else if (index.has(s.offset)) {
			enter(index.get(s.offset), s);
		} else if (t.sequence && s.offset === t.commit.offset) {
			check(s.length === t.commit.length, 'trailer: commit');
			enter('commit', s);
		} else if (s.offset === piece.size - TRAILER_SECTION) {
			enter('trailer', s);
		} else {
			check(!isZero(s.block), 'filler of zeros');
			enter('filler', s);
		}
	}
	check(count.leaf === t.nLeaves && count.node === t.nNodes &&
		count.leafIndex + count.nodeIndex === index.size &&
		count.commit === (t.sequence ? 1 : 0) && count.trailer === 1,
	`${piece.path}: parts are missing`);
	return count;
}

/** Verify every piece of the stores; [{ piece, parts }]. */
export async function verifyPieces(drive) {
	const done = [];
	for (const cid of drive.pieces())
		for (const piece of await drive.copies(cid)) {
			const { text } = parsePieceCid(await pieceCid(piece.path));
			check(text === cid, `${piece.path}: its bytes are ${text}`);
			done.push({ cid, ordinal: piece.trailer.ordinal,
				parts: await verifyPiece(piece) });
		}
	return done;
}

/** What the commit says about pieces against what the stores hold. */
export async function verifyLists(drive) {
	const listed = new Map(drive.catalogue);
	for (const p of drive.commit.pieces)
		listed.set(p.ordinal, p);
	for (const [ordinal, p] of listed) {
		const [piece] = await drive.copies(p.text);
		check(piece.trailer.ordinal === ordinal, `${p.text}: ordinal`);
		check(piece.size === p.size, `${p.text}: size`);
	}
	return listed.size;
}

const varintSize = (n) => Math.max(1, Math.ceil(n.toString(2).length / 7));
const framed = (n) => varintSize(n) + n;

/* The encoded size, without x_places, of a basic directory of these entries. */
function basicSize(list) {
	let links = 0;
	let data = 2;
	for (const { name, link, attr } of list) {
		const cid = link.kind === 'sealed' ? 36 : 4 + link.bytes.length;
		const pbLink = 1 + framed(cid) + 1 + framed(name.length) + 1 +
			varintSize(link.tsize);
		links += 1 + framed(pbLink);
		data += 2 + framed(attr.length);
	}
	if (list.length)
		data += 2 + framed(32 * list.length);
	return links + 1 + framed(data);
}

/*
 * A directory is basic exactly while that size is at most 16,384, and a name in
 * a shard stands no deeper than others make it.  Returns the number of
 * directories of each kind, and what the indexes call the shards below a root
 * (4, and in pieces of before 2026-11-22 what their root is).
 */
export async function verifyShapes(drive) {
	const count = { basic: 0, sharded: 0, called: {} };
	const what = new Map();
	for (const cid of drive.pieces())
		for (const piece of await drive.copies(cid))
			for (const e of await piece.entries())
				what.set(hex(e.digest), e.what);
	for await (const dir of drive.walk()) {
		if (dir.type !== 'directory')
			continue;
		const list = [];
		let root = null;
		const below = (link, node) => {
			root ??= node;
			check(node === root || node.links.length > 1 ||
				node.links[0]?.name.length === 2, 'shard of one name');
			if (node !== root && link.kind === 'sealed') {
				const said = what.get(hex(link.digest));
				count.called[said] = (count.called[said] ?? 0) + 1;
			}
		};
		for await (const e of drive.entries(dir.link, below))
			list.push(e);
		const basic = basicSize(list) <= BASIC_MAX;
		check(basic === (root.type === 'directory'),
			`${dir.path}: ${root.type} of ${list.length} entries`);
		count[basic ? 'basic' : 'sharded']++;
	}
	return count;
}
