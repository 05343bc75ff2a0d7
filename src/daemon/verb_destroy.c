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
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "chain/foc_auth.h"
#include "chain/fwss.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "daemon/chainlink.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "provider/curio.h"

#define SETS_MAX  (WALLET_PLANS_MAX - 1)
#define SOURCE    "fildrive"
#define REMOVER_S 3600
#define ENDED_MS  600000 /* a provider may take so long to end a data set */
#define LOOK_MS   6000
#define DEVNET_MS 200
#define DATA_MAX  1024

static const struct cli_option options[] = {
	CLI_DRIVE,
	WALLET_YES,
	WALLET_MAX_GAS,
	{ "own", 0, false, NULL, "ask no provider: end all by own transactions" },
	CLI_PASSFILE,
	CLI_EXTPASS,
	CLI_END,
};

struct set {
	struct view_data_set view;
	struct foc_provider provider;
	bool answers; /* the provider does */
};

struct destroy {
	struct wallet w;
	char drive_id[2 * KEYS_DRIVE_ID_SIZE + 1];
	struct set sets[SETS_MAX];
	size_t n, n_ended;
	bool more; /* there are more than fit: run again */
};

/* ---- which ---- */

struct meta {
	const struct destroy *d;
	bool source, ours;
};

static int on_meta(void *ctx, struct slice key, struct slice value)
{
	struct meta *m = ctx;

	if (slice_eq(key, slice_str("source")))
		m->source = slice_eq(value, slice_str(SOURCE));
	if (slice_eq(key, slice_str("drive")))
		m->ours = slice_eq(value, slice_str(m->d->drive_id));
	return 0;
}

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct destroy *d = ctx;
	struct meta m = { .d = d };
	int r = foc_metadata(d->w.foc, s->data_set_id, on_meta, &m, &d->w.err);

	if (r < 0 || !m.source || !m.ours)
		return r;
	if (s->pdp_end_epoch) {
		d->n_ended++;
		return 0;
	}
	if (d->n == SETS_MAX)
		d->more = true;
	else
		d->sets[d->n++].view = *s;
	return 0;
}

static int curio_of(struct destroy *d, const struct set *s, struct curio **ret)
{
	struct curio_params p = {
		.http = chainlink_http(d->w.link),
		.url = s->provider.url,
		.local = strcmp(d->w.url.net.name, "devnet") == 0,
	};
	struct err why = { "" };

	return s->provider.usable ? curio_new(&p, ret, &why) : -ENOENT;
}

static void look_at_provider(struct destroy *d, struct set *s)
{
	_cleanup_curio_ struct curio *c = NULL;
	struct err why = { "" };
	struct curio_op op;

	if (cli_flag(d->w.cli, "own") ||
	    foc_provider(d->w.foc, s->view.provider_id, &s->provider, &why) < 0 ||
	    curio_of(d, s, &c) < 0)
		return;
	curio_op_init(&op);
	s->answers = curio_ping(c, &op) == 0;
	curio_op_fini(&op);
}

static int find_sets(struct destroy *d)
{
	const uint8_t *id = keys_drive_id(d->w.owner.keys);
	int r;

	for (size_t i = 0; i < KEYS_DRIVE_ID_SIZE; i++)
		(void)snprintf(d->drive_id + 2 * i, 3, "%02x", id[i]); /* fits */
	r = foc_data_sets(d->w.foc, on_set, d, &d->w.err);
	if (r < 0)
		return exits_err(r, &d->w.err, "looking for data sets");
	for (size_t i = 0; i < d->n; i++)
		look_at_provider(d, &d->sets[i]);
	return EXITS_OK;
}

/* ---- what will be done ---- */

static int plan_own(struct destroy *d, const struct set *s)
{
	struct buf data = { 0 };
	int r;

	buf_init(&data, DATA_MAX);
	r = fwss_terminate_service(s->view.data_set_id, &data);
	return wallet_plan(&d->w, "terminate", d->w.at.fwss, r, &data,
			   u256(s->view.data_set_id),
			   "end data set %" PRIu64
			   " by an own transaction: it runs out in 30 days",
			   s->view.data_set_id);
}

static int plan(struct destroy *d)
{
	static const enum eip712_type ops[] = { EIP712_TERMINATE_SERVICE };
	struct address remover;
	size_t n_asked = 0;
	int r;

	for (size_t i = 0; i < d->n; i++)
		n_asked += d->sets[i].answers;
	if (n_asked) {
		r = address_of_key(d->w.owner.remover, &remover);
		if (r < 0)
			return exits_err(r, NULL, "the removal key");
		r = wallet_plan_login(
			&d->w, remover, REMOVER_S, ops, ARRAY_LEN(ops),
			"let the removal key end data sets, for an hour");
		if (r)
			return r;
	}
	for (size_t i = 0; i < d->n; i++) {
		r = d->sets[i].answers ? EXITS_OK : plan_own(d, &d->sets[i]);
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
		const struct set *s = &d->sets[i];

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

/* Has the chain ended it?  Looked at for a while. */
static int wait_ended(struct destroy *d, uint64_t id)
{
	bool devnet = strcmp(d->w.url.net.name, "devnet") == 0;
	uint64_t until = monotonic_ms() + ENDED_MS;
	struct view_data_set v;
	struct err why = { "" };

	do {
		if (foc_data_set(d->w.foc, id, &v, &why) == 0 && v.pdp_end_epoch)
			return 0;
		(void)poll(NULL, 0, devnet ? DEVNET_MS : LOOK_MS); /* a pause */
	} while (monotonic_ms() < until);
	return -ETIMEDOUT;
}

/* 0: it has ended. */
static int ask_provider(struct destroy *d, const struct set *s, struct err *why)
{
	struct foc_auth auth = { .key = d->w.owner.remover };
	_cleanup_curio_ struct curio *c = NULL;
	_cleanup_buf_ struct buf extra = { 0 };
	struct curio_op op;
	int r;

	buf_init(&extra, FOC_AUTH_CREATE_MAX);
	eip712_separator_fwss(d->w.url.net.chain_id, d->w.at.fwss, auth.separator);
	r = foc_auth_terminate(&auth, s->view.data_set_id, &extra);
	if (r == 0)
		r = curio_of(d, s, &c);
	if (r < 0)
		return r;
	curio_op_init(&op);
	r = curio_terminate(c, &op, s->view.data_set_id, buf_slice(&extra));
	if (r < 0)
		err_set(why, r, "%s", op.err.text);
	curio_op_fini(&op);
	return r < 0 ? r : wait_ended(d, s->view.data_set_id);
}

static int end_one(struct destroy *d, const struct set *s)
{
	struct err why = { "" };
	int r = s->answers ? ask_provider(d, s, &why) : -ENOENT;

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
	r = plan_own(d, s);
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
