/*
 * wallet.h - what the commands that move money have in common
 *
 *   wallet_open()     the drive, its paid store, a way to the chain
 *   wallet_unlock()   passphrase ─► owner's key, the log of transactions
 *   wallet_resume()   what an earlier command began comes to its end first
 *   wallet_plan()     one more transaction: what it does, what its gas may cost
 *   wallet_ask()      say it, and let the person decide
 *   wallet_send()     one after the other, until the chain has decided
 *   wallet_close()    the key is wiped
 *
 * All but wallet_close() say on stderr what went wrong and return an exit code
 * (0: go on); -errno never leaves this file.
 *
 * Threading: one thread.
 */
#ifndef DAEMON_WALLET_H
#define DAEMON_WALLET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "chain/contracts.h"
#include "chain/eip712.h"
#include "chain/foc.h"
#include "chain/money.h"
#include "chain/network.h"
#include "daemon/owner.h"

struct chainlink;
struct cli;
struct drive;
struct sender;
struct txlog;
struct txlog_tx;

#define WALLET_PLANS_MAX 40
#define WALLET_ORIGIN    "fildrive"
#define WALLET_SESSION_S (365ull * 86400) /* a session key's time */
#define WALLET_RENEW_S   (14ull * 86400)  /* less is soon over */

/* clang-format off */
#define WALLET_YES { "yes", 'y', false, NULL, "send without asking" }
#define WALLET_MAX_GAS { "max-gas", 0, false, "FIL", "what the gas of a transaction may cost; default 0.5" }
/* clang-format on */

/* One transaction that is meant to be sent. */
struct wallet_plan {
	const char *what;
	char text[160];
	struct address to;
	struct buf data;
	struct u256 amount;  /* USDFC, in what makes two alike */
	struct u256 gas_fil; /* attoFIL at most */
};

struct wallet {
	const struct cli *cli;
	struct drive *drive;
	struct network_url url;
	struct chainlink *link;
	struct foc *foc;
	struct contracts_known at;
	struct view_price_list prices;
	struct foc_purse purse;
	struct owner owner;
	bool unlocked;
	struct txlog *log;
	struct sender *sender;
	struct u256 max_cost;
	struct wallet_plan plans[WALLET_PLANS_MAX];
	size_t n_plans, n_sent;
	struct err err;
};

/* The payer is that of the config; if there is none yet, the words', for which the
 * passphrase is asked. */
must_check int wallet_open(const struct cli *cli, struct wallet *w);

/* Contracts, prices and the purse, from the chain. */
must_check int wallet_read(struct wallet *w);

must_check int wallet_unlock(struct wallet *w);

/*
 * Go on with what is open, and say what became of it.  *ret_done: the
 * transaction that is asked for (`what`, `amount`) was among them, or had come to
 * its end without anybody being told: it must not be sent once more.
 */
must_check int wallet_resume(struct wallet *w, const char *what,
			     struct u256 amount, bool *ret_done);

/*
 * Add a transaction.  `r` is what making `data` returned; `data` is taken.
 * EXITS_FUNDS: it would fail, or the wallet cannot pay its gas.
 */
must_check int wallet_plan(struct wallet *w, const char *what, struct address to,
			   int r, struct buf *data, struct u256 amount,
			   const char *fmt, ...) printf_like(7, 8);

/* List the plans with their gas; true: send them. */
must_check int wallet_ask(struct wallet *w);

/* The next n plans; SIZE_MAX: all that are left. */
must_check int wallet_send(struct wallet *w, size_t n);

void wallet_close(struct wallet *w);

/* A session key's transactions, planned.  `n`: its number. */
must_check int wallet_plan_login(struct wallet *w, struct address signer,
				 uint64_t seconds, const enum eip712_type *ops,
				 size_t n_ops, const char *text);
must_check int wallet_signer(struct wallet *w, uint64_t n, struct address *ret);

/* What the daemon's key may do. */
extern const enum eip712_type wallet_daemon_ops[2];

/* "12.5" out of an argument; says what is wrong. */
must_check int wallet_amount(const char *text, const char *unit, struct u256 *ret);

/* For sums on the terminal: "1.25 USDFC". */
struct wallet_sum {
	char text[100];
};
struct wallet_sum wallet_usdfc(struct u256 v, bool of_cost);
struct wallet_sum wallet_fil(const struct wallet *w, struct u256 v, bool of_cost);

/*
 * Calldata that pays `amount` in with a permit and sets the allowances; with an
 * amount of 0 only these.
 */
must_check int wallet_pay_data(struct foc *f, const struct owner *o,
			       const struct contracts_known *at,
			       struct u256 amount, uint64_t deadline_s,
			       const struct money_allow *allow, struct buf *ret,
			       struct err *reterr);

#define _cleanup_wallet_ _cleanup_(wallet_close)

#endif
