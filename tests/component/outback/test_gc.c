/*
 * test_gc.c - pieces that nobody needs go, and nothing else does
 *
 * Commits of one day are all kept as snapshots, so that a look for what is dead
 * finds something only once snapshots are forgotten.  After each removal a bare
 * machine recovers the drive, and its newest tree and every snapshot are read from
 * end to end.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "parks.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* ---- gc ---- */

static int gc_fails(struct device *d, struct err *e)
{
	struct onboard_gc g = { .remove = true, .forget_before = 100 };

	e->text[0] = '\0';
	return onboard_gc(d->onboard, &g, no_progress, NULL, e);
}

/* ---- is all there? ---- */

struct seqs {
	uint64_t v[16];
	size_t n;
};

static int on_snapshot(void *ctx, const struct snapshot *s)
{
	struct seqs *v = ctx;

	assert_true(v->n < ARRAY_LEN(v->v));
	v->v[v->n++] = s->sequence;
	return 0;
}

static struct seqs snapshots(struct device *d)
{
	struct seqs v = { .n = 0 };

	ok(snapshot_list(d->ledger, on_snapshot, &v));
	return v;
}

static bool has(struct seqs v, uint64_t seq)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.v[i] == seq)
			return true;
	return false;
}

static char *snapshot_text(struct device *d, uint64_t seq)
{
	struct snapshot snap;
	struct device s;
	struct err e = { "" };
	char *text;

	ok(snapshot_find(d->ledger, seq, &snap, &e));
	device_snapshot(&s, d, &snap);
	text = tree_text(&s);
	device_snapshot_end(&s, d);
	return text;
}

/* Trees by sequence, as they were when they were committed. */
struct history {
	char *tree[256];
};

static void history_fini(struct history *h)
{
	for (size_t i = 0; i < ARRAY_LEN(h->tree); i++)
		free(h->tree[i]);
}

/* Commit, and remember the tree. */
static void commit(struct device *d, struct history *h)
{
	struct onboard_stats s;
	char *tree = tree_text(d);

	ok(device_sync(d));
	onboard_stats(d->onboard, &s);
	assert_true(s.sequence < ARRAY_LEN(h->tree));
	free(h->tree[s.sequence]);
	h->tree[s.sequence] = tree;
}

/* Of a commit that gc made: the tree is that of the one before. */
static void fill_history(struct history *h, uint64_t newest)
{
	assert_true(newest < ARRAY_LEN(h->tree));
	for (uint64_t i = 2; i <= newest; i++)
		if (!h->tree[i] && h->tree[i - 1])
			h->tree[i] = strdup(h->tree[i - 1]);
}

/* On a bare machine: the newest tree, every snapshot, and each of these commits
 * when recover goes back to it. */
static void all_is_there(struct rig *r, size_t n_stores, const struct history *h)
{
	struct seqs v;
	struct device b;
	char *got;

	device_recover(&b, r, "bare", n_stores, 1, 0);
	v = snapshots(&b);
	assert_true(v.n > 0);
	for (size_t i = 0; i < v.n; i++) {
		got = snapshot_text(&b, v.v[i]);
		tree_same(h->tree[v.v[i]], got);
		free(got);
	}
	tree_is(&b, h->tree[v.v[v.n - 1]]);
	device_close(&b);
	rig_remove(r, "bare");
	for (size_t i = 0; i < v.n; i++) {
		device_recover(&b, r, "bare", n_stores, 1, v.v[i] + 1);
		tree_is(&b, h->tree[v.v[i]]);
		/* its own list of snapshots names all that are kept */
		for (size_t k = 0; k <= i; k++)
			assert_true(has(snapshots(&b), v.v[k]));
		device_close(&b);
		rig_remove(r, "bare");
	}
}

/* ---- the tests ---- */

