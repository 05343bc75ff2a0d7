#include "daemon/gc_paid.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "chain/foc_auth.h"
#include "crypto/keys.h"
#include "crypto/piece_cid.h"
#include "daemon/cli.h"
#include "daemon/client.h"
#include "daemon/datasets.h"
#include "daemon/drive.h"
#include "daemon/engine.h"
#include "daemon/exits.h"
#include "daemon/units.h"
#include "daemon/verbs.h"

#define SETS_MAX   64
#define PAY_MONTHS 12 /* a removal should pay for itself in so many */

struct gc_paid {
	struct wallet w;
	const json_t *found;
	struct dataset sets[SETS_MAX];
	bool idle[SETS_MAX]; /* no slot uses it: it may be ended */
	size_t n;
	bool removes; /* it pays, or was asked for */
};

static uint64_t num(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static uint64_t pieces_of(const json_t *o, const char *key)
{
	return num(json_object_get(o, key), "pieces");
}

static uint64_t bytes_of(const json_t *o, const char *key)
{
	return num(json_object_get(o, key), "bytes");
}

bool gc_paid_is_needed(const json_t *found)
{
	const json_t *s;
	size_t i;

	json_array_foreach(
		json_object_get(found, "stores"), i,
		s) if (json_is_true(json_object_get(s, "network"))) return true;
	return false;
}

/* ---- data sets ---- */

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct gc_paid *p = ctx;

	if (s->pdp_end_epoch == 0 && p->n < SETS_MAX)
		p->sets[p->n++].view = *s;
	return 0;
}

static bool is_used(const json_t *found, uint64_t set)
{
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(found, "stores"), i,
			   s) if (json_is_true(json_object_get(s, "network")) &&
				  num(s, "data_set") == set) return true;
	return false;
}

/* A slot that has not said which set is its own may be about to use any. */
static bool slots_are_known(const json_t *found)
{
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(found, "stores"), i,
			   s) if (json_is_true(json_object_get(s, "network")) &&
				  !num(s, "data_set")) return false;
	return true;
}

/* In which data set the newest commit was claimed: 0 if that is not known. */
static int newest_set(struct gc_paid *p, uint64_t sequence, uint64_t *ret)
{
	uint8_t name[KEYS_HEAD_NAME_SIZE];
	struct view_nonce v;
	int r;

	*ret = 0;
	r = keys_head_name(p->w.owner.keys, p->w.url.net.chain_id, sequence, name);
	if (r == 0)
		r = foc_nonce(p->w.foc, u256_from_be(name), &v, &p->w.err);
	if (r == 0 && v.used)
		*ret = v.data_set_id;
	return r < 0 ? exits_err(r, &p->w.err, "asking where the newest commit is") :
		       EXITS_OK;
}

static int find_idle(struct gc_paid *p)
{
	uint64_t head;
	bool any = false;
	int r;

	for (size_t i = 0; i < p->n; i++) {
		p->idle[i] = slots_are_known(p->found) &&
			     !is_used(p->found, p->sets[i].view.data_set_id);
		any |= p->idle[i];
	}
	if (!any)
		return EXITS_OK;
	r = newest_set(p, num(p->found, "sequence"), &head);
	for (size_t i = 0; i < p->n && r == 0; i++) {
		uint64_t id = p->sets[i].view.data_set_id;

		if (p->idle[i] && num(p->found, "without_copies"))
			exits_out("Data set %" PRIu64
				  " is not used any more, but %" PRIu64
				  " pieces have not got all of their copies elsewhere: it stays.\n",
				  id, num(p->found, "without_copies"));
		else if (p->idle[i] && (head == 0 || head == id))
			exits_out("Data set %" PRIu64
				  " is not used any more, but the newest commit was published in it: it stays until the next one.\n",
				  id);
		else
			continue;
		p->idle[i] = false;
	}
	return r;
}

