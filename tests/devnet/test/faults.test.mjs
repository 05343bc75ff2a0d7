/* Every knob does what it says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { mod251 } from './help.mjs';
import { Client, random, until } from './client.mjs';

const start = async (t, options) => {
	const c = await Client.start(t, options);
	await c.fund();
	const knobs = (values, n = 1) => c.admin(`/provider/${n}`, values);
	return { c, knobs };
};

test('a piece can be parked late', async (t) => {
	const { c, knobs } = await start(t);
	const find = async (cid) => (await c.http(1, 'GET',
		`/pdp/piece?pieceCid=${cid}`)).status;
	await knobs({ parkMs: 3_600_000 });
	const cid = await c.upload(1, mod251(400));
	assert.equal(await find(cid), 404);
	const early = await c.postCreate(1, await c.signCreate(1, [cid]));
	assert.equal(early.status, 400);
	assert.match(await early.text(), /not found or does not belong/);
	await knobs({ parkMs: 300 });
	const soon = await c.upload(1, mod251(401));
	await until(async () => await find(soon) === 200);
	assert.equal(await find(cid), 404);
});

test('an upload can be cut, and hashed wrong', async (t) => {
	const { c, knobs } = await start(t);
	await knobs({ cutUpload: { after: 50000, times: 1 } });
	await assert.rejects(c.upload(1, mod251(100000)), /fetch failed/);
	await knobs({ wrongCommP: 1 });
	const wrong = await c.upload(1, mod251(100000));
	assert.equal(wrong.status, 400);
	assert.match(await wrong.text(), /does not match the calculated pieceCid/);
	assert.equal(typeof await c.upload(1, mod251(100000)), 'string');
});

test('an add can be refused, or land and revert', async (t) => {
	const { c, knobs } = await start(t);
	const cid = await c.upload(1, mod251(400));
	await knobs({ refuseCreate: 1, revertCreate: 1 });
	const signed = await c.signCreate(1, [cid]);
	const refused = await c.postCreate(1, signed);
	assert.equal(refused.status, 500);
	assert.match(await refused.text(), /Failed to send transaction: .*vm error/s);
	const res = await c.postCreate(1, signed);
	assert.equal(res.status, 201);
	await c.epochs(4);
	const s = await c.json(1, res.headers.get('location'));
	assert.deepEqual([s.txStatus, s.ok, s.dataSetCreated],
		['confirmed', false, false]);
	assert.equal(c.ledger('payment').length, 0);
	assert.equal(await c.read('view', 'clientNonces', [c.wallet.address,
		signed.nonce]), 0n);
	/* The very same payload is still good. */
	assert.equal((await c.postCreate(1, signed)).status, 201);
	await c.epochs(4);
	assert.equal(c.ledger('add').length, 1);

	await knobs({ revertAdd: 1 });
	const [set] = (await c.admin(`/account/${c.wallet.address}`)).dataSets;
	const added = await c.add(1, { id: set.dataSetId,
		clientDataSetId: signed.clientDataSetId }, [cid]);
	await c.epochs(4);
	const a = await c.json(1, added.headers.get('location'));
	assert.deepEqual([a.addMessageOk, a.piecesAdded], [false, false]);
});

test('a transaction can be replaced, reorged, or its receipt lost', async (t) => {
	const { c, knobs } = await start(t);
	const cid = await c.upload(1, mod251(400));
	const go = async (set, values) => {
		await knobs(values);
		const nonce = random();
		const res = await c.add(1, set, [cid], nonce);
		return { at: res.headers.get('location'), nonce };
	};
	const set = await c.create(1, [cid]);

	const replaced = await go(set, { replaceTx: 1 });
	await c.epochs(4);
	const r = await c.json(1, replaced.at);
	assert.equal(r.piecesAdded, true);
	assert.notEqual(r.confirmedTxHash, r.txHash);
	const tx = async (hash) =>
		(await c.rpc('eth_getTransactionReceipt', [hash])).result;
	assert.equal(await tx(r.txHash), null);
	assert.equal((await tx(r.confirmedTxHash)).status, '0x1');

	const reorged = await go(set, { reorg: { times: 1, epochs: 2 } });
	const seen = [];
	for (let i = 0; i < 7; i++) {
		await c.epochs(1);
		const { txStatus } = await c.json(1, reorged.at);
		if (seen.at(-1) !== txStatus)
			seen.push(txStatus);
	}
	assert.deepEqual(seen, ['pending', 'reorged', 'confirmed']);

	const lost = await go(set, { loseReceipt: 1 });
	await c.epochs(5);
	const l = await c.json(1, lost.at);
	assert.deepEqual([l.txStatus, l.addMessageOk, l.piecesAdded],
		['failed', null, false]);
	assert.equal(await c.read('view', 'clientNonces', [c.wallet.address,
		lost.nonce]), (4n << 128n) | 1n);
	assert.equal(c.ledger('add').length, 4);
	assert.equal(c.ledger('payment').length, 4);
});

