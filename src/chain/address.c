#include "chain/address.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "chain/u256.h"
#include "crypto/blake.h"
#include "crypto/keccak.h"
#include "crypto/secp.h"
#include "dag/multibase.h"

#define HEX_DIGITS    (2 * ADDRESS_SIZE)
#define CHECKSUM_SIZE 4
#define ID_AT         12 /* of a masked address: the number's 8 bytes */
#define PAYLOAD_MAX   64 /* bytes that base32 of any address takes */

/* Of Filecoin's address protocols. */
enum {
	PROTOCOL_ID,
	PROTOCOL_SECP,
	PROTOCOL_ACTOR,
	PROTOCOL_BLS,
	PROTOCOL_DELEGATED
};

#define EAM_ACTOR 10 /* the manager whose addresses are those of the EVM */

static const char hex[] = "0123456789abcdef";

struct address address_of_public(const uint8_t key[static 65])
{
	uint8_t digest[KECCAK_SIZE];
	struct address a;

	keccak_once(slice(key + 1, SECP_PUBLIC_SIZE - 1), digest);
	memcpy(a.b, digest + KECCAK_SIZE - ADDRESS_SIZE, ADDRESS_SIZE);
	return a;
}

int address_of_key(const struct secret *key, struct address *ret)
{
	uint8_t public[SECP_PUBLIC_SIZE];
	int r;

	r = secp_public(key, public);
	if (r < 0)
		return r;
	*ret = address_of_public(public);
	return 0;
}

/* EIP-55: a letter is upper case where the digest of all has a high nibble. */
void address_text(struct address a, char ret[static ADDRESS_TEXT_MAX])
{
	uint8_t digest[KECCAK_SIZE];
	char *digits = ret + 2;

	ret[0] = '0';
	ret[1] = 'x';
	for (size_t i = 0; i < HEX_DIGITS; i++)
		digits[i] = hex[a.b[i / 2] >> (i % 2 ? 0 : 4) & 15];
	keccak_once(slice(digits, HEX_DIGITS), digest);
	for (size_t i = 0; i < HEX_DIGITS; i++)
		if (digits[i] >= 'a' && digest[i / 2] >> (i % 2 ? 0 : 4) & 8)
			digits[i] = (char)(digits[i] - 'a' + 'A');
	digits[HEX_DIGITS] = '\0';
}

/* Of the protocol's bytes (`prefix`) and the payload. */
static void checksum(struct slice prefix, struct slice payload,
		     uint8_t ret[static CHECKSUM_SIZE])
{
	uint8_t all[PAYLOAD_MAX + 2];

	assert(prefix.n <= 2 && payload.n <= PAYLOAD_MAX);
	memcpy(all, prefix.p, prefix.n);
	memcpy(all + prefix.n, payload.p, payload.n);
	blake_once(slice(all, prefix.n + payload.n), ret, CHECKSUM_SIZE);
}

/* `start` as "f410f"; the payload and its checksum behind it. */
static void put_fil(const char *start, bool testnet, struct slice prefix,
		    struct slice payload, char ret[static ADDRESS_FIL_MAX])
{
	uint8_t bytes[ADDRESS_SIZE + CHECKSUM_SIZE];
	char digits[1 + 39 + 1]; /* of 24 bytes */
	int r;

	assert(payload.n == ADDRESS_SIZE);
	memcpy(bytes, payload.p, payload.n);
	checksum(prefix, payload, bytes + payload.n);
	r = multibase_encode('b', slice(bytes, sizeof(bytes)), digits,
			     sizeof(digits));
	assert(r == 0);
	(void)snprintf(ret, ADDRESS_FIL_MAX, "%c%s%s", testnet ? 't' : 'f',
		       start, digits + 1); /* fits: 5 + 39 */
}

/* The number of a masked address; false if it is none. */
static bool address_id(struct address a, uint64_t *ret)
{
	uint64_t id = 0;

	for (size_t i = 0; i < 8; i++)
		id = id << 8 | a.b[ID_AT + i];
	if (!address_eq(a, address_of_id(id)))
		return false;
	*ret = id;
	return true;
}

void address_fil(struct address a, bool testnet, char ret[static ADDRESS_FIL_MAX])
{
	static const uint8_t prefix[] = { PROTOCOL_DELEGATED, EAM_ACTOR };
	uint64_t id;

	if (address_id(a, &id)) {
		(void)snprintf(ret, ADDRESS_FIL_MAX, "%c0%llu",
			       testnet ? 't' : 'f', (unsigned long long)id);
		return;
	}
	put_fil("410f", testnet, slice(prefix, sizeof(prefix)),
		slice(a.b, ADDRESS_SIZE), ret);
}

void address_f1_of_public(const uint8_t key[static 65], bool testnet,
			  char ret[static ADDRESS_FIL_MAX])
{
	static const uint8_t prefix[] = { PROTOCOL_SECP };
	uint8_t payload[ADDRESS_SIZE];

	blake_once(slice(key, SECP_PUBLIC_SIZE), payload, sizeof(payload));
	put_fil("1", testnet, slice(prefix, sizeof(prefix)),
		slice(payload, sizeof(payload)), ret);
}

struct address address_of_id(uint64_t id)
{
	struct address a = { { 0xff } };

