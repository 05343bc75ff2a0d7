#include "provider/head.h"

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/commp.h"
#include "crypto/keys.h"
#include "crypto/record.h"
#include "dag/piece_reader.h"
#include "dag/trailer.h"
#include "net/fan.h"
#include "provider/provider.h"

#define HEAD_SEQUENCE_MAX (1ull << 48)
#define PROBES            16 /* at once */
#define LAST_PIECES       16 /* that are asked for a head */

static const struct record_kind head_kind = { "head", 1 };

/* What a register holds: on a network the CID itself, else a sealed record. */
static int open_head(struct provider *p, const struct keys *k,
		     struct slice held, struct buf *ret)
{
	if (p->network)
		return buf_append(ret, held);
	return record_open(keys_secret(k, KEYS_HEAD_SEAL), &head_kind,
			   keys_drive_id(k), held, ret);
}

int head_read(struct provider *p, const struct keys *k, uint64_t h,
	      struct piece_cid *ret, struct err *reterr)
{
	struct provider_req req = { .verb = PROVIDER_HEAD };
	_cleanup_buf_ struct buf sealed = { 0 }, body = { 0 };
	struct commp_sum sum;
	int r;

	buf_init(&sealed, PROVIDER_HEAD_MAX);
	buf_init(&body, PROVIDER_HEAD_MAX);
	req.ret_head = &sealed;
	r = keys_head_name(k, p->network, h, req.head_name);
	if (r == 0)
		r = provider_call(p, &req);
	if (r < 0)
		return err_set(reterr, r, "%s", req.err.text);
	r = open_head(p, k, buf_slice(&sealed), &body);
	if (r == 0 && (body.n > PIECE_CID_MAX ||
		       piece_cid_parse(buf_slice(&body), &sum) < 0))
		r = -EPROTO;
	if (r < 0)
		return err_set(reterr, r, "%s: head %llu cannot be read: %s",
			       provider_name(p), (unsigned long long)h, err_str(r));
	*ret = (struct piece_cid){ .n = (uint8_t)body.n };
	memcpy(ret->bytes, body.p, body.n);
	return 0;
}

int head_claim(struct provider *p, const struct keys *k, uint64_t h,
	       const struct piece_cid *cid, struct err *reterr)
{
	struct provider_req req = { .verb = PROVIDER_CLAIM };
	_cleanup_buf_ struct buf sealed = { 0 };
	struct piece_cid there = { 0 };
	int r;

	buf_init(&sealed, PROVIDER_HEAD_MAX);
	req.cid = *cid;
	r = keys_head_name(k, p->network, h, req.head_name);
	if (r == 0 && !p->network)
		r = record_seal(keys_secret(k, KEYS_HEAD_SEAL), &head_kind,
				keys_drive_id(k), piece_cid_slice(cid), &sealed);
	if (r < 0)
		return r;
	req.head = buf_slice(&sealed);
	r = provider_call(p, &req);
	if (r == 0)
		return 0;
	if (r != -EEXIST)
		return err_set(reterr, r, "%s", req.err.text);
	r = head_read(p, k, h, &there, reterr);
	if (r < 0)
		return r;
	if (piece_cid_eq(&there, cid))
		return 0;
	return err_set(reterr, -ESTALE,
		       "%s: another device has published commit %llu",
		       provider_name(p), (unsigned long long)h);
}

/* -ENODATA: what is here of that name and size is no whole piece of this drive. */
static int trailer_of(struct provider *p, const struct keys *k,
		      const struct piece_cid *cid, uint64_t size,
		      struct trailer *ret)
{
	uint8_t tail[TRAILER_SECTION_SIZE];
	struct provider_req req = {
		.verb = PROVIDER_GET, .cid = *cid, .n = sizeof(tail), .dst = tail
	};
	int r;

	if (size < sizeof(tail))
		return -ENODATA;
	req.off = size - sizeof(tail);
	r = provider_call(p, &req);
	if (r < 0)
		return r;
	return req.ret_n == sizeof(tail) &&
			       piece_tail_parse(slice(tail, sizeof(tail)), size,
						k, ret) == 0 ?
		       0 :
		       -ENODATA;
}

int head_check(struct provider *p, const struct keys *k, uint64_t h,
	       const struct piece_cid *cid)
{
	struct provider_req req = { .verb = PROVIDER_STAT, .cid = *cid };
	struct trailer t = { 0 };
	int r = provider_call(p, &req);

	if (r == 0)
		r = trailer_of(p, k, cid, req.ret_size, &t);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	return t.sequence == h ? 0 : -EBADMSG;
}

/* Sequences that are asked for at once, ascending. */
struct probes {
	struct provider *p;
	const struct keys *k;
	size_t n;
	uint64_t h[PROBES];
	int status[PROBES];
	struct piece_cid cid[PROBES];
	struct err err[PROBES];
};

static int probe(void *ctx, size_t i)
{
	struct probes *v = ctx;

	v->err[i].text[0] = '\0';
	v->status[i] = head_read(v->p, v->k, v->h[i], &v->cid[i], &v->err[i]);
	return 0;
}

/* What is known: lo is claimed (or 0), hi is not (or not known: 0). */
struct bounds {
	uint64_t lo, hi;
	struct piece_cid best; /* of lo; n 0: not read */
};

