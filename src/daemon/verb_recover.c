/* verb_recover.c - fildrive recover: words and stores to a drive */
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/newdrive.h"
#include "daemon/newwallet.h"
#include "daemon/passphrase.h"
#include "daemon/paystore.h"
#include "daemon/recovery.h"
#include "daemon/rejoin.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "daemon/words_out.h"
#include "dag/commit.h"
#include "retrieve/recover.h"
#include "retrieve/salvage.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "store", 's', true, "URL",
	  "where the drive was kept: dir:///absolute/path, filecoin://mainnet" },
	{ "words-file", 'w', false, "FILE",
	  "the 24 recovery words; - is standard input" },
	{ "copies", 'n', false, "N",
	  "stores that must hold each piece; default as before" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	{ "salvage", 0, false, NULL,
	  "put together from every piece what is left of a damaged drive" },
	{ "before", 0, false, "N", "the newest commit below number N" },
	{ "at-least", 0, false, "N",
	  "end if the newest commit is older than number N, which status showed" },
	{ "cache-size", 0, false, "SIZE", "room on this machine, such as 20G" },
	{ "payer", 0, false, "ADDRESS", "who pays, if it is not the words' wallet" },
	CLI_END,
};

static void warn(const char *text)
{
	(void)fprintf(stderr, "fildrive: warning: %s\n", text);
}

/* What each store knew, when they do not agree; what is nowhere. */
static void print_warnings(const struct recovery *rec)
{
	const struct recover_found *f = recovery_found(rec);

	for (size_t i = 0; i < f->n_stores; i++) {
		const struct recover_store *s = &f->stores[i];
		const char *name = recovery_place(rec, i);
		const char *why = recovery_place_error(rec, i);

		if (why[0])
			(void)fprintf(stderr, "fildrive: warning: %s: %s\n",
				      name, why);
		else if (s->status < 0)
			(void)fprintf(stderr, "fildrive: warning: %s: %s\n",
				      name, s->why);
		else if (s->sequence < f->newest)
			(void)fprintf(stderr,
				      "fildrive: warning: %s knows only commit %" PRIu64
				      " of %" PRIu64
				      ": it was away, or is an older copy\n",
				      name, s->sequence, f->newest);
		if (s->other_head)
			(void)fprintf(stderr,
				      "fildrive: warning: %s has another commit %" PRIu64
				      ", of another device at the same time; to go on from that one, recover with this store named first\n",
				      name, f->sequence);
		if (s->head_damaged)
			(void)fprintf(stderr,
				      "fildrive: warning: %s holds a damaged copy of the newest commit\n",
				      name);
	}
	if (f->n_missing)
		(void)fprintf(stderr,
			      "fildrive: warning: %zu %s (%" PRIu64
			      " bytes) at no store: what is in there cannot be read\n",
			      f->n_missing,
			      units_noun(f->n_missing, "piece is", "pieces are"),
			      f->missing_bytes);
}

static void print_found(const struct recover_found *f, const char *name)
{
	const struct commit_info *info = commit_info(f->commit);
	char date[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX];

	units_say_date(info->time.s, date);
	exits_out("Drive '%s' is recovered: commit %" PRIu64 " of %s", name,
		  f->sequence, date);
	if (info->device.n)
		exits_out(", made on %.*s", (int)info->device.n,
			  (const char *)info->device.p);
	if (info->n_inodes && info->n_bytes) { /* it was counted */
		units_say_size(info->n_bytes, size);
		exits_out(": %" PRIu64 " %s, %s", info->n_inodes,
			  units_noun(info->n_inodes, "folder", "files and folders"),
			  size);
	}
	exits_out(".\nNext: fildrive mount --drive %s MOUNTPOINT\n", name);
}

/* The drive is there, and not all of it is as it was. */
static void print_report(const struct salvage *s)
{
	struct slice report = salvage_report(s);

	if (!report.n)
		return;
	exits_out("%.*s", (int)report.n, (const char *)report.p);
	if (s->n_faults)
		(void)fprintf(stderr,
			      "fildrive: warning: not all of the drive is as it was; the list is also in lost+found*/report.txt\n");
}

