#include "provider/head.h"

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/commp.h"
#include "crypto/keys.h"
#include "crypto/record.h"
#include "provider/provider.h"

#define HEAD_SEQUENCE_MAX (1ull << 48)

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
	_cleanup_buf_ struct buf sealed;
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

static int newest_from(struct provider *p, const struct keys *k, uint64_t known,
		       uint64_t *ret_h, struct piece_cid *ret, struct err *reterr)
{
	uint64_t step = 1, lo = known, hi, mid;
	struct piece_cid cid, best = { 0 };
	struct err e = { 0 };
	int r;

	/* lo is claimed (or 0); hi = lo + step is probed, then is not. */
	for (;;) {
		hi = lo + step;
		if (hi > HEAD_SEQUENCE_MAX)
			return err_set(reterr, -EPROTO,
				       "%s has heads without an end",
				       provider_name(p));
		r = head_read(p, k, hi, &cid, &e);
		if (r == -ENOENT)
			break;
		if (r < 0)
			return err_set(reterr, r, "%s", e.text);
		lo = hi;
		best = cid;
		step *= 2;
	}
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		e.text[0] = '\0';
		r = head_read(p, k, mid, &cid, &e);
		if (r < 0 && r != -ENOENT)
			return err_set(reterr, r, "%s", e.text);
		if (r == -ENOENT) {
			hi = mid;
		} else {
			lo = mid;
			best = cid;
		}
	}
	if (lo == 0)
		return -ENOENT;
	if (!best.n) { /* nothing newer than what the caller knew */
		r = head_read(p, k, lo, &best, reterr);
		if (r < 0)
			return r;
	}
	*ret_h = lo;
	*ret = best;
	return 0;
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
	return r < 0 ? err_set(reterr, r, "%s", e.text) : r;
}
