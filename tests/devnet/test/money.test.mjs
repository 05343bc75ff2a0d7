/* Section 5 of the reference, in its own numbers, and signatures of section 9. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeFunctionData } from 'viem/utils';

import { abi } from '../lib/abi.mjs';
import { Wallet, TYPE_HASHES } from '../lib/wallet.mjs';
import { TYPES, digestOf, decodeSignature, signerOf }
	from '../contracts/extradata.mjs';
import { DATASET_FEE_PER_EPOCH, rateOf } from '../contracts/prices.mjs';
import { KEY, MAX, USDFC, errorOf, mod251, network, piece, vectors, zeroPiece }
	from './help.mjs';

const NONE = `0x${'00'.repeat(20)}`;
const GIB_LEAVES = (1n << 30n) * 128n / 127n / 32n;

const NEW = { source: 'fildrive' };

async function createWith(n, pieces, { id = 5n, nonce = 6n, wallet = n.payer,
	metadata = NEW } = {}) {
	const extraData = await wallet.createAndAdd(n.fwss.domain,
		{ clientDataSetId: id, payee: n.sp, metadata, payer: n.payer.address },
		{ nonce, pieces });
	return () => n.send(n.sp, 'pdp', 'addPieces', [0n, n.fwss.address,
		pieces.map((data) => ({ data })), extraData], USDFC / 10n);
}

async function addWith(n, pieces, nonce, id = 1n) {
	const extraData = await n.payer.add(n.fwss.domain,
		{ clientDataSetId: 5n, nonce, pieces });
	return () => n.send(n.sp, 'pdp', 'addPieces',
		[id, NONE, pieces.map((data) => ({ data })), extraData]);
}

/* A piece of 1 GiB less 8 MiB, the largest one there is: leaves 2^25. */
const LARGE = zeroPiece('11'.repeat(31) + '01', 25);

test('rates are those that the contracts have said', () => {
	assert.equal(rateOf(0n), 0n);
	assert.equal(DATASET_FEE_PER_EPOCH, 277777777777n);
	assert.equal(rateOf(33063n), 277805403415n);
	/* 1 TiB: 2.524 USDFC a month, 1 GiB: 0.00244 and the fee of the set */
	const month = (leaves) => rateOf(leaves) * 86400n;
	assert.equal(month(GIB_LEAVES * 1024n) / 10n ** 15n, 2523n);
	assert.equal(month(GIB_LEAVES) / 10n ** 13n, 2644n);
});

test('the first gigabyte needs about 0.153 USDFC', async () => {
	const lockup = rateOf(1n << 25n) * 86400n;
	const fees = 25n * 10n ** 15n + 8n * 10n ** 14n;
	const total = lockup + USDFC / 10n + fees;
	assert.ok(total > 152n * 10n ** 15n && total < 153n * 10n ** 15n);

	const n = network();
	n.deposit(total);
	await (await createWith(n, [LARGE]))();
	const a = n.account();
	assert.equal(a.funds, total - fees);
	/* The reserve has paid the fees. */
	assert.equal(a.lockupCurrent, lockup + USDFC / 10n - fees);
	assert.equal(a.lockupRate, rateOf(1n << 25n));
	assert.equal(n.view('view', 'getDataSet', [1n]).lifecycleReserveBalance,
		USDFC / 10n - fees);

	const poor = network();
	poor.deposit(USDFC / 10n + 24n * 10n ** 15n - 1n);
	assert.match(errorOf(await createWith(poor, [LARGE])),
		/^InsufficientLockupFunds/);
});

test('finite allowances are a cap that nothing passes', async () => {
	for (const [rate, lockup, wrong] of [
		[277777777776n, MAX, /^InsufficientRateAllowance/],
		[MAX, USDFC / 10n, /^InsufficientLockupAllowance/],
		[277777777777n, MAX, /^OperatorRateAllowanceExceeded/],
		[MAX, USDFC / 10n + 24n * 10n ** 15n,
			/^OperatorLockupAllowanceExceeded/],
	]) {
		const n = network();
		n.deposit(USDFC, rate, lockup);
		assert.match(errorOf(await createWith(n, [LARGE])), wrong);
		assert.equal(n.view('pdp', 'getNextDataSetId'), 1n);
		assert.equal(n.chain.ledger.filter((l) => l.kind === 'payment').length,
			0);
	}
	const n = network();
	n.send(n.payer.address, 'pay', 'setOperatorApproval', [n.token.address,
		n.fwss.address, false, MAX, MAX, 86400n]);
	n.token.mint(n.payer.address, USDFC);
	n.send(n.payer.address, 'token', 'approve', [n.pay.address, USDFC]);
	n.send(n.payer.address, 'pay', 'deposit', [n.token.address,
		n.payer.address, USDFC]);
	assert.match(errorOf(await createWith(n, [LARGE])), /^OperatorNotApproved/);
});

