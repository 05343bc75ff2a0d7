/* JSON-RPC, transactions and their errors, as Lotus has them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keccak256 } from 'viem/utils';
import { privateKeyToAccount } from 'viem/accounts';

import { Chain, RpcError } from '../lib/chain.mjs';
import { f410 } from '../lib/keys.mjs';
import { calldata } from '../lib/wallet.mjs';
import { Client } from './client.mjs';
import { KEY, vectors } from './help.mjs';

const FIL = 10n ** 18n;

const refusal = (f) => {
	try {
		f();
	} catch (e) {
		if (e instanceof RpcError)
			return e.message;
		throw e;
	}
	return 'accepted';
};

test('the transactions of the vectors are read as they were meant', () => {
	const { vectors: list, address } = vectors('tx');
	let count = 0;
	for (const v of list.filter((x) => x.signedRaw)) {
		const chain = new Chain({ chainId: v.tx.chainId });
		const tx = chain.decode(v.signedRaw);
		assert.equal(tx.hash, v.txHash);
		assert.equal(tx.from, address);
		assert.equal(tx.nonce, v.tx.nonce);
		assert.equal(tx.value, BigInt(v.tx.value));
		assert.equal(tx.data, v.tx.data);
		assert.equal(tx.gas, BigInt(v.tx.gas));
		const other = new Chain({ chainId: 31415926 });
		assert.match(refusal(() => other.decode(v.signedRaw)),
			/invalid chain id/);
		count++;
	}
	assert.equal(count, 3);
});

test('f410 addresses are those of the vectors', () => {
	const address = '0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1';
	const name = '410fdjsc6dr4hl2ulz5mxu4la4srwomqsfhrj5x3f4i';
	assert.equal(f410(address), `f${name}`);
	assert.equal(f410(address, 't'), `t${name}`);
});

test('the pool refuses what Lotus refuses', async () => {
	const chain = new Chain();
	const account = privateKeyToAccount(KEY);
	const to = '0x00000000000000000000000000000000000000AA';
	const sign = (change) => account.signTransaction({ type: 'eip1559',
		chainId: chain.chainId, nonce: 0, to, value: 5n, gas: 3_000_000n,
		maxFeePerGas: 1000n, maxPriorityFeePerGas: 400n, ...change });
	const send = async (change) => {
		const raw = await sign(change);
		return refusal(() => chain.send(raw));
	};

	assert.match(await send({}), /actor not found/);
	chain.fund(account.address, 10n * FIL);
	assert.match(await send({ value: 11n * FIL }), /not enough funds/);
	assert.match(await send({ maxFeePerGas: 99n, maxPriorityFeePerGas: 9n }),
		/gas fee cap too low/);
	assert.match(await send({ nonce: 9 }), /nonce gap/);
	assert.match(await send({ accessList: [{ address: to, storageKeys: [] }] }),
		/access list/);
	assert.match(await send({ type: 'eip2930', gasPrice: 1000n,
		maxFeePerGas: undefined, maxPriorityFeePerGas: undefined }),
	/EIP-2930/);
	assert.match(refusal(() => chain.send('0x02c0')), /parse/);

	assert.equal(await send({}), 'accepted');
	assert.match(await send({}), /already in mpool/);
	assert.match(await send({ value: 6n, maxPriorityFeePerGas: 500n }),
		/increase GasPremium to 501/);
	assert.equal(await send({ value: 7n, maxPriorityFeePerGas: 501n }),
		'accepted');
	assert.equal(await send({ nonce: 2 }), 'accepted'); /* waits for 1 */
	chain.tick();
	assert.match(await send({ value: 8n, maxPriorityFeePerGas: 900n }),
		/nonce too low/);
	chain.tick();
	assert.equal(chain.balances.get(to), 7n);
	assert.equal(chain.nonces.get(account.address), 1);
	assert.equal(await send({ nonce: 1 }), 'accepted');
	chain.tick();
	chain.tick();
	assert.equal(chain.nonces.get(account.address), 3);
	assert.equal(chain.balances.get(to), 17n);
});

