/* fuzz_units.c - sizes and times: what is read is written so that it reads back */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	char out[UNITS_TEXT_MAX];
	uint64_t v = 0, back = 0;
	int r;

	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	r = units_parse_size(text, &v);
	assert(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r == 0) {
		assert(v <= INT64_MAX);
		units_write_size(v, out);
		r = units_parse_size(out, &back);
		assert(r == 0 && back == v);
		units_say_size(v, out);
	}
	r = units_parse_time(text, &v);
	assert(r == 0 || r == -EINVAL || r == -ERANGE);
	if (r == 0) {
		assert(v <= INT64_MAX);
		units_write_time(v, out);
		r = units_parse_time(out, &back);
		assert(r == 0 && back == v);
		units_say_time(v, out);
		units_say_date((int64_t)v, out);
	}
	r = units_number(text, &v);
	assert(r == 0 || r == -EINVAL || r == -ERANGE);
	return 0;
}
