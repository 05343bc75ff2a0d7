/*
 * pdp.mjs - PDPVerifier 3.4.0: data sets, their pieces and the proofs of them
 *
 * Providers call it; each call is reported to FWSS, which may refuse it.  A
 * proof is a real one: the leaf of a piece that the seed chose, and its path to
 * the root in the piece CID.
 */
import { encodePacked, hexToBytes, keccak256 } from 'viem/utils';

import { CidError, readPieceV2 } from '../lib/cid.mjs';
import { verifyPath } from '../lib/commp.mjs';
import { Contract, ZERO, need } from '../lib/contract.mjs';
import { Table } from '../lib/journal.mjs';
import { decodeBoth } from './extradata.mjs';

const CLEANUP_DEPOSIT = 10n ** 17n;
const REMOVALS_MAX = 2000n;
const INACTIVITY_WINDOW = 86400n;
const FINALITY_MAX = INACTIVITY_WINDOW / 2n;

const dataSet = () => ({ provider: ZERO, listener: ZERO, leaves: 0n, next: 0n,
	lastProven: 0n, challenge: 0n, range: 0n, removals: [], deposit: 0n,
	cleanup: false });

export class PdpVerifier extends Contract {
	constructor(chain, address, config) {
		super(chain, 'PDPVerifier', address);
		this.config = config;
		this.sets = new Table(chain.journal, dataSet);
		this.pieces = new Table(chain.journal);
		this.state = new Table(chain.journal, () => ({ nextSet: 1n }));
	}

	live(dataSetId) {
		const set = this.sets.get(dataSetId);
		return set.provider !== ZERO && !set.cleanup;
	}

	set(dataSetId) {
		this.check(this.live(dataSetId), 'DataSetNotLive');
		return this.sets.get(dataSetId);
	}

	leavesOf(dataSetId) { return this.set(dataSetId).leaves; }
	lastProven(dataSetId) { return this.sets.get(dataSetId).lastProven; }

	listener(set) {
		return this.chain.contracts.get(set.listener);
	}

	/** Live pieces from an id on: [id, { cid, leaves }] */
	* active(dataSetId, from = 0n) {
		const { next } = this.sets.get(dataSetId);
		for (let id = from; id < next; id++) {
			const piece = this.pieces.get(`${dataSetId}|${id}`);
			if (piece !== undefined)
				yield [id, piece];
		}
	}

	/* -- views -- */

	$VERSION() { return '3.4.0'; }
	$FIL_CLEANUP_DEPOSIT() { return CLEANUP_DEPOSIT; }
	$MAX_ENQUEUED_REMOVALS() { return REMOVALS_MAX; }
	$MAX_PIECE_SIZE_LOG2() { return 50n; }
	$INACTIVITY_WINDOW() { return INACTIVITY_WINDOW; }
	$getChallengeFinality() { return this.config.challengeFinality; }
	$getNextDataSetId() { return this.state.get('').nextSet; }
	$dataSetLive(call, id) { return this.live(id); }
	$getDataSetLeafCount(call, id) { return this.set(id).leaves; }
	$getNextPieceId(call, id) { return this.set(id).next; }
	$getNextChallengeEpoch(call, id) { return this.set(id).challenge; }
	$getDataSetListener(call, id) { return this.set(id).listener; }
	$getDataSetLastProvenEpoch(call, id) { return this.set(id).lastProven; }
	$getChallengeRange(call, id) { return this.set(id).range; }
	$getScheduledRemovals(call, id) { return this.set(id).removals; }

	$getDataSetStorageProvider(call, id) {
		return [this.set(id).provider, ZERO];
	}

	$pieceLive(call, id, pieceId) {
		return this.live(id) && this.pieces.has(`${id}|${pieceId}`);
	}

	$pieceChallengable(call, id, pieceId) {
		if (!this.$pieceLive(call, id, pieceId))
			return false;
		let before = 0n;
		for (const [at, piece] of this.active(id)) {
			if (at > pieceId)
				break;
			before += piece.leaves;
		}
		return before <= this.sets.get(id).range;
	}

	$getPieceCid(call, id, pieceId) {
		this.set(id);
		return { data: this.pieces.get(`${id}|${pieceId}`)?.cid ?? '0x' };
	}

	$getPieceLeafCount(call, id, pieceId) {
		this.set(id);
		return this.pieces.get(`${id}|${pieceId}`)?.leaves ?? 0n;
	}

	$getActivePieceCount(call, id) {
		this.set(id);
		return BigInt([...this.active(id)].length);
	}

	page(rows, limit) {
		const found = [];
		for (const row of rows) {
			if (BigInt(found.length) === limit)
				return [found, true];
			found.push(row);
		}
		return [found, false];
	}

