#include "crypto/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "crypto/keys.h"
#include "crypto/secp.h"
#include "crypto/secret.h"

int session_key(const struct keys *k, uint64_t n, struct secret **ret)
{
	static const char *const again[] = { "", " again" };

	for (size_t i = 0; i < ARRAY_LEN(again); i++) {
		_cleanup_secret_ struct secret *s = NULL;
		char label[48];
		int r;

		(void)snprintf(label, sizeof(label), "session %" PRIu64 "%s", n,
			       again[i]); /* fits */
		r = secret_derive(keys_drive_secret(k), label, &s);
		if (r < 0)
			return r;
		if (!secp_is_key(s))
			continue;
		*ret = steal(&s);
		return 0;
	}
	return -EIO; /* 1 of 2^254 */
}