static void what_no_commit_needs_goes_and_all_else_stays(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct onboard_gc g;
	struct device a;
	uint64_t before;

	device_init(&a, r, "a", 1, 1);
	a.piece_target = 4 * MIB;
	device_start(&a);
	f_mkdir(&a, "d");
	f_fill(&a, "d/kept", 0, 3 * MIB + 5, 1);
	commit(&a, &h);
	f_fill(&a, "d/gone", 0, 20 * MIB, 2);
	f_fill(&a, "other", 0, 100, 3);
	commit(&a, &h);
	f_unlink(&a, "d/gone");
	commit(&a, &h);
	f_fill(&a, "other", 0, 100, 4);
	commit(&a, &h);
	before = store_bytes(r, "s0");

	g = device_gc_with(&a, (struct onboard_gc){ .remove = false });
	assert_int_equal(g.dead.pieces, 0); /* every commit is a snapshot */
	assert_int_equal(g.commits, 4);
	assert_in_range(g.old.bytes, 15 * MIB, 24 * MIB);
	g = device_gc(&a, 0);
	assert_int_equal(g.condemned.pieces, 0);
	assert_int_equal(store_bytes(r, "s0"), before);

	g = device_gc_with(&a, (struct onboard_gc){ .forget_before = 3 });
	assert_int_equal(g.forgotten, 2);
	assert_in_range(g.dead.bytes, 15 * MIB, 24 * MIB);
	assert_int_equal(store_bytes(r, "s0"), before); /* it has only looked */
	assert_int_equal(snapshots(&a).n, 4);

	g = device_gc(&a, 3);
	assert_in_range(g.condemned.bytes, 15 * MIB, 24 * MIB);
	device_until_left(&a, 0, 0);
	assert_in_range(before - store_bytes(r, "s0"), 15 * MIB, 24 * MIB);
	fill_history(&h, 5);
	assert_int_equal(snapshots(&a).n, 3);
	all_is_there(r, 1, &h);
	g = device_gc(&a, 0); /* what is gone is not removed again */
	assert_int_equal(g.dead.pieces, 0);
	device_close(&a);
	history_fini(&h);
}

/* The second file's blocks are those of the first, in the first one's piece. */
static void a_block_that_two_files_share_stays_for_either(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct onboard_gc g;
	struct device a;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_fill(&a, "one", 0, 5 * MIB, 1);
	commit(&a, &h);
	f_fill(&a, "two", 0, 5 * MIB, 1);
	commit(&a, &h);
	f_unlink(&a, "one");
	f_fill(&a, "x", 0, 100, 1);
	commit(&a, &h);
	assert_in_range(store_bytes(r, "s0"), 5 * MIB, 6 * MIB);
	g = device_gc(&a, 100);
	assert_true(g.dead.bytes < MIB);
	fill_history(&h, 4);
	all_is_there(r, 2, &h);
	f_unlink(&a, "two");
	commit(&a, &h);
	g = device_gc(&a, 100);
	assert_in_range(g.condemned.bytes, 5 * MIB, 6 * MIB);
	device_until_left(&a, 0, 0);
	device_until_left(&a, 1, 0);
	assert_true(store_bytes(r, "s0") < MIB);
	assert_true(store_bytes(r, "s1") < MIB);
	fill_history(&h, 6);
	all_is_there(r, 2, &h);
	device_close(&a);
	history_fini(&h);
}

/* Open, and without a name: only this drive directory knows of it. */
static void an_open_file_without_a_name_keeps_its_bytes(void **state)
{
	const struct slice name = slice_str("f");
	struct cache_op op = { .uid = 0 };
	static uint8_t want[3 * MIB], got[3 * MIB];
	struct rig *r = *state;
	struct onboard_gc g;
	struct cache_attr at;
	struct device a, b;
	size_t n;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, sizeof(want), 9);
	ok(f_read(&a, "f", 0, want, sizeof(want), &n));
	ok(device_sync(&a));
	device_close(&a);
	rig_remove(r, "a");
	device_recover(&b, r, "b", 1, 1, 0); /* nothing of it is here */
	device_start(&b);
	(void)f_lookup(&b, "f", NULL);
	ok(cache_lookup(b.cache, &op, CACHE_ROOT_INO, name, &at)); /* held */
	f_unlink(&b, "f");
	f_fill(&b, "x", 0, 1000, 1);
	ok(device_sync(&b));
	g = device_gc(&b, 100);
	assert_true(g.dead.bytes < MIB);
	ok(cache_link(b.cache, &op, at.ino, CACHE_ROOT_INO, name, &at));
	cache_forget(b.cache, at.ino, 1);
	ok(f_read(&b, "f", 0, got, sizeof(got), &n));
	assert_int_equal(n, sizeof(got));
	assert_memory_equal(want, got, sizeof(got));
	f_unlink(&b, "f");
	cache_forget(b.cache, at.ino, 1);
	ok(device_sync(&b));
	g = device_gc(&b, 100);
	assert_in_range(g.condemned.bytes, 3 * MIB, 4 * MIB);
	device_close(&b);
}

