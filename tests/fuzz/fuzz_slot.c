/*
 * fuzz_slot.c - a key file from anywhere
 *
 * The input is a verb (with 0x80: the checksum is made to fit) and then a whole file, or, of another size, changes of an
 * honest one with two slots: each where (2 bytes LE) and what is XORed.  The file
 * is looked at as it is, and then, with costs that a fuzzer can afford, used.  What a
 * verb gives opens.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/slot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/zerokeys.h"

enum verb {
	OPEN,
	CHANGE,
	ADD,
	REMOVE,
	WORDS,
	VERB_NX
};

static struct buf honest;

/* Passphrases "x" and "z" open it. */
static void prepare(void)
{
	static const uint8_t zeros[SECRET_SIZE];
	_cleanup_secret_ struct secret *entropy = NULL;
	_cleanup_buf_ struct buf one = { 0 };
	int r;

	(void)zero_keys(); /* makes the library ready */
	buf_init(&one, SLOT_FILE_SIZE);
	buf_init(&honest, SLOT_FILE_SIZE);
	r = secret_new(zeros, &entropy);
	if (r == 0)
		r = slot_create(entropy, slice_str("x"), &slot_cost_test, &one,
				NULL);
	if (r == 0)
		r = slot_add(buf_slice(&one), slice_str("x"), slice_str("z"),
			     &slot_cost_test, &honest, NULL);
	assert(r == 0 && honest.n == SLOT_FILE_SIZE);
}

static void check_opens(struct slice file, const char *passphrase)
{
	_cleanup_keys_ struct keys *keys = NULL;
	int r = slot_open(file, slice_str(passphrase), &keys, NULL);

	assert(r == 0 || r == -ENOMEM);
}

static void use(struct slice file, enum verb verb)
{
	_cleanup_secret_ struct secret *words = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	_cleanup_buf_ struct buf made = { 0 };
	struct slice x = slice_str("x"), y = slice_str("y");
	struct err e = { "" };
	int r = 0;

	buf_init(&made, SLOT_FILE_SIZE);
	switch (verb) {
	case OPEN: r = slot_open(file, x, &keys, &e); break;
	case CHANGE:
		r = slot_change(file, x, y, &slot_cost_test, &made, &e);
		break;
	case ADD: r = slot_add(file, x, y, &slot_cost_test, &made, &e); break;
	case REMOVE: r = slot_remove(file, x, &made, &e); break;
	case WORDS: r = slot_open_entropy(file, x, &words, &e); break;
	case VERB_NX: break;
	}
	assert(r == 0 || e.text[0] || r == -ENOMEM);
	assert(made.n == 0 || (r == 0 && made.n == SLOT_FILE_SIZE));
	if (made.n && verb != REMOVE)
		check_opens(buf_slice(&made), "y");
}

/* Costs that are sane, and too much for a fuzzer. */
static void make_cheap(uint8_t file[static SLOT_FILE_SIZE])
{
	for (size_t i = 0; i < SLOT_MAX; i++) {
		uint8_t *s = file + 32 + 184 * i;

		if (s[0] && (get_le64(s + 8) > slot_cost_test.passes ||
			     get_le64(s + 16) > slot_cost_test.mem_bytes)) {
			put_le64(s + 8, slot_cost_test.passes);
			put_le64(s + 16, slot_cost_test.mem_bytes);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t file[SLOT_FILE_SIZE];
	struct slot_info info;
	struct slice in;

	if (!honest.n)
		prepare();
	if (size == 0)
		return 0;
	in = slice(data + 1, size - 1);
	memcpy(file, in.n == SLOT_FILE_SIZE ? in.p : honest.p, sizeof(file));
	for (size_t i = 0; in.n != SLOT_FILE_SIZE && i + 3 <= in.n; i += 3)
		file[(in.p[i] | (size_t)in.p[i + 1] << 8) % SLOT_FILE_SIZE] ^=
			in.p[i + 2];
	if (slot_info(in, &info, NULL) == 0)
		assert(in.n == SLOT_FILE_SIZE);
	if (slot_info(slice(file, sizeof(file)), &info, NULL) == 0)
		assert(info.n_used <= SLOT_MAX);
	make_cheap(file);
	if (data[0] & 0x80)
		sha256_once(slice(file, sizeof(file) - HASH_SIZE),
			    file + sizeof(file) - HASH_SIZE);
	use(slice(file, sizeof(file)), (enum verb)(data[0] % 0x80 % VERB_NX));
	return 0;
}
