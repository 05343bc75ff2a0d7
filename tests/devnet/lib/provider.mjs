/*
 * provider.mjs - a storage provider: its pieces on disk, its transactions, its
 * proofs
 *
 * curio.mjs is what it shows over HTTP.  work() runs after each epoch: it looks
 * after transactions that were sent, proves every data set once a period from
 * the bytes on disk, ends what is over.
 *
 * Knobs (run time, all off by default):
 *
 *   parkMs         after an upload, until find knows the piece (and adds take it)
 *   cutUpload      { after, times }: cut the connection of a PUT after n bytes
 *   wrongCommP     the next n uploads are hashed wrong
 *   revertAdd, revertCreate     the next n such transactions land and revert
 *   refuseAdd, refuseCreate     the next n are refused when gas is estimated
 *   replaceTx      the next n transactions are replaced by fee
 *   loseReceipt    the next n land, but the provider says "failed"
 *   reorg          { times, epochs }: the next n are "reorged" for some epochs
 *   stall          its transactions reach no pool until it is off: a full chain
 *   dropTx         the next n reach no pool, ever, and are called pending for ever
 *   missProofs     true, or a number of periods
 *   flip           { offset, pieceCid }: /piece lies in that byte, of every
 *                  piece without a CID; disk and proofs stay right
 *   settleEvery    epochs between settlements of its rails; 0 never
 */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { keccak256 } from 'viem/utils';

import { CHALLENGES_PER_PROOF } from '../contracts/fwss.mjs';
import { RpcError, lotusText } from './chain.mjs';
import { pieceCidV1, pieceCidV2, readPieceV2, text } from './cid.mjs';
import { PieceHasher, prove } from './commp.mjs';
import { ZERO } from './contract.mjs';
import { keyOf } from './keys.mjs';
import { IpfsIndex } from './ipfs.mjs';
import { GAS, Wallet, calldata } from './wallet.mjs';

export const DEPOSIT = 10n ** 17n;
export const PIECE_MIN = 127;
export const PIECE_MAX = 1065353216;
const NONE = `0x${'00'.repeat(20)}`;

/** The send or its estimate failed; the text is Lotus's. */
export class SendError extends Error {}

export class Cut extends Error {}

export class Provider {
	constructor(net, { id, dir, knobs = {} }) {
		this.net = net;
		this.chain = net.chain;
		this.id = id;
		this.dir = dir;
		this.wallet = new Wallet(keyOf(`provider ${id}`));
		this.address = this.wallet.address;
		this.knobs = { ...Provider.noKnobs(), ...knobs };
		this.pieces = new Map();
		this.uploads = new Map();
		this.sends = new Map();
		this.open = new Set();
		this.held = [];
		this.sets = new Map();
		this.pulls = new Map();
		this.terminations = new Map();
		this.proving = new Map();
		this.ipfs = new IpfsIndex();
		this.outbox = Promise.resolve();
		this.stats = { uploads: 0, bytesIn: 0, bytesOut: 0, pulled: 0,
			bytesPulled: 0, proofs: 0, missed: 0 };
	}

	static noKnobs() {
		return { parkMs: 0, cutUpload: undefined, wrongCommP: 0, revertAdd: 0,
			revertCreate: 0, refuseAdd: 0, refuseCreate: 0, replaceTx: 0,
			loseReceipt: 0, reorg: undefined, stall: false, dropTx: 0, missProofs: 0,
			flip: undefined, settleEvery: 0 };
	}

	/** One use of a counting knob. */
	use(name) {
		if (!(this.knobs[name] > 0))
			return false;
		this.knobs[name]--;
		return true;
	}

	/* -- pieces -- */

	async start() {
		await mkdir(join(this.dir, 'uploads'), { recursive: true });
		await mkdir(join(this.dir, 'pieces'), { recursive: true });
	}

	/** Write a body to disk and hash it; { file, root, height, ... } */
	async store(chunks, most = PIECE_MAX) {
		const file = join(this.dir, 'uploads', randomUUID());
		const out = createWriteStream(file);
		const hasher = new PieceHasher();
		const { cutUpload } = this.knobs;
		try {
			for await (const chunk of chunks) {
				hasher.update(chunk);
				this.stats.bytesIn += chunk.length;
				if (cutUpload?.times > 0 && hasher.size >= cutUpload.after) {
					cutUpload.times--;
					throw new Cut('upload cut by a knob');
				}
				if (hasher.size > most)
					throw new RangeError('too large');
				if (!out.write(chunk))
					await new Promise((resolve) => { out.once('drain', resolve); });
			}
			out.end();
			await finished(out);
		} catch (e) {
			out.destroy();
			await rm(file, { force: true });
			throw e;
		}
		const facts = hasher.finish();
		if (this.use('wrongCommP'))
			facts.root = Buffer.from(facts.root).reverse().map((b, i) =>
				i === 31 ? b & 0x3f : b);
		this.stats.uploads++;
		return { ...facts, file, v1: text(pieceCidV1(facts.root)),
			v2: text(pieceCidV2(facts.root, facts.height, facts.padding)) };
	}

