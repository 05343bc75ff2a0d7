/* fuzz_http.c - the head of an HTTP answer, line by line as curl gives it */
#include <assert.h>
#include <errno.h>

#include "net/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice left = slice(data, size), line;
	struct http_head h = { 0 };
	const uint8_t *end;
	int r = 0;

	while (left.n && r == 0) {
		end = memchr(left.p, '\n', left.n);
		line = slice(left.p, end ? (size_t)(end - left.p) + 1 : left.n);
		left = slice(left.p + line.n, left.n - line.n);
		r = http_head_line(&h, line, 1700000000);
		assert(r == 0 || r == -EPROTO || r == -EMSGSIZE);
		assert(h.status <= 999);
		assert(!h.has_range || h.first <= h.last);
		assert(!h.has_range || !h.has_total || h.last < h.total);
		assert(h.retry_after_s <= HTTP_RETRY_MAX_S);
		assert(memchr(h.location, '\0', sizeof(h.location)));
	}
	return 0;
}
