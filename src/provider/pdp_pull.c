/*
 * pdp_pull.c - pieces that another slot's provider has are fetched by this one
 *
 * So they leave this machine once, however many copies are wanted.  A provider
 * fetches for whoever shows it an authorization to add exactly these pieces, and who
 * has that may add them.  It is therefore asked for nothing but what is added next:
 * the add is SIGNED and durable (pdp_impl.h), its bytes are shown for the fetching,
 * and when all is there the same bytes are handed in.  If the fetching fails, the
 * pieces are put, and then again the same bytes are handed in: whatever the provider
 * does with them meanwhile, the nonce lets it be paid once.
 *
 * The provider checks what it fetches against the CID, as it does with an upload, and
 * VERIFY comes afterwards as ever: a source that lies is a fetch that fails.
 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "chain/revert.h"
#include "crypto/commp.h"
#include "provider/pdp_impl.h"

#define URL_MAX     (FOC_URL_MAX + 16 + PIECE_CID_TEXT_MAX)
#define TROUBLE_MAX 5      /* questions in a row without an answer */
#define BYTES_MS    1000   /* a fetch may be as slow as so many bytes a ms */
#define RETRY_MAX_S 60     /* a provider that is busy is waited for so long */
#define ROUND_MS    120000 /* from question to question; else we stood */

struct fetch {
	struct pdp_job *j;
	char others[PDP_SLOTS_MAX][FOC_URL_MAX];
	size_t n_others;
	bool missing[PROVIDER_COMMIT_MAX];
	size_t n_missing;
	uint64_t bytes; /* of the missing */
	char urls[PROVIDER_COMMIT_MAX][URL_MAX];
	struct curio_pull pieces[PROVIDER_COMMIT_MAX];
};

/* ---- what is there ---- */

void pdp_is_here(struct pdp *d, const struct piece_cid *cid)
{
	lock_take(&d->lock);
	d->here[d->n_here++ % PROVIDER_COMMIT_MAX] = *cid;
	lock_drop(&d->lock);
}

static bool was_here(struct pdp *d, const struct piece_cid *cid)
{
	bool found = false;

	lock_take(&d->lock);
	for (size_t i = 0; i < MIN(d->n_here, PROVIDER_COMMIT_MAX); i++)
		found |= piece_cid_eq(&d->here[i], cid);
	lock_drop(&d->lock);
	return found;
}

/* What was here must not be believed again: it was said to be missing. */
static void forget_here(struct pdp *d)
{
	lock_take(&d->lock);
	d->n_here = 0;
	lock_drop(&d->lock);
}

static int find_missing(struct fetch *f, const struct pdp_add *a)
{
	struct pdp_job *j = f->j;
	struct commp_sum sum;
	int r;

	if (a->refused)
		forget_here(j->d);
	for (size_t i = 0; i < a->n; i++) {
		if (was_here(j->d, &a->cids[i]))
			continue;
		do {
			r = curio_find(j->curio, &j->op, &a->cids[i]);
		} while (r == -EAGAIN && (r = pdp_rest(j, r)) == 0);
		if (r < 0 && r != -ENOENT)
			return pdp_curio_error(j, r);
		pdp_alive(j);
		if (r == 0) {
			pdp_is_here(j->d, &a->cids[i]);
			continue;
		}
		r = piece_cid_parse(piece_cid_slice(&a->cids[i]), &sum);
		if (r < 0)
			return r;
		f->missing[i] = true;
		f->n_missing++;
		f->bytes += sum.raw_size;
	}
	return 0;
}

/* ---- from where ---- */

static void set_source(struct fetch *f, size_t i, const char *url,
		       const struct piece_cid *cid)
{
	char text[PIECE_CID_TEXT_MAX];
	size_t n = strlen(url);

	piece_cid_text(cid, text);
	(void)snprintf(f->urls[i], URL_MAX, "%s%spiece/%s", url,
		       n && url[n - 1] == '/' ? "" : "/", text); /* fits */
	f->pieces[i].cid = cid;
	f->pieces[i].source = f->urls[i];
	f->pieces[i].state = CURIO_PULL_WAITING;
}

/* Those of the missing pieces that the provider at `url` serves. */
static int ask_source(struct fetch *f, const struct pdp_add *a, const char *url)
{
	_cleanup_curio_ struct curio *c = NULL;
	struct pdp_job *j = f->j;
	struct commp_sum sum;
	uint64_t size;
	int r;

	r = pdp_curio(j, url, &c);
	if (r < 0)
		return r;
	for (size_t i = 0; i < a->n; i++) {
		if (!f->missing[i] || f->pieces[i].cid)
			continue;
		r = curio_stat(c, &j->op, &a->cids[i], &size);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return r;
		pdp_alive(j);
		if (piece_cid_parse(piece_cid_slice(&a->cids[i]), &sum) == 0 &&
		    sum.raw_size == size)
			set_source(f, i, url, &a->cids[i]);
	}
	return 0;
}

