/* test_hung.c - stores that do not answer, and devices that meet at them */
#include "rig.h"

#include <errno.h>
#include <stdio.h>

#include "base/thread.h"

#define MIB       (1u << 20)
#define SILENT_MS 1500
#define T(f)      cmocka_unit_test_setup_teardown(f, setup, teardown)

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	rig_new(r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

/* A drive on n stores whose first commit is at all of them. */
static void drive(struct device *d, struct rig *r, size_t n, unsigned copies)
{
	device_init(d, r, "a", n, copies);
	device_start(d);
	f_fill(d, "first", 0, 3 * MIB, 1);
	ok(device_sync(d));
	device_close(d);
	r->silence_ms = SILENT_MS;
	device_open(d);
}

static uint64_t newest_at(struct device *d, size_t i)
{
	struct piece_cid cid;
	uint64_t h = 0;
	int r = head_newest(d->stores[i], d->rig->keys, 0, &h, &cid, NULL);

	assert_true(r == 0 || r == -ENOENT);
	return h;
}

static void until_newest_at(struct device *d, size_t i, uint64_t want)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (newest_at(d, i) < want)
		assert_true(monotonic_ms() < end);
}

static void a_store_that_hangs_holds_up_no_other(void **state)
{
	struct rig *r = *state;
	struct onboard_stats os;
	struct device a, b;
	char *want, *got;

	drive(&a, r, 3, 2);
	until_newest_at(&a, 1, 1);
	device_hang(&a, 1);
	device_start(&a);
	for (int i = 0; i < 3; i++) {
		f_fill(&a, i ? "more" : "new", 0, 2 * MIB, 10u + (unsigned)i);
		ok(device_sync(&a));
	}
	onboard_stats(a.onboard, &os);
	assert_int_equal(os.sequence, 4);
	assert_true(provider_silence_ms(a.stores[1]) >= SILENT_MS);
	assert_int_equal(newest_at(&a, 0), 4);
	assert_int_equal(newest_at(&a, 2), 4);
	want = tree_text(&a);
	device_close(&a);
	assert_in_range(a.closed_ms, 0, 5000);

	/* Later it is back, and gets what it has missed. */
	device_open(&a);
	assert_int_equal(newest_at(&a, 1), 1);
	device_start(&a);
	until_newest_at(&a, 1, 4);
	device_close(&a);
	device_recover(&b, r, "b", 3, 2, 0);
	got = tree_text(&b);
	tree_same(want, got);
	device_close(&b);
	free(want);
	free(got);
}

static void a_store_that_wakes_up_is_caught_up_with_at_once(void **state)
{
	struct rig *r = *state;
	struct device a;

	drive(&a, r, 2, 2);
	device_hang(&a, 1);
	device_start(&a);
	f_fill(&a, "new", 0, MIB, 2);
	uint64_t ticket = onboard_request(a.onboard);
	struct err e = { "" };

	/* It says who is to blame.  The second try, 2 s behind the first, has
	 * failed at once, and the pause behind it is 4 s. */
	assert_int_equal(onboard_wait(a.onboard, ticket, SILENT_MS + 2200, &e),
			 -ETIMEDOUT);
	assert_true(onboard_stuck(a.onboard, ticket, SILENT_MS, &e));
	device_wake(&a, 1);
	ok(onboard_wait(a.onboard, ticket, 3500, &e));
	assert_false(onboard_stuck(a.onboard, ticket, 0, &e));
	device_close(&a);
}

static void reads_go_to_a_store_that_answers(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want, *got;

	drive(&a, r, 2, 2);
	want = tree_text(&a);
	device_close(&a);
	for (size_t hung = 0; hung < 2; hung++) {
		device_recover(&b, r, hung ? "c" : "b", 2, 2, 0);
		device_hang(&b, hung);
		got = tree_text(&b);
		tree_same(want, got);
		free(got);
		device_close(&b);
		assert_in_range(b.closed_ms, 0, 5000);
	}
	free(want);
}

static void a_read_that_only_a_hung_store_can_serve_is_an_error(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	uint64_t began;
	uint8_t byte;
	size_t n;

	drive(&a, r, 1, 1);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	(void)f_lookup(&b, "first", NULL);
	device_hang(&b, 0);
	began = monotonic_ms();
	assert_true(f_read(&b, "first", MIB, &byte, 1, &n) < 0);
	assert_in_range(monotonic_ms() - began, 0, 20000);
	device_close(&b);
	assert_in_range(b.closed_ms, 0, 5000);
}

