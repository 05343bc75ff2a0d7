/*
 * test_unsure.c - gc where something is not known: what is needed, and what may go
 *
 * A row of the ledger is taken away, as no working drive loses one: a link then names
 * a piece that nobody knows.  Or a node cannot be read, so that nobody knows what is
 * below it.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "dag/file.h"
#include "wreck.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* What is dead if all snapshots are given up. */
static struct onboard_gc_sum dead(struct device *d)
{
	return device_gc_with(d, (struct onboard_gc){ .forget_before = 100 }).dead;
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

/* The file "f" of 9 MiB, sealed anew since its piece is damaged; nothing links into
 * that one any more.  And "kept", of 12 MiB. */
static void with_a_damaged_piece(struct device *a, struct rig *r)
{
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
	ok(device_verify(a, NULL));
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

/* Only this drive directory knows of the file, and not what it is made of. */
static void nothing_is_condemned_while_an_open_file_cannot_be_read(void **state)
{
	const struct slice name = slice_str("f");
	struct onboard_gc g = { .remove = true, .forget_before = 100 };
	struct cache_op op = { .uid = 0 };
	struct rig *r = *state;
	struct cache_attr at;
	struct device a, b;
	struct err e = { "" };
	uint64_t bytes;
	struct link l;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 9 * MIB, 1);
	ok(device_sync(&a));
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	b.stores[0]->metered = true;
	device_start(&b);
	l = link_at(&b, "f");
	(void)f_lookup(&b, "f", NULL);
	ok(cache_lookup(b.cache, &op, CACHE_ROOT_INO, name, &at)); /* held */
	f_unlink(&b, "f");
	ok(device_sync(&b));
	break_block(&b, &l);
	bytes = store_bytes(r, "s0");
	assert_true(onboard_gc(b.onboard, &g, no_progress, NULL, &e) < 0);
	assert_int_equal(g.condemned.pieces, 0);
	(void)piece_of(&b, LEDGER_HELD, 9);
	assert_true(store_bytes(r, "s0") >= bytes);
	cache_forget(b.cache, at.ino, 1);
	device_close(&b);
}

/* Who recovers would be told that it is lost. */
static void a_commit_behind_a_gc_lists_nothing_that_is_removed(void **state)
{
	struct onboard_gc g;
	struct recover_found *found = NULL;
	struct rig *r = *state;
	struct device a, b;
	struct err e = { "" };

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "gone", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	f_unlink(&a, "gone");
	f_fill(&a, "kept", 0, 1000, 2);
	ok(device_sync(&a));
	g = device_gc(&a, 100);
	assert_in_range(g.condemned.bytes, 3 * MIB, 4 * MIB);
	device_close(&a);
	ok(device_find(&b, r, "b", 1, 0, &found, &e));
	assert_true(found->n_pieces > 0);
	assert_int_equal(found->n_missing, 0);
	recover_found_free(found);
	device_find_end(&b);
}

/* Nobody has opened it here: all that is known of the file stands in a shard. */
static void a_file_in_a_large_directory_is_needed(void **state)
{
	struct rig *r = *state;
	struct device a, b;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "many");
	plant_many(&a, "many", 0, 5000);
	f_fill(&a, "many/f", 0, 9 * MIB, 1);
	ok(device_sync(&a));
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	assert_true(dead(&b).bytes < MIB);
	device_close(&b);
}

/* Everything else of its piece is made anew by the second commit. */
static void a_set_of_attributes_alone_keeps_its_piece(void **state)
{
	struct onboard_gc g;
	struct rig *r = *state;
	struct device a;
	uint8_t set[3000];
	char *want;

	for (size_t i = 0; i < sizeof(set); i++)
		set[i] = (uint8_t)(i * i / 7);
	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "d");
	f_mkdir(&a, "d/e");
	f_xattr(&a, "d/e", "user.large", set, sizeof(set));
	ok(device_sync(&a));
	f_write(&a, "d/f", 0, "f", 1);
	ok(device_sync(&a));
	f_write(&a, "d/g", 0, "g", 1);
	ok(device_sync(&a));
	g = device_gc(&a, 100);
	assert_true(g.condemned.pieces > 0);
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* What the list of the third commit says of the first one stands in the piece of the
 * second, of which nothing else is needed: that one is thinned out. */
