#include "daemon/cli.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "daemon/exits.h"

#define WORD_MAX   64 /* bytes; longer words are near to nothing */
#define HELP_WIDTH 26 /* columns left of an option's text */

static int usage_exit(const struct cli_verb *verb)
{
	return verb->usage_exit ? verb->usage_exit : EXITS_USAGE;
}

static int n_options(const struct cli_verb *verb)
{
	int n = 0;

	while (verb->options[n].name)
		n++;
	assert(n <= CLI_OPTIONS_MAX);
	return n;
}

/* ---- what was meant? ---- */

/* Levenshtein, of words shorter than WORD_MAX. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diag = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t best = diag + (a[i - 1] != b[j - 1]);

			diag = row[j];
			best = MIN(best, row[j] + 1);
			row[j] = MIN(best, row[j - 1] + 1);
		}
	}
	return row[n];
}

const char *cli_nearest(const char *word,
			const char *(*name)(const void *ctx, size_t i),
			const void *ctx)
{
	const char *best = NULL, *s;
	size_t best_d = SIZE_MAX, n = strlen(word);

	if (n == 0 || n >= WORD_MAX)
		return NULL;
	for (size_t i = 0; (s = name(ctx, i)); i++) {
		size_t d = strlen(s) < WORD_MAX ? distance(word, s) : SIZE_MAX;

		if (strncmp(s, word, n) == 0)
			d = MIN(d, 1);
		if (d < best_d) {
			best_d = d;
			best = s;
		}
	}
	return best_d <= MAX(1, n / 3) ? best : NULL;
}

static const char *option_name(const void *ctx, size_t i)
{
	const struct cli_verb *verb = ctx;

	return verb->options[i].name;
}

/* ---- the command line ---- */

static int value_add(const struct cli *cli, int i, struct cli_value *v,
		     const char *s)
{
	const struct cli_option *o = &cli->verb->options[i];

	if (!o->many)
		v->n = 0; /* the last one counts */
	if (v->n == CLI_VALUES_MAX)
		return exits_say(usage_exit(cli->verb),
				 "--%s stands more than %d times", o->name,
				 CLI_VALUES_MAX);
	v->v[v->n++] = s;
	return 0;
}

/* What getopt does not know, or what lacks its value. */
static int complain(const struct cli_verb *verb, char **argv, int at,
		    int letter, bool lacks_value)
{
	const char *word = argv[at] ? argv[at] : "", *near;
	char name[WORD_MAX];

	if (lacks_value && letter)
		return exits_say(usage_exit(verb), "%s: option %s needs a value",
				 verb->name, word);
	if (letter)
		return exits_say(usage_exit(verb),
				 "%s: unknown option -%c (see fildrive %s --help)",
				 verb->name, letter, verb->name);
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="),
		       strlen(word) > 2 ? word + 2 : ""); /* cut is fine */
	near = cli_nearest(name, option_name, verb);
	if (near && strcmp(near, name) == 0)
		return exits_say(usage_exit(verb), "%s: option --%s takes no value",
				 verb->name, name);
	if (near)
		return exits_say(usage_exit(verb),
				 "%s: unknown option --%s; did you mean --%s?",
				 verb->name, name, near);
	return exits_say(usage_exit(verb),
			 "%s: unknown option --%s (see fildrive %s --help)",
			 verb->name, name, verb->name);
}

static int parse_argv(int argc, char **argv, struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;
	struct option longs[CLI_OPTIONS_MAX + 2] = { 0 };
	char shorts[2 * CLI_OPTIONS_MAX + 4] = ":h";
	size_t n_short = 2;
	int n = n_options(verb), c, r, i = 0;

	for (i = 0; i < n; i++) {
		const struct cli_option *o = &verb->options[i];

		longs[i].name = o->name;
		longs[i].has_arg = o->arg ? required_argument : no_argument;
		longs[i].val = 256 + i;
		if (o->letter)
			shorts[n_short++] = o->letter;
		if (o->letter && o->arg)
			shorts[n_short++] = ':';
	}
	longs[n].name = "help";
	longs[n].val = 'h';

	opterr = 0;
	optind = 0; /* glibc: start afresh */
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, at start */
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h') {
			cli->help = true;
			continue;
		}
		if (c == '?' || c == ':')
			return complain(verb, argv, optind - 1,
					optopt > 255 ? (c == ':') * optopt : optopt,
					c == ':');
		for (i = 0; i < n; i++)
			if (c == 256 + i || (verb->options[i].letter &&
					     c == verb->options[i].letter))
				break;
		assert(i < n);
		r = value_add(cli, i, &cli->values[i], optarg ? optarg : "");
		if (r)
			return r;
	}
	cli->args = argv + optind;
	cli->n_args = argc - optind;
	return 0;
}