/* The chunk that is changed in part is at the hung store alone: the commit waits
 * for it as for any store, and is made then. */
static void a_commit_waits_for_a_chunk_of_a_hung_store(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b;
	uint64_t ticket;

	drive(&a, r, 1, 1);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	(void)f_lookup(&b, "first", NULL);
	f_write(&b, "first", MIB + 4096, "in the middle", 13);
	device_hang(&b, 0);
	ticket = onboard_request(b.onboard);
	assert_int_equal(onboard_wait(b.onboard, ticket, 2500, &e), -ETIMEDOUT);
	assert_true(onboard_stuck(b.onboard, ticket, SILENT_MS, &e));
	device_wake(&b, 0);
	e.text[0] = '\0';
	ok(onboard_wait(b.onboard, ticket, RIG_WAIT_MS, &e));
	device_close(&b);
}

static void a_failed_run_is_told_to_its_own_ticket_only(void **state)
{
	struct rig *r = *state;
	char outbox[256], gone[256];
	struct err e = { "" };
	struct onboard_stats os;
	struct device a;
	uint64_t first, second;

	drive(&a, r, 1, 1);
	device_hang(&a, 0);
	device_start(&a);
	f_write(&a, "f", 0, "1", 1);
	first = onboard_request(a.onboard);
	do
		onboard_stats(a.onboard, &os);
	while (os.built < 2);

	/* The next run cannot write. */
	rig_path(r, "a/outbox", outbox, sizeof(outbox));
	rig_path(r, "a/gone", gone, sizeof(gone));
	assert_int_equal(rename(outbox, gone), 0);
	f_write(&a, "f", 0, "2", 1);
	second = onboard_request(a.onboard);
	assert_int_equal(onboard_wait(a.onboard, second, RIG_WAIT_MS, &e), -ENOENT);
	assert_int_equal(onboard_poll(a.onboard, first, NULL), -EINPROGRESS);
	assert_int_equal(rename(gone, outbox), 0);
	device_wake(&a, 0);
	ok(onboard_wait(a.onboard, first, RIG_WAIT_MS, &e));
	assert_int_equal(onboard_poll(a.onboard, second, NULL), -ENOENT);
	ok(device_sync(&a));
	ok(onboard_poll(a.onboard, second, NULL)); /* made up for */
	device_close(&a);
}

static void recover_takes_the_stores_that_answer(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct device a, b;
	struct err e = { "" };

	drive(&a, r, 3, 2);
	until_newest_at(&a, 0, 1);
	until_newest_at(&a, 1, 1);
	until_newest_at(&a, 2, 1);
	device_close(&a);
	r->hung = 1u << 1;
	ok(device_find(&b, r, "b", 3, 0, &f, &e));
	assert_int_equal(f->sequence, 1);
	assert_int_equal(f->stores[0].status, 0);
	assert_int_equal(f->stores[1].status, -EREMOTEIO);
	assert_non_null(strstr(f->stores[1].why, "answer"));
	assert_int_equal(f->stores[2].status, 0);
	device_find_end(&b);
}

/* ---- two devices at one sequence ---- */

static void change(struct device *d, const char *name)
{
	f_write(d, name, 0, name, strlen(name));
}

/*
 * a and b know commit 1 of n stores, and nothing of each other.  Each has written
 * something already: the directory is at all stores, and now here.
 */
static void two(struct rig *r, struct device *a, struct device *b, size_t n)
{
	drive(a, r, n, 2);
	a->copies = 1;
	change(a, "by a");
	for (size_t i = 0; i < n; i++)
		until_newest_at(a, i, 1);
	device_recover(b, r, "b", n, 1, 0);
	change(b, "by b");
}

static uint64_t begin(struct device *d)
{
	device_start(d);
	return onboard_request(d->onboard);
}

static int end(struct device *d, uint64_t ticket, unsigned ms, struct err *e)
{
	e->text[0] = '\0';
	return onboard_wait(d->onboard, ticket, ms, e);
}

