/*
 * abi.mjs - the interfaces of the contracts
 *
 * Made by viem out of the signatures in tests/vectors/filecoin/selectors.json
 * (the ABIs of the deployed contracts); what that list holds without names
 * stands here.  contract.test.mjs compares every selector with the list.
 */
import { readFileSync } from 'node:fs';
import { parseAbi } from 'viem/utils';

const file = new URL('../../vectors/filecoin/selectors.json', import.meta.url);
export const selectors = JSON.parse(readFileSync(file));

const functionOf = (f) => {
	const name = f.sig.slice(0, f.sig.indexOf('('));
	const mutability = f.mut === 'nonpayable' ? '' : ` ${f.mut}`;
	const returns = f.ret ? ` returns (${f.ret})` : '';
	return `function ${name}(${f.ins})${mutability}${returns}`;
};

const extra = {
	ERC20: [
		'function DOMAIN_SEPARATOR() view returns (bytes32)',
		'function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)',
		'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
		'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
		'error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)',
		'error ERC2612ExpiredSignature(uint256 deadline)',
		'error ERC2612InvalidSigner(address signer, address owner)',
	],
	Multicall3: [
		'function aggregate3((address target, bool allowFailure, bytes callData)[] calls) payable returns ((bool success, bytes returnData)[] returnData)',
		'function tryAggregate(bool requireSuccess, (address target, bytes callData)[] calls) payable returns ((bool success, bytes returnData)[] returnData)',
	],
};

const signatures = (name) => {
	const c = selectors[name] ?? { functions: [], events: [], errors: [] };
	return [
		...c.functions.map(functionOf),
		...c.events.map((e) => `event ${e.sig}`),
		...c.errors.map((e) => `error ${e.sig}`),
		...extra[name] ?? [],
	];
};

export const abi = Object.fromEntries(
	[...Object.keys(selectors).filter((k) => !Array.isArray(selectors[k])),
		'Multicall3'].map((name) => [name, parseAbi(signatures(name))]));
