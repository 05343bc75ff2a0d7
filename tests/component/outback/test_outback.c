/* test_outback.c - out to the stores, the machine lost, and back from the words */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "dag/piece_reader.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* Something of everything. */
static void plant(struct device *d)
{
	const struct cache_setattr old = { .mask = CACHE_SET_MODE | CACHE_SET_UID |
						   CACHE_SET_MTIME,
					   .mode = 04711,
					   .uid = 4242,
					   .mtime = { -12345, 678901234 } };
	char name[64], big[3000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	f_mkdir(d, "dir");
	f_mkdir(d, "dir/empty");
	f_write(d, "dir/small", 0, "hello", 5);
	f_write(d, "dir/none", 0, NULL, 0);
	f_fill(d, "dir/medium", 0, 5000, 1);
	f_fill(d, "dir/big", 0, 3 * MIB + 17, 2);
	f_write(d, "holes", 0, "begin", 5);
	f_write(d, "holes", 9 * MIB + 5, "end", 3);
	f_truncate(d, "holes", 12 * MIB + 1);
	f_truncate(d, f_write(d, "allhole", 0, NULL, 0) ? "allhole" : "", 5 * MIB);
	f_symlink(d, "link", "dir/small");
	f_symlink(d, "longlink", big);
	f_node(d, "fifo", S_IFIFO | 0600, 0);
	f_node(d, "dev", S_IFCHR | 0620, makedev(300, 70000));
	f_link(d, "dir/medium", "hard1");
	f_link(d, "dir/medium", "dir/hard2");
	f_xattr(d, "dir/small", "user.a", "1", 1);
	f_xattr(d, "dir/small", "user.big", big, sizeof(big));
	f_xattr(d, "dir", "user.ondir", "yes", 3);
	f_xattr(d, "hard1", "user.shared", "all", 3);
	f_set(d, "dir/big", &old);
	f_mkdir(d, "many");
	for (int i = 0; i < 700; i++) {
		(void)snprintf(name, sizeof(name), "many/a rather long name %d", i);
		f_write(d, name, 0, name, strlen(name));
	}
}

/* What it has counted is what its rows say. */
static void counts_hold(struct device *d)
{
	struct err e = { "" };

	assert_int_equal(cache_check(d->cache, false, NULL, NULL, &e), 0);
}

static void everything_comes_back_from_the_words(void **state)
{
	struct cache_stats had, has;
	struct rig *r = *state;
	struct device a, b;
	char *want, *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	want = tree_text(&a);
	ok(device_sync(&a));
	cache_stats(a.cache, &had);
	assert_true(had.drive.inodes > 1 && had.drive.bytes > 0);
	device_close(&a);
	rig_remove(r, "a");
	device_recover(&b, r, "b", 1, 1, 0);
	cache_stats(b.cache, &has);
	assert_int_equal(has.drive.inodes, had.drive.inodes);
	assert_int_equal(has.drive.bytes, had.drive.bytes);
	got = tree_text(&b);
	tree_same(want, got);
	counts_hold(&b);
	device_close(&b);
	free(want);
	free(got);
}

/* ---- the limit of a piece on blocks ---- */

/* Of one piece of store 0, by its trailer. */
static uint64_t blocks_of(struct rig *r, const struct piece_file *f)
{
	uint8_t tail[TRAILER_SECTION_SIZE];
	char sub[256], path[512];
	struct trailer t;
	int fd;

	(void)snprintf(sub, sizeof(sub), "s0/%.127s", f->name);
	rig_path(r, sub, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, tail, sizeof(tail),
			       (off_t)(f->size - sizeof(tail))),
			 sizeof(tail));
	(void)close(fd);
	ok(piece_tail_parse(slice(tail, sizeof(tail)), f->size, r->keys, &t));
	return t.n_leaves + t.n_nodes;
}

/*
 * The file, the nodes above it, the catalogue: each of them is at some time what
 * does not fit any more.
 */
