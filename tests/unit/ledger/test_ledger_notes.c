/* test_ledger_notes.c - what providers remember, and what was paid */
#include "common.h"

#include <string.h>

struct seen {
	char text[512];
	size_t n;
};

static int on_note(void *ctx, const char *key, struct slice value)
{
	struct seen *s = ctx;

	s->n += (size_t)snprintf(s->text + s->n, sizeof(s->text) - s->n, "%s=%.*s ",
				 key, (int)value.n, (const char *)value.p);
	return 0;
}

static const char *notes(struct ledger *l, uint64_t store, const char *prefix)
{
	static struct seen s;

	s = (struct seen){ .n = 0 };
	assert_int_equal(ledger_notes(l, store, prefix, on_note, &s), 0);
	return s.text;
}

static void notes_are_kept_by_store_and_name_across_restarts(void **state)
{
	struct recorder *rec = new_disk();
	struct ledger *l = new_ledger(rec, 1);
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(ledger_note_set(l, 1, "add/2", slice_str("two")), 0);
	assert_int_equal(ledger_note_set(l, 1, "add/1", slice_str("one")), 0);
	assert_int_equal(ledger_note_set(l, 1, "slot", slice_str("here")), 0);
	assert_int_equal(ledger_note_set(l, 1, "add", slice_str("itself")), 0);
	assert_int_equal(ledger_note_set(l, 2, "add/1", slice_str("other")), 0);
	assert_int_equal(ledger_note_set(l, 1, "add/1", slice_str("new")), 0);
	l = reopen(rec, l);
	assert_string_equal(notes(l, 1, "add"), "add=itself add/1=new add/2=two ");
	assert_string_equal(notes(l, 1, "add/"), "add/1=new add/2=two ");
	assert_string_equal(notes(l, 2, ""), "add/1=other ");
	assert_string_equal(notes(l, 3, ""), "");
	assert_int_equal(ledger_note_drop(l, 1, "add/1"), 0);
	assert_int_equal(ledger_note_drop(l, 1, "add/1"), 0);
	assert_int_equal(ledger_note_get(l, 1, "add/1", &b), -ENOENT);
	assert_int_equal(ledger_note_get(l, 1, "slot", &b), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("here")));
	ledger_close(l);
	recorder_free(rec);
}

static void what_is_too_long_is_refused(void **state)
{
	struct recorder *rec = new_disk();
	struct ledger *l = new_ledger(rec, 1);
	char key[LEDGER_NOTE_KEY_MAX + 1];
	uint8_t *big = calloc(1, LEDGER_NOTE_MAX + 1);

	(void)state;
	assert_non_null(big);
	memset(key, 'k', sizeof(key));
	key[LEDGER_NOTE_KEY_MAX] = '\0';
	assert_int_equal(ledger_note_set(l, 1, key, SLICE_NONE), -EMSGSIZE);
	key[LEDGER_NOTE_KEY_MAX - 1] = '\0';
	assert_int_equal(ledger_note_set(l, 1, key, slice(big, LEDGER_NOTE_MAX)), 0);
	assert_int_equal(ledger_note_set(l, 1, key, slice(big, LEDGER_NOTE_MAX + 1)),
			 -EMSGSIZE);
	free(big);
	ledger_close(l);
	recorder_free(rec);
}

static int on_spend(void *ctx, const struct ledger_spend *s)
{
	struct seen *seen = ctx;

	seen->n += (size_t)snprintf(seen->text + seen->n,
				    sizeof(seen->text) - seen->n, "%u:%s ",
				    s->amount[31], s->text);
	return 0;
}

static void a_payment_is_written_down_once(void **state)
{
	struct recorder *rec = new_disk();
	struct ledger *l = new_ledger(rec, 1);
	struct ledger_spend a = { .time = 5,
				  .store = 1,
				  .ref = { 1 },
				  .n_ref = 32,
				  .amount = { [31] = 7 },
				  .text = "seven" },
			    b = a;
	struct seen s = { .n = 0 };

	(void)state;
	b.ref[0] = 2;
	b.amount[31] = 8;
	text_copy(b.text, sizeof(b.text), "eight");
	assert_int_equal(ledger_spend_add(l, &a), 0);
	assert_int_equal(ledger_spend_add(l, &b), 0);
	l = reopen(rec, l);
	assert_int_equal(ledger_spend_add(l, &a), 0);
	assert_int_equal(ledger_spends(l, 0, on_spend, &s), 0);
	assert_string_equal(s.text, "7:seven 8:eight ");
	a.n_ref = 0;
	assert_int_equal(ledger_spend_add(l, &a), -EINVAL);
	ledger_close(l);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_are_kept_by_store_and_name_across_restarts),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(a_payment_is_written_down_once),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
