/*
 * fwss.mjs - FilecoinWarmStorageService: who may add what, and what it costs
 *
 * PDPVerifier tells it of every data set, add, removal and proof (the on...
 * methods); it checks the payer's signature and moves the rail in FilecoinPay.
 * Sections 3.9, 4 and 5 of the reference.  extraData.mjs reads the payloads.
 */
import { Table } from '../lib/journal.mjs';
import { Contract, MAX, ZERO, max, min } from '../lib/contract.mjs';
import { TYPE_HASHES, decodeAdd, decodeCreate, decodeSignature,
	digestOf, entries, signerOf } from './extradata.mjs';
import { DATASET_FEE_PER_EPOCH, EPOCHS_PER_MONTH, fees, lockups, rateOf, rates }
	from './prices.mjs';

export const CHALLENGES_PER_PROOF = 5n;
const KEY_BYTES_MAX = 32;
const VALUE_BYTES_MAX = 96;
const KEYS_PER_DATA_SET = 10;
const KEYS_PER_PIECE = 3;
const CREATE_BYTES_MAX = 4096n;
const SIGNED_BYTES_MAX = 256n;
const INACTIVITY_WINDOW = 86400n;
const FIELD_PAYER = 6; /* of Errors.AddressField */

const info = () => ({ pdpRailId: 0n, cacheMissRailId: 0n, cdnRailId: 0n,
	payer: ZERO, payee: ZERO, serviceProvider: ZERO, commissionBps: 0n,
	clientDataSetId: 0n, pdpEndEpoch: 0n, providerId: 0n,
	pendingOneTimePayments: 0n, lifecycleReserveBalance: 0n });

const lengthOf = (hex) => BigInt((hex.length - 2) / 2);

export class Fwss extends Contract {
	constructor(chain, address, config) {
		super(chain, 'FWSS', address);
		const { journal } = chain;
		this.config = config;
		this.sets = new Table(journal, info);
		this.nonces = new Table(journal, () => 0n);
		this.clientSets = new Table(journal, () => []);
		this.railSets = new Table(journal, () => 0n);
		this.metadata = new Table(journal, () => []);
		this.pieceMetadata = new Table(journal, () => []);
		this.removals = new Table(journal, () => []);
		this.activation = new Table(journal, () => 0n);
		this.deadlines = new Table(journal, () => 0n);
		this.provenNow = new Table(journal, () => false);
		this.provenPeriods = new Table(journal, () => false);
		this.approved = new Table(journal, () => []);
	}

	/** The contracts around it: { view, pdp, pay, token, registry, sessions,
	 * beneficiary }. */
	connect(others) {
		Object.assign(this, others);
	}

	/* -- getters of the proxy -- */

	$VERSION() { return '1.3.1'; }
	$name() { return 'Filecoin Warm Storage Service'; }
	$viewContractAddress() { return this.view.address; }
	$pdpVerifierAddress() { return this.pdp.address; }
	$paymentsContractAddress() { return this.pay.address; }
	$usdfcTokenAddress() { return this.token.address; }
	$serviceProviderRegistry() { return this.registry.address; }
	$sessionKeyRegistry() { return this.sessions.address; }
	$filBeamBeneficiaryAddress() { return this.beneficiary; }

	$eip712Domain() {
		const { name, version, chainId, verifyingContract } = this.domain;
		return ['0x0f', name, version, BigInt(chainId), verifyingContract,
			`0x${'00'.repeat(32)}`, []];
	}

	$getServicePrice() {
		return { pricePerTiBPerMonthNoCDN: rates.storagePerTibPerMonth,
			pricePerTiBCdnEgress: rates.cdnEgressPerTib,
			pricePerTiBCacheMissEgress: rates.cacheMissEgressPerTib,
			tokenAddress: this.token.address, epochsPerMonth: EPOCHS_PER_MONTH,
			datasetFeePerMonth: rates.datasetFeePerMonth };
	}

	$getProvingPeriodForEpoch(call, dataSetId, epoch) {
		return this.periodOf(this.activation.get(dataSetId), epoch);
	}

	get domain() {
		return { name: 'FilecoinWarmStorageService', version: '1',
			chainId: this.chain.chainId, verifyingContract: this.address };
	}

	/* -- who signed -- */

