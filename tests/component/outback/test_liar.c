/*
 * test_liar.c - a store that shows its old heads as new ones
 *
 * It cannot make a head, but it can give one that it has under a name that is asked
 * for later (docs/threat-model.md).
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

#define ALL_NAMES 48 /* powers of two that a search for the end asks for */

static void head_path(struct rig *r, const char *store, uint64_t h,
		      char ret[static 256])
{
	uint8_t name[KEYS_HEAD_NAME_SIZE];
	size_t n;

	ok(keys_head_name(r->keys, 0, h, name));
	rig_path(r, store, ret, 128);
	n = strlen(ret);
	n += (size_t)snprintf(ret + n, 16, "/heads/");
	for (size_t i = 0; i < sizeof(name); i++)
		n += (size_t)snprintf(ret + n, 3, "%02x", name[i]);
}

/* From now on head `as` of this store is what head h is. */
static void shows(struct rig *r, const char *store, uint64_t h, uint64_t as)
{
	char from[256], to[256];
	uint8_t bytes[PROVIDER_HEAD_MAX];
	size_t n;
	FILE *f;

	head_path(r, store, h, from);
	head_path(r, store, as, to);
	f = fopen(from, "rb");
	assert_non_null(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	assert_int_equal(fclose(f), 0);
	f = fopen(to, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void shows_no(struct rig *r, const char *store, uint64_t h)
{
	char path[256];

	head_path(r, store, h, path);
	assert_int_equal(unlink(path), 0);
}

/* What is at the store now is not there any more. */
static void loses_all(struct rig *r, const char *store)
{
	struct piece_file v[16];
	size_t n = store_pieces(r, store, v, ARRAY_LEN(v));
	char path[512], sub[256];

	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%.120s", store, v[i].name);
		rig_path(r, sub, path, sizeof(path));
		assert_int_equal(unlink(path), 0);
	}
}

static void pause_a_little(void)
{
	const struct timespec t = { 0, 20000000 };

	(void)nanosleep(&t, NULL);
}

/* The first store is said to show an old head. */
static void until_found_out(struct device *d)
{
	struct onboard_stats s = { .why = "" };
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (!strstr(s.why, "an old head") && monotonic_ms() < end) {
		pause_a_little();
		onboard_stats(d->onboard, &s);
	}
	assert_non_null(strstr(s.why, "an old head under a new number"));
}

/* A drive of n stores that has published `last` commits. */
static void grown(struct device *d, struct rig *r, size_t n, uint64_t last)
{
	char name[16];

	device_begun(d, r, n, n > 1 ? 2 : 1);
	device_start(d);
	for (uint64_t h = 2; h <= last; h++) {
		(void)snprintf(name, sizeof(name), "f%u", (unsigned)h);
		f_fill(d, name, 0, 4000, h);
		ok(device_sync(d));
	}
	for (size_t i = 0; i < n; i++)
		device_until_newest(d, i, last);
	device_close(d);
}

static void goes_on_to(struct device *d, struct rig *r, uint64_t h)
{
	device_open(d);
	device_start(d);
	f_fill(d, "more", 0, 4000, h);
	ok(device_sync(d));
	assert_true(device_newest_at(d, 0) >= h);
	device_close(d);
	rig_remove(r, "b");
}

/* What a bare machine takes for the newest commit. */
static void finds(struct rig *r, size_t n, uint64_t before, uint64_t want, size_t liar)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct err e = { "" };
	struct device b;

	if (device_find(&b, r, "b", n, before, &f, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(f->sequence, want);
	assert_true(f->stores[liar].status < 0);
	assert_non_null(f->stores[liar].why[0] ? f->stores[liar].why : NULL);
	for (size_t i = 0; i < n; i++)
		assert_true(i == liar || f->stores[i].status == 0);
	device_find_end(&b);
	rig_remove(r, "b");
}

static void an_old_head_under_a_new_name_stops_nobody(void **state)
{
	struct rig *r = *state;
	struct device d;

	grown(&d, r, 3, 3);
	shows(r, "s1", 1, 4);
	shows(r, "s1", 2, 5);
	finds(r, 3, 0, 3, 1);
	goes_on_to(&d, r, 4);
	finds(r, 3, 0, 4, 1);
}

static void the_first_store_that_is_asked_may_be_the_liar(void **state)
{
	struct rig *r = *state;
	struct device d;

	grown(&d, r, 2, 3);
	shows(r, "s0", 1, 3);
	finds(r, 2, 0, 3, 0);
	shows(r, "s0", 2, 4);
	finds(r, 2, 0, 3, 0);
	finds(r, 2, 4, 3, 0);
	device_open(&d);
	device_close(&d);
}

static void heads_without_an_end_are_those_of_one_store(void **state)
{
	struct rig *r = *state;
	struct device d;

	grown(&d, r, 3, 2);
	for (unsigned known = 0; known < 4; known++)
		for (unsigned bit = 0; bit <= ALL_NAMES; bit++)
			if (known + (1ull << bit) > 2)
				shows(r, "s2", 2, known + (1ull << bit));
	finds(r, 3, 0, 2, 2);
	goes_on_to(&d, r, 3);
	finds(r, 3, 0, 3, 2);
}

/* Of the only store nothing else is known: it has to say what it says. */
static void alone_it_is_found_out_and_named(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct err e = { "" };
	struct device d, b;

	grown(&d, r, 1, 2);
	shows(r, "s0", 1, 3);
	assert_int_equal(device_find(&b, r, "b", 1, 0, &f, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "another commit"));
	device_find_end(&b);
}

/* Its piece cannot say any more which commit it was: the ledger can. */
static void an_old_head_whose_piece_is_gone_stops_nobody(void **state)
{
	struct rig *r = *state;
	struct device d;

	grown(&d, r, 1, 1);
	loses_all(r, "s0");
	device_open(&d);
	device_start(&d);
	f_write(&d, "f2", 0, "2", 1);
	ok(device_sync(&d));
	device_close(&d);
	shows(r, "s0", 1, 3);
	device_open(&d);
	device_start(&d);
	until_found_out(&d);
	shows_no(r, "s0", 3);
	f_write(&d, "f3", 0, "3", 1);
	ok(device_sync(&d));
	assert_int_equal(device_newest_at(&d, 0), 3);
	device_close(&d);
}

/* It was looked at, and begins to lie when the next head is claimed. */
static void an_old_head_where_one_is_claimed_stops_nobody(void **state)
{
	struct rig *r = *state;
	struct device d;

	grown(&d, r, 1, 2);
	device_open(&d);
	device_start(&d);
	f_write(&d, "f3", 0, "3", 1);
	ok(device_sync(&d)); /* the register was read */
	shows(r, "s0", 1, 4);
	f_write(&d, "f4", 0, "4", 1);
	(void)onboard_request(d.onboard);
	until_found_out(&d);
	shows_no(r, "s0", 4);
	ok(device_sync(&d));
	assert_int_equal(device_newest_at(&d, 0), 4);
	device_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_old_head_under_a_new_name_stops_nobody),
		T(the_first_store_that_is_asked_may_be_the_liar),
		T(heads_without_an_end_are_those_of_one_store),
		T(alone_it_is_found_out_and_named),
		T(an_old_head_whose_piece_is_gone_stops_nobody),
		T(an_old_head_where_one_is_claimed_stops_nobody),
	};

	return cmocka_run_group_tests_name("liar", tests, NULL, NULL);
}
