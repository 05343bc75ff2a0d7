/*
 * view.mjs - FilecoinWarmStorageServiceStateView and the small contracts:
 * SessionKeyRegistry, the endorsed providers, Multicall3
 */
import { Table } from '../lib/journal.mjs';
import { Contract, Revert, revertWith } from '../lib/contract.mjs';
import { CHALLENGES_PER_PROOF } from './fwss.mjs';
import { bytesOfLeaves, fees, lockups, rates } from './prices.mjs';

/** A page of a list; the limit 0 is all. */
const page = (all, offset, limit) => {
	if (offset >= BigInt(all.length))
		return [];
	const rest = all.slice(Number(offset));
	return limit === 0n || limit > BigInt(rest.length) ? rest :
		rest.slice(0, Number(limit));
};

const pairs = (list) => [list.map((e) => e.key), list.map((e) => e.value)];

const lookUp = (list, key) => {
	const entry = list.find((e) => e.key === key);
	return [entry !== undefined, entry?.value ?? ''];
};

export class StateView extends Contract {
	constructor(chain, address, fwss) {
		super(chain, 'FWSSStateView', address);
		this.fwss = fwss;
	}

	set(dataSetId) {
		return { ...this.fwss.sets.get(dataSetId), dataSetId };
	}

	$service() { return this.fwss.address; }
	$serviceCommissionBps() { return 0n; }
	$filBeamControllerAddress() { return this.fwss.beneficiary; }
	$nextUpgrade() { return [`0x${'00'.repeat(20)}`, 0n]; }
	$getDataSetSizeInBytes(call, leaves) { return bytesOfLeaves(leaves); }

	$getPriceList() {
		return { token: this.fwss.token.address, rates, fees, lockups };
	}

	$getCurrentPricingRates() {
		return [rates.storagePerTibPerMonth, rates.datasetFeePerMonth];
	}

	$clientDataSets_1(call, payer) { return this.fwss.clientSets.get(payer); }

	$clientDataSets_3(call, payer, offset, limit) {
		return page(this.fwss.clientSets.get(payer), offset, limit);
	}

	$getClientDataSets_1(call, payer) {
		return this.fwss.clientSets.get(payer).map((id) => this.set(id));
	}

	$getClientDataSets_3(call, payer, offset, limit) {
		return page(this.fwss.clientSets.get(payer), offset, limit)
			.map((id) => this.set(id));
	}

	$getClientDataSetsLength(call, payer) {
		return BigInt(this.fwss.clientSets.get(payer).length);
	}

	$clientNonces(call, payer, nonce) {
		return this.fwss.nonces.get(`${payer}|${nonce}`);
	}

	$railToDataSet(call, railId) { return this.fwss.railSets.get(railId); }
	$getDataSet(call, dataSetId) { return this.set(dataSetId); }

	$getDataSetStatus(call, dataSetId) {
		return this.set(dataSetId).pdpRailId !== 0n &&
			this.fwss.activation.get(dataSetId) !== 0n ? 1 : 0;
	}

	$getAllDataSetMetadata(call, dataSetId) {
		return pairs(this.fwss.metadata.get(dataSetId));
	}

	$getDataSetMetadata(call, dataSetId, key) {
		return lookUp(this.fwss.metadata.get(dataSetId), key);
	}

	$getAllPieceMetadata(call, dataSetId, pieceId) {
		return pairs(this.fwss.pieceMetadata.get(`${dataSetId}|${pieceId}`));
	}

	$getPieceMetadata(call, dataSetId, pieceId, key) {
		return lookUp(this.fwss.pieceMetadata.get(`${dataSetId}|${pieceId}`),
			key);
	}

	$getApprovedProviders(call, offset, limit) {
		return page(this.fwss.approved.get(''), offset, limit);
	}

	$getApprovedProvidersLength() {
		return BigInt(this.fwss.approved.get('').length);
	}