test('a receipt comes with the epoch after the one of inclusion', async (t) => {
	const c = await Client.start(t);
	const { address } = c.wallet;
	await c.admin('/fund', { address, fil: '1' });
	const raw = await c.wallet.transaction({ chainId: c.at.chainId, nonce: 0,
		to: c.at.providers[0].address, value: 1n });
	const { result: hash } = await c.rpc('eth_sendRawTransaction', [raw]);
	assert.equal(hash, keccak256(raw));
	const count = async (tag) =>
		(await c.rpc('eth_getTransactionCount', [address, tag])).result;
	const receipt = async () =>
		(await c.rpc('eth_getTransactionReceipt', [hash])).result;
	for (let i = 0; i < 2; i++) {
		assert.equal(await receipt(), null);
		const { result } = await c.rpc('eth_getTransactionByHash', [hash]);
		assert.equal(result.blockNumber, null);
		assert.deepEqual([await count('latest'), await count('pending')],
			['0x0', '0x1']);
		await c.epochs(1);
	}
	const r = await receipt();
	assert.equal(r.status, '0x1');
	assert.equal(r.blockNumber, (await c.rpc('eth_blockNumber')).result);
	const { result: block } = await c.rpc('eth_getBlockByNumber',
		[r.blockNumber, false]);
	assert.deepEqual(block.transactions, [hash]);
	assert.equal(await count('latest'), '0x1');
});

