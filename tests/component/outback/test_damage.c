/* test_damage.c - stores that lose, change or refuse what they hold */
#include "rig.h"

#include "retrieve/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

static void car_path(struct rig *r, const char *store, const char *name,
		     char *ret, size_t size)
{
	char sub[256];

	(void)snprintf(sub, sizeof(sub), "%s/%s", store, name);
	rig_path(r, sub, ret, size);
}

static void flip(struct rig *r, const char *store, const char *name, off_t off)
{
	char path[512];
	uint8_t b;
	int fd;

	car_path(r, store, name, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, off), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, off), 1);
	(void)close(fd);
}

/* The largest piece: that of the data. */
static struct piece_file largest(struct rig *r, const char *store)
{
	struct piece_file v[80], best = { .size = 0 };
	size_t n = store_pieces(r, store, v, ARRAY_LEN(v));

	for (size_t i = 0; i < n; i++)
		if (v[i].size > best.size)
			best = v[i];
	return best;
}

/* The one that carries a commit, by the register: two may have one time of change. */
static struct piece_file head_of(struct device *d, uint64_t sequence)
{
	struct piece_file v[80];
	size_t n = store_pieces(d->rig, "s0", v, ARRAY_LEN(v));
	char text[PIECE_CID_TEXT_MAX];
	struct piece_cid cid;
	struct err e = { "" };

	ok(head_read(d->stores[0], d->rig->keys, sequence, &cid, &e));
	piece_cid_text(&cid, text);
	for (size_t i = 0; i < n; i++)
		if (strncmp(v[i].name, text, strlen(text)) == 0)
			return v[i];
	fail_msg("the head of commit %d is not there", (int)sequence);
	return v[0];
}

static void plant(struct device *d)
{
	f_mkdir(d, "d");
	f_fill(d, "d/first", 0, 9 * MIB, 1);
	f_fill(d, "d/second", 0, MIB, 2);
	f_fill(d, "d/third", 0, 3000, 3);
	f_write(d, "tiny", 0, "tiny", 4);
}

/* Lines that are not what they were. */
static size_t differences(const char *want, const char *got, const char *path)
{
	size_t count = 0;

	while (*want && *got) {
		size_t n = strcspn(want, "\n"), m = strcspn(got, "\n");

		if (n != m || memcmp(want, got, n) != 0) {
			assert_memory_equal(got, path, strlen(path));
			assert_non_null(strstr(got, "unreadable"));
			count++;
		}
		want += n + (want[n] == '\n');
		got += m + (got[m] == '\n');
	}
	assert_true(!*want && !*got);
	return count;
}

static void wait_ms(long ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void a_damaged_block_costs_its_file_and_nothing_else(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want, *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	want = tree_text(&a);
	ok(device_sync(&a));
	device_close(&a);
	flip(r, "s0", largest(r, "s0").name, 3 * MIB);

	got = recovered_text(r, "b", 1);
	assert_int_equal(differences(want, got, "/d/first"), 1);
	free(got);

	/* Verify names it, destroys nothing, and commits go on. */
	device_recover(&b, r, "c", 1, 1, 0);
	device_start(&b);
	f_write(&b, "later", 0, "later", 5);
	ok(device_sync(&b));
	/* Readings of the shipper and of verify: whoever sees it first. */
	(void)device_verify(&b, NULL);
	(void)device_verify(&b, NULL);
	f_write(&b, "later", 0, "LATER", 5);
	ok(device_sync(&b));
	f_unlink(&b, "later");
	ok(device_sync(&b));
	device_close(&b);
	assert_true(largest(r, "s0").size > 10 * MIB);
	got = recovered_text(r, "d", 1);
	assert_non_null(strstr(got, "/d/first: ino"));
	assert_null(strstr(strstr(got, "/d/second"), "unreadable"));
	free(got);
	free(want);
}

static void a_lost_piece_is_named_and_the_rest_comes_back(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b;
	char path[512], *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	ok(device_sync(&a));
	device_close(&a);
	car_path(r, "s0", largest(r, "s0").name, path, sizeof(path));
	assert_int_equal(unlink(path), 0);

	ok(device_find(&b, r, "b", 1, 0, &f, &e));
	assert_int_equal(f->n_missing, 1);
	assert_true(f->missing_bytes > 10 * MIB);
	device_find_end(&b);
	got = recovered_text(r, "c", 1);
	assert_non_null(strstr(got, "/tiny: ino"));
	assert_non_null(strstr(got, "unreadable"));
	free(got);
}

/* Every piece of s0 is what its name says. */
static bool store_is_sound(struct device *d, struct rig *r, const char *store,
			   size_t want)
{
	struct piece_file v[80];
	size_t n = store_pieces(r, store, v, ARRAY_LEN(v));

	if (n < want)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct provider_req req = { .verb = PROVIDER_VERIFY };

		ok(piece_cid_from_text(slice(v[i].name, strlen(v[i].name) - 4),
				       &req.cid));
		if (provider_call(d->stores[0], &req) < 0)
			return false;
	}
	return true;
}

