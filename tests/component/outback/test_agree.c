/*
 * test_agree.c - outbox, ledger, cache and commits say the same
 *
 * After a start, whatever the process before it was in the middle of; and in what a
 * commit lists, which is all that a recover has.
 */
#include "rig.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "crypto/commp.h"

#define MIB (1u << 20)

int __real_ledger_piece_get(struct ledger *l, uint64_t ordinal,
			    struct ledger_piece *ret);
int __wrap_ledger_piece_get(struct ledger *l, uint64_t ordinal,
			    struct ledger_piece *ret);
int __real_cache_adopt(struct cache *c, uint64_t gen,
		       const struct cache_adopt *v, size_t n);
int __wrap_cache_adopt(struct cache *c, uint64_t gen,
		       const struct cache_adopt *v, size_t n);

int __real_io_open(struct io *io, const char *name, int flags, struct io_file **ret);
int __wrap_io_open(struct io *io, const char *name, int flags, struct io_file **ret);

static atomic_int get_fails, adopt_fails, /* with this errno; 0: it does not */
	open_fails;                       /* a file of the outbox; likewise */

int __wrap_io_open(struct io *io, const char *name, int flags, struct io_file **ret)
{
	int e = strncmp(name, LEDGER_OUTBOX "/", strlen(LEDGER_OUTBOX) + 1) == 0 ?
			atomic_load(&open_fails) :
			0;

	return e ? -e : __real_io_open(io, name, flags, ret);
}

int __wrap_ledger_piece_get(struct ledger *l, uint64_t ordinal,
			    struct ledger_piece *ret)
{
	int e = atomic_load(&get_fails);

	return e ? -e : __real_ledger_piece_get(l, ordinal, ret);
}

int __wrap_cache_adopt(struct cache *c, uint64_t gen,
		       const struct cache_adopt *v, size_t n)
{
	int e = atomic_load(&adopt_fails);

	return e ? -e : __real_cache_adopt(c, gen, v, n);
}

/* ---- the outbox at a start ---- */

static void file_in(struct rig *r, const char *name)
{
	char path[256];
	FILE *f;

	rig_path(r, name, path, sizeof(path));
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs("what a kill has left", f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool is_there(struct rig *r, const char *name)
{
	char path[256];

	rig_path(r, name, path, sizeof(path));
	return access(path, F_OK) == 0;
}

struct outbox {
	struct rig *rig;
	unsigned rows, files;
};

static int on_row(void *ctx, const struct ledger_piece *p)
{
	char name[LEDGER_OUTBOX_NAME_MAX], path[128];
	struct outbox *b = ctx;

	if (!p->outbox)
		return 0;
	ledger_outbox_name(p->ordinal, name);
	(void)snprintf(path, sizeof(path), "a/%s", name); /* fits */
	b->rows++;
	b->files += is_there(b->rig, path);
	return 0;
}

/* Pieces of which the only store has got nothing. */
static struct outbox outbox_of(struct device *d)
{
	struct outbox b = { .rig = d->rig };

	ok(ledger_pieces(d->ledger, 0, on_row, &b));
	return b;
}

/* "a", with a commit that is packed and has not left; closed. */
static void with_an_outbox(struct device *a, struct rig *r)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct onboard_stats s;
	struct outbox b;

	device_init(a, r, "a", 1, 1);
	device_hang(a, 0);
	device_start(a);
	f_fill(a, "f", 0, 3 * MIB, 1);
	(void)onboard_request(a->onboard);
	for (onboard_stats(a->onboard, &s); s.built != 1;
	     onboard_stats(a->onboard, &s)) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0); /* the packer is at work */
	}
	b = outbox_of(a);
	assert_true(b.rows > 0 && b.files == b.rows);
	device_close(a);
}

