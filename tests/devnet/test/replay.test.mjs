/*
 * The calls that were captured from the real contracts: the same messages here
 * lead to the same answers, byte for byte.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toEventSelector, toFunctionSelector } from 'viem/utils';

import { abi, selectors } from '../lib/abi.mjs';
import { network, vectors, USDFC, KEY } from './help.mjs';
import { Wallet } from '../lib/wallet.mjs';
import { readPieceV2 } from '../lib/cid.mjs';
import { bytesToHex } from 'viem/utils';

const captured = vectors('ethcalls');
const { contracts: c } = captured;

/* The state: created with one piece in epoch 18, two added in 19, one of them
 * scheduled for removal in 20, ended by consent in 21. */
function replay() {
	const n = network({ chainId: 314159, head: 10n,
		proving: { maxProvingPeriod: 240n, challengeWindow: 20n,
			challengeFinality: 10n },
		addresses: { token: c.usdfc, sessions: c.skr, pay: c.pay, pdp: c.pdp,
			registry: c.reg, fwss: c.fwss, view: c.view } });
	n.deposit(5n * USDFC);
	while (n.chain.head < 17n)
		n.chain.tick();

	const hex = captured.pieces.map((p) => bytesToHex(readPieceV2(p).bytes));
	const pieces = hex.map((data) => ({ data }));
	return { n, pieces };
}

test('what the real contracts answered is answered here', async () => {
	const { n, pieces } = replay();
	const payer = new Wallet(KEY);
	n.send(n.sp, 'pdp', 'addPieces', [0n, c.fwss, pieces.slice(0, 2),
		captured.createAndAddExtraData], 10n ** 17n);
	n.send(n.sp, 'pdp', 'addPieces', [1n,
		`0x${'00'.repeat(20)}`, pieces.slice(2), captured.addExtraData]);
	n.send(n.sp, 'pdp', 'schedulePieceDeletions', [1n, [1n],
		await payer.remove(n.fwss.domain, 5n, [1n])]);
	n.send(n.sp, 'fwss', 'terminateService', [1n,
		await payer.terminate(n.fwss.domain, 1n)]);
	assert.equal(n.chain.head, 21n);

	for (const [name, { to, data, result }] of Object.entries(captured.calls)) {
		const { result: ours, revert } = n.chain.simulate({
			to: [...n.chain.contracts.keys()].find((a) =>
				a.toLowerCase() === to), data });
		assert.equal(revert, undefined, `${name}: ${revert?.message}`);
		assert.equal(ours, result, name);
	}
});

test('every selector and topic is the one of the ABIs', () => {
	let count = 0;
	for (const [name, known] of Object.entries(selectors)) {
		if (Array.isArray(known))
			continue;
		const ours = new Set(abi[name].filter((i) => i.type !== 'event')
			.map((i) => toFunctionSelector({ ...i, type: 'function' })));
		const topics = new Set(abi[name].filter((i) => i.type === 'event')
			.map((i) => toEventSelector(i)));
		for (const { sel } of [...known.functions, ...known.errors])
			assert.ok(ours.has(sel), `${name} ${sel}`);
		for (const { topic } of known.events)
			assert.ok(topics.has(topic), `${name} ${topic}`);
		count += ours.size + topics.size;
	}
	assert.ok(count > 500);
});
