/* fuzz_control.c - any bytes as a client of the control socket sends them */
#include <assert.h>

#include "base/err.h"
#include "daemon/control.h"
#include "daemon/lines.h"
#include "tests/fuzz/fuzz.h"

#define STEP 7 /* bytes that arrive at a time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lines in;
	struct slice line;

	lines_init(&in, CONTROL_REQUEST_MAX);
	for (size_t i = 0; i < size; i += STEP) {
		if (lines_feed(&in, slice(data + i, MIN(STEP, size - i))) < 0)
			break;
		while (lines_next(&in, &line)) {
			struct err e = { "" };
			json_t *o = NULL;
			int r = control_parse(line, &o, &e);

			assert(r == 0 ? json_is_object(o) : e.text[0] != '\0');
			json_decref(o);
		}
	}
	lines_fini(&in);
	return 0;
}