	/** Keep a stored body as a piece, that find knows after parkMs. */
	async park(stored, parkMs = this.knobs.parkMs) {
		const known = this.pieces.get(stored.v1);
		if (known !== undefined && !known.lost) {
			await rm(stored.file, { force: true });
			known.visibleAt = Math.min(known.visibleAt,
				Date.now() + parkMs);
			return known;
		}
		const file = join(this.dir, 'pieces', stored.v1);
		await rename(stored.file, file);
		const piece = { ...stored, file, lost: false,
			visibleAt: Date.now() + parkMs };
		this.pieces.set(stored.v1, piece);
		return piece;
	}

	/** The piece by its v1 text, if it is there. */
	piece(v1) {
		const p = this.pieces.get(v1);
		return p === undefined || p.lost ? undefined : p;
	}

	/** The piece if find knows it. */
	parked(v1) {
		const p = this.piece(v1);
		return p !== undefined && p.visibleAt <= Date.now() ? p : undefined;
	}

	async read(piece, offset, length) {
		const file = await open(piece.file);
		try {
			const out = Buffer.alloc(length);
			const { bytesRead } = await file.read(out, 0, length, offset);
			return out.subarray(0, bytesRead);
		} finally {
			await file.close();
		}
	}

	/** Bytes [start, end) as they leave the house: a lie if a knob says so. */
	async* bytes(piece, start, end) {
		if (start >= end)
			return;
		const { flip } = this.knobs;
		const lies = flip !== undefined && (!flip.pieceCid ||
			readPieceV2(flip.pieceCid).v1 === piece.v1);
		let at = start;
		for await (const chunk of createReadStream(piece.file,
			{ start, end: end - 1 })) {
			if (lies && flip.offset >= at && flip.offset < at + chunk.length)
				chunk[flip.offset - at] ^= 0x01;
			at += chunk.length;
			this.stats.bytesOut += chunk.length;
			yield chunk;
		}
	}

	async lose(v1) {
		const p = this.pieces.get(v1);
		if (p === undefined)
			throw new Error(`provider ${this.id} has no piece ${v1}`);
		p.lost = true;
		await rm(p.file, { force: true });
	}

	/* -- transactions -- */

	/** Estimate, sign and send; the row that follows it.  SendError if the
	 * estimate or the pool refuses. */
	send(kind, to, data, { value = 0n, ...facts } = {}) {
		const sent = this.outbox.then(() => this.sendNow(kind, to, data, value,
			facts));
		this.outbox = sent.catch(() => {});
		return sent;
	}

	async sendNow(kind, to, data, value, facts) {
		const what = kind === 'create' || kind === 'createAndAdd' ? 'Create' :
			kind === 'add' ? 'Add' : undefined;
		const { revert } = this.chain.simulate({ from: this.address, to, data,
			value }, { pending: true });
		if (revert)
			throw new SendError(`failed to estimate gas: ${lotusText(revert)}`);
		if (what && this.use(`refuse${what}`)) {
			throw new SendError('failed to estimate gas: message execution ' +
				'failed (exit=[33], revert reason=[none], vm error=[Error(' +
				'refused by the devnet)])');
		}
		const base = { chainId: this.chain.chainId, to, data, value,
			nonce: this.chain.pendingNonce(this.address) + this.held.length };
		/* Signed before one is sent: no epoch comes between the two. */
		const raws = [await this.sign(base, 100_000n)];
		if (this.use('replaceTx'))
			raws.push(await this.sign(base, 200_000n));
		const hashes = raws.map((raw) => this.push(raw));
		const hash = hashes[0];
		const row = { kind, hash, final: hashes.at(-1), status: 'pending',
			ok: null, sentAt: this.chain.head, ...facts };
		if (what && this.use(`revert${what}`))
			this.chain.forceRevert.add(row.final);
		row.loseReceipt = what !== undefined && this.use('loseReceipt');
		if (what && this.knobs.reorg?.times > 0) {
			this.knobs.reorg.times--;
			row.reorgEpochs = this.knobs.reorg.epochs ?? 3;
		}
		this.sends.set(hash, row);
		this.open.add(row);
		return row;
	}

	sign(tx, maxPriorityFeePerGas) {
		return this.wallet.transaction({ ...tx, gas: GAS, maxPriorityFeePerGas,
			maxFeePerGas: 10n * this.chain.baseFee + 1_000_000n });
	}

