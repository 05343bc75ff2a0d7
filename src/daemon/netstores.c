#include "daemon/netstores.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "chain/amount.h"
#include "chain/foc.h"
#include "chain/network.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "daemon/drive.h"
#include "daemon/memnotes.h"
#include "daemon/units.h"
#include "ledger/ledger.h"
#include "net/http.h"
#include "net/work.h"
#include "onboard/watch.h"
#include "provider/pdp.h"
#include "provider/provider.h"

#define SCHEME         "filecoin://"
#define DEVNET_POLL_MS 250 /* its epochs are short */
#define HTTP_WORKERS   2   /* they read files that are sent */

/* The notes of one store of the ledger. */
struct slot_notes {
	struct ledger *ledger;
	uint64_t store;
	struct provider_notes ops;
};

struct netstores {
	struct netstores_params p;
	struct network_url url;
	struct work *work;
	struct http *http;
	struct foc *foc;
	struct pdp_group *group;
	struct slot_notes notes[NETWORK_COPIES_MAX];

	/* Without a ledger: the data sets that were found. */
	struct pdp_set sets[PDP_SLOTS_MAX];
	struct memnotes *mem[PDP_SLOTS_MAX];
	size_t n_sets;
};

/* ---- notes ---- */

static int notes_get(void *ctx, const char *key, struct buf *ret)
{
	struct slot_notes *n = ctx;

	return ledger_note_get(n->ledger, n->store, key, ret);
}

static int notes_set(void *ctx, const char *key, struct slice value)
{
	struct slot_notes *n = ctx;

	return ledger_note_set(n->ledger, n->store, key, value);
}

static int notes_drop(void *ctx, const char *key)
{
	struct slot_notes *n = ctx;

	return ledger_note_drop(n->ledger, n->store, key);
}

static int notes_each(void *ctx, const char *prefix,
		      int (*cb)(void *cb_ctx, const char *key, struct slice value),
		      void *cb_ctx)
{
	struct slot_notes *n = ctx;

	return ledger_notes(n->ledger, n->store, prefix, cb, cb_ctx);
}

static int notes_spent(void *ctx, const struct provider_spend *s)
{
	struct slot_notes *n = ctx;
	struct ledger_spend row = { .time = (uint64_t)time(NULL),
				    .store = n->store,
				    .n_ref = sizeof(s->ref) };

	memcpy(row.ref, s->ref, sizeof(s->ref));
	u256_to_be(s->amount, row.amount);
	text_copy(row.text, sizeof(row.text), s->text);
	return ledger_spend_add(n->ledger, &row);
}

/* ---- URLs ---- */

bool netstores_is(const char *url)
{
	return strncmp(url, SCHEME, strlen(SCHEME)) == 0;
}

int netstores_count(const char *url, unsigned *ret, struct err *reterr)
{
	_cleanup_network_url_ struct network_url u = { .copies = 0 };
	int r;

	r = network_url_parse(url, &u, reterr);
	if (r == 0)
		*ret = u.copies;
	return r;
}

int netstores_name(const char *url, unsigned slot, char **ret)
{
	return asprintf(ret, "%s#%u", url, slot) < 0 ? -ENOMEM : 0;
}

/* ---- the wallet ---- */

#define VALUE_MAX 256

/* The value of a key, "" if there is none of this name, or it is "none". */
static int value_of(const struct config *c, const char *key,
		    char ret[static VALUE_MAX])
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	ret[0] = '\0';
	buf_init(&b, VALUE_MAX - 1);
	for (size_t i = 0; config_key(i); i++) {
		if (strcmp(config_key(i), key) != 0)
			continue;
		r = config_get(c, i, &b);
		if (r < 0)
			return r;
		if (b.n)
			memcpy(ret, b.p, b.n);
		ret[b.n] = '\0';
		ret[strcspn(ret, "\n")] = '\0';
		if (strcmp(ret, "none") == 0)
			ret[0] = '\0';
	}
	return 0;
}

static int size_of(const struct config *c, const char *key, uint64_t *ret)
{
	char text[VALUE_MAX];
	int r = value_of(c, key, text);

	*ret = 0;
	return r < 0 || !text[0] ? r : units_parse_size(text, ret);
}

static int amount_of(const struct config *c, const char *key, struct u256 *ret,
		     struct err *reterr)
{
	char text[VALUE_MAX];
	int r = value_of(c, key, text);

