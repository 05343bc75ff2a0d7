/*
 * pull.mjs - pieces fetched from another provider (section 3.7)
 *
 * The real thing wants https and public hosts; on this network sources are
 * http://127.0.0.1.
 */
import { rm } from 'node:fs/promises';

const PER_CLIENT = 10;
const GLOBAL = 120;
const ALONE = 108;
const PIECES_MAX = 40;
const TRIES = 3;
const RETRY_MS = 300;

export class Puller {
	constructor(provider) {
		this.provider = provider;
		this.pulls = provider.pulls;
	}

	/** What is wrong with a request, if anything is. */
	validate(r) {
		if (!r.extraData)
			return 'extraData is required';
		if (!r.dataSetId && !r.recordKeeper) {
			return 'recordKeeper is required when dataSetId is not provided ' +
				'or is 0';
		}
		if (r.dataSetId && !Number.isSafeInteger(r.dataSetId))
			return 'dataSetId is not a number';
		if (!Array.isArray(r.pieces) || r.pieces.length === 0)
			return 'at least one piece is required';
		if (r.pieces.length > PIECES_MAX) {
			return `piece count (${r.pieces.length}) exceeds the maximum ` +
				`allowed per pull (${PIECES_MAX})`;
		}
		const seen = new Set();
		for (const [i, p] of r.pieces.entries()) {
			if (!p.pieceCid)
				return `piece[${i}]: pieceCid is required`;
			if (!p.sourceUrl)
				return `piece[${i}]: sourceUrl is required`;
			const key = `${p.pieceCid} ${p.sourceUrl}`;
			if (seen.has(key))
				return `piece[${i}]: duplicate pieceCid/sourceUrl`;
			seen.add(key);
			const why = this.validateUrl(p);
			if (why !== undefined)
				return `piece[${i}]: ${why}`;
		}
		return undefined;
	}

	validateUrl({ pieceCid, sourceUrl }) {
		if (!URL.canParse(sourceUrl))
			return 'invalid URL';
		const { protocol, hostname, pathname } = new URL(sourceUrl);
		if (protocol !== 'https:' &&
			!(protocol === 'http:' && hostname === '127.0.0.1'))
			return `URL must use HTTPS scheme, got "${protocol.slice(0, -1)}"`;
		return pathname.endsWith(`/piece/${pieceCid}`) ? undefined :
			`URL path must end in /piece/${pieceCid}`;
	}

	known(key) {
		return this.pulls.has(key);
	}

	pending(payer) {
		let count = 0;
		for (const pull of this.pulls.values()) {
			if (payer === undefined || pull.payer === payer) {
				count += pull.pieces.filter((p) =>
					!['complete', 'failed'].includes(p.status)).length;
			}
		}
		return count;
	}

	/** Start it; the seconds to come back after if there is too much to do. */
	begin(key, payer, cids, urls) {
		const all = this.pending();
		const own = this.pending(payer);
		const alone = all === own;
		if (all + cids.length > GLOBAL ||
			own + cids.length > (alone ? ALONE : PER_CLIENT))
			return 60 + Math.min(240, Math.floor(all / 10) * 60);
		const pieces = cids.map((cid, i) => ({ cid, url: urls[i],
			status: 'pending' }));
		this.pulls.set(key, { payer, pieces });
		this.run(pieces);
		return undefined;
	}

	async run(pieces) {
		for (const p of pieces)
			await this.fetch(p);
	}

	async fetch(p) {
		if (this.provider.piece(p.cid.v1)) {
			p.status = 'complete';
			return;
		}
		for (let i = 0; i < TRIES; i++) {
			p.status = 'inProgress';
			try {
				const res = await fetch(p.url, { headers:
					{ 'Accept-Encoding': 'identity' } });
				if (!res.ok)
					throw new Error(`source answered ${res.status}`);
				const stored = await this.provider.store(res.body,
					p.cid.rawSize);
				if (stored.v1 === p.cid.v1) {
					await this.provider.park(stored, 0);
					this.provider.stats.pulled++;
					this.provider.stats.bytesPulled += p.cid.rawSize;
					p.status = 'complete';
					return;
				}
				await rm(stored.file, { force: true });
				p.why = 'the bytes are not those of the CID';
				break;
			} catch (e) {
				p.why = e.message;
				p.status = 'retrying';
				await new Promise((done) => { setTimeout(done, RETRY_MS).unref(); });
			}
		}
		p.status = 'failed';
	}

	status(key) {
		const { pieces } = this.pulls.get(key);
		const has = (s) => pieces.some((p) => p.status === s);
		const open = ['retrying', 'inProgress', 'pending'].find(has);
		return { status: open ?? (has('complete') ? 'complete' : 'failed'),
			pieces: pieces.map((p) => ({ pieceCid: p.cid.v2,
				status: p.status })) };
	}
}