static void a_piece_ends_when_it_has_its_blocks(void **state)
{
	struct rig *r = *state;
	struct piece_file v[80];
	uint64_t most = 0, n;
	size_t n_pieces;
	struct device a;
	char name[32], *want;
	unsigned commits = 0;

	device_init(&a, r, "a", 1, 1);
	a.piece_blocks = 24;
	device_start(&a);
	for (unsigned i = 8; i < 28; i++) {
		(void)snprintf(name, sizeof(name), "d%u", i);
		f_mkdir(&a, name);
		for (unsigned k = 0; k < i; k++) {
			(void)snprintf(name, sizeof(name), "d%u/%u", i, k);
			f_fill(&a, name, 0, 300, 100 * i + k);
		}
		ok(device_sync(&a));
		commits++;
	}
	want = tree_text(&a);
	device_close(&a);

	n_pieces = store_pieces(r, "s0", v, ARRAY_LEN(v));
	assert_in_range(n_pieces, commits + 8, ARRAY_LEN(v) - 1);
	for (size_t i = 0; i < n_pieces; i++) {
		n = blocks_of(r, &v[i]);
		most = MAX(most, n);
	}
	assert_int_equal(most, 24);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* ---- a second device, later commits ---- */

/* More leaves than are sealed beside each other, inside and at the end of files. */
static void leaves_of_all_sizes_come_back_in_their_order(void **state)
{
	static const uint64_t sizes[] = { 1,         127,           128,
					  129,       256,           257,
					  4096,      70000,         MIB - 1,
					  MIB,       MIB + 1,       MIB + 128,
					  MIB + 129, 2 * MIB + 5000 };
	struct rig *r = *state;
	struct device a;
	char name[64], *want;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "d");
	f_fill(&a, "d/large", 0, 21 * MIB + 64, 500);
	for (unsigned i = 0; i < 140; i++) {
		unsigned k = i * 5 % ARRAY_LEN(sizes);

		(void)snprintf(name, sizeof(name), "d/%u", i);
		f_fill(&a, name, 0, i < 28 ? sizes[k] : 90 + i, i);
	}
	want = tree_text(&a);
	ok(device_sync(&a));
	device_close(&a);
	rig_remove(r, "a");
	recovers_as(r, "b", 1, want);
	free(want);
}

static void a_root_keeps_its_xattrs(void **state)
{
	struct rig *r = *state;
	struct device a;
	char *want;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_xattr(&a, "", "user.root", "here", 4);
	want = tree_text(&a);
	ok(device_sync(&a));
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

static void a_small_change_costs_little(void **state)
{
	struct rig *r = *state;
	struct device a;
	uint64_t before;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "d");
	f_fill(&a, "d/big", 0, 100 * MIB, 9);
	ok(device_sync(&a));
	before = store_bytes(r, "s0");
	assert_true(before >= 100 * MIB);

	/* Nothing changed: nothing goes out. */
	ok(device_sync(&a));
	assert_int_equal(store_bytes(r, "s0"), before);

	/* One leaf, and the nodes above it. */
	f_write(&a, "d/big", 57 * MIB + 12345, "changed", 7);
	ok(device_sync(&a));
	assert_in_range(store_bytes(r, "s0") - before, MIB, MIB + 128 * 1024);

	/* The same bytes once more under another name. */
	before = store_bytes(r, "s0");
	f_fill(&a, "d/copy", 0, 100 * MIB, 9);
	ok(device_sync(&a));
	assert_in_range(store_bytes(r, "s0") - before, 100, 128 * 1024);

	/* A name moves, an attribute changes: no content. */
	before = store_bytes(r, "s0");
	f_rename(&a, "d/copy", "moved");
	ok(device_sync(&a));
	assert_in_range(store_bytes(r, "s0") - before, 100, 64 * 1024);
	comes_back(&a, r, 1);
}

/* Every way in which an entry can change, one in each commit. */
static void change_one(struct device *d, unsigned how)
{
	struct cache_setattr set = { .mask = CACHE_SET_MODE, .mode = 0600 };

	switch (how) {
	case 0: f_set(d, "l/n7", &set); break;
	case 1: f_write(d, "l/n8", 0, "other", 5); break;
	case 2: f_unlink(d, "l/n9"); break;
	case 3: f_rename(d, "l/n10", "l/other"); break;
	case 4: f_link(d, "l/n11", "second"); break;
	case 5: f_write(d, "l/dir/deep/file", 0, "deep", 4); break;
	case 6: f_xattr(d, "l/n12", "user.x", "value", 5); break;
	case 7: f_rename(d, "l/n13", "l/n14"); break;
	case 8: f_write(d, "l/new", 0, "new", 3); break;
	case 9: f_set(d, "l/n20", &set); break;
	case 10: f_unlink(d, "l/n21"); break;
	case 11: f_rename(d, "l/n22", "l/another"); break;
	case 12: f_write(d, "l/n23", 0, "more", 4); break;
	default: f_unlink(d, "l/n24"); break;
	}
}

static void device_again(struct device *d)
{
	device_close(d);
	device_open(d);
	device_start(d);
}

/* By all commits since the start, stored already or not. */
static uint64_t built_bytes(struct device *d)
{
	struct onboard_stats s;

	onboard_stats(d->onboard, &s);
	return s.sealed_bytes + s.deduped_bytes;
}

