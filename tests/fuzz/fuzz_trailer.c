/*
 * fuzz_trailer.c - bodies that the drive's own key has sealed, and any tail
 *
 * The AEAD stops random bytes, so the input is sealed first, as a broken or
 * hostile holder of the words would.  What opens can be written again.
 */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/record.h"
#include "crypto/secret.h"
#include "dag/piece_reader.h"
#include "dag/trailer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keys *make_keys(void)
{
	static const uint8_t zeros[SECRET_SIZE];
	_cleanup_secret_ struct secret *entropy = NULL;
	struct keys *k = NULL;
	int r;

	r = secret_init_library();
	assert(r == 0);
	r = secret_new(zeros, &entropy);
	assert(r == 0);
	r = keys_from_entropy(entropy, &k);
	assert(r == 0);
	return k;
}

/* The same at the end of a piece: it opens, or fails, alike. */
static void from_tail(struct slice record, uint64_t raw_size,
		      const struct keys *keys, int want)
{
	uint8_t digest[PIECE_DIGEST_SIZE], head[PIECE_HEAD_MAX];
	_cleanup_buf_ struct buf tail = { 0 };
	struct slice got;
	struct trailer t;
	size_t n;
	int r;

	sha256_once(record, digest);
	n = piece_section_head(digest, record.n, head);
	buf_init(&tail, n + record.n);
	r = buf_append(&tail, slice(head, n));
	if (r == 0)
		r = buf_append(&tail, record);
	assert(r == 0);
	r = piece_tail_parse(buf_slice(&tail), raw_size, keys, &t);
	if (record.n != TRAILER_RECORD_SIZE || raw_size < tail.n) {
		assert(r == -EBADMSG);
		return;
	}
	assert(r == want);
	if (r == 0 && piece_tail_range(buf_slice(&tail), raw_size, t.commit.off,
				       t.commit.len, &got) == 1)
		assert(got.p >= tail.p && got.n == t.commit.len &&
		       got.p + got.n <= tail.p + tail.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_kind kind = { "trailer", 1 };
	static struct keys *keys;
	struct slice in = slice(data, size);
	struct piece_index *x = NULL;
	struct buf b, again;
	struct trailer t;
	uint64_t raw_size;
	int r;

	if (!keys)
		keys = make_keys();
	assert(piece_tail_parse(in, size, keys, &t) < 0);
	if (size > 4096)
		return 0;
	buf_init(&b, 8192);
	buf_init(&again, 8192);
	r = record_seal(keys_secret(keys, KEYS_TRAILER), &kind,
			keys_drive_id(keys), in, &b);
	assert(r == 0);
	raw_size = size >= 16 ? get_le64(data + 8) : 0;
	r = trailer_open(buf_slice(&b), raw_size, keys, &t);
	from_tail(buf_slice(&b), raw_size, keys, r);
	if (r == 0) {
		r = trailer_seal(&t, keys, &again);
		assert(r == 0);
		assert(again.n == b.n);
		if (piece_index_new(&t, PIECE_LEAVES, &x) == 0) {
			assert(piece_index_feed(x, in) < 0);
			piece_index_free(x);
		}
	}
	buf_fini(&b);
	buf_fini(&again);
	return 0;
}
