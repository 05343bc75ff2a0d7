/* test_split.c - two devices that publish the same sequence */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

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
	device_begun(a, r, n, 2);
	a->copies = 1;
	change(a, "by a");
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
	device_until_newest(&a, 0, 2);
	device_until_newest(&b, 1, 2);
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
	device_until_newest(&a, 1, 3);
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
	device_until_newest(&a, 0, 2);
	device_until_newest(&b, 1, 2);
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
	device_until_newest(&c, 0, 3);
	device_until_newest(&c, 1, 3);
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
	device_until_newest(&a, 0, 2);
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

static void what_half_of_the_stores_have_is_not_published_yet(void **state)
{
	struct rig *r = *state;
	struct device a, c;
	uint64_t seq = 0;

	device_begun(&a, r, 2, 2);
	a.copies = 1;
	change(&a, "by a");
	device_hang(&a, 1);
	(void)begin(&a);
	device_until_newest(&a, 0, 2);
	device_close(&a);

	device_recover(&c, r, "c", 2, 1, 0);
	ok(ledger_newest_head(c.ledger, &seq));
	assert_int_equal(seq, 2);
	ok(ledger_newest_claimed(c.ledger, &seq));
	assert_true(seq < 2);
	device_start(&c);
	ok(device_sync(&c));
	assert_int_equal(device_newest_at(&c, 0), device_newest_at(&c, 1));
	ok(ledger_newest_claimed(c.ledger, &seq));
	assert_true(seq >= 2);
	device_close(&c);
}

struct finding {
	struct recover_params p;
	struct recover_found *found;
	struct err e;
	int status;
};

static void *find_thread(void *arg)
{
	struct finding *f = arg;

	f->status = recover_find(&f->p, &f->found, &f->e);
	return NULL;
}

/* Its pieces were not in the list yet, and its head is in the register already. */
static void recover_finds_a_commit_that_is_published_meanwhile(void **state)
{
	struct rig *r = *state;
	struct finding f = { .p = { .keys = r->keys }, .status = 1 };
	struct piece_cid none;
	struct device a, b;
	pthread_t thread;

	device_begun(&a, r, 1, 1);
	device_start(&a);
	device_look(&b, r, "b", 1);
	device_hold(&b, 0, PROVIDER_HEAD);
	device_late(&b, 0, PROVIDER_LIST);
	f.p.stores = b.stores;
	f.p.n_stores = 1;
	assert_int_equal(pthread_create(&thread, NULL, find_thread, &f), 0);
	device_late_cid(&b, 0, &none); /* it is listed */
	change(&a, "by a");
	ok(device_sync(&a));
	device_let_go(&b, 0);
	device_wake(&b, 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (f.status < 0)
		fail_msg("%s", f.e.text);
	assert_int_equal(f.found->sequence, 2);
	recover_found_free(f.found);
	device_find_end(&b);
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_has_more_than_half_of_the_stores_goes_on),
		T(two_halves_stop_both_and_recover_goes_on),
		T(what_recover_took_from_one_store_is_fenced),
		T(what_half_of_the_stores_have_is_not_published_yet),
		T(recover_finds_a_commit_that_is_published_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