/* ---- the environment ---- */

static const char *env_of(const char *option)
{
	char name[WORD_MAX];
	size_t n = (size_t)snprintf(name, sizeof(name), "FILDRIVE_%s", option);
	const char *v;

	assert(n < sizeof(name));
	for (char *s = name; *s; s++)
		*s = *s == '-' ? '_' : (char)toupper((unsigned char)*s);
	v = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */
	return v && v[0] ? v : NULL;
}

static bool means_no(const char *v)
{
	return strcmp(v, "0") == 0 || strcmp(v, "no") == 0 ||
	       strcmp(v, "false") == 0;
}

static int parse_env(struct cli *cli)
{
	for (int i = 0; cli->verb->options[i].name; i++) {
		const struct cli_option *o = &cli->verb->options[i];
		struct cli_value *v = &cli->values[i];
		const char *s = v->n ? NULL : env_of(o->name);
		char *save = NULL;
		int r;

		if (!s || (!o->arg && means_no(s)))
			continue;
		v->from_env = true;
		v->owned = strdup(s);
		if (!v->owned)
			return exits_err(-ENOMEM, NULL, "reading the environment");
		if (!o->many) {
			v->v[v->n++] = v->owned;
			continue;
		}
		for (char *w = strtok_r(v->owned, " \t\n", &save); w;
		     w = strtok_r(NULL, " \t\n", &save)) {
			r = value_add(cli, i, v, w);
			if (r)
				return r;
		}
	}
	return 0;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, struct cli *ret)
{
	struct cli cli = { .verb = verb };
	int r = parse_argv(argc, argv, &cli);

	if (r == 0 && !cli.help)
		r = parse_env(&cli);
	if (r == 0 && !cli.help &&
	    (cli.n_args < verb->min_args || cli.n_args > verb->max_args))
		r = exits_say(usage_exit(verb), "usage: fildrive %s [OPTIONS]%s%s",
			      verb->name, verb->args[0] ? " " : "", verb->args);
	if (r) {
		cli_fini(&cli);
		return r;
	}
	*ret = cli;
	return 0;
}

void cli_fini(struct cli *cli)
{
	for (int i = 0; i < CLI_OPTIONS_MAX; i++)
		free(steal(&cli->values[i].owned));
}

const struct cli_value *cli_value(const struct cli *cli, const char *option)
{
	static const struct cli_value none;

	for (int i = 0; cli->verb->options[i].name; i++)
		if (strcmp(cli->verb->options[i].name, option) == 0)
			return &cli->values[i];
	return &none;
}

const char *cli_get(const struct cli *cli, const char *option)
{
	const struct cli_value *v = cli_value(cli, option);

	return v->n ? v->v[v->n - 1] : NULL;
}

bool cli_flag(const struct cli *cli, const char *option)
{
	return cli_value(cli, option)->n > 0;
}

void cli_print_help(const struct cli_verb *verb)
{
	exits_out("usage: fildrive %s [OPTIONS]%s%s\n\n%c%s.\n", verb->name,
		  verb->args[0] ? " " : "", verb->args,
		  toupper((unsigned char)verb->summary[0]), verb->summary + 1);
	if (verb->details)
		exits_out("\n%s\n", verb->details);
	exits_out("\nOptions (each also as FILDRIVE_<OPTION> in the environment):\n");
	for (const struct cli_option *o = verb->options; o->name; o++) {
		char left[WORD_MAX];

		(void)snprintf(left, sizeof(left), "%s%c%s--%s%s%s",
			       o->letter ? "-" : " ", o->letter ? o->letter : ' ',
			       o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
			       o->arg ? o->arg : ""); /* names are short */
		exits_out("  %-*s %s%s\n", HELP_WIDTH, left, o->help,
			  o->many ? " (may be repeated)" : "");
	}
	exits_out("  %-*s %s\n", HELP_WIDTH, "-h, --help", "say this");
}
