/*
 * verb_destroy.c - fildrive destroy: a drive's data sets at providers end
 *
 *   the owner lets the removal key end services, for an hour      (transaction)
 *   each provider is asked to end its data set, with that key's signature
 *   where it is gone, or does not do it: the owner ends it        (transaction)
 *
 * A provider ends a data set at once, for a small fee; by a transaction of the
 * owner's own it runs out in 30 days.  Data sets are those on chain that carry the
 * drive's id.  What was asked for is looked up on chain: killed anywhere, the next
 * run goes on with what is left.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "daemon/datasets.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"

#define SETS_MAX (WALLET_PLANS_MAX - 1)

static const struct cli_option options[] = {
	CLI_DRIVE,
	WALLET_YES,
	WALLET_MAX_GAS,
	{ "own", 0, false, NULL, "ask no provider: end all by own transactions" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	CLI_END,
};

struct destroy {
	struct wallet w;
	struct dataset sets[SETS_MAX];
	size_t n, n_ended;
	bool more; /* there are more than fit: run again */
};

/* ---- which ---- */

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct destroy *d = ctx;

	if (s->pdp_end_epoch)
		d->n_ended++;
	else if (d->n == SETS_MAX)
		d->more = true;
	else
		d->sets[d->n++].view = *s;
	return 0;
}

static int find_sets(struct destroy *d)
{
	int r = datasets_find(&d->w, on_set, d);

	for (size_t i = 0; i < d->n && r == 0 && !cli_flag(d->w.cli, "own"); i++)
		dataset_look(&d->w, &d->sets[i]);
	return r;
}

/* ---- what will be done ---- */

static int plan(struct destroy *d)
{
	static const enum eip712_type ops[] = { EIP712_TERMINATE_SERVICE };
	size_t n_asked = 0;
	int r;

	for (size_t i = 0; i < d->n; i++)
		n_asked += d->sets[i].answers;
	if (n_asked) {
		r = datasets_plan_login(
			&d->w, ops, ARRAY_LEN(ops),
			"let the removal key end data sets, for an hour");
		if (r)
			return r;
	}
	for (size_t i = 0; i < d->n; i++) {
		r = d->sets[i].answers ? EXITS_OK :
					 dataset_plan_own(&d->w, &d->sets[i]);
		if (r)
			return r;
	}
	return EXITS_OK;
}

static void say(const struct destroy *d)
{
	exits_out("All that drive '%s' stores at providers will be gone. What is on this machine stays.\n",
		  d->w.drive->name);
	for (size_t i = 0; i < d->n; i++) {
		const struct dataset *s = &d->sets[i];

		if (s->answers)
			exits_out("  Data set %" PRIu64
				  " at %s: ends at once, for %s\n",
				  s->view.data_set_id, s->provider.name,
				  wallet_usdfc(d->w.prices.terminate_fee, true).text);
	}
	if (d->more)
		exits_out("  There are more data sets: run this again afterwards.\n");
}

/* ---- doing it ---- */

static int end_one(struct destroy *d, const struct dataset *s)
{
	struct err why = { "" };
	int r = s->answers ? dataset_end(&d->w, s, &why) : -ENOENT;

	if (r == 0) {
		log_info("destroy: data set %" PRIu64 " has ended",
			 s->view.data_set_id);
		exits_out("Done: data set %" PRIu64 " has ended.\n",
			  s->view.data_set_id);
		return EXITS_OK;
	}
	if (!s->answers)
		return EXITS_OK; /* by a plan of its own */
	exits_out("%s does not end data set %" PRIu64
		  " (%s): by an own transaction, then.\n",
		  s->provider.name, s->view.data_set_id,
		  why.text[0] ? why.text : err_str(r));
	r = dataset_plan_own(&d->w, s);
	return r ? r : wallet_send(&d->w, SIZE_MAX);
}

static int destroy(struct destroy *d)
{
	bool done;
	int r;

	r = wallet_unlock(&d->w);
	if (r == 0)
		r = wallet_resume(&d->w, "", U256_ZERO, &done);
	if (r == 0)
		r = wallet_read(&d->w);
	if (r == 0)
		r = find_sets(d);
	if (r)
		return r;
	if (d->n == 0) {
		exits_out("No provider stores anything for drive '%s' any more (%zu data sets have ended).\n",
			  d->w.drive->name, d->n_ended);
		return EXITS_OK;
	}
	r = plan(d);
	if (r)
		return r;
	say(d);
	r = wallet_ask(&d->w);
	if (r == 0)
		r = wallet_send(&d->w, SIZE_MAX);
	for (size_t i = 0; r == 0 && i < d->n; i++)
		r = end_one(d, &d->sets[i]);
	if (r == 0)
		exits_out("What is no longer locked can be taken out: fildrive wallet withdraw all\n");
	return r;
}

static int run(const struct cli *cli)
{
	struct destroy *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return exits_err(-ENOMEM, NULL, "destroy");
	r = wallet_open(cli, &d->w);
	if (r == 0) {
		r = drive_lock(d->w.drive, &d->w.err);
		if (r < 0)
			r = exits_err(r, &d->w.err, "locking the drive");
	}
	if (r == 0)
		r = destroy(d);
	wallet_close(&d->w);
	free(d);
	return r;
}

const struct cli_verb verb_destroy = {
	.name = "destroy",
	.args = "",
	.summary = "end what providers store for a drive, for good",
	.details = "Every data set on chain that carries the drive's id ends, and with it the\n"
		   "payments. Nobody can bring it back afterwards, with the words neither. The\n"
		   "drive directory, and copies in folders, stay. The drive is unmounted first.",
	.options = options,
	.run = run,
};
