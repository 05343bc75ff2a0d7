/* test_source.c - requests of the cache: answered once, interruptible, bounded */
#include "world.h"

#include <sched.h>
#include <string.h>
#include <sys/stat.h>

static void both(struct world *w, enum store_mood m)
{
	mood(w, 0, m);
	mood(w, 1, m);
}

/* Nothing is to be expected of the second, so the first is waited for, however long
 * this machine stands still. */
static void both_hang(struct world *w)
{
	both(w, STORE_HANGS);
	lock_take(&w->r->lock);
	rank_wrong(&w->r->stores[1].rank, monotonic_us());
	lock_drop(&w->r->lock);
}

static void a_range_of_a_file_comes_exactly(void **state)
{
	struct world *w = *state;
	uint8_t *want = malloc(FILE_SIZE);
	static const struct {
		uint64_t off, n;
	} v[] = { { 0, 1 },
		  { 0, FILE_SIZE },
		  { (1u << 20) - 5, 10 },
		  { 2u << 20, 4096 },
		  { FILE_SIZE - 3, 3 } };

	assert_non_null(want);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct ask a;

		ask_start(&a, w, SOURCE_READ, &w->file.link, v[i].off, v[i].n,
			  false);
		assert_int_equal(ask_wait(&a), 0);
		file_text(v[i].off, want, v[i].n);
		assert_true(slice_eq(buf_slice(&a.data), slice(want, v[i].n)));
		ask_end(&a);
	}
	free(want);
}

static void a_directory_names_its_entries(void **state)
{
	struct world *w = *state;
	struct ask a;

	ask_start(&a, w, SOURCE_DIR, &w->dir.link, 0, 0, false);
	assert_int_equal(ask_wait(&a), 0);
	assert_int_equal(a.n_entries, 1);
	assert_string_equal(a.name, "named");
	assert_int_equal(a.attr.ino, FILE_INO);
	ask_end(&a);
}

static void a_hard_linked_inode_is_looked_up_in_the_table(void **state)
{
	struct world *w = *state;
	struct ask a;

	ask_start(&a, w, SOURCE_INODE, NULL, 0, 0, false);
	assert_int_equal(ask_wait(&a), -EBADMSG); /* there is no table */
	ask_end(&a);
	retrieve_set_inode_table(w->r, &w->table.link);
	ask_start(&a, w, SOURCE_INODE, NULL, 0, 0, false);
	assert_int_equal(ask_wait(&a), 0);
	assert_int_equal(a.n_entries, 1);
	assert_int_equal(a.attr.ino, FILE_INO);
	assert_int_equal(a.attr.mode, S_IFREG | 0640);
	assert_int_equal(a.attr.nlink, 2);
	assert_int_equal(a.attr.size, FILE_SIZE);
	ask_end(&a);
	retrieve_set_inode_table(w->r, &w->dir.link); /* has no such name */
	ask_start(&a, w, SOURCE_INODE, NULL, 0, 0, false);
	assert_int_equal(ask_wait(&a), -EBADMSG); /* no «not found» of what has a name */
	ask_end(&a);
}

static size_t failed(struct world *w,
		     struct retrieve_failed v[static RETRIEVE_FAILED_MAX])
{
	return retrieve_failed(w->r, v);
}

static void stores_that_are_away_are_asked_again_until_the_deadline(void **state)
{
	struct world *w = *state;
	uint64_t began = monotonic_ms();
	struct retrieve_failed v[RETRIEVE_FAILED_MAX];
	struct retrieve_stats s;
	struct ask a;

	both(w, STORE_AWAY);
	ask_start(&a, w, SOURCE_READ, &w->loose[0], 0, LOOSE_SIZE, false);
	assert_int_equal(ask_wait(&a), -EREMOTEIO);
	ask_end(&a);
	assert_true(monotonic_ms() - began >= 200);
	/* At once, then after 250, 500 and 1000 ms, or later on a busy machine;
	   another try would come too late. */
	assert_in_range(calls(w, 0), 2, 4);
	assert_int_equal(calls(w, 1), calls(w, 0));
	retrieve_stats(w->r, &s);
	assert_int_equal(s.failed, 1);
	assert_int_equal(failed(w, v), 1);
	assert_non_null(strstr(v[0].error, "away"));
	assert_false(v[0].wrong);
}

