/* pdp_piece.c - PUT: uploaded and parked; VERIFY: there, live, and right */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/io.h"
#include "crypto/commp.h"
#include "provider/pdp_impl.h"

#define TAIL       (256u << 10) /* bytes: index, commit and trailer are there */
#define RANGE      (64u << 10)
#define N_RANGES   4
#define WHOLE_MAX  (4u << 20) /* bytes: smaller pieces are read whole */
#define READ       (1u << 20)
#define BUSY_S     60  /* a provider that is busy is waited for so long */
#define PARK_FIRST 250 /* ms between two looks, doubling up to the poll's */

/* ---- PUT ---- */

int pdp_rest(struct pdp_job *j, int r)
{
	uint64_t s = j->op.retry_after_s ? j->op.retry_after_s : 5;

	if (r != -EAGAIN || s > BUSY_S)
		return r;
	return pdp_sleep(j, s * 1000);
}

/* 0: it is parked; -ENOENT: not yet. */
static int find(struct pdp_job *j)
{
	int r = curio_find(j->curio, &j->op, &j->req->cid);

	if (r == 0 || r == -ENOENT)
		pdp_alive(j);
	return r;
}

static int wait_parked(struct pdp_job *j)
{
	uint64_t until = monotonic_ms() + PDP_PARK_MS;
	uint64_t pause = MIN(PARK_FIRST, pdp_poll_ms(j->d));
	int r;

	for (;;) {
		r = find(j);
		if (r == 0)
			pdp_is_here(j->d, &j->req->cid);
		if (r == 0 || r == -ECANCELED || r == -ENOMEM)
			return r;
		if (monotonic_ms() > until)
			break;
		r = pdp_sleep(j, pause);
		if (r < 0)
			return r;
		pause = MIN(2 * pause, pdp_poll_ms(j->d));
	}
	if (r != -ENOENT)
		return pdp_curio_error(j, r);
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: the provider has taken a piece, and does not have it after %d minutes",
		       j->d->name, PDP_PARK_MS / 60000);
}

static int upload_error(struct pdp_job *j, int r)
{
	if (r == -EBADMSG)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the provider computes another CID of an upload",
			       j->d->name);
	if (r == -EMSGSIZE)
		return err_set(&j->req->err, -EMSGSIZE,
			       "%s: the piece is too large for the provider",
			       j->d->name);
	return pdp_curio_error(j, r);
}

static int upload(struct pdp_job *j)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	struct provider_req *req = j->req;
	int r;

	r = io_open(req->src, req->src_name, O_RDONLY, &f);
	if (r < 0) /* -ENOENT would be the store's */
		return err_set(&req->err, r == -ENOENT ? -EUCLEAN : r,
			       "cannot read the piece to be stored, %s: %s",
			       req->src_name, err_str(r));
	do {
		r = curio_upload(j->curio, &j->op, &req->cid, f, req->size);
		if (r == 0)
			return wait_parked(j);
	} while (r == -EAGAIN && (r = pdp_rest(j, r)) == 0);
	return upload_error(j, r);
}

int pdp_put(struct pdp_job *j)
{
	struct provider_req *req = j->req;
	struct pdp_slot s;
	int r;

	r = pdp_open(j, &s);
	if (r < 0)
		return r;
	if (req->size < s.min || req->size > s.max)
		return err_set(
			&req->err, -EMSGSIZE,
			"%s: %s takes pieces of %llu to %llu bytes, not of %llu",
			j->d->name, s.name, (unsigned long long)s.min,
			(unsigned long long)s.max, (unsigned long long)req->size);
	do {
		r = find(j);
		if (r == 0) {
			pdp_is_here(j->d, &req->cid);
			return 0;
		}
	} while (r == -EAGAIN && (r = pdp_rest(j, r)) == 0);
	return r == -ENOENT ? upload(j) : pdp_curio_error(j, r);
}

/* ---- VERIFY ---- */

struct look {
	struct pdp_job *j;
	struct io_file *src; /* NULL: nothing to compare with */
	uint64_t size;
	uint8_t *served, *ours; /* READ each */
	struct commp *commp;    /* NULL: not wanted */
};