static int format(void *ctx, const struct cache_params *p, struct keys *keys,
		  struct err *reterr)
{
	(void)keys; /* the same as those that looked */
	return recovery_fill(ctx, p, reterr);
}

/* What is paid for goes on, at the limits that the chain knows. */
static int find_wallet(struct recovery *rec, struct config *c)
{
	struct err why = { "" };
	struct rejoin found;
	char who[ADDRESS_TEXT_MAX];
	int r;

	if (!paystore_copies(c))
		return EXITS_OK;
	r = recovery_wallet(rec, c, &found, &why);
	if (r == -EBADMSG || r == -ENOMEM)
		return exits_err(r, &why, "the wallet");
	if (r < 0) {
		(void)fprintf(stderr,
			      "fildrive: warning: %s: set the budget again: fildrive config budget AMOUNT\n",
			      why.text);
		return EXITS_OK;
	}
	if (!found.session)
		warn("no session key of this drive may sign any more: it can be read, and stores again after: fildrive wallet session renew");
	if (!found.budget) {
		warn("the chain knows no limit of what this drive may spend, so it spends nothing: fildrive wallet fund AMOUNT --budget AMOUNT");
		return EXITS_OK;
	}
	address_text(c->payer, who);
	exits_out("Wallet %s goes on paying, %s a month at most.\n", who,
		  wallet_usdfc(c->budget, true).text);
	return EXITS_OK;
}

/* Found nothing: what the person can do about it. */
static int say_not_found(int r, const struct recovery *rec, const struct err *why)
{
	const struct recover_found *f = recovery_found(rec);

	if (r == -EBADMSG && (!f || !f->newest))
		return exits_say(EXITS_INTEGRITY,
				 "%s; to believe one of them, name it alone: rpc= in the store's URL",
				 why->text);
	if ((r == -EBADMSG || r == -ENODATA || r == -ENOENT) &&
	    recovery_partial(rec))
		return exits_say(EXITS_OFFLINE,
				 "%s; a store that does not answer may have it%s",
				 why->text[0] ? why->text :
						"there is no drive of these words",
				 f && f->sequence ?
					 ": try again, or what --salvage finds" :
					 "");
	if (f && f->sequence > 1 && (r == -EBADMSG || r == -ENODATA))
		return exits_say(EXITS_INTEGRITY,
				 "%s; an older commit may do: recover --before %" PRIu64
				 ", or what --salvage finds",
				 why->text, f->sequence);
	if (r == -ENOENT)
		return exits_say(EXITS_INTEGRITY, "%s",
				 why->text[0] ?
					 why->text :
					 "these stores hold no drive of these words");
	return exits_err(r, why, "recover");
}

/* What the drive was set to, unless the command line says otherwise. */
static void keep_settings(const struct cli *cli, const struct commit_info *info,
			  struct config *c)
{
	if (info->compress == COMMIT_COMPRESS_ALL)
		c->compress = CONFIG_COMPRESS_ALL;
	if (cli_get(cli, "copies"))
		return;
	c->copies = MAX(1, MIN(info->copies, paystore_places(c)));
	if (c->copies < info->copies)
		(void)fprintf(stderr,
			      "fildrive: warning: the drive kept %" PRIu32
			      " copies of everything, and %" PRIu64
			      " now: add a store, then: fildrive config copies %" PRIu32
			      "\n",
			      info->copies, c->copies, info->copies);
}

/*
 * A bare machine cannot know that all stores have gone back (docs/threat-model.md);
 * who remembers a number can.
 */
static int check_age(const struct recover_found *f, uint64_t at_least)
{
	if (f->newest >= at_least)
		return EXITS_OK;
	return exits_say(EXITS_INTEGRITY,
			 "the newest commit that these stores show is %" PRIu64
			 ", and you have seen %" PRIu64
			 ": they have gone back, or another store has it; without --at-least it is taken all the same",
			 f->newest, at_least);
}

