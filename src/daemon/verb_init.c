/* verb_init.c - fildrive init: a new drive, and its 24 words */
#include <stdio.h>

#include "base/err.h"
#include "base/path.h"
#include "crypto/secret.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/newdrive.h"
#include "daemon/newwallet.h"
#include "daemon/passphrase.h"
#include "daemon/stores.h"
#include "daemon/verbs.h"
#include "daemon/words_out.h"
#include "ledger/convergence.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "store", 's', true, "URL",
	  "where pieces go: dir:///absolute/path, filecoin://mainnet" },
	{ "copies", 'n', false, "N",
	  "stores that must hold each piece; default 1, or the URL's" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	{ "words-out", 0, false, "FILE", "write the recovery words to a new FILE" },
	{ "cache-size", 0, false, "SIZE", "room on this machine, such as 20G" },
	{ "budget", 'b', false, "USDFC", "what a month may cost, of stores that do" },
	{ "size", 0, false, "SIZE", "to be paid for at first; default 100G" },
	{ "months", 0, false, "N", "and for so long; default 3" },
	CLI_END,
};

/* The config that the options ask for, checked. */
static int config_of(const struct cli *cli, struct config *c, struct err *why)
{
	_cleanup_free_ char *dir = NULL;
	int r;

	r = newdrive_config(cli, c, why);
	if (r < 0)
		return r;
	r = path_drive_dir(verbs_drive(cli), &dir);
	if (r < 0)
		return err_set(why, r, "%s", err_str(r));
	return stores_check(c, dir, why);
}

/* Empty local databases, and the secrets that the first commit will carry. */
static int format(void *ctx, const struct cache_params *p, struct keys *keys,
		  struct err *reterr)
{
	struct cache_root root = { .uid = geteuid(), .gid = getegid(), .mode = 0755 };
	_cleanup_secret_ struct secret *convergence = NULL;
	int r;

	(void)ctx;
	r = cache_format(p, &root, reterr);
	if (r == 0)
		r = secret_new_random(&convergence);
	return r < 0 ? r : ledger_format(p->io, keys, convergence, 1, reterr);
}

/* After everything that can be wrong has been looked at. */
static int make(const struct cli *cli, const struct config *c,
		const struct passphrase *p, const struct secret *entropy)
{
	const char *words = cli_get(cli, "words-out");
	struct drive_new n = {
		.name = verbs_drive(cli),
		.config = c,
		.passphrase = p,
		.format = format,
	};
	struct err why = { "" };
	int r;

	n.entropy = entropy;
	if (words) {
		/* Before the drive: words without a drive hurt nobody. */
		r = words_out_file(entropy, words, &why);
		if (r < 0)
			return exits_err(r, &why, "writing the words");
	}
	r = drive_create(&n, &why);
	if (r < 0) {
		if (words)
			(void)unlink(words); /* they open nothing */
		return exits_err(r, &why, "making the drive");
	}
	if (!words) {
		r = words_out_terminal(entropy);
		if (r < 0)
			return exits_err(r, NULL, "showing the words");
	}
	return EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	_cleanup_passphrase_ struct passphrase *p = NULL;
	_cleanup_secret_ struct secret *entropy = NULL;
	struct passphrase_from from = { .prompt = "New passphrase", .twice = true };
	const char *words = cli_get(cli, "words-out");
	const char *name = verbs_drive(cli);
	struct newwallet wallet = { .paid = false };
	struct err why = { "" };
	int r = verbs_prepare();

	if (r)
		return r;
	if (!c)
		return exits_err(-ENOMEM, NULL, "init");
	r = drive_check_free(name, &why);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", why.text);
	r = passphrase_from_cli(cli, "passfile", "extpass", &from, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = words_out_check(words, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = config_of(cli, c, &why);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", why.text);
	r = newwallet_options(cli, c, &wallet, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = passphrase_read(&from, &p, &why);
	if (r < 0)
		return exits_say(EXITS_PASSWORD, "%s",
				 why.text[0] ? why.text : err_str(r));
	r = secret_new_random(&entropy);
	if (r == 0)
		r = newwallet_keys(c, entropy, &why);
	if (r < 0)
		return exits_err(r, &why, "making the words");
	r = make(cli, c, p, entropy);
	if (r)
		return r;
	exits_out("Drive '%s' is made.", name);
	if (words)
		exits_out(" Its 24 recovery words are in %s: put them on paper, then delete the file.",
			  words);
	exits_out("\n");
	newwallet_offer(name, entropy, &wallet);
	exits_out("Next: fildrive mount --drive %s MOUNTPOINT\n", name);
	return EXITS_OK;
}

const struct cli_verb verb_init = {
	.name = "init",
	.args = "",
	.summary = "make a new drive and show its recovery words",
	.details = "The 24 recovery words and a store are all that is needed to bring the drive\n"
		   "back on a bare machine. They are shown once. With a store that costs money\n"
		   "(filecoin://mainnet; filecoin://calibration is the test network, where coins\n"
		   "are free) it says what to send to which address; the drive can be mounted and\n"
		   "written to at once.",
	.options = options,
	.run = run,
};
