/* recovery_settle.c - what was found becomes the stores of a drive, and its databases */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache.h"
#include "chain/network.h"
#include "crypto/keys.h"
#include "daemon/recovery_impl.h"
#include "daemon/rejoin.h"
#include "dag/commit.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/fan.h"
#include "provider/pdp.h"

/* What tells a data set in use from one that was given up. */
struct worth {
	struct holder *place;
	bool goes_on, proves, has_head, answers;
	uint64_t n_pieces;
	size_t order;
};

/* Does place i list the head's piece? */
static bool has_head(const struct recovery *r, size_t i)
{
	const struct recover_found *f = r->found;

	for (size_t k = 0; k < f->n_pieces; k++)
		if (piece_cid_eq(&f->pieces[k].cid, &f->head))
			return f->pieces[k].stores & 1u << i;
	return false;
}

static int by_worth(const void *a, const void *b)
{
	const struct worth *x = a, *y = b;

	if (x->goes_on != y->goes_on)
		return x->goes_on ? -1 : 1;
	if (x->proves != y->proves)
		return x->proves ? -1 : 1;
	if (x->has_head != y->has_head)
		return x->has_head ? -1 : 1;
	if (x->answers != y->answers)
		return x->answers ? -1 : 1;
	if (x->n_pieces != y->n_pieces)
		return x->n_pieces > y->n_pieces ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int ask_proof(void *ctx, size_t i)
{
	struct recovery *r = ctx;
	struct provider_req req = { .verb = PROVIDER_PROOF };

	if (r->places[i].net && provider_call(r->providers[i], &req) == 0)
		r->places[i].proof = req.ret_proof.state;
	return 0;
}

/* The network's places, the best first. */
static size_t rank_places(struct recovery *r, size_t store,
			  struct worth ret[static RECOVER_STORES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct holder *p = &r->places[i];

		if (p->store != store)
			continue;
		ret[n++] = (struct worth){
			.place = p,
			.goes_on = !netstores_set(p->net, p->set)->ended &&
				   p->proof != PROVIDER_PROOF_ENDED &&
				   p->proof != PROVIDER_PROOF_GONE,
			.proves = p->proof != PROVIDER_PROOF_LATE &&
				  p->proof != PROVIDER_PROOF_FAULTED,
			.has_head = has_head(r, i),
			.answers = !p->err.text[0],
			.n_pieces = r->found->stores[i].n_pieces,
			.order = i,
		};
	}
	if (n)
		qsort(ret, n, sizeof(*ret), by_worth);
	return n;
}

static int row_add(struct recovery *r, struct holder *p, char **url,
		   struct err *reterr)
{
	if (r->n_rows == CONFIG_STORES_MAX)
		return err_set(reterr, -EINVAL,
			       "more than %d stores, each copy on a network counted",
			       CONFIG_STORES_MAX);
	if (p)
		p->row = r->n_rows;
	r->rows[r->n_rows++] = (struct row){ steal(url), p };
	return 0;
}

/* How many slots a URL without copies= gets; see recovery.h. */
static unsigned count_slots(const struct recovery *r, size_t store, uint64_t copies)
{
	uint64_t others = 0, alive = 0, n;
	struct network_url u = { .copies = 0 };

	for (size_t i = 0; i < r->config->n_stores; i++) {
		if (i != store && !netstores_is(r->config->stores[i]))
			others++;
		if (i == store || !netstores_is(r->config->stores[i]) ||
		    network_url_parse(r->config->stores[i], &u, NULL) < 0)
			continue;
		others += u.copies;
		network_url_fini(&u);
	}
	for (size_t i = 0; i < r->n; i++)
		alive += r->places[i].store == store &&
			 !netstores_set(r->places[i].net, r->places[i].set)->ended;
	if (!copies)
		copies = commit_info(r->found->commit)->copies;
	n = copies > others ? copies - others : 1;
	if (others)
		n = MAX(n, MIN(alive, NETWORK_COPIES_DEFAULT));
	return (unsigned)MIN(n, NETWORK_COPIES_MAX);
}

/* With the copies that it lacks, as the ledger's stores are named after it. */
static int complete_url(const struct recovery *r, struct config *c, size_t i,
			uint64_t copies, unsigned *ret, struct err *reterr)
{
	_cleanup_network_url_ struct network_url u = { .copies = 0 };
	_cleanup_free_ char *url = NULL;
	int rc;

	rc = network_url_parse(c->stores[i], &u, reterr);
	if (rc < 0)
		return rc;
	if (!u.has_copies && copies != RECOVERY_AS_IS &&
	    count_slots(r, i, copies) != u.copies) {
		u.copies = count_slots(r, i, copies);
		rc = network_url_canonical(&u, &url);
		if (rc == 0 && strlen(url) >= CONFIG_URL_MAX)
			rc = -EMSGSIZE;
		if (rc < 0)
			return err_set(reterr, rc,
				       "store %.128s: with copies=%u: %s",
				       c->stores[i], u.copies, err_str(rc));
		text_copy(c->stores[i], CONFIG_URL_MAX, url);
	}
	*ret = u.copies;
	return 0;
}

static int settle_network(struct recovery *r, struct config *c, size_t i,
			  uint64_t copies, struct err *reterr)
{
	struct worth list[RECOVER_STORES_MAX];
	unsigned slots = 0;
	size_t n;
	int rc;

	rc = complete_url(r, c, i, copies, &slots, reterr);
	if (rc < 0)
		return rc;
	n = rank_places(r, i, list);
	for (unsigned k = 0; k < slots && rc == 0; k++) {
		_cleanup_free_ char *url = NULL;

		rc = netstores_name(c->stores[i], k, &url);
		if (rc == 0)
			rc = row_add(r, k < n ? list[k].place : NULL, &url, reterr);
	}
	for (size_t k = slots; k < n; k++)
		recovery_say(r, "%s is read from, and not written to any more: the drive keeps %u copies there",
			     list[k].place->name, slots);
	return rc;
}

static int settle_folder(struct recovery *r, struct config *c, size_t i,
			 struct err *reterr)
{
	_cleanup_free_ char *url = strdup(c->stores[i]);

	if (!url)
		return -ENOMEM;
	for (size_t k = 0; k < r->n; k++)
		if (r->places[k].store == i)
			return row_add(r, &r->places[k], &url, reterr);
	return row_add(r, NULL, &url, reterr);
}

int recovery_settle(struct recovery *r, struct config *c, uint64_t copies,
		    struct err *reterr)
{
	int rc = 0;

	best_effort(fan_out(r->n, RECOVER_STORES_MAX, ask_proof, r)); /* what is not
									 known counts for nothing */
	for (size_t i = 0; i < c->n_stores && rc == 0; i++)
		rc = netstores_is(c->stores[i]) ?
			     settle_network(r, c, i, copies, reterr) :
			     settle_folder(r, c, i, reterr);
	r->config = NULL;
	return rc;
}

int recovery_wallet(struct recovery *r, struct config *c, struct rejoin *ret,
		    struct err *reterr)
{
	*ret = (struct rejoin){ .session = true, .budget = true };
	for (size_t i = 0; i < CONFIG_STORES_MAX; i++)
		if (r->nets[i])
			return rejoin_wallet(netstores_foc(r->nets[i]), r->keys,
					     c, ret, reterr);
	return 0;
}

/* ---- the databases ---- */

/* What a slot of the ledger has to know to be the same data set. */
static int fill_row(const struct recovery *r, struct ledger *l, size_t i, uint64_t id)
{
	const struct holder *p = r->rows[i].place;
	int rc = 0;

	if (!p || (!p->net && p->err.text[0]))
		return 0;
	if (p->net)
		rc = netstores_keep(p->net, p->set, l, id);
	return rc < 0 ? rc : ledger_store_ident(l, id, provider_id(p->provider));
}

/*
 * Data sets that the drive does not go on with are, in turn, what the network's slots
 * gave up.  If the newest head's piece is there alone, a commit is due: the chain
 * forgets which piece a head was when its data set is ended.
 */
static int fill_given(const struct recovery *r, struct ledger *l, const uint64_t *ids)
{
	bool kept = false, given = false;
	size_t next = 0;
	int rc = 0;

	for (size_t i = 0; i < r->n && rc == 0; i++) {
		const struct holder *p = &r->places[i];
		size_t tries = 0;

		kept |= p->row != RECOVERY_NO_ROW && has_head(r, i);
		if (p->row != RECOVERY_NO_ROW)
			continue;
		given |= has_head(r, i);
		while (tries++ < r->n_rows &&
		       (!r->rows[next % r->n_rows].place ||
			r->rows[next % r->n_rows].place->store != p->store))
			next++;
		if (tries <= r->n_rows)
			rc = netstores_give_up(
				p->net, p->set, l, ids[next++ % r->n_rows],
				"found by recover beside those that hold the drive's copies");
	}
	if (rc == 0 && given && !kept)
		rc = ledger_set_u64(l, LEDGER_RENEW, 1);
	return rc;
}

static int fill_stores(const struct recovery *r, struct ledger *l, struct err *reterr)
{
	uint64_t ids[CONFIG_STORES_MAX], of_place[RECOVER_STORES_MAX] = { 0 };
	const char *urls[CONFIG_STORES_MAX];
	int rc;

	for (size_t i = 0; i < r->n_rows; i++)
		urls[i] = r->rows[i].url;
	rc = ledger_stores_set(l, urls, r->n_rows, ids);
	for (size_t i = 0; i < r->n_rows && rc == 0; i++)
		rc = fill_row(r, l, i, ids[i]);
	if (rc == 0)
		rc = fill_given(r, l, ids);
	for (size_t i = 0; i < r->n; i++)
		if (r->places[i].row != RECOVERY_NO_ROW)
			of_place[i] = ids[r->places[i].row];
	return rc < 0 ? rc : recover_into(r->found, l, of_place, reterr);
}

static int fill_ledger(struct recovery *r, struct io *io, struct err *reterr)
{
	const struct commit_info *info = commit_info(r->found->commit);
	struct ledger_params lp = { .io = io, .key = keys_secret(r->keys, KEYS_DB) };
	struct ledger *l = NULL;
	int rc;

	memcpy(lp.drive_id, keys_drive_id(r->keys), sizeof(lp.drive_id));
	rc = ledger_format(io, r->keys, commit_convergence(r->found->commit),
			   info->epoch, reterr);
	if (rc == 0)
		rc = ledger_open(&lp, &l, reterr);
	if (rc == 0)
		rc = fill_stores(r, l, reterr);
	ledger_close(l);
	return rc;
}

int recovery_fill(struct recovery *r, const struct cache_params *p, struct err *reterr)
{
	int rc;

	rc = fill_ledger(r, p->io, reterr);
	if (rc == 0)
		rc = recover_format(r->found, p, reterr);
	if (rc == 0 && r->salvage.plan)
		rc = salvage_mend(&r->salvage, p, reterr);
	return rc;
}