test('nonces are used once, and tell which pieces they made', async () => {
	const n = network();
	n.deposit(USDFC);
	const small = piece(mod251(1000));
	await (await createWith(n, [small]))();
	const nonce = (x) => n.view('view', 'clientNonces', [n.payer.address, x]);
	assert.equal(nonce(5n), 1n);
	assert.equal(nonce(6n), (1n << 128n) | 1n);
	await (await addWith(n, [small, small], 9n))();
	assert.equal(nonce(9n), (3n << 128n) | 1n);
	assert.match(errorOf(await addWith(n, [small], 9n)),
		/^ClientDataSetAlreadyRegistered\(9\)/);
	assert.match(errorOf(await addWith(n, [small], 5n)),
		/^ClientDataSetAlreadyRegistered\(5\)/);
	assert.deepEqual(n.view('pdp', 'findPieceIdsByCid',
		[1n, { data: small }, 0n, 10n]), [0n, 1n, 2n]);
});

test('the reserve is filled up before it runs out', async () => {
	const n = network();
	n.deposit(USDFC);
	const small = piece(mod251(500));
	await (await createWith(n, [small]))();
	let fixed = USDFC / 10n - 258n * 10n ** 14n;
	let filled = 0;
	for (let i = 0; i < 120; i++) {
		await (await addWith(n, [small], 100n + BigInt(i)))();
		fixed -= 8n * 10n ** 14n;
		const { lockupFixed } = n.view('pay', 'getRail', [1n]);
		if (lockupFixed !== fixed) {
			filled++;
			assert.equal(lockupFixed, USDFC / 10n);
			fixed = lockupFixed;
		}
		assert.ok(lockupFixed >= 5n * 10n ** 15n - 8n * 10n ** 14n);
	}
	assert.equal(filled, 1);
});

test('where the funds end the lockup stops, and nothing more is taken',
	async () => {
		const n = network();
		n.deposit(USDFC / 10n + rateOf(1n << 25n) * (86400n + 150n) + 77n);
		await (await createWith(n, [LARGE]))();
		const [until, , free, rate] = n.view('pay', 'getAccountInfoIfSettled',
			[n.token.address, n.payer.address]);
		assert.equal(until - n.chain.head, free / rate);
		for (let i = 0n; i < free / rate + 10n; i++)
			n.chain.tick();
		const [still, , none] = n.view('pay', 'getAccountInfoIfSettled',
			[n.token.address, n.payer.address]);
		assert.equal(still, until);
		assert.equal(none, free % rate);
		assert.match(errorOf(await addWith(n, [piece(mod251(200))], 9n)),
			/^LockupNotSettledRateChangeNotAllowed/);
		assert.match(errorOf(() => n.send(n.payer.address, 'pay', 'withdraw',
			[n.token.address, 1n])), /full account lockup was not met/);
		/* The payer ends it: the provider has 30 days more. */
		n.send(n.payer.address, 'fwss', 'terminateService', [1n]);
		assert.equal(n.view('view', 'getDataSet', [1n]).pdpEndEpoch,
			until + 86400n);
	});

test('only what is proven is paid for', async () => {
	const n = network({ proving: { maxProvingPeriod: 100n,
		challengeWindow: 20n, challengeFinality: 2n } });
	n.deposit(USDFC);
	await (await createWith(n, [piece(mod251(127))]))();
	const { head } = n.chain;
	n.fwss.activation.set(1n, head);
	n.fwss.deadlines.set(1n, head + 100n);
	n.fwss.provenPeriods.set('1|0', true); /* of 0, 1, 2 only the middle fails */
	n.fwss.provenPeriods.set('1|2', true);
	for (let i = 0; i < 320; i++)
		n.chain.tick();
	n.send(n.sp, 'pay', 'settleRail', [1n, head + 300n]);
	const [paid] = n.chain.ledger.filter((l) => l.kind === 'settlement');
	const rate = rateOf(4n);
	assert.equal(paid.amount, rate * 300n * 200n / 300n);
	assert.equal(paid.fee, (paid.amount + 199n) / 200n);
	const fees = n.chain.ledger.filter((l) => l.kind === 'payment')
		.reduce((sum, p) => sum + p.amount, 0n);
	assert.equal(n.account().funds, USDFC - fees - paid.amount);
	assert.match(errorOf(() => n.send(n.sp, 'pay', 'settleRail',
		[1n, n.chain.head + 100n])), /^CannotSettleFutureEpochs/);
});

