/* verb_passwd.c - fildrive passwd: change, add, remove passphrases */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/slot.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/passphrase.h"
#include "daemon/verbs.h"
#include "daemon/words_out.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "add", 0, false, NULL, "add a passphrase, keep the others" },
	{ "remove", 0, false, NULL, "remove the passphrase that is given" },
	{ "words-file", 0, false, "FILE",
	  "forgot it: set a new one with the recovery words in FILE" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	{ "new-passfile", 0, false, "FILE", "the new passphrase, as --passfile" },
	{ "new-extpass", 0, false, "CMD", "the new passphrase, as --extpass" },
	CLI_END,
};

/* Two passwd at once must not undo each other. */
static int lock_keys(const struct drive *d)
{
	int fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	(void)close(fd); /* never written */
	return -ENOTUNIQ;
}

static int new_passphrase(const struct cli *cli, struct passphrase **ret,
			  struct err *why)
{
	struct passphrase_from from = { .prompt = "New passphrase", .twice = true };
	int r = passphrase_from_cli(cli, "new-passfile", "new-extpass", &from, why);

	return r < 0 ? r : passphrase_read(&from, ret, why);
}

/* The one that opens a slot; asked for again if a person mistyped it. */
static int old_passphrase(const struct cli *cli, struct drive *d,
			  struct passphrase **ret, struct err *why)
{
	struct passphrase_from from = { .prompt = "Current passphrase" };
	int r = passphrase_from_cli(cli, "passfile", "extpass", &from, why);

	return r < 0 ? r : drive_unlock(d, &from, ret, why);
}

/* A key file with one slot, made from the words; they must be this drive's. */
static int from_words(const struct cli *cli, struct drive *d, struct buf *ret,
		      struct err *why)
{
	_cleanup_secret_ struct secret *entropy = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	_cleanup_passphrase_ struct passphrase *p = NULL;
	struct slot_cost cost;
	struct slot_info info;
	int r = words_out_read(cli_get(cli, "words-file"), &entropy, why);

	if (r < 0)
		return r;
	r = keys_from_entropy(entropy, &keys);
	if (r < 0)
		return r;
	if (slot_info(buf_slice(&d->keys_file), &info, NULL) == 0 &&
	    memcmp(info.drive_id, keys_drive_id(keys), sizeof(info.drive_id)) != 0)
		return err_set(why, -EKEYREJECTED,
			       "these words belong to another drive than '%.64s'",
			       d->name);
	r = new_passphrase(cli, &p, why);
	if (r < 0)
		return r;
	drive_kdf_cost(&cost);
	return slot_create(entropy, passphrase_slice(p), &cost, ret, why);
}

static int from_passphrase(const struct cli *cli, struct drive *d,
			   struct buf *ret, struct err *why)
{
	_cleanup_passphrase_ struct passphrase *old = NULL, *new = NULL;
	struct slice file = buf_slice(&d->keys_file);
	struct slot_cost cost;
	int r = old_passphrase(cli, d, &old, why);

	if (r < 0)
		return r;
	if (cli_flag(cli, "remove"))
		return slot_remove(file, passphrase_slice(old), ret, why);
	r = new_passphrase(cli, &new, why);
	if (r < 0)
		return r;
	drive_kdf_cost(&cost);
	if (cli_flag(cli, "add"))
		return slot_add(file, passphrase_slice(old),
				passphrase_slice(new), &cost, ret, why);
	return slot_change(file, passphrase_slice(old), passphrase_slice(new),
			   &cost, ret, why);
}

/* A slot can be made stronger only by who has its passphrase. */
static void say_weak(const struct drive *d, struct slice file)
{
	struct err why = { "" };

	if (drive_warn_weak(d->name, file, &why))
		(void)fprintf(stderr, "fildrive: warning: %s\n", why.text);
}

static int run(const struct cli *cli)
{
	_cleanup_drive_ struct drive *d = NULL;
	_cleanup_buf_ struct buf file = { 0 };
	_cleanup_close_ int lock = -1;
	struct err why = { "" };
	struct slot_info info;
	int r = verbs_prepare();

	if (r)
		return r;
	if (cli_flag(cli, "add") + cli_flag(cli, "remove") +
		    (cli_get(cli, "words-file") != NULL) >
	    1)
		return exits_say(
			EXITS_USAGE,
			"passwd: --add, --remove and --words-file exclude each other");
	r = verbs_check_pass(cli, "passfile", "extpass");
	if (r == 0)
		r = verbs_check_pass(cli, "new-passfile", "new-extpass");
	if (r == 0)
		r = verbs_open(cli, &d);
	if (r)
		return r;
	lock = lock_keys(d);
	if (lock < 0)
		return exits_say(EXITS_LOCKED,
				 "another fildrive passwd works on drive '%s'",
				 d->name);
	/* What was read before may be older than what another one has just
	 * written: a passphrase that is gone would open the drive again. */
	r = drive_reread_keys(d, &why);
	if (r < 0)
		return exits_err(r, &why, "passwd");
	buf_init(&file, SLOT_FILE_SIZE);
	r = cli_get(cli, "words-file") ? from_words(cli, d, &file, &why) :
					 from_passphrase(cli, d, &file, &why);
	if (r == 0)
		r = drive_replace_keys(d, buf_slice(&file));
	if (r < 0)
		return exits_err(r, &why, "passwd");
	r = slot_info(buf_slice(&file), &info, &why);
	if (r < 0)
		return exits_err(r, &why, "passwd");
	exits_out("Done: %u passphrase%s open%s drive '%s'.\n", info.n_used,
		  info.n_used == 1 ? "" : "s", info.n_used == 1 ? "s" : "",
		  d->name);
	say_weak(d, buf_slice(&file));
	return EXITS_OK;
}

const struct cli_verb verb_passwd = {
	.name = "passwd",
	.args = "",
	.summary = "change, add or remove a passphrase",
	.details = "Works on a mounted drive too. An old copy of the drive directory still opens\n"
		   "with the old passphrase: who has both has the drive.",
	.options = options,
	.run = run,
};
