/* verb_quote.c - fildrive quote: what storing costs */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "chain/amount.h"
#include "chain/foc.h"
#include "chain/money.h"
#include "daemon/cadence.h"
#include "daemon/chainlink.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/orders.h"
#include "daemon/paystore.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "net/json.h"

#define MONTHS_MAX 120
#define FD_MAX     32

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "store", 's', false, "URL", "without a drive: filecoin://mainnet" },
	{ "copies", 'n', false, "N", "providers that hold everything" },
	{ "months", 0, false, "N", "that the deposit lasts; default 3" },
	{ "budget", 'b', false, "USDFC", "a month, for the interval of commits" },
	CLI_JSON,
	CLI_END,
};

struct asked {
	struct config config;
	struct network_url url;
	uint64_t bytes;
	unsigned copies, months;
};

/* nftw() has no context. */
static uint64_t walked;

static int on_file(const char *path, const struct stat *st, int kind, struct FTW *f)
{
	(void)path;
	(void)f;
	if (kind == FTW_F && S_ISREG(st->st_mode))
		walked += (uint64_t)st->st_size;
	return 0;
}

/* A size, or a path whose files are added up. */
static int bytes_of(const char *arg, uint64_t *ret)
{
	if (!arg) {
		*ret = ORDERS_BYTES;
		return EXITS_OK;
	}
	if (units_parse_size(arg, ret) == 0)
		return EXITS_OK;
	walked = 0;
	if (nftw(arg, on_file, FD_MAX, FTW_PHYS | FTW_MOUNT) < 0)
		return exits_say(EXITS_USAGE, "'%s' is no size, and as a path: %s",
				 arg, err_str(errno));
	*ret = walked;
	return EXITS_OK;
}

static int config_of(const struct cli *cli, struct config *c)
{
	_cleanup_drive_ struct drive *d = NULL;
	const char *store = cli_get(cli, "store"), *budget = cli_get(cli, "budget");
	struct err why = { "" };
	int r = 0;

	config_init(c);
	if (store) {
		r = config_set(c, "store", store, &why);
	} else {
		r = verbs_open(cli, &d);
		if (r)
			return r;
		*c = d->config;
	}
	if (r == 0 && budget)
		r = config_set(c, "budget", budget, &why);
	return r < 0 ? exits_say(EXITS_USAGE, "%s", why.text) : EXITS_OK;
}

static int number_of(const struct cli *cli, const char *option, unsigned def,
		     unsigned max, unsigned *ret)
{
	const char *text = cli_get(cli, option);
	uint64_t n = def;

	if (text && (units_number(text, &n) < 0 || n == 0 || n > max))
		return exits_say(EXITS_USAGE, "--%s wants 1 to %u", option, max);
	*ret = (unsigned)n;
	return EXITS_OK;
}

static int asked_of(const struct cli *cli, struct asked *a)
{
	struct err why = { "" };
	int r = config_of(cli, &a->config);

	if (r)
		return r;
	r = paystore_find(&a->config, &a->url, &why);
	if (r == -ENOENT)
		return exits_say(EXITS_CONFIG,
				 "%s; for one that has: fildrive quote --store filecoin://mainnet",
				 why.text);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = bytes_of(cli->n_args ? cli->args[0] : NULL, &a->bytes);
	if (r == 0)
		r = number_of(cli, "copies", a->url.copies, NETWORK_COPIES_MAX,
			      &a->copies);
	if (r == 0)
		r = number_of(cli, "months", ORDERS_MONTHS, MONTHS_MAX, &a->months);
	return r;
}

/* ---- the answer ---- */

