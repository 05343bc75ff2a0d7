/* fuzz_network.c - filecoin:// URLs: the canonical form is its own canonical form */
#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "chain/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_network_url_ struct network_url u = { .n_rpc = 0 };
	_cleanup_network_url_ struct network_url v = { .n_rpc = 0 };
	_cleanup_free_ char *url = NULL, *one = NULL, *two = NULL;
	const char *rpc[RPC_URLS_MAX];
	struct err e = { 0 };
	int r;

	if (size > 16384)
		return 0;
	url = malloc(size + 1);
	assert(url);
	if (size)
		memcpy(url, data, size);
	url[size] = '\0';
	if (network_url_parse(url, &u, &e) < 0) {
		assert(e.text[0]);
		return 0;
	}
	assert(u.copies >= 1 && u.copies <= NETWORK_COPIES_MAX);
	assert(network_url_rpc(&u, rpc) >= 1);
	r = network_url_canonical(&u, &one);
	assert(r == 0 || r == -EMSGSIZE);
	if (r < 0)
		return 0;
	r = network_url_parse(one, &v, &e);
	assert(r == 0);
	r = network_url_canonical(&v, &two);
	assert(r == 0 && strcmp(one, two) == 0);
	return 0;
}