/* Condemned, and its store is away: the same bytes come again. */
static void what_is_condemned_is_not_linked_again(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct onboard_gc g;
	struct device a;

	device_init(&a, r, "a", 3, 2);
	device_start(&a);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	commit(&a, &h);
	f_unlink(&a, "f");
	f_fill(&a, "x", 0, 100, 1);
	commit(&a, &h);
	device_hang(&a, 2);
	g = device_gc(&a, 100);
	assert_in_range(g.condemned.bytes, 6 * MIB, 7 * MIB);
	f_fill(&a, "g", 0, 6 * MIB, 1);
	commit(&a, &h);
	device_wake(&a, 2);
	for (size_t i = 0; i < 3; i++)
		device_until_left(&a, i, 0);
	fill_history(&h, 5);
	all_is_there(r, 3, &h);
	device_close(&a);
	history_fini(&h);
}

/* Another device has published: this one's marks are of yesterday. */
static void who_is_superseded_removes_nothing(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct device a, b;
	struct err e;
	uint64_t bytes;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	commit(&a, &h);
	f_unlink(&a, "f");
	commit(&a, &h);
	device_close(&a);
	/* goes back to where the file was */
	device_recover(&b, r, "b", 1, 1, 2);
	device_start(&b);
	f_fill(&b, "g", 0, 100, 1);
	ok(device_sync(&b));
	device_close(&b);
	bytes = store_bytes(r, "s0");
	device_open(&a);
	device_start(&a);
	assert_int_equal(gc_fails(&a, &e), -ESTALE);
	/* a commit may have been put, and is not claimed */
	assert_true(store_bytes(r, "s0") >= bytes);
	device_close(&a);
	history_fini(&h);
}

struct dead {
	uint64_t v[16];
	size_t n;
};

static int on_large(void *ctx, const struct ledger_piece *p)
{
	struct dead *d = ctx;

	if (p->size > MIB) {
		assert_true(d->n < ARRAY_LEN(d->v));
		d->v[d->n++] = p->ordinal;
	}
	return 0;
}

/* It has published since we condemned, and links what we would remove. */
static void who_is_superseded_meanwhile_removes_nothing(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct dead dead = { .n = 0 };
	struct device a, b;
	char *want, *got;
	uint64_t bytes;
	struct err e;
	size_t n;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	commit(&a, &h);
	f_unlink(&a, "f");
	commit(&a, &h);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 2); /* where the file was */
	want = tree_text(&b);
	device_start(&b);
	f_write(&b, "g", 0, "g", 1);
	f_unlink(&b, "g");
	ok(device_sync(&b));
	bytes = store_bytes(r, "s0");
	/* killed before it removed anything, and published already */
	device_open(&a);
	ok(ledger_pieces(a.ledger, LEDGER_HELD, on_large, &dead));
	ok(ledger_condemn(a.ledger, dead.v, dead.n, &n));
	assert_true(n > 0 && n == dead.n);
	ok(ledger_set_u64(a.ledger, LEDGER_CONDEMNED_AT, 1));
	device_start(&a);
	assert_int_equal(gc_fails(&a, &e), -ESTALE);
	device_close(&a);
	assert_true(store_bytes(r, "s0") >= bytes);
	got = tree_text(&b);
	assert_null(strstr(got, "unreadable"));
	device_close(&b);
	free(want);
	free(got);
	history_fini(&h);
}

/* ---- cuts ---- */

/* In the child: 0 when all is condemned, published and removed. */
static int child(struct device *d)
{
	struct onboard_gc g = { .remove = true, .forget_before = 1000 };
	struct err e = { "" };
	int r;

	device_open(d);
	device_start(d);
	r = onboard_gc(d->onboard, &g, no_progress, NULL, &e);
	r |= g.left[0].pieces || g.left[1].pieces;
	device_close(d);
	return r == 0 ? 0 : 1;
}