static void say(const struct asked *a, const struct money_quote *q,
		const struct cadence *pace, struct u256 budget)
{
	char size[UNITS_TEXT_MAX], every[UNITS_TEXT_MAX];

	units_say_size(a->bytes, size);
	units_say_time(pace->age_ms, every);
	exits_out("Storing %s at %u providers on %s costs\n", size, a->copies,
		  a->url.net.name);
	exits_out("  %s a month\n", wallet_usdfc(q->month, true).text);
	exits_out("  %s once, for data sets and pieces\n",
		  wallet_usdfc(q->fees, true).text);
	exits_out("  %s stay locked until it ends\n",
		  wallet_usdfc(q->lockup, true).text);
	exits_out("Deposit:   %s, which lasts %u months\n",
		  wallet_usdfc(q->deposit, true).text, a->months);
	exits_out("Commits:   %s each; one every %s, at most %s a month\n",
		  wallet_usdfc(q->commit, true).text, every,
		  wallet_usdfc(q->commits, true).text);
	exits_out("Budget:    %s a month would do\n",
		  wallet_usdfc(budget, true).text);
}

static int put(json_t *o, const char *key, struct u256 v)
{
	char text[AMOUNT_TEXT_MAX];

	amount_text(v, text);
	return json_object_set_new(o, key, json_string(text));
}

static int say_json(const struct asked *a, const struct money_quote *q,
		    const struct cadence *pace, struct u256 budget)
{
	_cleanup_json_ json_t *o =
		json_pack("{s:s, s:I, s:I, s:I, s:I}", "network", a->url.net.name,
			  "bytes", (json_int_t)a->bytes, "copies",
			  (json_int_t)a->copies, "months", (json_int_t)a->months,
			  "commit_seconds", (json_int_t)(pace->age_ms / 1000));
	char *dump = NULL;
	int r = o ? 0 : -1;

	r |= put(o, "month", q->month);
	r |= put(o, "fees", q->fees);
	r |= put(o, "lockup", q->lockup);
	r |= put(o, "deposit", q->deposit);
	r |= put(o, "commit", q->commit);
	r |= put(o, "commits_month", q->commits);
	r |= put(o, "budget", budget);
	if (r == 0)
		dump = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (!dump)
		return exits_err(-ENOMEM, NULL, "quote");
	exits_out("%s\n", dump);
	free(dump);
	return EXITS_OK;
}

static int answer(const struct cli *cli, struct asked *a)
{
	_cleanup_chainlink_ struct chainlink *link = NULL;
	struct chainlink_params p = { .url = &a->url };
	struct view_price_list prices;
	struct money_quote q;
	struct cadence pace;
	struct u256 budget;
	struct err why = { "" };
	int r = chainlink_open(&p, &link, &why);

	if (r == 0)
		r = foc_prices(chainlink_foc(link), &prices, &why);
	if (r < 0)
		return chainlink_err(link, r, &why,
				     "asking the chain what it costs");
	r = money_budget(&prices, a->bytes, a->copies, &budget);
	if (u256_is_zero(a->config.budget))
		a->config.budget = budget;
	cadence_of(&a->config, &prices, &pace);
	if (a->config.onboard_age == CONFIG_AUTO)
		pace.age_ms = money_commit_ms(&prices, a->config.budget, a->copies);
	if (r == 0)
		r = money_quote(&prices, a->bytes, a->copies, a->months,
				pace.age_ms, &q);
	if (r < 0)
		return exits_err(r, NULL, "the prices of this network");
	if (cli_flag(cli, "json"))
		return say_json(a, &q, &pace, budget);
	say(a, &q, &pace, budget);
	return EXITS_OK;
}

static int run(const struct cli *cli)
{
	struct asked *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return exits_err(-ENOMEM, NULL, "quote");
	r = asked_of(cli, a);
	if (r == 0)
		r = answer(cli, a);
	network_url_fini(&a->url);
	free(a);
	return r;
}

const struct cli_verb verb_quote = {
	.name = "quote",
	.args = "[SIZE|PATH]",
	.max_args = 1,
	.summary = "say what storing so much costs",
	.details = "From the price list that the network has now: 100 GiB if nothing is said.",
	.options = options,
	.run = run,
};