	$isProviderApproved(call, providerId) {
		return this.fwss.approved.get('').includes(providerId);
	}

	$getPDPConfig(call) {
		const { maxProvingPeriod, challengeWindow } = this.fwss.config;
		return [maxProvingPeriod, challengeWindow, CHALLENGES_PER_PROOF,
			call.epoch + maxProvingPeriod - challengeWindow];
	}

	$provingActivationEpoch(call, id) { return this.fwss.activation.get(id); }
	$provingDeadline(call, id) { return this.fwss.deadlines.get(id); }
	$provenThisPeriod(call, id) { return this.fwss.provenNow.get(id); }

	$provenPeriods(call, dataSetId, period) {
		return this.fwss.provenPeriods.get(`${dataSetId}|${period}`);
	}

	$nextPDPChallengeWindowStart(call, dataSetId) {
		const { maxProvingPeriod: length, challengeWindow } = this.fwss.config;
		const deadline = this.fwss.deadlines.get(dataSetId);
		if (deadline === 0n) {
			const start = this.fwss.activation.get(dataSetId);
			this.check(start !== 0n, 'ProvingPeriodNotInitialized', dataSetId);
			const periods = (call.epoch + 2n * length - start - 1n) / length;
			return start + periods * length - challengeWindow;
		}
		if (call.epoch <= deadline)
			return deadline - challengeWindow + length;
		const skipped = (call.epoch - deadline - 1n) / length;
		return deadline + length * (skipped + 1n) - challengeWindow;
	}
}

export class SessionKeys extends Contract {
	constructor(chain, address) {
		super(chain, 'SessionKeyRegistry', address);
		this.expiry = new Table(chain.journal, () => 0n);
	}

	$authorizationExpiry(call, user, signer, permission) {
		return this.expiry.get(`${user}|${signer}|${permission.toLowerCase()}`);
	}

	grant(call, signer, expiry, permissions, origin) {
		for (const p of permissions)
			this.expiry.set(`${call.sender}|${signer}|${p.toLowerCase()}`, expiry);
		this.emit(call, 'AuthorizationsUpdated', { identity: call.sender, signer,
			expiry, permissions, origin });
		this.chain.note(call, 'session', { owner: call.sender, signer, expiry,
			permissions });
	}

	$login(call, signer, expiry, permissions, origin) {
		this.grant(call, signer, expiry, permissions, origin);
	}

	$loginAndFund(call, signer, expiry, permissions, origin) {
		this.chain.move(this.address, signer, call.value);
		this.grant(call, signer, expiry, permissions, origin);
	}

	$revoke(call, signer, permissions, origin) {
		this.grant(call, signer, 0n, permissions, origin);
	}
}

export class Endorsements extends Contract {
	constructor(chain, address) {
		super(chain, 'ProviderIdSet', address);
		this.ids = new Table(chain.journal, () => []);
	}

	$getProviderIds() { return this.ids.get(''); }
	$containsProviderId(call, id) { return this.ids.get('').includes(id); }
}

export class Multicall extends Contract {
	constructor(chain, address) {
		super(chain, 'Multicall3', address);
	}

	one(call, target, data) {
		const contract = this.chain.contracts.get(target);
		let returnData = '0x';
		const success = this.attempt(() => {
			try {
				returnData = contract ?
					contract.run(this.from(call), data) : '0x';
			} catch (e) {
				returnData = e instanceof Revert ? e.data : '0x';
				throw e;
			}
		});
		return { success, returnData };
	}

	$aggregate3(call, calls) {
		return calls.map((c) => {
			const result = this.one(call, c.target, c.callData);
			if (!result.success && !c.allowFailure)
				revertWith('Multicall3: call failed');
			return result;
		});
	}

	$tryAggregate(call, all, calls) {
		return calls.map((c) => {
			const result = this.one(call, c.target, c.callData);
			if (!result.success && all)
				revertWith('Multicall3: call failed');
			return result;
		});
	}
}
