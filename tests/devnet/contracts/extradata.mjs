/*
 * extradata.mjs - the payloads a payer signs, and who has signed them
 *
 * Section 4 of the reference.
 */
import { decodeAbiParameters, hashTypedData, keccak256, parseAbiParameters,
	stringToHex } from 'viem/utils';

import { Revert } from '../lib/contract.mjs';
import { recover, splitSignature } from '../lib/keys.mjs';

const field = (text) => {
	const [type, name] = text.split(' ');
	return { type, name };
};

export const TYPES = Object.fromEntries(Object.entries({
	MetadataEntry: ['string key', 'string value'],
	CreateDataSet: ['uint256 clientDataSetId', 'address payee',
		'MetadataEntry[] metadata'],
	Cid: ['bytes data'],
	PieceMetadata: ['uint256 pieceIndex', 'MetadataEntry[] metadata'],
	AddPieces: ['uint256 clientDataSetId', 'uint256 nonce', 'Cid[] pieceData',
		'PieceMetadata[] pieceMetadata'],
	SchedulePieceRemovals: ['uint256 clientDataSetId', 'uint256[] pieceIds'],
	TerminateService: ['uint256 dataSetId'],
}).map(([name, fields]) => [name, fields.map(field)]));

const encodeType = (name) => `${name}(${TYPES[name]
	.map((f) => `${f.type} ${f.name}`).join(',')})`;

const typeHash = (name, ...used) => keccak256(stringToHex(
	[name, ...used].map(encodeType).join('')));

export const TYPE_HASHES = {
	CreateDataSet: typeHash('CreateDataSet', 'MetadataEntry'),
	AddPieces: typeHash('AddPieces', 'Cid', 'MetadataEntry', 'PieceMetadata'),
	SchedulePieceRemovals: typeHash('SchedulePieceRemovals'),
	TerminateService: typeHash('TerminateService'),
};

export const entries = (keys, values) =>
	keys.map((key, i) => ({ key, value: values[i] ?? '' }));

export const digestOf = (domain, primaryType, message) =>
	hashTypedData({ domain, types: TYPES, primaryType, message });

const CREATE = parseAbiParameters('address payer, uint256 clientDataSetId, ' +
	'string[] keys, string[] values, bytes signature');
const ADD = parseAbiParameters('uint256 nonce, string[][] keys, ' +
	'string[][] values, bytes signature');
const BOTH = parseAbiParameters('bytes create, bytes add');
const SIGNATURE = parseAbiParameters('bytes signature');

/* abi.decode reverts without a reason. */
const decode = (parameters, data) => {
	try {
		return decodeAbiParameters(parameters, data);
	} catch {
		throw new Revert('0x', 'malformed extraData');
	}
};

export function decodeCreate(data) {
	const [payer, clientDataSetId, keys, values, signature] = decode(CREATE, data);
	return { payer, clientDataSetId, keys: [...keys], values: [...values],
		signature };
}

export function decodeAdd(data) {
	const [nonce, keys, values, signature] = decode(ADD, data);
	return { nonce, keys, values, signature };
}

export const decodeBoth = (data) => decode(BOTH, data);
export const decodeSignature = (data) => decode(SIGNATURE, data)[0];

/** Who signed the digest; reverts in the name of `contract`. */
export function signerOf(contract, digest, signature) {
	const length = BigInt((signature.length - 2) / 2);
	contract.check(length === 65n, 'InvalidSignatureLength', 65n, length);
	const { r, s, v } = splitSignature(signature);
	const full = v < 27 ? v + 27 : v;
	contract.check(full === 27 || full === 28, 'UnsupportedSignatureV', v);
	return recover(digest, r, s, full);
}
