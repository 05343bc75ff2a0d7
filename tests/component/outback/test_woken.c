/*
 * test_woken.c - a shipper that is woken looks no further than it has to
 *
 * Looks through what is held are counted here.
 */
#include "rig.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

#define MIB     (1u << 20)
#define WAKES   300
#define LOOK_MS 5000 /* between two looks at what has to wait */
#define FEW     (WAKES / 10)
#define T(f)    cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

typedef int piece_cb(void *ctx, const struct ledger_piece *p);

int __real_ledger_pieces(struct ledger *l, enum ledger_piece_state state,
			 piece_cb *cb, void *ctx);
int __wrap_ledger_pieces(struct ledger *l, enum ledger_piece_state state,
			 piece_cb *cb, void *ctx);
int __real_ledger_pieces_from(struct ledger *l, enum ledger_piece_state state,
			      uint64_t ordinal, piece_cb *cb, void *ctx);
int __wrap_ledger_pieces_from(struct ledger *l, enum ledger_piece_state state,
			      uint64_t ordinal, piece_cb *cb, void *ctx);

/* Looks through what is held, and the pieces that were looked at. */
static atomic_uint looks, looked_at;

struct look {
	piece_cb *cb;
	void *ctx;
};

static int on_look(void *ctx, const struct ledger_piece *p)
{
	const struct look *l = ctx;

	atomic_fetch_add(&looked_at, 1);
	return l->cb(l->ctx, p);
}

int __wrap_ledger_pieces_from(struct ledger *l, enum ledger_piece_state state,
			      uint64_t ordinal, piece_cb *cb, void *ctx)
{
	struct look look = { .cb = cb, .ctx = ctx };

	if (state != LEDGER_HELD)
		return __real_ledger_pieces_from(l, state, ordinal, cb, ctx);
	atomic_fetch_add(&looks, 1);
	return __real_ledger_pieces_from(l, state, ordinal, on_look, &look);
}

int __wrap_ledger_pieces(struct ledger *l, enum ledger_piece_state state,
			 piece_cb *cb, void *ctx)
{
	return __wrap_ledger_pieces_from(l, state, 0, cb, ctx);
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	*(uint64_t *)ctx = p->ordinal;
	return 1;
}

/* A held piece of two stores that the second has to get again, `after_s` from now. */
static uint64_t begin(struct device *a, struct rig *r, unsigned after_s)
{
	struct ledger_placement p = { .state = LEDGER_STORED, .attempts = 3 };

	device_init(a, r, "a", 2, 2);
	device_start(a);
	f_fill(a, "f", 0, 3 * MIB, 1);
	ok(device_sync(a));
	device_close(a);
	device_open(a);
	ok(ledger_pieces(a->ledger, LEDGER_HELD, on_piece, &p.piece));
	assert_true(p.piece);
	p.store = a->ids[1];
	p.next_try = (uint64_t)time(NULL) + after_s;
	ok(ledger_placement_set(a->ledger, &p));
	atomic_store(&looks, 0);
	device_start(a);
	return p.piece;
}

static void until_looked(unsigned n)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (atomic_load(&looks) < n) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(1000), 0); /* others are at work */
	}
}

static void who_is_woken_does_not_look_again_at_what_has_to_wait(void **state)
{
	uint64_t began = monotonic_ms();
	struct rig *r = *state;
	struct device a;
	unsigned n;

	(void)begin(&a, r, 3000);
	until_looked(2); /* each of the two has */
	for (unsigned i = 0; i < WAKES; i++) {
		onboard_full(a.onboard);
		assert_int_equal(usleep(10000), 0); /* it would look now */
	}
	n = atomic_load(&looks);
	assert_in_range(n, 2, FEW + (monotonic_ms() - began) / LOOK_MS);
	device_close(&a);
}

static void what_had_to_wait_comes_when_it_is_time(void **state)
{
	uint64_t piece, end = monotonic_ms() + RIG_WAIT_MS;
	struct ledger_placement p = { .state = LEDGER_STORED };
	struct rig *r = *state;
	struct device a;

	piece = begin(&a, r, 2);
	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		ok(ledger_placement_get(a.ledger, piece, a.ids[1], &p));
	} while (p.state != LEDGER_VERIFIED);
	device_close(&a);
}

#define READ_BACK 40 /* pieces */

/* Those that only their store says it has. */
static unsigned unread(struct device *d)
{
	struct ledger_holding h = { 0 };

	ok(ledger_store_sums(d->ledger, d->ids[0], &h));
	return (unsigned)h.unread_pieces;
}