static void with_two_copies_nobody_notices_and_repair_follows(void **state)
{
	struct rig *r = *state;
	struct piece_file v[80];
	struct device a;
	char path[512], *want;
	size_t n;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	plant(&a);
	ok(device_sync(&a));
	f_fill(&a, "d/fourth", 0, 9 * MIB, 4);
	ok(device_sync(&a));
	want = tree_text(&a);
	n = store_pieces(r, "s0", v, ARRAY_LEN(v));
	assert_int_equal(store_pieces(r, "s1", v, ARRAY_LEN(v)), n);
	assert_in_range(n, 3, 8);
	n = store_pieces(r, "s0", v, ARRAY_LEN(v));
	flip(r, "s0", v[0].name, (off_t)v[0].size / 2);
	car_path(r, "s0", v[1].name, path, sizeof(path));
	assert_int_equal(truncate(path, (off_t)v[1].size / 2), 0);
	car_path(r, "s0", v[2].name, path, sizeof(path));
	assert_int_equal(unlink(path), 0);

	recovers_as(r, "b", 2, want);
	free(want);

	assert_int_equal(device_verify(&a, NULL), 3);
	for (int i = 0; i < 2000 && !store_is_sound(&a, r, "s0", n); i++)
		wait_ms(50);
	assert_true(store_is_sound(&a, r, "s0", n));
	assert_int_equal(device_verify(&a, NULL), 0);
	device_close(&a);
}

static void rename_store(struct rig *r, const char *from, const char *to)
{
	char a[256], b[256];

	rig_path(r, from, a, sizeof(a));
	rig_path(r, to, b, sizeof(b));
	assert_int_equal(rename(a, b), 0);
}

static void a_store_that_is_away_is_filled_up_when_it_returns(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want;
	size_t n;

	device_init(&a, r, "a", 3, 2);
	device_start(&a);
	f_write(&a, "x", 0, "x", 1);
	ok(device_sync(&a));
	rename_store(r, "s1", "gone");
	plant(&a);
	ok(device_sync(&a));
	f_write(&a, "x", 0, "y", 1);
	ok(device_sync(&a));
	want = tree_text(&a);
	rename_store(r, "gone", "s1");
	for (int i = 0; i < 1200; i++) {
		_cleanup_recover_found_ struct recover_found *f = NULL;
		struct err e = { "" };

		ok(device_find(&b, r, "b", 3, 0, &f, &e));
		device_find_end(&b);
		n = f->stores[1].sequence;
		if (n == 3)
			break;
		wait_ms(100);
	}
	assert_int_equal(n, 3);
	device_close(&a);
	/* Metadata has a copy more: the two that stay are enough for it all. */
	rename_store(r, "s2", "gone2");
	recovers_as(r, "c", 3, want);
	free(want);
}