/* Commits that were asked for by number; 0: not. */
static int numbers_of(const struct cli *cli, uint64_t *ret_before,
		      uint64_t *ret_at_least)
{
	const char *before = cli_get(cli, "before");
	const char *least = cli_get(cli, "at-least");

	*ret_before = *ret_at_least = 0;
	if (least && units_number(least, ret_at_least) < 0)
		return exits_say(EXITS_USAGE,
				 "--at-least wants the number of a commit");
	if (before && (units_number(before, ret_before) < 0 || *ret_before < 2))
		return exits_say(EXITS_USAGE,
				 "--before wants the number of a commit, 2 or more");
	return EXITS_OK;
}

/* What the stores have; *ret is the caller's, also on failure. */
static int look(const struct cli *cli, struct config *c, struct keys *keys,
		uint64_t before, uint64_t at_least, struct recovery **ret)
{
	struct err why = { "" };
	int r;

	if (cli_flag(cli, "salvage"))
		r = recovery_salvage(c, keys, warn, ret, &why);
	else
		r = recovery_open(c, keys, before, warn, ret, &why);
	if (r < 0)
		return say_not_found(r, *ret, &why);
	print_warnings(*ret);
	return check_age(recovery_found(*ret), at_least);
}

static int recover(const struct cli *cli, struct config *c,
		   const struct secret *entropy, struct recovery **ret)
{
	_cleanup_passphrase_ struct passphrase *p = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	struct passphrase_from from = { .prompt = "New passphrase", .twice = true };
	struct drive_new n = { .name = verbs_drive(cli),
			       .config = c,
			       .entropy = entropy,
			       .format = format };
	struct recovery *rec;
	struct err why = { "" };
	uint64_t before, at_least;
	int r = numbers_of(cli, &before, &at_least);

	if (r)
		return r;
	r = passphrase_from_cli(cli, "passfile", "extpass", &from, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = keys_from_entropy(entropy, &keys);
	if (r < 0)
		return exits_err(r, NULL, "the keys");
	r = look(cli, c, keys, before, at_least, ret);
	if (r)
		return r;
	rec = *ret;
	if (recovery_may_write(rec, &why) < 0)
		(void)fprintf(stderr,
			      "fildrive: warning: %s; until then: mount -o ro\n",
			      why.text);
	r = recovery_settle(rec, c, cli_get(cli, "copies") ? c->copies : 0, &why);
	if (r < 0)
		return exits_err(r, &why, "recover");
	keep_settings(cli, commit_info(recovery_found(rec)->commit), c);
	r = find_wallet(rec, c);
	if (r)
		return r;
	r = passphrase_read(&from, &p, &why);
	if (r < 0)
		return exits_say(EXITS_PASSWORD, "%s",
				 why.text[0] ? why.text : err_str(r));
	n.passphrase = p;
	n.ctx = rec;
	r = drive_create(&n, &why);
	if (r < 0)
		return exits_err(r, &why, "making the drive");
	print_report(recovery_salvaged(rec));
	print_found(recovery_found(rec), n.name);
	return EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	_cleanup_secret_ struct secret *entropy = NULL;
	const char *words = cli_get(cli, "words-file");
	struct recovery *rec = NULL;
	struct err why = { "" };
	int r = verbs_prepare();

	if (r)
		return r;
	if (!c)
		return exits_err(-ENOMEM, NULL, "recover");
	log_level_set(LOG_LEVEL_WARN); /* the rest it says itself */
	r = drive_check_free(verbs_drive(cli), &why);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", why.text);
	r = newdrive_config(cli, c, &why);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", why.text);
	r = words_out_read(words ? words : "-", &entropy, &why);
	if (r < 0)
		return exits_say(EXITS_PASSWORD, "%s",
				 why.text[0] ? why.text : err_str(r));
	r = newwallet_keys(c, entropy, &why);
	if (r < 0)
		return exits_err(r, &why, "recover");
	r = recover(cli, c, entropy, &rec);
	return recovery_leave(rec, r);
}

const struct cli_verb verb_recover = {
	.name = "recover",
	.args = "",
	.summary = "bring a drive back from its words and stores",
	.details = "Takes seconds, whatever the drive's size: files are fetched when they are\n"
		   "read. Another device that still writes to the drive is fenced off by the\n"
		   "first commit made here.",
	.options = options,
	.run = run,
};
