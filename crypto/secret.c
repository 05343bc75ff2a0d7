#include "crypto/secret.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#include "crypto/hash.h"

struct secret {
	uint8_t bytes[SECRET_SIZE];
};

int secret_init_library(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

static struct secret *secret_alloc(void)
{
	return sodium_malloc(sizeof(struct secret));
}

int secret_new(const uint8_t bytes[static SECRET_SIZE], struct secret **ret)
{
	struct secret *s = secret_alloc();

	if (!s)
		return -ENOMEM;
	memcpy(s->bytes, bytes, SECRET_SIZE);
	*ret = s;
	return 0;
}

int secret_new_random(struct secret **ret)
{
	struct secret *s = secret_alloc();

	if (!s)
		return -ENOMEM;
	randombytes_buf(s->bytes, SECRET_SIZE);
	*ret = s;
	return 0;
}

int secret_derive(const struct secret *parent, const char *label, struct secret **ret)
{
	struct secret *s = secret_alloc();
	const struct slice parts[] = { slice_str("fildrive "), slice_str(label) };
	int r;

	if (!s)
		return -ENOMEM;
	r = hash_keyed(parent, parts, ARRAY_LEN(parts), s->bytes);
	if (r < 0) {
		secret_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int secret_locked(const struct secret *s)
{
	/* Once more costs nothing if it is, and works if there is room now. */
	return mlock(s, sizeof(*s)) < 0 ? -errno : 0;
}

void secret_free(struct secret *s)
{
	sodium_free(s); /* wipes; NULL is fine */
}

const uint8_t *secret_bytes(const struct secret *s)
{
	return s->bytes;
}
