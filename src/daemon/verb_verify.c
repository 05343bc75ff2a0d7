/* verb_verify.c - fildrive verify: read back what the stores hold */
#include <stdio.h>

#include "base/err.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/exits.h"
#include "daemon/progress.h"
#include "daemon/units.h"
#include "daemon/verbs.h"

#define SAMPLE_DEFAULT 5 /* percent */

static const struct cli_option options[] = {
	CLI_DRIVE,
	CLI_JSON,
	{ "sample", 's', false, "N",
	  "percent of the pieces, at least one; default 5" },
	{ "all", 'a', false, NULL, "every piece" },
	{ "quiet", 'q', false, NULL, "no progress bar" },
	CLI_END,
};

static int report(const struct cli *cli, const json_t *result)
{
	const json_t *faults = json_object_get(result, "faults");
	const json_t *one;
	uint64_t n = 0;
	size_t i;
	int r = answer_count(result, "n_faults", &n);

	if (r < 0)
		return exits_say((int)exits_of(r),
				 "verify: the daemon does not say what it found");
	if (cli_flag(cli, "json")) {
		char *text = json_dumps(result, JSON_INDENT(2));

		if (!text)
			return exits_err(-ENOMEM, NULL, "verify");
		exits_out("%s\n", text);
		free(text);
		return n ? EXITS_CHECK : EXITS_OK;
	}
	json_array_foreach(faults, i, one) if (json_is_string(one))
		exits_out("%s\n", json_string_value(one));
	if (n == 0)
		exits_out("Everything that was read back is sound.\n");
	else
		exits_out("%llu %s; what another store has whole is placed again, what is lost for good can only be removed or written anew; see fildrive status.\n",
			  (unsigned long long)n, units_noun(n, "fault", "faults"));
	return n ? EXITS_CHECK : EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *result = NULL;
	const char *sample = cli_get(cli, "sample");
	uint64_t percent = SAMPLE_DEFAULT;
	struct progress bar;
	struct err why = { "" };
	int r;

	if (sample && cli_flag(cli, "all"))
		return exits_say(EXITS_USAGE,
				 "verify: --sample and --all exclude each other");
	if (cli_flag(cli, "all"))
		percent = 100;
	else if (sample && (units_number(sample, &percent) < 0 || percent < 1 ||
			    percent > 100))
		return exits_say(EXITS_USAGE,
				 "verify: --sample wants a percentage, 1 to 100");
	r = client_connect(verbs_drive(cli), &c, NULL);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is not mounted; fildrive mount --drive %s MOUNTPOINT",
				 verbs_drive(cli), verbs_drive(cli));
	progress_init(&bar, cli_flag(cli, "quiet") || cli_flag(cli, "json"));
	r = client_call(c,
			json_pack("{s:s, s:I}", "verb", "verify", "percent",
				  (json_int_t)percent),
			-1, progress_line, &bar, &result, &why);
	progress_fini(&bar);
	return r < 0 ? exits_err(r, &why, "verify") : report(cli, result);
}

const struct cli_verb verb_verify = {
	.name = "verify",
	.args = "",
	.summary = "read back what the stores hold, and repair from copies",
	.details = "Exit code 26 if anything was missing, damaged, or could not be read back.",
	.options = options,
	.run = run,
};
