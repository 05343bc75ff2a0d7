/*
 * fuzz_trailer.c - bodies that the drive's own key has sealed, and any tail
 *
 * The AEAD stops random bytes, so the input is sealed first, as a broken or
 * hostile holder of the words would.  What opens can be written again.
 */
#include <assert.h>

#include "base/buf.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_kind kind = { "trailer", 1 };
	static struct keys *keys;
	struct slice in = slice(data, size);
	struct piece_index *x = NULL;
	struct buf b, again;
	struct trailer t;
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
	r = trailer_open(buf_slice(&b), size >= 16 ? get_le64(data + 8) : 0,
			 keys, &t);
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
