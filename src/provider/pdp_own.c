/* pdp_own.c - a drive's data sets, found on chain by their metadata */
#include <errno.h>
#include <stdio.h>

#include "provider/pdp_impl.h"

#define OWN_MAX 1024 /* data sets of one drive */

struct meta {
	char drive[2 * KEYS_DRIVE_ID_SIZE + 1];
	bool source, is_ours;
};

struct walk {
	struct foc *foc;
	const uint8_t *drive_id;
	bool (*wanted)(void *ctx, const struct view_data_set *s);
	void *ctx;
	struct pdp_own *list;
	size_t n;
	struct err err;
};

static int on_meta(void *ctx, struct slice key, struct slice value)
{
	struct meta *m = ctx;

	if (slice_eq(key, slice_str("source")))
		m->source = slice_eq(value, slice_str(PDP_SOURCE));
	if (slice_eq(key, slice_str("drive")))
		m->is_ours = slice_eq(value, slice_str(m->drive));
	return 0;
}

/* Is it this drive's?  Then with its size.  -ENOEXEC: deleted meanwhile. */
static int look_into(struct foc *f, const uint8_t *drive_id, struct pdp_own *x,
		     bool *ret_ours, struct err *e)
{
	struct meta m = { .source = false };
	int r;

	for (size_t i = 0; i < KEYS_DRIVE_ID_SIZE; i++)
		(void)snprintf(m.drive + 2 * i, 3, "%02x", drive_id[i]); /* fits */
	r = foc_metadata(f, x->set.data_set_id, on_meta, &m, e);
	*ret_ours = r == 0 && m.source && m.is_ours;
	if (*ret_ours)
		r = foc_leaves(f, x->set.data_set_id, &x->leaves, e);
	return r;
}

static int walk_add(struct walk *w, const struct pdp_own *x)
{
	struct pdp_own *v = w->list;

	if (w->n == OWN_MAX)
		return err_set(&w->err, -EMSGSIZE,
			       "more than %d data sets of one drive", OWN_MAX);
	if (w->n % 16 == 0) {
		v = realloc(v, (w->n + 16) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		w->list = v;
	}
	v[w->n++] = *x;
	return 0;
}

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct pdp_own x = { .set = *s };
	struct walk *w = ctx;
	struct err e = { "" };
	bool ours = false;
	int r;

	if (!address_eq(s->payer, foc_payer(w->foc)) ||
	    (w->wanted && !w->wanted(w->ctx, s)))
		return 0;
	r = look_into(w->foc, w->drive_id, &x, &ours, &e);
	if (r == -ENOEXEC)
		return 0;
	if (r < 0)
		return err_set(&w->err, r, "%s", e.text);
	return ours ? walk_add(w, &x) : 0;
}

/* Those that go on, then the fuller ones, then the older ones. */
static int by_worth(const void *a, const void *b)
{
	const struct pdp_own *x = a, *y = b;
	bool x_ended = x->set.pdp_end_epoch, y_ended = y->set.pdp_end_epoch;

	if (x_ended != y_ended)
		return x_ended ? 1 : -1;
	if (x->leaves != y->leaves)
		return x->leaves > y->leaves ? -1 : 1;
	return x->set.data_set_id < y->set.data_set_id ? -1 : 1;
}

int pdp_own_sets(struct foc *f, const uint8_t drive_id[static KEYS_DRIVE_ID_SIZE],
		 bool (*wanted)(void *ctx, const struct view_data_set *s),
		 void *ctx, struct pdp_own **ret, size_t *ret_n, struct err *reterr)
{
	struct walk w = { f, drive_id, wanted, ctx, NULL, 0, { "" } };
	struct err e = { "" };
	int r;

	r = foc_data_sets(f, on_set, &w, &e);
	if (r < 0) {
		free(w.list);
		return err_set(reterr, r, "%s", w.err.text[0] ? w.err.text : e.text);
	}
	if (w.n)
		qsort(w.list, w.n, sizeof(*w.list), by_worth);
	*ret = w.list;
	*ret_n = w.n;
	return 0;
}

void pdp_slot_fill(struct pdp_slot *s, const struct foc_provider *p)
{
	s->chosen = true;
	s->provider = p->id;
	s->payee = p->payee;
	s->min = p->min_piece_bytes;
	s->max = p->max_piece_bytes;
	s->since = pdp_now_s();
	text_copy(s->url, sizeof(s->url), p->url);
	text_copy(s->name, sizeof(s->name), p->name);
	text_copy(s->location, sizeof(s->location), p->location);
}

int pdp_own_set(struct foc *f, const struct pdp_own *o, struct pdp_set *ret,
		struct err *reterr)
{
	struct foc_provider p = { .id = 0 };
	struct err e = { "" };
	int r;

	r = foc_provider(f, o->set.provider_id, &p, &e);
	if (r < 0 && r != -ENOENT)
		return err_set(reterr, r, "%s", e.text);
	p.id = o->set.provider_id;
	*ret = (struct pdp_set){
		.ended = o->set.pdp_end_epoch,
		.leaves = o->leaves,
		.slot = { .data_set = o->set.data_set_id,
			  .client = o->set.client_data_set_id,
			  .client_known = true },
	};
	pdp_slot_fill(&ret->slot, &p);
	if (!p.url[0])
		text_copy(ret->why, sizeof(ret->why),
			  r < 0    ? e.text :
			  p.why[0] ? p.why :
				     "it names no address");
	return 0;
}

int pdp_note_given(const struct provider_notes *notes, uint64_t provider)
{
	char key[PROVIDER_NOTE_KEY_MAX], now[U256_TEXT_MAX];

	(void)snprintf(key, sizeof(key), PDP_NOTE_SHUN "%llu",
		       (unsigned long long)provider); /* fits */
	u256_text(u256(pdp_now_s()), now);
	return notes->set(notes->ctx, key, slice_str(now));
}
