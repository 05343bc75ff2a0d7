/*
 * call.c - calls that may outlive their callers
 *
 * A store that hangs (NFS, a FUSE server that was stopped) holds a thread of its
 * own for as long as it likes; who called it goes on after a deadline.  So the
 * request that the provider sees, and every buffer that it writes to, is a copy
 * on the heap that belongs to the call.  Two own a call, the caller and the
 * provider; the last one frees it.  What the caller gets is copied out of it by
 * the caller itself, so that an answer that comes too late reaches nobody.
 *
 *   asked ──► answered                                   both let go
 *     └─ silent for the limit, or called off ─► left ──► the provider lets go
 *
 * While a call that ran into its limit has not come back and nothing else has
 * been heard, the store is silent: it is asked anew only now and then, by one
 * caller at a time, so that its threads are not used up one after the other.
 *
 * Silence is what a caller has listened to.  If none has looked for a while, the
 * process was stopped or others have the machine: the store may have answered long
 * ago, and that time is not held against it.
 */
#include "provider/provider.h"

#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "provider/internal.h"

#define SILENCE_MS 30000 /* without a sign of life, by default */
#define TICK_MS    250   /* how often a caller looks for progress */
#define PROBE_MS   10000 /* a silent store is asked again after so long */
#define HUNG_MAX   3     /* calls that hang, and then it is asked no more */
#define LEFT_MAX   32    /* calls that were left for whatever reason */
#define STUCK      10    /* limits; while others are answered */
#define STOOD_MS   1000  /* who has not looked for so long was stopped */

struct call {
	struct provider_req req; /* what the provider sees */
	struct provider *p;
	struct provider_req *caller; /* lock: lock; NULL once it has left */
	struct lock lock;            /* around found() */
	struct buf head;
	uint8_t *claim;
	struct piece_cid *cids;
	char *src_name;
	uint8_t *dst;
	unsigned refs; /* lock: p->lock; so are all below */
	bool over, left, hung;
	int status;
};

void provider_init(struct provider *p, const struct provider_ops *ops,
		   unsigned silence_ms)
{
	*p = (struct provider){ .ops = ops,
				.silence_ms = silence_ms ? silence_ms : SILENCE_MS };
	lock_init(&p->lock);
	cond_init(&p->cond);
}

void provider_fini(struct provider *p)
{
	cond_fini(&p->cond);
	lock_fini(&p->lock);
}

/* ---- one call ---- */

static void call_free(struct call *c)
{
	buf_fini(&c->head);
	free(c->claim);
	free(c->src_name);
	free(c->cids);
	free(c->dst);
	lock_fini(&c->lock);
	free(c);
}

/* The last one frees it, with the lock dropped. */
static bool unref(struct provider *p, struct call *c) REQUIRES(&p->lock)
{
	(void)p;
	return --c->refs == 0;
}

/* A list in the making is a sign of life, too. */
static int call_found(struct provider_req *req, const struct piece_cid *cid,
		      uint64_t size)
{
	struct call *c = container_of(req, struct call, req);
	int r = -ECANCELED;

	atomic_fetch_add(&req->moved, 1);
	lock_take(&c->lock);
	if (c->caller)
		r = c->caller->found(c->caller, cid, size);
	lock_drop(&c->lock);
	return r;
}

static void call_done(struct provider_req *req, int status)
{
	struct call *c = container_of(req, struct call, req);
	struct provider *p = c->p;
	bool last;

	lock_take(&p->lock);
	c->over = true;
	c->status = status;
	p->n_open--;
	p->n_left -= c->left;
	p->n_hung -= c->hung;
	p->heard_ms = monotonic_ms();
	p->silent = false;
	last = unref(p, c);
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
	if (last)
		call_free(c);
}

