/*
 * client.mjs - a devnet in this process, and a client of it that speaks HTTP
 *
 * Epochs pass only when a test says so (epochs()).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { decodeFunctionResult, hexToBytes } from 'viem/utils';

import { abi } from '../lib/abi.mjs';
import { readPieceV2 } from '../lib/cid.mjs';
import { Wallet, calldata } from '../lib/wallet.mjs';
import { Devnet } from '../devnet.mjs';
import { MAX, piece, zeroPiece } from './help.mjs';

let made = 0;

/** Where a contract of facts() is called what in the ABI. */
const CONTRACTS = { fwss: 'FWSS', view: 'FWSSStateView', pdp: 'PDPVerifier',
	pay: 'FilecoinPay', usdfc: 'ERC20', registry: 'ServiceProviderRegistry',
	sessions: 'SessionKeyRegistry', endorsements: 'ProviderIdSet',
	multicall: 'Multicall3' };

const PATIENCE_MS = 60000;

/** What a provider does beside its answers, on its disk above all. */
export async function until(met) {
	const end = performance.now() + PATIENCE_MS;
	while (!await met()) {
		assert.ok(performance.now() < end, `not met: ${met}`);
		await wait(20);
	}
}

export const random = () => BigInt(`0x${randomBytes(32).toString('hex')}`);

export class Client {
	static async start(t, options = {}) {
		const devnet = new Devnet({ epochMs: 0, ...options });
		await devnet.start();
		t.after(() => devnet.stop());
		return new Client(devnet);
	}

	constructor(devnet) {
		this.devnet = devnet;
		this.at = devnet.facts();
		this.wallet = new Wallet(`0x${(++made).toString(16)
			.padStart(64, '5')}`);
		this.domain = devnet.net.fwss.domain;
	}

	/* -- the devnet itself -- */

	async admin(path, body) {
		const res = await fetch(this.at.admin + path, body === undefined ? {} :
			{ method: 'POST', body: JSON.stringify(body) });
		const answer = await res.text();
		if (!res.ok)
			throw new Error(`admin ${path}: ${answer}`);
		return JSON.parse(answer);
	}

	epochs(n = 1, options = {}) {
		return this.devnet.advance(n, options);
	}

	ledger(kind) {
		return this.devnet.chain.ledger.filter((l) => l.kind === kind);
	}

	/* -- the chain -- */

	async rpc(method, params = [], endpoint = 0) {
		const res = await fetch(this.at.rpc[endpoint], { method: 'POST',
			body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
		return res.json();
	}

	async read(contract, functionName, args = []) {
		const { result, error } = await this.rpc('eth_call', [{
			to: this.at[contract],
			data: calldata(CONTRACTS[contract], functionName, args) }, 'latest']);
		if (error)
			throw Object.assign(new Error(error.message), error);
		return decodeFunctionResult({ abi: abi[CONTRACTS[contract]],
			functionName, args, data: result });
	}

	/** Send, wait for the receipt. */
	async send(contract, functionName, args, wallet = this.wallet) {
		const nonce = Number((await this.rpc('eth_getTransactionCount',
			[wallet.address, 'pending'])).result);
		const raw = await wallet.transaction({ chainId: this.at.chainId, nonce,
			to: this.at[contract],
			data: calldata(CONTRACTS[contract], functionName, args) });
		const { result, error } = await this.rpc('eth_sendRawTransaction', [raw]);
		if (error)
			throw new Error(error.message);
		await this.epochs(2);
		return (await this.rpc('eth_getTransactionReceipt', [result])).result;
	}

	/** FIL and USDFC, and all of the latter deposited with one transaction. */
	async fund(usdfc = '10', { rate = MAX, lockup = MAX } = {}) {
		const { address } = this.wallet;
		const value = BigInt(usdfc) * 10n ** 18n;
		await this.admin('/fund', { address, fil: '10', usdfc });
		const deadline = BigInt(Math.floor(Date.now() / 1000) + 3600);
		const { v, r, s } = await this.wallet.permit(this.devnet.net.token.domain,
			{ spender: this.at.pay, value, deadline,
				nonce: await this.read('usdfc', 'nonces', [address]) });
		return this.send('pay', 'depositWithPermitAndApproveOperator',
			[this.at.usdfc, address, value, deadline, v, r, s, this.at.fwss, rate,
				lockup, 86400n]);
	}

	/* -- a provider -- */

	http(provider, method, path, body, headers = {}) {
		const json = body !== undefined && !Buffer.isBuffer(body);
		return fetch(this.at.providers[provider - 1].url + path, { method,
			headers: { 'Accept-Encoding': 'identity', ...headers },
			body: json ? JSON.stringify(body) : body });
	}

	async upload(provider, bytes) {
		const cid = readPieceV2(hexToBytes(piece(bytes))).v2;
		const made = await this.http(provider, 'POST', '/pdp/piece/uploads');
		const path = made.headers.get('location');
		const put = await this.http(provider, 'PUT', path, bytes);
		if (put.status !== 204)
			return put;
		const end = await this.http(provider, 'POST', path, { pieceCid: cid });
		return end.status === 200 ? cid : end;
	}

	pieces(cids) {
		return cids.map((c) => ({ pieceCid: c, subPieces: [{ subPieceCid: c }] }));
	}

	hex(cids) {
		return cids.map((c) =>
			`0x${Buffer.from(readPieceV2(c).bytes).toString('hex')}`);
	}

	/** Sign a create-and-add; { clientDataSetId, nonce, extraData, body }. */
	async signCreate(provider, cids, metadata = { source: 'fildrive' }) {
		const clientDataSetId = random();
		const nonce = random();
		const extraData = await this.wallet.createAndAdd(this.domain,
			{ clientDataSetId, metadata,
				payee: this.at.providers[provider - 1].address },
			{ nonce, pieces: this.hex(cids) });
		return { clientDataSetId, nonce, extraData, body: { extraData,
			recordKeeper: this.at.fwss, pieces: this.pieces(cids) } };
	}

	async postCreate(provider, signed) {
		return this.http(provider, 'POST', '/pdp/data-sets/create-and-add',
			signed.body);
	}

	async json(provider, path) {
		return (await this.http(provider, 'GET', path)).json();
	}

	/** A data set with pieces: { id, clientDataSetId, nonce, location } */
	async create(provider, cids, metadata) {
		const signed = await this.signCreate(provider, cids, metadata);
		const res = await this.postCreate(provider, signed);
		if (res.status !== 201)
			throw new Error(`${res.status} ${await res.text()}`);
		const location = res.headers.get('location');
		await this.epochs(4);
		const { dataSetId } = await this.json(provider, location);
		return { ...signed, id: dataSetId, location };
	}

	async add(provider, set, cids, nonce = random(), metadata = []) {
		const extraData = await this.wallet.add(this.domain, { nonce,
			clientDataSetId: set.clientDataSetId, pieces: this.hex(cids),
			metadata });
		return this.http(provider, 'POST', `/pdp/data-sets/${set.id}/pieces`,
			{ extraData, pieces: this.pieces(cids) });
	}
}

export { zeroPiece };
