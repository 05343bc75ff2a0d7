/*
 * chain.mjs - epochs, messages and accounts, as Lotus shows them
 *
 * A message that was sent waits in the pool; with one epoch it is included, with
 * the next it is executed and has a receipt, which is how deferred execution
 * looks from outside.  `head` is the last executed epoch.  Epochs can be null
 * rounds: then nothing happens in them and they have no block.
 *
 * The state of past epochs is kept as journals, HISTORY of them, for those who
 * ask about them and for endpoints that lag.
 */
import { getAddress, keccak256, parseTransaction,
	serializeTransaction } from 'viem/utils';

import { Revert, ZERO } from './contract.mjs';
import { Journal, Table } from './journal.mjs';
import { f410, recover } from './keys.mjs';

const HISTORY = 2000n;
const POOL_MAX = 10000;
const NONCE_GAP_MAX = 4;
const BLOCK_GAS = 10n ** 10n;
const BASE_GAS = 12_000_000n;
const GAS_PER_BYTE = 3_000n;
const TRANSFER_GAS = 1_500_000n;

/** What an endpoint answers instead of a result. */
export class RpcError extends Error {
	constructor(code, message, data) {
		super(message);
		this.code = code;
		this.data = data;
	}
}

/** A revert in the words of Lotus. */
export function lotusText(revert) {
	const { data } = revert;
	const vm = revert.message && data.startsWith('0x08c379a0') ?
		`Error(${revert.message})` : data;
	return 'message execution failed (exit=[33], revert reason=[message failed ' +
		'with backtrace:\n00: f0176092 (method 3844450837) -- contract ' +
		`reverted at 51 (33)\n], vm error=[${vm}])`;
}

const word = (n) => BigInt(n).toString(16).padStart(64, '0');

class Block {
	constructor(chainId, fork, epoch, timestamp) {
		Object.assign(this, { chainId, fork, epoch, timestamp, txs: [],
			gasUsed: 0n });
	}

	/* Made when somebody asks: most epochs of a fast forward are never seen. */
	get hash() {
		return keccak256(`0x${word(this.chainId)}${word(this.fork)}${
			word(this.epoch)}`);
	}
}

export class Chain {
	constructor({ chainId = 31415926, head = 1000n, clock = 'wall' } = {}) {
		this.chainId = chainId;
		this.prefix = chainId === 314 ? 'f' : 't';
		this.journal = new Journal();
		this.contracts = new Map();
		this.balances = new Table(this.journal, () => 0n);
		this.nonces = new Table(this.journal, () => 0);
		this.known = new Table(this.journal, () => false);
		this.baseFee = 100n;
		this.premium = 100_000n;
		this.head = BigInt(head);
		this.clock = clock;
		this.start = { head: this.head, at: Math.floor(Date.now() / 1000) };
		this.nullEvery = 0;
		this.blocks = new Map();
		this.txs = new Map();
		this.pool = new Map();
		this.included = [];
		this.history = new Map();
		this.fork = 0;
		this.ledger = [];
		this.forceRevert = new Set();
		this.addBlock();
	}

	/* -- accounts -- */

	move(from, to, value) {
		if (value === 0n)
			return;
		const balance = this.balances.get(from);
		if (balance < value)
			throw new Revert('0x', 'insufficient funds');
		this.balances.set(from, balance - value);
		this.balances.set(to, this.balances.get(to) + value);
		this.known.set(to, true);
	}

	/** FIL from nothing. */
	fund(address, value) {
		this.balances.set(address, this.balances.get(address) + value);
		this.known.set(address, true);
	}

	/** A line of the ledger, gone again if the call reverts. */
	note(call, kind, facts) {
		const line = { epoch: call.epoch, tx: call.tx, kind, ...facts };
		const put = () => this.ledger.push(line);
		this.journal.record(() => this.ledger.pop(), put);
		put();
	}

	/* -- time -- */

	now() {
		if (this.clock === 'epochs')
			return this.start.at + Number(this.head - this.start.head) * 30;
		return Math.floor(Date.now() / 1000);
	}

	addBlock() {
		this.blocks.set(this.head, new Block(this.chainId, this.fork,
			this.head, BigInt(this.now())));
	}

	blockAt(epoch) {
		const block = this.blocks.get(epoch);
		if (block === undefined && epoch <= this.head)
			throw new RpcError(12, `requested epoch was a null round (${epoch})`);
		return block;
	}

	/** One epoch: execute what was included, include what waits. */
	tick() {
		const before = this.journal.take(); /* what was done outside of messages */
		this.remember(before);
		this.head += 1n;
		const empty = this.nullEvery > 0 &&
			this.head % BigInt(this.nullEvery) === 0n;
		if (!empty) {
			this.addBlock();
			const messages = this.included;
			this.included = [];
			for (const tx of messages)
				this.execute(tx);
		}
		this.history.set(this.head, this.journal.take());
		this.history.delete(this.head - HISTORY);
		if (!empty)
			this.include();
	}

	remember(entries) {
		if (entries.length > 0) {
			this.history.set(this.head,
				[...this.history.get(this.head) ?? [], ...entries]);
		}
	}