static void who_has_more_than_half_of_the_stores_goes_on(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b, c;
	uint64_t ta, tb;

	two(r, &a, &b, 3);
	/* Each of them has one store, and neither knows of the third. */
	device_hang(&a, 1);
	device_hang(&a, 2);
	device_hang(&b, 0);
	device_hang(&b, 2);
	ta = begin(&a);
	tb = begin(&b);
	until_newest_at(&a, 0, 2);
	until_newest_at(&b, 1, 2);
	assert_int_equal(end(&a, ta, 500, &e), -ETIMEDOUT);
	assert_int_equal(end(&b, tb, 500, &e), -ETIMEDOUT);

	/* One against one: the third decides, and it is too early to give up. */
	device_wake(&b, 0);
	assert_int_equal(end(&b, tb, 2000, &e), -ETIMEDOUT);
	device_wake(&a, 2);
	ok(end(&a, ta, RIG_WAIT_MS, &e));
	device_wake(&b, 2);
	assert_int_equal(end(&b, tb, RIG_WAIT_MS, &e), -ESTALE);
	assert_non_null(strstr(e.text, "another device has published commit 2"));

	/* The winner goes on, at the store that had the other's claim, too. */
	device_wake(&a, 1);
	f_write(&a, "again", 0, "a", 1);
	ok(device_sync(&a));
	until_newest_at(&a, 1, 3);
	device_close(&a);
	device_close(&b);
	device_recover(&c, r, "c", 3, 1, 0);
	(void)f_lookup(&c, "by a", NULL);
	(void)f_lookup(&c, "again", NULL);
	device_close(&c);
}

static void two_halves_stop_both_and_recover_goes_on(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b, c;
	uint64_t ta, tb;

	two(r, &a, &b, 2);
	device_hang(&a, 1);
	device_hang(&b, 0);
	ta = begin(&a);
	tb = begin(&b);
	until_newest_at(&a, 0, 2);
	until_newest_at(&b, 1, 2);
	device_wake(&a, 1);
	device_wake(&b, 0);
	assert_int_equal(end(&a, ta, RIG_WAIT_MS, &e), -ESTALE);
	assert_non_null(strstr(e.text, "split"));
	assert_non_null(strstr(e.text, "recover"));
	assert_int_equal(end(&b, tb, RIG_WAIT_MS, &e), -ESTALE);
	assert_non_null(strstr(e.text, "split"));
	device_close(&a);
	device_close(&b);

	/* Both are named; one is taken, and the next commit is the last word. */
	ok(device_find(&c, r, "c", 2, 0, &f, &e));
	assert_int_equal(f->sequence, 2);
	assert_false(f->stores[0].other_head);
	assert_true(f->stores[1].other_head);
	device_find_end(&c);
	rig_remove(r, "c");
	device_recover(&c, r, "c", 2, 1, 0);
	device_start(&c);
	(void)f_lookup(&c, "by a", NULL);
	f_write(&c, "by c", 0, "c", 1);
	ok(device_sync(&c));
	until_newest_at(&c, 0, 3);
	until_newest_at(&c, 1, 3);
	device_close(&c);
	device_recover(&b, r, "d", 2, 1, 0);
	(void)f_lookup(&b, "by c", NULL);
	device_close(&b);
}

/*
 * What recover found at less than half of the stores may still be overtaken: it
 * is published again, by the rules, before anything stands on it.
 */
static void what_recover_took_from_one_store_is_fenced(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b, c;
	uint64_t ta, tb, tc;

	two(r, &a, &b, 3);
	device_hang(&a, 1);
	device_hang(&a, 2);
	ta = begin(&a);
	until_newest_at(&a, 0, 2);
	assert_int_equal(end(&a, ta, 200, &e), -ETIMEDOUT);
	device_close(&a);

	/* c sees a's commit at one of three stores; b then publishes its own. */
	device_recover(&c, r, "c", 3, 1, 0);
	device_hang(&b, 0);
	tb = begin(&b);
	ok(end(&b, tb, RIG_WAIT_MS, &e));
	change(&c, "by c");
	tc = begin(&c);
	assert_int_equal(end(&c, tc, RIG_WAIT_MS, &e), -ESTALE);
	device_close(&c);
	device_close(&b);

	/* Of two commits of one number recover takes the one that most have. */
	device_recover(&c, r, "d", 3, 1, 0);
	(void)f_lookup(&c, "by b", NULL);
	device_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_store_that_hangs_holds_up_no_other),
		T(a_store_that_wakes_up_is_caught_up_with_at_once),
		T(reads_go_to_a_store_that_answers),
		T(a_read_that_only_a_hung_store_can_serve_is_an_error),
		T(a_commit_waits_for_a_chunk_of_a_hung_store),
		T(a_failed_run_is_told_to_its_own_ticket_only),
		T(recover_takes_the_stores_that_answer),
		T(who_has_more_than_half_of_the_stores_goes_on),
		T(two_halves_stop_both_and_recover_goes_on),
		T(what_recover_took_from_one_store_is_fenced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
