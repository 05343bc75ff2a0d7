/* fuzz_lock.c - a drive's lock file: half written, older than we are, or anything */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/lock_text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lock_text h, again;
	char *made, *text;
	int n;

	if (size >= LOCK_TEXT_MAX)
		return 0;
	text = malloc(size + 1);
	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	h = lock_text_read(text, size);
	free(text);
	assert(h.pid == -1 || (h.pid > 0 && h.pid <= INT_MAX));
	assert(memchr(h.device, 0, sizeof(h.device)));
	assert(memchr(h.mountpoint, 0, sizeof(h.mountpoint)));
	assert(h.device[0] || !h.mountpoint[0]);
	if (h.pid < 0)
		return 0;
	made = malloc(LOCK_TEXT_MAX);
	assert(made);
	n = lock_text_make(&h, made);
	assert(n > 0 && n < LOCK_TEXT_MAX);
	again = lock_text_read(made, (size_t)n);
	free(made);
	assert(again.pid == h.pid && strcmp(again.device, h.device) == 0);
	assert(strcmp(again.mountpoint, h.mountpoint) == 0);
	return 0;
}
