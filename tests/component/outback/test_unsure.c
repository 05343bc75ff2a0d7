/*
 * test_unsure.c - where gc does not know in which piece a needed block is
 *
 * A row of the ledger is taken away, as no working drive loses one: a link then names
 * a piece that nobody knows.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#include "dag/file.h"
#include "wreck.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* What is dead if all snapshots are given up. */
static struct onboard_gc_sum dead(struct device *d)
{
	struct onboard_gc g = { .forget_before = 100 };
	struct err e = { "" };

	if (onboard_gc(d->onboard, &g, no_progress, NULL, &e) < 0)
		fail_msg("gc: %s", e.text);
	return g.dead;
}

struct wanted {
	enum ledger_piece_state state;
	uint64_t min, max; /* bytes */
	struct ledger_piece found;
	unsigned n;
};

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct wanted *w = ctx;

	if (p->state != w->state || p->size < w->min || p->size > w->max)
		return 0;
	w->found = *p;
	w->n++;
	return 0;
}

/* The only one of this state that is so large, in MiB. */
static uint64_t piece_of(struct device *d, enum ledger_piece_state state,
			 unsigned mib)
{
	struct wanted w = { .state = state,
			    .min = (uint64_t)mib * MIB,
			    .max = (mib + 1ull) * MIB };

	ok(ledger_pieces(d->ledger, 0, on_piece, &w));
	assert_int_equal(w.n, 1);
	return w.found.ordinal;
}

/* Nobody has read the pieces of another device: their blocks are not known. */
static void a_block_that_is_nowhere_may_be_in_a_piece_that_nobody_has_read(void **state)
{
	struct rig *r = *state;
	struct onboard_gc_sum sum;
	struct device a, b;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "gone", 0, 9 * MIB, 1);
	ok(device_sync(&a));
	f_unlink(&a, "gone");
	f_fill(&a, "kept", 0, 12 * MIB, 2);
	ok(device_sync(&a));
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	b.stores[0]->metered = true; /* so much of it takes an hour */
	device_start(&b);
	sum = dead(&b);
	assert_in_range(sum.bytes, 9 * MIB, 10 * MIB);
	ok(ledger_piece_drop(b.ledger, piece_of(&b, LEDGER_HELD, 12)));
	sum = dead(&b);
	assert_true(sum.bytes < MIB);
	device_close(&b);
}

static void on_fault(void *ctx, const char *sentence)
{
	(void)ctx;
	print_message("# fault: %s\n", sentence);
}

/* The file "f" of 9 MiB, sealed anew since its piece is damaged; nothing links into
 * that one any more.  And "kept", of 12 MiB. */
static void with_a_damaged_piece(struct device *a, struct rig *r)
{
	struct err e = { "" };
	struct onboard_gc_sum sum;
	char path[256];
	FILE *f;

	device_init(a, r, "a", 1, 1);
	device_start(a);
	f_fill(a, "f", 0, 9 * MIB, 1);
	ok(device_sync(a));
	f_fill(a, "kept", 0, 12 * MIB, 2);
	ok(device_sync(a));
	piece_path(a, piece_of(a, LEDGER_HELD, 9), path, sizeof(path));
	f = fopen(path, "r+e");
	assert_non_null(f);
	assert_int_equal(fseek(f, 5 * MIB, SEEK_SET), 0);
	assert_true(fputs("damage", f) >= 0);
	assert_int_equal(fclose(f), 0);
	ok(onboard_verify(a->onboard, 100, on_fault, NULL, NULL, &e));
	ok(device_sync(a));
	sum = dead(a);
	assert_in_range(sum.bytes, 9 * MIB, 10 * MIB);
	(void)piece_of(a, LEDGER_PIECE_LOST, 9);
	(void)piece_of(a, LEDGER_HELD, 9);
}

static void a_block_that_is_nowhere_may_be_in_a_damaged_piece(void **state)
{
	struct device a;

	with_a_damaged_piece(&a, *state);
	ok(ledger_piece_drop(a.ledger, piece_of(&a, LEDGER_HELD, 12)));
	assert_true(dead(&a).bytes < MIB);
	device_close(&a);
}

/* As a writer leaves the index that knows the blocks of the damaged piece only. */
static void moved_into(struct device *d, uint64_t ordinal,
		       const struct ledger_block *v, size_t n)
{
	uint64_t now;

	for (size_t i = 0; i < n; i++) {
		struct ledger_block b;

		ok(ledger_blocks_add(d->ledger, ordinal, &v[i], 1));
		assert_int_equal(ledger_block_find(d->ledger, v[i].digest, &b, &now),
				 -ENOENT);
	}
}

static size_t leaves_of(struct device *d, const char *path,
			struct ledger_block *ret, size_t max)
{
	struct link l = link_at(d, path);
	struct file_child child;
	struct file_node node;
	struct file_iter it;
	struct buf body;
	uint64_t ordinal;
	size_t n = 0;

	buf_init(&body, 2 * MIB);
	ok(ledger_node_get(d->ledger, l.digest, &body));
	ok(file_node_parse(buf_slice(&body), LINK_DAGPB, true, &node));
	file_iter_init(&it, &node);
	while (file_iter_next(&it, &child) == 1) {
		assert_true(n < max);
		ok(ledger_block_find(d->ledger, child.link.digest, &ret[n++],
				     &ordinal));
	}
	buf_fini(&body);
	return n;
}

static void a_block_that_only_damaged_pieces_had_may_be_in_any_of_them(void **state)
{
	struct ledger_block leaves[16];
	struct device a;
	uint64_t lost;
	size_t n;

	with_a_damaged_piece(&a, *state);
	lost = piece_of(&a, LEDGER_PIECE_LOST, 9);
	n = leaves_of(&a, "f", leaves, ARRAY_LEN(leaves));
	assert_int_equal(n, 9);
	ok(ledger_piece_drop(a.ledger, piece_of(&a, LEDGER_HELD, 9)));
	moved_into(&a, lost, leaves, n);
	assert_true(dead(&a).bytes < MIB);
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_block_that_is_nowhere_may_be_in_a_piece_that_nobody_has_read),
		T(a_block_that_is_nowhere_may_be_in_a_damaged_piece),
		T(a_block_that_only_damaged_pieces_had_may_be_in_any_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
