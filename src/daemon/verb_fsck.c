/*
 * verb_fsck.c - fildrive fsck: read everything of an unmounted drive
 *
 * Exit codes are those of fsck(8): 0 clean, 1 all faults repaired, 4 faults
 * left, 8 could not check, 16 usage.
 */
#include <stdio.h>

#include "base/err.h"
#include "cache/cache.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"

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
	CLI_END,
};

struct tally {
	unsigned n_found;
};

static void found(void *ctx, const char *sentence)
{
	struct tally *t = ctx;

	t->n_found++;
	exits_out("%s\n", sentence);
}

static int check(struct drive *d, bool repair)
{
	struct cache_params params;
	struct tally t = { 0 };
	struct err why = { "" };
	struct cache *cache = NULL;
	int left, r;

	drive_cache_params(d, &params);
	params.read_only = !repair;
	r = cache_open(&params, &cache, &why);
	if (r < 0) {
		(void)exits_err(r, &why, "opening the drive");
		return FSCK_FAILED;
	}
	left = cache_check(cache, repair, found, &t, &why);
	r = cache_close(cache);
	if (left < 0 || r < 0) {
		(void)exits_err(left < 0 ? left : r, &why, "checking the drive");
		return FSCK_FAILED;
	}
	if (t.n_found == 0 && left == 0) {
		exits_out("Drive '%s' is clean.\n", d->name);
		return FSCK_CLEAN;
	}
	exits_out("Drive '%s': %u fault%s found, %d left%s.\n", d->name,
		  t.n_found, t.n_found == 1 ? "" : "s", left,
		  left && !repair ? "; fildrive fsck --repair mends them" : "");
	return left ? FSCK_LEFT : FSCK_REPAIRED;
}

static int run(const struct cli *cli)
{
	_cleanup_drive_ struct drive *d = NULL;

	if (verbs_open_alone(cli, &d))
		return FSCK_FAILED;
	return check(d, cli_flag(cli, "repair"));
}

const struct cli_verb verb_fsck = {
	.name = "fsck",
	.args = "",
	.summary = "check the local drive directory of an unmounted drive",
	.details = "Exit status: 0 clean, 1 all faults repaired, 4 faults left, 8 could not\n"
		   "check, 16 usage error.",
	.options = options,
	.run = run,
	.usage_exit = FSCK_USAGE,
};
