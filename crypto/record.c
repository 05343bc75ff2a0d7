#include "crypto/record.h"

#include <errno.h>
#include <sodium.h>

#include "base/buf.h"
#include "crypto/aead.h"
#include "crypto/seal.h"

#define LENGTH_SIZE 4

_Static_assert(RECORD_OVERHEAD == AEAD_MARK_SIZE + LENGTH_SIZE, "mark and length");
_Static_assert(RECORD_BODY_MIN == SEAL_BODY_MIN, "one ladder for all");

size_t record_size(size_t n)
{
	return RECORD_OVERHEAD + seal_padded_size(SEAL_STORED, n);
}

static void write_ad(const struct record_kind *kind,
		     const uint8_t drive_id[static RECORD_DRIVE_ID],
		     uint8_t ret[static RECORD_AD_SIZE])
{
	memcpy(ret, kind->magic, 8);
	put_le32(ret + 8, kind->version);
	memcpy(ret + 12, drive_id, RECORD_DRIVE_ID);
}

int record_seal(const struct secret *key, const struct record_kind *kind,
		const uint8_t drive_id[static RECORD_DRIVE_ID],
		struct slice body, struct buf *ret)
{
	size_t size = record_size(body.n);
	uint8_t ad[RECORD_AD_SIZE];
	uint8_t *mark, *text;
	int r;

	if (body.n > RECORD_BODY_MAX)
		return -EMSGSIZE;
	r = buf_grow(ret, size, &mark);
	if (r < 0)
		return r;
	text = mark + AEAD_MARK_SIZE;
	put_le32(text, (uint32_t)body.n);
	if (body.n)
		memcpy(text + LENGTH_SIZE, body.p, body.n);
	memset(text + LENGTH_SIZE + body.n, 0, size - RECORD_OVERHEAD - body.n);
	write_ad(kind, drive_id, ad);
	aead_seal(key, slice(ad, sizeof(ad)),
		  slice(text, size - AEAD_MARK_SIZE), text, mark);
	return 0;
}

int record_open(const struct secret *key, const struct record_kind *kind,
		const uint8_t drive_id[static RECORD_DRIVE_ID],
		struct slice sealed, struct buf *ret)
{
	uint8_t ad[RECORD_AD_SIZE];
	size_t start = ret->n, n, rest;
	uint8_t *text;
	int r;

	if (sealed.n < RECORD_OVERHEAD)
		return -EBADMSG;
	if (sealed.n > record_size(RECORD_BODY_MAX))
		return -EMSGSIZE;
	r = buf_grow(ret, sealed.n - AEAD_MARK_SIZE, &text);
	if (r < 0)
		return r;
	write_ad(kind, drive_id, ad);
	r = aead_open(key, slice(ad, sizeof(ad)),
		      slice(sealed.p + AEAD_MARK_SIZE, sealed.n - AEAD_MARK_SIZE),
		      sealed.p, text);
	if (r < 0) {
		ret->n = start;
		return r;
	}

	rest = sealed.n - RECORD_OVERHEAD;
	n = get_le32(text);
	if (n > rest || !sodium_is_zero(text + LENGTH_SIZE + n, rest - n)) {
		sodium_memzero(text, sealed.n - AEAD_MARK_SIZE);
		ret->n = start;
		return -EPROTO;
	}
	memmove(text, text + LENGTH_SIZE, n);
	ret->n = start + n;
	return 0;
}