static int call_new(struct provider *p, struct provider_req *req, struct call **ret)
{
	struct call *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	lock_init(&c->lock);
	buf_init(&c->head, PROVIDER_HEAD_MAX);
	c->p = p;
	c->caller = req;
	c->refs = 2;
	c->req.verb = req->verb;
	c->req.cid = req->cid;
	c->req.src = req->src;
	c->req.size = req->size;
	c->req.replace = req->replace;
	c->req.off = req->off;
	c->req.n = req->n;
	memcpy(c->req.block, req->block, sizeof(req->block));
	memcpy(c->req.head_name, req->head_name, sizeof(req->head_name));
	c->req.ret_head = &c->head;
	c->req.found = call_found;
	c->req.done = call_done;
	if (req->head.n)
		c->claim = malloc(req->head.n);
	if (c->claim) {
		memcpy(c->claim, req->head.p, req->head.n);
		c->req.head = slice(c->claim, req->head.n);
	}
	if (req->src_name)
		c->src_name = strdup(req->src_name);
	if (req->n_cids)
		c->cids = calloc(req->n_cids, sizeof(*c->cids));
	if (c->cids) {
		memcpy(c->cids, req->cids, req->n_cids * sizeof(*c->cids));
		c->req.cids = c->cids;
		c->req.n_cids = req->n_cids;
	}
	if (req->dst)
		c->dst = malloc(req->n ? req->n : 1);
	c->req.src_name = c->src_name;
	c->req.dst = c->dst;
	if ((req->head.n && !c->claim) || (req->src_name && !c->src_name) ||
	    (req->n_cids && !c->cids) || (req->dst && !c->dst)) {
		call_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

/* What came back, to the caller.  Only the caller calls it. */
static int call_take(const struct call *c, struct provider_req *req)
{
	req->ret_n = c->req.ret_n;
	req->ret_size = c->req.ret_size;
	req->ret_free = c->req.ret_free;
	req->ret_proof = c->req.ret_proof;
	req->err = c->req.err;
	if (c->status < 0)
		return c->status;
	if (req->dst)
		memcpy(req->dst, c->dst, MIN(req->ret_n, req->n));
	if (req->ret_head && req->verb == PROVIDER_HEAD)
		return buf_append(req->ret_head, buf_slice(&c->head));
	return c->status;
}

/* ---- the store ---- */

/* `now` may be from before the lock was taken. */
static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

static uint64_t silence(const struct provider *p, uint64_t now) REQUIRES(&p->lock)
{
	return p->n_open > p->n_left - p->n_hung ? since(p->heard_ms, now) : 0;
}

static uint64_t limit_of(const struct provider *p, const struct provider_req *req)
	REQUIRES(&p->lock)
{
	return req->limit_ms ? MIN(req->limit_ms, p->silence_ms) : p->silence_ms;
}

static int say_silent(struct provider *p, uint64_t ms, struct provider_req *req)
{
	return err_set(&req->err, -EREMOTEIO,
		       "%s has not answered for %" PRIu64 " s",
		       provider_name(p), MAX(ms, 1000) / 1000);
}

/* Who looks at least once a tick, and last did then: how long he stood. */
static uint64_t stood(uint64_t then, uint64_t now)
{
	uint64_t ms = since(then, now);

	return ms > STOOD_MS ? ms - TICK_MS : 0;
}

static void look(struct provider *p, uint64_t now) REQUIRES(&p->lock)
{
	if (p->n_open > p->n_left) /* somebody listens */
		p->heard_ms = MIN(now, p->heard_ms + stood(p->looked_ms, now));
	p->looked_ms = MAX(p->looked_ms, now);
}

/* May the store be asked now?  It is counted as asked then. */
static int call_begin(struct provider *p, struct provider_req *req)
{
	uint64_t now = monotonic_ms(), ms;
	int r = 0;

	lock_take(&p->lock);
	look(p, now);
	ms = silence(p, now);
	if (p->stopped)
		r = -ECANCELED;
	else if ((p->silent && (p->n_hung >= HUNG_MAX || now < p->probe_ms)) ||
		 p->n_left >= LEFT_MAX)
		r = -EREMOTEIO;
	if (r == 0 && p->silent)
		p->probe_ms = now + PROBE_MS;
	if (r == 0 && p->n_open++ == p->n_left - p->n_hung)
		p->heard_ms = now; /* nobody was waiting for it */
	lock_drop(&p->lock);
	return r == -EREMOTEIO ? say_silent(p, ms, req) : r;
}

/*
 * 0: over; else why the caller goes on without an answer.  A limit of the
 * caller's own counts for this call alone: others may be served meanwhile.
 */
static int call_wait(struct provider *p, struct call *c, struct provider_req *req)
	REQUIRES(&p->lock)
{
	uint64_t began = monotonic_ms(), now = began, last = now, moved = 0,
		 limit, m;

	while (!c->over) {
		if (p->stopped || atomic_load(&req->cancelled))
			return -ECANCELED;
		look(p, now);
		began += stood(last, now);
		last = now;
		limit = limit_of(p, req); /* it may have become less */
		m = atomic_load(&c->req.moved);
		if (m != moved) {
			moved = m;
			atomic_store(&req->moved, m);
			p->heard_ms = began = now;
			p->silent = false;
		}
		if (now - began >= (req->limit_ms ? 1 : STUCK) * limit ||
		    since(MAX(began, p->heard_ms), now) >= limit)
			return -EREMOTEIO;
		(void)cond_wait_until_ms(&p->cond, &p->lock,
					 now + MIN(TICK_MS, limit));
		now = monotonic_ms();
	}
	return 0;
}

/* The caller goes; what the provider still has of it stays with the call. */
static int call_leave(struct call *c, int why, struct provider_req *req)
{
	struct provider *p = c->p;
	uint64_t now = monotonic_ms(), ms;

	lock_take(&c->lock);
	c->caller = NULL;
	lock_drop(&c->lock);
	atomic_store(&req->moved, atomic_load(&c->req.moved));
	lock_take(&p->lock);
	if (!c->over) {
		c->left = true;
		p->n_left++;
		if (why == -EREMOTEIO) {
			c->hung = true;
			p->n_hung++;
			p->silent |= since(p->heard_ms, now) >= limit_of(p, req);
			p->probe_ms = now + PROBE_MS;
		}
	}
	ms = silence(p, now);
	lock_drop(&p->lock);
	provider_cancel(p, &c->req);
	return why == -EREMOTEIO ? say_silent(p, ms, req) : why;
}

static void call_end(struct call *c)
{
	struct provider *p = c->p;
	bool last;

	lock_take(&p->lock);
	last = unref(p, c);
	lock_drop(&p->lock);
	if (last)
		call_free(c);
}

static void call_unbegin(struct provider *p)
{
	lock_take(&p->lock);
	p->n_open--;
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
}

int provider_call(struct provider *p, struct provider_req *req)
{
	struct call *c;
	int r;

	req->err.text[0] = '\0';
	req->ret_n = 0;
	if (atomic_load(&req->cancelled))
		return -ECANCELED;
	r = call_new(p, req, &c);
	if (r < 0)
		return r;
	r = call_begin(p, req);
	if (r < 0) {
		call_free(c);
		return r;
	}
	r = provider_start(p, &c->req);
	if (r < 0) {
		call_unbegin(p);
		req->err = c->req.err;
		call_free(c);
		return r;
	}
	lock_take(&p->lock);
	r = call_wait(p, c, req);
	lock_drop(&p->lock);
	r = r == 0 ? call_take(c, req) : call_leave(c, r, req);
	call_end(c);
	return r;
}

/* ---- what others ask ---- */

void provider_cancel(struct provider *p, struct provider_req *req)
{
	atomic_store(&req->cancelled, true);
	if (req->provider) /* it was given to provider_start() */
		p->ops->cancel(p, req);
	lock_take(&p->lock);
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
}

void provider_stop(struct provider *p)
{
	lock_take(&p->lock);
	p->stopped = true;
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
}

bool provider_settle(struct provider *p, unsigned ms)
{
	uint64_t until = monotonic_ms() + ms;
	bool idle;

	lock_take(&p->lock);
	while (p->n_open && monotonic_ms() < until)
		(void)cond_wait_until_ms(&p->cond, &p->lock, until);
	idle = p->n_open == 0;
	lock_drop(&p->lock);
	return idle;
}

void provider_patience(struct provider *p, unsigned ms)
{
	lock_take(&p->lock);
	p->silence_ms = ms;
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
}

uint64_t provider_silence_ms(struct provider *p)
{
	uint64_t now, ms;

	lock_take(&p->lock);
	now = monotonic_ms();
	look(p, now);
	ms = silence(p, now);
	lock_drop(&p->lock);
	return ms;
}
