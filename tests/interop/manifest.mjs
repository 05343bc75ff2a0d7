/*
 * manifest.mjs - print what a drive is, as JSON
 *
 *   node manifest.mjs --words-file FILE [--by head|trailer] [--sequence N]
 *                     [--no-pieces] STORE...
 *
 * Opens the newest commit (or the retained commit N), walks all of it, and
 * reads every byte.  Names are as Python's os.fsdecode shows them; xattr values
 * are hex.  Unless --no-pieces every piece is verified too.  Exit status 0, or
 * 1 with the reason on standard error.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { openDrive } from './fildrive.mjs';
import { verifyLists, verifyPieces, verifyShapes } from './verify.mjs';
import { check, fsdecode, hex } from './wire.mjs';

const NS = 1000000000n;

async function rowOf(e) {
	const { attr } = e;
	const row = { path: fsdecode(e.path), type: e.type, ino: `${attr.ino}`,
		mode: Number(attr.mode & 0o7777n), uid: Number(attr.uid),
		gid: Number(attr.gid), nlink: Number(attr.nlink),
		size: Number(attr.size),
		mtime_ns: `${attr.mtimeS * NS + attr.mtimeNs}`,
		ctime_ns: `${attr.ctimeS * NS + attr.ctimeNs}`,
		xattrs: Object.fromEntries((await e.xattrs()).map(
			(x) => [fsdecode(x.name), hex(x.value)])) };
	if (e.type === 'file') {
		const h = createHash('sha256');
		for await (const bytes of e.content())
			h.update(bytes);
		row.sha256 = h.digest('hex');
		row.holes = (await e.holes()).map((pair) => pair.map(Number));
	} else if (e.type === 'symlink') {
		row.target = fsdecode(await e.target());
	} else if (e.type === 'char' || e.type === 'block') {
		row.rdev = [Number(attr.rdev >> 32n), Number(attr.rdev & 0xffffffffn)];
	}
	return row;
}

export async function manifest(drive, sequence = null, pieces = true) {
	const { commit } = drive;
	let from = null;
	const retained = await drive.retained();
	if (sequence !== null) {
		from = retained.find((r) => r.sequence === sequence);
		check(from, `commit ${sequence} is not retained`);
	}
	const rows = [];
	const inodes = new Map();
	for await (const e of drive.walk(from)) {
		const row = await rowOf(e);
		const names = inodes.get(row.ino) ?? [];
		inodes.set(row.ino, [...names, row.path]);
		rows.push(row);
	}
	const files = new Map(rows.filter((r) => r.type === 'file')
		.map((r) => [r.ino, r.size]));
	const history = [];
	for await (const c of drive.history())
		history.push(`${c.sequence}`);
	return {
		drive: hex(drive.keys.id), sequence: `${commit.sequence}`,
		counted: { inodes: Number(commit.nInodes), bytes: Number(commit.nBytes) },
		inodes: inodes.size,
		bytes: [...files.values()].reduce((a, b) => a + b, 0),
		device: commit.device ? fsdecode(commit.device) : '',
		retained: retained.map((r) => `${r.sequence}`), history,
		listed: await verifyLists(drive),
		pieces: pieces ? (await verifyPieces(drive)).map((p) => p.parts) : [],
		shapes: pieces ? await verifyShapes(drive) : {},
		blocks: drive.blocks,
		links: [...inodes.values()].filter((n) => n.length > 1)
			.map((n) => n.sort()).sort(),
		entries: rows,
	};
}

async function main() {
	const { values, positionals } = parseArgs({
		allowPositionals: true,
		options: { 'words-file': { type: 'string' },
			by: { type: 'string', default: 'head' },
			sequence: { type: 'string' },
			'no-pieces': { type: 'boolean', default: false } },
	});
	check(values['words-file'] && positionals.length,
		'usage: manifest.mjs --words-file FILE STORE...');
	const words = await readFile(values['words-file'], 'utf8');
	const drive = await openDrive(words, positionals, values.by);
	const out = await manifest(drive,
		values.sequence ? BigInt(values.sequence) : null,
		!values['no-pieces']);
	process.stdout.write(`${JSON.stringify(out, null, ' ')}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
	main().catch((e) => {
		console.error(process.env.FILDRIVE_DEBUG ? e : `manifest: ${e.message}`);
		process.exitCode = 1;
	});
