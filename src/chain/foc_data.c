/* foc_data.c - the payer's data sets, their pieces and proofs */
#include "chain/foc.h"

#include <errno.h>

#include "chain/call.h"
#include "chain/eip712.h"
#include "chain/foc_auth.h"
#include "chain/foc_impl.h"
#include "chain/fwss.h"
#include "chain/pdp.h"
#include "crypto/commp.h"

#define SETS_MAX 100000 /* data sets of a payer; pages without end are a lie */

static int page_of_sets(struct foc *f, uint64_t at, struct view_data_set *ret,
			size_t *n, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a,
		     view_client_data_sets(f->core->payer, at, FOC_SETS_PAGE, &a.data),
		     true, &b, reterr);
	if (r < 0)
		return r;
	r = view_data_sets_answer(buf_slice(&b), ret, FOC_SETS_PAGE, n);
	return r < 0 ? foc_nonsense(f, r, "the data sets", reterr) : 0;
}

int foc_data_sets(struct foc *f, int (*cb)(void *ctx, const struct view_data_set *),
		  void *ctx, struct err *reterr)
{
	_cleanup_free_ struct view_data_set *page = NULL;
	size_t n = FOC_SETS_PAGE;
	int r = 0;

	if (address_is_none(f->core->payer))
		return 0;
	page = calloc(FOC_SETS_PAGE, sizeof(*page));
	if (!page)
		return -ENOMEM;
	for (uint64_t at = 0; n == FOC_SETS_PAGE; at += n) {
		if (at > SETS_MAX)
			return foc_nonsense(f, -EPROTO, "the data sets", reterr);
		r = page_of_sets(f, at, page, &n, reterr);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++) {
			r = cb(ctx, &page[i]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int foc_data_set(struct foc *f, uint64_t set, struct view_data_set *ret,
		 struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	struct view_data_set d;
	int r;

	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_data_set(set, &a.data), true, &b, reterr);
	if (r < 0)
		return r;
	r = view_data_set_answer(buf_slice(&b), &d);
	if (r < 0)
		return foc_nonsense(f, r, "a data set", reterr);
	if (d.pdp_rail_id == 0)
		return err_set(reterr, -ENOENT, "%s has no data set %llu",
			       f->core->url.net.name, (unsigned long long)set);
	*ret = d;
	return 0;
}

int foc_metadata(struct foc *f, uint64_t set,
		 int (*cb)(void *ctx, struct slice key, struct slice value),
		 void *ctx, struct err *reterr)
{
	struct eip712_entry entries[FOC_AUTH_SET_ENTRIES];
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	size_t n;
	int r;

	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_data_set_metadata(set, &a.data), true, &b, reterr);
	if (r < 0)
		return r;
	r = view_metadata_answer(buf_slice(&b), entries, ARRAY_LEN(entries), &n);
	if (r < 0)
		return foc_nonsense(f, r, "a data set", reterr);
	for (size_t i = 0; i < n; i++) {
		r = cb(ctx, entries[i].key, entries[i].value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- pieces ---- */

static int cid_of(struct slice s, struct piece_cid *ret)
{
	struct commp_sum sum;
	int r = s.n <= PIECE_CID_MAX ? piece_cid_parse(s, &sum) : -EPROTO;

	if (r < 0)
		return r;
	*ret = (struct piece_cid){ .n = (uint8_t)s.n };
	memcpy(ret->bytes, s.p, s.n);
	return 0;
}

/* Ids that wait for their removal, in the heap. */
static int removals(struct foc *f, uint64_t set, uint64_t **ret, size_t *ret_n,
		    struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t *ids;
	int r;

	foc_ask_init(&a, FOC_PDP);
	r = foc_read(f, &a, pdp_scheduled_removals(set, &a.data), true, &b, reterr);
	if (r < 0)
		return r;
	ids = calloc(b.n / ABI_WORD + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	r = call_answer_ids(buf_slice(&b), ids, b.n / ABI_WORD + 1, ret_n);
	if (r < 0) {
		free(ids);
		(void)foc_nonsense(f, r, "pieces to be removed", reterr);
		return r;
	}
	*ret = ids;
	return 0;
}

static bool is_in(const uint64_t *ids, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

struct page {
	struct pdp_piece piece[PDP_PIECES_PAGE];
	struct buf answer;
	size_t n;
	bool more;
};

static int page_of_pieces(struct foc *f, uint64_t set, uint64_t from,
			  struct page *p, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	int r;

	buf_fini(&p->answer);
	foc_ask_init(&a, FOC_PDP);
	r = foc_read(f, &a,
		     pdp_active_pieces_by_cursor(set, from, PDP_PIECES_PAGE, &a.data),
		     true, &p->answer, reterr);
	if (r < 0)
		return r;
	r = pdp_pieces_answer(buf_slice(&p->answer), p->piece, PDP_PIECES_PAGE,
			      &p->n, &p->more);
	/* Upwards, or it would not end. */
	for (size_t i = 0; i < p->n && r == 0; i++)
		if (p->piece[i].id < from ||
		    (i && p->piece[i].id <= p->piece[i - 1].id))
			r = -EPROTO;
	if (r == 0 && p->more && p->n == 0)
		r = -EPROTO;
	return r < 0 ? foc_nonsense(f, r, "the pieces of a data set", reterr) : 0;
}

int foc_pieces(struct foc *f, uint64_t set,
	       int (*cb)(void *ctx, uint64_t id, const struct piece_cid *cid),
	       void *ctx, struct err *reterr)
{
	_cleanup_free_ uint64_t *gone = NULL;
	_cleanup_free_ struct page *p = NULL;
	struct piece_cid cid;
	uint64_t from = 0;
	size_t n_gone = 0;
	int r;

	r = removals(f, set, &gone, &n_gone, reterr);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	do {
		r = page_of_pieces(f, set, from, p, reterr);
		for (size_t i = 0; i < p->n && r == 0; i++) {
			from = p->piece[i].id + 1;
			if (is_in(gone, n_gone, p->piece[i].id))
				continue;
			r = cid_of(p->piece[i].cid, &cid);
			if (r < 0)
				r = foc_nonsense(f, r, "a piece", reterr);
			else
				r = cb(ctx, p->piece[i].id, &cid);
		}
	} while (r == 0 && p->more);
	buf_fini(&p->answer);
	return r < 0 ? r : 0;
}

#define FIND_PAGE 20 /* pieces of one multicall */
#define FIND_EACH 8  /* ids of one piece */

/* The first id that is not about to go. */
static int first_id(const struct multicall_result *said, const uint64_t *gone,
		    size_t n_gone, uint64_t *ret)
{
	uint64_t ids[FIND_EACH];
	size_t n = 0;
	int r = said->ok ? call_answer_ids(said->data, ids, FIND_EACH, &n) : -EPROTO;

	*ret = FOC_NO_PIECE;
	for (size_t i = 0; i < n && *ret == FOC_NO_PIECE; i++)
		if (!is_in(gone, n_gone, ids[i]))
			*ret = ids[i];
	return r;
}

static int find_page(struct foc *f, uint64_t set, const struct piece_cid *cids,
		     size_t n, const uint64_t *gone, size_t n_gone,
		     uint64_t *ret, struct err *reterr)
{
	struct foc_ask a[FIND_PAGE] = { 0 };
	struct multicall_result said[FIND_PAGE];
	_cleanup_buf_ struct buf answer = { 0 };
	int r = 0;

	for (size_t i = 0; i < n; i++)
		foc_ask_init(&a[i], FOC_PDP);
	for (size_t i = 0; i < n && r == 0; i++)
		r = pdp_find_piece_ids(set, piece_cid_slice(&cids[i]), 0,
				       FIND_EACH, &a[i].data);
	r = foc_multi(f, a, n, r, true, &answer, said, reterr);
	for (size_t i = 0; i < n; i++)
		foc_ask_fini(&a[i]);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = first_id(&said[i], gone, n_gone, &ret[i]);
	return r < 0 ? foc_nonsense(f, r, "pieces", reterr) : 0;
}

int foc_find(struct foc *f, uint64_t set, const struct piece_cid *cids,
	     size_t n, uint64_t *ret, struct err *reterr)
{
	_cleanup_free_ uint64_t *gone = NULL;
	size_t n_gone = 0;
	int r;

	r = removals(f, set, &gone, &n_gone, reterr);
	for (size_t i = 0; i < n && r == 0; i += FIND_PAGE)
		r = find_page(f, set, cids + i, MIN(FIND_PAGE, n - i), gone,
			      n_gone, ret + i, reterr);
	return r;
}

int foc_piece_cid(struct foc *f, uint64_t set, uint64_t piece,
		  struct piece_cid *ret, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	struct slice s;
	int r;

	foc_ask_init(&a, FOC_PDP);
	r = foc_read(f, &a, pdp_piece_cid(set, piece, &a.data), true, &b, reterr);
	if (r < 0)
		return r;
	r = pdp_piece_cid_answer(buf_slice(&b), &s);
	if (r == 0 && s.n == 0) /* removed */
		return err_set(reterr, -ENOENT, "data set %llu has no piece %llu",
			       (unsigned long long)set, (unsigned long long)piece);
	if (r == 0)
		r = cid_of(s, ret);
	return r < 0 ? foc_nonsense(f, r, "a piece", reterr) : 0;
}

int foc_leaves(struct foc *f, uint64_t set, uint64_t *ret, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	foc_ask_init(&a, FOC_PDP);
	r = foc_read(f, &a, pdp_data_set_leaf_count(set, &a.data), true, &b, reterr);
	if (r < 0)
		return r;
	r = call_answer_u64(buf_slice(&b), ret);
	return r < 0 ? foc_nonsense(f, r, "the size of a data set", reterr) : 0;
}

/* ---- proofs ---- */

enum {
	ASK_LIVE,
	ASK_ACTIVATION,
	ASK_DEADLINE,
	ASK_THIS,
	ASK_LAST,
	ASK_CONFIG,
	ASK_NX
};

static int ask_proving(struct foc_ask *a, uint64_t set)
{
	int r;

	for (size_t i = 0; i < ASK_NX; i++)
		foc_ask_init(&a[i], i == ASK_LIVE || i == ASK_LAST ? FOC_PDP :
								     FOC_VIEW);
	r = pdp_data_set_live(set, &a[ASK_LIVE].data);
	if (r == 0)
		r = view_proving_activation_epoch(set, &a[ASK_ACTIVATION].data);
	if (r == 0)
		r = view_proving_deadline(set, &a[ASK_DEADLINE].data);
	if (r == 0)
		r = view_proven_this_period(set, &a[ASK_THIS].data);
	if (r == 0)
		r = pdp_last_proven_epoch(set, &a[ASK_LAST].data);
	return r < 0 ? r : view_pdp_config(&a[ASK_CONFIG].data);
}

static int read_proving(const struct multicall_result *said, struct foc_proving *p)
{
	struct view_pdp_config config;
	int r;

	r = said[ASK_LIVE].ok ? call_answer_bool(said[ASK_LIVE].data, &p->live) :
				-EPROTO;
	if (r < 0 || !p->live)
		return r;
	for (size_t i = 0; i < ASK_NX; i++)
		if (!said[i].ok)
			return -EPROTO;
	r = call_answer_epoch(said[ASK_ACTIVATION].data, &p->activation);
	if (r == 0)
		r = call_answer_epoch(said[ASK_DEADLINE].data, &p->deadline);
	if (r == 0)
		r = call_answer_bool(said[ASK_THIS].data, &p->proven_this_period);
	if (r == 0)
		r = call_answer_epoch(said[ASK_LAST].data, &p->last_proven);
	if (r == 0)
		r = view_pdp_config_answer(said[ASK_CONFIG].data, &config);
	if (r == 0 && config.max_proving_period == 0)
		r = -EPROTO;
	if (r == 0)
		p->period = config.max_proving_period;
	return r;
}

/* Was the period before the current one proven? */
static int last_period(struct foc *f, uint64_t set, struct foc_proving *p,
		       struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t now;
	int r;

	p->proven_last_period = true;
	/* The period that ends at `deadline`, counted from the first. */
	if (!p->activation || p->deadline < p->activation + 2 * p->period)
		return 0;
	now = (p->deadline - p->activation - 1) / p->period;
	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_proven_periods(set, now - 1, &a.data), true,
		     &b, reterr);
	if (r < 0)
		return r;
	r = call_answer_bool(buf_slice(&b), &p->proven_last_period);
	return r < 0 ? foc_nonsense(f, r, "proofs", reterr) : 0;
}

int foc_proving(struct foc *f, uint64_t set, struct foc_proving *ret,
		struct err *reterr)
{
	struct foc_ask a[ASK_NX] = { 0 };
	struct multicall_result said[ASK_NX];
	_cleanup_buf_ struct buf answer = { 0 };
	struct foc_proving p = { 0 };
	int r;

	r = foc_multi(f, a, ASK_NX, ask_proving(a, set), true, &answer, said,
		      reterr);
	for (size_t i = 0; i < ASK_NX; i++)
		foc_ask_fini(&a[i]);
	if (r < 0)
		return r;
	r = read_proving(said, &p);
	if (r < 0)
		return foc_nonsense(f, r, "proofs", reterr);
	p.head = foc_block(f); /* that all of this is of; a newer one accuses */
	if (p.live)
		r = last_period(f, set, &p, reterr);
	if (r < 0)
		return r;
	*ret = p.live ? p : (struct foc_proving){ .head = p.head };
	return 0;
}