static void what_no_row_names_is_swept_and_all_else_stays(void **state)
{
	static const char rest[] = "a/outbox/00000000000000ff.car",
			  strange[] = "a/outbox/notes";
	struct rig *r = *state;
	struct outbox b;
	struct device a;
	char *want;

	with_an_outbox(&a, r);
	file_in(r, rest);
	file_in(r, strange);
	device_open(&a);
	device_hang(&a, 0);
	device_start(&a);
	assert_false(is_there(r, rest));
	assert_true(is_there(r, strange));
	b = outbox_of(&a);
	assert_true(b.rows > 0 && b.files == b.rows);
	device_wake(&a, 0);
	ok(device_sync(&a));
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* Onboarding of "a" cannot begin, and its outbox stays. */
static void refuses(struct device *a, atomic_int *what, int with)
{
	struct onboard_store v = { a->ids[0], a->stores[0] };
	const struct onboard_params p = { .cache = a->cache,
					  .ledger = a->ledger,
					  .io = a->io,
					  .keys = a->rig->keys,
					  .work = a->work,
					  .stores = &v,
					  .n_stores = 1,
					  .copies = 1,
					  .device = "a",
					  .manual = true };
	struct onboard *o = NULL;
	struct err e = { "" };
	struct outbox b;

	atomic_store(what, with);
	assert_int_equal(onboard_new(&p, &o, &e), -with);
	atomic_store(what, 0);
	b = outbox_of(a);
	assert_true(b.rows > 0 && b.files == b.rows);
}

static void nothing_is_swept_while_the_ledger_cannot_be_read(void **state)
{
	struct device a;

	with_an_outbox(&a, *state);
	device_open(&a);
	refuses(&a, &get_fails, EIO);
	device_close(&a);
}

static void a_piece_that_cannot_be_opened_now_is_not_lost(void **state)
{
	struct rig *r = *state;
	struct device a;
	char *want;

	with_an_outbox(&a, r);
	device_open(&a);
	refuses(&a, &open_fails, EMFILE);
	device_start(&a);
	ok(device_sync(&a));
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

/* ---- the cache at a start ---- */

static uint64_t dirty(struct device *d)
{
	struct cache_stats s;

	cache_stats(d->cache, &s);
	return s.dirty_inodes;
}

static void a_commit_that_the_cache_did_not_hear_of_is_told_at_the_start(void **state)
{
	struct rig *r = *state;
	struct device a;
	char *want;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 3 * MIB, 1);
	atomic_store(&adopt_fails, EIO);
	assert_int_equal(device_sync(&a), -EIO);
	assert_true(dirty(&a) > 0);
	device_close(&a);
	atomic_store(&adopt_fails, 0);
	device_open(&a);
	assert_true(dirty(&a) > 0);
	device_start(&a);
	assert_int_equal(dirty(&a), 0);
	ok(device_sync(&a));
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

static uint64_t sequence(struct device *d)
{
	struct onboard_stats s;

	onboard_stats(d->onboard, &s);
	return s.sequence;
}

/* A file of two names has a row of its own, which is taken out once. */
static void what_is_removed_makes_one_commit(void **state)
{
	struct rig *r = *state;
	struct device a;
	uint64_t seq;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 1000, 1);
	f_link(&a, "f", "g");
	ok(device_sync(&a));
	f_unlink(&a, "f");
	f_unlink(&a, "g");
	ok(device_sync(&a));
	seq = sequence(&a);
	ok(device_sync(&a));
	assert_int_equal(sequence(&a), seq);
	device_close(&a);
}

/* ---- what a commit says ---- */

struct copies {
	struct device *d;
	unsigned n[PIECE_META + 1]; /* pieces of the kind */
};

static int on_held(void *ctx, const struct ledger_piece *p)
{
	struct copies *c = ctx;
	unsigned n = 0;

	ok(ledger_copies(c->d->ledger, p->ordinal, &n));
	c->n[p->kind] += n == (p->kind == PIECE_META ? 2u : 1u);
	return 0;
}

/* Without it nothing of the rest can be found. */
static void metadata_has_one_copy_more(void **state)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct copies c = { .d = NULL };
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 3, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 9 * MIB, 1);
	ok(device_sync(&a));
	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0); /* shippers are at work */
		c = (struct copies){ .d = &a };
		ok(ledger_pieces(a.ledger, LEDGER_HELD, on_held, &c));
	} while (c.n[PIECE_DATA] != 1 || c.n[PIECE_META] != 1);
	device_close(&a);
}

#define PIECES 4000 /* more than one node names */

static void learn_many(struct device *d)
{
	struct ledger_placement at = { .store = d->ids[0], .state = LEDGER_LISTED };
	struct ledger_piece p = { .kind = PIECE_DATA, .seq = 1, .live = 1 };
	_cleanup_commp_ struct commp *c = NULL;
	struct commp_sum sum;
	uint8_t bytes[4096];

	ok(commp_new(&c));
	memset(bytes, 7, sizeof(bytes));
	for (int i = 0; i < 256; i++)
		commp_update(c, slice(bytes, sizeof(bytes)));
	commp_final(c, &sum);
	piece_cid_v2(&sum, &p.cid);
	p.size = sum.raw_size;
	for (uint64_t i = 1; i <= PIECES; i++) {
		p.ordinal = piece_ordinal(0x77, i);
		ok(ledger_piece_learn(d->ledger, &p));
		at.piece = p.ordinal;
		ok(ledger_placement_set(d->ledger, &at));
	}
}

/* Most of the list stands in the piece of a commit before, which each commit names. */
static void a_list_of_many_pieces_is_found_from_any_commit(void **state)
{
	struct rig *r = *state;
	struct recover_found *found = NULL;
	struct err e = { "" };
	struct device a, b;

	device_init(&a, r, "a", 1, 1);
	a.stores[0]->metered = true;
	device_start(&a);
	f_write(&a, "f", 0, "0", 1);
	ok(device_sync(&a));
	learn_many(&a);
	for (int i = 1; i < 5; i++) {
		f_write(&a, "f", 0, &"01234"[i], 1);
		ok(device_sync(&a));
	}
	device_close(&a);
	if (device_find(&b, r, "b", 1, 0, &found, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(found->sequence, 5);
	assert_true(found->n_pieces > PIECES);
	assert_int_equal(found->n_missing, PIECES);
	recover_found_free(found);
	device_find_end(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_no_row_names_is_swept_and_all_else_stays),
		T(nothing_is_swept_while_the_ledger_cannot_be_read),
		T(a_piece_that_cannot_be_opened_now_is_not_lost),
		T(a_commit_that_the_cache_did_not_hear_of_is_told_at_the_start),
		T(what_is_removed_makes_one_commit),
		T(metadata_has_one_copy_more),
		T(a_list_of_many_pieces_is_found_from_any_commit),
	};

	log_level_set(LOG_LEVEL_ERROR - 1); /* what fails here is said */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
