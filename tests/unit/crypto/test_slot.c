/* test_slot.c - properties of the key file */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/slot.h"

#include "vectors.h"

#define COST (&slot_cost_test)
#define N    ((size_t)SLOT_FILE_SIZE)

static struct buf new_file(const char *passphrase)
{
	struct secret *s = secret_of(0x42);
	struct buf b;

	buf_init(&b, SLOT_FILE_SIZE);
	assert_int_equal(slot_create(s, slice_str(passphrase), COST, &b, NULL), 0);
	assert_int_equal(b.n, SLOT_FILE_SIZE);
	secret_free(s);
	return b;
}

static int try_open(const struct buf *b, const char *passphrase)
{
	_cleanup_keys_ struct keys *k = NULL, *want = NULL;
	_cleanup_secret_ struct secret *s = secret_of(0x42), *entropy = NULL;
	struct err e = { "" };
	int r = slot_open(buf_slice(b), slice_str(passphrase), &k, &e);
	int q = slot_open_entropy(buf_slice(b), slice_str(passphrase), &entropy,
				  NULL);

	if (r < 0) {
		assert_null(k);
		assert_true(e.text[0]);
		assert_null(strstr(e.text, passphrase));
		return r;
	}
	assert_int_equal(q, 0);
	assert_memory_equal(secret_bytes(entropy), secret_bytes(s), SECRET_SIZE);
	assert_int_equal(keys_from_entropy(s, &want), 0);
	assert_memory_equal(keys_drive_id(k), keys_drive_id(want),
			    KEYS_DRIVE_ID_SIZE);
	for (enum keys_use u = 0; u < KEYS_NX; u++)
		assert_memory_equal(secret_bytes(keys_secret(k, u)),
				    secret_bytes(keys_secret(want, u)),
				    SECRET_SIZE);
	return 0;
}

static void only_the_passphrase_opens(void **state)
{
	struct buf b = new_file("correct horse");
	struct slot_info info;

	(void)state;
	assert_int_equal(try_open(&b, "correct horse"), 0);
	assert_int_equal(try_open(&b, "correct hors"), -EKEYREJECTED);
	assert_int_equal(try_open(&b, "correct horse "), -EKEYREJECTED);
	assert_int_equal(try_open(&b, "Correct horse"), -EKEYREJECTED);
	assert_int_equal(slot_info(buf_slice(&b), &info, NULL), 0);
	assert_int_equal(info.n_used, 1);
	assert_false(info.damaged);
	buf_fini(&b);
}

static void empty_and_overlong_passphrases_are_refused(void **state)
{
	struct secret *s = secret_of(1);
	struct buf b = new_file("x"), out;
	uint8_t *p = mod251(SLOT_PASSPHRASE_MAX + 1);
	struct keys *k = NULL;

	(void)state;
	buf_init(&out, SLOT_FILE_SIZE);
	assert_int_equal(slot_create(s, SLICE_NONE, COST, &out, NULL), -EINVAL);
	assert_int_equal(slot_create(s, slice(p, SLOT_PASSPHRASE_MAX + 1), COST,
				     &out, NULL),
			 -EINVAL);
	assert_int_equal(slot_open(buf_slice(&b), SLICE_NONE, &k, NULL), -EINVAL);
	assert_int_equal(slot_add(buf_slice(&b), slice_str("x"), SLICE_NONE,
				  COST, &out, NULL),
			 -EINVAL);
	assert_int_equal(slot_change(buf_slice(&b), slice_str("x"), SLICE_NONE,
				     COST, &out, NULL),
			 -EINVAL);
	assert_int_equal(out.n, 0);
	/* Any bytes will do, zero among them. */
	assert_int_equal(
		slot_create(s, slice(p, SLOT_PASSPHRASE_MAX), COST, &out, NULL), 0);
	assert_int_equal(slot_open(buf_slice(&out),
				   slice(p, SLOT_PASSPHRASE_MAX), &k, NULL),
			 0);
	keys_free(k);
	free(p);
	buf_fini(&out);
	buf_fini(&b);
	secret_free(s);
}

static void costs_out_of_bounds_are_refused(void **state)
{
	static const struct slot_cost bad[] = {
		{ 0, SLOT_MEM_MIN },        { 1, SLOT_MEM_MIN - 1 },
		{ 1, SLOT_MEM_MAX + 1ull }, { 17, SLOT_MEM_MAX },
		{ UINT64_MAX, UINT64_MAX }, { UINT64_MAX, SLOT_MEM_MIN },
	};
	struct secret *s = secret_of(1);
	struct buf out;

	(void)state;
	buf_init(&out, SLOT_FILE_SIZE);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(slot_create(s, slice_str("x"), &bad[i], &out, NULL),
				 -EINVAL);
	assert_int_equal(out.n, 0);
	buf_fini(&out);
	secret_free(s);
}

