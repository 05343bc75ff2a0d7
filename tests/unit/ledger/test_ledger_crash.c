/* test_ledger_crash.c - power cuts and failing calls under a ledger */
#include "common.h"

#include <string.h>

/*
 * A history of single operations.  The nth leaves one mark that can be counted,
 * so that what a reopened ledger shows is a number of operations.
 */
#define N_OPS 14

static const char *const urls[] = { "dir:///a", "dir:///b" };

static uint64_t ordinal_of(unsigned n)
{
	return piece_ordinal(HIGH_WRITER, n);
}

static int op_ready(struct ledger *l, unsigned n, uint32_t first)
{
	struct ledger_block b[3];
	struct piece_cid cid = test_cid((uint8_t)n);

	for (uint32_t i = 0; i < 3; i++)
		b[i] = test_block(first + i);
	return ledger_piece_ready(l, ordinal_of(n), &cid, 1000, b, 3);
}

static int op_head(struct ledger *l)
{
	struct ledger_adopt a[] = { { 5, 50, slice_str("x") },
				    { 6, 60, slice_str("y") } };
	struct ledger_head h = { .seq = 1,
				 .state = LEDGER_BUILT,
				 .body = slice_str("body") };
	uint64_t o[] = { ordinal_of(1), ordinal_of(2) };

	return ledger_head_add(l, &h, o, 2, 3, a, 2);
}

static int op_place(struct ledger *l, enum ledger_placement_state state)
{
	struct ledger_placement p = { .piece = ordinal_of(1),
				      .store = 1,
				      .state = state };

	return ledger_placement_set(l, &p);
}

static int op_node(struct ledger *l, uint8_t seed)
{
	uint8_t d[LINK_DIGEST_SIZE] = { seed };

	return ledger_node_put(l, d, slice_str("a node's body"));
}

static int operate(struct ledger *l, int i)
{
	uint64_t v, ids[2];

	switch (i) {
	case 0: return ledger_set_u64(l, LEDGER_WRITER, HIGH_WRITER);
	case 1: return ledger_stores_set(l, urls, 2, ids);
	case 2: return ledger_piece_begin(l, PIECE_DATA, 1, &v);
	case 3: return op_ready(l, 1, 10);
	case 4: return ledger_piece_begin(l, PIECE_META, 1, &v);
	case 5: return op_ready(l, 2, 20);
	case 6: return op_head(l);
	case 7: return op_place(l, LEDGER_STORED);
	case 8: return op_place(l, LEDGER_VERIFIED);
	case 9: return ledger_piece_set(l, ordinal_of(1), LEDGER_HELD, false);
	case 10: return ledger_head_set(l, 1, LEDGER_CLAIMED);
	case 11: return ledger_adopted(l, 3);
	case 12: return ledger_set_u64(l, LEDGER_HEAD_SEEN, 1);
	default:
		return ledger_piece_set(l, ordinal_of(2), LEDGER_CONDEMNED, true);
	}
}

static int count_head(void *ctx, const struct ledger_head *h)
{
	*(enum ledger_head_state *)ctx = h->state;
	return 0;
}

static int count_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	(void)gen;
	(void)a;
	++*(int *)ctx;
	return 0;
}