	$getActivePiecesByCursor(call, id, start, limit) {
		this.set(id);
		need(limit > 0n, 'Limit must be greater than 0');
		const [found, more] = this.page(this.active(id, start), limit);
		return [found.map(([, p]) => ({ data: p.cid })), found.map(([i]) => i),
			more];
	}

	$getActivePieces(call, id, offset, limit) {
		this.set(id);
		need(limit > 0n, 'Limit must be greater than 0');
		const rest = [...this.active(id)].slice(Number(offset));
		const [found, more] = this.page(rest, limit);
		return [found.map(([, p]) => ({ data: p.cid })), found.map(([i]) => i),
			more];
	}

	$findPieceIdsByCid(call, id, cid, start, limit) {
		this.set(id);
		need(limit > 0n, 'Limit must be greater than 0');
		const same = [...this.active(id, start)].filter(([, p]) =>
			p.cid === cid.data.toLowerCase()).map(([i]) => i);
		return same.slice(0, Number(limit));
	}

	/* -- data sets and pieces -- */

	create(call, listener, extraData) {
		const state = this.state.ref('');
		const id = state.nextSet;
		state.nextSet += 1n;
		this.sets.set(id, { ...dataSet(), provider: call.sender, listener,
			lastProven: call.epoch });
		const contract = this.chain.contracts.get(listener);
		if (listener !== ZERO) {
			need(contract?.onDataSetCreated, 'listener is no contract');
			contract.onDataSetCreated(this.from(call), id, call.sender, extraData);
		}
		this.emit(call, 'DataSetCreated',
			{ setId: id, storageProvider: call.sender });
		return id;
	}

	takeDeposit(call, id) {
		this.check(call.value >= CLEANUP_DEPOSIT, 'CleanupDepositRequired');
		this.sets.ref(id).deposit = CLEANUP_DEPOSIT;
		this.chain.move(this.address, call.sender, call.value - CLEANUP_DEPOSIT);
	}

	$createDataSet(call, listener, extraData) {
		const id = this.create(call, listener, extraData);
		this.takeDeposit(call, id);
		return id;
	}

	$addPieces(call, id, listener, pieces, extraData) {
		if (id === 0n) {
			const [create, add] = decodeBoth(extraData);
			need(listener !== ZERO, 'listener required for new dataset');
			const made = this.create(call, listener, create);
			if (pieces.length > 0)
				this.addTo(call, made, pieces, add);
			this.takeDeposit(call, made);
			return made;
		}
		need(listener === ZERO, 'listener must be zero for existing dataset');
		need(call.value === 0n, 'no fee on add to existing dataset');
		need(this.set(id).provider === call.sender,
			'Only the storage provider can add pieces');
		return this.addTo(call, id, pieces, extraData);
	}

	addTo(call, id, pieces, extraData) {
		need(pieces.length > 0, 'Must add at least one piece');
		const set = this.sets.ref(id);
		const first = set.next;
		pieces.forEach((piece, i) => {
			const { leaves } = this.readPiece(piece.data, i);
			this.pieces.set(`${id}|${set.next}`,
				{ cid: piece.data.toLowerCase(), leaves });
			set.next += 1n;
			set.leaves += leaves;
		});
		this.emit(call, 'PiecesAdded', { setId: id,
			pieceIds: pieces.map((_, i) => first + BigInt(i)),
			pieceCids: pieces });
		this.listener(set)?.onPiecesAdded(this.from(call), id, first, pieces,
			extraData);
		return first;
	}

	readPiece(data, index) {
		try {
			return readPieceV2(hexToBytes(data));
		} catch (e) {
			if (!(e instanceof CidError))
				throw e;
			return this.fail('IndexedError', BigInt(index), e.message);
		}
	}

	$schedulePieceDeletions(call, id, pieceIds, extraData) {
		this.set(id);
		const set = this.sets.ref(id);
		need(set.provider === call.sender,
			'Only the storage provider can schedule removal of pieces');
		need(BigInt(pieceIds.length + set.removals.length) <= REMOVALS_MAX,
			'Too many removals wait for next proving period to schedule');
		for (const pieceId of pieceIds) {
			need(pieceId < set.next,
				'Can only schedule removal of existing pieces');
			need(this.pieces.has(`${id}|${pieceId}`),
				'Can only schedule removal of live pieces');
			need(!set.removals.includes(pieceId),
				'Piece ID already scheduled for removal');
			set.removals = [...set.removals, pieceId];
		}
		this.emit(call, 'PiecesScheduledForRemoval', { setId: id, pieceIds });
		this.listener(set)?.onRemovalsScheduled(this.from(call), id, pieceIds,
			extraData);
	}