static void a_large_directory_goes_out_by_what_changes_in_it(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want;
	uint64_t before;
	char name[32];

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "l");
	f_mkdir(&a, "l/dir");
	f_mkdir(&a, "l/dir/deep");
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "l/n%u", i);
		f_write(&a, name, 0, name, strlen(name));
	}
	ok(device_sync(&a));
	for (unsigned how = 0; how < 10; how++) {
		before = store_bytes(r, "s0");
		change_one(&a, how);
		ok(device_sync(&a));
		assert_in_range(store_bytes(r, "s0") - before, 1000, 128 * 1024);
	}
	/* the first commit of a mount knows what the last one of another did */
	for (unsigned how = 10; how < 13; how++) {
		device_again(&a);
		change_one(&a, how);
		ok(device_sync(&a));
		assert_in_range(built_bytes(&a), 1000, 128 * 1024);
	}
	/* unless that is damaged: then it builds all */
	ok(ledger_set(a.ledger, LEDGER_MEMO, slice_str("nonsense")));
	device_again(&a);
	change_one(&a, 13);
	ok(device_sync(&a));
	assert_in_range(built_bytes(&a), 200 * 1024, 2 * MIB);
	want = tree_text(&a);
	counts_hold(&a);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	tree_is(&b, want);
	/* and a device that has no memory of it makes the same of it */
	device_start(&b);
	f_unlink(&b, "l/n15");
	ok(device_sync(&b));
	f_unlink(&b, "l/n16");
	ok(device_sync(&b));
	free(want);
	want = tree_text(&b);
	device_close(&b);
	recovers_as(r, "c", 1, want);
	free(want);
}

static void a_commit_of_more_than_is_kept_in_memory_is_the_same(void **state)
{
	struct rig *r = *state;
	struct cache_stats s;
	struct device a, b;
	char *want, *got;

	device_init(&a, r, "a", 1, 1);
	a.results_max = 50;
	device_start(&a);
	plant(&a);
	ok(device_sync(&a));
	cache_stats(a.cache, &s);
	assert_int_equal(s.dirty_inodes, 0);
	/* some are new, of some the attributes alone */
	for (unsigned i = 0; i < 200; i++) {
		const struct cache_setattr set = { .mask = CACHE_SET_MODE,
						   .mode = 0600 };
		char name[64];

		(void)snprintf(name, sizeof(name), "many/a rather long name %u", i);
		f_set(&a, name, &set);
		(void)snprintf(name, sizeof(name), "dir/new %u", i);
		f_write(&a, name, 0, name, strlen(name));
	}
	ok(device_sync(&a));
	cache_stats(a.cache, &s);
	assert_int_equal(s.dirty_inodes, 0);
	want = tree_text(&a);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	got = tree_text(&b);
	tree_same(want, got);
	device_close(&b);
	free(want);
	free(got);
}

static void a_change_after_recover_needs_only_what_it_touches(void **state)
{
	struct rig *r = *state;
	struct retrieve_stats rs;
	struct device a, b;
	char *want;
	uint64_t before;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	f_fill(&a, "huge", 0, 60 * MIB, 5);
	ok(device_sync(&a));
	device_close(&a);
	before = store_bytes(r, "s0");

	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	f_write(&b, "huge", 30 * MIB + 5, "x", 1);
	f_write(&b, "dir/new", 0, "new", 3);
	f_unlink(&b, "hard1");
	ok(device_sync(&b));
	retrieve_stats(b.retrieve, &rs);
	assert_in_range(rs.bytes_fetched, 1, 4 * MIB);
	assert_in_range(store_bytes(r, "s0") - before, 1, 2 * MIB);
	want = tree_text(&b);
	device_close(&b);
	recovers_as(r, "c", 1, want);
	free(want);
}

static void a_device_that_was_overtaken_says_so_and_loses_nothing(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	uint8_t byte[8];
	size_t n;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_write(&a, "f", 0, "one", 3);
	ok(device_sync(&a));
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	f_write(&b, "g", 0, "two", 3);
	ok(device_sync(&b));

	f_write(&a, "f", 0, "ONE", 3);
	assert_int_equal(device_sync(&a), -ESTALE);
	ok(f_read(&a, "f", 0, byte, sizeof(byte), &n));
	assert_memory_equal(byte, "ONE", 3);
	/* It stays so, and the other goes on. */
	device_close(&a);
	device_open(&a);
	device_start(&a);
	assert_int_equal(device_sync(&a), -ESTALE);
	device_close(&a);
	f_write(&b, "g", 0, "TWO", 3);
	ok(device_sync(&b));
	device_close(&b);
}