static bool has(struct ledger *l, enum ledger_key k)
{
	uint64_t v = 0;
	int r = ledger_get_u64(l, k, &v);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

static unsigned blocks_found(struct ledger *l, uint32_t first)
{
	struct ledger_block b;
	unsigned n = 0;
	uint64_t o;
	int r;

	for (uint32_t i = 0; i < 3; i++) {
		r = ledger_block_find(l, test_block(first + i).digest, &b, &o);
		assert_true(r == 0 || r == -ENOENT);
		n += r == 0;
	}
	assert_true(n == 0 || n == 3); /* with its piece or not at all */
	return n;
}

/*
 * Which of the operations show?  Bit i for operation i; open drops BUILDING
 * pieces, so that 2 and 4 show in the counter.
 */
static unsigned shown(struct ledger *l)
{
	enum ledger_head_state head = LEDGER_HEAD_NX;
	struct ledger_placement pl = { 0 };
	struct ledger_piece a = { 0 }, b = { 0 };
	struct ledger_store store;
	uint64_t counter = 0;
	unsigned bits = 0;
	int adopts = 0;

	if (ledger_get_u64(l, LEDGER_COUNTER, &counter) < 0)
		counter = 0;
	(void)(ledger_piece_get(l, ordinal_of(1), &a) < 0); /* zero: absent */
	(void)(ledger_piece_get(l, ordinal_of(2), &b) < 0);
	(void)(ledger_placement_get(l, ordinal_of(1), 1, &pl) < 0);
	(void)(ledger_head_get(l, 1, count_head, &head) < 0);
	assert_int_equal(ledger_adopts(l, count_adopt, &adopts), 0);
	bits |= has(l, LEDGER_WRITER) ? 1u << 0 : 0;
	bits |= ledger_store_get(l, 2, &store) == 0 ? 1u << 1 : 0;
	bits |= counter >= 1 ? 1u << 2 : 0;
	bits |= a.state >= LEDGER_READY ? 1u << 3 : 0;
	bits |= counter >= 2 ? 1u << 4 : 0;
	bits |= b.state >= LEDGER_READY ? 1u << 5 : 0;
	bits |= head != LEDGER_HEAD_NX ? 1u << 6 : 0;
	bits |= pl.state >= LEDGER_STORED ? 1u << 7 : 0;
	bits |= pl.state == LEDGER_VERIFIED ? 1u << 8 : 0;
	bits |= a.state == LEDGER_HELD && !a.outbox ? 1u << 9 : 0;
	bits |= head == LEDGER_CLAIMED ? 1u << 10 : 0;
	bits |= head != LEDGER_HEAD_NX && adopts == 0 ? 1u << 11 : 0;
	bits |= has(l, LEDGER_HEAD_SEEN) ? 1u << 12 : 0;
	bits |= b.state == LEDGER_CONDEMNED ? 1u << 13 : 0;

	assert_int_equal(blocks_found(l, 10), bits & 1u << 3 ? 3 : 0);
	assert_int_equal(blocks_found(l, 20),
			 (bits & 1u << 5) && !(bits & 1u << 13) ? 3 : 0);
	if (bits & 1u << 6) {
		assert_true(a.seq == 1 && b.seq == 1);
		assert_true(adopts == 2 || adopts == 0);
	} else {
		assert_true(a.seq == 0 && b.seq == 0 && adopts == 0);
	}
	return bits;
}

static int prefix_of(unsigned bits)
{
	int n = 0;

	while (bits & 1u << n)
		n++;
	assert_int_equal(bits >> n, 0); /* no later one without an earlier */
	return n;
}

/* Opens what a cut left, counts, works on to the end, and opens again. */
static int live_on(struct recorder *disk)
{
	struct ledger *l = open_ledger(disk);
	uint64_t v, ids[2];
	int n = prefix_of(shown(l));

	/* Whatever it was, the drive goes on with new pieces. */
	assert_int_equal(ledger_set_u64(l, LEDGER_WRITER, HIGH_WRITER), 0);
	assert_int_equal(ledger_stores_set(l, urls, 2, ids), 0);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ledger_piece_begin(l, PIECE_DATA, 1, &v), 0);
	assert_true(v > ordinal_of(n > 4 ? 2 : n > 2));
	l = reopen(disk, l);
	assert_int_equal(pieces_in(l, LEDGER_BUILDING).n, 0);
	ledger_close(l);
	return n;
}

static void every_cut_shows_a_prefix_of_what_was_acknowledged(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct ledger *l = open_ledger(rec);
	size_t acked[N_OPS + 1] = { recorder_length(rec) };
	int done = 0, n;

	(void)state;
	for (int i = 0; i < N_OPS; i++) {
		if (i % 3 == 1)
			assert_int_equal(op_node(l, (uint8_t)i), 0);
		assert_int_equal(operate(l, i), 0);
		acked[i + 1] = recorder_length(rec);
	}
	assert_int_equal(op_node(l, 99), 0);
	ledger_close(l);
	for (size_t at = 0; at <= recorder_length(rec); at++) {
		while (done < N_OPS && acked[done + 1] <= at)
			done++;
		for (uint64_t seed = 0; seed < 5; seed++) {
			struct recorder_cut cut = {
				at, seed < 2 ? (enum recorder_lose)seed : RECORDER_SOME, seed
			};

			assert_int_equal(recorder_replay(rec, &cut, &disk), 0);
			n = live_on(disk);
			assert_in_range(n, done, MIN(done + 1, N_OPS));
			recorder_free(disk);
		}
	}
	assert_int_equal(done, N_OPS);
	recorder_free(rec);
}

/* ---- faults ---- */

struct sweep {
	unsigned kinds;
	int err;
	bool sticky;
};