	/** Look at the state as it was at the end of an epoch. */
	at(epoch, look) {
		if (epoch >= this.head)
			return look(this.head);
		const outside = this.journal.take();
		this.remember(outside);
		const undone = [];
		for (let e = this.head; e > epoch; e--)
			undone.push(this.history.get(e) ?? []);
		for (const entries of undone)
			[...entries].reverse().forEach((entry) => entry.undo());
		try {
			return look(epoch);
		} finally {
			for (const entries of [...undone].reverse())
				entries.forEach((entry) => entry.redo());
		}
	}

	/** Another fork wins: the last epochs have never been, with all that was done
	 * in them, money from nothing included.  Their messages are included again
	 * with the next epoch, or have been lost. */
	reorg(epochs, lose = false) {
		this.remember(this.journal.take());
		const target = this.head - BigInt(epochs);
		const back = [];
		for (; this.head > target; this.head--) {
			const entries = this.history.get(this.head) ?? [];
			for (const entry of [...entries].reverse())
				entry.undo();
			back.unshift(...this.blocks.get(this.head)?.txs ?? []);
			this.history.delete(this.head);
			this.blocks.delete(this.head);
		}
		const messages = back.map((hash) => this.txs.get(hash));
		for (const tx of messages) {
			tx.epoch = undefined;
			tx.receipt = undefined;
			tx.dropped = lose;
		}
		if (!lose)
			this.included.unshift(...messages);
		this.fork++;
	}

	/* -- calls -- */

	callFrom({ from = ZERO, value = 0n, tx, logs = [] }, epoch = this.head) {
		return { sender: from, origin: from, value, epoch, tx, logs,
			timestamp: this.blocks.get(epoch)?.timestamp ?? BigInt(this.now()) };
	}

	/** Run a message on the state; a Revert is thrown. */
	run(message, epoch) {
		const { from = ZERO, to, value = 0n, data = '0x' } = message;
		if (to === undefined || to === null)
			throw new Revert('0x', 'no contracts can be deployed here');
		this.move(from, to, value);
		const contract = this.contracts.get(to);
		if (contract === undefined)
			return '0x';
		return contract.run(this.callFrom(message, epoch), data);
	}

	/** Run a message and leave no trace, after others of the same sender. */
	simulate(message, { epoch = this.head, pending = false } = {}) {
		return this.at(epoch, () => {
			const mark = this.journal.mark();
			try {
				if (pending)
					this.runPending(message.from, epoch);
				const result = this.run(message, epoch);
				return { result };
			} catch (e) {
				if (!(e instanceof Revert))
					throw e;
				return { revert: e };
			} finally {
				this.journal.rollback(mark);
			}
		});
	}

	runPending(from, epoch) {
		for (const tx of this.waiting(from)) {
			const mark = this.journal.mark();
			try {
				this.run(tx, epoch);
			} catch (e) {
				if (!(e instanceof Revert))
					throw e;
				this.journal.rollback(mark);
			}
		}
	}

	gasOf({ to, data = '0x' }) {
		const bytes = BigInt((data.length - 2) / 2);
		return this.contracts.has(to) ? BASE_GAS + GAS_PER_BYTE * bytes :
			TRANSFER_GAS + 1000n * bytes;
	}

	/* -- the pool -- */

	/** Messages of a sender without a receipt, by nonce. */
	waiting(from) {
		const pooled = [...this.pool.get(from)?.values() ?? []];
		return [...this.included.filter((tx) => tx.from === from), ...pooled]
			.sort((a, b) => a.nonce - b.nonce);
	}

	pendingNonce(from) {
		let nonce = this.nonces.get(from);
		for (const tx of this.waiting(from)) {
			if (tx.nonce === nonce)
				nonce++;
		}
		return nonce;
	}

	/** eth_sendRawTransaction: the hash, or an RpcError. */
	send(raw) {
		const tx = this.decode(raw);
		const known = this.txs.get(tx.hash);
		if (known !== undefined && !known.dropped)
			throw new RpcError(1, 'mpool push: message already in mpool');
		this.admit(tx);
		this.txs.set(tx.hash, tx);
		return tx.hash;
	}

	decode(raw) {
		let tx;
		try {
			tx = parseTransaction(raw);
		} catch (e) {
			throw new RpcError(1, `failed to parse transaction: ${e.message
				.split('\n')[0]}`);
		}
		if (tx.type === 'eip2930')
			throw new RpcError(1, 'EIP-2930 transaction is not supported');
		if (tx.type !== 'eip1559' && tx.type !== 'legacy')
			throw new RpcError(1, `unsupported transaction type: ${tx.type}`);
		if (tx.accessList?.length > 0)
			throw new RpcError(1, 'access list should be an empty list');
		if (tx.r === undefined)
			throw new RpcError(1, 'transaction is not signed');
		if (tx.chainId !== undefined && tx.chainId !== this.chainId)
			throw new RpcError(1, `invalid chain id: ${tx.chainId}`);

		const { r, s, v, yParity, ...unsigned } = tx;
		const parity = yParity ?? Number((v ?? 0n) >= 35n ? (v - 35n) % 2n :
			(v ?? 27n) - 27n);
		const from = recover(keccak256(serializeTransaction(unsigned)), r, s,
			27 + parity);
		if (from === ZERO)
			throw new RpcError(1, 'failed to recover the sender');
		const price = tx.gasPrice;
		return {
			hash: keccak256(raw), raw, from, type: tx.type,
			to: tx.to ? getAddress(tx.to) : null, nonce: tx.nonce ?? 0,
			value: tx.value ?? 0n, data: tx.data ?? '0x', gas: tx.gas ?? 0n,
			maxFee: price ?? tx.maxFeePerGas ?? 0n,
			premium: price ?? tx.maxPriorityFeePerGas ?? 0n,
			signature: { r, s, yParity: parity }, sentAt: this.head,
		};
	}

