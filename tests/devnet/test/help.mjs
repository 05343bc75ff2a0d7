/*
 * help.mjs - a network without servers, with a payer who has money
 */
import { readFileSync } from 'node:fs';
import { bytesToHex, decodeFunctionResult, encodeFunctionData, getAddress }
	from 'viem/utils';

import { abi } from '../lib/abi.mjs';
import { pieceCidV2 } from '../lib/cid.mjs';
import { pieceOf } from '../lib/commp.mjs';
import { Revert } from '../lib/contract.mjs';
import { makeNetwork } from '../lib/network.mjs';
import { Wallet, calldata } from '../lib/wallet.mjs';

export const USDFC = 10n ** 18n;
export const MAX = (1n << 256n) - 1n;
export const KEY = `0x${'01'.repeat(32)}`;

export const vectors = (name) => JSON.parse(readFileSync(
	new URL(`../../vectors/filecoin/${name}.json`, import.meta.url)));

export const mod251 = (n) =>
	Buffer.from(Uint8Array.from({ length: n }, (_, i) => i % 251));

/** PieceCIDv2 in hex; a size stands for zeros that nobody hashes. */
export function piece(bytes) {
	const p = pieceOf(bytes);
	return bytesToHex(pieceCidV2(p.root, p.height, p.padding));
}

export const zeroPiece = (root, height, padding = 0) =>
	bytesToHex(pieceCidV2(Buffer.from(root, 'hex'), height, padding));

/** Like makeNetwork, with a provider, and ways to call without signatures. */
export function network(options = {}) {
	const net = makeNetwork(options);
	const payer = new Wallet(KEY);
	const sp = getAddress(options.provider ??
		'0x70997970c51812dc3a010c7d01b50e0d17dc79c8');
	net.registry.register({ address: sp, name: 'sp', description: 'd' },
		{ serviceURL: 'http://127.0.0.1:9999', location: 'C=US',
			token: net.token.address });
	net.fwss.approved.set('', [1n]);
	net.chain.fund(sp, 100n * USDFC);

	/* Each message in an epoch of its own; a Revert is thrown, with its data. */
	const send = (from, contract, functionName, args, value = 0n) => {
		net.chain.tick();
		const data = calldata(net[contract].title, functionName, args);
		const mark = net.chain.journal.mark();
		try {
			return net.chain.run({ from, to: net[contract].address, data,
				value }, net.chain.head);
		} catch (e) {
			net.chain.journal.rollback(mark);
			throw e;
		}
	};
	const view = (contract, functionName, args = []) => {
		const { title, address } = net[contract];
		const data = encodeFunctionData({ abi: abi[title], functionName, args });
		const { result, revert } = net.chain.simulate({ to: address, data });
		if (revert)
			throw revert;
		return decodeFunctionResult({ abi: abi[title], functionName, args,
			data: result });
	};
	const deposit = (amount, rate = MAX, lockup = MAX) => {
		net.token.mint(payer.address, amount);
		send(payer.address, 'token', 'approve', [net.pay.address, amount]);
		send(payer.address, 'pay', 'deposit',
			[net.token.address, payer.address, amount]);
		send(payer.address, 'pay', 'setOperatorApproval', [net.token.address,
			net.fwss.address, true, rate, lockup, 86400n]);
	};
	const account = () => {
		const [funds, lockupCurrent, lockupRate] = view('pay', 'accounts',
			[net.token.address, payer.address]);
		return { funds, lockupCurrent, lockupRate };
	};
	return { ...net, payer, sp, send, view, deposit, account };
}

/** The name of the error that a call reverts with. */
export function errorOf(f) {
	try {
		f();
	} catch (e) {
		if (e instanceof Revert)
			return e.message;
		throw e;
	}
	return 'no error';
}
