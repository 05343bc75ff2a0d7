/*
 * curio.mjs - the HTTP interface of a provider, with the codes and texts of Curio
 *
 * Section 3 of the reference.
 */
import { createHash, randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { isAddress, isHex, getAddress } from 'viem/utils';

import { decodeBoth, decodeCreate } from '../contracts/extradata.mjs';
import { CidError, pieceKey, readPieceV2 } from './cid.mjs';
import { lotusText } from './chain.mjs';
import { Revert, ZERO } from './contract.mjs';
import { json, text } from './http.mjs';
import { Cut, DEPOSIT, PIECE_MAX, PIECE_MIN, SendError } from './provider.mjs';
import { Puller } from './pull.mjs';
import { retrieve } from './retrieval.mjs';

const BATCH_MAX = 40;
const REMOVALS_MAX = 35;
const CREATE_EXTRA_MAX = 4096;
const ADD_EXTRA_MAX = 8192 + 40 * 1024;
const DELETE_EXTRA_MAX = 1024;
const OFFENSES = 5;
const OFFENSE_WINDOW_MS = 60_000;
const BLOCKED_MS = 300_000;
const TERMINATED = 'data set has been terminated';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Ends a request with a reply. */
class Reply extends Error {
	constructor(reply) {
		super('reply');
		this.reply = reply;
	}
}

/** As httpServerError: with an id of the event. */
const fail = (status, message) => {
	throw new Reply(text(status, `${message} [eid: ${randomUUID()}]`));
};

/** As http.Error. */
const plain = (status, message, headers) => {
	throw new Reply(text(status, message, headers));
};

const number = (value, what) => /^\d{1,19}$/.test(value) ? BigInt(value) :
	plain(400, `Invalid ${what} format`);

const txHash = (value) => {
	const hash = value.toLowerCase().startsWith('0x') ? value : `0x${value}`;
	if (hash.length !== 66)
		plain(400, 'Invalid txHash length');
	return isHex(hash) ? hash.toLowerCase() :
		plain(400, 'Invalid txHash format');
};

export class Curio {
	constructor(provider) {
		this.provider = provider;
		this.puller = new Puller(provider);
		this.offenders = new Map();
		const id = '([^/]+)';
		this.routes = [
			['GET', '/pdp/ping', this.ping],
			['POST', '/pdp/piece/uploads', this.newStream],
			['PUT', `/pdp/piece/uploads/${id}`, this.putStream],
			['POST', `/pdp/piece/uploads/${id}`, this.finishStream],
			['POST', '/pdp/piece/pull', this.pull],
			['POST', '/pdp/piece', this.newUpload],
			['PUT', `/pdp/piece/upload/${id}`, this.putUpload],
			['GET', '/pdp/piece', this.find],
			['GET', `/pdp/piece/${id}/status`, this.pieceStatus],
			['POST', '/pdp/data-sets', this.createSet],
			['POST', '/pdp/data-sets/create-and-add', this.createAndAdd],
			['GET', `/pdp/data-sets/created/${id}`, this.created],
			['POST', `/pdp/data-sets/${id}/pieces`, this.addPieces],
			['GET', `/pdp/data-sets/${id}/pieces/added/${id}`, this.added],
			['GET', `/pdp/data-sets/${id}/pieces/${id}`, this.onePiece],
			['DELETE', `/pdp/data-sets/${id}/pieces/${id}`, this.removePieces],
			['POST', `/pdp/data-sets/${id}/terminate`, this.terminate],
			['GET', `/pdp/data-sets/${id}/terminate`, this.termination],
			['GET', `/pdp/data-sets/${id}`, this.getSet],
			['GET', '/health', () => text(200, 'Service is up and running')],
			['GET', '/version', () => text(200, '1.27.0+fildrive-devnet')],
			['GET', '/info', () => text(200, 'fildrive devnet')],
		].map(([method, path, f]) => ({ method, f,
			pattern: new RegExp(`^${path}$`) }));
	}

	async handle(req) {
		const cors = { 'Access-Control-Allow-Origin': '*',
			'Access-Control-Expose-Headers': 'Location' };
		const reply = await this.dispatch(req);
		return reply && { ...reply, headers: { ...cors, ...reply.headers } };
	}

	async dispatch(req) {
		if (/^\/(piece|ipfs)\//.test(req.path)) {
			return ['GET', 'HEAD'].includes(req.method) ?
				retrieve(this.provider, req) : text(405, 'Method Not Allowed');
		}
		try {
			if (req.path.startsWith('/pdp'))
				this.refuseOffender(req);
			const on = this.routes.filter((r) => r.pattern.test(req.path));
			const route = on.find((r) => r.method === req.method);
			if (route === undefined)
				return on.length > 0 ? { status: 405, headers: {}, body: '' } :
					text(404, '404 page not found');
			return await route.f.call(this, req,
				...route.pattern.exec(req.path).slice(1).map(decodeURIComponent));
		} catch (e) {
			if (e instanceof Reply)
				return e.reply;
			if (e instanceof Cut)
				return undefined;
			throw e;
		}
	}

	refuseOffender(req) {
		const until = this.offenders.get(req.ip)?.blockedUntil ?? 0;
		if (until > Date.now()) {
			plain(429, 'Too Many Requests', { 'Retry-After':
				String(Math.ceil((until - Date.now()) / 1000)) });
		}
	}

	offend(req) {
		const now = Date.now();
		const o = this.offenders.get(req.ip) ?? { since: now, hits: 0 };
		if (now - o.since >= OFFENSE_WINDOW_MS)
			Object.assign(o, { since: now, hits: 0 });
		if (++o.hits >= OFFENSES)
			Object.assign(o, { blockedUntil: now + BLOCKED_MS, hits: 0 });
		this.offenders.set(req.ip, o);
	}

	async body(req) {
		const bytes = await req.body(1 << 20);
		try {
			const value = JSON.parse(bytes);
			if (typeof value === 'object' && value !== null)
				return value;
		} catch (e) {
			if (!(e instanceof SyntaxError))
				throw e;
			return fail(400, `Invalid request body: ${e.message}`);
		}
		return fail(400, 'Invalid request body: not an object');
	}

	pieceV2(value, lead) {
		try {
			return readPieceV2(value ?? '');
		} catch (e) {
			if (!(e instanceof CidError))
				throw e;
			return fail(400, `${lead}: ${e.message}`);
		}
	}

	ping() {
		return { status: 200, headers: { 'Content-Type': 'text/plain' },
			body: 'curio-pdp' };
	}

	/* -- uploads -- */

	upload(id, kind) {
		if (!UUID.test(id))
			fail(400, 'Invalid upload UUID');
		const u = this.provider.uploads.get(id);
		return u?.kind === kind ? u : fail(404, 'Upload UUID not found');
	}

	newStream() {
		const id = randomUUID();
		this.provider.uploads.set(id, { kind: 'stream' });
		return { status: 201, headers:
			{ Location: `/pdp/piece/uploads/${id}` }, body: '' };
	}

	async putStream(req, id) {
		const u = this.upload(id, 'stream');
		const old = u.stored;
		u.stored = undefined;
		const stored = await this.take(req);
		if (stored.size < PIECE_MIN) {
			await rm(stored.file, { force: true });
			fail(400, `piece data is below the minimum allowed size (${PIECE_MIN
			} bytes)`);
		}
		if (old)
			await rm(old.file, { force: true });
		u.stored = stored;
		return { status: 204, headers: {}, body: '' };
	}

	async take(req, most = PIECE_MAX, tooMuch = [413,
		`piece data exceeds the maximum allowed size (${PIECE_MAX} bytes)`]) {
		try {
			return await this.provider.store(req.chunks(), most);
		} catch (e) {
			if (e instanceof RangeError)
				return fail(...tooMuch);
			throw e;
		}
	}

	async finishStream(req, id) {
		const u = this.upload(id, 'stream');
		const { pieceCid } = await this.body(req);
		const lead = 'Invalid request body: ';
		const cid = this.pieceV2(pieceCid, `${lead}invalid pieceCid`);
		if (u.stored === undefined)
			fail(500, 'Database error');
		if (u.stored.size !== cid.rawSize)
			fail(400, `${lead}pieceCid size does not match uploaded piece size`);
		if (u.stored.v1 !== cid.v1) {
			fail(400, `${lead}pieceCid does not match the calculated pieceCid ` +
				'for the uploaded piece');
		}
		await this.provider.park(u.stored);
		this.provider.uploads.delete(id);
		return { status: 200, headers: {}, body: '' };
	}

	async newUpload(req) {
		const { pieceCid } = await this.body(req);
		const cid = this.pieceV2(pieceCid,
			'Invalid request body: invalid pieceCid');
		if (cid.rawSize < PIECE_MIN)
			fail(400, `piece data is below the minimum allowed size (${PIECE_MIN
			} bytes)`);
		if (cid.rawSize > PIECE_MAX)
			fail(413, `piece data exceeds the maximum allowed size (${PIECE_MAX
			} bytes)`);
		if (this.provider.parked(cid.v1))
			return json(200, { pieceCid: cid.v2 });
		const id = randomUUID();
		this.provider.uploads.set(id, { kind: 'known', cid });
		return { status: 201, headers:
			{ Location: `/pdp/piece/upload/${id}` }, body: '' };
	}

	async putUpload(req, id) {
		const u = this.upload(id, 'known');
		if (u.done)
			fail(409, 'Data has already been uploaded');
		const stored = await this.take(req, u.cid.rawSize,
			[400, 'piece data exceeds the declared piece size']);
		const wrong = stored.size !== u.cid.rawSize ?
			'Piece size does not match the expected size' :
			stored.v1 !== u.cid.v1 ?
				'Computed piece CID does not match expected piece CID' :
				undefined;
		if (wrong !== undefined) {
			await rm(stored.file, { force: true });
			fail(400, wrong);
		}
		await this.provider.park(stored);
		u.done = true;
		return { status: 204, headers: {}, body: '' };
	}

	find(req) {
		const cid = this.pieceV2(req.query.get('pieceCid'),
			'Failed to parse CID');
		return this.provider.parked(cid.v1) ? json(200, { pieceCid: cid.v2 }) :
			text(404, '404 page not found');
	}

	pieceStatus(req, cidText) {
		let v1;
		try {
			v1 = pieceKey(cidText);
		} catch (e) {
			if (!(e instanceof CidError))
				throw e;
			plain(400, `Invalid pieceCid format: ${e.message}`);
		}
		const piece = this.provider.parked(v1) ??
			plain(404, 'Piece not found or does not belong to service');
		const at = piece.indexedAt;
		return json(200, { pieceCid: piece.v2,
			status: at ? 'retrieved' : 'pending', indexed: at !== undefined,
			indexedAt: at, adCreated: at !== undefined, adCreatedAt: at,
			advertised: at !== undefined, advertisedAt: at,
			retrieved: at !== undefined, retrievedAt: at });
	}

	async pull(req) {
		const r = await this.body(req);
		const bad = this.puller.validate(r);
		if (bad !== undefined)
			fail(400, `Validation error: ${bad}`);
		const dataSetId = BigInt(r.dataSetId ?? 0);
		const extraData = this.extraData(r.extraData, Infinity, 'pull');
		if (dataSetId === 0n)
			this.recordKeeper(r);
		const key = createHash('sha256').update(Buffer.from(
			extraData.slice(2), 'hex')).digest('hex') + `|${dataSetId}`;
		if (!this.puller.known(key)) {
			if (dataSetId !== 0n)
				this.liveSet(req, dataSetId);
			const payer = this.payerOf(dataSetId, extraData);
			const cids = r.pieces.map((p, i) => this.pieceV2(p.pieceCid,
				`Invalid pieceCid[${i}]`));
			cids.forEach((c, i) => {
				if (c.rawSize < PIECE_MIN || c.rawSize > PIECE_MAX)
					fail(400, `pieceCid[${i}]: size ${c.rawSize} is out of range`);
			});
			const { revert } = this.provider.chain.simulate({
				from: this.provider.address, to: this.provider.net.pdp.address,
				value: dataSetId === 0n ? DEPOSIT : 0n,
				data: this.provider.addData(dataSetId, cids, extraData) });
			if (revert) {
				fail(400, 'extraData validation failed: addPieces validation ' +
					`failed: ${lotusText(revert)}`);
			}
			const later = this.puller.begin(key, payer, cids,
				r.pieces.map((p) => p.sourceUrl));
			if (later !== undefined) {
				plain(429, 'pull queue backpressure',
					{ 'Retry-After': String(later) });
			}
		}
		return json(200, this.puller.status(key));
	}

	payerOf(dataSetId, extraData) {
		if (dataSetId !== 0n)
			return this.provider.net.fwss.sets.get(dataSetId).payer;
		try {
			return decodeCreate(decodeBoth(extraData)[0]).payer;
		} catch (e) {
			if (!(e instanceof Revert))
				throw e;
			return fail(400, 'Invalid pull payer: malformed extraData');
		}
	}

	/* -- data sets -- */

	recordKeeper({ recordKeeper }) {
		if (!recordKeeper)
			fail(400, 'recordKeeper address is required');
		if (!isAddress(recordKeeper, { strict: false }) ||
			getAddress(recordKeeper) === ZERO)
			fail(400, 'Invalid recordKeeper address');
		if (getAddress(recordKeeper) !== this.provider.net.fwss.address)
			fail(403, 'recordKeeper address not allowed for public service');
	}

	extraData(value, most, what) {
		if (value === undefined || value === null || value === '')
			return '0x';
		const hex = String(value).startsWith('0x') ? String(value) : `0x${value}`;
		if (!isHex(hex) || hex.length % 2 !== 0)
			fail(400, 'Invalid extraData format (must be hex encoded)');
		const size = (hex.length - 2) / 2;
		if (size > most) {
			fail(400, `extraData size (${size} bytes) exceeds the maximum ` +
				`allowed limit for ${what} (${most} bytes)`);
		}
		return hex;
	}

	async sending(f) {
		try {
			return await f();
		} catch (e) {
			if (e instanceof SendError)
				return fail(500, `Failed to send transaction: ${e.message}`);
			throw e;
		}
	}

	async createSet(req) {
		const r = await this.body(req);
		this.recordKeeper(r);
		const extra = this.extraData(r.extraData, CREATE_EXTRA_MAX,
			'CreateDataSet');
		const row = await this.sending(() =>
			this.provider.createDataSet(extra));
		return { status: 201, body: '', headers:
			{ Location: `/pdp/data-sets/created/${row.hash}` } };
	}

	/** The pieces of an add, all of which have to be parked here. */
	batch(pieces) {
		if (!Array.isArray(pieces) || pieces.length === 0)
			return fail(400, 'At least one piece must be provided');
		if (pieces.length > BATCH_MAX) {
			fail(400, `piece count (${pieces.length}) exceeds the maximum ` +
				`allowed per add (${BATCH_MAX})`);
		}
		const lead = 'Failed to process request: ';
		const seen = new Set();
		return pieces.map((p) => {
			const cid = this.pieceV2(p.pieceCid, `${lead}invalid PieceCid`);
			if (!Array.isArray(p.subPieces) || p.subPieces.length === 0)
				fail(400, `${lead}at least one subPiece is required per piece`);
			let size = 0;
			for (const s of p.subPieces) {
				const sub = this.pieceV2(s.subPieceCid,
					`${lead}invalid SubPiece`);
				if (seen.has(sub.v1))
					fail(400, `${lead}duplicate subPieceCid: ${s.subPieceCid}`);
				seen.add(sub.v1);
				if (!this.provider.parked(sub.v1)) {
					fail(400, `${lead}failed to validate subPieces: subPiece ` +
						`CID ${s.subPieceCid} not found or does not belong ` +
						'to service public');
				}
				size += sub.rawSize;
			}
			if (size !== cid.rawSize) {
				fail(400, `${lead}failed to validate subPieces: raw size ` +
					`mismatch: expected ${size}, got ${cid.rawSize}`);
			}
			if (p.subPieces.length > 1 || !this.provider.parked(cid.v1)) {
				fail(400, `${lead}failed to validate subPieces: provided ` +
					'PieceCid does not match generated PieceCid');
			}
			return cid;
		});
	}

	async createAndAdd(req) {
		const r = await this.body(req);
		this.recordKeeper(r);
		const cids = this.batch(r.pieces);
		const extra = this.extraData(r.extraData, ADD_EXTRA_MAX, 'AddPieces');
		const row = await this.sending(() =>
			this.provider.addPieces(0n, cids, extra));
		return { status: 201, body: '', headers:
			{ Location: `/pdp/data-sets/created/${row.hash}` } };
	}

	/** A data set of ours that still takes pieces. */
	liveSet(req, id) {
		if (!this.provider.sets.has(id)) {
			this.offend(req);
			fail(404, 'Data set not found');
		}
		if (this.ended(id)) {
			this.offend(req);
			plain(409, TERMINATED);
		}
	}

	ended(id) {
		return this.provider.terminations.has(id) ||
			this.provider.net.fwss.sets.get(id).pdpEndEpoch !== 0n ||
			!this.provider.net.pdp.live(id);
	}

	async addPieces(req, idText) {
		const id = number(idText, 'data set ID');
		const r = await this.body(req);
		if (!Array.isArray(r.pieces) || r.pieces.length === 0)
			fail(400, 'At least one piece must be provided');
		this.liveSet(req, id);
		const extra = this.extraData(r.extraData, ADD_EXTRA_MAX, 'AddPieces');
		const cids = this.batch(r.pieces);
		const row = await this.sending(() =>
			this.provider.addPieces(id, cids, extra));
		return { status: 201, body: '', headers:
			{ Location: `/pdp/data-sets/${id}/pieces/added/${row.hash}` } };
	}

	/** The row as the status endpoints tell it. */
	txStatus(row) {
		return { txStatus: row.status,
			ok: row.status === 'confirmed' ? row.ok : null,
			confirmed: row.status === 'confirmed' && row.final !== row.hash ?
				{ confirmedTxHash: row.final } : {} };
	}

	created(req, hashText) {
		const row = this.provider.sends.get(txHash(hashText));
		if (row === undefined || !row.kind.startsWith('create'))
			plain(404, 'Data set creation not found for given txHash');
		if (row.pruned)
			plain(500, 'Message status not found for given txHash');
		const { txStatus, ok, confirmed } = this.txStatus(row);
		return json(200, { createMessageHash: row.hash,
			dataSetCreated: row.created === true, service: 'public', txStatus,
			ok, ...row.created ? { dataSetId: Number(row.dataSetId) } : {},
			...confirmed });
	}

	added(req, idText, hashText) {
		const id = number(idText, 'data set ID');
		const hash = txHash(hashText);
		if (!this.provider.sets.has(id))
			plain(404, 'Data set not found');
		const row = this.provider.sends.get(hash);
		if (row?.pieces === undefined || (row.dataSetId ?? id) !== id)
			plain(404, 'Piece addition not found for given transaction');
		if (row.pruned)
			plain(404, 'Transaction status not found');
		const { txStatus, ok, confirmed } = this.txStatus(row);
		return json(200, { txHash: row.hash, txStatus, dataSetId: Number(id),
			pieceCount: row.pieces.length, addMessageOk: ok,
			piecesAdded: row.added === true,
			...row.added ? { confirmedPieceIds: row.pieceIds.map(Number) } : {},
			...confirmed });
	}

	mine(idText) {
		const id = number(idText, 'data set ID');
		return this.provider.sets.has(id) ? id :
			plain(404, 'Data set not found');
	}

	getSet(req, idText) {
		const id = this.mine(idText);
		const { pdp } = this.provider.net;
		return json(200, { id: Number(id),
			pieces: [...pdp.active(id)].map(([pieceId, p]) => {
				const { v2 } = readPieceV2(Buffer.from(p.cid.slice(2), 'hex'));
				return { pieceId: Number(pieceId), pieceCid: v2,
					subPieceCid: v2, subPieceOffset: 0 };
			}),
			nextChallengeEpoch: Number(pdp.sets.get(id).challenge) });
	}

	onePiece(req, idText, pieceText) {
		const id = this.mine(idText);
		const pieceId = number(pieceText, 'piece ID');
		const p = this.provider.net.pdp.pieces.get(`${id}|${pieceId}`) ??
			plain(404, 'Piece not found');
		const { v1 } = readPieceV2(Buffer.from(p.cid.slice(2), 'hex'));
		return json(200, { pieceId: Number(pieceId), pieceCid: v1,
			subPieces: [{ subPieceCid: v1, subPieceOffset: 0 }] });
	}

	async removePieces(req, idText, pieceText) {
		const urlPiece = number(pieceText, 'piece ID');
		const id = this.mine(idText);
		const r = await this.body(req);
		const extra = this.extraData(r.extraData, DELETE_EXTRA_MAX,
			'DeletePiece');
		const ids = this.removalIds(r.pieceIds, urlPiece);
		const { pdp } = this.provider.net;
		if (!ids.every((p) => pdp.pieces.has(`${id}|${p}`)))
			plain(404, 'One or more piece not found');
		const queued = pdp.sets.get(id).removals.length;
		if (queued >= REMOVALS_MAX) {
			plain(429, `data set ${id} already has ${queued} scheduled removals ` +
				`queued (limit ${REMOVALS_MAX}); retry after the next proving ` +
				'period flushes the queue');
		}
		const row = await this.sending(() =>
			this.provider.remove(id, ids, extra));
		return json(200, { txHash: row.hash });
	}

	removalIds(list, urlPiece) {
		if (!Array.isArray(list) || list.length === 0)
			return [urlPiece];
		if (list.length > REMOVALS_MAX) {
			plain(400, `too many piece IDs: ${list.length} (maximum ${
				REMOVALS_MAX})`);
		}
		if (!list.every((n) => Number.isSafeInteger(n) && n >= 0))
			plain(400, 'Invalid piece ID format');
		if (new Set(list).size !== list.length)
			plain(400, 'duplicate piece IDs');
		return list.map(BigInt);
	}

	/* -- the end of a data set -- */

	async terminate(req, idText) {
		const id = number(idText, 'data set ID');
		const r = await this.body(req);
		const extraData = this.extraData(r.extraData, Infinity, 'terminate');
		if (extraData === '0x')
			plain(400, 'extraData is required for client-requested termination');
		this.mine(idText);
		const { pdpEndEpoch } = this.provider.net.fwss.sets.get(id);
		if (pdpEndEpoch !== 0n) {
			return json(409, { code: 0, message: 'already terminated',
				serviceTerminationEpoch: Number(pdpEndEpoch) });
		}
		if (this.provider.terminations.has(id)) {
			return json(409, { code: 1, message: 'termination queued',
				serviceTerminationEpoch: null });
		}
		this.provider.terminations.set(id, { extraData });
		return { status: 202, headers: {}, body: '' };
	}

	termination(req, idText) {
		const id = number(idText, 'data set ID');
		const t = this.provider.terminations.get(id) ??
			plain(404, 'Termination not found');
		const { pdpEndEpoch } = this.provider.net.fwss.sets.get(id);
		const over = pdpEndEpoch !== 0n;
		const row = t.row ?? undefined;
		return json(200, { terminationTxHash: row?.hash ?? '',
			...row?.status === 'confirmed' ? { confirmedTxHash: row.final } : {},
			fwssTerminated: over ? true : null,
			serviceTerminationEpoch: over ? Number(pdpEndEpoch) : null });
	}
}