int gc_paid_open(const struct cli *cli, const json_t *found, bool dry,
		 struct gc_paid **ret)
{
	struct gc_paid *p = calloc(1, sizeof(*p));
	bool done;
	int r;

	if (!p)
		return exits_err(-ENOMEM, NULL, "gc");
	p->found = found;
	r = wallet_open(cli, &p->w);
	if (r == 0 && !dry)
		r = wallet_unlock(&p->w);
	if (r == 0 && !dry)
		r = wallet_resume(&p->w, "", U256_ZERO, &done);
	if (r == 0)
		r = wallet_read(&p->w);
	if (r == 0 && !dry)
		r = datasets_find(&p->w, on_set, p);
	for (size_t i = 0; i < p->n && r == 0; i++)
		dataset_look(&p->w, &p->sets[i]);
	if (r == 0)
		r = find_idle(p);
	if (r)
		gc_paid_free(p);
	else
		*ret = p;
	return r;
}

void gc_paid_free(struct gc_paid *p)
{
	if (!p)
		return;
	wallet_close(&p->w);
	free(p);
}

/* ---- what it costs, and saves ---- */

/* USDFC a month that so many bytes cost at one provider. */
static int month_of(const struct gc_paid *p, uint64_t bytes, struct u256 *ret)
{
	struct u256 v;
	int r = u256_mul(p->w.prices.storage_per_tib_month, u256(bytes), &v);

	return r < 0 ? r : u256_div(v, u256(1ull << 40), ret, NULL);
}

struct sums {
	struct u256 month, fees;
	uint64_t sets;
};

/* Of the pieces that would be removed now, at each store of the network. */
static int sums_of(const struct gc_paid *p, struct sums *ret)
{
	uint64_t batch = bytes_of(p->found, "batch"), bytes;
	const json_t *s;
	struct u256 month;
	size_t i;
	int r = 0;

	*ret = (struct sums){ .sets = 0 };
	json_array_foreach(json_object_get(p->found, "stores"), i, s)
	{
		if (!json_is_true(json_object_get(s, "network")))
			continue;
		bytes = MIN(batch, bytes_of(s, "dead")) + bytes_of(s, "left");
		if (!bytes)
			continue;
		r = month_of(p, bytes, &month);
		if (r < 0)
			break;
		ret->month = u256_add_capped(ret->month, month);
		ret->fees = u256_add_capped(ret->fees, p->w.prices.remove_fee);
		ret->sets++;
	}
	return r;
}

static bool pays(const struct sums *s)
{
	struct u256 saved;

	return u256_mul(s->month, u256(PAY_MONTHS), &saved) == 0 &&
	       u256_cmp(saved, s->fees) >= 0;
}

static int plan_removals(struct gc_paid *p)
{
	uint64_t pieces = pieces_of(p->found, "batch");
	uint64_t more = pieces_of(p->found, "paid") -
			MIN(pieces, pieces_of(p->found, "paid"));
	struct sums s;
	int r = sums_of(p, &s);

	if (r < 0)
		return exits_err(r, NULL, "what it saves");
	p->removes = s.sets && (pays(&s) || cli_flag(p->w.cli, "all"));
	if (!s.sets)
		return EXITS_OK;
	exits_out("Removing them from %" PRIu64
		  " data set%s costs %s once and saves up to %s a month.\n",
		  s.sets, s.sets == 1 ? "" : "s", wallet_usdfc(s.fees, true).text,
		  wallet_usdfc(s.month, false).text);
	if (!p->removes)
		exits_out("That would not pay for itself within a year, so they stay; --all removes them all the same.\n");
	else if (more)
		exits_out("%" PRIu64
			  " more are left for another time: a provider takes %d between two proofs.\n",
			  more, FOC_AUTH_REMOVALS_MAX);
	return EXITS_OK;
}