/* ---- snapshots ---- */

struct snaps {
	struct snapshot v[8];
	size_t n;
};

static int on_snapshot(void *ctx, const struct snapshot *s)
{
	struct snaps *v = ctx;

	if (v->n < ARRAY_LEN(v->v))
		v->v[v->n++] = *s;
	return 0;
}

static void check_snapshots(struct device *d, size_t n)
{
	struct snaps v = { .n = 0 };
	struct snapshot s;
	struct err e = { "" };

	ok(snapshot_list(d->ledger, on_snapshot, &v));
	assert_int_equal(v.n, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(v.v[i].sequence, i + 1);
		assert_true(v.v[i].published);
		assert_string_equal(v.v[i].device, "a");
		ok(snapshot_find(d->ledger, i + 1, &s, &e));
		assert_int_equal(s.root.ino, CACHE_ROOT_INO);
	}
	assert_int_equal(snapshot_find(d->ledger, 99, &s, &e), -ENOENT);
	assert_non_null(strstr(e.text, "99"));
}

static void every_commit_can_be_mounted_again(void **state)
{
	struct rig *r = *state;
	struct device a, b, s;
	struct snapshot snap;
	struct err e = { "" };
	char *text[3], *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	for (int i = 0; i < 3; i++) {
		f_write(&a, "f", 0, &"abcdef"[i], 3);
		f_write(&a, i ? "h" : "f2", 0, "1", 1);
		f_mkdir(&a, i == 0 ? "d0" : i == 1 ? "d1" : "d2");
		if (i == 1)
			f_link(&a, "f", "hard");
		text[i] = tree_text(&a);
		ok(device_sync(&a));
	}
	check_snapshots(&a, 3);
	device_close(&a);

	device_recover(&b, r, "b", 1, 1, 0);
	check_snapshots(&b, 3);
	for (uint64_t i = 0; i < 3; i++) {
		ok(snapshot_find(b.ledger, i + 1, &snap, &e));
		device_snapshot(&s, &b, &snap);
		got = tree_text(&s);
		tree_same(text[i], got);
		device_snapshot_end(&s, &b);
		free(got);
		free(text[i]);
	}
	device_close(&b);
}

struct copy {
	struct ledger_head head;
	uint8_t *body;
};

static int copy_head(void *ctx, const struct ledger_head *h)
{
	struct copy *c = ctx;

	c->head = *h;
	c->body = malloc(h->body.n);
	assert_non_null(c->body);
	memcpy(c->body, h->body.p, h->body.n);
	c->head.body = slice(c->body, h->body.n);
	return 0;
}

static int on_kept(void *ctx, const struct ledger_head *h)
{
	*(uint64_t *)ctx |= 1ull << h->seq;
	return 0;
}

static void commits_that_are_thinned_out_leave_the_ledger(void **state)
{
	struct rig *r = *state;
	struct copy old = { .body = NULL };
	struct ledger_head *h = &old.head;
	uint64_t kept = 0;
	struct device a;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_write(&a, "f", 0, "1", 1);
	ok(device_sync(&a));
	ok(ledger_head_get(a.ledger, 1, copy_head, &old));
	for (h->seq = 2; h->seq <= 4; h->seq++) {
		h->time = 1000000000 + h->seq; /* of one month, years ago */
		h->losses = 0;
		ok(ledger_head_add(a.ledger, h, NULL, 0, 0, NULL, 0));
	}
	free(old.body);
	f_write(&a, "f", 0, "2", 1);
	(void)onboard_request(a.onboard);
	for (int i = 0; i < 6000 && !(kept & 1ull << 5); i++) {
		const struct timespec t = { 0, 10000000 };

		(void)nanosleep(&t, NULL);
		kept = 0;
		ok(ledger_heads(a.ledger, on_kept, &kept));
	}
	assert_true(kept == (1ull << 1 | 1ull << 4 | 1ull << 5));
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(everything_comes_back_from_the_words),
		T(leaves_of_all_sizes_come_back_in_their_order),
		T(a_piece_ends_when_it_has_its_blocks),
		T(a_root_keeps_its_xattrs),
		T(a_small_change_costs_little),
		T(a_large_directory_goes_out_by_what_changes_in_it),
		T(a_commit_of_more_than_is_kept_in_memory_is_the_same),
		T(a_change_after_recover_needs_only_what_it_touches),
		T(a_device_that_was_overtaken_says_so_and_loses_nothing),
		T(every_commit_can_be_mounted_again),
		T(commits_that_are_thinned_out_leave_the_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
