/*
 * verbs.h - every verb of the command, and what several of them do
 *
 * A new verb: a file verb_<name>.c with a `const struct cli_verb`, a line here,
 * a row in verbs.c, a section in packaging/man/fildrive.1.
 */
#ifndef DAEMON_VERBS_H
#define DAEMON_VERBS_H

#include "daemon/cli.h"

struct drive;
struct err;
struct passphrase;

extern const struct cli_verb verb_config;
extern const struct cli_verb verb_destroy;
extern const struct cli_verb verb_fsck;
extern const struct cli_verb verb_gc;
extern const struct cli_verb verb_help;
extern const struct cli_verb verb_init;
extern const struct cli_verb verb_lock;
extern const struct cli_verb verb_mount;
extern const struct cli_verb verb_passwd;
extern const struct cli_verb verb_publish;
extern const struct cli_verb verb_quote;
extern const struct cli_verb verb_recover;
extern const struct cli_verb verb_snapshots;
extern const struct cli_verb verb_status;
extern const struct cli_verb verb_sync;
extern const struct cli_verb verb_umount;
extern const struct cli_verb verb_verify;
extern const struct cli_verb verb_version;
extern const struct cli_verb verb_wallet;

/* main() without the program: argv[0] says whether we are mount.fildrive. */
int verbs_main(int argc, char **argv);

/* The mount helper of mount(8): mount.fildrive DRIVE MOUNTPOINT [-o opts]. */
int verbs_mount_helper(int argc, char **argv);

/* --drive, or the default. */
const char *verbs_drive(const struct cli *cli);

/* Opens the drive of --drive; says what is wrong and returns the exit code. */
must_check int verbs_open(const struct cli *cli, struct drive **ret);

/*
 * Likewise with its lock and keys, after verbs_prepare(): for verbs that work on
 * an unmounted drive.
 */
must_check int verbs_open_alone(const struct cli *cli, struct drive **ret);

/* See that not both of two such options are given: 0, or an exit code, said. */
must_check int verbs_check_pass(const struct cli *cli, const char *passfile,
				const char *extpass);

/*
 * Before any secret is read: keep other processes and core files away
 * (crypto/harden.h), and see that the libraries compute what they should
 * (crypto/selftest.h).  0, or an exit code when the reason has been said.
 */
must_check int verbs_prepare(void);

#endif
