/* fuzz_url.c - store URLs: the canonical form is its own canonical form */
#include <assert.h>

#include "provider/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url, *canonical = NULL, *again = NULL;
	struct err e = { 0 };
	int r;

	if (size > 16384)
		return 0;
	url = malloc(size + 1);
	assert(url);
	if (size)
		memcpy(url, data, size);
	url[size] = '\0';
	if (provider_url_check(url, &canonical, &e) == 0) {
		assert(strlen(canonical) <= PROVIDER_URL_MAX);
		r = provider_url_check(canonical, &again, &e);
		assert(r == 0 && strcmp(canonical, again) == 0);
	} else {
		assert(e.text[0]);
	}
	free(again);
	free(canonical);
	free(url);
	return 0;
}
