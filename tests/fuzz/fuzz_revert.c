/* fuzz_revert.c - revert data, bare and in text: always one printable line */
#include <assert.h>

#include "chain/revert.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct revert *v)
{
	assert(v->text[0]);
	for (const char *p = v->text; *p; p++)
		assert(*p >= ' ' && *p <= '~');
	for (const char *p = v->name; *p; p++)
		assert(*p >= '0' && *p <= 'z');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct revert v;

	revert_read(slice(data, size), &v);
	check(&v);
	if (revert_read_text(slice(data, size), &v))
		check(&v);
	return 0;
}
