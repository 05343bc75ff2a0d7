/*
 * fuzz_slot.c - a key file from anywhere
 *
 * The file is looked at as it is, and then, with costs that a fuzzer can afford
 * and a checksum that fits, opened and changed.  A file that opens must give a
 * file that opens.
 */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void use(struct slice file)
{
	_cleanup_keys_ struct keys *keys = NULL, *again = NULL;
	_cleanup_buf_ struct buf changed;
	struct err e = { "" };
	int r;

	buf_init(&changed, SLOT_FILE_SIZE);
	r = slot_open(file, slice_str("x"), &keys, &e);
	assert(r == 0 || e.text[0] || r == -ENOMEM);
	r = slot_change(file, slice_str("x"), slice_str("y"), &slot_cost_test,
			&changed, NULL);
	if (r < 0) {
		assert(changed.n == 0);
		return;
	}
	assert(changed.n == SLOT_FILE_SIZE);
	r = slot_open(buf_slice(&changed), slice_str("y"), &again, NULL);
	assert(r == 0 || r == -ENOMEM);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t file[SLOT_FILE_SIZE];
	struct slot_info info;

	if (secret_init_library() < 0)
		return 0;
	if (slot_info(slice(p, n), &info, NULL) == 0)
		assert(n == SLOT_FILE_SIZE && info.n_used <= SLOT_MAX);
	if (n != SLOT_FILE_SIZE)
		return 0;
	memcpy(file, p, n);
	for (size_t i = 0; i < SLOT_MAX; i++) {
		uint8_t *s = file + 32 + 184 * i;

		if (s[0] && (get_le64(s + 8) > 2 || get_le64(s + 16) > 65536)) {
			put_le64(s + 8, 1);
			put_le64(s + 16, SLOT_MEM_MIN);
		}
	}
	use(slice(file, n));
	sha256_once(slice(file, n - HASH_SIZE), file + n - HASH_SIZE);
	use(slice(file, n));
	return 0;
}
