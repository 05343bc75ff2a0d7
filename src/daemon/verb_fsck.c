/*
 * verb_fsck.c - fildrive fsck: read everything of an unmounted drive
 *
 * Exit codes are those of fsck(8): 0 clean, 1 all faults repaired, 4 faults
 * left (after --salvage: something is lost, and a list says what), 8 could not
 * check, 16 usage.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/recovery.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "dag/commit.h"
#include "ledger/ledger.h"
#include "retrieve/recover.h"
#include "retrieve/salvage.h"

enum {
	FSCK_CLEAN = 0,
	FSCK_REPAIRED = 1,
	FSCK_LEFT = 4,
	FSCK_FAILED = 8,
	FSCK_USAGE = 16
};

static const struct cli_option options[] = {
	CLI_DRIVE,
	CLI_PASSFILE,
	CLI_EXTPASS,
	{ "repair", 0, false, NULL, "remove what cannot be read, mend counters" },
	{ "salvage", 0, false, NULL,
	  "begin anew from the newest commit that the stores still have" },
	CLI_END,
};

#define ASIDE_MAX   32 /* bytes of the folder's name */
#define ASIDE_TRIES 1000

struct tally {
	unsigned n_found;
	bool db; /* in a database: no repair can make up its rows */
};

static void found(void *ctx, const char *sentence)
{
	struct tally *t = ctx;

	t->n_found++;
	t->db |= strncmp(sentence, "drive.db: ", 10) == 0 ||
		 strncmp(sentence, "ledger.db: ", 11) == 0;
	exits_out("%s\n", sentence);
}

static const char salvage_it[] =
	"fildrive fsck --salvage makes the databases anew from the stores, and moves these aside";

/* What no store has any more is no fault of this directory, and is said none the less. */
static void say_lost(struct ledger *l)
{
	uint64_t files = 0, bytes = 0, pieces = 0;

	if (ledger_lost_count(l, &files, &bytes) < 0 || ledger_lost(l, &pieces) < 0)
		return; /* `verify` has to tell it */
	if (files)
		exits_out("%llu %s lost bytes that no store has any more: mount, and fildrive verify names %s.\n",
			  (unsigned long long)files,
			  units_noun(files, "file has", "files have"),
			  units_noun(files, "it", "them"));
	else if (pieces)
		exits_out("%llu %s whole at no store: mount, and fildrive verify --all names the files.\n",
			  (unsigned long long)pieces,
			  units_noun(pieces, "piece is", "pieces are"));
}

/* Faults that are left in it. */
static int check_ledger(struct drive *d, struct tally *t)
{
	struct ledger_params p = { .io = d->io,
				   .key = keys_secret(d->keys, KEYS_DB) };
	struct ledger *l = NULL;
	struct err why = { "" };
	char text[sizeof(why.text) + 16];
	int r;

	memcpy(p.drive_id, keys_drive_id(d->keys), sizeof(p.drive_id));
	r = ledger_open(&p, &l, &why);
	if (r == 0)
		r = ledger_check(l, &why);
	if (r == 0)
		say_lost(l);
	ledger_close(l);
	if (r == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%s%s",
		       strncmp(why.text, "ledger.db: ", 11) == 0 ? "" : "ledger.db: ",
		       why.text[0] ? why.text : err_str(r));
	found(t, text);
	return 1;
}

/* What may be done about what is left. */
static const char *advice(const struct tally *t, bool repair)
{
	if (t->db)
		return salvage_it;
	return repair ? "" : "fildrive fsck --repair mends them";
}

static int check(struct drive *d, bool repair)
{
	struct cache_params params;
	struct tally t = { 0 };
	struct err why = { "" };
	struct cache *cache = NULL;
	int left, in_ledger, r;

	in_ledger = check_ledger(d, &t);
	drive_cache_params(d, &params);
	params.read_only = !repair;
	params.distrust = true;
	r = cache_open(&params, &cache, &why);
	if (r < 0) {
		(void)exits_err(r, &why, "opening the drive");
		if (r == -EUCLEAN)
			exits_out("%s.\n", salvage_it);
		return FSCK_FAILED;
	}
	left = cache_check(cache, repair, found, &t, &why);
	r = cache_close(cache);
	if (left < 0 || r < 0) {
		(void)exits_err(left < 0 ? left : r, &why, "checking the drive");
		return FSCK_FAILED;
	}
	left += in_ledger;
	if (t.n_found == 0 && left == 0) {
		exits_out("Drive '%s' is clean.\n", d->name);
		return FSCK_CLEAN;
	}
	exits_out("Drive '%s': %u fault%s found, %d left%s%s.\n", d->name,
		  t.n_found, t.n_found == 1 ? "" : "s", left,
		  left && *advice(&t, repair) ? "; " : "",
		  left ? advice(&t, repair) : "");
	return left ? FSCK_LEFT : FSCK_REPAIRED;
}