	*ret = U256_ZERO;
	return r < 0 || !text[0] ?
		       r :
		       amount_parse(slice_str(text), "USDFC", ret, reterr);
}

int netstores_params_of(const struct drive *d, struct netstores_params *ret,
			struct err *reterr)
{
	const struct config *c = &d->config;
	char payer[VALUE_MAX], text[VALUE_MAX];
	uint64_t session = 1;
	int r;

	ret->drive_id = keys_drive_id(d->keys);
	ret->silence_ms = (unsigned)c->store_timeout;
	r = value_of(c, "payer", payer);
	if (r == 0)
		r = value_of(c, "session", text);
	if (r == 0 && text[0])
		r = units_number(text, &session);
	if (r == 0)
		r = value_of(c, "ipfs_indexing", text);
	if (r == 0)
		ret->ipfs_indexing = strcmp(text, "on") == 0;
	if (r == 0)
		r = size_of(c, "up_rate", &ret->up_rate);
	if (r == 0)
		r = size_of(c, "down_rate", &ret->down_rate);
	if (r == 0)
		r = amount_of(c, "budget", &ret->budget, reterr);
	if (r < 0 || !payer[0])
		return r;
	r = address_parse(slice_str(payer), &ret->payer, reterr);
	return r < 0 ? r : session_key(d->keys, session, &ret->session);
}

/* ---- life ---- */

static int open_all(struct netstores *n, struct err *reterr)
{
	struct http_params hp = { .loop = n->p.loop };
	struct foc_params fp = { .loop = n->p.loop,
				 .url = &n->url,
				 .payer = n->p.payer };
	int r;

	r = network_url_parse(n->p.url, &n->url, reterr);
	if (r == 0)
		r = work_new(n->p.loop, HTTP_WORKERS, &n->work);
	if (r < 0)
		return r;
	hp.work = n->work;
	r = http_new(&hp, &n->http);
	if (r < 0)
		return r;
	fp.http = n->http;
	r = foc_new(&fp, &n->foc, reterr);
	return r < 0 ? r : pdp_group_new(&n->group);
}

int netstores_new(const struct netstores_params *p, struct netstores **ret,
		  struct err *reterr)
{
	struct netstores *n = calloc(1, sizeof(*n));
	int r;

	if (!n) {
		secret_free(p->session);
		return -ENOMEM;
	}
	n->p = *p;
	r = open_all(n, reterr);
	if (r < 0) {
		err_set(reterr, 0, "store %.128s: %s", p->url, err_str(r));
		netstores_shut(n);
		netstores_free(n);
		return r;
	}
	n->p.url = NULL; /* the caller's */
	*ret = n;
	return 0;
}

/* A slot; `p` has what is its own of notes and id. */
static int open_slot(struct netstores *n, unsigned slot,
		     const struct pdp_slot *set, struct provider_params p,
		     struct provider **ret, struct err *reterr)
{
	_cleanup_free_ char *url = NULL;
	struct pdp_params pp = {
		.http = n->http,
		.foc = n->foc,
		.group = n->group,
		.slot = slot,
		.session = n->p.session,
		.drive_id = n->p.drive_id,
		.budget = n->p.budget,
		.ipfs_indexing = n->p.ipfs_indexing,
		/* A devnet's providers are on this machine. */
		.local = strcmp(n->url.net.name, "devnet") == 0,
		.up_rate = n->p.up_rate,
		.down_rate = n->p.down_rate,
		.set = set,
	};
	int r;

	if (pp.local)
		pp.poll_ms = DEVNET_POLL_MS;
	r = network_url_canonical(&n->url, &url);
	if (r < 0)
		return r;
	p.loop = n->p.loop;
	p.silence_ms = n->p.silence_ms;
	p.pdp = &pp;
	p.url = url;
	return provider_new(&p, ret, reterr);
}

int netstores_slot(struct netstores *n, unsigned slot, uint64_t id,
		   struct provider **ret, struct err *reterr)
{
	_cleanup_free_ struct ledger_store *row = malloc(sizeof(*row));
	struct slot_notes *notes = &n->notes[slot];
	struct provider_params p = { .notes = &notes->ops };
	int r;