/* One round trip narrows the bounds. */
static int narrow(struct probes *v, struct bounds *b, struct err *reterr)
{
	best_effort(fan_out(v->n, PROBES, probe, v)); /* each has its status */
	for (size_t i = 0; i < v->n; i++) {
		if (v->status[i] == -ENOENT) {
			b->hi = v->h[i];
			return 0;
		}
		if (v->status[i] < 0 && v->status[i] != -ENODATA)
			return err_set(reterr, v->status[i], "%s", v->err[i].text);
		b->lo = v->h[i];
		b->best = v->cid[i];
		if (v->status[i] == -ENODATA) /* claimed; its piece is gone */
			b->best.n = 0;
	}
	return 0;
}

/* lo + 1, then + 2, + 4 …: who asks from what it knows mostly knows the newest. */
static int find_end(struct probes *v, uint64_t known, struct bounds *b,
		    struct err *reterr)
{
	uint64_t step = 1;
	int r = 0;

	while (r == 0 && !b->hi) {
		size_t most = known && step == 1 ? 1 : PROBES;

		for (v->n = 0; v->n < most && step <= HEAD_SEQUENCE_MAX; step *= 2)
			v->h[v->n++] = known + step;
		if (v->n == 0)
			return err_set(reterr, -EPROTO,
				       "%s has heads without an end",
				       provider_name(v->p));
		r = narrow(v, b, reterr);
	}
	return r;
}

static int newest_from(struct provider *p, const struct keys *k, uint64_t known,
		       uint64_t *ret_h, struct piece_cid *ret, struct err *reterr)
{
	_cleanup_free_ struct probes *v = calloc(1, sizeof(*v));
	struct bounds b = { .lo = known };
	int r;

	if (!v)
		return -ENOMEM;
	v->p = p;
	v->k = k;
	r = find_end(v, known, &b, reterr);
	while (r == 0 && b.hi - b.lo > 1) {
		uint64_t between = b.hi - b.lo - 1;

		v->n = (size_t)MIN(between, PROBES);
		for (size_t i = 0; i < v->n; i++)
			v->h[i] = b.lo + (between + 1) * (i + 1) / (v->n + 1);
		r = narrow(v, &b, reterr);
	}
	if (r < 0)
		return r;
	if (b.lo == 0)
		return -ENOENT;
	*ret_h = b.lo;
	if (!b.best.n) { /* nothing newer than what the caller knew */
		r = head_read(p, k, b.lo, &b.best, reterr);
		if (r < 0)
			return r;
	}
	*ret = b.best;
	return 0;
}

/* ---- a register that does not begin at 1 ---- */

/* The pieces that were added last. */
struct last {
	struct piece_cid cid[LAST_PIECES];
	uint64_t size[LAST_PIECES];
	size_t n; /* of all */
};

static int on_piece(struct provider_req *req, const struct piece_cid *cid,
		    uint64_t size)
{
	struct last *l = req->ctx;

	l->cid[l->n % LAST_PIECES] = *cid;
	l->size[l->n++ % LAST_PIECES] = size;
	return 0;
}

/* The newest head that the writer of this piece knew, its own included; 0: none. */
static int head_in(struct provider *p, const struct keys *k,
		   const struct piece_cid *cid, uint64_t size, uint64_t *ret)
{
	struct trailer t;
	int r;

	*ret = 0;
	r = trailer_of(p, k, cid, size, &t);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r == 0)
		*ret = t.sequence ? t.sequence : t.previous.sequence;
	return 0;
}

/*
 * Heads from before a network was a store of the drive are not claimed there.  What
 * was added last says how far the drive was then.  -ENOENT: it says nothing.
 */
static int find_begin(struct provider *p, const struct keys *k, uint64_t *ret_h,
		      struct piece_cid *ret, struct err *reterr)
{
	_cleanup_free_ struct last *l = calloc(1, sizeof(*l));
	struct provider_req req = { .verb = PROVIDER_LIST,
				    .found = on_piece,
				    .ctx = l };
	uint64_t h, tried = 0;
	int r;

	if (!l)
		return -ENOMEM;
	r = provider_call(p, &req);
	if (r < 0)
		return err_set(reterr, r, "%s", req.err.text);
	r = -ENOENT;
	for (size_t i = 0; i < MIN(l->n, LAST_PIECES) && r == -ENOENT; i++) {
		size_t at = (l->n - 1 - i) % LAST_PIECES;

		r = head_in(p, k, &l->cid[at], l->size[at], &h);
		if (r < 0)
			break;
		r = -ENOENT;
		if (h == 0 || h == tried)
			continue;
		tried = h;
		/* That one itself may be from before. */
		r = newest_from(p, k, h, ret_h, ret, reterr);
	}
	return r;
}

int head_newest(struct provider *p, const struct keys *k, uint64_t known,
		uint64_t *ret_h, struct piece_cid *ret, struct err *reterr)
{
	struct err e = { 0 };
	int r = newest_from(p, k, known, ret_h, ret, &e);

	if (r == -ENOENT && known) { /* a store that fell behind, or is new */
		e.text[0] = '\0';
		r = newest_from(p, k, 0, ret_h, ret, &e);
	}
	if (r == -ENOENT && !known && p->network) {
		e.text[0] = '\0';
		r = find_begin(p, k, ret_h, ret, &e);
	}
	return r < 0 ? err_set(reterr, r, "%s", e.text) : r;
}