static int plan_ends(struct gc_paid *p, bool *ret_any)
{
	int r = EXITS_OK;

	for (size_t i = 0; i < p->n && r == 0; i++) {
		const struct dataset *s = &p->sets[i];

		if (!p->idle[i])
			continue;
		*ret_any = true;
		if (s->answers)
			exits_out("Data set %" PRIu64
				  " at %s is not used any more: it ends, for %s.\n",
				  s->view.data_set_id, s->provider.name,
				  wallet_usdfc(p->w.prices.terminate_fee, true).text);
		else
			r = dataset_plan_own(&p->w, s);
	}
	return r;
}

int gc_paid_plan(struct gc_paid *p, unsigned *ret_pieces, bool *ret_any)
{
	static const enum eip712_type ops[] = { EIP712_SCHEDULE_PIECE_REMOVALS,
						EIP712_TERMINATE_SERVICE };
	int r;

	*ret_any = false;
	r = plan_removals(p);
	if (r == 0)
		r = plan_ends(p, ret_any);
	if (r)
		return r;
	*ret_any |= p->removes;
	*ret_pieces = p->removes ? FOC_AUTH_REMOVALS_MAX : 0;
	return *ret_any && p->w.unlocked ?
		       datasets_plan_login(
			       &p->w, ops, ARRAY_LEN(ops),
			       "let the removal key remove pieces and end data sets, for an hour") :
		       EXITS_OK;
}

int gc_paid_go(struct gc_paid *p)
{
	int r = wallet_ask(&p->w);

	return r ? r : wallet_send(&p->w, SIZE_MAX);
}

/* ---- doing it ---- */

/* -errno.  Takes `request`. */
static int call(const struct gc_paid *p, json_t *request, json_t **ret,
		struct err *why)
{
	_cleanup_client_ struct client_conn *c = NULL;
	int r = request ? client_connect(verbs_drive(p->w.cli), &c, why) : -ENOMEM;

	if (r == 0)
		return client_call(c, request, -1, NULL, NULL, ret, why);
	json_decref(request);
	return r;
}

/* The daemon writes down what was paid, and looks what is gone. */
static int tell(const struct gc_paid *p, json_t *request)
{
	_cleanup_json_ json_t *answer = NULL;
	struct err why = { "" };
	int r = call(p, request, &answer, &why);

	return r < 0 ? exits_err(r, &why, "telling the daemon") : EXITS_OK;
}

/* What is paid for a removal; NULL: no memory. */
static json_t *fee_json(const char *verb, const struct dataset *s,
			const struct dataset_removed *d)
{
	_cleanup_buf_ struct buf ref = { 0 };
	char amount[U256_TEXT_MAX], text[ENGINE_TEXT_MAX];

	buf_init(&ref, 80);
	if (json_put_hex(&ref, slice(d->ref, sizeof(d->ref))) < 0)
		return NULL;
	u256_text(d->fee, amount);
	(void)snprintf(text, sizeof(text),
		       "removing %zu pieces from data set %" PRIu64 " at %.64s",
		       d->n, s->view.data_set_id, s->provider.name); /* fits */
	return json_pack("{s:s, s:s%, s:s, s:s}", "verb", verb, "ref",
			 (const char *)ref.p, ref.n, "amount", amount, "text",
			 text);
}

struct asking {
	const struct gc_paid *p;
	const struct dataset *set;
	bool alone; /* nobody may have asked for the same before */
};

static int tell_asked(struct asking *a, const struct dataset_removed *d,
		      bool refused, struct err *why)
{
	json_t *request = fee_json("gc-asked", a->set, d);
	_cleanup_json_ json_t *answer = NULL;
	char cid[PIECE_CID_TEXT_MAX];
	int r;

	piece_cid_text(&d->first, cid);
	if (json_object_set_new(
		    request, "data_set",
		    json_integer((json_int_t)a->set->view.data_set_id)) < 0 ||
	    json_object_set_new(request, "cid", json_string(cid)) < 0 ||
	    json_object_set_new(request, "refused", json_boolean(refused)) < 0) {
		json_decref(request);
		request = NULL;
	}
	r = call(a->p, request, &answer, why);
	a->alone = r == 0 && json_is_false(json_object_get(answer, "before"));
	return r;
}

