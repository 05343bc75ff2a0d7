/*
 * address.h - who: addresses of the EVM, and their Filecoin spellings
 *
 *   0x1a64…14F1   20 bytes in hex; upper and lower case are a checksum (EIP-55)
 *   f410f…        the same 20 bytes as a Filecoin address (FIP-0048):
 *                 base32 of them and a 4-byte BLAKE2b of 04 0a || them
 *   0xff00…0400   "masked": the Filecoin actor with number 1024, f01024
 *   f1…           a secp256k1 key's native account: base32 of the 20-byte
 *                 BLAKE2b of the public key, and a 4-byte one of 01 || it
 *
 * Test networks write t for f.  f1 accounts cannot be named to a contract;
 * here they are only told from typing errors.
 *
 * Threading: values.
 */
#ifndef CHAIN_ADDRESS_H
#define CHAIN_ADDRESS_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct err;
struct secret;

#define ADDRESS_SIZE     20 /* bytes */
#define ADDRESS_TEXT_MAX 43 /* "0x", 40 digits, NUL */
#define ADDRESS_FIL_MAX  48 /* "f410f", 39 characters, NUL; f0… and f1… too */

struct address {
	uint8_t b[ADDRESS_SIZE];
};

#define ADDRESS_NONE ((struct address){ { 0 } })

static inline bool address_eq(struct address a, struct address b)
{
	return memcmp(a.b, b.b, ADDRESS_SIZE) == 0;
}

static inline bool address_is_none(struct address a)
{
	return address_eq(a, ADDRESS_NONE);
}

/* Of an uncompressed public key: 0x04 and 64 bytes (crypto/secp.h). */
struct address address_of_public(const uint8_t key[static 65]);

/* Of a secret key.  -EINVAL: it is no secret key of secp256k1.  -ENOMEM. */
must_check int address_of_key(const struct secret *key, struct address *ret);

/* With the checksum in its case. */
void address_text(struct address a, char ret[static ADDRESS_TEXT_MAX]);

/*
 * Filecoin's spelling: f410f…, or f0… for a masked actor; `testnet` writes t.
 */
void address_fil(struct address a, bool testnet, char ret[static ADDRESS_FIL_MAX]);

/* A number's masked address. */
struct address address_of_id(uint64_t id);

/*
 * 0x…, f410f…, t410f…, f0… or t0… into the EVM's form.  In hex, one case is
 * taken without a checksum, and mixed case has to fit.
 *
 * -EINVAL  no address, or with a typing error (its checksum is wrong): the
 *          reason is in `reterr`
 * -ENOTSUP an f1, f2 or f3 address, well formed: contracts cannot know it
 */
must_check int address_parse(struct slice text, struct address *ret,
			     struct err *reterr);

/* A key's native account, f1… or t1…. */
void address_f1_of_public(const uint8_t key[static 65], bool testnet,
			  char ret[static ADDRESS_FIL_MAX]);

#endif
