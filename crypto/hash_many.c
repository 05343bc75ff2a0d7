#include "crypto/hash_many.h"

#include "crypto/blake_lanes.h"
#include "crypto/secret.h"
#include "crypto/sha_lanes.h"

_Static_assert(HASH_SIZE == BLAKE_LANES_DIGEST, "both give a digest");
_Static_assert(HASH_SIZE == SHA_LANES_DIGEST, "likewise");
_Static_assert(SECRET_SIZE == BLAKE_LANES_KEY, "a secret is a key");

void sha256_many(const struct slice *v, size_t n, uint8_t (*ret)[HASH_SIZE])
{
	sha_lanes_fn lanes = n > 1 ? sha_lanes_shani() : NULL;

	if (lanes) {
		lanes(v, n, ret);
		return;
	}
	for (size_t i = 0; i < n; i++)
		sha256_once(v[i], ret[i]);
}

int hash_keyed_many(const struct secret *key, const struct slice *v, size_t n,
		    uint8_t (*ret)[HASH_SIZE])
{
	blake_lanes_fn lanes = n > 1 ? blake_lanes_avx2() : NULL;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (!v[i].n)
			lanes = NULL; /* the key is the last block: rare */
	if (lanes) {
		lanes(secret_bytes(key), v, n, ret);
		return 0;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = hash_keyed(key, &v[i], 1, ret[i]);
	return r;
}
