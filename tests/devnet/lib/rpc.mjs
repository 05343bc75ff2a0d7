/*
 * rpc.mjs - one JSON-RPC endpoint of the chain, honest or not
 *
 * Section 7 of the reference.  Any path is answered, single calls and batches.
 * Knobs beside those of http.mjs:
 *
 *   lag         epochs that it is behind: state, blocks and receipts
 *   chainId     the id it claims
 *   blockNumber the head it claims
 *   balanceOf   { "0x...": amount } FIL balances it claims, decimal attoFIL
 *   callResult  { "0x<selector>": "0x<result>" } answers it makes up
 *   errors      { method, times, code, message }[]: methods that fail; method ""
 *               is every method
 *   hugeBytes   every result is a string of so many bytes
 *   garbage     the next n answers are no JSON
 *   errorCode   code of reverts (3); dropData: reverts come without data
 */
import { getAddress, isAddress, isHex, toHex } from 'viem/utils';

import { RpcError, lotusText } from './chain.mjs';
import { Listener, json } from './http.mjs';

const BATCH_MAX = 100;
const BODY_MAX = 8 << 20;
const CLIENT = 'lotus-1.34.0+fildrive-devnet';

const hex = (n) => toHex(BigInt(n));

const invalid = (message) => {
	throw new RpcError(-32602, message);
};

const address = (value, name = 'address') => isAddress(value ?? '',
	{ strict: false }) ? getAddress(value) : invalid(`invalid ${name}`);

const bytes = (value) => value === undefined || value === null ? '0x' :
	isHex(value) && value.length % 2 === 0 ? value : invalid('invalid hex data');

const quantity = (value) => {
	if (value === undefined || value === null)
		return 0n;
	if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value))
		invalid('invalid quantity');
	return BigInt(value);
};

export class RpcEndpoint {
	constructor(chain, name) {
		this.chain = chain;
		this.listener = new Listener(name, (req) => this.handle(req));
		this.knobs = RpcEndpoint.noKnobs();
		this.calls = {};
	}

	static noKnobs() {
		return { lag: 0, chainId: undefined, blockNumber: undefined,
			balanceOf: {}, callResult: {}, errors: [], hugeBytes: 0, garbage: 0,
			errorCode: 3, dropData: false };
	}

	get head() {
		return this.chain.head - BigInt(this.knobs.lag);
	}

	async handle(req) {
		if (req.method !== 'POST')
			return json(405, { error: 'POST only' });
		let body;
		try {
			body = JSON.parse(await req.body(BODY_MAX));
		} catch (e) {
			if (!(e instanceof SyntaxError))
				throw e;
			return json(200, this.error(null, -32700, 'Parse error'));
		}
		if (this.knobs.garbage > 0) {
			this.knobs.garbage--;
			return { status: 200, headers: { 'Content-Type': 'text/html' },
				body: '<html>502 Bad Gateway</html>' };
		}
		if (!Array.isArray(body))
			return json(200, this.one(body));
		if (body.length === 0 || body.length > BATCH_MAX)
			return json(200, this.error(null, -32600, 'invalid batch'));
		return json(200, body.map((call) => this.one(call)));
	}

	error(id, code, message, data) {
		return { jsonrpc: '2.0', id,
			error: { code, message, ...data === undefined ? {} : { data } } };
	}

	one(call) {
		const id = call?.id ?? null;
		const method = call?.method;
		if (typeof method !== 'string')
			return this.error(id, -32600, 'Invalid Request');
		this.calls[method] = (this.calls[method] ?? 0) + 1;
		try {
			this.failOnPurpose(method);
			const f = this[`$${method}`];
			if (f === undefined) {
				throw new RpcError(-32601, `method '${method}' not found`);
			}
			const result = f.apply(this, call.params ?? []);
			return { jsonrpc: '2.0', id, result: this.knobs.hugeBytes > 0 ?
				`0x${'ab'.repeat(this.knobs.hugeBytes / 2)}` : result };
		} catch (e) {
			if (e instanceof RpcError)
				return this.error(id, e.code, e.message, e.data);
			process.stderr.write(`${method}: ${e.stack}\n`);
			return this.error(id, -32603, `internal error: ${e.message}`);
		}
	}

