#include "daemon/verbs.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/harden.h"
#include "crypto/secret.h"
#include "crypto/selftest.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/passphrase.h"

#define HELPER       "mount.fildrive"
#define HELPER_AGAIN "mount.fuse.fildrive" /* for what /proc/mounts shows */

static const struct cli_verb *const verbs[] = {
	&verb_init,   &verb_mount,   &verb_umount,  &verb_lock,
	&verb_status, &verb_sync,    &verb_recover, &verb_snapshots,
	&verb_verify, &verb_gc,      &verb_publish, &verb_quote,
	&verb_wallet, &verb_destroy, &verb_passwd,  &verb_config,
	&verb_fsck,   &verb_version, &verb_help,
};

/* NULL: there is none of that name. */
static const struct cli_verb *verbs_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static const char *name_at(const void *ctx, size_t i)
{
	(void)ctx;
	return i < ARRAY_LEN(verbs) ? verbs[i]->name : NULL;
}

static const char *verbs_nearest(const char *name)
{
	return cli_nearest(name, name_at, NULL);
}

/* The list that `fildrive help` shows. */
static void verbs_print(void)
{
	exits_out("fildrive mounts an encrypted drive; its pieces go to the stores you name.\n\n"
		  "usage: fildrive VERB [OPTIONS] [ARGUMENTS]\n\nVerbs:\n");
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		exits_out("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
	exits_out("\nfildrive VERB --help says more, fildrive(1) all of it.\n");
}

/* ---- what verbs share ---- */

const char *verbs_drive(const struct cli *cli)
{
	const char *name = cli_get(cli, "drive");

	return name ? name : CLI_DRIVE_DEFAULT;
}

/* What is wrong with a drive directory is its config, unless errno knows more. */
static int open_exit(int r)
{
	if (r == -ENOENT || r == -EINVAL || r == -EPROTO || r == -EMSGSIZE)
		return EXITS_CONFIG;
	return (int)exits_of(r);
}

int verbs_open(const struct cli *cli, struct drive **ret)
{
	struct err why = { "" };
	int r = drive_open(verbs_drive(cli), ret, &why);

	if (r < 0)
		return exits_say(open_exit(r), "%s",
				 why.text[0] ? why.text : err_str(r));
	return 0;
}

int verbs_open_alone(const struct cli *cli, struct drive **ret)
{
	_cleanup_drive_ struct drive *d = NULL;
	struct passphrase_from from = { .prompt = "Passphrase" };
	struct err why = { "" };
	int r = verbs_prepare();

	if (r == 0)
		r = verbs_open(cli, &d);
	if (r)
		return r;
	r = passphrase_from_cli(cli, "passfile", "extpass", &from, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = drive_lock(d, &why);
	if (r < 0)
		return exits_err(r, &why, "locking the drive");
	r = drive_unlock(d, &from, NULL, &why);
	if (r < 0) {
		int code = (int)exits_of(r);

		return exits_say(code == EXITS_GENERIC ? EXITS_PASSWORD : code,
				 "%s", why.text[0] ? why.text : err_str(r));
	}
	*ret = steal(&d);
	return 0;
}

int verbs_check_pass(const struct cli *cli, const char *passfile, const char *extpass)
{
	struct passphrase_from from = { .prompt = NULL };
	struct err why = { "" };

	if (passphrase_from_cli(cli, passfile, extpass, &from, &why) < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	return 0;
}

int verbs_prepare(void)
{
	struct err why = { "" };
	int r = process_harden();

	if (r < 0)
		log_warn("cannot keep this process out of core dumps: %s",
			 err_str(r));
	r = crypto_selftest(&why);
	return r < 0 ? exits_err(r, &why, "testing the cryptography") : 0;
}

/* ---- the entry ---- */

static int run(const struct cli_verb *verb, int argc, char **argv)
{
	struct cli cli;
	int r = cli_parse(verb, argc, argv, &cli);

	if (r)
		return r;
	if (cli.help)
		cli_print_help(verb);
	else
		r = verb->run(&cli);
	cli_fini(&cli);
	return r;
}

static int unknown_verb(const char *name)
{
	const char *near = verbs_nearest(name);

	if (near)
		return exits_say(EXITS_USAGE,
				 "no verb '%s'; did you mean '%s'?", name, near);
	return exits_say(EXITS_USAGE, "no verb '%s'; fildrive help lists them",
			 name);
}

static int dispatch(int argc, char **argv)
{
	const struct cli_verb *verb;
	const char *name = argc > 1 ? argv[1] : NULL;

	if (argc > 0 && (strcmp(basename(argv[0]), HELPER) == 0 ||
			 strcmp(basename(argv[0]), HELPER_AGAIN) == 0))
		return verbs_mount_helper(argc, argv);
	if (!name) {
		verbs_print();
		return EXITS_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	verb = verbs_find(name);
	if (!verb)
		return unknown_verb(name);
	return run(verb, argc - 1, argv + 1);
}

int verbs_main(int argc, char **argv)
{
	int r = secret_init_library();

	if (r < 0)
		return exits_err(r, NULL, "libsodium");
	r = dispatch(argc, argv);
	if ((fflush(stdout) != 0 || ferror(stdout)) && r == 0)
		r = exits_say(EXITS_GENERIC, "cannot write to standard output");
	return r;
}

/* ---- two verbs that fit here ---- */

static int run_help(const struct cli *cli)
{
	const struct cli_verb *verb;

	if (cli->n_args == 0) {
		verbs_print();
		return EXITS_OK;
	}
	verb = verbs_find(cli->args[0]);
	if (!verb)
		return unknown_verb(cli->args[0]);
	cli_print_help(verb);
	return EXITS_OK;
}

static const struct cli_option help_options[] = { CLI_END };
const struct cli_verb verb_help = {
	.name = "help",
	.args = "[VERB]",
	.max_args = 1,
	.summary = "say what there is, or what a verb does",
	.options = help_options,
	.run = run_help,
};

static int run_version(const struct cli *cli)
{
	exits_out(cli_flag(cli, "json") ? "{\"version\": \"%s\"}\n" : "fildrive %s\n",
		  FILDRIVE_VERSION);
	return EXITS_OK;
}

static const struct cli_option version_options[] = { CLI_JSON, CLI_END };
const struct cli_verb verb_version = {
	.name = "version",
	.args = "",
	.summary = "say which version this is",
	.options = version_options,
	.run = run_version,
};
