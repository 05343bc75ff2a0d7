/* A client stores, proves, removes and ends, over HTTP as Curio has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mod251 } from './help.mjs';
import { Client, random, until } from './client.mjs';

test('an upload is found, added once and paid once', async (t) => {
	const c = await Client.start(t);
	assert.equal((await c.fund()).status, '0x1');
	assert.equal(await (await c.http(1, 'GET', '/pdp/ping')).text(),
		'curio-pdp');
	const cid = await c.upload(1, mod251(5000));
	const found = await c.json(1, `/pdp/piece?pieceCid=${cid}`);
	assert.deepEqual(found, { pieceCid: cid });

	const signed = await c.signCreate(1, [cid]);
	const res = await c.postCreate(1, signed);
	assert.equal(res.status, 201);
	const at = res.headers.get('location');
	assert.deepEqual(await c.json(1, at), { createMessageHash: at.split('/')
		.at(-1), dataSetCreated: false, service: 'public', txStatus: 'pending',
	ok: null });
	await c.epochs(3);
	const seen = await c.json(1, at);
	assert.equal(seen.txStatus, 'confirmed');
	assert.equal(seen.ok, true);
	assert.equal(seen.dataSetCreated, false);
	await c.epochs(1);
	const { dataSetId, dataSetCreated } = await c.json(1, at);
	assert.equal(dataSetCreated, true);
	const added = await c.json(1, `/pdp/data-sets/${dataSetId}/pieces/added/${
		at.split('/').at(-1)}`);
	assert.deepEqual(added.confirmedPieceIds, [0]);
	assert.equal(added.piecesAdded, true);

	/* The same again: refused, and nothing is billed. */
	const again = await c.postCreate(1, signed);
	assert.equal(again.status, 500);
	const why = await again.text();
	assert.match(why, /^Failed to send transaction: .*vm error=\[0xdb94c961/s);
	assert.match(why, /\[eid: [0-9a-f-]{36}\]\n$/);
	assert.equal(c.ledger('add').length, 1);
	assert.deepEqual(c.ledger('payment').map((p) => p.amount),
		[25800000000000000n]);
	const landed = await c.read('view', 'clientNonces',
		[c.wallet.address, signed.nonce]);
	assert.equal(landed, (1n << 128n) | BigInt(dataSetId));
	const books = await c.admin('/admin/ledger');
	assert.equal(books.balanced, true);
});

test('adds, removals and proofs go on', async (t) => {
	const c = await Client.start(t, { period: 20, window: 6 });
	await c.fund();
	const cids = [];
	for (const n of [127, 3000, 200000])
		cids.push(await c.upload(1, mod251(n)));
	const set = await c.create(1, cids.slice(0, 1));
	const res = await c.add(1, set, cids.slice(1), random(),
		[{ drive: 'a' }, {}]);
	assert.equal(res.status, 201);
	await c.epochs(4);
	const added = await c.json(1, res.headers.get('location'));
	assert.deepEqual(added.confirmedPieceIds, [1, 2]);
	assert.deepEqual(await c.read('view', 'getAllPieceMetadata',
		[BigInt(set.id), 1n]), [['drive'], ['a']]);

	await c.epochs(40);
	const [period] = c.ledger('proof').map((p) => p.period);
	assert.equal(period, 0n);
	assert.equal(await c.read('view', 'provenPeriods', [BigInt(set.id), 0n]),
		true);
	assert.equal(c.ledger('fault').length, 0);

	const gone = await c.http(1, 'DELETE', `/pdp/data-sets/${set.id}/pieces/1`,
		{ extraData: await c.wallet.remove(c.domain, set.clientDataSetId, [1n]) });
	assert.equal(gone.status, 200);
	await c.epochs(3);
	assert.deepEqual(await c.read('pdp', 'getScheduledRemovals',
		[BigInt(set.id)]), [1n]);
	await c.epochs(25);
	const [, ids] = await c.read('pdp', 'getActivePiecesByCursor',
		[BigInt(set.id), 0n, 100n]);
	assert.deepEqual(ids, [0n, 2n]);

	await c.epochs(60, { settle: true });
	const paid = c.ledger('settlement');
	assert.ok(paid.length > 0 && paid.every((p) =>
		p.net + p.fee === p.amount && p.fee === (p.amount + 199n) / 200n));
	assert.equal((await c.admin('/ledger')).balanced, true);
});