	push(raw) {
		if (this.use('dropTx'))
			return keccak256(raw);
		if (this.knobs.stall) {
			this.held.push(raw);
			return keccak256(raw);
		}
		try {
			return this.chain.send(raw);
		} catch (e) {
			if (e instanceof RpcError)
				throw new SendError(e.message);
			throw e;
		}
	}

	/** Look at the receipts, with one confirmation. */
	follow() {
		for (const row of this.open) {
			const tx = this.chain.txs.get(row.final);
			if (tx?.epoch === undefined || tx.epoch + 1n > this.chain.head)
				continue;
			if (row.loseReceipt) {
				row.status = 'failed';
				this.open.delete(row);
			} else if (row.reorgEpochs > 0) {
				row.status = 'reorged';
				row.reorgEpochs--;
			} else if (row.status !== 'confirmed') {
				row.status = 'confirmed';
				row.ok = tx.receipt.status;
			} else {
				this.open.delete(row);
				this.landed(row, tx);
			}
		}
	}

	/** What was confirmed in epochs that have never been is not any more. */
	unconfirm() {
		for (const row of this.sends.values()) {
			const tx = this.chain.txs.get(row.final);
			if (row.status !== 'confirmed' || tx?.epoch !== undefined)
				continue;
			Object.assign(row, { status: 'reorged', ok: null, created: false,
				added: false });
			this.open.add(row);
		}
		this.proving.clear();
	}

	/** The task that follows a confirmed transaction. */
	landed(row, tx) {
		if (row.kind === 'prove' && row.ok)
			this.stats.proofs++;
		if (row.kind === 'delete' && row.ok)
			this.forget(row.dataSetId);
		if (row.kind === 'terminate' && !row.ok)
			this.terminations.delete(row.dataSetId);
		if (!row.ok)
			return;
		if (row.kind === 'create' || row.kind === 'createAndAdd') {
			row.dataSetId = BigInt(tx.receipt.result);
			this.adopt(row.dataSetId);
			row.created = true;
		}
		if (row.kind === 'add' || row.kind === 'createAndAdd') {
			const first = row.kind === 'add' ? BigInt(tx.receipt.result) : 0n;
			row.pieceIds = row.pieces.map((_, i) => first + BigInt(i));
			row.added = true;
			this.index(row).catch((e) => process.stderr.write(
				`provider ${this.id}: index: ${e.stack}\n`));
		}
	}

	/** The rows of what is confirmed are pruned, as after Curio's retention. */
	prune() {
		for (const row of this.sends.values())
			row.pruned = row.status === 'confirmed' && !this.open.has(row);
	}

	adopt(dataSetId) {
		const keys = this.net.fwss.metadata.get(dataSetId).map((e) => e.key);
		this.sets.set(dataSetId,
			{ ipfs: keys.includes('withIPFSIndexing') });
	}

	forget(dataSetId) {
		this.sets.delete(dataSetId);
	}

	async index(row) {
		if (!this.sets.get(row.dataSetId)?.ipfs)
			return;
		for (const v1 of row.pieces) {
			const piece = this.piece(v1);
			if (piece === undefined)
				continue;
			await this.ipfs.add(piece, (off, n) => this.read(piece, off, n));
			piece.indexedAt ??= new Date().toISOString();
		}
	}

	/* -- after each epoch -- */

	async work({ prove: mayProve = true, settle = false } = {}) {
		this.follow();
		if (this.knobs.stall)
			return;
		for (const raw of this.held.splice(0))
			this.chain.send(raw);
		const { settleEvery } = this.knobs;
		const due = settle || (settleEvery > 0 &&
			this.chain.head % BigInt(settleEvery) === 0n);
		for (const id of [...this.sets.keys()]) {
			try {
				if (due)
					await this.settle(id);
				await this.tend(id, mayProve);
			} catch (e) {
				if (!(e instanceof SendError))
					throw e;
			}
		}
		for (const [id, t] of this.terminations) {
			if (t.row === undefined)
				await this.terminateFor(id, t);
		}
	}

	busy(id, kind) {
		for (const row of this.open) {
			if (row.kind === kind && row.dataSetId === id)
				return true;
		}
		return false;
	}

	call(kind, id, contract, functionName, args) {
		if (this.busy(id, kind))
			return undefined;
		return this.send(kind, this.net[contract].address,
			calldata(this.net[contract].title, functionName, args),
			{ dataSetId: id });
	}

	async settle(id) {
		const { pdpRailId } = this.net.fwss.sets.get(id);
		if (pdpRailId === 0n || this.net.pay.rails.get(pdpRailId).from === ZERO)
			return;
		await this.call('settle', id, 'pay', 'settleRail',
			[pdpRailId, this.chain.head]);
	}