	failOnPurpose(method) {
		const { errors } = this.knobs;
		const e = errors.find((x) => !x.method || x.method === method);
		if (e === undefined)
			return;
		e.times = (e.times ?? 1) - 1;
		if (e.times <= 0)
			this.knobs.errors = errors.filter((x) => x !== e);
		throw new RpcError(e.code ?? -32000, e.message ?? 'server is busy');
	}

	revert(r) {
		const { errorCode, dropData } = this.knobs;
		throw new RpcError(errorCode, lotusText(r), dropData ? undefined : r.data);
	}

	/** The epoch that a block parameter means. */
	epochOf(tag = 'latest') {
		const t = typeof tag === 'object' && tag !== null ? tag.blockNumber : tag;
		if (['latest', 'pending', 'safe', 'finalized'].includes(t))
			return this.head;
		if (t === 'earliest')
			return 0n;
		const epoch = quantity(t);
		if (epoch > this.head) {
			throw new RpcError(1, `requested a future epoch (beyond 'latest')`);
		}
		if (epoch + 2000n < this.head) {
			throw new RpcError(1, 'bad tipset height: lookbacks of more than ' +
				'16h40m0s are disallowed');
		}
		return epoch;
	}

	message(m) {
		if (typeof m !== 'object' || m === null)
			invalid('invalid call');
		return { from: m.from ? address(m.from, 'from') : undefined,
			to: m.to ? address(m.to, 'to') : null, value: quantity(m.value),
			data: bytes(m.input ?? m.data) };
	}

	$eth_chainId() { return hex(this.knobs.chainId ?? this.chain.chainId); }

	$net_version() {
		return String(this.knobs.chainId ?? this.chain.chainId);
	}

	$net_listening() { return true; }
	$eth_syncing() { return false; }
	$eth_accounts() { return []; }
	$web3_clientVersion() { return CLIENT; }

	$eth_blockNumber() {
		return hex(this.knobs.blockNumber ?? this.head);
	}

	$eth_gasPrice() { return hex(this.chain.baseFee + this.chain.premium); }
	$eth_maxPriorityFeePerGas() { return hex(this.chain.premium); }

	$eth_feeHistory(count, newest, percentiles) {
		const n = Math.min(Number(count), 1024);
		if (!(n > 0))
			invalid('invalid block count');
		const last = this.epochOf(newest);
		const rows = (value, length) => Array.from({ length }, () => value);
		return {
			oldestBlock: hex(last - BigInt(n) + 1n),
			baseFeePerGas: rows(hex(this.chain.baseFee), n + 1),
			gasUsedRatio: rows(0.1, n),
			...percentiles ? { reward: rows(percentiles
				.map(() => hex(this.chain.premium)), n) } : {},
		};
	}

	$eth_getBlockByNumber(tag, full) {
		const epoch = this.epochOf(tag);
		let at = epoch;
		/* 'latest' is the last epoch that has a block. */
		while (typeof tag === 'string' && !tag.startsWith('0x') &&
			!this.chain.blocks.has(at))
			at--;
		const block = this.chain.blockAt(at);
		if (block === undefined)
			return null;
		return {
			number: hex(at), hash: block.hash,
			parentHash: this.chain.blocks.get(at - 1n)?.hash ??
				`0x${'00'.repeat(32)}`,
			timestamp: hex(block.timestamp), baseFeePerGas: hex(
				this.chain.baseFee),
			gasLimit: hex(10n ** 10n), gasUsed: hex(block.gasUsed),
			miner: `0x${'00'.repeat(20)}`, extraData: '0x', nonce:
				`0x${'00'.repeat(8)}`, difficulty: '0x0', totalDifficulty: '0x0',
			logsBloom: `0x${'ff'.repeat(256)}`, mixHash: `0x${'00'.repeat(32)}`,
			sha3Uncles: `0x${'00'.repeat(32)}`, uncles: [], size: '0x400',
			receiptsRoot: `0x${'00'.repeat(32)}`,
			stateRoot: `0x${'00'.repeat(32)}`,
			transactionsRoot: `0x${'00'.repeat(32)}`,
			transactions: block.txs.map((h) => full ?
				this.$eth_getTransactionByHash(h) : h),
		};
	}

