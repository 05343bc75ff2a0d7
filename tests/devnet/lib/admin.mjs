/*
 * admin.mjs - the devnet's own endpoint: money, time, faults and the books
 *
 * GET answers JSON, POST takes JSON; amounts go out as decimal strings of the
 * smallest unit and come in as decimal FIL or USDFC.  What cannot be done is 400
 * with a sentence.  An unknown knob is an error, so that no test breaks nothing.
 *
 *   GET  /                  this list
 *   GET  /state             addresses, epoch, knobs and counters
 *   POST /fund              { address, fil?, usdfc? }
 *   GET  /account/0x...     FIL, USDFC, deposit, approval, rails, data sets
 *   GET  /ledger            every payment, rail change, add, proof, fault; sums
 *   POST /advance           { epochs, prove?, settle? }: let time pass, then answer
 *   POST /reorg             { epochs, lose? }: the last epochs have never been; what
 *                           they held is included again, or lost
 *   POST /chain             { epochMs?, nullEvery?, baseFee?, premium?, clock? }
 *   POST /rpc/I             knobs of endpoint I (0...): rpc.mjs, http.mjs; { down }
 *   POST /provider/N        knobs of provider N (1...): provider.mjs, http.mjs;
 *                           { down: true } refuses connections; false is back;
 *                           { approved, endorsed, active }: its standing;
 *                           { capabilities: { name: "0x..." or null } }: what
 *                           the registry says of it, true or not
 *   POST /provider/N/fault  one more fault: http.mjs
 *   POST /provider/N/lose   { pieceCid }: gone from disk
 *   POST /provider/N/corrupt { pieceCid, offset }: one bit on disk
 *   POST /provider/N/terminate { dataSetId }: it ends the service
 *   POST /provider/N/forget the status of what is confirmed is pruned
 *   POST /provider/N/settle    it settles its rails, with two epochs
 *   GET  /provider/N        pieces, transactions, counters
 *   POST /reset             all knobs off, everybody back
 *   POST /stop              end the devnet
 */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { getAddress, isAddress, isHex, parseUnits } from 'viem/utils';

import { pieceKey } from './cid.mjs';
import { Listener, json, text } from './http.mjs';
import { Provider } from './provider.mjs';
import { RpcEndpoint } from './rpc.mjs';

const EPOCHS_MAX = 1_000_000;
const REORG_MAX = 900;
const HELP = readFileSync(new URL(import.meta.url), 'utf8')
	.split('*/')[0].replace(/^\/\*\n/, '').replaceAll(/^ \* ?/gm, '');

class BadRequest extends Error {}

const bad = (message) => {
	throw new BadRequest(message);
};

const amount = (value, name) => {
	if (value === undefined)
		return 0n;
	if (!/^\d+(\.\d{1,18})?$/.test(String(value)))
		bad(`${name} is not a decimal amount`);
	return parseUnits(String(value), 18);
};

const address = (value) => isAddress(value ?? '', { strict: false }) ?
	getAddress(value) : bad('no address');

/** Set knobs by name; the name of one that does not exist is refused. */
const setKnobs = (knobs, values) => {
	for (const [name, value] of Object.entries(values)) {
		if (!(name in knobs))
			bad(`there is no knob ${name}`);
		knobs[name] = value;
	}
};

export class Admin {
	constructor(devnet) {
		this.devnet = devnet;
		this.listener = new Listener('admin', (req) => this.handle(req));
	}

	async handle(req) {
		const [, name = '', which, action] = req.path
			.replace(/^\/admin/, '').split('/');
		const key = `${req.method} ${[name, action].filter(Boolean).join(' ')}`;
		const actions = {
			'GET ': () => ({ status: 200, body: HELP, headers:
				{ 'Content-Type': 'text/plain' } }),
			'GET state': () => this.state(),
			'POST fund': (b) => this.fund(b),
			'GET account': () => this.account(address(which)),
			'GET ledger': () => this.ledger(),
			'POST advance': (b) => this.advance(b),
			'POST reorg': (b) => this.reorg(b),
			'POST chain': (b) => this.setChain(b),
			'POST rpc': (b) => this.setRpc(which, b),
			'GET provider': () => this.show(this.host(which)),
			'POST provider': (b) => this.setProvider(this.host(which), b),
			'POST provider fault': (b) => this.fault(this.host(which), b),
			'POST provider lose': (b) => this.lose(this.host(which), b),
			'POST provider corrupt': (b) => this.corrupt(this.host(which), b),
			'POST provider terminate': (b) => this.terminate(this.host(which), b),
			'POST provider forget': () => this.host(which).provider.prune(),
			'POST provider settle': () => this.settle(this.host(which)),
			'POST reset': () => this.reset(),
			'POST stop': () => this.stop(),
		};
		const f = actions[key];
		if (f === undefined)
			return text(404, `no ${req.method} ${req.path}; GET / lists all`);
		try {
			const body = req.method === 'POST' ? await req.body() : '';
			const value = body.length > 0 ? JSON.parse(body) : {};
			const result = await f(value) ?? { ok: true };
			return 'status' in result ? result : json(200, result);
		} catch (e) {
			if (e instanceof BadRequest || e instanceof SyntaxError)
				return text(400, e.message);
			throw e;
		}
	}

