/*
 * devnet.mjs - Filecoin Onchain Cloud on 127.0.0.1: a chain and its providers
 *
 * usage: node devnet.mjs [OPTION...]
 *
 *   --providers N   storage providers (3); all approved, the first two endorsed
 *   --rpcs N        JSON-RPC endpoints of the one chain (2)
 *   --epoch-ms MS   length of an epoch (1000); 0: epochs pass by admin only
 *   --dir D         where the pieces go; without it a folder that goes away
 *   --chain-id ID   31415926; 314159 and 314 take the addresses of those networks
 *   --period N      proving period in epochs (120), --window N (10)
 *   --port-base P   admin on P, RPC from P+1, providers from P+101; else free ports
 *   --clock epochs  block times are 30 s apart, whatever the real clock says
 *   --json          one line of JSON with all addresses when it is ready
 *   --until-eof     end when stdin ends
 *
 * admin.mjs lists what the admin endpoint can do.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { Admin } from './lib/admin.mjs';
import { Curio } from './lib/curio.mjs';
import { Listener } from './lib/http.mjs';
import { makeNetwork } from './lib/network.mjs';
import { Provider } from './lib/provider.mjs';
import { route } from './lib/retrieval.mjs';
import { RpcEndpoint } from './lib/rpc.mjs';

const FIL = 10n ** 18n;
const PLACES = ['C=US;ST=California;L=San Francisco', 'C=DE;ST=Hessen;L=Frankfurt',
	'C=JP;ST=Tokyo;L=Tokyo', 'C=BR;ST=Sao Paulo;L=Sao Paulo',
	'C=ZA;ST=Gauteng;L=Johannesburg', 'C=AU;ST=Victoria;L=Melbourne'];
const YIELD_EVERY = 50;
const RECEIPT_EPOCHS = 3;

const pause = () => new Promise((done) => { setImmediate(done); });

export class Devnet {
	constructor(options = {}) {
		const { providers = 3, rpcs = 2, epochMs = 1000, dir, chainId, clock,
			period = 120, window = 10, portBase } = options;
		this.options = { providers, rpcs, epochMs, dir, portBase };
		this.net = makeNetwork({ chainId, clock, proving: {
			maxProvingPeriod: BigInt(period), challengeWindow: BigInt(window),
			challengeFinality: BigInt(Math.min(5, window)) } });
		this.chain = this.net.chain;
		this.epochMs = epochMs;
		this.turn = Promise.resolve();
		this.hosts = [];
		this.rpcs = Array.from({ length: rpcs },
			(_, i) => new RpcEndpoint(this.chain, `rpc ${i}`));
		this.admin = new Admin(this);
		this.routing = new Listener('routing', async (req) =>
			route(this.hosts, req));
	}

	async start() {
		const { dir, portBase, providers } = this.options;
		const port = (n) => portBase === undefined ? 0 : portBase + n;
		this.ownDir = dir === undefined;
		this.dir = dir ?? await mkdtemp(join(tmpdir(), 'devnet-'));
		await this.admin.listener.start(port(0));
		for (const [i, rpc] of this.rpcs.entries())
			await rpc.listener.start(port(1 + i));
		await this.routing.start(port(100));
		for (let i = 0; i < providers; i++)
			await this.addProvider(port(101 + i));
		const ids = this.hosts.map((h) => BigInt(h.provider.id));
		this.net.fwss.approved.set('', ids);
		this.net.endorsements.ids.set('', ids.slice(0, 2));
		this.chain.tick();
		this.running = true;
		this.schedule();
	}

	async addProvider(port) {
		const id = this.hosts.length + 1;
		const provider = new Provider(this.net, { id,
			dir: join(this.dir, `provider-${id}`) });
		await provider.start();
		const curio = new Curio(provider);
		const listener = new Listener(`provider ${id}`,
			(req) => curio.handle(req));
		await listener.start(port);
		this.net.registry.register({ address: provider.address,
			name: `devnet-${id}`, description: `storage provider ${id}` },
		{ serviceURL: listener.url, token: this.net.token.address,
			location: PLACES[(id - 1) % PLACES.length] });
		this.chain.fund(provider.address, 1_000_000n * FIL);
		this.hosts.push({ provider, curio, listener });
	}

	/* -- time -- */

	schedule() {
		clearTimeout(this.timer);
		if (!this.running || this.epochMs <= 0)
			return;
		this.timer = setTimeout(() => {
			this.advance(1).catch((e) => {
				process.stderr.write(`epoch: ${e.stack}\n`);
			}).finally(() => this.schedule());
		}, this.epochMs);
	}

	/** Let epochs pass; providers work after each of them. */
	advance(epochs, { prove = true, settle = false } = {}) {
		const done = this.turn.then(async () => {
			const settleAt = Math.max(0, epochs - RECEIPT_EPOCHS);
			for (let i = 0; i < epochs; i++) {
				this.chain.tick();
				for (const { provider } of this.hosts) {
					await provider.work({ prove,
						settle: settle && i === settleAt });
				}
				if (i % YIELD_EVERY === YIELD_EVERY - 1)
					await pause();
			}
		});
		this.turn = done.catch(() => {});
		return done;
	}

	/** Epochs that have never been, between two that are. */
	reorg(epochs, lose) {
		const done = this.turn.then(() => {
			this.chain.reorg(epochs, lose);
			for (const { provider } of this.hosts)
				provider.unconfirm();
		});
		this.turn = done.catch(() => {});
		return done;
	}

	/* -- who is where -- */

	get url() {
		const { fwss, endorsements } = this.net;
		return `filecoin://devnet?rpc=${this.rpcs[0].listener.url}&fwss=` +
			`${fwss.address}&endorsements=${endorsements.address}&copies=2`;
	}

	facts() {
		const { net } = this;
		const at = (name) => net[name].address;
		return {
			url: this.url, chainId: this.chain.chainId,
			admin: this.admin.listener.url,
			rpc: this.rpcs.map((r) => r.listener.url),
			routing: this.routing.url, dir: this.dir, pid: process.pid,
			fwss: at('fwss'), view: at('view'), pdp: at('pdp'), pay: at('pay'),
			usdfc: at('token'), registry: at('registry'),
			sessions: at('sessions'), endorsements: at('endorsements'),
			multicall: at('multicall'), epochMs: this.epochMs,
			providers: this.hosts.map(({ provider, listener }) => ({
				id: provider.id, url: listener.url,
				address: provider.address })),
		};
	}

	async stop() {
		this.running = false;
		clearTimeout(this.timer);
		await this.turn;
		const all = [this.admin.listener, this.routing,
			...this.rpcs.map((r) => r.listener),
			...this.hosts.map((h) => h.listener)];
		await Promise.all(all.map((l) => l.end()));
		if (this.ownDir)
			await rm(this.dir, { recursive: true, force: true });
	}
}

