/* parks.c - folders that behave as storage providers of a chain do */
#include "parks.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/loop.h"

static struct parks *all; /* of the one test that runs */

struct parks *parks_new(void)
{
	struct parks *n = calloc(1, sizeof(*n));

	assert(n);
	lock_init(&n->lock);
	all = n;
	return n;
}

void parks_free(struct parks *n)
{
	lock_fini(&n->lock);
	free(n);
	all = NULL;
}

static bool has(const struct piece_cid *v, size_t n, const struct piece_cid *cid)
{
	for (size_t i = 0; i < n; i++)
		if (piece_cid_eq(&v[i], cid))
			return true;
	return false;
}

static struct parks_store *store_of(const struct provider *p)
{
	for (size_t i = 0; i < PARKS_STORES; i++)
		if (all->store[i].p == p)
			return &all->store[i];
	abort();
}

/* ---- what is answered here ---- */

struct answer {
	struct loop_task task;
	struct provider_req *req;
	int status;
};

static void on_answer(struct loop_task *t)
{
	struct answer *a = container_of(t, struct answer, task);
	struct provider_req *req = a->req;
	int status = a->status;

	free(a);
	req->done(req, status);
}

static int answer(struct parks_store *s, struct provider_req *req, int status)
{
	struct answer *a = calloc(1, sizeof(*a));

	assert(a);
	a->task.run = on_answer;
	a->req = req;
	a->status = status;
	loop_post(s->loop, &a->task);
	return 0;
}

static void keep(struct parks_store *s, const struct piece_cid *cid)
{
	if (has(s->kept, s->n_kept, cid))
		return;
	assert(s->n_kept < PARKS_MAX);
	s->kept[s->n_kept++] = *cid;
}

static bool here(const struct parks_store *s, const struct piece_cid *cid)
{
	return has(s->parked, s->n_parked, cid) || has(s->kept, s->n_kept, cid);
}

static void park(struct parks_store *s, const struct piece_cid *cid)
{
	if (has(s->parked, s->n_parked, cid))
		return;
	assert(s->n_parked < PARKS_MAX);
	s->parked[s->n_parked++] = *cid;
}

static void path_of(const struct parks_store *s, const struct piece_cid *cid,
		    char ret[static PATH_MAX])
{
	char text[PIECE_CID_TEXT_MAX];

	piece_cid_text(cid, text);
	(void)snprintf(ret, PATH_MAX, "%s/%s.car", s->p->url + strlen("dir://"),
		       text); /* fits */
}

/* It is here, or another store has it and gives it. */
static bool takes(struct parks_store *s, const struct piece_cid *cid)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (size_t i = 0; i < PARKS_STORES && !here(s, cid); i++) {
		struct parks_store *o = &all->store[i];

		if (o == s || !o->p || o->gone || s->no_fetch || !here(o, cid))
			continue;
		path_of(o, cid, from);
		path_of(s, cid, to);
		if (link(from, to) != 0 && errno != EEXIST)
			continue;
		park(s, cid);
		s->n_fetched++;
	}
	return here(s, cid);
}

static int refuse(struct parks_store *s)
{
	s->n_refused++;
	return -EREMOTEIO;
}

static int commit(struct parks_store *s, const struct provider_req *req)
{
	bool paid = false;

	if (s->forget) {
		s->forget = false;
		s->n_parked = 0;
	}
	if (s->refuse)
		return refuse(s);
	for (size_t i = 0; i < req->n_cids; i++)
		if (!takes(s, &req->cids[i]))
			return -ENOENT;
	for (size_t i = 0; i < req->n_cids; i++) {
		paid |= !has(s->kept, s->n_kept, &req->cids[i]);
		keep(s, &req->cids[i]);
	}
	s->n_commits += paid;
	return 0;
}

static int find_head(const uint8_t *name)
{
	for (size_t i = 0; i < all->n_heads; i++)
		if (memcmp(all->head[i].name, name, KEYS_HEAD_NAME_SIZE) == 0)
			return (int)i;
	return -ENOENT;
}

static int claim(struct parks_store *s, const struct provider_req *req)
{
	if (s->refuse)
		return refuse(s);
	if (find_head(req->head_name) >= 0)
		return -EEXIST;
	if (!takes(s, &req->cid))
		return -ENOENT;
	assert(all->n_heads < PARKS_MAX);
	memcpy(all->head[all->n_heads].name, req->head_name, KEYS_HEAD_NAME_SIZE);
	all->head[all->n_heads++].cid = req->cid;
	keep(s, &req->cid);
	s->n_claims++;
	return 0;
}

static int head(const struct provider_req *req)
{
	int i = find_head(req->head_name);

	if (i >= 0 && all->head[i].lost)
		return -ENODATA;
	return i < 0 ? i :
		       buf_append(req->ret_head, piece_cid_slice(&all->head[i].cid));
}

static int proof(struct parks_store *s, struct provider_req *req)
{
	size_t i = (size_t)(s - all->store);

	s->n_looks++;
	req->ret_proof = s->proof;
	if (!s->proof.state)
		req->ret_proof.state = PROVIDER_PROOF_GOOD;
	req->ret_proof.provider = 100 * (s->n_replaced + 1) + i;
	req->ret_proof.set = req->ret_proof.provider + 1000;
	(void)snprintf(req->ret_proof.name, sizeof(req->ret_proof.name),
		       "holder %zu.%u", i, s->n_replaced);
	return 0;
}