	host(which) {
		return this.devnet.hosts[Number(which) - 1] ??
			bad(`there is no provider ${which}`);
	}

	state() {
		const { devnet } = this;
		const { chain } = devnet;
		return { ...devnet.facts(), epoch: chain.head,
			pool: [...chain.pool.values()].reduce((n, p) => n + p.size, 0) +
				chain.included.length,
			rpcs: devnet.rpcs.map((r) => ({ url: r.listener.url,
				up: r.listener.up, served: r.listener.served, calls: r.calls,
				knobs: { ...r.listener.knobs, ...r.knobs } })),
			hosts: devnet.hosts.map(({ provider, listener }) => ({
				id: provider.id, up: listener.up, served: listener.served,
				knobs: { ...listener.knobs, ...provider.knobs },
				stats: provider.stats })) };
	}

	fund({ address: to, fil, usdfc }) {
		const a = address(to);
		const { chain, net } = this.devnet;
		chain.fund(a, amount(fil, 'fil'));
		net.token.mint(a, amount(usdfc, 'usdfc'));
		return { address: a, fil: chain.balances.get(a),
			usdfc: net.token.balances.get(a) };
	}

	account(a) {
		const { chain, net } = this.devnet;
		const { pay, fwss, token } = net;
		const rails = pay.railsOf.get(`payer|${token.address}|${a}`);
		return { address: a, epoch: chain.head, fil: chain.balances.get(a),
			usdfc: token.balances.get(a), nonce: chain.nonces.get(a),
			deposit: pay.accounts.get(`${token.address}|${a}`),
			approval: pay.approvals.get(
				`${token.address}|${a}|${fwss.address}`),
			rails: rails.filter((id) => pay.rails.has(id))
				.map((id) => ({ railId: id, ...pay.rails.get(id) })),
			dataSets: fwss.clientSets.get(a).map((id) => ({ dataSetId: id,
				...fwss.sets.get(id), metadata: fwss.metadata.get(id),
				leaves: net.pdp.sets.get(id).leaves,
				pieces: [...net.pdp.active(id)].map(([pieceId, p]) =>
					({ pieceId, cid: p.cid,
						metadata: fwss.pieceMetadata.get(`${id}|${pieceId}`) })),
				removals: net.pdp.sets.get(id).removals,
				provenThisPeriod: fwss.provenNow.get(id),
				provingDeadline: fwss.deadlines.get(id) })) };
	}

	/** The books, and whether they balance: what the accounts say FilecoinPay
	 * holds is what the token says it holds. */
	ledger() {
		const { chain, net } = this.devnet;
		const sums = {};
		for (const line of chain.ledger) {
			const s = sums[line.kind] ??= { count: 0, amount: 0n };
			s.count++;
			s.amount += line.amount ?? 0n;
		}
		const held = net.token.balances.get(net.pay.address);
		const owed = net.pay.accounts.values()
			.reduce((n, a) => n + a.funds, 0n);
		return { epoch: chain.head, entries: chain.ledger, sums, held, owed,
			balanced: held === owed };
	}

	async advance({ epochs = 1, prove, settle, ...rest }) {
		if (!Number.isInteger(epochs) || epochs < 1 || epochs > EPOCHS_MAX)
			bad(`epochs is a number from 1 to ${EPOCHS_MAX}`);
		if (Object.keys(rest).length > 0)
			bad(`there is no knob ${Object.keys(rest)[0]}`);
		await this.devnet.advance(epochs, { prove, settle });
		return { epoch: this.devnet.chain.head };
	}

	async reorg({ epochs, lose = false }) {
		const { chain } = this.devnet;
		if (!Number.isInteger(epochs) || epochs < 1 || epochs > REORG_MAX ||
			chain.head - BigInt(epochs) < chain.start.head)
			bad(`epochs is a number from 1 to ${REORG_MAX}, and of this chain`);
		await this.devnet.reorg(epochs, lose);
		return { epoch: chain.head };
	}