	/** Prove it, begin the next period, or clear it away. */
	async tend(id, mayProve) {
		const { fwss, pdp } = this.net;
		const set = pdp.sets.get(id);
		const info = fwss.sets.get(id);
		const { head } = this.chain;
		if (set.provider === ZERO) {
			this.forget(id);
			return;
		}
		if (set.cleanup) {
			await this.call('delete', id, 'pdp', 'cleanupPieces', [id, 1000n]);
			return;
		}
		if (info.pdpEndEpoch !== 0n && head > info.pdpEndEpoch) {
			await this.end(id, info);
			return;
		}
		if (set.leaves === 0n)
			return;
		const deadline = fwss.deadlines.get(id);
		if (deadline === 0n || head > deadline) {
			if (deadline !== 0n && !fwss.provenNow.get(id))
				this.stats.missed++;
			const start = deadline === 0n && fwss.activation.get(id) === 0n ?
				head + this.net.config.maxProvingPeriod -
					this.net.config.challengeWindow :
				this.net.view.$nextPDPChallengeWindowStart(
					{ epoch: head }, id);
			await this.call('period', id, 'pdp', 'nextProvingPeriod', [id,
				start + this.net.config.challengeWindow / 2n, '0x']);
		} else if (head >= set.challenge && !fwss.provenNow.get(id) &&
			head >= deadline - this.net.config.challengeWindow && mayProve) {
			await this.proveSet(id, deadline);
		}
	}

	async proveSet(id, deadline) {
		if (this.knobs.missProofs === true || this.busy(id, 'prove'))
			return;
		if (this.proving.get(id) === deadline)
			return;
		this.proving.set(id, deadline); /* one try a period */
		if (this.use('missProofs'))
			return;
		const proofs = await this.proofs(id);
		if (proofs !== undefined) {
			await this.call('prove', id, 'pdp', 'provePossession',
				[id, proofs]);
		}
	}

	/** From the bytes on disk; undefined if some are gone. */
	async proofs(id) {
		const out = [];
		const trees = new Map();
		for (const c of this.net.pdp.challenges({}, id,
			Number(CHALLENGES_PER_PROOF))) {
			const { v1 } = readPieceV2(Buffer.from(c.piece.cid.slice(2), 'hex'));
			const piece = this.piece(v1);
			if (piece === undefined)
				return undefined;
			if (!trees.has(v1))
				trees.set(v1, new Map());
			const { leaf, path } = await prove(piece, Number(c.offset),
				(off, n) => this.read(piece, off, n), trees.get(v1));
			out.push({ leaf: `0x${leaf.toString('hex')}`,
				proof: path.map((p) => `0x${p.toString('hex')}`) });
		}
		return out;
	}

	/** The service is over: take what is due and delete the data set. */
	async end(id, info) {
		const rail = this.net.pay.rails.get(info.pdpRailId);
		if (rail.from !== ZERO && rail.settledUpTo < rail.endEpoch) {
			await this.call('settle', id, 'pay', 'settleRail',
				[info.pdpRailId, rail.endEpoch]);
		} else if (!this.busy(id, 'settle')) {
			await this.call('delete', id, 'pdp', 'deleteDataSet', [id, '0x']);
		}
	}

	async terminateFor(id, t) {
		t.row = null;
		try {
			t.row = await this.send('terminate', this.net.fwss.address,
				calldata('FWSS', 'terminateService', [id, t.extraData]),
				{ dataSetId: id });
		} catch (e) {
			if (!(e instanceof SendError))
				throw e;
			this.terminations.delete(id);
		}
	}

	/** Of its own will, as a provider may. */
	terminate(id) {
		return this.send('end', this.net.fwss.address,
			calldata('FWSS', 'terminateService', [BigInt(id)]),
			{ dataSetId: BigInt(id) });
	}

	/* -- what curio.mjs asks for -- */

	createDataSet(extraData) {
		return this.send('create', this.net.pdp.address,
			calldata('PDPVerifier', 'createDataSet',
				[this.net.fwss.address, extraData]), { value: DEPOSIT });
	}

	addPieces(dataSetId, pieces, extraData) {
		const fresh = dataSetId === 0n;
		return this.send(fresh ? 'createAndAdd' : 'add', this.net.pdp.address,
			this.addData(dataSetId, pieces, extraData),
			{ value: fresh ? DEPOSIT : 0n, pieces: pieces.map((p) => p.v1),
				...fresh ? {} : { dataSetId } });
	}

	addData(dataSetId, pieces, extraData) {
		return calldata('PDPVerifier', 'addPieces', [dataSetId,
			dataSetId === 0n ? this.net.fwss.address : NONE,
			pieces.map((p) => ({
				data: `0x${Buffer.from(p.bytes).toString('hex')}` })),
			extraData]);
	}

	remove(dataSetId, pieceIds, extraData) {
		return this.send('remove', this.net.pdp.address,
			calldata('PDPVerifier', 'schedulePieceDeletions',
				[dataSetId, pieceIds, extraData]), { dataSetId });
	}
}