test('what was ended by consent is deleted, and what is left goes back',
	async (t) => {
		const c = await Client.start(t, { period: 20, window: 6 });
		await c.fund();
		const set = await c.create(1, [await c.upload(1, mod251(1000))]);
		await c.epochs(30);
		const path = `/pdp/data-sets/${set.id}/terminate`;
		const body = { extraData: await c.wallet.terminate(c.domain,
			BigInt(set.id)) };
		assert.equal((await c.http(1, 'GET', path)).status, 404);
		assert.equal((await c.http(1, 'POST', path, body)).status, 202);
		const twice = await c.http(1, 'POST', path, body);
		assert.equal(twice.status, 409);
		assert.equal((await twice.json()).code, 1);
		await c.epochs(4);
		const s = await c.json(1, path);
		assert.equal(s.fwssTerminated, true);
		assert.ok(s.serviceTerminationEpoch > 0);
		const late = await c.add(1, set, [await c.upload(1, mod251(999))]);
		assert.equal(late.status, 409);

		await c.epochs(60);
		assert.equal(await c.read('pdp', 'dataSetLive', [BigInt(set.id)]), false);
		const [, , available] = await c.read('pay', 'getAccountInfoIfSettled',
			[c.at.usdfc, c.wallet.address]);
		const spent = [...c.ledger('payment'), ...c.ledger('settlement')]
			.reduce((n, p) => n + p.amount, 0n);
		assert.equal(available, 10n ** 19n - spent);
		assert.equal((await c.send('pay', 'withdraw',
			[c.at.usdfc, available])).status, '0x1');
		assert.equal((await c.http(1, 'GET',
			`/pdp/data-sets/${set.id}`)).status, 404);
	});

test('a second provider pulls from the first', async (t) => {
	const c = await Client.start(t);
	await c.fund();
	const cid = await c.upload(1, mod251(70000));
	const signed = await c.signCreate(2, [cid]);
	const body = { extraData: signed.extraData, recordKeeper: c.at.fwss,
		pieces: [{ pieceCid: cid,
			sourceUrl: `${c.at.providers[0].url}/piece/${cid}` }] };
	await until(async () => {
		const res = await c.http(2, 'POST', '/pdp/piece/pull', body);
		assert.equal(res.status, 200);
		return (await res.json()).status === 'complete';
	});
	assert.equal((await c.postCreate(2, signed)).status, 201);

	const other = await c.signCreate(2, [cid]);
	const lie = { ...body, extraData: other.extraData, pieces: [{ pieceCid: cid,
		sourceUrl: `http://example.com/piece/${cid}` }] };
	assert.equal((await c.http(2, 'POST', '/pdp/piece/pull', lie)).status, 400);
});

