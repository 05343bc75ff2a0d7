/*
 * contract.mjs - what all contracts share: dispatch, errors, events
 *
 * A contract is an object whose methods called $name are the functions of its
 * ABI ($name_2 for the overload of two arguments); the first argument is the
 * call: { sender, value, epoch, timestamp, logs }.  A Revert thrown anywhere
 * ends the transaction, unless attempt() catches it.
 */
import { decodeAbiParameters, encodeAbiParameters, encodeErrorResult,
	encodeEventTopics, toFunctionSelector } from 'viem/utils';

import { abi as abis } from './abi.mjs';

export const ZERO = '0x0000000000000000000000000000000000000000';
export const MAX = (1n << 256n) - 1n;

const standard = [
	{ type: 'error', name: 'Error', inputs: [{ type: 'string' }] },
	{ type: 'error', name: 'Panic', inputs: [{ type: 'uint256' }] },
];

export class Revert extends Error {
	constructor(data, reason) {
		super(reason);
		this.data = data;
	}
}

/** Error(string), as `require` with a sentence makes it. */
export function revertWith(text) {
	throw new Revert(encodeErrorResult({ abi: standard, errorName: 'Error',
		args: [text] }), text);
}

export function need(condition, text) {
	if (!condition)
		revertWith(text);
}

/* Solidity's checked arithmetic. */
const panic = (code) => {
	throw new Revert(encodeErrorResult({ abi: standard, errorName: 'Panic',
		args: [code] }), `Panic(${code})`);
};

export const add = (a, b) => a + b > MAX ? panic(0x11n) : a + b;
export const sub = (a, b) => a < b ? panic(0x11n) : a - b;
export const mul = (a, b) => a * b > MAX ? panic(0x11n) : a * b;
export const min = (a, b) => a < b ? a : b;
export const max = (a, b) => a > b ? a : b;

export class Contract {
	constructor(chain, name, address) {
		this.chain = chain;
		this.title = name;
		this.address = address;
		this.abi = abis[name];
		this.functions = new Map();
		for (const item of this.abi) {
			if (item.type === 'function')
				this.functions.set(toFunctionSelector(item), item);
		}
		chain.contracts.set(address, this);
	}

	/** Run calldata; the answer is encoded. */
	run(call, data) {
		const f = this.functions.get(data.slice(0, 10).toLowerCase());
		if (f === undefined)
			throw new Revert('0x', 'no such function');
		const method = this[`$${f.name}_${f.inputs.length}`] ?? this[`$${f.name}`];
		if (method === undefined)
			throw new Revert('0x', `${f.name} is not part of this network`);
		if (call.value > 0n && f.stateMutability !== 'payable')
			throw new Revert('0x', 'value to a function that takes none');

		let args;
		try {
			args = f.inputs.length === 0 ? [] :
				decodeAbiParameters(f.inputs, `0x${data.slice(10)}`);
		} catch {
			throw new Revert('0x', 'malformed calldata');
		}
		const result = method.call(this, call, ...args);
		if (f.outputs.length === 0)
			return '0x';
		return encodeAbiParameters(f.outputs,
			f.outputs.length === 1 ? [result] : result);
	}

	fail(errorName, ...args) {
		throw new Revert(encodeErrorResult({ abi: this.abi, errorName, args }),
			`${errorName}(${args.join(', ')})`);
	}

	check(condition, errorName, ...args) {
		if (!condition)
			this.fail(errorName, ...args);
	}

	/** The call as another contract sees it when this one makes it. */
	from(call, value = 0n) {
		return { ...call, sender: this.address, value };
	}

	emit(call, eventName, args) {
		const event = this.abi.find((i) => i.type === 'event' &&
			i.name === eventName);
		const plain = event.inputs.filter((i) => !i.indexed);
		call.logs.push({
			address: this.address,
			topics: encodeEventTopics({ abi: [event], eventName, args }),
			data: plain.length === 0 ? '0x' :
				encodeAbiParameters(plain, plain.map((i) => args[i.name])),
		});
	}

	/** try { } catch { }: true if it held, and nothing is left if not. */
	attempt(f) {
		const mark = this.chain.journal.mark();
		try {
			f();
			return true;
		} catch (e) {
			if (!(e instanceof Revert))
				throw e;
			this.chain.journal.rollback(mark);
			return false;
		}
	}
}