	authorize(call, payer, type, message, signature) {
		const signer = signerOf(this, digestOf(this.domain, type, message),
			signature);
		if (signer !== payer) {
			const expiry = this.sessions.$authorizationExpiry(call, payer, signer,
				TYPE_HASHES[type]);
			this.check(expiry >= call.timestamp, 'InvalidSignature', payer,
				signer);
		}
		return signer;
	}

	checkMetadata(dataSetId, keys, values, most) {
		this.check(keys.length === values.length,
			'MetadataKeyAndValueLengthMismatch', BigInt(keys.length),
			BigInt(values.length));
		this.check(keys.length <= most, 'TooManyMetadataKeys', BigInt(most),
			BigInt(keys.length));
		const seen = new Map();
		keys.forEach((key, i) => {
			this.check(!seen.get(key), 'DuplicateMetadataKey', dataSetId, key);
			const kb = Buffer.byteLength(key);
			const vb = Buffer.byteLength(values[i]);
			this.check(kb <= KEY_BYTES_MAX, 'MetadataKeyExceedsMaxLength',
				BigInt(i), BigInt(KEY_BYTES_MAX), BigInt(kb));
			this.check(vb <= VALUE_BYTES_MAX, 'MetadataValueExceedsMaxLength',
				BigInt(i), BigInt(VALUE_BYTES_MAX), BigInt(vb));
			seen.set(key, values[i]);
		});
		return keys.map((key) => ({ key, value: seen.get(key) }));
	}

	/* -- what PDPVerifier reports -- */

	onDataSetCreated(call, dataSetId, serviceProvider, extraData) {
		const length = lengthOf(extraData);
		this.check(length > 0n, 'ExtraDataRequired');
		this.check(length <= CREATE_BYTES_MAX, 'ExtraDataTooLarge', length,
			CREATE_BYTES_MAX);
		const d = decodeCreate(extraData);
		this.check(d.payer !== ZERO, 'ZeroAddress', FIELD_PAYER);

		const providerId = this.registry.idOf(serviceProvider);
		this.check(providerId !== 0n, 'ProviderNotRegistered', serviceProvider);
		const { payee } = this.registry.provider(providerId);
		const nonce = `${d.payer}|${d.clientDataSetId}`;
		this.check(this.nonces.get(nonce) === 0n, 'ClientDataSetAlreadyRegistered',
			d.clientDataSetId);
		this.nonces.set(nonce, dataSetId);
		this.clientSets.set(d.payer,
			[...this.clientSets.get(d.payer), dataSetId]);
		this.authorize(call, d.payer, 'CreateDataSet',
			{ clientDataSetId: d.clientDataSetId, payee,
				metadata: entries(d.keys, d.values) }, d.signature);
		this.metadata.set(dataSetId, this.checkMetadata(dataSetId, d.keys,
			d.values, KEYS_PER_DATA_SET));

		const cdn = d.keys.includes('withCDN');
		const rails = this.createRails(call, d.payer, payee, cdn);
		this.railSets.set(rails.pdpRailId, dataSetId);
		this.sets.set(dataSetId, { ...info(), ...rails, payer: d.payer, payee,
			serviceProvider, clientDataSetId: d.clientDataSetId, providerId,
			lifecycleReserveBalance: lockups.lifecycleReserveTarget,
			pendingOneTimePayments: fees.createDataSetFee });
		this.emit(call, 'DataSetCreated', { dataSetId, providerId, ...rails,
			payer: d.payer, serviceProvider, payee, metadataKeys: d.keys,
			metadataValues: d.values });
		this.chain.note(call, 'create', { dataSetId, providerId,
			payer: d.payer, clientDataSetId: d.clientDataSetId,
			railId: rails.pdpRailId });
	}

