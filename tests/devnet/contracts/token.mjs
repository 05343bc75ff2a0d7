/*
 * token.mjs - USDFC: an ERC-20 with ERC-2612 permits
 */
import { encodeAbiParameters, hashTypedData, keccak256, parseAbiParameters,
	stringToHex } from 'viem/utils';

import { Table } from '../lib/journal.mjs';
import { Contract, MAX, ZERO } from '../lib/contract.mjs';
import { recover } from '../lib/keys.mjs';

const NAME = 'USD for Filecoin Community';

const DOMAIN_TYPE = 'EIP712Domain(string name,string version,' +
	'uint256 chainId,address verifyingContract)';
const SEPARATOR = parseAbiParameters('bytes32, bytes32, bytes32, uint256, ' +
	'address');

const types = {
	Permit: [
		{ name: 'owner', type: 'address' },
		{ name: 'spender', type: 'address' },
		{ name: 'value', type: 'uint256' },
		{ name: 'nonce', type: 'uint256' },
		{ name: 'deadline', type: 'uint256' },
	],
};

export class Token extends Contract {
	constructor(chain, address) {
		super(chain, 'ERC20', address);
		this.balances = new Table(chain.journal, () => 0n);
		this.allowances = new Table(chain.journal, () => 0n);
		this.permits = new Table(chain.journal, () => 0n);
		this.supply = new Table(chain.journal, () => 0n);
	}

	get domain() {
		return { name: NAME, version: '1', chainId: this.chain.chainId,
			verifyingContract: this.address };
	}

	/** From nothing, for those who ask the devnet for money. */
	mint(to, amount) {
		this.balances.set(to, this.balances.get(to) + amount);
		this.supply.set('', this.supply.get('') + amount);
	}

	move(call, from, to, amount) {
		const balance = this.balances.get(from);
		this.check(balance >= amount, 'ERC20InsufficientBalance', from, balance,
			amount);
		this.balances.set(from, balance - amount);
		this.balances.set(to, this.balances.get(to) + amount);
		this.emit(call, 'Transfer', { from, to, value: amount });
		this.chain.note(call, 'transfer', { from, to, amount });
	}

	transfer(call, to, amount) {
		this.move(call, call.sender, to, amount);
		return true;
	}

	transferFrom(call, from, to, amount) {
		const key = `${from}|${call.sender}`;
		const allowed = this.allowances.get(key);
		this.check(allowed >= amount, 'ERC20InsufficientAllowance', call.sender,
			allowed, amount);
		if (allowed !== MAX)
			this.allowances.set(key, allowed - amount);
		this.move(call, from, to, amount);
		return true;
	}

	permit(call, owner, spender, value, deadline, v, r, s) {
		this.check(call.timestamp <= deadline, 'ERC2612ExpiredSignature',
			deadline);
		const nonce = this.permits.get(owner);
		const digest = hashTypedData({ domain: this.domain, types,
			primaryType: 'Permit',
			message: { owner, spender, value, nonce, deadline } });
		const signer = recover(digest, r, s, v);
		this.check(signer !== ZERO && signer === owner, 'ERC2612InvalidSigner',
			signer, owner);
		this.permits.set(owner, nonce + 1n);
		this.approve(call, owner, spender, value);
	}

	approve(call, owner, spender, value) {
		this.allowances.set(`${owner}|${spender}`, value);
		this.emit(call, 'Approval', { owner, spender, value });
	}

	$name() { return NAME; }
	$symbol() { return 'USDFC'; }
	$decimals() { return 18; }
	$version() { return '1'; }
	$totalSupply() { return this.supply.get(''); }
	$balanceOf(call, owner) { return this.balances.get(owner); }
	$nonces(call, owner) { return this.permits.get(owner); }

	$allowance(call, owner, spender) {
		return this.allowances.get(`${owner}|${spender}`);
	}

	$DOMAIN_SEPARATOR() {
		const { name, version, chainId, verifyingContract } = this.domain;
		const hash = (text) => keccak256(stringToHex(text));
		return keccak256(encodeAbiParameters(SEPARATOR, [hash(DOMAIN_TYPE),
			hash(name), hash(version), BigInt(chainId), verifyingContract]));
	}

	$eip712Domain() {
		return ['0x0f', NAME, '1', BigInt(this.chain.chainId), this.address,
			`0x${'00'.repeat(32)}`, []];
	}

	$approve(call, spender, value) {
		this.approve(call, call.sender, spender, value);
		return true;
	}

	$transfer(call, to, amount) { return this.transfer(call, to, amount); }

	$transferFrom(call, from, to, amount) {
		return this.transferFrom(call, from, to, amount);
	}

	$permit(call, ...args) { this.permit(call, ...args); }
}
