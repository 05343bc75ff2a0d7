/* fuzz_config.c - any bytes as a config file; what is accepted reads back */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "daemon/config.h"
#include "daemon/mountopt.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config c, back;
	static struct mountopt m;
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_buf_ struct buf opts = { 0 };
	struct err e = { "" };
	int r;

	if (config_parse(slice(data, size), &c, &e) == 0) {
		buf_init(&text, CONFIG_FILE_MAX);
		r = config_write(&c, &text);
		assert(r == 0);
		r = config_parse(buf_slice(&text), &back, NULL);
		assert(r == 0 && memcmp(&c, &back, sizeof(c)) == 0);
	}
	buf_init(&opts, 65536);
	if (buf_append(&opts, slice(data, size)) < 0 || buf_u8(&opts, 0) < 0)
		return 0;
	memset(&m, 0, sizeof(m));
	r = mountopt_parse((const char *)opts.p, &m, &e);
	assert(r == 0 || e.text[0]);
	return 0;
}