	createRails(call, payer, payee, cdn) {
		const { pay } = this;
		const token = this.token.address;
		const lockup = lockups.cdnLockupAmount + lockups.cacheMissLockupAmount;
		const required = rates.datasetFeePerMonth * lockups.defaultLockupPeriod /
			EPOCHS_PER_MONTH + lockups.lifecycleReserveTarget +
			(cdn ? lockup : 0n);
		const [, , available] = pay.$getAccountInfoIfSettled(call, token, payer);
		this.check(available >= required, 'InsufficientLockupFunds', payer,
			required, available);
		const a = pay.approvals.get(`${token}|${payer}|${this.address}`);
		this.check(a.isApproved, 'OperatorNotApproved', payer, this.address);
		this.check(a.rateAllowance >= a.rateUsage + DATASET_FEE_PER_EPOCH,
			'InsufficientRateAllowance', payer, this.address, a.rateAllowance,
			a.rateUsage, DATASET_FEE_PER_EPOCH);
		this.check(a.lockupAllowance >= a.lockupUsage + required,
			'InsufficientLockupAllowance', payer, this.address,
			a.lockupAllowance, a.lockupUsage, required);
		this.check(a.maxLockupPeriod >= lockups.defaultLockupPeriod,
			'InsufficientMaxLockupPeriod', payer, this.address,
			a.maxLockupPeriod, lockups.defaultLockupPeriod);

		const as = this.from(call);
		const rail = (to, validator, period, fixed) => {
			const id = pay.$createRail(as, token, payer, to, validator, 0n,
				this.address);
			pay.$modifyRailLockup(as, id, period, fixed);
			return id;
		};
		return {
			pdpRailId: rail(payee, this.address, lockups.defaultLockupPeriod,
				lockups.lifecycleReserveTarget),
			cacheMissRailId: cdn ? rail(payee, ZERO, lockups.cdnLockupPeriod,
				lockups.cacheMissLockupAmount) : 0n,
			cdnRailId: cdn ? rail(this.beneficiary, ZERO,
				lockups.cdnLockupPeriod, lockups.cdnLockupAmount) : 0n,
		};
	}

	onPiecesAdded(call, dataSetId, first, pieces, extraData) {
		const set = this.sets.ref(dataSetId);
		this.check(set.pdpRailId !== 0n, 'InvalidDataSetId', dataSetId);
		this.check(set.pdpEndEpoch === 0n, 'DataSetPaymentAlreadyTerminated',
			dataSetId);
		this.check(lengthOf(extraData) > 0n, 'ExtraDataRequired');
		const d = decodeAdd(extraData);
		const count = BigInt(pieces.length);
		const nonce = `${set.payer}|${d.nonce}`;
		this.check(this.nonces.get(nonce) === 0n, 'ClientDataSetAlreadyRegistered',
			d.nonce);
		this.nonces.set(nonce, ((first + count) << 128n) | dataSetId);
		for (const list of [d.keys, d.values]) {
			this.check(list.length === pieces.length,
				'MetadataArrayCountMismatch', BigInt(list.length), count);
		}
		// The hash of the metadata needs pairs.
		d.keys.forEach((keys, i) => this.check(keys.length === d.values[i].length,
			'MetadataKeyAndValueLengthMismatch', BigInt(keys.length),
			BigInt(d.values[i].length)));
		this.authorize(call, set.payer, 'AddPieces', {
			clientDataSetId: set.clientDataSetId, nonce: d.nonce,
			pieceData: pieces,
			pieceMetadata: d.keys.map((keys, i) => ({ pieceIndex: BigInt(i),
				metadata: entries(keys, d.values[i]) })),
		}, d.signature);

		const pending = set.pendingOneTimePayments + fees.addPiecesBaseFee +
			count * fees.addPiecesPerPieceFee;
		this.updateRates(call, dataSetId, set, this.pdp.leavesOf(dataSetId),
			pending, false);
		pieces.forEach((piece, i) => {
			const pieceId = first + BigInt(i);
			this.pieceMetadata.set(`${dataSetId}|${pieceId}`,
				this.checkMetadata(dataSetId, d.keys[i], d.values[i],
					KEYS_PER_PIECE));
			this.emit(call, 'PieceAdded', { dataSetId, pieceId,
				pieceCid: piece, keys: d.keys[i], values: d.values[i] });
		});
		this.chain.note(call, 'add', { dataSetId, providerId: set.providerId,
			payer: set.payer, nonce: d.nonce, firstPieceId: first,
			pieces: pieces.map((p) => p.data) });
	}

	onRemovalsScheduled(call, dataSetId, pieceIds, extraData) {
		this.notBeyondEnd(call, dataSetId);
		const set = this.sets.ref(dataSetId);
		this.check(set.pdpRailId !== 0n, 'DataSetNotRegistered', dataSetId);
		const length = lengthOf(extraData);
		this.check(length > 0n, 'ExtraDataRequired');
		this.check(length <= SIGNED_BYTES_MAX, 'ExtraDataTooLarge', length,
			SIGNED_BYTES_MAX);
		this.authorize(call, set.payer, 'SchedulePieceRemovals',
			{ clientDataSetId: set.clientDataSetId, pieceIds },
			decodeSignature(extraData));

		const pending = set.pendingOneTimePayments +
			fees.schedulePieceRemovalsFee;
		set.lifecycleReserveBalance = this.replenish(call, set, pending);
		set.pendingOneTimePayments = pending;
		this.removals.set(dataSetId,
			[...this.removals.get(dataSetId), ...pieceIds]);
		this.chain.note(call, 'remove', { dataSetId, payer: set.payer,
			pieceIds });
	}

