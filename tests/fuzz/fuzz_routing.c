/* fuzz_routing.c - answers of routers: every URL that comes out is https and plain */
#include <assert.h>
#include <string.h>

#include "provider/routing.h"
#include "tests/fuzz/fuzz.h"

static int on_found(void *ctx, const char *url)
{
	(void)ctx;
	assert(strncmp(url, "https://", 8) == 0 && url[8] && url[8] != '/');
	assert(strlen(url) < ROUTING_URL_MAX && !strstr(url, ".."));
	for (const char *s = url; *s; s++)
		assert(*s > ' ' && *s <= '~' && !strchr("?#@\\\"<>%", *s));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int r = routing_parse(slice(data, size), false, on_found, NULL);

	assert(r <= 0);
	return 0;
}