	setChain({ epochMs, ...rest }) {
		const { chain } = this.devnet;
		const { nullEvery, clock } = chain;
		const knobs = { nullEvery, clock, baseFee: chain.baseFee,
			premium: chain.premium };
		setKnobs(knobs, rest);
		chain.nullEvery = knobs.nullEvery;
		chain.clock = knobs.clock;
		chain.baseFee = BigInt(knobs.baseFee);
		chain.premium = BigInt(knobs.premium);
		if (epochMs !== undefined) {
			this.devnet.epochMs = epochMs;
			this.devnet.schedule();
		}
		return { epoch: chain.head, epochMs: this.devnet.epochMs };
	}

	async setKnobsOf(listener, own, { down, faults, ...values }) {
		for (const [name, value] of Object.entries(values)) {
			const all = name in own ? own : listener.knobs;
			setKnobs(all, { [name]: value });
		}
		if (faults !== undefined)
			listener.knobs.faults = [];
		for (const f of faults ?? [])
			this.arm(listener, f);
		if (down === true)
			await listener.pause();
		else if (down === false)
			await listener.start();
	}

	arm(listener, f) {
		try {
			listener.addFault(f);
		} catch (e) {
			bad(e.message);
		}
	}

	async setRpc(which, values) {
		const rpc = this.devnet.rpcs[Number(which ?? NaN)] ??
			bad(`there is no rpc ${which}`);
		await this.setKnobsOf(rpc.listener, rpc.knobs, values);
	}

	async setProvider(host, { approved, endorsed, active, capabilities,
		...values }) {
		const { net } = this.devnet;
		const id = BigInt(host.provider.id);
		const list = (table, on) => {
			const others = table.get('').filter((i) => i !== id);
			table.set('', on ? [...others, id] : others);
		};
		if (approved !== undefined)
			list(net.fwss.approved, approved);
		if (endorsed !== undefined)
			list(net.endorsements.ids, endorsed);
		if (active !== undefined)
			net.registry.providers.ref(id).isActive = active;
		if (capabilities !== undefined)
			this.setCapabilities(net.registry.providers.ref(id), capabilities);
		await this.setKnobsOf(host.listener, host.provider.knobs, values);
	}

	setCapabilities(row, changes) {
		const product = { ...row.product };
		for (const [name, value] of Object.entries(changes)) {
			if (value !== null && !isHex(value))
				bad(`capability ${name} is not hex`);
			if (value === null)
				delete product[name];
			else
				product[name] = value;
		}
		row.product = product;
	}

	show({ provider, listener }) {
		return { id: provider.id, url: listener.url, up: listener.up,
			address: provider.address, stats: provider.stats,
			pieces: [...provider.pieces.values()].map((p) => ({ v2: p.v2,
				v1: p.v1, size: p.size, lost: p.lost, file: p.file,
				indexed: p.indexedAt !== undefined })),
			dataSets: [...provider.sets.keys()],
			sends: [...provider.sends.values()] };
	}

	fault({ listener }, f) {
		this.arm(listener, f);
	}

	lose({ provider }, { pieceCid }) {
		return this.onPiece(provider, pieceCid, (p) => provider.lose(p.v1));
	}

	async onPiece(provider, pieceCid, f) {
		let v1;
		try {
			v1 = pieceKey(pieceCid ?? '');
		} catch (e) {
			bad(e.message);
		}
		await f(provider.piece(v1) ?? bad('it has no such piece'));
	}

	corrupt({ provider }, { pieceCid, offset = 0 }) {
		return this.onPiece(provider, pieceCid, async (p) => {
			const file = await open(p.file, 'r+');
			try {
				const byte = Buffer.alloc(1);
				await file.read(byte, 0, 1, offset);
				byte[0] ^= 1;
				await file.write(byte, 0, 1, offset);
			} finally {
				await file.close();
			}
		});
	}

	async terminate({ provider }, { dataSetId }) {
		if (!provider.sets.has(BigInt(dataSetId ?? -1)))
			bad(`provider ${provider.id} has no data set ${dataSetId}`);
		const { hash } = await provider.terminate(dataSetId);
		return { txHash: hash };
	}

	async settle({ provider }) {
		for (const id of provider.sets.keys())
			await provider.settle(id);
	}

	async reset() {
		for (const rpc of this.devnet.rpcs) {
			rpc.knobs = RpcEndpoint.noKnobs();
			rpc.listener.knobs = Listener.noKnobs();
			await rpc.listener.start();
		}
		for (const { provider, listener, curio } of this.devnet.hosts) {
			provider.knobs = Provider.noKnobs();
			listener.knobs = Listener.noKnobs();
			curio.offenders.clear();
			await listener.start();
		}
		this.devnet.chain.nullEvery = 0;
	}

	stop() {
		setTimeout(() => process.kill(process.pid, 'SIGTERM'), 20);
	}
}
