/*
 * registry.mjs - ServiceProviderRegistry: who stores, where and on what terms
 *
 * Providers are entered by the devnet itself; the functions are the getters.
 */
import { bytesToHex, stringToBytes } from 'viem/utils';

import { Contract, ZERO, need } from '../lib/contract.mjs';
import { Table } from '../lib/journal.mjs';

const PDP = 0;

/** A number as few bytes as it takes, at least one. */
const bigEndian = (n) => {
	const hex = BigInt(n).toString(16);
	return `0x${hex.length % 2 ? '0' : ''}${hex}`;
};

/** The capabilities of a product, in the order the registry keeps them. */
export function capabilities(c) {
	return {
		serviceURL: bytesToHex(stringToBytes(c.serviceURL)),
		minPieceSizeInBytes: bigEndian(c.minPieceSize ?? 127),
		maxPieceSizeInBytes: bigEndian(c.maxPieceSize ?? 1065353216),
		ipniPiece: '0x01',
		ipniIpfs: '0x01',
		storagePricePerTibPerDay: bigEndian(c.pricePerTibPerDay ??
			83333333333333333n),
		minProvingPeriodInEpochs: bigEndian(c.minProvingPeriod ?? 30),
		location: bytesToHex(stringToBytes(c.location)),
		paymentTokenAddress: c.token.toLowerCase(),
		...c.more,
	};
}

export class Registry extends Contract {
	constructor(chain, address) {
		super(chain, 'ServiceProviderRegistry', address);
		this.providers = new Table(chain.journal);
		this.state = new Table(chain.journal, () => ({ count: 0n }));
	}

	/** Enter a provider; `facts` as capabilities() takes them. */
	register({ address, payee = address, name, description }, facts) {
		const state = this.state.ref('');
		state.count += 1n;
		this.providers.set(state.count, { serviceProvider: address, payee, name,
			description, isActive: true, product: capabilities(facts),
			productActive: true });
		return state.count;
	}

	provider(id) {
		need(id > 0n && id <= this.state.get('').count,
			'Provider does not exist');
		return this.providers.get(id);
	}

	idOf(address) {
		for (const id of this.ids()) {
			if (this.providers.get(id).serviceProvider === address)
				return id;
		}
		return 0n;
	}

	ids() {
		return Array.from({ length: Number(this.state.get('').count) },
			(_, i) => BigInt(i + 1));
	}

	info(id) {
		const { serviceProvider, payee, name, description, isActive } =
			this.provider(id);
		return { serviceProvider, payee, name, description, isActive };
	}

	view(id) {
		return { providerId: id, info: this.info(id) };
	}

	product(id) {
		const p = this.provider(id);
		return {
			providerId: id,
			providerInfo: this.info(id),
			product: { productType: PDP, capabilityKeys: Object.keys(p.product),
				isActive: p.productActive },
			productCapabilityValues: Object.values(p.product),
		};
	}

	$VERSION() { return '1.2.0'; }
	$MAX_CAPABILITIES() { return 24n; }
	$MAX_CAPABILITY_KEY_LENGTH() { return 32n; }
	$MAX_CAPABILITY_VALUE_LENGTH() { return 128n; }
	$getProviderCount() { return this.state.get('').count; }
	$getNextProviderId() { return this.state.get('').count + 1n; }
	$getProvider(call, id) { return this.view(id); }
	$getProviderPayee(call, id) { return this.provider(id).payee; }
	$getProviderIdByAddress(call, address) { return this.idOf(address); }
	$addressToProviderId(call, address) { return this.idOf(address); }
	$isRegisteredProvider(call, address) { return this.idOf(address) !== 0n; }
	$isProviderActive(call, id) { return this.provider(id).isActive; }
	$activeProviderCount() { return BigInt(this.active().length); }

	active() {
		return this.ids().filter((id) => this.provider(id).isActive);
	}

	$getProviderByAddress(call, address) {
		const id = this.idOf(address);
		return id === 0n ? { providerId: 0n, info: { serviceProvider: ZERO,
			payee: ZERO, name: '', description: '', isActive: false } } :
			this.view(id);
	}

	$providers(call, id) {
		const i = this.info(id);
		return [i.serviceProvider, i.payee, i.name, i.description, i.isActive];
	}

	$providerHasProduct(call, id, type) {
		return type === PDP && this.provider(id).productActive;
	}

	$getProviderWithProduct(call, id, type) {
		need(type === PDP, 'Only PDP product type currently supported');
		return this.product(id);
	}

	$getProvidersByProductType(call, type, onlyActive, offset, limit) {
		const ids = type === PDP ? this.ids().filter((id) => !onlyActive ||
			(this.provider(id).isActive && this.provider(id).productActive)) : [];
		const some = ids.slice(Number(offset), Number(offset + limit));
		return { providers: some.map((id) => this.product(id)),
			hasMore: offset + BigInt(some.length) < BigInt(ids.length) };
	}

	$getAllActiveProviders(call, offset, limit) {
		const ids = this.active();
		const some = ids.slice(Number(offset), Number(offset + limit));
		return [some, offset + BigInt(some.length) < BigInt(ids.length)];
	}

	$getAllProductCapabilities(call, id, type) {
		const p = this.provider(id);
		return type === PDP ? [p.productActive, Object.keys(p.product),
			Object.values(p.product)] : [false, [], []];
	}

	$getProductCapabilities(call, id, type, keys) {
		const { product } = this.provider(id);
		return keys.map((k) => type === PDP ? product[k] ?? '0x' : '0x');
	}

	$productCapabilities(call, id, type, key) {
		return this.$getProductCapabilities(call, id, type, [key])[0];
	}

	$getProvidersByIds(call, ids) {
		const known = ids.map((id) => id > 0n && id <= this.state.get('').count);
		return [ids.map((id, i) => known[i] ? this.view(id) :
			this.$getProviderByAddress(call, ZERO)), known];
	}
}