	onPossessionProven(call, dataSetId, count) {
		this.notBeyondEnd(call, dataSetId);
		const deadline = this.deadlines.get(dataSetId);
		this.check(!this.provenNow.get(dataSetId), 'ProofAlreadySubmitted',
			dataSetId);
		this.check(count >= CHALLENGES_PER_PROOF, 'InvalidChallengeCount',
			dataSetId, CHALLENGES_PER_PROOF, count);
		this.check(deadline !== 0n, 'ProvingNotStarted', dataSetId);
		this.check(deadline >= call.epoch, 'ProvingPeriodPassed', dataSetId,
			deadline, call.epoch);
		const start = deadline - this.config.challengeWindow;
		this.check(start <= call.epoch, 'ChallengeWindowTooEarly', dataSetId,
			start, call.epoch);
		this.provenNow.set(dataSetId, true);
		const period = this.periodOf(this.activation.get(dataSetId), call.epoch);
		this.provenPeriods.set(`${dataSetId}|${period}`, true);
		this.chain.note(call, 'proof', { dataSetId, period });
	}

	onNextProvingPeriod(call, dataSetId, challenge, leaves) {
		this.notBeyondEnd(call, dataSetId);
		const { maxProvingPeriod: length, challengeWindow: window } = this.config;
		const set = this.sets.ref(dataSetId);
		const deadline = this.deadlines.get(dataSetId);
		const at = call.epoch;
		const within = (low, high) => this.check(challenge >= low &&
			challenge <= high, 'InvalidChallengeEpoch', dataSetId, low, high,
		challenge);

		if (deadline === 0n) {
			let start = this.activation.get(dataSetId);
			let first;
			if (start === 0n) {
				start = at;
				this.activation.set(dataSetId, start);
				first = start + length;
			} else {
				this.check(challenge > start, 'InvalidChallengeEpoch', dataSetId,
					start + 1n, start + length, challenge);
				first = this.deadlineOf(start, this.periodOf(start, at + length));
			}
			within(first - window, first);
			this.deadlines.set(dataSetId, first);
		} else {
			const before = deadline - length;
			this.check(at > before, 'NextProvingPeriodAlreadyCalled', dataSetId,
				before, at);
			const skipped = at <= deadline ? 0n : (at - deadline - 1n) / length;
			let next = 0n;
			if (challenge !== 0n) {
				next = deadline + length * (skipped + 1n);
				within(next - window, next);
			}
			const faults = skipped + (this.provenNow.get(dataSetId) ? 0n : 1n);
			if (faults > 0n) {
				this.emit(call, 'FaultRecord', { dataSetId,
					periodsFaulted: faults, deadline });
				this.chain.note(call, 'fault', { dataSetId, periods: faults,
					deadline });
			}
			this.deadlines.set(dataSetId, next);
			this.provenNow.set(dataSetId, false);
		}
		if (this.forgetRemoved(dataSetId) || set.pendingOneTimePayments > 0n) {
			this.updateRates(call, dataSetId, set, leaves,
				set.pendingOneTimePayments, false);
		}
	}

	onDataSetDeleted(call, dataSetId) {
		const set = this.sets.ref(dataSetId);
		this.check(set.pdpRailId !== 0n, 'DataSetNotRegistered', dataSetId);
		if (set.pdpEndEpoch === 0n) {
			this.abandon(call, dataSetId, set);
		} else {
			this.check(call.epoch >= set.pdpEndEpoch, 'PaymentRailsNotFinalized',
				dataSetId, set.pdpEndEpoch);
			const r = this.pay.rails.get(set.pdpRailId);
			this.check(r.from === ZERO || r.settledUpTo >= r.endEpoch,
				'RailNotFullySettled', set.pdpRailId, r.settledUpTo, r.endEpoch);
			this.endCdn(call, set);
		}
		const mine = this.clientSets.get(set.payer);
		const at = mine.indexOf(dataSetId);
		const left = mine.slice(0, -1);
		if (at < left.length)
			left[at] = mine.at(-1);
		this.clientSets.set(set.payer, left);
		this.forgetRemoved(dataSetId);
		for (const key of this.provenPeriods.keys()) {
			if (key.startsWith(`${dataSetId}|`))
				this.provenPeriods.delete(key);
		}
		this.railSets.delete(set.pdpRailId);
		for (const table of [this.activation, this.deadlines, this.provenNow,
			this.metadata, this.sets])
			table.delete(dataSetId);
		this.chain.note(call, 'delete', { dataSetId });
	}