	for (size_t i = 0; i < 8; i++)
		a.b[ID_AT + i] = (uint8_t)(id >> (56 - 8 * i));
	return a;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_hex(struct slice text, struct address *ret, struct err *reterr)
{
	bool lower = false, upper = false;
	struct address a = ADDRESS_NONE;
	char want[ADDRESS_TEXT_MAX];

	if (text.n != 2 + HEX_DIGITS)
		return err_set(reterr, -EINVAL,
			       "an address has 40 digits after 0x, this has %zu",
			       text.n - 2);
	for (size_t i = 0; i < HEX_DIGITS; i++) {
		uint8_t c = text.p[2 + i];
		int d = digit(c);

		if (d < 0)
			return err_set(reterr, -EINVAL,
				       "character %zu of the address is no hexadecimal digit",
				       i + 3);
		lower |= c >= 'a';
		upper |= c >= 'A' && c <= 'F';
		a.b[i / 2] |= (uint8_t)(d << (i % 2 ? 0 : 4));
	}
	address_text(a, want);
	if (lower && upper &&
	    !slice_eq(slice(text.p + 2, HEX_DIGITS), slice(want + 2, HEX_DIGITS)))
		return err_set(reterr, -EINVAL,
			       "the address has a typing error: upper and lower case do not fit its digits");
	*ret = a;
	return 0;
}

/* The bytes of base32 digits without their checksum, which fits `prefix`. */
static int open_fil(struct slice digits, struct slice prefix,
		    uint8_t ret[static PAYLOAD_MAX], size_t *ret_n,
		    struct err *reterr)
{
	uint8_t text[2 * PAYLOAD_MAX] = { 'b' }, sum[CHECKSUM_SIZE];
	size_t n = 0;
	int r = -EPROTO;

	if (digits.n < sizeof(text)) {
		memcpy(text + 1, digits.p, digits.n);
		r = multibase_decode(slice(text, digits.n + 1), ret,
				     PAYLOAD_MAX, &n);
	}
	if (r < 0 || n < CHECKSUM_SIZE)
		return err_set(reterr, -EINVAL,
			       "this is no Filecoin address: wrong characters or length");
	n -= CHECKSUM_SIZE;
	checksum(prefix, slice(ret, n), sum);
	if (!slice_eq(slice(sum, sizeof(sum)), slice(ret + n, sizeof(sum))))
		return err_set(reterr, -EINVAL,
			       "the address has a typing error: its checksum does not fit");
	*ret_n = n;
	return 0;
}

static int parse_f0(struct slice digits, struct address *ret, struct err *reterr)
{
	struct u256 id;

	if (u256_from_text(digits, &id) < 0 || !u256_fits_u64(id) ||
	    (digits.n > 1 && digits.p[0] == '0'))
		return err_set(reterr, -EINVAL,
			       "f0 is followed by an actor's number");
	*ret = address_of_id(id.w[0]);
	return 0;
}

static int parse_f4(struct slice text, struct address *ret, struct err *reterr)
{
	static const uint8_t prefix[] = { PROTOCOL_DELEGATED, EAM_ACTOR };
	uint8_t payload[PAYLOAD_MAX];
	size_t n = 0;
	int r;

	if (text.n < 3 || memcmp(text.p, "10f", 3) != 0)
		return err_set(reterr, -EINVAL,
			       "of the f4 addresses only f410f… are Ethereum's");
	r = open_fil(slice(text.p + 3, text.n - 3),
		     slice(prefix, sizeof(prefix)), payload, &n, reterr);
	if (r < 0)
		return r;
	if (n != ADDRESS_SIZE)
		return err_set(reterr, -EINVAL,
			       "an f410f address holds 20 bytes, this holds %zu",
			       n);
	memcpy(ret->b, payload, ADDRESS_SIZE);
	return 0;
}

/* f1, f2, f3: say whether it is one, and that it does not serve. */
static int refuse_native(uint8_t protocol, struct slice digits, struct err *reterr)
{
	uint8_t payload[PAYLOAD_MAX];
	size_t n = 0;
	int r;

	r = open_fil(digits, slice(&protocol, 1), payload, &n, reterr);
	if (r < 0)
		return r;
	return err_set(reterr, -ENOTSUP,
		       "contracts cannot pay or know an f%u address: give a 0x… or f410f… one",
		       (unsigned)protocol);
}

int address_parse(struct slice text, struct address *ret, struct err *reterr)
{
	struct slice rest;

	if (text.n >= 2 && text.p[0] == '0' && text.p[1] == 'x')
		return parse_hex(text, ret, reterr);
	if (text.n < 2 || (text.p[0] != 'f' && text.p[0] != 't'))
		return err_set(reterr, -EINVAL,
			       "an address begins with 0x, f410f or t410f");
	rest = slice(text.p + 2, text.n - 2);
	switch (text.p[1]) {
	case '0': return parse_f0(rest, ret, reterr);
	case '1':
	case '2':
	case '3':
		return refuse_native((uint8_t)(text.p[1] - '0'), rest, reterr);
	case '4': return parse_f4(rest, ret, reterr);
	default:
		return err_set(
			reterr, -EINVAL, "there are no Filecoin addresses f%c",
			text.p[1] >= '5' && text.p[1] <= '9' ? text.p[1] : '?');
	}
}