/* Done twice it is done once: nobody was chosen yet. */
static int replace(struct parks_store *s)
{
	if (s->no_replace)
		return s->no_replace;
	if (!s->unchosen) {
		memcpy(s->given, s->kept, sizeof(s->given));
		s->n_given = s->n_kept;
		s->n_kept = s->n_parked = 0;
		s->n_replaced++;
		s->gone = s->lies = s->refuse = s->shifts = s->rotten = false;
		s->proof = (struct provider_proof){ 0 };
	}
	s->unchosen = true;
	return s->late_replace ? -EREMOTEIO : 0;
}

static int attach(struct parks_store *s)
{
	if (s->gone)
		return -EREMOTEIO;
	s->unchosen = false;
	return 1;
}

/* GET: from the one that was given up, too. */
static int get(const struct parks_store *s, struct provider_req *req)
{
	if (!s->gone && has(s->kept, s->n_kept, &req->cid)) {
		req->off += s->shifts;
		return 1;
	}
	if (!s->given_gone && has(s->given, s->n_given, &req->cid))
		return 1;
	return s->gone || (s->given_gone && s->n_given) ? -EREMOTEIO : -ENOENT;
}

static int verify(struct parks_store *s, const struct provider_req *req)
{
	if (!has(s->kept, s->n_kept, &req->cid))
		return -ENOENT;
	s->n_full += req->n == PROVIDER_FULL;
	return s->lies || (s->rotten && req->n == PROVIDER_FULL) ? -EBADMSG : 1;
}

/* A head that was added here is known no more with its piece. */
static int removed(struct parks_store *s, const struct provider_req *req)
{
	if (!s->removes)
		return -EACCES;
	for (size_t i = 0; i < s->n_kept; i++)
		if (piece_cid_eq(&s->kept[i], &req->cid))
			s->kept[i] = s->kept[--s->n_kept];
	for (size_t i = 0; i < s->n_parked; i++)
		if (piece_cid_eq(&s->parked[i], &req->cid))
			s->parked[i] = s->parked[--s->n_parked];
	for (size_t i = 0; i < all->n_heads; i++)
		all->head[i].lost |= piece_cid_eq(&all->head[i].cid, &req->cid);
	return 0;
}

/* 1: the folder answers. */
static int ask(struct parks_store *s, struct provider_req *req)
{
	if (s->gone && req->verb != PROVIDER_PROOF && req->verb != PROVIDER_REPLACE &&
	    req->verb != PROVIDER_HEAD && req->verb != PROVIDER_GET)
		return -EREMOTEIO;
	switch (req->verb) {
	case PROVIDER_PUT:
		park(s, &req->cid);
		s->n_puts++;
		return 1;
	case PROVIDER_COMMIT: return commit(s, req);
	case PROVIDER_CLAIM: return claim(s, req);
	case PROVIDER_HEAD: return head(req);
	case PROVIDER_GET: return get(s, req);
	case PROVIDER_STAT:
		return has(s->kept, s->n_kept, &req->cid) ? 1 : -ENOENT;
	case PROVIDER_VERIFY: return verify(s, req);
	case PROVIDER_PROOF: return proof(s, req);
	case PROVIDER_REPLACE: return replace(s);
	case PROVIDER_ATTACH: return attach(s);
	case PROVIDER_REMOVE: return removed(s, req);
	case PROVIDER_LIST:
	case PROVIDER_BLOCK:
	case PROVIDER_NX:
	default: return 1;
	}
}

static int parks_start(struct provider *p, struct provider_req *req)
{
	struct parks_store *s = store_of(p);
	int r;

	lock_take(&all->lock);
	r = ask(s, req);
	lock_drop(&all->lock);
	return r == 1 ? s->real->start(p, req) : answer(s, req, r);
}

static const uint8_t *parks_id(struct provider *p)
{
	struct parks_store *s = store_of(p);

	memcpy(s->id, s->real->id(p), sizeof(s->id));
	s->id[0] ^= (uint8_t)s->n_replaced;
	return s->id;
}

void parks_install(struct parks *n, size_t i, struct provider *p, struct loop *loop)
{
	static struct provider_ops ops[PARKS_STORES];
	struct parks_store *s = &n->store[i];

	if (s->plain)
		return;
	s->p = p;
	s->loop = loop;
	s->real = p->ops;
	ops[i] = *p->ops;
	ops[i].start = parks_start;
	ops[i].id = parks_id;
	p->ops = &ops[i];
	p->network = PARKS_NETWORK;
	p->parks = true;
}

void parks_let_remove(struct parks *n, size_t i)
{
	lock_take(&n->lock);
	n->store[i].removes = true;
	lock_drop(&n->lock);
}

size_t parks_lost_heads(struct parks *n)
{
	size_t lost = 0;

	lock_take(&n->lock);
	for (size_t i = 0; i < n->n_heads; i++)
		lost += n->head[i].lost;
	lock_drop(&n->lock);
	return lost;
}
