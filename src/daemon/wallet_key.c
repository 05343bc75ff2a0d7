/* wallet_key.c - fildrive wallet export, import */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypto/purse.h"
#include "crypto/secret.h"
#include "daemon/cli.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/passphrase.h"
#include "daemon/txlog.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "daemon/wallet_verbs.h"

#define KEY_TEXT_MAX 128 /* bytes of the file */

int wallet_export(const struct cli *cli)
{
	_cleanup_drive_ struct drive *d = NULL;
	_cleanup_owner_ struct owner o = { .key = NULL };
	struct err why = { "" };
	char *room = NULL;
	int r = verbs_prepare();

	if (r == 0)
		r = verbs_open(cli, &d);
	if (r)
		return r;
	if (isatty(STDOUT_FILENO) && !cli_flag(cli, "yes"))
		return exits_say(
			EXITS_USAGE,
			"who sees this key can take all of the wallet's money: redirect it into a file, or show it here with --yes");
	r = owner_open(cli, d, &o, &why);
	if (r == 0)
		r = passphrase_room(PURSE_TEXT_MAX, &room);
	if (r < 0)
		return exits_err(r, &why, "the wallet's key");
	assert(room); /* or r said why not */
	purse_export(o.key, room);
	(void)fprintf(stderr,
		      "fildrive: warning: who has this key can take all of the wallet's money; it opens no file of the drive\n");
	/* stdio would keep a copy */
	(void)fflush(stdout); /* nothing is in it */
	room[PURSE_TEXT_MAX - 1] = '\n';
	r = write(STDOUT_FILENO, room, PURSE_TEXT_MAX) == PURSE_TEXT_MAX ?
		    EXITS_OK :
		    exits_say(EXITS_GENERIC, "cannot write to standard output");
	passphrase_wipe(room, PURSE_TEXT_MAX);
	return r;
}

/* The text of a key, in memory that is wiped. */
static int read_key(const char *file, struct secret **ret, struct err *why)
{
	struct passphrase_from from = { .passfile = file };
	_cleanup_passphrase_ struct passphrase *text = NULL;
	int r;

	r = passphrase_read(&from, &text, why);
	if (r == -ENOKEY) /* it is no passphrase that is missing */
		r = -ENODATA;
	return r < 0 ? r : purse_import(passphrase_slice(text), ret, why);
}

/* A transaction of the key that pays now must be over first. */
static int check_over(struct drive *d, const struct owner *o, struct err *why)
{
	_cleanup_txlog_ struct txlog *log = NULL;
	struct txlog_tx *tx;
	int r = txlog_open(d, o->keys, TXLOG_WAIT_MS, &log, why);

	if (r < 0)
		return r;
	if (txlog_in(log, TXLOG_OPEN, NULL))
		return err_set(why, -EBUSY,
			       "a transaction of this wallet is under way: run its command again first");
	while ((tx = txlog_in(log, TXLOG_ARMED, NULL))) {
		r = txlog_drop(log, tx);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put(const struct cli *cli, struct drive *d, const struct secret *key,
	       struct address *ret, struct err *why)
{
	_cleanup_owner_ struct owner o = { .key = NULL };
	int r;

	r = owner_open_any(cli, d, &o, why);
	if (r == 0)
		r = check_over(d, &o, why);
	if (r == 0)
		r = owner_import(&o, d, key, why);
	if (r < 0)
		return r;
	*ret = d->config.payer = o.address;
	return drive_replace_config(d, &d->config);
}

int wallet_import(const struct cli *cli, const char *file)
{
	_cleanup_drive_ struct drive *d = NULL;
	_cleanup_secret_ struct secret *key = NULL;
	char who[ADDRESS_TEXT_MAX];
	struct err why = { "" };
	struct address a = ADDRESS_NONE;
	bool words = cli_flag(cli, "words");
	int r = verbs_prepare();

	if (r)
		return r;
	if (words == (file != NULL))
		return exits_say(EXITS_USAGE, "wallet import: FILE, or --words");
	if (file && strcmp(file, "-") == 0 && !cli_get(cli, "passfile") &&
	    !cli_get(cli, "extpass"))
		return exits_say(
			EXITS_USAGE,
			"a key from standard input needs --passfile or --extpass");
	r = verbs_open(cli, &d);
	if (r)
		return r;
	r = drive_lock(d, &why);
	if (r == 0 && file)
		r = read_key(file, &key, &why);
	if (r == 0)
		r = put(cli, d, key, &a, &why);
	if (r < 0)
		return exits_err(r, &why, "importing a key");
	address_text(a, who);
	if (words)
		exits_out("The words' key pays again: %s.\n", who);
	else
		exits_out("From now on %s pays. The words do not lead to it: to recover the drive, give --payer %s.\n",
			  who, who);
	return EXITS_OK;
}