static void a_store_that_comes_back_answers_the_waiting_request(void **state)
{
	struct world *w = *state;
	uint8_t want[LOOSE_SIZE];
	struct ask a;

	w->r->p.give_up_ms = SILENCE_MS; /* no thread of it reads that yet */
	both(w, STORE_AWAY);
	ask_start(&a, w, SOURCE_READ, &w->loose[0], 0, LOOSE_SIZE, false);
	while (calls(w, 1) == 0)
		(void)sched_yield();
	both(w, STORE_GOOD);
	assert_int_equal(ask_wait(&a), 0);
	loose_text(0, want);
	assert_true(slice_eq(buf_slice(&a.data), slice(want, sizeof(want))));
	ask_end(&a);
}

static void what_is_wrong_or_missing_fails_at_once(void **state)
{
	static const enum store_mood v[] = { STORE_WRONG, STORE_WITHOUT };
	struct world *w = *state;
	struct ask a;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		both(w, v[i]);
		ask_start(&a, w, SOURCE_READ, &w->loose[0], 0, LOOSE_SIZE, false);
		assert_int_equal(ask_wait(&a), -EBADMSG);
		assert_int_equal(a.data.n, 0);
		assert_int_equal(calls(w, 0) + calls(w, 1), 2);
		ask_end(&a);
	}
}

static int read_loose(struct world *w, size_t i, uint64_t off)
{
	struct ask a;
	int r;

	ask_start(&a, w, SOURCE_READ, &w->loose[i], off, LOOSE_SIZE, false);
	r = ask_wait(&a);
	ask_end(&a);
	return r;
}

static void what_failed_is_named_until_it_comes_or_is_forgotten(void **state)
{
	struct retrieve_failed v[RETRIEVE_FAILED_MAX];
	struct world *w = *state;
	_cleanup_buf_ struct buf link = { 0 };

	buf_init(&link, LINK_ENCODED_MAX);
	assert_int_equal(link_encode(&w->loose[0], &link), 0);
	both(w, STORE_WITHOUT);
	for (unsigned i = 0; i < 2; i++) { /* the same twice is one */
		assert_int_equal(read_loose(w, 0, 0), -EBADMSG);
		assert_int_equal(failed(w, v), 1);
	}
	assert_true(v[0].wrong);
	assert_int_equal(v[0].ino, FILE_INO);
	assert_true(slice_eq(slice(v[0].link, v[0].n_link), buf_slice(&link)));
	assert_non_null(strstr(v[0].error, "does not have piece b"));
	for (unsigned i = 1; i <= RETRIEVE_FAILED_MAX; i++)
		assert_int_equal(read_loose(w, 0, i), -EBADMSG);
	assert_int_equal(failed(w, v), RETRIEVE_FAILED_MAX);
	assert_int_equal(v[0].off, 1); /* the oldest went */
	both(w, STORE_GOOD);
	assert_int_equal(read_loose(w, 0, 2), 0);
	assert_int_equal(failed(w, v), RETRIEVE_FAILED_MAX - 1);
	assert_int_equal(v[1].off, 3);
	retrieve_forget(w->r, v[0].id);
	retrieve_forget(w->r, v[0].id);
	assert_int_equal(failed(w, v), RETRIEVE_FAILED_MAX - 2);
	assert_int_equal(v[0].off, 3);
}

static void read_ahead_is_not_tried_again(void **state)
{
	struct world *w = *state;
	struct ask a;

	both(w, STORE_AWAY);
	ask_start(&a, w, SOURCE_READ, &w->loose[0], 0, LOOSE_SIZE, true);
	assert_int_equal(ask_wait(&a), -EREMOTEIO);
	assert_int_equal(calls(w, 0), 1);
	assert_int_equal(calls(w, 1), 1);
	ask_end(&a);
}

