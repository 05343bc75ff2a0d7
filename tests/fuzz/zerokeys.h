/*
 * zerokeys.h - the keys of a drive whose words are all zeros
 *
 * For targets that seal their input first, as a hostile or broken holder of the
 * words would: random bytes stop at the AEAD.  Made once a process, never freed.
 */
#ifndef FUZZ_ZEROKEYS_H
#define FUZZ_ZEROKEYS_H

#include <assert.h>

#include "crypto/keys.h"
#include "crypto/secret.h"

static inline const struct keys *zero_keys(void)
{
	static const uint8_t zeros[SECRET_SIZE];
	static struct keys *keys;
	_cleanup_secret_ struct secret *entropy = NULL;
	int r;

	if (keys)
		return keys;
	r = secret_init_library();
	assert(r == 0);
	r = secret_new(zeros, &entropy);
	assert(r == 0);
	r = keys_from_entropy(entropy, &keys);
	assert(r == 0);
	return keys;
}

#endif