test('a session key may do what it was allowed, for as long', async () => {
	const n = network();
	n.deposit(USDFC);
	const session = new Wallet(`0x${'02'.repeat(32)}`);
	const make = () => createWith(n, [piece(mod251(300))], { wallet: session });
	assert.match(errorOf(await make()), /^InvalidSignature/);
	const login = (expiry, ...types) => n.send(n.payer.address, 'sessions',
		'login', [session.address, expiry, types.map((t) => TYPE_HASHES[t]), '']);
	const now = BigInt(n.chain.now());
	login(now + 1000n, 'CreateDataSet');
	assert.match(errorOf(await make()), /^InvalidSignature/);
	login(now - 1000n, 'CreateDataSet', 'AddPieces');
	assert.match(errorOf(await make()), /^InvalidSignature/);
	login(now + 1000n, 'CreateDataSet', 'AddPieces');
	await (await make())();
	assert.equal(n.view('view', 'getClientDataSetsLength',
		[n.payer.address]), 1n);
	const consent = await session.terminate(n.fwss.domain, 1n);
	assert.match(errorOf(() => n.send(n.sp, 'fwss', 'terminateService',
		[1n, consent])), /^InvalidSignature/);
	n.send(n.payer.address, 'sessions', 'revoke', [session.address,
		[TYPE_HASHES.AddPieces], '']);
	assert.equal(n.view('sessions', 'authorizationExpiry', [n.payer.address,
		session.address, TYPE_HASHES.AddPieces]), 0n);
});

test('metadata has the limits of the contract, in bytes', async () => {
	const n = network();
	n.deposit(USDFC);
	const wrong = async (metadata) => errorOf(await createWith(n,
		[piece(mod251(300))], { metadata }));
	assert.match(await wrong({ ['k'.repeat(33)]: '' }),
		/^MetadataKeyExceedsMaxLength/);
	assert.match(await wrong({ k: 'ä'.repeat(49) }),
		/^MetadataValueExceedsMaxLength/);
	assert.match(await wrong(Object.fromEntries(Array.from({ length: 11 },
		(_, i) => [`k${i}`, '']))), /^TooManyMetadataKeys/);
	assert.equal(await wrong({ k: 'ä'.repeat(48) }), 'no error');
});

test('the signatures of the vectors hold on calibration and mainnet', () => {
	const { vectors: list, address, typeHashes } = vectors('eip712');
	for (const [type, hash] of Object.entries(TYPE_HASHES))
		assert.equal(hash, typeHashes[type].typeHash);
	let count = 0;
	for (const v of list) {
		if (!(v.primaryType in TYPES) || !v.signature)
			continue;
		const n = network({ chainId: v.domain.chainId ?? 314159 });
		if (v.domain !== 'calibration')
			assert.deepEqual({ ...n.fwss.domain }, v.domain);
		const digest = digestOf(n.fwss.domain, v.primaryType, v.message);
		assert.equal(digest, v.digest, v.name);
		assert.equal(signerOf(n.fwss, digest, v.signature), address, v.name);
		count++;
	}
	assert.ok(count >= 7);
	const removal = list.find((v) => v.name === 'schedule-removals');
	assert.equal(decodeSignature(removal.extraData), removal.signature);
});

test('the permit of the vectors is taken by the token of calibration', () => {
	const n = network({ chainId: 314159, clock: 'epochs' });
	n.chain.start.at = 0; /* it is good until 2033 */
	const { vectors: list } = vectors('eip712');
	const json = JSON.stringify(list.find((v) => /permit/i.test(v.name)));
	const data = json.match(/0x8ef59739[0-9a-f]+/)[0];
	const { args } = decodeFunctionData({ abi: abi.FilecoinPay, data });
	n.token.mint(n.payer.address, USDFC);
	n.chain.tick();
	assert.equal(args[0], n.token.address);
	n.send(n.payer.address, 'pay', 'depositWithPermit', args);
	assert.equal(n.account().funds, USDFC);
	assert.match(errorOf(() => n.send(n.payer.address, 'pay',
		'depositWithPermit', args)), /^ERC2612InvalidSigner/);
	assert.equal(new Wallet(KEY).address, n.payer.address);
});