static void an_old_list_of_snapshots_keeps_what_it_names(void **state)
{
	const uint64_t second = 2;
	struct recover_found *found = NULL;
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	for (int i = 0; i < 4; i++) {
		f_write(&a, "f", 0, &"0123"[i], 1);
		ok(device_sync(&a));
	}
	ok(ledger_heads_thin(a.ledger, &second, 1));
	(void)device_gc_with(&a, (struct onboard_gc){ .remove = true });
	device_close(&a);
	ok(device_find(&b, r, "b", 1, 4, &found, &e)); /* goes back to the third */
	assert_int_equal(found->sequence, 3);
	assert_true(found->n_retained > 0);
	assert_int_equal(found->retained[0].sequence, 1);
	recover_found_free(found);
	device_find_end(&b);
}

/* What its commit names is damaged; the same blocks stand in another piece. */
static void a_snapshot_keeps_the_piece_that_its_blocks_were_sealed_into_anew(void **state)
{
	struct onboard_gc g;
	const uint64_t thin[] = { 2, 3 };
	struct device a;

	with_a_damaged_piece(&a, *state);
	f_unlink(&a, "f");
	ok(device_sync(&a));
	/* of the commits that link the new piece none is kept */
	ok(ledger_heads_thin(a.ledger, thin, ARRAY_LEN(thin)));
	g = device_gc_with(&a, (struct onboard_gc){ .forget_before = 0 });
	assert_true(g.dead.bytes < MIB);
	assert_true(dead(&a).bytes > 17 * MIB); /* both */
	device_close(&a);
}

static void what_is_condemned_and_needed_stays_and_nothing_goes(void **state)
{
	struct onboard_gc g = { .remove = true, .forget_before = 100 };
	struct rig *r = *state;
	struct err e = { "" };
	struct device a;
	uint64_t o;
	size_t n;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 9 * MIB, 1);
	ok(device_sync(&a));
	o = piece_of(&a, LEDGER_HELD, 9);
	ok(ledger_condemn(a.ledger, &o, 1, &n));
	assert_int_equal(n, 1);
	assert_int_equal(onboard_gc(a.onboard, &g, no_progress, NULL, &e), -EUCLEAN);
	assert_true(piece_of(&a, LEDGER_HELD, 9) == o);
	ok(device_sync(&a));
	ok(onboard_gc(a.onboard, &g, no_progress, NULL, &e));
	assert_true(store_bytes(r, "s0") > 9 * MIB);
	device_close(&a);
}

/* ---- what goes ---- */

/* The piece of 9 MiB is condemned, as if a commit without it was published. */
static uint64_t condemned(struct device *d)
{
	uint64_t o = piece_of(d, LEDGER_HELD, 9);
	size_t n = 0;

	ok(ledger_condemn(d->ledger, &o, 1, &n));
	assert_int_equal(n, 1);
	ok(ledger_set_u64(d->ledger, LEDGER_CONDEMNED_AT, 1));
	return o;
}

/* A drive whose file of 9 MiB is gone again; its shippers have looked around. */
static void with_a_dead_piece(struct device *a, struct rig *r)
{
	device_init(a, r, "a", 1, 1);
	device_start(a);
	f_fill(a, "f", 0, 9 * MIB, 1);
	ok(device_sync(a));
	f_unlink(a, "f");
	ok(device_sync(a));
}

static void wait_a_bit(uint64_t end)
{
	assert_true(monotonic_ms() < end);
	assert_int_equal(usleep(10000), 0); /* others are at work */
}

static uint64_t left(struct device *d, size_t i)
{
	uint64_t pieces = 0, bytes = 0;

	ok(ledger_condemned(d->ledger, d->ids[i], &pieces, &bytes));
	return pieces;
}

static bool is_stopped(struct device *d)
{
	struct onboard_stats s;

	onboard_stats(d->onboard, &s);
	return s.phase == ONBOARD_STOPPED;
}

/* What was seen when it began to run says nothing. */
static void who_is_superseded_since_it_looked_removes_nothing(void **state)
{
	struct rig *r = *state;
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct piece_cid none;
	struct device a, b;

	with_a_dead_piece(&a, r);
	device_recover(&b, r, "b", 1, 1, 2); /* where the file was */
	device_start(&b);
	f_write(&b, "g", 0, "g", 1);
	ok(device_sync(&b));
	(void)condemned(&a);
	onboard_gc_look(a.onboard);
	while (!is_stopped(&a) && left(&a, 0))
		wait_a_bit(end);
	/* Until it begins a turn anew, the one that has found out is over. */
	device_late(&a, 0, PROVIDER_ATTACH);
	onboard_gc_look(a.onboard);
	device_late_cid(&a, 0, &none);
	device_let_go(&a, 0);
	assert_int_equal(left(&a, 0), 1);
	device_close(&a);
	assert_true(store_bytes(r, "s0") > 9 * MIB);
	device_close(&b);
}

