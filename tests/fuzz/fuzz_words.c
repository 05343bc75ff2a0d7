/*
 * fuzz_words.c - what is typed or pasted as recovery words
 *
 * What is accepted, written and read again must be the same entropy.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "crypto/secret.h"
#include "crypto/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_secret_ struct secret *s = NULL, *again = NULL;
	char text[WORDS_TEXT_MAX];
	struct err e = { "" };
	int r;

	if (secret_init_library() < 0)
		return 0;
	r = words_parse(slice(p, n), &s, &e);
	assert(r == 0 || r == -ENOMEM || (r == -EINVAL && e.text[0]));
	if (r < 0)
		return 0;
	words_write(s, text);
	r = words_parse(slice_str(text), &again, NULL);
	assert(r == 0 || r == -ENOMEM);
	if (r == 0)
		assert(slice_eq(slice(secret_bytes(s), SECRET_SIZE),
				slice(secret_bytes(again), SECRET_SIZE)));
	return 0;
}
