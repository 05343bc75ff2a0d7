/* verb_wallet.c - fildrive wallet: what pays, and what may be paid */
#include <string.h>

#include "daemon/exits.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "daemon/wallet_verbs.h"

#define WALLET_ARGS \
 "[fund AMOUNT | withdraw AMOUNT|all | session [renew|revoke] | history | export | import FILE]"

static const struct cli_option options[] = {
	CLI_DRIVE,
	CLI_JSON,
	{ "budget", 'b', false, "USDFC", "with fund: what a month may cost" },
	WALLET_YES,
	WALLET_MAX_GAS,
	{ "words", 0, false, NULL, "with import: the words' key pays again" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	CLI_END,
};

static int usage(void)
{
	return exits_say(EXITS_USAGE,
			 "usage: fildrive wallet [OPTIONS] " WALLET_ARGS);
}

static int run(const struct cli *cli)
{
	const char *what = cli->n_args ? cli->args[0] : "";
	const char *arg = cli->n_args > 1 ? cli->args[1] : NULL;
	int r = verbs_check_pass(cli, "passfile", "extpass");

	if (r)
		return r;
	if (cli->n_args == 0)
		return wallet_show(cli);
	if (strcmp(what, "fund") == 0 && arg)
		return wallet_fund(cli, arg);
	if (strcmp(what, "withdraw") == 0 && arg)
		return wallet_withdraw(cli, arg);
	if (strcmp(what, "session") == 0)
		return wallet_session(cli, arg);
	if (strcmp(what, "history") == 0 && !arg)
		return wallet_history(cli);
	if (strcmp(what, "export") == 0 && !arg)
		return wallet_export(cli);
	if (strcmp(what, "import") == 0 && (arg || cli_flag(cli, "words")))
		return wallet_import(cli, arg);
	return usage();
}

const struct cli_verb verb_wallet = {
	.name = "wallet",
	.args = WALLET_ARGS,
	.max_args = 2,
	.summary = "show or use the wallet that pays for stores",
	.details =
		"  (nothing)           address, balances, deposit, what is allowed, how long it lasts\n"
		"  fund AMOUNT         deposit USDFC, allow the budget, let the daemon sign\n"
		"  withdraw AMOUNT     take USDFC out of the deposit; all: what is not locked\n"
		"  session             until when the daemon may sign; renew, revoke\n"
		"  history             every transaction, and what was paid to providers\n"
		"  export              the wallet's secret key, for another wallet\n"
		"  import FILE         another key pays instead of the words' (- is stdin)\n"
		"\n"
		"What sends a transaction says first what it does and costs, asks for the\n"
		"passphrase, and then whether to do it. One that was killed on the way is gone on\n"
		"with by the next; nothing is paid twice.",
	.options = options,
	.run = run,
};