test('uploads are refused as Curio refuses them', async (t) => {
	const c = await Client.start(t);
	const cid = await c.upload(1, mod251(1000));
	const status = async (...args) => (await c.http(1, ...args)).status;
	const put = async (path, bytes) => status('PUT', path, bytes);

	assert.equal(await put('/pdp/piece/uploads/x', mod251(200)), 400);
	assert.equal(await put(
		'/pdp/piece/uploads/00000000-0000-0000-0000-000000000000',
		mod251(200)), 404);
	const made = await c.http(1, 'POST', '/pdp/piece/uploads');
	const path = made.headers.get('location');
	assert.equal(await status('POST', path, { pieceCid: cid }), 500);
	assert.equal(await put(path, mod251(126)), 400);
	assert.equal(await put(path, mod251(1001)), 204);
	assert.equal(await status('POST', path, { pieceCid: cid }), 400);
	assert.equal(await put(path, mod251(1000)), 204);
	assert.equal(await status('POST', path, { pieceCid: 'bafkbad' }), 400);
	assert.equal(await status('POST', path, { pieceCid: cid }), 200);

	const known = await c.http(1, 'POST', '/pdp/piece', { pieceCid: cid });
	assert.equal(known.status, 200);
	const fresh = await c.http(2, 'POST', '/pdp/piece', { pieceCid: cid });
	assert.equal(fresh.status, 201);
	const to = fresh.headers.get('location');
	assert.equal((await c.http(2, 'PUT', to, mod251(1001))).status, 400);
	assert.equal((await c.http(2, 'PUT', to, Buffer.alloc(1000))).status, 400);
	assert.equal((await c.http(2, 'PUT', to, mod251(1000))).status, 204);
	assert.equal((await c.http(2, 'PUT', to, mod251(1000))).status, 409);
	assert.equal(await status('GET', '/pdp/piece?pieceCid=x'), 400);
	assert.equal(await status('PATCH', '/pdp/piece'), 405);
});