test('a full chain keeps a provider waiting, not more', async (t) => {
	const { c, knobs } = await start(t, { period: 20, window: 6 });
	const cid = await c.upload(1, mod251(400));
	await knobs({ stall: true });
	const signed = await c.signCreate(1, [cid]);
	const res = await c.postCreate(1, signed);
	assert.equal(res.status, 201);
	await c.epochs(30);
	const status = async () => (await c.json(1, res.headers.get('location')));
	assert.equal((await status()).txStatus, 'pending');
	await knobs({ stall: false });
	await c.epochs(5);
	assert.equal((await status()).dataSetCreated, true);
	await c.epochs(60);
	assert.ok(c.ledger('proof').length > 0);
});

test('a status that was pruned means nothing', async (t) => {
	const { c } = await start(t);
	const set = await c.create(1, [await c.upload(1, mod251(400))]);
	const added = set.location.replace(/created\/(.*)/, `${set.id}/pieces/added/$1`);
	assert.equal((await c.http(1, 'GET', added)).status, 200);
	await c.admin('/provider/1/forget', {});
	assert.equal((await c.http(1, 'GET', set.location)).status, 500);
	assert.equal((await c.http(1, 'GET', added)).status, 404);
});

test('any route can answer anything for the next requests', async (t) => {
	const { c } = await start(t);
	const fault = (f) => c.admin('/provider/1/fault', f);
	const ping = () => c.http(1, 'GET', '/pdp/ping');
	for (const [status, text] of [[409, 'Data has already been uploaded'],
		[413, 'piece data exceeds'], [503, 'Service Unavailable'],
		[500, 'Failed to send transaction: vm error=[0xdae03403]']]) {
		await fault({ route: 'GET /pdp/ping', status, text });
		const res = await ping();
		assert.deepEqual([res.status, await res.text()], [status, `${text}\n`]);
	}
	await fault({ route: '/pdp', times: 2, status: 429, retryAfter: 60 });
	for (const want of [429, 429, 200])
		assert.equal((await ping()).status, want);
	await assert.rejects(fault({ route: '/pdp' }), /needs a status/);
	await assert.rejects(fault({ route: '/pdp', retry: 1 }), /has no retry/);
	await fault({ route: '/pdp', cut: true });
	await assert.rejects(ping(), /fetch failed/);
});

test('an add can land while its answer does not', async (t) => {
	const { c } = await start(t);
	const cid = await c.upload(1, mod251(400));
	await c.admin('/provider/1/fault', { when: 'after', cut: true,
		route: 'POST /pdp/data-sets/create-and-add' });
	const signed = await c.signCreate(1, [cid]);
	await assert.rejects(c.postCreate(1, signed), /fetch failed/);
	await c.epochs(3);
	assert.equal(await c.read('view', 'clientNonces', [c.wallet.address,
		signed.nonce]), (1n << 128n) | 1n);
	assert.equal((await c.postCreate(1, signed)).status, 500);
	assert.equal(c.ledger('payment').length, 1);
});

test('a link can be slow both ways', async (t) => {
	const { c, knobs } = await start(t);
	const cid = await c.upload(1, mod251(20000));
	const timed = async (f) => {
		const before = performance.now();
		await f();
		return performance.now() - before;
	};
	await knobs({ bytesPerSecond: 100000 });
	assert.ok(await timed(() => c.upload(1, mod251(30000))) >= 250);
	assert.ok(await timed(async () => (await c.http(1, 'GET',
		`/piece/${cid}`)).arrayBuffer()) >= 150);
	await knobs({ bytesPerSecond: 0, latencyMs: 120 });
	assert.ok(await timed(() => c.http(1, 'GET', '/pdp/ping')) >= 110);
});

/* Has a socket this port of 127.0.0.1, and is not about to end? */
const isTaken = (port) => {
	const hex = Number(port).toString(16).toUpperCase().padStart(4, '0');
	return new RegExp(`: 0100007F:${hex} [0-9A-F:]+ 01 `)
		.test(readFileSync('/proc/net/tcp', 'latin1'));
};