static void read_ahead_waits_behind_what_somebody_waits_for(void **state)
{
	struct world *w = *state;
	struct source *s;
	struct ask first, ahead, wanted;

	world_threads(w, 1);
	s = retrieve_source(w->r);
	both_hang(w);
	ask_start(&first, w, SOURCE_READ, &w->loose[0], 0, LOOSE_SIZE, false);
	wait_until_hanging(w, 0);
	ask_start(&ahead, w, SOURCE_READ, &w->loose[1], 0, LOOSE_SIZE, true);
	ask_start(&wanted, w, SOURCE_READ, &w->loose[2], 0, LOOSE_SIZE, false);
	s->cancel(s, &first.req);
	assert_int_equal(ask_wait(&first), -ECANCELED);
	wait_until_hanging_at(w, 0, w->loose[2].place.off);
	s->cancel(s, &wanted.req);
	assert_int_equal(ask_wait(&wanted), -ECANCELED);
	wait_until_hanging_at(w, 0, w->loose[1].place.off);
	s->cancel(s, &ahead.req);
	assert_int_equal(ask_wait(&ahead), -ECANCELED);
	ask_end(&first);
	ask_end(&ahead);
	ask_end(&wanted);
}

static void read_ahead_of_a_file_follows_who_waits_for_its_bytes(void **state)
{
	struct world *w = *state;
	struct source *s;
	struct ask wanted, ahead, other;

	world_threads(w, 2);
	s = retrieve_source(w->r);
	both_hang(w);
	/* it hangs at the file's node, before its bytes */
	ask_start(&wanted, w, SOURCE_READ, &w->file.link, 0, LOOSE_SIZE, false);
	wait_until_hanging(w, 0);
	ask_start(&ahead, w, SOURCE_READ, &w->loose[1], 0, LOOSE_SIZE, true);
	/* so there is a thread for others, also when it has nothing else to do */
	for (unsigned k = 0; k < 20; k++) {
		ask_start(&other, w, SOURCE_DIR, &w->dir.link, 0, 0, false);
		wait_until_hanging_at(w, 0, w->dir.link.place.off);
		s->cancel(s, &other.req);
		assert_int_equal(ask_wait(&other), -ECANCELED);
		ask_end(&other);
	}
	s->cancel(s, &wanted.req);
	assert_int_equal(ask_wait(&wanted), -ECANCELED);
	wait_until_hanging_at(w, 0, w->loose[1].place.off);
	s->cancel(s, &ahead.req);
	assert_int_equal(ask_wait(&ahead), -ECANCELED);
	ask_end(&wanted);
	ask_end(&ahead);
	/* its bytes are asked for: so may be what is ahead of them */
	ask_start(&wanted, w, SOURCE_READ, &w->loose[2], 0, LOOSE_SIZE, false);
	wait_until_hanging_at(w, 0, w->loose[2].place.off);
	ask_start(&ahead, w, SOURCE_READ, &w->loose[9], 0, LOOSE_SIZE, true);
	wait_until_hanging_at(w, 0, w->loose[9].place.off);
	s->cancel(s, &ahead.req);
	assert_int_equal(ask_wait(&ahead), -ECANCELED);
	s->cancel(s, &wanted.req);
	assert_int_equal(ask_wait(&wanted), -ECANCELED);
	ask_end(&wanted);
	ask_end(&ahead);
}

static void a_request_is_called_off_while_its_store_hangs(void **state)
{
	static const enum source_kind kinds[] = { SOURCE_READ, SOURCE_DIR,
						  SOURCE_INODE };
	struct world *w = *state;
	struct source *s = retrieve_source(w->r);
	struct retrieve_stats stats;
	struct ask a;

	retrieve_set_inode_table(w->r, &w->table.link);
	both_hang(w);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		ask_start(&a, w, kinds[i],
			  kinds[i] == SOURCE_DIR ? &w->dir.link : &w->file.link,
			  0, FILE_SIZE, false);
		wait_until_hanging(w, 0);
		s->cancel(s, &a.req);
		assert_int_equal(ask_wait(&a), -ECANCELED);
		ask_end(&a);
		s->cancel(s, &a.req); /* over: nothing happens */
	}
	retrieve_stats(w->r, &stats);
	assert_int_equal(stats.failed, 0);
	/* and the store is not worse for it */
	both(w, STORE_GOOD);
	ask_start(&a, w, SOURCE_DIR, &w->dir.link, 0, 0, false);
	assert_int_equal(ask_wait(&a), 0);
	assert_int_equal(calls(w, 0), 1);
	ask_end(&a);
}