	if (slot >= n->url.copies)
		return -EINVAL;
	if (!row)
		return -ENOMEM;
	*notes = (struct slot_notes){ .ledger = n->p.ledger,
				      .store = id,
				      .ops = { notes_get, notes_set, notes_drop,
					       notes_each, notes_spent, notes } };
	r = ledger_store_get(n->p.ledger, id, row);
	if (r < 0)
		return r;
	p.id = row->has_ident ? row->ident : NULL;
	/* What reads only does not choose a provider. */
	p.create = !row->has_ident && n->p.session;
	return open_slot(n, slot, NULL, p, ret, reterr);
}

/* ---- without a ledger ---- */

static void on_endpoint(void *ctx, const char *name, const char *why)
{
	const struct netstores_find *p = ctx;

	p->warn(p->ctx, name, why);
}

/* Those of the list that there is room for, with their providers. */
static int take_sets(struct netstores *n, const struct pdp_own *list,
		     size_t count, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		r = pdp_own_set(n->foc, &list[i], &n->sets[i], reterr);
		if (r == 0)
			r = memnotes_new(&n->mem[i]);
		n->n_sets += r == 0;
	}
	return r;
}

int netstores_find(struct netstores *n, struct netstores_find *p, struct err *reterr)
{
	_cleanup_free_ struct pdp_own *list = NULL;
	char who[ADDRESS_TEXT_MAX];
	struct err e = { "" };
	size_t count = 0;
	int r;

	r = foc_check(n->foc, on_endpoint, p, &e);
	if (r == 0)
		r = pdp_own_sets(n->foc, n->p.drive_id, NULL, NULL, &list,
				 &count, &e);
	if (r == 0 && count == 0) {
		address_text(n->p.payer, who);
		return err_set(reterr, -ENOENT,
			       "the wallet %s has no data set of this drive on %s: did another one pay (--payer)?",
			       who, n->url.net.name);
	}
	if (r == 0)
		r = take_sets(n, list, MIN(count, MIN(p->max, PDP_SLOTS_MAX)), &e);
	if (r < 0)
		return err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r));
	p->n = n->n_sets;
	p->n_left = count - n->n_sets;
	return 0;
}

const struct pdp_set *netstores_set(const struct netstores *n, size_t i)
{
	return &n->sets[i];
}

int netstores_open(struct netstores *n, size_t i, struct provider **ret,
		   struct err *reterr)
{
	struct provider_params p = { .notes = memnotes_ops(n->mem[i]) };

	return open_slot(n, (unsigned)i, &n->sets[i].slot, p, ret, reterr);
}

struct copying {
	struct ledger *ledger;
	uint64_t store;
};

static int on_copy(void *ctx, const char *key, struct slice value)
{
	struct copying *c = ctx;

	return ledger_note_set(c->ledger, c->store, key, value);
}

int netstores_keep(const struct netstores *n, size_t i, struct ledger *l, uint64_t id)
{
	const struct provider_notes *notes = memnotes_ops(n->mem[i]);
	struct copying c = { l, id };

	return notes->each(notes->ctx, "", on_copy, &c);
}

int netstores_give_up(const struct netstores *n, size_t i, struct ledger *l,
		      uint64_t id, const char *why)
{
	const struct pdp_slot *s = &n->sets[i].slot;
	struct slot_notes notes = { .ledger = l, .store = id };
	const struct provider_notes ops = { notes_get,  notes_set,   notes_drop,
					    notes_each, notes_spent, &notes };
	struct watch_given g = { .time_s = (uint64_t)time(NULL),
				 .provider = s->provider,
				 .set = s->data_set };
	int r;

	text_copy(g.name, sizeof(g.name), s->name);
	text_copy(g.why, sizeof(g.why), why);
	r = watch_give(l, id, &g);
	return r < 0 ? r : pdp_note_given(&ops, s->provider);
}

struct foc *netstores_foc(const struct netstores *n)
{
	return n->foc;
}

void netstores_shut(struct netstores *n)
{
	if (!n)
		return;
	foc_free(steal(&n->foc));
	work_free(steal(&n->work));
}

void netstores_free(struct netstores *n)
{
	if (!n)
		return;
	http_free(n->http);
	pdp_group_free(n->group);
	network_url_fini(&n->url);
	for (size_t i = 0; i < PDP_SLOTS_MAX; i++)
		memnotes_free(n->mem[i]);
	secret_free(n->p.session);
	free(n);
}
