/* The program itself: ready soon, several at once, and gone again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const up = fileURLToPath(new URL('../up.sh', import.meta.url));

function begin(...args) {
	const child = spawn(up, ['--json', '--until-eof', ...args],
		{ stdio: ['pipe', 'pipe', 'inherit'] });
	const ready = new Promise((resolve, reject) => {
		child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
		createInterface(child.stdout).once('line',
			(line) => resolve(JSON.parse(line)));
	});
	const end = new Promise((resolve) => { child.once('exit', resolve); });
	return { child, ready, end };
}

test('two of them run side by side, and end cleanly', async () => {
	const all = [begin('--providers', '4', '--epoch-ms', '20'),
		begin('--chain-id', '314159')];
	const [a, b] = await Promise.all(all.map((x) => x.ready));
	assert.equal(a.providers.length, 4);
	assert.equal(new Set([...a.rpc, ...b.rpc]).size, 4);
	assert.equal(a.url, `filecoin://devnet?rpc=${a.rpc[0]}&fwss=${a.fwss}` +
		`&endorsements=${a.endorsements}&copies=2`);
	assert.equal(b.fwss, '0x02925630df557F957f70E112bA06e50965417CA0');
	const epoch = async () =>
		(await (await fetch(`${a.admin}/admin/state`)).json()).epoch;
	const first = Number(await epoch());
	while (Number(await epoch()) < first + 3)
		assert.ok(existsSync(a.dir));

	const c = begin('--epoch-ms', '0', '--providers', '1');
	const { admin } = await c.ready;
	assert.equal((await fetch(`${admin}/stop`, { method: 'POST' })).status, 200);
	assert.equal(await c.end, 0);

	all[0].child.stdin.end();
	all[1].child.kill('SIGINT');
	assert.deepEqual(await Promise.all(all.map((x) => x.end)), [0, 0]);
	assert.ok(!existsSync(a.dir) && !existsSync(b.dir));
});

test('an option that there is not is said', async () => {
	const child = spawn(up, ['--provider', '4'],
		{ stdio: ['ignore', 'ignore', 'pipe'] });
	let said = '';
	child.stderr.on('data', (d) => { said += d; });
	const code = await new Promise((resolve) => { child.once('close', resolve); });
	assert.equal(code, 2);
	assert.match(said, /--provider/);
});
