/*
 * fuzz_record.c - sealed records: as they come, and of any authentic form
 *
 * First the input is the record, then it is the sealed text behind the mark.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/aead.h"
#include "crypto/record.h"
#include "tests/fuzz/zerokeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record_kind kind = { "fuzz", 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct keys *k = zero_keys();
	const struct secret *key = keys_secret(k, KEYS_TRAILER);
	uint8_t ad[RECORD_AD_SIZE] = "fuzz";
	struct slice in = slice(data, size);
	_cleanup_buf_ struct buf sealed, body;
	uint8_t *p;
	uint32_t n;
	int r;

	if (size > 65536)
		return 0;
	buf_init(&sealed, AEAD_MARK_SIZE + size);
	buf_init(&body, size + 16);
	r = buf_u8(&body, 7);
	assert(r == 0);
	r = record_open(key, &kind, keys_drive_id(k), in, &body);
	assert(r == -EBADMSG && body.n == 1);

	put_le32(ad + 8, 1);
	memcpy(ad + 12, keys_drive_id(k), RECORD_DRIVE_ID);
	r = buf_grow(&sealed, AEAD_MARK_SIZE + size, &p);
	assert(r == 0);
	aead_seal(key, slice(ad, sizeof(ad)), in, p + AEAD_MARK_SIZE, p);
	r = record_open(key, &kind, keys_drive_id(k), buf_slice(&sealed), &body);
	if (r < 0) {
		assert((r == -EPROTO || (r == -EBADMSG && size < 4)) && body.n == 1);
		return 0;
	}
	n = get_le32(data);
	assert(n <= size - 4 && body.n == 1 + (size_t)n);
	assert(slice_eq(slice(body.p + 1, n), slice(data + 4, n)));
	return 0;
}
