/*
 * keys.mjs - signatures, accounts and the two spellings of an address
 */
import { blake2b } from '@noble/hashes/blake2b';
import { secp256k1 } from '@noble/curves/secp256k1';
import { bytesToHex, getAddress, hexToBytes, keccak256 } from 'viem/utils';
import { publicKeyToAddress } from 'viem/accounts';

import { ZERO } from './contract.mjs';
import { base32 } from './cid.mjs';

/** ecrecover: who signed the hash, the zero address if nobody can have. */
export function recover(hash, r, s, v) {
	try {
		const signature = new secp256k1.Signature(BigInt(r), BigInt(s))
			.addRecoveryBit(Number(v) - 27);
		const point = signature.recoverPublicKey(hash.slice(2));
		return publicKeyToAddress(`0x${point.toHex(false)}`);
	} catch {
		return ZERO;
	}
}

/** A 65 byte signature as { r, s, v }; v as it is written. */
export function splitSignature(signature) {
	return { r: signature.slice(0, 66), s: `0x${signature.slice(66, 130)}`,
		v: Number(`0x${signature.slice(130)}`) };
}

/** The key of somebody on this network, always the same for a name. */
export function keyOf(name) {
	return keccak256(new TextEncoder().encode(`fildrive devnet: ${name}`));
}

export function addressOf(name) {
	return getAddress(`0x${keyOf(name).slice(-40)}`);
}

/** 0x address to f410f..., or t410f... on test networks. */
export function f410(address, prefix = 'f') {
	const bytes = hexToBytes(address);
	const payload = Uint8Array.from([4, 10, ...bytes]);
	const sum = blake2b(payload, { dkLen: 4 });
	return `${prefix}410f${base32(Uint8Array.from([...bytes, ...sum]))}`;
}

export { bytesToHex, getAddress, hexToBytes, keccak256 };