test('adds are refused as Curio and the contracts refuse them', async (t) => {
	const c = await Client.start(t);
	const cid = await c.upload(1, mod251(1000));
	const poor = await c.signCreate(1, [cid]);
	const text = await (await c.postCreate(1, poor)).text();
	assert.match(text, /vm error=\[0xdae03403/); /* InsufficientLockupFunds */
	await c.fund();

	const post = async (change) => {
		const s = await c.signCreate(1, [cid]);
		return c.http(1, 'POST', '/pdp/data-sets/create-and-add',
			{ ...s.body, ...change(s) });
	};
	const to = `0x${'11'.repeat(20)}`;
	assert.equal((await post(() => ({ recordKeeper: to }))).status, 403);
	assert.equal((await post(() => ({ pieces: [] }))).status, 400);
	assert.equal((await post(() => ({ extraData: '0xzz' }))).status, 400);
	const elsewhere = await (await c.http(2, 'POST',
		'/pdp/data-sets/create-and-add', poor.body)).text();
	assert.match(elsewhere, /not found or does not belong to service public/);
	const other = await c.signCreate(2, [cid]); /* signed for another payee */
	const forged = await (await c.postCreate(1, other)).text();
	assert.match(forged, /vm error=\[0x42d750dc/); /* InvalidSignature */

	const set = { id: 77, clientDataSetId: 1n };
	for (let i = 0; i < 5; i++)
		assert.equal((await c.add(1, set, [cid])).status, 404);
	const blocked = await c.http(1, 'GET', '/pdp/ping');
	assert.equal(blocked.status, 429);
	assert.ok(Number(blocked.headers.get('retry-after')) > 200);
	assert.equal((await c.http(1, 'GET', `/piece/${cid}`)).status, 200);
});

test('a body that is too long is answered while it still comes', async (t) => {
	const c = await Client.start(t);
	const cid = await c.upload(1, mod251(1000));
	const made = await c.http(2, 'POST', '/pdp/piece', { pieceCid: cid });
	const res = await c.http(2, 'PUT', made.headers.get('location'),
		Buffer.alloc(3 << 20));
	assert.equal(res.status, 400);
	assert.match(await res.text(), /exceeds the declared piece size/);
	assert.equal((await c.http(2, 'GET', '/pdp/ping')).status, 200);
});

test('a data set can be made without pieces, and shown', async (t) => {
	const c = await Client.start(t);
	await c.fund();
	const clientDataSetId = random();
	const extraData = await c.wallet.create(c.domain, { clientDataSetId,
		payee: c.at.providers[2].address, metadata: { withCDN: '' } });
	const res = await c.http(3, 'POST', '/pdp/data-sets',
		{ recordKeeper: c.at.fwss, extraData });
	assert.equal(res.status, 201);
	await c.epochs(4);
	const { dataSetId: id } = await c.json(3, res.headers.get('location'));
	assert.equal(await c.read('view', 'clientNonces', [c.wallet.address,
		clientDataSetId]), BigInt(id));
	const info = await c.read('view', 'getDataSet', [BigInt(id)]);
	assert.deepEqual([info.pdpRailId, info.cacheMissRailId, info.cdnRailId],
		[1n, 2n, 3n]);
	const [, locked] = await c.read('pay', 'accounts',
		[c.at.usdfc, c.wallet.address]);
	assert.equal(locked, 11n * 10n ** 17n); /* the reserve and 1.0 for the CDN */
	assert.equal(info.pendingOneTimePayments, 25n * 10n ** 15n);

	const cid = await c.upload(3, mod251(1000));
	await c.add(3, { id, clientDataSetId }, [cid]);
	await c.epochs(4);
	const shown = await c.json(3, `/pdp/data-sets/${id}`);
	assert.deepEqual(shown.pieces, [{ pieceId: 0, pieceCid: cid,
		subPieceCid: cid, subPieceOffset: 0 }]);
	const one = await c.json(3, `/pdp/data-sets/${id}/pieces/0`);
	assert.match(one.pieceCid, /^baga6ea4seaq/);
	assert.equal((await c.http(3, 'GET', `/pdp/data-sets/${id}/pieces/1`)).status,
		404);
	assert.equal((await c.http(1, 'GET', `/pdp/data-sets/${id}`)).status, 404);
});

test('a service that its payer ended runs out in 30 days', async (t) => {
	const c = await Client.start(t, { period: 2880, window: 60 });
	await c.fund();
	const set = await c.create(1, [await c.upload(1, mod251(1000))]);
	await c.epochs(10);
	assert.equal((await c.send('fwss', 'terminateService',
		[BigInt(set.id)])).status, '0x1');
	await c.epochs(86000);
	assert.equal(await c.read('pdp', 'dataSetLive', [BigInt(set.id)]), true);
	await c.epochs(4000);
	assert.equal(await c.read('pdp', 'dataSetLive', [BigInt(set.id)]), false);
	const [rail] = c.ledger('rail');
	const sum = c.ledger('settlement').reduce((n, p) => n + p.amount, 0n);
	const { endEpoch } = c.ledger('railEnd')[0];
	const rate = c.ledger('rate')[0].rate;
	assert.ok(sum > 0n && sum <= rate * (endEpoch - rail.epoch));
	assert.equal(c.ledger('fault').length, 0);
	assert.equal(c.ledger('proof').length, 30);
	const [funds, locked] = await c.read('pay', 'accounts',
		[c.at.usdfc, c.wallet.address]);
	assert.equal(locked, 0n);
	assert.equal(funds, 10n ** 19n - sum - c.ledger('payment')[0].amount);
	assert.equal((await c.admin('/ledger')).balanced, true);
});

test('what nobody has proven for 30 days anybody may clear away', async (t) => {
	const c = await Client.start(t);
	await c.fund();
	const set = await c.create(1, [await c.upload(1, mod251(1000))]);
	await c.admin('/provider/1', { stall: true });
	const id = BigInt(set.id);
	const clear = async () => (await c.send('pdp', 'deleteDataSet',
		[id, '0x'])).status;
	assert.equal(await clear(), '0x0');
	await c.epochs(86500);
	assert.equal(await clear(), '0x1');
	assert.equal(await c.read('view', 'getClientDataSetsLength',
		[c.wallet.address]), 0n);
	const [, , free] = await c.read('pay', 'getAccountInfoIfSettled',
		[c.at.usdfc, c.wallet.address]);
	assert.equal(free, 10n ** 19n - c.ledger('payment')[0].amount);
});
