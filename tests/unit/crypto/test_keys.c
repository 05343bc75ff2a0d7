/* test_keys.c - the words, and the keys that grow from them */
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
#include "crypto/words.h"
#include "crypto/words_english.h"

#include "vectors.h"

#define ART                                                         \
 "abandon abandon abandon abandon abandon abandon abandon abandon " \
 "abandon abandon abandon abandon abandon abandon abandon abandon " \
 "abandon abandon abandon abandon abandon abandon abandon art"

static void the_list_is_the_published_one(void **state)
{
	uint8_t want[HASH_SIZE], got[HASH_SIZE];
	struct buf list;

	(void)state;
	buf_init(&list, WORDS_LIST_N * 10);
	for (size_t i = 0; i < WORDS_LIST_N; i++) {
		assert_int_equal(buf_append(&list, slice_str(words_english[i])), 0);
		assert_int_equal(buf_u8(&list, '\n'), 0);
		if (i)
			assert_true(strncmp(words_english[i - 1],
					    words_english[i], 4) < 0);
	}
	sha256_once(buf_slice(&list), got);
	buf_fini(&list);
	unhex("2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda",
	      want, 32);
	assert_memory_equal(got, want, 32);
}

static void words_equal_the_vectors_both_ways(void **state)
{
	FILE *f = vector_open("bip39/words.txt");
	char line[512], text[WORDS_TEXT_MAX];
	unsigned n = 0;

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		struct secret *s = NULL, *back = NULL;
		struct err e = { "" };
		uint8_t bytes[32];

		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = 0;
		line[64] = 0;
		unhex(line, bytes, sizeof(bytes));
		assert_int_equal(secret_new(bytes, &s), 0);
		words_write(s, text);
		assert_string_equal(text, line + 65);
		assert_int_equal(words_parse(slice_str(text), &back, &e), 0);
		assert_memory_equal(secret_bytes(back), bytes, 32);
		secret_free(s);
		secret_free(back);
		n++;
	}
	(void)fclose(f);
	assert_int_equal(n, 208);
}

static void what_people_type_is_understood(void **state)
{
	static const char *const forms[] = {
		ART "\n",
		"  \r\n\t" ART "   \n\n",
		("ABANDON Abandon aBandon abandon abandon abandon abandon abandon\n"
		 "abandon abandon abandon abandon abandon abandon abandon abandon\r\n"
		 "abandon,abandon, abandon; abandon\tabandon  abandon abandon Art"),
		(" 1. abandon  2. abandon  3. abandon  4. abandon\n"
		 " 5. abandon  6. abandon  7) abandon  8: abandon\n"
		 " 9. abandon 10. abandon 11. abandon 12. abandon\n"
		 "13. abandon 14. abandon 15. abandon 16.abandon\n"
		 "17. abandon 18. abandon 19. abandon 20. abandon\n"
		 "21. abandon 22. abandon 23. abandon 24. art\n"),
		("aban aban aban aban aban aban aban aban aband aban aban aban "
		 "aban aban abando aban aban aban aban aban aban aban aban art"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct secret *s = NULL;
		struct err e = { "" };

		assert_int_equal(words_parse(slice_str(forms[i]), &s, &e), 0);
		assert_true(sodium_is_zero(secret_bytes(s), SECRET_SIZE));
		secret_free(s);
	}
}

static void expect_refusal(const char *text, const char *reason)
{
	struct secret *s = NULL;
	struct err e = { "" };

	assert_int_equal(words_parse(slice_str(text), &s, &e), -EINVAL);
	assert_null(s);
	assert_non_null(strstr(e.text, reason));
	/* The reason may be logged: it does not repeat what was typed. */
	assert_null(strstr(e.text, "aban"));
}

static void wrong_words_are_refused_by_position(void **state)
{
	static char flood[WORDS_INPUT_MAX + 2];
	struct secret *s = NULL;
	char text[sizeof(ART)];

	(void)state;
	memcpy(text, ART, sizeof(ART));
	memcpy(&text[48], "abandxn", 7);
	expect_refusal(text, "word 7 ");
	memcpy(text, ART, sizeof(ART));
	memcpy(&text[184], "xyz", 3);
	expect_refusal(text, "word 24 ");
	memcpy(&text[184], "zoo", 3);
	expect_refusal(text, "do not fit together");
	text[184] = 0;
	expect_refusal(text, "found 23");
	expect_refusal(ART " art", "found 25");
	expect_refusal("", "found 0");
	expect_refusal("aba", "word 1 ");
	expect_refusal("abandonabandon", "word 1 ");
	expect_refusal("\xff\xfe\x01", "word 1 ");
	expect_refusal("zo?", "word 1 ");
	assert_int_equal(words_parse(slice("zoo\0\0\0\0\0\0\0 zoo", 14), &s, NULL),
			 -EINVAL);
	memset(flood, 'a', sizeof(flood) - 1);
	expect_refusal(flood, "more than 24");
}

static void swapped_words_are_noticed_nearly_always(void **state)
{
	unsigned unnoticed = 0, tried = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		char text[WORDS_TEXT_MAX], swapped[WORDS_TEXT_MAX * 2], *second;
		struct secret *s = NULL, *back = NULL;
		size_t first;

		assert_int_equal(secret_new_random(&s), 0);
		words_write(s, text);
		first = strcspn(text, " ");
		second = text + first + 1;
		(void)snprintf(swapped, sizeof(swapped), "%.*s %.*s%s",
			       (int)strcspn(second, " "), second, (int)first,
			       text, second + strcspn(second, " "));
		tried++;
		if (words_parse(slice_str(swapped), &back, NULL) == 0)
			unnoticed++;
		secret_free(back);
		secret_free(s);
	}
	/* 1 of 256 is expected to slip through; 12 of 200 never happen. */
	assert_int_equal(tried, 200);
	assert_in_range(unnoticed, 0, 12);
}