	$eth_call(call, tag) {
		const message = this.message(call);
		const made = this.knobs.callResult[message.data.slice(0, 10)];
		if (made !== undefined)
			return made;
		const { result, revert } = this.chain.simulate(message,
			{ epoch: this.epochOf(tag) });
		return revert ? this.revert(revert) : result;
	}

	$eth_estimateGas(call) {
		const message = this.message(call);
		const { revert } = this.chain.simulate(message,
			{ epoch: this.head, pending: true });
		if (revert)
			this.revert(revert);
		return hex(this.chain.gasOf(message) * 110n / 100n);
	}

	$eth_getTransactionCount(who, tag) {
		const a = address(who);
		if (tag === 'pending')
			return hex(this.chain.pendingNonce(a));
		return hex(this.chain.at(this.epochOf(tag),
			() => this.chain.nonces.get(a)));
	}

	$eth_getBalance(who, tag) {
		const a = address(who);
		const made = this.knobs.balanceOf[a] ??
			this.knobs.balanceOf[a.toLowerCase()];
		if (made !== undefined)
			return hex(made);
		return hex(this.chain.at(this.epochOf(tag),
			() => this.chain.balances.get(a)));
	}

	$eth_getCode(who) {
		return this.chain.contracts.has(address(who)) ? '0xfe' : '0x';
	}

	$eth_sendRawTransaction(raw) {
		return this.chain.send(bytes(raw));
	}

	tx(hash) {
		if (!isHex(hash) || hash.length !== 66)
			invalid('invalid hash');
		const tx = this.chain.txs.get(hash.toLowerCase());
		return tx === undefined || tx.dropped ? undefined : tx;
	}

	/** Where it stands, as far as this endpoint knows. */
	place(tx) {
		const done = tx.epoch !== undefined && tx.epoch <= this.head;
		return done ? { blockHash: this.chain.blocks.get(tx.epoch).hash,
			blockNumber: hex(tx.epoch),
			transactionIndex: hex(tx.receipt.index) } :
			{ blockHash: null, blockNumber: null, transactionIndex: null };
	}

	$eth_getTransactionByHash(hash) {
		const tx = this.tx(hash);
		if (tx === undefined)
			return null;
		const { r, s, yParity } = tx.signature;
		const legacy = tx.type === 'legacy';
		return { hash: tx.hash, ...this.place(tx), from: tx.from, to: tx.to,
			nonce: hex(tx.nonce), value: hex(tx.value), input: tx.data,
			gas: hex(tx.gas), chainId: hex(this.chain.chainId), r, s,
			type: legacy ? '0x0' : '0x2', gasPrice: hex(this.chain.priceOf(tx)),
			...legacy ? { v: hex(BigInt(this.chain.chainId) * 2n + 35n +
				BigInt(yParity)) } : { v: hex(yParity), yParity: hex(yParity),
				maxFeePerGas: hex(tx.maxFee), accessList: [],
				maxPriorityFeePerGas: hex(tx.premium) } };
	}

	$eth_getTransactionReceipt(hash) {
		const tx = this.tx(hash);
		if (tx?.epoch === undefined || tx.epoch > this.head)
			return null;
		const place = this.place(tx);
		return { transactionHash: tx.hash, ...place, from: tx.from, to: tx.to,
			contractAddress: null, type: tx.type === 'legacy' ? '0x0' : '0x2',
			status: tx.receipt.status ? '0x1' : '0x0',
			gasUsed: hex(tx.receipt.gasUsed),
			cumulativeGasUsed: hex(tx.receipt.gasUsed),
			effectiveGasPrice: hex(tx.receipt.price),
			logsBloom: `0x${'ff'.repeat(256)}`,
			logs: tx.receipt.logs.map((log, i) => ({ ...log, ...place,
				address: log.address.toLowerCase(), logIndex: hex(i),
				transactionHash: tx.hash, removed: false })) };
	}
}