test('a provider can vanish and come back where it was', async (t) => {
	const { c, knobs } = await start(t);
	await knobs({ down: true });
	await assert.rejects(c.http(1, 'GET', '/pdp/ping'), /fetch failed/);
	assert.equal((await c.http(2, 'GET', '/pdp/ping')).status, 200);
	assert.ok(isTaken(new URL(c.at.providers[0].url).port),
		'nobody else is given its port');
	await knobs({ down: false });
	assert.equal((await c.http(1, 'GET', '/pdp/ping')).status, 200);
	await assert.rejects(knobs({ dwon: true }), /there is no knob dwon/);
	await assert.rejects(knobs({}, 9), /no provider 9/);
});

test('missed proofs are faults, and not paid for', async (t) => {
	const { c, knobs } = await start(t, { period: 20, window: 6 });
	const set = await c.create(1, [await c.upload(1, mod251(400))]);
	await knobs({ missProofs: 2 });
	await c.epochs(130);
	const periods = c.ledger('proof').map((p) => p.period);
	assert.deepEqual(c.ledger('fault').map((f) => f.periods), [1n, 1n]);
	assert.ok(!periods.includes(0n) && !periods.includes(1n) &&
		periods.includes(2n), String(periods));
	await c.epochs(20, { settle: true });
	const [paid] = c.ledger('settlement');
	assert.ok(paid.amount < (paid.end - paid.start) *
		(await c.read('pay', 'getRail', [1n])).paymentRate);
	await c.epochs(40, { prove: false });
	assert.ok(c.ledger('fault').length > 2);
	assert.equal((await c.admin('/ledger')).balanced, true, String(set.id));
});

test('a lost piece and a rotten one cannot be proven', async (t) => {
	const { c } = await start(t, { period: 20, window: 6 });
	const cid = await c.upload(1, mod251(400));
	const other = await c.upload(2, mod251(127));
	await c.create(1, [cid]);
	await c.create(2, [other]);
	await c.admin('/provider/1/lose', { pieceCid: cid });
	await c.admin('/provider/2/corrupt', { pieceCid: other, offset: 1 });
	await c.admin('/provider/2/corrupt', { pieceCid: other, offset: 40 });
	await c.admin('/provider/2/corrupt', { pieceCid: other, offset: 70 });
	await c.admin('/provider/2/corrupt', { pieceCid: other, offset: 110 });
	await c.epochs(60);
	assert.equal(c.ledger('proof').length, 0);
	assert.ok(c.ledger('fault').length >= 2);
	assert.equal((await c.http(1, 'GET', `/piece/${cid}`)).status, 404);
});

test('a provider can lie about bytes and still prove', async (t) => {
	const { c, knobs } = await start(t, { period: 20, window: 6 });
	const bytes = mod251(5000);
	const cid = await c.upload(1, bytes);
	await c.create(1, [cid]);
	await knobs({ flip: { offset: 1234 } });
	const get = async (range) => Buffer.from(await (await c.http(1, 'GET',
		`/piece/${cid}`, undefined, { Range: range })).arrayBuffer());
	assert.equal((await get('bytes=1234-1234'))[0], bytes[1234] ^ 1);
	assert.deepEqual(await get('bytes=0-1233'), bytes.subarray(0, 1234));
	await c.epochs(40);
	assert.ok(c.ledger('proof').length > 0);
});

test('a provider can end the service', async (t) => {
	const { c } = await start(t);
	const set = await c.create(1, [await c.upload(1, mod251(400))]);
	await c.admin('/provider/1/terminate', { dataSetId: set.id });
	await c.epochs(3);
	const { pdpEndEpoch } = await c.read('view', 'getDataSet',
		[BigInt(set.id)]);
	assert.equal(pdpEndEpoch, c.ledger('terminate')[0].epoch + 86400n);
	assert.equal((await c.add(1, set, [await c.upload(1, mod251(300))])).status,
		409);
});

test('who may be chosen can change', async (t) => {
	const { c, knobs } = await start(t);
	assert.deepEqual(await c.read('endorsements', 'getProviderIds'), [1n, 2n]);
	assert.equal((await c.read('view', 'getApprovedProviders', [0n, 0n])).length,
		3);
	await knobs({ approved: false, endorsed: false, active: false });
	assert.deepEqual(await c.read('endorsements', 'getProviderIds'), [2n]);
	assert.equal(await c.read('view', 'isProviderApproved', [1n]), false);
	const { providers } = await c.read('registry', 'getProvidersByProductType',
		[0, true, 0n, 10n]);
	assert.deepEqual(providers.map((p) => p.providerId), [2n, 3n]);
});