static void stop_answers_everything_and_refuses_what_comes_later(void **state)
{
	struct world *w = *state;
	struct source_req late = { .kind = SOURCE_INODE, .ino = 1 };
	struct source *s;
	struct ask v[5];

	world_threads(w, 1);
	both_hang(w);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		ask_start(&v[i], w, SOURCE_READ, &w->loose[i], 0, LOOSE_SIZE, i % 2);
	wait_until_hanging(w, 0);
	retrieve_stop(w->r);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		assert_int_equal(ask_wait(&v[i]), -ECANCELED);
		ask_end(&v[i]);
	}
	s = retrieve_source(w->r);
	assert_int_equal(s->start(s, &late), -ECANCELED);
}

static void a_link_of_a_wrong_form_is_refused_at_the_start(void **state)
{
	struct world *w = *state;
	struct source *s = retrieve_source(w->r);
	struct source_req bad = { .kind = SOURCE_DIR,
				  .link = slice_str("\1\x55 too short") };
	struct source_state st;

	assert_int_equal(s->start(s, &bad), -EPROTO);
	assert_int_equal(s->state(s, 1, bad.link, &st), -EPROTO);
}

static void state_says_what_the_ledger_has_checked(void **state)
{
	struct world *w = *state;
	struct source *s = retrieve_source(w->r);
	struct ledger_placement p = { .piece = w->ordinal, .state = LEDGER_STORED };
	struct ledger_head head = { .seq = 1,
				    .state = LEDGER_BUILT,
				    .piece = w->ordinal + 1,
				    .body = slice_str("not looked at") };
	struct source_state st;
	struct buf link;

	buf_init(&link, LINK_ENCODED_MAX);
	assert_int_equal(link_encode(&w->file.link, &link), 0);
	assert_int_equal(
		ledger_piece_set(w->ledger, w->ordinal, LEDGER_READY, true), 0);
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "queued");
	assert_int_equal(st.copies, 0);
	assert_memory_equal(st.cid, "bafybei", 7);
	assert_int_equal(strlen(st.cid), 59);
	/* written, but not read back: no copy yet */
	p.store = w->ids[0];
	assert_int_equal(ledger_placement_set(w->ledger, &p), 0);
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "queued");
	p.state = LEDGER_VERIFIED;
	assert_int_equal(ledger_placement_set(w->ledger, &p), 0);
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "uploading");
	assert_int_equal(st.copies, 1);
	p.store = w->ids[1];
	assert_int_equal(ledger_placement_set(w->ledger, &p), 0);
	assert_int_equal(
		ledger_piece_set(w->ledger, w->ordinal, LEDGER_HELD, false), 0);
	/* held, but no visible commit lists it: recover would not find it */
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "uploading");
	assert_int_equal(
		ledger_head_add(w->ledger, &head, &w->ordinal, 1, 1, NULL, 0), 0);
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "uploading");
	assert_int_equal(ledger_head_set(w->ledger, 1, LEDGER_CLAIMED), 0);
	assert_int_equal(s->state(s, FILE_INO, buf_slice(&link), &st), 0);
	assert_string_equal(st.state, "stored");
	assert_int_equal(st.copies, 2);
	buf_fini(&link);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_new, world_free)
	const struct CMUnitTest tests[] = {
		T(a_range_of_a_file_comes_exactly),
		T(a_directory_names_its_entries),
		T(a_hard_linked_inode_is_looked_up_in_the_table),
		T(stores_that_are_away_are_asked_again_until_the_deadline),
		T(a_store_that_comes_back_answers_the_waiting_request),
		T(what_is_wrong_or_missing_fails_at_once),
		T(what_failed_is_named_until_it_comes_or_is_forgotten),
		T(read_ahead_is_not_tried_again),
		T(read_ahead_waits_behind_what_somebody_waits_for),
		T(read_ahead_of_a_file_follows_who_waits_for_its_bytes),
		T(a_request_is_called_off_while_its_store_hangs),
		T(stop_answers_everything_and_refuses_what_comes_later),
		T(a_link_of_a_wrong_form_is_refused_at_the_start),
		T(state_says_what_the_ledger_has_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
