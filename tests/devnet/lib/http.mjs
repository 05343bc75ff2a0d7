/*
 * http.mjs - a server on 127.0.0.1 that can be slow, cut off or gone
 *
 * A Listener has knobs: latencyMs, bytesPerSecond (each way), and faults, a list
 * of { route, times, when, status, text, json, retryAfter, cut, delayMs }:
 *
 *   route       a regular expression for "METHOD /path"
 *   times       how many requests it applies to (1)
 *   when        "before": the request is not looked at; "after": it is done for
 *               real, and only its answer is another
 *   status      with text or json, retryAfter (seconds)
 *   cut         the connection is cut in place of an answer
 *   delayMs     wait first
 */
import { createServer } from 'node:http';
import { connect, createServer as createKeeper } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const SLICE_MS = 20;
const FAULT = ['route', 'times', 'when', 'status', 'text', 'json', 'retryAfter',
	'cut', 'delayMs'];

export class TooLarge extends Error {}

/* Whoever listens on any port could be given that of one who is down, for as long as
 * no socket has it.  So there is one, connected to this. */
const keeper = createKeeper((socket) => socket.on('error', () => {}).unref());

const keep = async (localPort) => {
	if (!keeper.listening) {
		await new Promise((resolve, reject) => {
			keeper.once('error', reject);
			keeper.listen(0, '127.0.0.1', resolve);
		});
		keeper.unref();
	}
	return new Promise((resolve, reject) => {
		const socket = connect({ localPort, localAddress: '127.0.0.1',
			host: '127.0.0.1', port: keeper.address().port });
		socket.once('error', reject).once('connect', () => {
			socket.on('error', () => {}).unref();
			resolve(socket);
		});
	});
};

/* Without the time after its end for which a socket keeps the port. */
const letGo = (socket) => new Promise((resolve) => {
	socket.once('close', resolve).resetAndDestroy();
});

export class Listener {
	/** `handle(req)` gives { status, headers, body }; body is text, bytes or an
	 * async iterable of bytes. */
	constructor(name, handle) {
		this.name = name;
		this.handle = handle;
		this.sockets = new Set();
		this.knobs = Listener.noKnobs();
		this.served = 0;
	}

	static noKnobs() {
		return { latencyMs: 0, bytesPerSecond: 0, faults: [] };
	}

	get url() {
		return `http://127.0.0.1:${this.port}`;
	}

	get up() {
		return this.server !== undefined;
	}

	async start(port = this.port ?? 0) {
		if (this.up)
			return;
		await this.unkeep();
		const server = createServer((req, res) => this.answer(req, res));
		server.requestTimeout = 0;
		server.headersTimeout = 60_000;
		// else it closes idle connections after 5 s, now and then under the
		// very request that comes on one
		server.keepAliveTimeout = 0;
		server.on('connection', (socket) => {
			this.sockets.add(socket);
			socket.on('close', () => this.sockets.delete(socket));
			socket.on('error', () => socket.destroy());
		});
		await new Promise((resolve, reject) => {
			server.once('error', reject);
			server.listen(port, '127.0.0.1', resolve);
		});
		this.server = server;
		this.port = server.address().port;
	}

	/** From now on connections are refused. */
	async stop() {
		const { server } = this;
		if (server === undefined)
			return;
		this.server = undefined;
		const closed = new Promise((resolve) => { server.close(resolve); });
		for (const socket of this.sockets)
			socket.destroy();
		await closed;
	}

	/** The same, until start(), and the port stays ours. */
	async pause() {
		if (!this.up)
			return;
		await this.stop();
		this.kept = await keep(this.port);
	}

	/** There will be no start() any more. */
	async end() {
		await this.stop();
		await this.unkeep();
	}

	async unkeep() {
		const { kept } = this;
		this.kept = undefined;
		if (kept !== undefined)
			await letGo(kept);
	}

	fault(req, when) {
		const { faults } = this.knobs;
		const line = `${req.method} ${req.path}`;
		const fault = faults.find((f) => (f.when ?? 'before') === when &&
			f.left > 0 && f.pattern.test(line));
		if (fault !== undefined && --fault.left === 0)
			this.knobs.faults = faults.filter((f) => f !== fault);
		return fault;
	}

	/** Arm a fault; throws on one that cannot be. */
	addFault(f) {
		const other = Object.keys(f).find((name) => !FAULT.includes(name));
		if (other !== undefined)
			throw new Error(`a fault has no ${other}`);
		if (typeof f.route !== 'string')
			throw new Error('a fault needs a route');
		if (!f.cut && !f.status && !f.delayMs)
			throw new Error('a fault needs a status, cut or delayMs');
		this.knobs.faults.push({ ...f, left: f.times ?? 1,
			pattern: new RegExp(f.route) });
	}