/*
 * What the local databases still hold and the stores do not is not thrown away:
 * it is moved aside, where a person may look at it.
 */
static int move_aside(struct drive *d, char aside[static ASIDE_MAX])
{
	static const char *const names[] = { "drive.db",  "drive.db-wal",
					     "ledger.db", "ledger.db-wal",
					     "data",      "outbox" };
	char to[2 * ASIDE_MAX];
	int r = -EEXIST;

	for (unsigned i = 1; r == -EEXIST && i < ASIDE_TRIES; i++) {
		(void)snprintf(aside, ASIDE_MAX, "aside-%u", i); /* fits */
		r = io_mkdir(d->io, aside);
	}
	for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++) {
		(void)snprintf(to, sizeof(to), "%s/%s", aside, names[i]);
		r = io_rename(d->io, names[i], to);
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		r = io_syncdir(d->io, aside);
	return r < 0 ? r : io_syncdir(d->io, ".");
}

static void warn(const char *text)
{
	exits_out("%s\n", text);
}

/* The list of what is not as it was, and what that comes to. */
static int say_salvaged(const struct drive *d, const struct recovery *rec,
			const char *aside)
{
	const struct salvage *s = recovery_salvaged(rec);
	const struct recover_found *f = s->found;
	struct slice report = salvage_report(s);
	char date[UNITS_TEXT_MAX];

	for (size_t i = 0; i < f->n_stores; i++)
		if (f->stores[i].status < 0 && f->stores[i].status != -ENOENT)
			exits_out("%s cannot be asked: what it alone has counts as lost: %s\n",
				  recovery_place(rec, i), f->stores[i].why);
	if (s->n_unreadable)
		exits_out("%llu files at the stores are damaged at their end, or no pieces of this drive.\n",
			  (unsigned long long)s->n_unreadable);
	exits_out("%.*s", (int)report.n, (const char *)report.p);
	units_say_date(commit_info(f->commit)->time.s, date);
	exits_out("Drive '%s' begins anew with commit %llu of %s; what was here is in %s/%s.\n",
		  d->name, (unsigned long long)f->sequence, date, d->dir, aside);
	if (report.n)
		exits_out("The list above is also in the drive: lost+found*/report.txt.\n");
	if (f->n_missing)
		exits_out("%zu %s at no store: reading what is in there gives an I/O error.\n",
			  f->n_missing,
			  units_noun(f->n_missing, "piece is", "pieces are"));
	return s->n_faults || f->n_missing ? FSCK_LEFT : FSCK_REPAIRED;
}

static int salvage(struct drive *d, struct recovery **ret)
{
	struct cache_params params;
	struct recovery *rec;
	char aside[ASIDE_MAX];
	struct err why = { "" };
	int r;

	r = recovery_salvage(&d->config, d->keys, warn, ret, &why);
	rec = *ret;
	if (r == 0)
		r = recovery_may_write(rec, &why);
	if (r == 0)
		r = recovery_settle(rec, &d->config, RECOVERY_AS_IS, &why);
	if (r < 0) {
		(void)exits_err(r, &why, "looking at the stores");
		return FSCK_FAILED;
	}
	r = move_aside(d, aside);
	if (r == 0) {
		drive_cache_params(d, &params);
		r = recovery_fill(rec, &params, &why);
	}
	if (r < 0) {
		(void)exits_err(r, &why, "making the databases anew");
		return FSCK_FAILED;
	}
	return say_salvaged(d, rec, aside);
}

static int run(const struct cli *cli)
{
	bool repair = cli_flag(cli, "repair"), anew = cli_flag(cli, "salvage");
	_cleanup_drive_ struct drive *d = NULL;
	struct recovery *rec = NULL;
	int r;

	if (repair && anew)
		return exits_say(FSCK_USAGE,
				 "fsck: --repair and --salvage exclude each other");
	if (verbs_open_alone(cli, &d))
		return FSCK_FAILED;
	if (!anew)
		return check(d, repair);
	r = salvage(d, &rec);
	return recovery_leave(rec, r);
}

const struct cli_verb verb_fsck = {
	.name = "fsck",
	.args = "",
	.summary = "check the local drive directory of an unmounted drive",
	.details = "--salvage is for a drive that cannot be opened or recovered any more: what is\n"
		   "here is moved aside, and the newest tree that can be put together from the\n"
		   "stores takes its place: a lost folder is filled from its newest older version,\n"
		   "or left empty, and content without a name goes to lost+found. What is not as\n"
		   "it was is listed, and in lost+found/report.txt.\n"
		   "Exit status: 0 clean, 1 all faults repaired, 4 faults left (--salvage: something\n"
		   "is lost), 8 could not check, 16 usage error.",
	.options = options,
	.run = run,
	.usage_exit = FSCK_USAGE,
};