/* From then on no copy there counts, whatever becomes of it. */
static void what_a_store_is_asked_to_remove_is_written_down_before(void **state)
{
	struct rig *r = *state;
	uint64_t end = monotonic_ms() + RIG_WAIT_MS, o;
	struct ledger_placement p;
	struct device a;

	with_a_dead_piece(&a, r);
	device_hold(&a, 0, PROVIDER_REMOVE);
	o = condemned(&a);
	onboard_gc_look(a.onboard);
	do {
		wait_a_bit(end);
		ok(ledger_placement_get(a.ledger, o, a.ids[0], &p));
	} while (p.state != LEDGER_REMOVING);
	device_wake(&a, 0);
	while (left(&a, 0))
		wait_a_bit(end);
	assert_true(store_bytes(r, "s0") < MIB);
	device_close(&a);
}

static void what_a_store_cannot_remove_it_removes_later(void **state)
{
	struct rig *r = *state;
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	char file[256], kept[128];
	struct ledger_store s;
	struct device a;

	with_a_dead_piece(&a, r);
	piece_path(&a, piece_of(&a, LEDGER_HELD, 9), file, sizeof(file));
	rig_path(r, "kept", kept, sizeof(kept));
	assert_int_equal(rename(file, kept), 0);
	assert_int_equal(mkdir(file, 0700), 0); /* no file can be removed there */
	(void)condemned(&a);
	onboard_gc_look(a.onboard);
	do {
		wait_a_bit(end);
		ok(ledger_store_get(a.ledger, a.ids[0], &s));
	} while (left(&a, 0) && !s.error[0]);
	assert_int_equal(left(&a, 0), 1);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(rename(kept, file), 0);
	onboard_retry(a.onboard);
	while (left(&a, 0))
		wait_a_bit(end);
	assert_true(store_bytes(r, "s0") < MIB);
	device_close(&a);
}

/* Somebody may have published there since. */
static void nothing_is_removed_while_the_register_cannot_be_read(void **state)
{
	struct rig *r = *state;
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	char heads[128], kept[128];
	struct ledger_store s;
	struct device a;
	FILE *f;

	with_a_dead_piece(&a, r);
	rig_path(r, "s0/heads", heads, sizeof(heads));
	rig_path(r, "s0/kept", kept, sizeof(kept));
	assert_int_equal(rename(heads, kept), 0);
	f = fopen(heads, "we");
	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
	(void)condemned(&a);
	onboard_gc_look(a.onboard);
	do {
		wait_a_bit(end);
		ok(ledger_store_get(a.ledger, a.ids[0], &s));
	} while (left(&a, 0) && !s.error[0]);
	assert_true(store_bytes(r, "s0") > 9 * MIB);
	assert_int_equal(unlink(heads), 0);
	assert_int_equal(rename(kept, heads), 0);
	onboard_retry(a.onboard);
	while (left(&a, 0))
		wait_a_bit(end);
	assert_true(store_bytes(r, "s0") < MIB);
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_block_that_is_nowhere_may_be_in_a_piece_that_nobody_has_read),
		T(a_block_that_is_nowhere_may_be_in_a_damaged_piece),
		T(a_block_that_only_damaged_pieces_had_may_be_in_any_of_them),
		T(nothing_is_condemned_while_an_open_file_cannot_be_read),
		T(a_file_in_a_large_directory_is_needed),
		T(a_set_of_attributes_alone_keeps_its_piece),
		T(an_old_list_of_snapshots_keeps_what_it_names),
		T(a_snapshot_keeps_the_piece_that_its_blocks_were_sealed_into_anew),
		T(what_is_condemned_and_needed_stays_and_nothing_goes),
		T(a_commit_behind_a_gc_lists_nothing_that_is_removed),
		T(who_is_superseded_since_it_looked_removes_nothing),
		T(what_a_store_is_asked_to_remove_is_written_down_before),
		T(what_a_store_cannot_remove_it_removes_later),
		T(nothing_is_removed_while_the_register_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