static void killed_at_any_time_it_goes_on_and_removes_no_more(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct ledger_sums sums;
	unsigned kills = 0;
	struct device a;
	char name[16];
	long us = 0;

	device_init(&a, r, "a", 2, 2);
	a.piece_target = 2 * MIB;
	device_start(&a);
	f_mkdir(&a, "d");
	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i);
		f_fill(&a, name, 0, MIB + 100, (uint64_t)i);
	}
	commit(&a, &h);
	for (int i = 0; i < 12; i += 2) { /* of some pieces a part is needed */
		(void)snprintf(name, sizeof(name), "d/%d", i + i % 4 / 2);
		f_unlink(&a, name);
	}
	for (int i = 8; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d/%d", i);
		f_fill(&a, name, 0, MIB + 100, 100 + (uint64_t)i);
	}
	commit(&a, &h);
	device_close(&a);
	while (!device_lives_through(&a, child, us)) {
		us += us < 2000 ? us + 50 : us < 40000 ? 2000 : us / 2;
		assert_true(++kills < 100);
	}
	print_message("# %u kills\n", kills);
	assert_true(kills > 3);
	device_open(&a);
	ok(ledger_sums(a.ledger, &sums));
	/* What the ledger holds is what is there, no more and no less.  A piece that
	 * was ready when the device closed may be at one store or at none yet. */
	assert_in_range(store_bytes(r, "s0"), sums.bytes - sums.queued_bytes,
			sums.bytes);
	assert_in_range(store_bytes(r, "s1"), sums.bytes - sums.queued_bytes,
			sums.bytes);
	assert_true(sums.bytes < 12 * MIB);
	device_close(&a);
	fill_history(&h, ARRAY_LEN(h.tree) - 1); /* each kill may have left one */
	all_is_there(r, 2, &h);
	history_fini(&h);
}

/* ---- what the parts of a drive need ---- */

/* Hard links, large directories, sets of attributes, holes: all of it is found. */
static void every_kind_of_block_is_needed(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	char name[64], big[3000];
	struct device a;

	memset(big, 'x', sizeof(big));
	device_init(&a, r, "a", 1, 1);
	a.piece_target = MIB;
	device_start(&a);
	f_mkdir(&a, "d");
	f_mkdir(&a, "d/e");
	f_fill(&a, "d/e/f", 0, 2 * MIB, 1);
	f_link(&a, "d/e/f", "hard");
	f_xattr(&a, "d/e", "user.big", big, sizeof(big));
	f_write(&a, "holes", 9 * MIB, "end", 3);
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	f_symlink(&a, "long", big);
	commit(&a, &h);
	f_mkdir(&a, "many");
	for (int i = 0; i < 700; i++) {
		(void)snprintf(name, sizeof(name), "many/a rather long name %d", i);
		f_write(&a, name, 0, name, strlen(name));
	}
	commit(&a, &h);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "many/a rather long name %d", i);
		f_fill(&a, name, 0, 300000, (uint64_t)i);
		commit(&a, &h);
		(void)device_gc(&a, i == 2 ? 4 : 0);
	}
	(void)device_gc(&a, 100);
	fill_history(&h, 20);
	all_is_there(r, 1, &h);
	device_close(&a);
	history_fini(&h);
}

/* A recovered drive knows pieces, not blocks, and has looked into no directory. */
static void after_a_recover_it_looks_through_what_nobody_has_opened(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct onboard_gc g;
	struct device a, b;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_mkdir(&a, "d");
	f_fill(&a, "d/kept", 0, 5 * MIB, 1);
	commit(&a, &h);
	f_fill(&a, "gone", 0, 7 * MIB, 2);
	commit(&a, &h);
	f_unlink(&a, "gone");
	commit(&a, &h);
	f_fill(&a, "x", 0, 1000, 3);
	commit(&a, &h);
	device_close(&a);
	device_recover(&b, r, "b", 2, 2, 0);
	device_start(&b);
	g = device_gc(&b, 3);
	assert_in_range(g.condemned.bytes, 7 * MIB, 8 * MIB);
	device_until_left(&b, 1, 0);
	assert_true(store_bytes(r, "s1") < 6 * MIB);
	fill_history(&h, 5);
	all_is_there(r, 2, &h); /* commit 3, which it has not made, as well */
	g = device_gc(&b, 100);
	assert_true(g.condemned.pieces > 0);
	fill_history(&h, 6);
	all_is_there(r, 2, &h);
	device_close(&b);
	history_fini(&h);
}

/* What cannot be read may need anything. */
static void nothing_is_removed_while_a_commit_cannot_be_read(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	uint64_t bytes;
	struct err e;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "d");
	f_fill(&a, "d/f", 0, 5 * MIB, 2);
	ok(device_sync(&a));
	f_unlink(&a, "d/f");
	ok(device_sync(&a));
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	ok(device_sync(&b));
	bytes = store_bytes(r, "s0");
	device_hang(&b, 0);
	assert_int_equal(gc_fails(&b, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "cannot be read"));
	device_wake(&b, 0);
	assert_int_equal(store_bytes(r, "s0"), bytes);
	device_close(&b);
}

