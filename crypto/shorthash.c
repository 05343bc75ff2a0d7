#include "crypto/shorthash.h"

#include <sodium.h>

_Static_assert(crypto_shorthash_siphashx24_BYTES == SHORTHASH_SIZE, "its size");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES ==
		       sizeof(((struct shorthash_key *)NULL)->bytes),
	       "its key");

void shorthash_key_random(struct shorthash_key *ret)
{
	randombytes_buf(ret->bytes, sizeof(ret->bytes));
}

void shorthash(const struct shorthash_key *key, struct slice s,
	       uint8_t ret[static SHORTHASH_SIZE])
{
	/* it has no error to return */
	(void)crypto_shorthash_siphashx24(ret, s.p, s.n, key->bytes);
}
