/* Reading: ranges, conditions, blocks, and who has them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';

import { text as cidText, varint } from '../lib/cid.mjs';
import { parseRanges } from '../lib/retrieval.mjs';
import { mod251 } from './help.mjs';
import { Client, until } from './client.mjs';

test('ranges are read as Go reads them', () => {
	for (const [header, want] of [
		[undefined, null], ['bytes=0-9', [[0, 10]]], ['bytes=90-', [[90, 100]]],
		['bytes=-5', [[95, 100]]], ['bytes=95-200', [[95, 100]]],
		['bytes=-500', [[0, 100]]], ['bytes=100-', []], ['bytes=5-1', []],
		['items=1-2', []], ['bytes=a-b', []], ['bytes=-', []],
		['bytes=0-1, 4-5', [[0, 2], [4, 6]]],
		['bytes=0-99,0-99', null], ['bytes=200-,1-2', [[1, 3]]],
	])
		assert.deepEqual(parseRanges(header, 100), want, header);
});

test('a piece is served whole, in ranges, or not again', async (t) => {
	const c = await Client.start(t);
	const bytes = mod251(3000);
	const cid = await c.upload(1, bytes);
	const get = (headers, method = 'GET') => c.http(1, method,
		`/piece/${cid}`, undefined, headers);
	const body = async (res) => Buffer.from(await res.arrayBuffer());

	const whole = await get({});
	assert.deepEqual(await body(whole), bytes);
	assert.equal(whole.headers.get('etag'), `"${cid}"`);
	assert.equal(whole.headers.get('content-length'), '3000');
	assert.equal(whole.headers.get('accept-ranges'), 'bytes');
	assert.match(whole.headers.get('cache-control'), /immutable/);
	const head = await get({}, 'HEAD');
	assert.deepEqual([head.status, head.headers.get('content-length')],
		[200, '3000']);

	const part = await get({ Range: 'bytes=10-19' });
	assert.deepEqual([part.status, part.headers.get('content-range')],
		[206, 'bytes 10-19/3000']);
	assert.deepEqual(await body(part), bytes.subarray(10, 20));
	const two = await get({ Range: 'bytes=0-1,5-6' });
	assert.match(two.headers.get('content-type'), /^multipart\/byteranges/);
	assert.equal((await body(two)).toString('latin1').match(
		/Content-Range: bytes/g).length, 2);
	const none = await get({ Range: 'bytes=3000-' });
	assert.deepEqual([none.status, none.headers.get('content-range')],
		[416, 'bytes */3000']);
	assert.equal((await get({ 'If-None-Match': `"${cid}"` })).status, 304);
	assert.equal((await get({ Range: 'bytes=0-1', 'If-Range': '"x"' })).status,
		200);
	assert.equal((await c.http(1, 'GET', '/piece/bafk')).status, 400);
	assert.equal((await c.http(2, 'GET', `/piece/${cid}`)).status, 404);
});

test('who accepts compression gets no length and no use of ranges', async (t) => {
	const c = await Client.start(t);
	const bytes = mod251(3000);
	const cid = await c.upload(1, bytes);
	const { headers, body } = await new Promise((resolve, reject) => {
		request(`${c.at.providers[0].url}/piece/${cid}`, { headers:
			{ 'Accept-Encoding': 'gzip', Range: 'bytes=0-999' } }, (res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d)).on('end', () => resolve(
				{ headers: res.headers, body: Buffer.concat(parts) }));
		}).on('error', reject).end();
	});
	assert.equal(headers['content-encoding'], 'gzip');
	assert.equal(headers['content-length'], undefined);
	assert.deepEqual(gunzipSync(body), bytes.subarray(0, 1000));
});

const sha256 = (b) => createHash('sha256').update(b).digest();
const cidOf = (codec, bytes) => Buffer.from([1, codec, 0x12, 0x20,
	...sha256(bytes)]);
const frame = (...parts) => {
	const all = Buffer.concat(parts);
	return Buffer.concat([Buffer.from(varint(all.length)), all]);
};

/* A dag-pb node over two raw blocks, in a CAR. */
function makeCar() {
	const leaves = [mod251(300), Buffer.alloc(500, 7)];
	const cids = leaves.map((l) => cidOf(0x55, l));
	const field = (n, b) => Buffer.concat([Buffer.from([n << 3 | 2,
		...varint(b.length)]), b]);
	const node = Buffer.concat([...cids.map((cid) => field(2, field(1, cid))),
		field(1, Buffer.from([8, 1]))]);
	const root = cidOf(0x70, node);
	const header = Buffer.concat([Buffer.from('a265726f6f747381d82a582500',
		'hex'), root, Buffer.from('6776657273696f6e01', 'hex')]);
	return { root, node, leaves, cids, car: Buffer.concat([frame(header),
		frame(root, node), ...leaves.map((l, i) => frame(cids[i], l))]) };
}

test('blocks of an indexed set are served and can be found', async (t) => {
	const c = await Client.start(t);
	await c.fund();
	const made = makeCar();
	const piece = await c.upload(1, made.car);
	const name = cidText(made.cids[0]);
	const raw = { Accept: 'application/vnd.ipld.raw' };
	await c.create(1, [piece], { source: 'x' });
	assert.equal((await c.http(1, 'GET', `/ipfs/${name}`, undefined,
		raw)).status, 404);
	await c.create(1, [piece], { source: 'y', withIPFSIndexing: '' });

	const get = async (path, headers) => c.http(1, 'GET', path, undefined,
		headers);
	let res;
	await until(async () => {
		res = await get(`/ipfs/${name}`, raw);
		return res.status === 200;
	});
	assert.equal(res.headers.get('content-type'), 'application/vnd.ipld.raw');
	assert.deepEqual(Buffer.from(await res.arrayBuffer()), made.leaves[0]);
	const car = await get(`/ipfs/${cidText(made.root)}?format=car`);
	assert.deepEqual(Buffer.from(await car.arrayBuffer()), made.car);
	assert.equal((await get(`/ipfs/${name}`)).status, 400);
	const status = await c.json(1, `/pdp/piece/${piece}/status`);
	assert.equal(status.indexed, true);

	const find = async (cid) => fetch(
		`${c.at.routing}/routing/v1/providers/${cidText(cid)}`);
	const { Providers } = await (await find(made.root)).json();
	assert.equal(Providers.length, 1);
	assert.deepEqual(Providers[0].Addrs,
		[`/ip4/127.0.0.1/tcp/${new URL(c.at.providers[0].url).port}/http`]);
	assert.match(Providers[0].ID, /^12D3KooW/);
	assert.equal((await find(cidOf(0x55, Buffer.from('no')))).status, 404);
});