/* ---- a network: the owner has to ask ---- */

static void on_a_network_it_waits_for_the_owner(void **state)
{
	struct rig *r = *state;
	struct history h = { 0 };
	struct onboard_gc g;
	struct device a;
	char name[16];

	r->parks = parks_new();
	device_init(&a, r, "a", 2, 2);
	a.piece_target = 2 * MIB;
	device_start(&a);
	for (int i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		f_fill(&a, name, 0, MIB + (uint64_t)i * 1000, (uint64_t)i);
	}
	commit(&a, &h);
	for (int i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		f_unlink(&a, name);
	}
	f_fill(&a, "x", 0, 1000, 9);
	commit(&a, &h);

	g = device_gc(&a, 100);
	assert_true(g.dead.pieces >= 3);
	assert_int_equal(g.paid.pieces, g.dead.pieces);
	assert_int_equal(g.condemned.pieces, 0); /* nobody has asked for these */
	g = device_gc_with(&a, (struct onboard_gc){ .remove = true, .network = 2 });
	assert_int_equal(g.batch.pieces, 2);
	assert_int_equal(g.condemned.pieces, 2);
	assert_true(g.condemned.bytes > 2 * MIB); /* the largest */
	assert_int_equal(g.left[0].pieces, 2);
	assert_int_equal(g.left[1].pieces, 2);
	g = device_gc_with(&a, (struct onboard_gc){ .remove = true, .network = 2 });
	assert_int_equal(g.condemned.pieces, 0); /* two wait already */
	device_close(&a);
	device_open(&a);
	device_start(&a);

	parks_let_remove(r->parks, 0);
	onboard_gc_look(a.onboard);
	device_until_left(&a, 0, 0);
	assert_int_equal(device_left_at(&a, 1), 2);
	parks_let_remove(r->parks, 1);
	onboard_gc_look(a.onboard);
	device_until_left(&a, 1, 0);
	g = device_gc_with(&a, (struct onboard_gc){ .remove = true, .network = 9 });
	assert_true(g.condemned.pieces > 0);
	device_until_left(&a, 0, 0);
	device_until_left(&a, 1, 0);
	/* of heads whose pieces are gone it is still known that they were claimed */
	assert_true(parks_lost_heads(r->parks) > 0);
	device_close(&a);
	fill_history(&h, 10);
	all_is_there(r, 2, &h);
	history_fini(&h);
}

/* The pieces of old heads are gone, and nobody knows which these were. */
static void a_new_folder_gets_heads_whose_pieces_are_gone(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char name[16], path[256];

	r->parks = parks_new();
	r->parks->store[1].plain = true;
	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		f_fill(&a, name, 0, 300000, (uint64_t)i);
		ok(device_sync(&a));
		f_unlink(&a, name);
	}
	f_fill(&a, "x", 0, 1000, 9);
	ok(device_sync(&a));
	parks_let_remove(r->parks, 0);
	(void)device_gc_with(&a, (struct onboard_gc){ .remove = true,
						      .network = 9,
						      .forget_before = 100 });
	device_until_left(&a, 0, 0);
	assert_true(parks_lost_heads(r->parks) > 0);
	device_close(&a);
	rig_remove(r, "s1");
	device_recover(&b, r, "b", 2, 2, 0);
	device_close(&b);
	rig_path(r, "s1", path, sizeof(path)); /* a new one */
	assert_int_equal(mkdir(path, 0700), 0);
	device_open(&b);
	device_start(&b);
	f_fill(&b, "y", 0, 1000, 9);
	ok(device_sync(&b));
	assert_int_equal(device_newest_at(&b, 1), device_newest_at(&b, 0));
	device_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_no_commit_needs_goes_and_all_else_stays),
		T(a_block_that_two_files_share_stays_for_either),
		T(an_open_file_without_a_name_keeps_its_bytes),
		T(what_is_condemned_is_not_linked_again),
		T(who_is_superseded_removes_nothing),
		T(who_is_superseded_meanwhile_removes_nothing),
		T(killed_at_any_time_it_goes_on_and_removes_no_more),
		T(every_kind_of_block_is_needed),
		T(after_a_recover_it_looks_through_what_nobody_has_opened),
		T(nothing_is_removed_while_a_commit_cannot_be_read),
		T(on_a_network_it_waits_for_the_owner),
		T(a_new_folder_gets_heads_whose_pieces_are_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
