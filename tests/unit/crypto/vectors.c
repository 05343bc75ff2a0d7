#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "crypto/secret.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	assert_true(c >= 'a' && c <= 'f');
	return c - 'a' + 10;
}

size_t unhex(const char *hex, uint8_t *dst, size_t max)
{
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		assert_true(n < max);
		dst[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
	}
	return n;
}

uint8_t *mod251(size_t n)
{
	uint8_t *p = malloc(n + 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i % 251);
	return p;
}

FILE *vector_open(const char *name)
{
	const char *dir = getenv("FILDRIVE_VECTORS");
	char path[4096];
	FILE *f;

	assert_non_null(dir);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	assert_non_null(f);
	return f;
}

struct secret *secret_of(uint8_t b)
{
	struct secret *s = NULL;
	uint8_t bytes[SECRET_SIZE];

	memset(bytes, b, sizeof(bytes));
	assert_int_equal(secret_new(bytes, &s), 0);
	return s;
}