/* `n` bytes at `off`, as served: equal to ours, and into the sum. */
static int look_at(struct look *l, uint64_t off, size_t n)
{
	struct pdp_job *j = l->j;
	size_t got = 0;
	int64_t have;
	int r;

	do {
		r = curio_get(j->curio, &j->op, &j->req->cid, off, n, l->served,
			      &got);
	} while (r == -EAGAIN && (r = pdp_rest(j, r)) == 0);
	if (r == -ENOENT || r == -EPROTO || r == -ERANGE)
		return err_set(&j->req->err, r == -ENOENT ? r : -EBADMSG,
			       "%s: %s", j->d->name, j->op.err.text);
	if (r < 0)
		return pdp_curio_error(j, r);
	if (l->commp)
		commp_update(l->commp, slice(l->served, got));
	if (!l->src)
		return 0;
	have = io_pread(l->src, l->ours, n, off);
	if (have < 0)
		return (int)have;
	if ((size_t)have != got || memcmp(l->served, l->ours, got) != 0)
		return err_set(&j->req->err, -EBADMSG,
			       "%s: bytes %llu to %llu of a piece are served wrong",
			       j->d->name, (unsigned long long)off,
			       (unsigned long long)off + n);
	return 0;
}

static int look_at_all(struct look *l)
{
	struct piece_cid cid;
	struct commp_sum sum;
	int r;

	r = commp_new(&l->commp);
	for (uint64_t off = 0; off < l->size && r == 0; off += READ)
		r = look_at(l, off, (size_t)MIN(READ, l->size - off));
	if (r < 0)
		return r;
	commp_final(l->commp, &sum);
	piece_cid_v2(&sum, &cid);
	if (piece_cid_eq(&cid, &l->j->req->cid))
		return 0;
	return err_set(&l->j->req->err, -EBADMSG,
		       "%s: a piece is served with another content", l->j->d->name);
}

/* The end, where a piece says what is in it, and places that nobody foresees. */
static int look_at_samples(struct look *l)
{
	uint64_t at;
	int r;

	r = look_at(l, l->size - TAIL, TAIL);
	for (size_t i = 0; i < N_RANGES && r == 0; i++) {
		if (getrandom(&at, sizeof(at), 0) != (ssize_t)sizeof(at))
			return -EIO;
		r = look_at(l, at % (l->size - RANGE), RANGE);
	}
	return r;
}

static int look(struct look *l)
{
	struct provider_req *req = l->j->req;
	_cleanup_io_file_ struct io_file *f = NULL;
	int r = 0;

	if (req->src && req->src_name)
		r = io_open(req->src, req->src_name, O_RDONLY, &f);
	if (r < 0 && r != -ENOENT) /* it went meanwhile: held elsewhere */
		return r;
	l->src = f;
	l->served = malloc(READ);
	l->ours = malloc(READ);
	if (!l->served || !l->ours)
		r = -ENOMEM;
	else if (l->size <= WHOLE_MAX || req->n == PROVIDER_FULL)
		r = look_at_all(l);
	else
		r = look_at_samples(l);
	commp_free(l->commp);
	free(l->served);
	free(l->ours);
	l->src = NULL;
	return r;
}

/* The chain says that it is in our set and stays there. */
static int check_live(struct pdp_job *j, const struct pdp_slot *s)
{
	struct err e = { 0 };
	uint64_t id;
	int r;

	if (!s->data_set)
		return err_set(&j->req->err, -ENOENT,
			       "%s: there is no data set yet", j->d->name);
	r = foc_find(j->foc, s->data_set, &j->req->cid, 1, &id, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	if (id == FOC_NO_PIECE)
		return err_set(&j->req->err, -ENOENT,
			       "%s: the piece is not in data set %llu",
			       j->d->name, (unsigned long long)s->data_set);
	return 0;
}

int pdp_verify(struct pdp_job *j)
{
	struct provider_req *req = j->req;
	struct look l = { .j = j };
	struct commp_sum sum;
	struct pdp_slot s;
	uint64_t size;
	int r;

	if (piece_cid_parse(piece_cid_slice(&req->cid), &sum) < 0)
		return -EINVAL;
	l.size = sum.raw_size;
	r = pdp_open(j, &s);
	if (r == 0)
		r = check_live(j, &s);
	if (r < 0)
		return r;
	do {
		r = curio_stat(j->curio, &j->op, &req->cid, &size);
	} while (r == -EAGAIN && (r = pdp_rest(j, r)) == 0);
	if (r == -ENOENT)
		return err_set(&req->err, r, "%s: %s does not serve the piece",
			       j->d->name, s.name);
	if (r < 0)
		return pdp_curio_error(j, r);
	if (size != l.size)
		return err_set(&req->err, -EBADMSG,
			       "%s: a piece is served with %llu bytes in place of %llu",
			       j->d->name, (unsigned long long)size,
			       (unsigned long long)l.size);
	return look(&l);
}