static int on_held(void *ctx, const struct ledger_piece *p)
{
	struct device *d = ctx;
	struct ledger_placement place = { .piece = p->ordinal,
					  .store = d->ids[0],
					  .state = LEDGER_LISTED };

	return ledger_placement_set(d->ledger, &place);
}

/* A store says that it has `n` pieces, as after a recover. */
static void begin_unread(struct device *a, struct rig *r, unsigned n)
{
	char name[16];

	device_init(a, r, "a", 1, 1);
	a->piece_target = MIB;
	device_start(a);
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		f_fill(a, name, 0, MIB, i + 1);
	}
	ok(device_sync(a));
	device_close(a);
	device_open(a);
	ok(ledger_pieces(a->ledger, LEDGER_HELD, on_held, a));
	assert_true(unread(a) >= n);
}

/* Each is read back alone, and there may be thousands. */
static void what_is_read_back_is_looked_through_a_few_times(void **state)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct device a;
	unsigned n;

	begin_unread(&a, r, READ_BACK);
	n = unread(&a);
	atomic_store(&looked_at, 0);
	device_start(&a);
	while (unread(&a)) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
	}
	/* Not half of all for each. */
	assert_in_range(atomic_load(&looked_at), n, 8 * n);
	device_close(&a);
}

/* The next one that is read back; it waits until the next call. */
static void next_read_back(struct device *d, bool first, struct piece_cid *ret)
{
	device_late(d, 0, PROVIDER_VERIFY);
	if (first)
		device_start(d);
	else
		device_let_go(d, 0);
	device_late_cid(d, 0, ret);
}

/* What was passed by, and is in doubt now, does not wait for all that comes behind. */
static void what_is_doubted_is_read_back_before_the_rest(void **state)
{
	struct piece_cid first, second, third;
	struct ledger_piece p = { 0 };
	struct rig *r = *state;
	struct device a;

	begin_unread(&a, r, 6);
	next_read_back(&a, true, &first);
	next_read_back(&a, false, &second);
	ok(ledger_pieces(a.ledger, LEDGER_HELD, on_piece, &p.ordinal));
	ok(ledger_piece_get(a.ledger, p.ordinal, &p));
	assert_true(piece_cid_eq(&p.cid, &first));
	assert_int_equal(
		ledger_placement_doubt(a.ledger, p.ordinal, a.ids[0], "?"), 1);
	onboard_doubted(a.onboard, a.ids[0], p.ordinal);
	next_read_back(&a, false, &third);
	assert_true(piece_cid_eq(&third, &first));
	device_let_go(&a, 0);
	device_close(&a);
}

static int on_metadata(void *ctx, const struct ledger_piece *p)
{
	*(bool *)ctx |= p->kind == PIECE_META;
	return 0;
}

static unsigned outbox(struct device *d)
{
	struct ledger_sums s = { 0 };

	ok(ledger_sums(d->ledger, &s));
	return (unsigned)s.outbox_pieces;
}

/* A piece of metadata gets a copy more; who is busy meanwhile finds it held. */
static void a_copy_more_comes_from_who_was_busy_too(void **state)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct onboard_stats os;
	bool meta = false;
	struct device a;
	char name[16];

	device_init(&a, r, "a", 2, 1);
	a.piece_target = MIB;
	device_start(&a);
	device_hold(&a, 1, PROVIDER_PUT);
	for (unsigned i = 0; i < 6; i++) { /* of 6 pieces some go to either */
		(void)snprintf(name, sizeof(name), "%u", i);
		f_fill(&a, name, 0, MIB, i + 1);
	}
	(void)onboard_request(a.onboard);
	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		onboard_stats(a.onboard, &os);
	} while (!os.built);
	f_mkdir(&a, "a commit of metadata alone");
	(void)onboard_request(a.onboard);
	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		ok(ledger_pieces(a.ledger, LEDGER_HELD, on_metadata, &meta));
	} while (!meta);
	device_wake(&a, 1);
	ok(device_sync(&a));
	while (outbox(&a)) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
	}
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_is_woken_does_not_look_again_at_what_has_to_wait),
		T(what_had_to_wait_comes_when_it_is_time),
		T(what_is_read_back_is_looked_through_a_few_times),
		T(what_is_doubted_is_read_back_before_the_rest),
		T(a_copy_more_comes_from_who_was_busy_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
