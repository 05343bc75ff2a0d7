/*
 * cli.h - the command line, as tables
 *
 * A verb is one file verb_<name>.c with one `const struct cli_verb`, and one row
 * in verbs.c.  From the table come the parser, --help, and the environment:
 * every option --some-thing is also FILDRIVE_SOME_THING, which the command line
 * overrides; a flag is set there by anything but "", "0", "no" and "false", and
 * an option that may stand several times is separated by white space.
 *
 * Threading: one thread, at start.
 */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include <stdbool.h>

#include "base/util.h"

struct cli;

#define CLI_OPTIONS_MAX 24
#define CLI_VALUES_MAX  32 /* of one option */

struct cli_option {
	const char *name; /* without "--" */
	char letter;      /* 0: none */
	bool many;        /* may stand several times */
	const char *arg; /* what stands for the value in --help; NULL: a flag */
	const char *help;
};

struct cli_verb {
	const char *name;
	const char *args; /* what stands for the arguments in --help */
	int min_args, max_args;
	const char *summary;               /* half a line */
	const char *details;               /* whole sentences; may be NULL */
	const struct cli_option *options;  /* ends with a row without name */
	int (*run)(const struct cli *cli); /* an exit code */
	int usage_exit; /* 0: EXITS_USAGE; fsck and the mount helper differ */
};

struct cli_value {
	int n;
	bool from_env;
	const char *v[CLI_VALUES_MAX]; /* borrowed, or in `owned` */
	char *owned;
};

struct cli {
	const struct cli_verb *verb;
	struct cli_value values[CLI_OPTIONS_MAX];
	int n_args;
	char **args; /* ends with NULL */
	bool help;
};

/* Rows that several verbs share. */
/* clang-format off */
#define CLI_DRIVE { "drive", 0, false, "NAME", "the drive, \"default\" if not given" }
#define CLI_PASSFILE { "passfile", 0, false, "FILE", "passphrase: FILE's first line; - is stdin" }
#define CLI_EXTPASS { "extpass", 0, false, "CMD", "passphrase: first line that CMD prints" }
#define CLI_JSON { "json", 0, false, NULL, "print JSON, for programs" }
#define CLI_END { NULL, 0, false, NULL, NULL }
/* clang-format on */

#define CLI_DRIVE_DEFAULT "default"

/*
 * argv[0] is the verb.  Prints the reason on stderr and returns the exit code if
 * the words make no sense; else 0, and *ret, which borrows from argv, is to be
 * given to cli_fini().
 */
must_check int cli_parse(const struct cli_verb *verb, int argc, char **argv,
			 struct cli *ret);
void cli_fini(struct cli *cli);

/* The last value of an option; NULL if it was not given. */
const char *cli_get(const struct cli *cli, const char *option);
bool cli_flag(const struct cli *cli, const char *option);

/* All of it: how often it was given, and where. */
const struct cli_value *cli_value(const struct cli *cli, const char *option);

/* The --help of one verb, on stdout. */
void cli_print_help(const struct cli_verb *verb);

/*
 * The name nearest to `word` that is near enough to be meant, or NULL.  The
 * names are found with `name(i)`, until it returns NULL.
 */
const char *cli_nearest(const char *word,
			const char *(*name)(const void *ctx, size_t i),
			const void *ctx);

#endif