	admit(tx) {
		const { from } = tx;
		const who = f410(from, this.prefix);
		const refuse = (text) => {
			throw new RpcError(1, `mpool push: ${text}`);
		};
		if (!this.known.get(from)) {
			refuse(`getting origin actor: resolution lookup failed (${who}): ` +
				`resolve address ${who}: actor not found`);
		}
		const nonce = this.nonces.get(from);
		if (tx.nonce < nonce || this.included.some((i) => i.from === from &&
			i.nonce === tx.nonce)) {
			refuse(`minimum expected nonce is ${nonce}: message nonce too low`);
		}
		if (tx.nonce > this.pendingNonce(from) + NONCE_GAP_MAX) {
			refuse(`nonce gap (Nonce: ${tx.nonce}, expected: ` +
				`${this.pendingNonce(from)}): unfulfilled nonce gap`);
		}
		if (tx.maxFee < this.baseFee)
			refuse('gas fee cap too low');
		if (tx.premium > tx.maxFee)
			refuse("'GasFeeCap' less than 'GasPremium'");
		if (tx.gas > BLOCK_GAS)
			refuse("'GasLimit' field cannot be greater than a block's gas limit");
		if (tx.gas < TRANSFER_GAS / 10n)
			refuse('message will not be included in a block: GasLimit too low');

		const pool = this.pool.get(from) ?? new Map();
		const old = pool.get(tx.nonce);
		if (old !== undefined) {
			const floor = old.premium + old.premium / 4n + 1n;
			if (tx.premium < floor) {
				refuse(`message from ${who} with nonce ${tx.nonce} already in ` +
					`mpool, increase GasPremium to ${floor} from ${old.premium} ` +
					'to trigger replace by fee: replace by fee has too low ' +
					'GasPremium');
			}
		}
		const others = this.waiting(from).filter((t) => t !== old);
		const cost = [...others, tx].reduce((sum, t) =>
			sum + t.value + t.gas * t.maxFee, 0n);
		const balance = this.balances.get(from);
		if (balance < cost) {
			refuse(`not enough funds (required: ${cost} attoFIL, balance: ` +
				`${balance} attoFIL): not enough funds to execute transaction`);
		}
		if (this.txs.size > POOL_MAX * 100)
			refuse('mempool is full');
		if (old !== undefined)
			old.dropped = true;
		pool.set(tx.nonce, tx);
		this.pool.set(from, pool);
	}

	include() {
		for (const [from, pool] of this.pool) {
			let nonce = this.nonces.get(from);
			for (; pool.has(nonce); nonce++) {
				const tx = pool.get(nonce);
				if (tx.maxFee < this.baseFee)
					break;
				pool.delete(nonce);
				this.included.push(tx);
			}
			if (pool.size === 0)
				this.pool.delete(from);
		}
	}

	execute(tx) {
		if (tx.nonce !== this.nonces.get(tx.from)) {
			tx.dropped = true;
			return;
		}
		const block = this.blocks.get(this.head);
		const price = this.priceOf(tx);
		const needed = this.gasOf(tx);
		const gasUsed = needed < tx.gas ? needed : tx.gas;
		const logs = [];
		this.nonces.set(tx.from, tx.nonce + 1);
		const balance = this.balances.get(tx.from);
		const fee = gasUsed * price < balance ? gasUsed * price : balance;
		this.balances.set(tx.from, balance - fee);

		const mark = this.journal.mark();
		const receipt = { status: true, gasUsed, price, logs,
			index: block.txs.length };
		try {
			if (needed > tx.gas)
				throw new Revert('0x', 'out of gas');
			if (this.forceRevert.delete(tx.hash))
				throw new Revert('0x', 'forced by the devnet');
			receipt.result = this.run({ ...tx, tx: tx.hash, logs }, this.head);
		} catch (e) {
			if (!(e instanceof Revert))
				throw e;
			this.journal.rollback(mark);
			receipt.status = false;
			receipt.logs = [];
			receipt.revert = e;
		}
		tx.epoch = this.head;
		tx.receipt = receipt;
		block.txs.push(tx.hash);
		block.gasUsed += gasUsed;
	}

	priceOf(tx) {
		const full = this.baseFee + tx.premium;
		return full < tx.maxFee ? full : tx.maxFee;
	}
}