	$deleteDataSet(call, id) {
		const set = this.sets.ref(id);
		this.check(set.provider !== ZERO, 'DataSetNotLive');
		this.check(!set.cleanup, 'DataSetAlreadyInCleanup');
		if (call.epoch <= set.lastProven + INACTIVITY_WINDOW) {
			this.check(call.sender === set.provider,
				'OnlyStorageProviderCanDelete');
		}
		const deletedLeafCount = set.leaves;
		set.leaves = 0n;
		this.listener(set)?.onDataSetDeleted(this.from(call), id);
		this.emit(call, 'DataSetDeleted', { setId: id, deletedLeafCount });
		if (set.next === 0n)
			this.endCleanup(call, id, set);
		else
			set.cleanup = true;
	}

	$cleanupPieces(call, id, most) {
		this.check(most > 0n, 'MaxPiecesMustBePositive');
		const set = this.sets.ref(id);
		this.check(set.cleanup, 'DataSetNotInCleanupMode');
		this.check(call.sender === set.provider,
			'OnlyStorageProviderCanCleanupPieces');
		for (let n = 0n; n < most && set.next > 0n; n++) {
			set.next -= 1n;
			this.pieces.delete(`${id}|${set.next}`);
		}
		if (set.next > 0n)
			return false;
		this.endCleanup(call, id, set);
		return true;
	}

	endCleanup(call, id, set) {
		this.chain.move(this.address, call.sender, set.deposit);
		this.sets.delete(id);
	}

	/* -- proofs -- */

	$getRandomness(call, epoch) {
		return BigInt(keccak256(encodePacked(['string', 'uint256', 'uint256'],
			['randomness', BigInt(this.chain.chainId), epoch])));
	}

	/** Which leaves a proof has to show: [{ pieceId, offset, piece }] */
	challenges(call, id, count) {
		const set = this.sets.get(id);
		const seed = this.$getRandomness(call, set.challenge);
		const rows = [...this.active(id)];
		return Array.from({ length: count }, (_, i) => {
			let offset = BigInt(keccak256(encodePacked(
				['uint256', 'uint256', 'uint64'], [seed, id, BigInt(i)]))) %
				set.range;
			for (const [pieceId, piece] of rows) {
				if (offset < piece.leaves)
					return { pieceId, offset, piece };
				offset -= piece.leaves;
			}
			return this.fail('DataSetNotFound');
		});
	}

	$provePossession(call, id, proofs) {
		const set = this.sets.ref(id);
		need(call.sender === set.provider,
			'Only the storage provider can prove possession');
		need(proofs.length > 0, 'empty proof');
		need(call.epoch >= set.challenge, 'premature proof');
		need(set.challenge !== 0n, 'no challenge scheduled');
		this.challenges(call, id, proofs.length).forEach((c, i) => {
			const { root, height } = readPieceV2(hexToBytes(c.piece.cid));
			need(verifyPath(root, height, proofs[i].leaf, proofs[i].proof,
				c.offset), 'proof did not verify');
		});
		set.lastProven = call.epoch;
		this.listener(set)?.onPossessionProven(this.from(call), id,
			BigInt(proofs.length));
		this.chain.move(this.address, call.sender, call.value);
	}

	$nextProvingPeriod(call, id, challengeEpoch) {
		const set = this.sets.ref(id);
		need(call.sender === set.provider,
			'only the storage provider can move to next proving period');
		need(set.leaves > 0n, 'can only start proving once leaves are added');
		if (set.removals.length > 0) {
			this.set(id);
			const pieceIds = set.removals;
			for (const pieceId of pieceIds) {
				set.leaves -= this.pieces.get(`${id}|${pieceId}`).leaves;
				this.pieces.delete(`${id}|${pieceId}`);
			}
			set.removals = [];
			this.emit(call, 'PiecesRemoved', { setId: id, pieceIds });
		}
		set.range = set.leaves;

		const delay = BigInt.asUintN(256, challengeEpoch - call.epoch);
		const { challengeFinality } = this.config;
		this.check(delay >= challengeFinality, 'InsufficientChallengeDelay',
			delay, challengeFinality);
		this.check(delay <= FINALITY_MAX, 'ExcessiveChallengeDelay', delay,
			FINALITY_MAX);
		set.challenge = challengeEpoch;
		if (set.leaves === 0n) {
			this.emit(call, 'DataSetEmpty', { setId: id });
			set.lastProven = call.epoch;
			set.challenge = 0n;
		}
		this.listener(set)?.onNextProvingPeriod(this.from(call), id,
			set.challenge, set.leaves);
		this.emit(call, 'NextProvingPeriod', { setId: id, challengeEpoch,
			leafCount: set.leaves });
	}
}