static void stores_that_disagree_are_named_and_the_newest_wins(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_write(&a, "x", 0, "1", 1);
	ok(device_sync(&a));
	device_close(&a);
	/* An old copy of s1, put back later. */
	rig_copy(r, "s1", "old");
	device_open(&a);
	device_start(&a);
	f_write(&a, "x", 0, "2", 1);
	ok(device_sync(&a));
	device_close(&a);
	rig_remove(r, "s1");
	rename_store(r, "old", "s1");
	ok(device_find(&b, r, "b", 2, 0, &f, &e));
	assert_int_equal(f->sequence, 2);
	assert_int_equal(f->stores[0].sequence, 2);
	assert_int_equal(f->stores[1].sequence, 1);
	assert_true(f->head_verified);
	device_find_end(&b);
}

static void a_broken_head_is_refused_and_the_one_before_it_serves(void **state)
{
	struct recover_found *f = NULL;
	struct rig *r = *state;
	struct piece_file head;
	struct err e = { "" };
	struct device a, b;
	char *want;
	char path[512];

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_write(&a, "x", 0, "one", 3);
	want = tree_text(&a);
	ok(device_sync(&a));
	f_write(&a, "x", 0, "two", 3);
	ok(device_sync(&a));
	head = head_of(&a, 2);
	device_close(&a);
	flip(r, "s0", head.name, (off_t)head.size - 100);
	assert_int_equal(device_find(&b, r, "b", 1, 0, &f, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "commit 2"));
	assert_int_equal(f->sequence, 2);
	recover_found_free(f);
	device_find_end(&b);
	car_path(r, "s0", head.name, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
	e = (struct err){ "" };
	assert_int_equal(device_find(&b, r, "b2", 1, 0, &f, &e), -ENODATA);
	recover_found_free(f);
	device_find_end(&b);

	device_recover(&b, r, "c", 1, 1, 2);
	tree_is(&b, want);
	free(want);
	/* And work goes on from there, above what was claimed. */
	device_start(&b);
	f_write(&b, "y", 0, "three", 5);
	ok(device_sync(&b));
	want = tree_text(&b);
	device_close(&b);
	recovers_as(r, "d", 1, want);
	free(want);
}

static void salvage(struct rig *r, uint64_t sequence, uint64_t newest)
{
	struct recover_params p = { .keys = r->keys };
	struct recover_found *f = NULL;
	struct err e = { "" };
	struct salvage s;
	struct device b;

	assert_true(device_find(&b, r, "probe", 1, 0, &f, &e) < 0);
	recover_found_free(f);
	p.stores = b.stores;
	p.n_stores = 1;
	e = (struct err){ "" };
	if (salvage_find(&p, &s, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(s.found->sequence, sequence);
	assert_int_equal(s.newest, newest);
	assert_int_equal(s.n_lost_dirs, 0);
	assert_int_equal(s.n_dirs, 2);
	assert_int_equal(s.n_faults, 0);
	salvage_fini(&s);
	device_find_end(&b);
}

static void salvage_finds_the_newest_whole_commit(void **state)
{
	struct rig *r = *state;
	struct piece_file head;
	struct device a;
	char path[512];

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	ok(device_sync(&a));
	f_write(&a, "d/x", 0, "two", 3);
	ok(device_sync(&a));
	f_write(&a, "d/x", 0, "three", 5);
	ok(device_sync(&a));
	head = head_of(&a, 3);
	device_close(&a);

	/* The register is gone: everything is found all the same. */
	rig_remove(r, "s0/heads");
	salvage(r, 3, 3);
	/* The newest head piece is cut: the one before it serves. */
	car_path(r, "s0", head.name, path, sizeof(path));
	assert_int_equal(truncate(path, (off_t)head.size / 2), 0);
	salvage(r, 2, 2);
}

static void other_words_find_nothing(void **state)
{
	static const uint8_t entropy[SECRET_SIZE] = { 9 };
	struct recover_found *f = NULL;
	struct rig *r = *state, other;
	struct err e = { "" };
	struct device a, b;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_write(&a, "x", 0, "one", 3);
	ok(device_sync(&a));
	device_close(&a);
	other = *r;
	other.keys = NULL;
	ok(secret_new(entropy, &other.entropy));
	ok(keys_from_entropy(other.entropy, &other.keys));
	assert_int_equal(device_find(&b, &other, "b", 1, 0, &f, &e), -ENOENT);
	assert_non_null(strstr(e.text, "words"));
	recover_found_free(f);
	device_find_end(&b);
	rename_store(r, "s0", "gone");
	e = (struct err){ "" };
	assert_int_equal(device_find(&b, r, "b", 1, 0, &f, &e), -EREMOTEIO);
	recover_found_free(f);
	device_find_end(&b);
	keys_free(other.keys);
	secret_free(other.entropy);
}

struct row {
	struct device *d;
	struct piece_cid cid;
	enum ledger_placement_state state;
	uint64_t piece, store;
};

static int on_row(void *ctx, const struct ledger_placement *p)
{
	struct row *row = ctx;

	row->state = p->state;
	row->piece = p->piece;
	row->store = p->store;
	return 0;
}

static int on_row_piece(void *ctx, const struct ledger_piece *p)
{
	struct row *row = ctx;

	if (!piece_cid_eq(&p->cid, &row->cid))
		return 0;
	return ledger_placements(row->d->ledger, p->ordinal, on_row, row);
}

/* Its only store's file of a piece that the shipper has just read back well, which is
 * not written down yet, is gone. */
static void lose_what_was_read(struct rig *r, struct device *b, struct row *row)
{
	char text[PIECE_CID_TEXT_MAX], name[PIECE_CID_TEXT_MAX + 8], path[256];
	struct device a;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	plant(&a);
	ok(device_sync(&a));
	device_close(&a);

	device_recover(b, r, "b", 1, 1, 0);
	device_late(b, 0, PROVIDER_VERIFY);
	device_start(b);
	device_late_cid(b, 0, &row->cid);
	row->d = b;
	piece_cid_text(&row->cid, text);
	(void)snprintf(name, sizeof(name), "%s.car", text); /* fits */
	car_path(r, "s0", name, path, sizeof(path));
	assert_int_equal(unlink(path), 0);
}

static void a_reading_from_before_does_not_undo_what_verify_found(void **state)
{
	struct rig *r = *state;
	struct row row = { .state = 0 };
	struct device b;

	lose_what_was_read(r, &b, &row);
	assert_true(device_verify(&b, NULL) > 0);
	device_let_go(&b, 0);
	onboard_free(b.onboard); /* when the shipper has written it down */
	b.onboard = NULL;
	ok(ledger_pieces(b.ledger, 0, on_row_piece, &row));
	assert_int_equal(row.state, LEDGER_LOST);
	device_close(&b);
}

static void a_reading_from_before_does_not_undo_what_a_reader_found(void **state)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct row row = { .state = 0 };
	struct device b;

	lose_what_was_read(r, &b, &row);
	ok(ledger_pieces(b.ledger, 0, on_row_piece, &row));
	assert_int_equal(row.state, LEDGER_LISTED);
	assert_int_equal(ledger_placement_doubt(b.ledger, row.piece, row.store,
						"it does not have it any more"),
			 1);
	onboard_doubted(b.onboard, row.store, row.piece);
	device_let_go(&b, 0);
	while (row.state != LEDGER_LOST) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		ok(ledger_pieces(b.ledger, 0, on_row_piece, &row));
	}
	device_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reading_from_before_does_not_undo_what_verify_found),
		T(a_reading_from_before_does_not_undo_what_a_reader_found),
		T(a_damaged_block_costs_its_file_and_nothing_else),
		T(a_lost_piece_is_named_and_the_rest_comes_back),
		T(with_two_copies_nobody_notices_and_repair_follows),
		T(a_store_that_is_away_is_filled_up_when_it_returns),
		T(stores_that_disagree_are_named_and_the_newest_wins),
		T(a_broken_head_is_refused_and_the_one_before_it_serves),
		T(salvage_finds_the_newest_whole_commit),
		T(other_words_find_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