/* Give slot 0 a cost and make the checksum fit, as an attacker can. */
static void forge_cost(struct buf *b, uint64_t passes, uint64_t mem)
{
	put_le64(b->p + 32 + 8, passes);
	put_le64(b->p + 32 + 16, mem);
	sha256_once(slice(b->p, SLOT_FILE_SIZE - 32), b->p + SLOT_FILE_SIZE - 32);
}

static void a_file_cannot_ask_for_more_than_the_caps(void **state)
{
	struct buf b = new_file("x");

	(void)state;
	/* At once, and without the memory: the test would take days otherwise. */
	forge_cost(&b, 1u << 30, 1u << 30);
	assert_int_equal(try_open(&b, "x"), -EUCLEAN);
	forge_cost(&b, 1, UINT64_MAX);
	assert_int_equal(try_open(&b, "x"), -EUCLEAN);
	forge_cost(&b, 0, SLOT_MEM_MIN);
	assert_int_equal(try_open(&b, "x"), -EUCLEAN);
	/* In bounds, but not what was sealed. */
	forge_cost(&b, 2, SLOT_MEM_MIN);
	assert_int_equal(try_open(&b, "x"), -EKEYREJECTED);
	forge_cost(&b, 1, SLOT_MEM_MIN);
	assert_int_equal(try_open(&b, "x"), 0);
	buf_fini(&b);
}

static void passphrases_are_added_changed_and_removed(void **state)
{
	struct buf a = new_file("first"), b, c, d;
	struct err e = { "" };

	(void)state;
	buf_init(&b, SLOT_FILE_SIZE);
	buf_init(&c, SLOT_FILE_SIZE);
	buf_init(&d, SLOT_FILE_SIZE);
	assert_int_equal(slot_add(buf_slice(&a), slice_str("wrong"),
				  slice_str("second"), COST, &b, &e),
			 -EKEYREJECTED);
	assert_int_equal(slot_add(buf_slice(&a), slice_str("first"),
				  slice_str("first"), COST, &b, NULL),
			 -EEXIST);
	assert_int_equal(b.n, 0);
	assert_int_equal(slot_add(buf_slice(&a), slice_str("first"),
				  slice_str("second"), COST, &b, NULL),
			 0);
	assert_int_equal(try_open(&b, "first"), 0);
	assert_int_equal(try_open(&b, "second"), 0);

	assert_int_equal(slot_change(buf_slice(&b), slice_str("first"),
				     slice_str("second"), COST, &c, NULL),
			 -EEXIST);
	assert_int_equal(slot_change(buf_slice(&b), slice_str("first"),
				     slice_str("third"), COST, &c, NULL),
			 0);
	assert_int_equal(try_open(&c, "first"), -EKEYREJECTED);
	assert_int_equal(try_open(&c, "second"), 0);
	assert_int_equal(try_open(&c, "third"), 0);

	assert_int_equal(slot_remove(buf_slice(&c), slice_str("first"), &d, NULL),
			 -EKEYREJECTED);
	assert_int_equal(slot_remove(buf_slice(&c), slice_str("second"), &d, NULL),
			 0);
	assert_int_equal(try_open(&d, "second"), -EKEYREJECTED);
	assert_int_equal(try_open(&d, "third"), 0);
	buf_reset(&c);
	assert_int_equal(slot_remove(buf_slice(&d), slice_str("third"), &c, NULL),
			 -EBUSY);
	assert_int_equal(c.n, 0);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
	buf_fini(&d);
}

static void eight_passphrases_open_and_a_ninth_is_refused(void **state)
{
	struct buf a = new_file("pass 0"), b;
	struct slot_info info;
	char name[16];

	(void)state;
	for (int i = 1; i <= SLOT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "pass %d", i);
		buf_init(&b, SLOT_FILE_SIZE);
		if (i == SLOT_MAX) {
			assert_int_equal(slot_add(buf_slice(&a), slice_str("pass 0"),
						  slice_str(name), COST, &b, NULL),
					 -ENOSPC);
			buf_fini(&b);
			break;
		}
		assert_int_equal(slot_add(buf_slice(&a), slice_str("pass 0"),
					  slice_str(name), COST, &b, NULL),
				 0);
		buf_fini(&a);
		a = b;
	}
	for (int i = 0; i < SLOT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "pass %d", i);
		assert_int_equal(try_open(&a, name), 0);
	}
	assert_int_equal(slot_info(buf_slice(&a), &info, NULL), 0);
	assert_int_equal(info.n_used, SLOT_MAX);
	buf_fini(&a);
}