/* Made with Python's hashlib from docs/format.md section 7: entropy is
 * 00 01 ... 1f, every step blake2b(b"fildrive " + label, key=parent). */
static const char *const want_keys[KEYS_NX] = {
	[KEYS_COMMIT] = "6340baff4179852d9cd18fffe6abb21126910dc18761e84bf9dd668e9bfcd54f",
	[KEYS_TRAILER] = "abfd5d84570eb97b4da5d1ef2a3355969818162e6101b687af5f0925276b0a0b",
	[KEYS_HEAD] = "a1cbcf8683be910415e28923a9403b05d8a4ba734f6ef5b489b4e5288bbb5588",
	[KEYS_HEAD_SEAL] =
		"8a0051752bfd7b0dd09bf662c0d90c27c81b213a8ac1ec970819997e81ad6c37",
	[KEYS_DB] = "aec79408fed08cbe3e8b15f3908708136077902af086690704dfc8c6bce31a32",
	[KEYS_SEGMENT] = "2e396441f3d649561839c245b71ff275da230f73bb972095b3bf2ae9ce01238e",
};

static struct keys *sample_keys(void)
{
	struct secret *s = NULL;
	struct keys *k = NULL;
	uint8_t bytes[32];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(secret_new(bytes, &s), 0);
	assert_int_equal(keys_from_entropy(s, &k), 0);
	secret_free(s);
	return k;
}

static void keys_grow_as_the_format_says(void **state)
{
	struct keys *k = sample_keys();
	uint8_t want[32], name[KEYS_HEAD_NAME_SIZE];

	(void)state;
	for (enum keys_use u = 0; u < KEYS_NX; u++) {
		unhex(want_keys[u], want, 32);
		assert_memory_equal(secret_bytes(keys_secret(k, u)), want, 32);
	}
	unhex("e0951675ef6464da156dca051399a7cd", want, 16);
	assert_memory_equal(keys_drive_id(k), want, 16);
	unhex("21472bcd6f9c2cb3b1fa75793c03c59939acdbf5a01f7388d5996c8d8482acdb",
	      want, 32);
	assert_int_equal(keys_head_name(k, 0, 1, name), 0);
	assert_memory_equal(name, want, 32);
	unhex("78a7f3abd1f074778994888730f49cfac2b4a8fa9fb378b320145447d8b6abd8",
	      want, 32);
	assert_int_equal(keys_head_name(k, 314, 7, name), 0);
	assert_memory_equal(name, want, 32);
	keys_free(k);
	keys_free(NULL);
}

static void the_drive_secret_alone_gives_the_same_keys(void **state)
{
	struct keys *k = sample_keys(), *d = NULL;

	(void)state;
	assert_int_equal(keys_from_drive_secret(keys_drive_secret(k), &d), 0);
	assert_memory_equal(keys_drive_id(k), keys_drive_id(d), KEYS_DRIVE_ID_SIZE);
	for (enum keys_use u = 0; u < KEYS_NX; u++)
		assert_memory_equal(secret_bytes(keys_secret(k, u)),
				    secret_bytes(keys_secret(d, u)), 32);
	keys_free(k);
	keys_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_is_the_published_one),
		cmocka_unit_test(words_equal_the_vectors_both_ways),
		cmocka_unit_test(what_people_type_is_understood),
		cmocka_unit_test(wrong_words_are_refused_by_position),
		cmocka_unit_test(swapped_words_are_noticed_nearly_always),
		cmocka_unit_test(keys_grow_as_the_format_says),
		cmocka_unit_test(the_drive_secret_alone_gives_the_same_keys),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