/* Whoever is killed from here on leaves the fee in the books once it is paid. */
static int on_asking(void *ctx, const struct dataset_removed *d, struct err *why)
{
	return tell_asked(ctx, d, false, why);
}

static const struct dataset *set_of(const struct gc_paid *p, uint64_t id)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->sets[i].view.data_set_id == id)
			return &p->sets[i];
	return NULL;
}

static size_t cids_of(const json_t *list, struct piece_cid *ret, size_t cap)
{
	const char *text;
	const json_t *o;
	size_t i, n = 0;

	json_array_foreach(list, i, o)
	{
		text = json_string_value(json_object_get(o, "cid"));
		if (n < cap && text &&
		    piece_cid_from_text(slice_str(text), &ret[n]) == 0)
			n++;
	}
	return n;
}

static int remove_at(struct gc_paid *p, const json_t *store)
{
	struct piece_cid cids[FOC_AUTH_REMOVALS_MAX];
	size_t n = cids_of(json_object_get(store, "removals"), cids,
			   ARRAY_LEN(cids));
	const struct dataset *s = set_of(p, num(store, "data_set"));
	struct asking a = { .p = p, .set = s };
	struct dataset_removed done;
	struct err why = { "" }, other = { "" };
	int r;

	if (n == 0)
		return EXITS_OK;
	if (!s || !s->answers)
		return exits_say(EXITS_OFFLINE,
				 "data set %" PRIu64
				 ": its provider does not answer; run this again later",
				 num(store, "data_set"));
	r = dataset_remove(&p->w, s, cids, n, on_asking, &a, &done, &why);
	if (r == -EAGAIN && a.alone)
		best_effort(tell_asked(&a, &done, true, &other)); /* or it is
			settled with who asks for them next */
	if (r == -EAGAIN)
		return exits_say(EXITS_DIRTY,
				 "%s takes no more removals before its next proof, about a day: run this again then",
				 s->provider.name);
	if (r < 0)
		return exits_err(r, &why, s->provider.name);
	if (done.n == 0) {
		exits_out("Data set %" PRIu64 ": that was done before.\n",
			  s->view.data_set_id);
		return tell(p, json_pack("{s:s}", "verb", "gc-removed"));
	}
	exits_out("Done: %zu piece%s of data set %" PRIu64
		  " at %s go with its next proof.\n",
		  done.n, done.n == 1 ? "" : "s", s->view.data_set_id,
		  s->provider.name);
	return tell(p, fee_json("gc-removed", s, &done));
}

static int end_one(struct gc_paid *p, const struct dataset *s)
{
	struct err why = { "" };
	int r;

	if (s->answers) {
		r = dataset_end(&p->w, s, &why);
		if (r < 0)
			return exits_err(
				r, &why,
				"ending a data set; fildrive destroy ends all by own transactions");
	}
	exits_out("Done: data set %" PRIu64 " %s.\n", s->view.data_set_id,
		  s->answers ? "has ended" : "runs out");
	return tell(p, json_pack("{s:s, s:I}", "verb", "gc-removed", "ended",
				 (json_int_t)s->view.data_set_id));
}

int gc_paid_do(struct gc_paid *p, const json_t *done)
{
	const json_t *store;
	int r, worst = EXITS_OK;
	size_t i;

	json_array_foreach(json_object_get(done, "stores"), i, store)
	{
		r = p->removes ? remove_at(p, store) : EXITS_OK;
		worst = r ? r : worst;
	}
	for (i = 0; i < p->n; i++) {
		r = p->idle[i] ? end_one(p, &p->sets[i]) : EXITS_OK;
		worst = r ? r : worst;
	}
	return worst;
}