static void every_flipped_bit_is_told_from_a_wrong_passphrase(void **state)
{
	struct buf b = new_file("x");
	_cleanup_keys_ struct keys *k = NULL;

	(void)state;
	for (size_t i = 0; i < 8 * N; i += i < (size_t)8 * 220 ? 3 : 41) {
		struct slot_info info;
		int r;

		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
		r = slot_open(buf_slice(&b), slice_str("x"), &k, NULL);
		/* Opened (the bit does not matter to it), or said why not. */
		if (r == 0) {
			assert_true(i / 8 >= 32 + 112);
			keys_free(k);
			k = NULL;
		} else {
			assert_int_equal(r, i / 8 < 12 ? -EPROTO : -EUCLEAN);
		}
		if (i / 8 >= 12) {
			assert_int_equal(slot_info(buf_slice(&b), &info, NULL), 0);
			assert_true(info.damaged);
		}
		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(try_open(&b, "x"), 0);
	buf_fini(&b);
}

static void other_lengths_and_other_files_are_refused(void **state)
{
	struct buf b = new_file("x");
	static uint8_t longer[SLOT_FILE_SIZE + 1];
	struct keys *k = NULL;

	(void)state;
	for (size_t n = 0; n < SLOT_FILE_SIZE; n++)
		assert_int_equal(slot_open(slice(b.p, n), slice_str("x"), &k, NULL),
				 n < 32 ? -EPROTO : -EUCLEAN);
	memcpy(longer, b.p, SLOT_FILE_SIZE);
	assert_int_equal(slot_open(slice(longer, sizeof(longer)),
				   slice_str("x"), &k, NULL),
			 -EUCLEAN);
	memset(longer, 0, sizeof(longer));
	assert_int_equal(slot_open(slice(longer, SLOT_FILE_SIZE),
				   slice_str("x"), &k, NULL),
			 -EPROTO);
	assert_null(k);
	buf_fini(&b);
}

static void a_slot_moved_to_another_place_does_not_open(void **state)
{
	struct buf b = new_file("x");
	uint8_t slot[184];

	(void)state;
	memcpy(slot, b.p + 32, sizeof(slot));
	memset(b.p + 32, 0, sizeof(slot));
	memcpy(b.p + 32 + sizeof(slot), slot, sizeof(slot));
	sha256_once(slice(b.p, SLOT_FILE_SIZE - 32), b.p + SLOT_FILE_SIZE - 32);
	assert_int_equal(try_open(&b, "x"), -EKEYREJECTED);
	buf_fini(&b);
}

static void damage_to_one_slot_leaves_the_others_open(void **state)
{
	struct buf a = new_file("first"), b;

	(void)state;
	buf_init(&b, SLOT_FILE_SIZE);
	assert_int_equal(slot_add(buf_slice(&a), slice_str("first"),
				  slice_str("second"), COST, &b, NULL),
			 0);
	memset(b.p + 32, 0xee, 184);
	assert_int_equal(try_open(&b, "second"), 0);
	assert_int_equal(try_open(&b, "first"), -EUCLEAN);
	buf_fini(&a);
	buf_fini(&b);
}

/* The last one that opens may not go because there seems to be another. */
static void of_a_damaged_file_no_passphrase_is_removed(void **state)
{
	struct buf a = new_file("first"), b, c;
	struct err e = { "" };

	(void)state;
	buf_init(&b, SLOT_FILE_SIZE);
	buf_init(&c, SLOT_FILE_SIZE);
	assert_int_equal(slot_add(buf_slice(&a), slice_str("first"),
				  slice_str("second"), COST, &b, NULL),
			 0);
	b.p[32 + 100] ^= 1; /* sealed bytes of the first slot */
	assert_int_equal(slot_remove(buf_slice(&b), slice_str("second"), &c, &e),
			 -EUCLEAN);
	assert_non_null(strstr(e.text, "damaged"));
	assert_int_equal(c.n, 0);
	/* To change another one does not make it whole. */
	assert_int_equal(slot_change(buf_slice(&b), slice_str("second"),
				     slice_str("third"), COST, &c, NULL),
			 0);
	assert_int_equal(try_open(&c, "third"), 0);
	assert_int_equal(try_open(&c, "first"), -EUCLEAN);
	buf_reset(&b);
	assert_int_equal(slot_remove(buf_slice(&c), slice_str("third"), &b, NULL),
			 -EUCLEAN);
	/* Where there is but one, all of the file was just written. */
	buf_reset(&c);
	a.p[SLOT_FILE_SIZE - 1] ^= 1;
	assert_int_equal(try_open(&a, "other"), -EUCLEAN);
	assert_int_equal(slot_change(buf_slice(&a), slice_str("first"),
				     slice_str("third"), COST, &c, NULL),
			 0);
	assert_int_equal(try_open(&c, "third"), 0);
	assert_int_equal(try_open(&c, "other"), -EKEYREJECTED);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}

static void nothing_secret_stands_in_the_file(void **state)
{
	struct buf b = new_file("a very secret passphrase");
	struct secret *s = secret_of(0x42);
	struct keys *k = NULL;

	(void)state;
	assert_int_equal(keys_from_entropy(s, &k), 0);
	assert_null(memmem(b.p, b.n, "secret", 6));
	assert_null(memmem(b.p, b.n, secret_bytes(s), 8));
	assert_null(memmem(b.p, b.n, secret_bytes(keys_drive_secret(k)), 8));
	keys_free(k);
	secret_free(s);
	buf_fini(&b);
}

static void the_default_cost_is_within_the_caps(void **state)
{
	struct buf b;
	struct secret *s = secret_of(0x42);

	(void)state;
	assert_true(slot_cost_default.mem_bytes >= 256u << 20);
	assert_true(slot_cost_default.passes >= 5);
	buf_init(&b, SLOT_FILE_SIZE);
	assert_int_equal(
		slot_create(s, slice_str("x"), &slot_cost_default, &b, NULL), 0);
	buf_fini(&b);
	secret_free(s);
}

static void a_change_raises_the_cost_and_never_lowers_it(void **state)
{
	const struct slot_cost more = { COST->passes + 1, 2 * COST->mem_bytes };
	struct buf b = new_file("first"), c, d;

	(void)state;
	buf_init(&c, N);
	buf_init(&d, N);
	assert_int_equal(slot_n_weak(buf_slice(&b), COST, NULL), 0);
	assert_int_equal(slot_n_weak(buf_slice(&b), &more, NULL), 1);
	/* The same passphrase once more, as today's costs are. */
	assert_int_equal(slot_change(buf_slice(&b), slice_str("first"),
				     slice_str("first"), &more, &c, NULL),
			 0);
	assert_int_equal(slot_n_weak(buf_slice(&c), &more, NULL), 0);
	assert_int_equal(try_open(&c, "first"), 0);
	/* A program of yesterday, or with other settings, leaves it. */
	assert_int_equal(slot_change(buf_slice(&c), slice_str("first"),
				     slice_str("second"), COST, &d, NULL),
			 0);
	assert_int_equal(slot_n_weak(buf_slice(&d), &more, NULL), 0);
	assert_int_equal(try_open(&d, "second"), 0);
	assert_int_equal(try_open(&d, "first"), -EKEYREJECTED);
	buf_fini(&b);
	buf_fini(&c);
	buf_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_raises_the_cost_and_never_lowers_it),
		cmocka_unit_test(only_the_passphrase_opens),
		cmocka_unit_test(empty_and_overlong_passphrases_are_refused),
		cmocka_unit_test(costs_out_of_bounds_are_refused),
		cmocka_unit_test(a_file_cannot_ask_for_more_than_the_caps),
		cmocka_unit_test(passphrases_are_added_changed_and_removed),
		cmocka_unit_test(eight_passphrases_open_and_a_ninth_is_refused),
		cmocka_unit_test(every_flipped_bit_is_told_from_a_wrong_passphrase),
		cmocka_unit_test(other_lengths_and_other_files_are_refused),
		cmocka_unit_test(a_slot_moved_to_another_place_does_not_open),
		cmocka_unit_test(damage_to_one_slot_leaves_the_others_open),
		cmocka_unit_test(of_a_damaged_file_no_passphrase_is_removed),
		cmocka_unit_test(nothing_secret_stands_in_the_file),
		cmocka_unit_test(the_default_cost_is_within_the_caps),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