	/** Nobody has proven it for 30 days: what is locked goes back. */
	abandon(call, dataSetId, set) {
		const { pay } = this;
		const as = this.from(call);
		const start = this.activation.get(dataSetId);
		if (start !== 0n) {
			const last = this.pdp.lastProven(dataSetId) || start;
			this.check(call.epoch > last + INACTIVITY_WINDOW,
				'DataSetNotAbandoned', dataSetId, last + INACTIVITY_WINDOW,
				call.epoch);
		}
		pay.$settleRail(as, set.pdpRailId, call.epoch);
		const kept = !this.attempt(() => pay.$modifyRailLockup(as, set.pdpRailId,
			0n, 0n));
		this.endCdn(call, set);
		this.activation.delete(dataSetId);
		pay.$terminateRail(as, set.pdpRailId);
		if (kept) {
			pay.$modifyRailLockup(as, set.pdpRailId,
				lockups.defaultLockupPeriod, 0n);
		}
		pay.$settleRail(as, set.pdpRailId, call.epoch);
	}

	endCdn(call, set) {
		for (const id of [set.cacheMissRailId, set.cdnRailId]) {
			if (id !== 0n)
				this.attempt(() => this.pay.$terminateRail(this.from(call), id));
		}
	}

	/* -- what the payer or the provider calls -- */

	$terminateService_1(call, dataSetId) {
		this.terminate(call, dataSetId, '0x');
	}

	$terminateService_2(call, dataSetId, extraData) {
		this.terminate(call, dataSetId, extraData);
	}

	terminate(call, dataSetId, extraData) {
		const set = this.sets.ref(dataSetId);
		const length = lengthOf(extraData);
		this.check(set.pdpRailId !== 0n, 'InvalidDataSetId', dataSetId);
		this.check(set.pdpEndEpoch === 0n, 'DataSetPaymentAlreadyTerminated',
			dataSetId);
		let approver = call.sender;
		if (length > 0n) {
			this.check(call.sender === set.serviceProvider,
				'CallerNotServiceProvider', dataSetId, set.serviceProvider,
				call.sender);
			this.check(length <= SIGNED_BYTES_MAX, 'ExtraDataTooLarge', length,
				SIGNED_BYTES_MAX);
			approver = this.authorize(call, set.payer, 'TerminateService',
				{ dataSetId }, decodeSignature(extraData));
			set.pendingOneTimePayments += fees.terminateFee;
		} else {
			this.check(call.sender === set.payer ||
				call.sender === set.serviceProvider, 'CallerNotPayerOrPayee',
			dataSetId, set.payer, set.serviceProvider, call.sender);
		}
		if (set.pendingOneTimePayments > 0n) {
			this.updateRates(call, dataSetId, set, this.pdp.leavesOf(dataSetId),
				set.pendingOneTimePayments, length > 0n);
		}
		this.pay.$terminateRail(this.from(call), set.pdpRailId);
		this.emit(call, 'ServiceTerminated', { approver, dataSetId,
			pdpRailId: set.pdpRailId, cacheMissRailId: set.cacheMissRailId,
			cdnRailId: set.cdnRailId });
		this.chain.note(call, 'terminate', { dataSetId, by: approver,
			endEpoch: set.pdpEndEpoch });
	}

	$topUpLifecycleReserve(call, dataSetId, amount) {
		const set = this.sets.ref(dataSetId);
		this.check(set.payer !== ZERO, 'InvalidDataSetId', dataSetId);
		this.check(call.sender === set.payer, 'CallerNotPayer', dataSetId,
			set.payer, call.sender);
		this.check(set.pdpEndEpoch === 0n, 'DataSetPaymentAlreadyTerminated',
			dataSetId);
		const balance = BigInt.asUintN(96, set.lifecycleReserveBalance + amount);
		this.pay.$modifyRailLockup(this.from(call), set.pdpRailId,
			lockups.defaultLockupPeriod, balance);
		set.lifecycleReserveBalance = balance;
	}

