/* answer_status.c - what a daemon says of its drive, for people */
#include <stdbool.h>
#include <time.h>

#include "base/err.h"
#include "base/slice.h"
#include "chain/amount.h"
#include "daemon/answer.h"
#include "daemon/exits.h"
#include "daemon/units.h"
#include "daemon/wallet.h"

static uint64_t num(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? (uint64_t)v : 0;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void say_cache(const json_t *c)
{
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], t[UNITS_TEXT_MAX];

	units_say_size(num(c, "dirty_bytes"), a);
	units_say_time(num(c, "dirty_seconds") * 1000, t);
	if (num(c, "dirty_inodes"))
		exits_out("Dirty:     %s in %llu %s, for %s\n", a,
			  (unsigned long long)num(c, "dirty_inodes"),
			  units_noun(num(c, "dirty_inodes"), "file or folder",
				     "files and folders"),
			  t);
	else
		exits_out("Dirty:     nothing\n");
	units_say_size(num(c, "used_bytes"), a);
	units_say_size(num(c, "max_bytes"), b);
	if (num(c, "max_bytes"))
		exits_out("Cache:     %s of %s", a, b);
	else
		exits_out("Cache:     %s", a);
	units_say_size(num(c, "clean_bytes"), a);
	exits_out(", %s can be evicted\n", a);
}

static void say_content(const json_t *o)
{
	char a[UNITS_TEXT_MAX];

	if (!json_is_object(o))
		return;
	units_say_size(num(o, "bytes"), a);
	exits_out("Content:   %s in %llu %s\n", a,
		  (unsigned long long)num(o, "inodes"),
		  units_noun(num(o, "inodes"), "folder", "files and folders"));
}

static void say_pieces(const char *what, const json_t *o)
{
	char a[UNITS_TEXT_MAX];

	if (!json_is_object(o))
		return;
	units_say_size(num(o, "bytes"), a);
	exits_out("%-10s %llu %s, %s\n", what, (unsigned long long)num(o, "pieces"),
		  units_noun(num(o, "pieces"), "piece", "pieces"), a);
}

static void say_when(const char *what, uint64_t at)
{
	char date[UNITS_TEXT_MAX];

	if (!at)
		return;
	units_say_date((int64_t)at, date);
	exits_out(", %s %s", what, date);
}

/* Who holds its copies, by name and number; a name is a stranger's text. */
static void say_holder(const json_t *o)
{
	exits_out("%s (provider %llu)", text(o, "name"),
		  (unsigned long long)num(o, "provider"));
	if (num(o, "data_set"))
		exits_out(", data set %llu", (unsigned long long)num(o, "data_set"));
}

static void say_proof(const json_t *s)
{
	const json_t *p = json_object_get(s, "proof");
	const json_t *given = json_object_get(s, "given_up");

	if (p && num(p, "provider")) {
		exits_out("  Held by: ");
		say_holder(p);
		exits_out(": %s", text(p, "state"));
		say_when("last", num(p, "last"));
		say_when("next until", num(p, "deadline"));
		exits_out("\n");
	}
	for (size_t i = 0; i < json_array_size(given); i++) {
		exits_out("  Given up: ");
		say_holder(json_array_get(given, i));
		exits_out(": %s; it costs until fildrive gc ends it\n",
			  text(json_array_get(given, i), "why"));
	}
}

/* What was read back, and what is only said to be there. */
static void say_held(const json_t *s)
{
	const json_t *unread = json_object_get(s, "unread");
	char a[UNITS_TEXT_MAX];

	units_say_size(num(s, "bytes"), a);
	exits_out(", holds %llu %s, %s", (unsigned long long)num(s, "pieces"),
		  units_noun(num(s, "pieces"), "piece", "pieces"), a);
	if (!num(unread, "pieces"))
		return;
	units_say_size(num(unread, "bytes"), a);
	exits_out(", and %llu more, %s, not read back yet",
		  (unsigned long long)num(unread, "pieces"), a);
}

static void say_stores(const json_t *stores)
{
	for (size_t i = 0; i < json_array_size(stores); i++) {
		const json_t *s = json_array_get(stores, i);

		exits_out("Store:     ");
		exits_store(stdout, text(s, "url"));
		exits_out(": %s", text(s, "state"));
		if (json_object_get(s, "pieces"))
			say_held(s);
		if (text(s, "error")[0])
			exits_out(" (%s)", text(s, "error"));
		exits_out("\n");
		say_proof(s);
	}
}

static void say_commit(const json_t *o)
{
	time_t when = (time_t)num(o, "time");
	char at[64] = "";
	struct tm tm;

	if (!json_is_object(o))
		return;
	if (localtime_r(&when, &tm))
		(void)strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
	exits_out("Commit:    number %llu, %s\n",
		  (unsigned long long)num(o, "sequence"), at);
}

static struct wallet_sum sum(const json_t *w, const char *key, bool of_cost)
{
	struct u256 v = U256_ZERO;

	best_effort(amount_parse(slice_str(text(w, key)), "USDFC", &v, NULL)); /* 0 is
		shown: an older daemon's */
	return wallet_usdfc(v, of_cost);
}

static void say_wallet(const json_t *w)
{
	const json_t *days = json_object_get(w, "runway_days");
	char every[UNITS_TEXT_MAX];

	if (!json_is_object(w))
		return;
	exits_out("Wallet:    %s on %s: ", text(w, "address"), text(w, "network"));
	if (!json_is_integer(json_object_get(w, "read")))
		exits_out("not looked at yet\n");
	else if (json_is_integer(days))
		exits_out("%s deposited, %s a month, lasts %llu days\n",
			  sum(w, "deposit", false).text, sum(w, "month", true).text,
			  (unsigned long long)num(w, "runway_days"));
	else
		exits_out("%s deposited, nothing is paid from it yet\n",
			  sum(w, "deposit", false).text);
	units_say_time(num(w, "commit_seconds") * 1000, every);
	exits_out("Commits:   every %s, which costs; sync makes one at once\n",
		  every);
}

static void say_each(const char *what, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (json_is_string(one))
		exits_out("%-10s %s\n", what, json_string_value(one));
}

void answer_say_status(const json_t *status)
{
	char a[UNITS_TEXT_MAX];

	exits_out("Drive:     %s (%s)\n", text(status, "drive"),
		  text(status, "directory"));
	if (json_is_true(json_object_get(status, "mounted")))
		exits_out("Mounted:   %s%s\n", text(status, "mountpoint"),
			  json_is_true(json_object_get(status, "read_only")) ?
				  ", read only" :
				  "");
	else
		exits_out("Mounted:   no\n");
	say_content(json_object_get(status, "content"));
	if (json_object_get(status, "cache"))
		say_cache(json_object_get(status, "cache"));
	else
		exits_out("Dirty:     unknown while it is not mounted\n");
	say_pieces("Queued:", json_object_get(status, "queued"));
	say_pieces("Uploading:", json_object_get(status, "uploading"));
	say_stores(json_object_get(status, "stores"));
	exits_out("Copies:    %llu wanted\n",
		  (unsigned long long)num(status, "copies"));
	if (num(status, "bytes_fetched")) {
		units_say_size(num(status, "bytes_fetched"), a);
		exits_out("Fetched:   %s since the mount\n", a);
	}
	say_commit(json_object_get(status, "last_commit"));
	say_wallet(json_object_get(status, "wallet"));
	say_each("Warning:", json_object_get(status, "warnings"));
	say_each("Error:", json_object_get(status, "errors"));
}