	async answer(req, res) {
		res.on('error', () => req.destroy());
		const { socket } = req; /* the request loses it when it ends */
		const url = new URL(req.url, 'http://127.0.0.1');
		const request = { method: req.method, path: url.pathname,
			query: url.searchParams, headers: req.headers, raw: req,
			ip: socket.remoteAddress,
			body: (most) => this.read(req, most),
			chunks: () => this.chunks(req) };
		this.served++;
		try {
			await wait(this.knobs.latencyMs);
			const reply = await this.decide(request);
			if (reply === undefined)
				socket.destroy();
			else
				await this.send(req, res, reply);
		} catch (e) {
			if (socket.destroyed || e.code === 'ECONNRESET')
				return;
			if (e instanceof TooLarge) {
				res.writeHead(413).end('body too large\n');
				return;
			}
			process.stderr.write(`${this.name}: ${e.stack}\n`);
			if (!res.headersSent)
				res.writeHead(500);
			res.end(`${e.message}\n`);
		}
	}

	async decide(request) {
		const before = this.fault(request, 'before');
		if (before?.delayMs)
			await wait(before.delayMs);
		if (before?.cut)
			return undefined;
		if (before?.status) {
			await request.body(Infinity);
			return this.faultReply(before);
		}
		const reply = await this.handle(request);
		const after = this.fault(request, 'after');
		if (after?.delayMs)
			await wait(after.delayMs);
		if (after?.cut)
			return undefined;
		return after?.status ? this.faultReply(after) : reply;
	}

	faultReply(f) {
		const headers = f.retryAfter === undefined ? {} :
			{ 'Retry-After': String(f.retryAfter) };
		if (f.json !== undefined) {
			return { status: f.status, body: JSON.stringify(f.json),
				headers: { ...headers, 'Content-Type': 'application/json' } };
		}
		return { status: f.status, body: `${f.text ?? 'fault'}\n`,
			headers: { ...headers,
				'Content-Type': 'text/plain; charset=utf-8' } };
	}

	/** The request's bytes, not faster than the link. */
	async* chunks(req) {
		/* Who stops reading wants to answer, on the same connection. */
		for await (const chunk of req.iterator({ destroyOnReturn: false })) {
			await this.pace(chunk.length);
			yield chunk;
		}
	}

	async pace(bytes) {
		const { bytesPerSecond } = this.knobs;
		if (bytesPerSecond > 0)
			await wait(bytes / bytesPerSecond * 1000);
	}

	async read(req, most = 1 << 20) {
		const parts = [];
		let size = 0;
		for await (const chunk of this.chunks(req)) {
			size += chunk.length;
			if (size > most)
				throw new TooLarge();
			if (most !== Infinity)
				parts.push(chunk);
		}
		return Buffer.concat(parts);
	}

	async send(req, res, { status, headers = {}, body = '' }) {
		const whole = typeof body === 'string' ? Buffer.from(body) : body;
		const list = Buffer.isBuffer(whole);
		res.writeHead(status, { ...list && status !== 304 && status !== 204 ?
			{ 'Content-Length': whole.length } : {}, ...headers });
		if (req.method === 'HEAD') {
			res.end();
			return;
		}
		for await (const part of list ? [whole] : whole) {
			for (const slice of this.slices(part)) {
				await this.pace(slice.length);
				if (res.destroyed)
					return;
				if (!res.write(slice))
					await this.drained(res);
			}
		}
		res.end();
	}

	drained(res) {
		return new Promise((resolve) => {
			const go = () => {
				res.off('drain', go).off('close', go);
				resolve();
			};
			res.on('drain', go).on('close', go);
		});
	}

	* slices(bytes) {
		const { bytesPerSecond } = this.knobs;
		const size = bytesPerSecond > 0 ?
			Math.max(1, Math.floor(bytesPerSecond * SLICE_MS / 1000)) :
			bytes.length;
		for (let at = 0; at < bytes.length; at += size)
			yield bytes.subarray(at, at + size);
	}
}

export const json = (status, value, headers = {}) => ({ status,
	headers: { 'Content-Type': 'application/json', ...headers },
	body: `${JSON.stringify(value, (_, v) =>
		typeof v === 'bigint' ? v.toString() : v)}\n` });

export const text = (status, message, headers = {}) => ({ status,
	headers: { 'Content-Type': 'text/plain; charset=utf-8',
		'X-Content-Type-Options': 'nosniff', ...headers },
	body: `${message}\n` });