/* -ENOENT: not all of them are served by somebody. */
static int find_sources(struct fetch *f, const struct pdp_add *a)
{
	struct pdp_job *j = f->j;
	int r;

	for (size_t i = 0; i < f->n_others; i++) {
		r = ask_source(f, a, f->others[i]);
		if (r == -ECANCELED || r == -ENOMEM)
			return r;
	}
	j->req->err.text[0] = '\0';
	for (size_t i = 0; i < a->n; i++) {
		if (f->pieces[i].cid)
			continue;
		if (f->missing[i])
			return -ENOENT;
		/* The authorization names it, so the request has to, too. */
		set_source(f, i, curio_url(j->curio), &a->cids[i]);
	}
	return 0;
}

/* ---- the fetching ---- */

/* For a while everything is put; the reason is written down. */
static int give_up(struct pdp_job *j, const char *why)
{
	struct pdp *d = j->d;

	log_warn("%s: the provider could not fetch pieces from another: %s; they are uploaded",
		 d->name, why);
	lock_take(&d->lock);
	d->no_pull_until_ms = monotonic_ms() + PDP_NO_PULL_MS;
	lock_drop(&d->lock);
	return -ENOENT;
}

static bool may_fetch(struct pdp *d)
{
	bool may;

	lock_take(&d->lock);
	may = monotonic_ms() >= d->no_pull_until_ms;
	lock_drop(&d->lock);
	return may;
}

/* The request failed.  0: ask again; 1: it may be handed in. */
static int judge(struct pdp_job *j, struct pdp_add *a, int r, unsigned *trouble)
{
	const struct curio_op *op = &j->op;
	struct revert why;

	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (revert_read_text(slice_str(op->said), &why) || op->status == 409) {
		/* As handing it in would be refused: no fault of the fetching. */
		r = pdp_post_failed(j, a, r);
		return r < 0 ? r : 1;
	}
	if (op->status == 429 && op->retry_after_s && op->retry_after_s <= RETRY_MAX_S)
		return pdp_sleep(j, op->retry_after_s * 1000);
	if (op->status && op->status < 500)
		return give_up(j, op->said[0] ? op->said : op->err.text);
	if (++*trouble <= TROUBLE_MAX)
		return 0;
	return op->status ? give_up(j, op->err.text) :
			    pdp_curio_error(j, -EREMOTEIO);
}

/* 1: all there; 0: under way. */
static int progress(struct fetch *f, size_t n)
{
	size_t failed = 0, waiting = 0;

	for (size_t i = 0; i < n; i++) {
		failed += f->pieces[i].state == CURIO_PULL_FAILED;
		waiting += f->pieces[i].state == CURIO_PULL_WAITING;
	}
	if (waiting)
		return 0;
	return failed ? give_up(f->j, "it says that it failed") : 1;
}

static int fetch_all(struct fetch *f, struct pdp_add *a)
{
	struct pdp_job *j = f->j;
	uint64_t last = monotonic_ms(), limit = PDP_PULL_MS + f->bytes / BYTES_MS;
	unsigned trouble = 0;
	int r;

	for (uint64_t ms = 0; ms < limit;
	     ms += monotonic_waited_ms(&last, ROUND_MS)) {
		r = curio_pull(j->curio, &j->op, foc_network(j->foc)->fwss.b,
			       a->data_set, buf_slice(&a->extra), f->pieces, a->n);
		if (r < 0) {
			r = judge(j, a, r, &trouble);
		} else {
			pdp_alive(j);
			trouble = 0;
			r = progress(f, a->n);
		}
		if (r != 0)
			return MIN(r, 0);
		r = pdp_sleep(j, pdp_poll_ms(j->d));
		if (r < 0)
			return r;
	}
	return give_up(j, "it takes too long");
}

int pdp_fetch(struct pdp_job *j, struct pdp_add *a)
{
	_cleanup_free_ struct fetch *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->j = j;
	f->n_others = pdp_group_urls(j->d->p.group, j->d->p.slot, f->others);
	if (f->n_others == 0)
		return 0; /* handing it in says what is missing */
	r = find_missing(f, a);
	if (r < 0 || f->n_missing == 0)
		return r;
	if (!may_fetch(j->d))
		return -ENOENT;
	r = find_sources(f, a);
	if (r == 0)
		r = fetch_all(f, a);
	return r;
}
