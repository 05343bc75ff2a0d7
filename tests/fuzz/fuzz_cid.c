/* fuzz_cid.c - CIDs in binary and text: what is accepted is canonical */
#include <assert.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "dag/cid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size);
	uint8_t bytes[CID_BYTES_MAX];
	char text[CID_TEXT_MAX];
	struct cid c, back;
	size_t n;

	if (cid_parse(in, &c) == 0) {
		n = cid_bytes(&c, bytes);
		assert(slice_eq(slice(bytes, n), in));
		cid_text(&c, text);
		assert(cid_from_text(slice_str(text), &back) == 0);
		assert(cid_eq(&c, &back));
		for (const char *b = c.version ? "bfkzu" : ""; *b; b++) {
			cid_text_base(&c, *b, text);
			assert(cid_from_text(slice_str(text), &back) == 0);
			assert(cid_eq(&c, &back));
		}
	}
	if (cid_from_text(in, &c) == 0) {
		n = cid_bytes(&c, bytes);
		assert(cid_parse(slice(bytes, n), &back) == 0);
		assert(cid_eq(&c, &back));
		/* the text is the only one of its bytes in its base */
		if (c.version == 0)
			cid_text(&c, text);
		else if (strchr("bfkzu", data[0]))
			cid_text_base(&c, (char)data[0], text);
		else
			return 0; /* upper case */
		assert(slice_eq(slice_str(text), in));
	}
	return 0;
}