test('a call that reverts says why, an estimate too', async (t) => {
	const c = await Client.start(t);
	const call = { to: c.at.pdp, data: calldata('PDPVerifier',
		'getNextPieceId', [7n]) };
	for (const method of ['eth_call', 'eth_estimateGas']) {
		const { error } = await c.rpc(method, [call, 'latest']);
		assert.equal(error.code, 3);
		assert.equal(error.data, '0x5d946944'); /* DataSetNotLive() */
		assert.match(error.message, /^message execution failed \(exit=\[33\], /);
		assert.match(error.message, /vm error=\[0x5d946944\]/);
	}
	const text = await c.rpc('eth_call', [{ to: c.at.registry, data: calldata(
		'ServiceProviderRegistry', 'getProvider', [99n]) }, 'latest']);
	assert.match(text.error.message,
		/vm error=\[Error\(Provider does not exist\)\]/);
	const none = await c.rpc('eth_call', [{ to: `0x${'77'.repeat(20)}`,
		data: '0x12345678' }, 'latest']);
	assert.equal(none.result, '0x');
});

test('batches, null rounds and the answers to nonsense', async (t) => {
	const c = await Client.start(t);
	const post = async (body) => (await fetch(c.at.rpc[1], { method: 'POST',
		body: typeof body === 'string' ? body : JSON.stringify(body) })).json();
	const batch = await post([
		{ jsonrpc: '2.0', id: 'a', method: 'eth_chainId' },
		{ jsonrpc: '2.0', id: 2, method: 'nope' },
		{ jsonrpc: '2.0', id: 3, method: 'eth_getBalance', params: ['0x12'] },
		7]);
	assert.deepEqual(batch.map((b) => [b.id, b.result ?? b.error.code]),
		[['a', '0x1df5e76'], [2, -32601], [3, -32602], [null, -32600]]);
	assert.equal((await post('{')).error.code, -32700);

	await c.admin('/chain', { nullEvery: 5 });
	await c.epochs(10);
	const errors = [];
	const head = c.devnet.chain.head;
	for (let e = head - 9n; e <= head; e++) {
		const { error } = await c.rpc('eth_getBlockByNumber',
			[`0x${e.toString(16)}`, false]);
		if (error)
			errors.push(error.message);
	}
	assert.equal(errors.length, 2);
	assert.match(errors[0], /requested epoch was a null round/);
	assert.ok((await c.rpc('eth_getBlockByNumber', ['latest', false])).result);
	const fees = (await c.rpc('eth_feeHistory', ['0x3', 'latest', [50]])).result;
	assert.equal(fees.baseFeePerGas.length, 4);
	assert.equal(fees.reward.length, 3);
});

test('a transaction that the base fee left behind can be replaced', async (t) => {
	const c = await Client.start(t);
	await c.admin('/fund', { address: c.wallet.address, fil: '10' });
	const send = async (maxFeePerGas, maxPriorityFeePerGas) => (await c.rpc(
		'eth_sendRawTransaction', [await c.wallet.transaction({ nonce: 0,
			chainId: c.at.chainId, to: c.at.providers[0].address, value: 1n,
			maxFeePerGas, maxPriorityFeePerGas })])).result;
	const slow = await send(1000n, 100n);
	await c.admin('/chain', { baseFee: '5000' });
	await c.epochs(5);
	const receipt = async (hash) =>
		(await c.rpc('eth_getTransactionReceipt', [hash])).result;
	assert.equal(await receipt(slow), null);
	const fast = await send(20000n, 125n + 1n);
	await c.epochs(2);
	assert.equal((await receipt(fast)).status, '0x1');
	assert.equal((await c.rpc('eth_getTransactionByHash', [slow])).result, null);
});

test('Multicall3 reads many, and says which failed', async (t) => {
	const c = await Client.start(t);
	const live = (allowFailure) => [
		{ target: c.at.fwss, allowFailure,
			callData: calldata('FWSS', 'viewContractAddress', []) },
		{ target: c.at.pdp, allowFailure,
			callData: calldata('PDPVerifier', 'getNextPieceId', [9n]) }];
	const rows = await c.read('multicall', 'aggregate3', [live(true)]);
	assert.deepEqual(rows.map((r) => r.success), [true, false]);
	assert.equal(rows[0].returnData.slice(-40), c.at.view.slice(2).toLowerCase());
	assert.equal(rows[1].returnData, '0x5d946944');
	await assert.rejects(c.read('multicall', 'aggregate3', [live(false)]),
		/Multicall3: call failed/);
});

test('an endpoint that lags shows the past, and only it', async (t) => {
	const c = await Client.start(t);
	await c.fund();
	await c.admin('/rpc/1', { lag: 3 });
	const balance = async (i) => (await c.rpc('eth_call', [{ to: c.at.pay,
		data: calldata('FilecoinPay', 'accounts',
			[c.at.usdfc, c.wallet.address]) }, 'latest'], i)).result;
	assert.notEqual(await balance(0), await balance(1));
	assert.equal(BigInt((await balance(1)).slice(0, 66)), 0n);
	const at = async (i) => BigInt((await c.rpc('eth_blockNumber', [], i)).result);
	assert.equal(await at(0) - await at(1), 3n);
	await c.epochs(3);
	assert.equal((await balance(0)).slice(0, 66), (await balance(1)).slice(0, 66));
});

test('an endpoint can lie, fail, send rubbish and be gone', async (t) => {
	const c = await Client.start(t);
	const { address } = c.wallet;
	const knobs = (values) => c.admin('/rpc/0', values);
	await knobs({ chainId: 1, balanceOf: { [address]: '77' },
		callResult: { '0xffa1ad74': '0x1234' } });
	assert.equal((await c.rpc('eth_chainId')).result, '0x1');
	assert.equal((await c.rpc('eth_getBalance', [address])).result, '0x4d');
	assert.equal((await c.rpc('eth_call', [{ to: c.at.fwss,
		data: '0xffa1ad74' }])).result, '0x1234');
	await c.admin('/reset', {});

	await knobs({ errors: [{ method: 'eth_chainId', times: 2, code: -32005,
		message: 'limit exceeded' }] });
	for (const want of [-32005, -32005, undefined])
		assert.equal((await c.rpc('eth_chainId')).error?.code, want);
	await knobs({ hugeBytes: 100000 });
	assert.equal((await c.rpc('eth_chainId')).result.length, 100002);
	await knobs({ hugeBytes: 0, garbage: 1 });
	await assert.rejects(c.rpc('eth_chainId'), SyntaxError);
	await knobs({ faults: [{ route: 'POST', status: 429, retryAfter: 7 }] });
	const busy = await fetch(c.at.rpc[0], { method: 'POST', body: '{}' });
	assert.deepEqual([busy.status, busy.headers.get('retry-after')], [429, '7']);
	await knobs({ dropData: true, errorCode: 11 });
	const { error } = await c.rpc('eth_call', [{ to: c.at.pdp,
		data: '0x1c5ae80f' }]);
	assert.deepEqual([error.code, error.data], [11, undefined]);
	await knobs({ down: true });
	await assert.rejects(c.rpc('eth_chainId'), /fetch failed/);
	assert.ok((await c.rpc('eth_chainId', [], 1)).result);
	await knobs({ down: false });
	assert.ok((await c.rpc('eth_chainId')).result);
	await assert.rejects(knobs({ lagg: 1 }), /no knob lagg/);
});
