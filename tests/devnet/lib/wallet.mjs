/*
 * wallet.mjs - what a payer signs, made by viem
 *
 * For providers (their transactions) and for tests (everything else).
 */
import { encodeAbiParameters, encodeFunctionData, getAddress,
	parseAbiParameters } from 'viem/utils';
import { privateKeyToAccount } from 'viem/accounts';

import { abi } from './abi.mjs';
import { TYPES, TYPE_HASHES, entries } from '../contracts/extradata.mjs';

const CREATE = parseAbiParameters('address, uint256, string[], string[], bytes');
const ADD = parseAbiParameters('uint256, string[][], string[][], bytes');
const BYTES = parseAbiParameters('bytes');
const TWO = parseAbiParameters('bytes, bytes');

export const GAS = 500_000_000n;

export class Wallet {
	constructor(privateKey) {
		this.account = privateKeyToAccount(privateKey);
		this.address = getAddress(this.account.address);
	}

	/** A type 2 transaction, signed. */
	transaction({ chainId, nonce, to, data = '0x', value = 0n, gas = GAS,
		maxFeePerGas = 1_000_000n, maxPriorityFeePerGas = 100_000n }) {
		return this.account.signTransaction({ type: 'eip1559', chainId, nonce, to,
			data, value, gas, maxFeePerGas, maxPriorityFeePerGas });
	}

	sign(domain, primaryType, message) {
		return this.account.signTypedData({ domain, types: TYPES, primaryType,
			message });
	}

	/** extraData of createDataSet; `payer` if a session key signs. */
	async create(domain, { clientDataSetId, payee, metadata = {},
		payer = this.address }) {
		const keys = Object.keys(metadata);
		const values = Object.values(metadata);
		const signature = await this.sign(domain, 'CreateDataSet',
			{ clientDataSetId, payee, metadata: entries(keys, values) });
		return encodeAbiParameters(CREATE, [payer, clientDataSetId, keys, values,
			signature]);
	}

	/** extraData of addPieces; `pieces` are hex PieceCIDv2. */
	async add(domain, { clientDataSetId, nonce, pieces, metadata = [] }) {
		const each = pieces.map((_, i) => metadata[i] ?? {});
		const keys = each.map(Object.keys);
		const values = each.map(Object.values);
		const signature = await this.sign(domain, 'AddPieces', {
			clientDataSetId, nonce, pieceData: pieces.map((data) => ({ data })),
			pieceMetadata: keys.map((k, i) => ({ pieceIndex: BigInt(i),
				metadata: entries(k, values[i]) })),
		});
		return encodeAbiParameters(ADD, [nonce, keys, values, signature]);
	}

	async createAndAdd(domain, create, add) {
		return encodeAbiParameters(TWO, [await this.create(domain, create),
			await this.add(domain,
				{ ...add, clientDataSetId: create.clientDataSetId })]);
	}

	async remove(domain, clientDataSetId, pieceIds) {
		return encodeAbiParameters(BYTES, [await this.sign(domain,
			'SchedulePieceRemovals', { clientDataSetId, pieceIds })]);
	}

	async terminate(domain, dataSetId) {
		return encodeAbiParameters(BYTES, [await this.sign(domain,
			'TerminateService', { dataSetId })]);
	}

	/** v, r, s of an ERC-2612 permit */
	async permit(domain, { spender, value, nonce, deadline }) {
		const signature = await this.account.signTypedData({ domain,
			primaryType: 'Permit',
			types: { Permit: [
				{ name: 'owner', type: 'address' },
				{ name: 'spender', type: 'address' },
				{ name: 'value', type: 'uint256' },
				{ name: 'nonce', type: 'uint256' },
				{ name: 'deadline', type: 'uint256' },
			] },
			message: { owner: this.address, spender, value, nonce, deadline } });
		return { r: signature.slice(0, 66), s: `0x${signature.slice(66, 130)}`,
			v: Number(`0x${signature.slice(130)}`) };
	}
}

/** Calldata by contract and function name. */
export const calldata = (contract, functionName, args) =>
	encodeFunctionData({ abi: abi[contract], functionName, args });

export { TYPE_HASHES };