/* Operations done before one failed; its error to *ret. */
static int work_under_faults(struct ledger *l, int *ret)
{
	int i;

	*ret = 0;
	for (i = 0; i < N_OPS && *ret == 0; i++) {
		if (i % 3 == 1)
			*ret = op_node(l, (uint8_t)i);
		if (*ret == 0)
			*ret = operate(l, i);
	}
	return *ret < 0 ? i - 1 : i;
}

/* One fault at call n.  Was it hit? */
static bool one_fault(const struct sweep *s, uint64_t n, unsigned *failures)
{
	struct recorder *rec = new_disk();
	struct ledger *l = NULL;
	int done = 0, r, seen;
	bool hit;

	recorder_fail(rec, s->kinds, n, s->err, s->sticky);
	r = try_open(rec, true, &l);
	if (r == 0)
		done = work_under_faults(l, &r);
	hit = recorder_failed(rec) > 0;
	recorder_fail(rec, 0, 0, 0, false);
	if (r < 0) {
		assert_true(hit);
		assert_true(r == -s->err || r == -EIO);
		++*failures;
	}
	/*
	 * It goes on in the same life: what was refused can be done now, or was
	 * done; then the rest.
	 */
	for (int i = done; l && i < N_OPS; i++) {
		int rc = operate(l, i);

		assert_true(rc == 0 || (i == done && rc == -ENOENT));
	}
	ledger_close(l);
	l = open_ledger(rec);
	seen = prefix_of(shown(l));
	if (done || seen)
		assert_true(seen == N_OPS);
	ledger_close(l);
	recorder_free(rec);
	return hit;
}

static void every_failing_call_is_an_errno_and_the_ledger_goes_on(void **state)
{
	static const struct sweep sweeps[] = {
		{ RECORDER_ANY, EIO, false },
		{ RECORDER_WRITE | RECORDER_ALLOCATE, ENOSPC, false },
		{ RECORDER_WRITE | RECORDER_ALLOCATE, ENOSPC, true },
		{ RECORDER_SYNC, EIO, true },
	};
	unsigned failures;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sweeps); i++) {
		failures = 0;
		for (uint64_t n = 0; one_fault(&sweeps[i], n, &failures); n++)
			;
		assert_true(failures > 5);
	}
}

/* A crash right behind a failure: what was acknowledged is there. */
static void a_crash_after_a_fault_loses_nothing_acknowledged(void **state)
{
	struct recorder *rec, *disk;
	struct ledger *l;
	bool hit = true;
	int done, r, seen;

	(void)state;
	for (uint64_t n = 0; hit; n++) {
		struct recorder_cut cut = { 0, RECORDER_SOME, n };

		rec = new_disk();
		recorder_fail(rec, RECORDER_ANY, n, EIO, true);
		l = NULL;
		done = 0;
		r = try_open(rec, true, &l);
		if (r == 0)
			done = work_under_faults(l, &r);
		hit = recorder_failed(rec) > 0;
		cut.at = recorder_length(rec);
		assert_int_equal(recorder_replay(rec, &cut, &disk), 0);
		recorder_fail(rec, 0, 0, 0, false);
		ledger_close(l);
		l = open_ledger(disk);
		seen = prefix_of(shown(l));
		assert_in_range(seen, done, MIN(done + 1, N_OPS));
		ledger_close(l);
		recorder_free(disk);
		recorder_free(rec);
	}
}

/* The reads that follow a put are in its transaction, and may end it. */
static void a_failing_read_does_not_confuse_open_puts(void **state)
{
	struct recorder *rec = new_disk();
	struct ledger *l = new_ledger(rec, HIGH_WRITER);
	struct ledger_block b;
	uint64_t o;
	int r;

	(void)state;
	for (uint32_t i = 0; i < 12; i++)
		(void)add_ready(l, i * 64, 64);
	for (uint64_t n = 0; n < 40; n++) {
		l = reopen(rec, l);
		assert_int_equal(op_node(l, (uint8_t)n), 0);
		recorder_fail(rec, RECORDER_READ, n % 7, EIO, false);
		for (uint32_t i = 0; i < 12 * 64; i += 19) {
			r = ledger_block_find(l, test_block(i).digest, &b, &o);
			assert_true(r == 0 || r == -EIO);
		}
		recorder_fail(rec, 0, 0, 0, false);
		assert_int_equal(ledger_set_u64(l, LEDGER_BASE, n), 0);
	}
	ledger_close(l);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_shows_a_prefix_of_what_was_acknowledged),
		cmocka_unit_test(every_failing_call_is_an_errno_and_the_ledger_goes_on),
		cmocka_unit_test(a_crash_after_a_fault_loses_nothing_acknowledged),
		cmocka_unit_test(a_failing_read_does_not_confuse_open_puts),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