	/* -- what FilecoinPay calls -- */

	$railTerminated(call, railId, terminator, endEpoch) {
		this.check(call.sender === this.pay.address, 'CallerNotPayments',
			this.pay.address, call.sender);
		this.check(terminator === this.address,
			'ServiceContractMustTerminateRail');
		const dataSetId = this.railSets.get(railId);
		this.check(dataSetId !== 0n, 'DataSetNotFoundForRail', railId);
		const set = this.sets.ref(dataSetId);
		if (set.pdpEndEpoch === 0n)
			set.pdpEndEpoch = endEpoch;
		this.emit(call, 'PDPPaymentTerminated', { dataSetId, endEpoch,
			pdpRailId: railId });
	}

	$validatePayment(call, railId, proposed, start, end) {
		const dataSetId = this.railSets.get(railId);
		const nothing = (settleUpto, note) => ({ modifiedAmount: 0n, settleUpto,
			note });
		if (dataSetId === 0n)
			return nothing(end, 'Rail not associated with a data set');
		this.check(end > start, 'InvalidEpochRange', start, end);
		const activation = this.activation.get(dataSetId);
		if (activation === 0n || end <= activation)
			return nothing(end, 'No proving activity');
		this.check(end <= call.epoch, 'InvalidEpochRange', start, end);

		const [proven, reached] = this.provenEpochs(call, dataSetId, activation,
			max(start, activation), end);
		if (proven === 0n)
			return nothing(reached, 'No proven epochs in the requested range');
		return { modifiedAmount: proposed * proven / (end - start),
			settleUpto: reached, note: '' };
	}

	/** How many epochs of (start, end] count as proven, and up to where that is
	 * known: an open period waits for its proof. */
	provenEpochs(call, dataSetId, activation, start, end) {
		const length = this.config.maxProvingPeriod;
		let proven = 0n;
		let reached = start;
		const last = this.periodOf(activation, end);
		for (let p = this.periodOf(activation, start + 1n); p <= last; p++) {
			const deadline = this.deadlineOf(activation, p);
			if (this.provenPeriods.get(`${dataSetId}|${p}`)) {
				reached = min(end, deadline);
				proven += reached - max(deadline - length, start);
			} else if (deadline < call.epoch) {
				reached = min(end, deadline);
			}
		}
		return [proven, reached];
	}

	/* -- shared -- */

	periodOf(activation, epoch) {
		if (activation === 0n || epoch <= activation)
			return MAX;
		return (epoch - activation - 1n) / this.config.maxProvingPeriod;
	}

	deadlineOf(activation, period) {
		return activation + (period + 1n) * this.config.maxProvingPeriod;
	}

	notBeyondEnd(call, dataSetId) {
		const { pdpEndEpoch: end } = this.sets.get(dataSetId);
		this.check(end === 0n || call.epoch <= end,
			'DataSetPaymentBeyondEndEpoch', dataSetId, end, call.epoch);
	}

	forgetRemoved(dataSetId) {
		const gone = this.removals.get(dataSetId);
		for (const pieceId of gone)
			this.pieceMetadata.delete(`${dataSetId}|${pieceId}`);
		this.removals.delete(dataSetId);
		return gone.length > 0;
	}

	replenish(call, set, pending) {
		const balance = set.lifecycleReserveBalance;
		if (set.pdpEndEpoch !== 0n ||
			balance >= pending + lockups.replenishThreshold)
			return balance;
		const fixed = lockups.lifecycleReserveTarget + pending;
		this.pay.$modifyRailLockup(this.from(call), set.pdpRailId,
			lockups.defaultLockupPeriod, fixed);
		return fixed;
	}

	/** Set the rail to the rate of so many leaves and pay what is pending. */
	updateRates(call, dataSetId, set, leaves, pending, immediate) {
		const as = this.from(call);
		const newRate = rateOf(leaves);
		let paying = pending;
		if (immediate) {
			this.pay.$modifyRailLockup(as, set.pdpRailId, 0n, pending);
			set.lifecycleReserveBalance = 0n;
		} else {
			const balance = this.replenish(call, set, pending);
			paying = min(pending, balance);
			set.lifecycleReserveBalance = balance - paying;
		}
		this.pay.$modifyRailPayment(as, set.pdpRailId, newRate, paying);
		set.pendingOneTimePayments = 0n;
		this.emit(call, 'RailRateUpdated', { dataSetId, railId: set.pdpRailId,
			newRate });
	}
}
