/*
 * wire.mjs - numbers, varints and messages of canonical fields
 *
 * Everything here follows docs/format.md: its conventions, and "canonical
 * fields" of section 3.  Numbers that may pass 2^53 are BigInt.
 */

/** What the page calls "refused": the bytes are not of the format. */
export class FormatError extends Error {}

export function check(condition, text) {
	if (!condition)
		throw new FormatError(text);
}

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const equal = (a, b) => Buffer.compare(a, b) === 0;
export const isZero = (bytes) => bytes.every((b) => b === 0);

export function le64(n) {
	const b = Buffer.alloc(8);
	b.writeBigUInt64LE(BigInt(n));
	return b;
}

/** A reader of consecutive fields; short input is a FormatError. */
export class Cursor {
	constructor(bytes) {
		this.b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
		this.at = 0;
	}

	get left() {
		return this.b.length - this.at;
	}

	take(n) {
		check(n <= this.left, `wants ${n} bytes, ${this.left} are left`);
		this.at += n;
		return this.b.subarray(this.at - n, this.at);
	}

	u8() {
		return this.take(1)[0];
	}

	u32() {
		return this.take(4).readUInt32LE();
	}

	u64() {
		return this.take(8).readBigUInt64LE();
	}

	i64() {
		return this.take(8).readBigInt64LE();
	}

	/** Unsigned LEB128 in its shortest form, below 2^64. */
	varint() {
		let n = 0n;
		for (let shift = 0n; ; shift += 7n) {
			const byte = this.u8();
			n |= BigInt(byte & 0x7f) << shift;
			if (byte & 0x80) {
				check(shift < 63n, 'varint over 10 bytes');
				continue;
			}
			check(shift === 0n || byte !== 0, 'varint not shortest');
			check(n < 1n << 64n, 'varint over 64 bits');
			return n;
		}
	}

	/** A varint that has to be a length or count. */
	size() {
		const n = this.varint();
		check(n <= BigInt(Number.MAX_SAFE_INTEGER), `length ${n}`);
		return Number(n);
	}

	zero(n, what) {
		check(isZero(this.take(n)), `${what}: reserved bytes are not zero`);
	}

	done(what) {
		check(this.left === 0, `${what}: ${this.left} bytes too many`);
	}
}

const unzigzag = (n) => (n >> 1n) ^ -(n & 1n);

/*
 * Decode a message of canonical fields.  `spec` maps a field number to
 * [name, type]: u varint, s zigzag varint, b bytes, b* repeated bytes.  What is
 * left out comes back as 0n, null or [].
 */
export function fields(bytes, spec, what) {
	const out = {};
	for (const [name, type] of Object.values(spec))
		out[name] = { u: 0n, s: 0n, b: null, 'b*': [] }[type];
	const c = new Cursor(bytes);
	let last = 0n;
	while (c.left) {
		const tag = c.varint();
		const number = tag >> 3n;
		const wire = Number(tag & 7n);
		const [name, type] = spec[number] ?? [];
		check(number > 0n && (wire === 0 || wire === 2),
			`${what}: tag ${tag}`);
		const value = wire === 0 ? c.varint() : c.take(c.size());
		check(number > last || (number === last &&
			(type === 'b*' || (!type && number >= 64n))),
		`${what}: field ${number} after ${last}`);
		last = number;
		if (!name)
			continue;
		check(wire === 0 ? value !== 0n : value.length > 0,
			`${what}: field ${number} is 0 or empty`);
		check((wire === 2) === type.startsWith('b'),
			`${what}: wire type of field ${number}`);
		if (type === 'b*')
			out[name].push(value);
		else
			out[name] = type === 's' ? unzigzag(value) : value;
	}
	return out;
}

/** Fields of ordinary protobuf, in wire order: [number, wire, value]. */
export function* protobuf(bytes, what) {
	const c = new Cursor(bytes);
	while (c.left) {
		const tag = c.varint();
		const wire = Number(tag & 7n);
		if (wire === 0)
			yield [Number(tag >> 3n), wire, c.varint()];
		else if (wire === 2)
			yield [Number(tag >> 3n), wire, c.take(c.size())];
		else
			throw new FormatError(`${what}: wire type ${wire}`);
	}
}

/** Padmé(n) of section 2. */
export function padme(n) {
	if (n < 2)
		return n;
	const e = 31 - Math.clz32(n);
	const s = e ? 32 - Math.clz32(e) : 0;
	if (e <= s)
		return n;
	const unit = 2 ** (e - s);
	return Math.ceil(n / unit) * unit;
}

export const ladder = (n) => Math.max(256, padme(n));

export function powerOfTwo(n) {
	let p = 256;
	while (p < n)
		p *= 2;
	return p;
}

/** Bytes as Python's os.fsdecode shows them: what is not UTF-8 as U+DCxx. */
export function fsdecode(bytes) {
	const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
	const whole = (b) => {
		try {
			return utf8.decode(b);
		} catch {
			return null;
		}
	};
	let text = whole(bytes);
	if (text !== null)
		return text;
	text = '';
	for (let i = 0; i < bytes.length;) {
		let n = 4;
		let one = null;
		for (; n > 0; n--) {
			one = i + n <= bytes.length ? whole(bytes.subarray(i, i + n)) : null;
			if (one !== null && [...one].length === 1)
				break;
		}
		text += n ? one : String.fromCharCode(0xdc00 + bytes[i]);
		i += n || 1;
	}
	return text;
}