test('the registry can say anything of a provider', async (t) => {
	const { c, knobs } = await start(t);
	await knobs({ capabilities: { serviceURL: '0x00ff', location: null,
		more: '0x01' } });
	const { product, productCapabilityValues: values } = await c.read('registry',
		'getProviderWithProduct', [1n, 0]);
	const said = Object.fromEntries(product.capabilityKeys.map((k, i) =>
		[k, values[i]]));
	assert.deepEqual([said.serviceURL, said.location, said.more],
		['0x00ff', undefined, '0x01']);
	await assert.rejects(knobs({ capabilities: { a: 'b' } }), /not hex/);
});

test('a fork can win, and what was paid is paid once', async (t) => {
	const { c } = await start(t);
	const cid = await c.upload(1, mod251(400));
	await c.epochs(2);
	const set = await c.create(1, [cid]);
	const status = () => c.json(1, set.location);
	const hash = set.location.split('/').at(-1);
	const receipt = async () =>
		(await c.rpc('eth_getTransactionReceipt', [hash])).result;
	const nonce = () => c.read('view', 'clientNonces', [c.wallet.address,
		set.nonce]);
	const before = await receipt();
	const head = c.devnet.chain.head;

	await assert.rejects(c.admin('/reorg', { epochs: 0 }), /from 1 to/);
	await c.admin('/reorg', { epochs: 3 });
	assert.equal(c.devnet.chain.head, head - 3n);
	assert.equal(await receipt(), null);
	assert.equal(await nonce(), 0n);
	assert.equal(c.ledger('payment').length, 0);
	const s = await status();
	assert.deepEqual([s.txStatus, s.ok, s.dataSetCreated],
		['reorged', null, false]);
	assert.equal((await c.admin('/ledger')).balanced, true);

	await c.epochs(4);
	assert.equal((await status()).dataSetCreated, true);
	assert.notEqual((await receipt()).blockHash, before.blockHash);
	assert.equal(await nonce(), (1n << 128n) | 1n);
	assert.equal(c.ledger('payment').length, 1);

	await c.admin('/reorg', { epochs: 4, lose: true });
	await c.epochs(4);
	assert.equal(await nonce(), 0n);
	assert.equal((await c.rpc('eth_getTransactionByHash', [hash])).result, null);
	/* Nothing stands in the way of doing it again. */
	assert.equal((await c.postCreate(1, set)).status, 201);
	await c.epochs(4);
	assert.equal(await nonce(), (1n << 128n) | 1n);
	assert.equal(c.ledger('payment').length, 1);
});

test('providers settle now and then, or when told', async (t) => {
	const { c, knobs } = await start(t, { period: 20, window: 6 });
	await c.create(1, [await c.upload(1, mod251(400))]);
	await c.epochs(60);
	assert.equal(c.ledger('settlement').length, 0);
	await knobs({ settleEvery: 30 });
	await c.epochs(70);
	const some = c.ledger('settlement').length;
	assert.ok(some >= 2);
	await knobs({ settleEvery: 0, missProofs: true });
	await c.epochs(40);
	await c.admin('/provider/1/settle', {});
	await c.epochs(3);
	assert.equal(c.ledger('settlement').length, some + 1);
	assert.ok(c.ledger('fault').length > 0);
	const shown = await c.admin('/provider/1');
	assert.equal(shown.pieces.length, 1);
	assert.ok(shown.stats.proofs > 0);
});

test('an add to a set can be refused before it is sent', async (t) => {
	const { c, knobs } = await start(t);
	const cid = await c.upload(1, mod251(400));
	const set = await c.create(1, [cid]);
	await knobs({ refuseAdd: 1 });
	const nonce = random();
	assert.equal((await c.add(1, set, [cid], nonce)).status, 500);
	assert.equal((await c.add(1, set, [cid], nonce)).status, 201);
});

test('an answer can come late, time can be that of epochs', async (t) => {
	const { c } = await start(t);
	await c.admin('/provider/1/fault', { route: 'ping', delayMs: 150 });
	const before = performance.now();
	assert.equal((await c.http(1, 'GET', '/pdp/ping')).status, 200);
	assert.ok(performance.now() - before >= 140);

	await c.admin('/chain', { clock: 'epochs', premium: '7' });
	const time = async () => Number((await c.rpc('eth_getBlockByNumber',
		['latest', false])).result.timestamp);
	await c.epochs(1);
	const first = await time();
	await c.epochs(100);
	assert.equal(await time() - first, 3000);
	assert.equal((await c.rpc('eth_maxPriorityFeePerGas')).result, '0x7');
	await c.admin('/rpc/1', { blockNumber: 5 });
	assert.equal((await c.rpc('eth_blockNumber', [], 1)).result, '0x5');
	await assert.rejects(c.admin('/chain', { nullevery: 3 }), /no knob/);
	const help = await (await fetch(c.at.admin)).text();
	assert.match(help, /POST \/advance/);
});
