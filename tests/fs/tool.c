/* tool.c */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/words.h"

void must(int r, const char *what, const struct err *e)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name,
		      what, e && e->text[0] ? e->text : err_str(r));
	exit(1);
}

struct keys *keys_of(const char *path)
{
	uint8_t text[WORDS_INPUT_MAX];
	FILE *f = fopen(path, "re");
	struct err e = { "" };
	struct secret *entropy;
	struct keys *k;
	size_t n;

	must(f ? 0 : -errno, path, NULL);
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f); /* read only */
	must(words_parse(slice(text, n), &entropy, &e), path, &e);
	must(keys_from_entropy(entropy, &k), "keys", NULL);
	secret_free(entropy);
	return k;
}