const whole = (text, name) => {
	if (text === undefined)
		return undefined;
	if (!/^\d{1,9}$/.test(text))
		throw new Error(`--${name} takes a number`);
	return Number(text);
};

function options(argv) {
	const string = { type: 'string' };
	const flag = { type: 'boolean' };
	const { values: v } = parseArgs({ args: argv, options: {
		'providers': string, 'rpcs': string, 'epoch-ms': string, 'dir': string,
		'chain-id': string, 'period': string, 'window': string,
		'port-base': string, 'clock': string, 'json': flag, 'until-eof': flag,
	} });
	const n = (name) => whole(v[name], name);
	return { providers: n('providers'), rpcs: n('rpcs'), epochMs: n('epoch-ms'),
		dir: v.dir, chainId: n('chain-id'), period: n('period'),
		window: n('window'), portBase: n('port-base'), clock: v.clock,
		json: v.json, untilEof: v['until-eof'] };
}

function tell(f) {
	const lines = [
		`chain ${f.chainId}: ${f.rpc.join('  ')}`,
		...f.providers.map((p) => `provider ${p.id}: ${p.url}`),
		`delegated routing: ${f.routing}`,
		`admin: ${f.admin}  (GET / lists what it can do)`,
		'',
		'Give an address money:',
		`  curl -d '{"address":"0x...","fil":"10","usdfc":"100"}' ` +
			`${f.admin}/fund`,
		'',
		'A drive on it:',
		`  fildrive init --store '${f.url}' --words-out words`,
		'',
		'Ctrl-C ends it; pieces are in ' + f.dir,
	];
	process.stdout.write(`${lines.join('\n')}\n`);
}

async function main() {
	let o;
	try {
		o = options(process.argv.slice(2));
	} catch (e) {
		process.stderr.write(`devnet: ${e.message}\n`);
		process.exit(2);
	}
	const devnet = new Devnet(Object.fromEntries(Object.entries(o)
		.filter(([, value]) => value !== undefined)));
	const end = () => devnet.stop().then(() => process.exit(0), (e) => {
		process.stderr.write(`devnet: ${e.stack}\n`);
		process.exit(1);
	});
	process.on('SIGINT', end);
	process.on('SIGTERM', end);
	await devnet.start();
	if (o.untilEof)
		process.stdin.on('end', end).on('error', end).resume();
	if (o.json)
		process.stdout.write(`${JSON.stringify(devnet.facts())}\n`);
	else
		tell(devnet.facts());
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
	await main();
