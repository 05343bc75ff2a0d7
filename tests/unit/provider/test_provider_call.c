/*
 * test_provider_call.c - a store that hangs holds nobody but itself
 *
 * A provider that keeps what it is asked, answers when the test says so, and
 * writes into the request then, as a read does that comes back late.
 */
#include "common.h"

#include <pthread.h>
#include <string.h>

#include "base/thread.h"
#include "provider/internal.h"

#define LIMIT_MS 60
#define KEPT_MAX 64
#define MOVE_MS  500   /* the limit of who moves on */
#define PROBE_MS 10000 /* a silent store is asked again, src/provider/call.c */

struct hung {
	struct provider provider;
	struct lock lock;
	struct cond cond;
	struct provider_req *kept[KEPT_MAX]; /* lock: lock */
	unsigned n_kept;                     /* lock: lock */
	unsigned n_asked;                    /* lock: lock */
	bool answers;                        /* lock: lock */
};

static struct hung *hung_of(struct provider *p)
{
	return container_of(p, struct hung, provider);
}

/* The late write: into all that the request lets the provider write to. */
static void answer(struct provider_req *req, int status)
{
	static const struct piece_cid cid = { .n = 1 };

	if (req->verb == PROVIDER_GET) {
		memset(req->dst, 0xee, req->n);
		req->ret_n = req->n;
	}
	if (req->verb == PROVIDER_HEAD)
		assert_int_equal(buf_append(req->ret_head, slice_str("late")), 0);
	if (req->verb == PROVIDER_LIST)
		best_effort(req->found(req, &cid, 1)); /* its caller has gone */
	if (req->verb == PROVIDER_CLAIM)
		assert_memory_equal(req->head.p, "mine", 4);
	if (req->verb == PROVIDER_PUT)
		assert_string_equal(req->src_name, "outbox/1.car");
	req->done(req, status);
}

static int hung_start(struct provider *p, struct provider_req *req)
{
	struct hung *h = hung_of(p);
	bool now;

	lock_take(&h->lock);
	h->n_asked++;
	now = h->answers;
	if (!now) {
		assert_in_range(h->n_kept, 0, KEPT_MAX - 1);
		h->kept[h->n_kept++] = req;
	}
	cond_wake_all(&h->cond);
	lock_drop(&h->lock);
	if (now)
		answer(req, 0);
	return 0;
}

static void hung_cancel(struct provider *p, struct provider_req *req)
{
	(void)p;
	(void)req; /* in D state nobody looks */
}

static const char *hung_name(struct provider *p)
{
	(void)p;
	return "the share";
}

static const struct provider_ops hung_ops = { .start = hung_start,
					      .cancel = hung_cancel,
					      .name = hung_name };

static int hung_new(void **state)
{
	struct hung *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	log_level_set(LOG_LEVEL_ERROR);
	lock_init(&h->lock);
	cond_init(&h->cond);
	provider_init(&h->provider, &hung_ops, LIMIT_MS);
	*state = h;
	return 0;
}

/* It answers everything that it has kept. */
static void wake_up(struct hung *h)
{
	lock_take(&h->lock);
	h->answers = true;
	lock_drop(&h->lock);
	for (unsigned i = 0; i < h->n_kept; i++)
		answer(h->kept[i], 0);
	h->n_kept = 0;
}

static int hung_free(void **state)
{
	struct hung *h = *state;

	wake_up(h);
	assert_true(provider_settle(&h->provider, 60000));
	provider_fini(&h->provider);
	cond_fini(&h->cond);
	lock_fini(&h->lock);
	free(h);
	return 0;
}

static unsigned n_asked(struct hung *h)
{
	unsigned n;

	lock_take(&h->lock);
	n = h->n_asked;
	lock_drop(&h->lock);
	return n;
}

static int never_found(struct provider_req *req, const struct piece_cid *cid,
		       uint64_t size)
{
	(void)req;
	(void)cid;
	(void)size;
	fail_msg("a list went on without its caller");
	return 0;
}

/* Caller's memory is on the stack of a function that has returned by then; the
 * address sanitizer would see a write into it. */
static int ask(struct hung *h, enum provider_verb verb)
{
	uint8_t dst[64] = { 0 }, zeros[64] = { 0 };
	char name[] = "outbox/1.car", mine[] = "mine";
	struct buf head;
	int r;

	buf_init(&head, PROVIDER_HEAD_MAX);
	struct provider_req req = { .verb = verb,
				    .n = sizeof(dst),
				    .dst = verb == PROVIDER_GET ? dst : NULL,
				    .src_name = name,
				    .head = slice(mine, 4),
				    .ret_head = &head,
				    .found = never_found };

	r = provider_call(&h->provider, &req);
	assert_int_equal(r, -EREMOTEIO);
	assert_non_null(strstr(req.err.text, "the share"));
	assert_memory_equal(dst, zeros, sizeof(dst));
	assert_int_equal(head.n, 0);
	memset(name, 'x', sizeof(name));
	memset(mine, 'x', sizeof(mine));
	buf_fini(&head);
	return r;
}

static void an_answer_that_comes_too_late_reaches_nobody(void **state)
{
	static const enum provider_verb verbs[] = { PROVIDER_GET, PROVIDER_HEAD,
						    PROVIDER_LIST, PROVIDER_CLAIM,
						    PROVIDER_PUT };
	struct hung *h = *state;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		lock_take(&h->lock);
		h->answers = false;
		lock_drop(&h->lock);
		assert_int_equal(ask(h, verbs[i]), -EREMOTEIO);
		assert_int_equal(n_asked(h), i + 1);
		assert_false(provider_settle(&h->provider, 10));
		wake_up(h);
		assert_true(provider_settle(&h->provider, 0));
	}
}

static void a_silent_store_is_not_asked_by_everybody(void **state)
{
	struct hung *h = *state;
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	uint64_t began = monotonic_ms(), last = began, now;
	unsigned asked, slow = 0;

	assert_int_equal(ask(h, PROVIDER_GET), -EREMOTEIO);
	assert_true(provider_silence_ms(&h->provider) >= LIMIT_MS);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(provider_call(&h->provider, &req), -EREMOTEIO);
		now = monotonic_ms();
		slow += now - last >= LIMIT_MS;
		last = now;
	}
	/* Had they waited, each were slow; a busy machine takes its time for some. */
	assert_in_range(slow, 0, 2500);
	asked = n_asked(h);
	assert_in_range(asked, 1, 1 + (monotonic_ms() - began) / PROBE_MS);

	/* It answers what it was asked: now it is asked again. */
	wake_up(h);
	assert_int_equal(provider_silence_ms(&h->provider), 0);
	assert_int_equal(provider_call(&h->provider, &req), 0);
	assert_int_equal(n_asked(h), asked + 1);
}

struct caller {
	struct hung *h;
	struct provider_req req;
	int status;
	atomic_bool over;
};

static void *call_thread(void *arg)
{
	struct caller *c = arg;

	c->status = provider_call(&c->h->provider, &c->req);
	atomic_store(&c->over, true);
	return NULL;
}

static void wait_until_kept(struct hung *h)
{
	lock_take(&h->lock);
	while (!h->n_kept)
		cond_wait(&h->cond, &h->lock);
	lock_drop(&h->lock);
}

/* For three limits; the longest time since `last` in which it did not move. */
static uint64_t move_on(struct hung *h, uint64_t *last)
{
	uint64_t now = monotonic_ms(), until = now + 3ul * MOVE_MS, gap = 0;

	do {
		now = monotonic_ms();
		gap = MAX(gap, now - *last);
		*last = now;
		atomic_fetch_add(&h->kept[0]->moved, 1);
	} while (now < until);
	return gap;
}

static void a_call_that_moves_on_has_no_end(void **state)
{
	struct hung *h = *state;
	uint64_t gap, last;
	struct caller c;
	pthread_t t;

	h->provider.silence_ms = MOVE_MS;
	/* Who does not get the processor for so long does not move on. */
	do {
		c = (struct caller){ .h = h, .req = { .verb = PROVIDER_VERIFY } };
		lock_take(&h->lock);
		h->answers = false;
		lock_drop(&h->lock);
		last = monotonic_ms();
		assert_int_equal(pthread_create(&t, NULL, call_thread, &c), 0);
		wait_until_kept(h);
		gap = move_on(h, &last);
		wake_up(h);
		gap = MAX(gap, monotonic_ms() - last);
		assert_int_equal(pthread_join(t, NULL), 0);
	} while (gap > MOVE_MS / 4 && c.status == -EREMOTEIO);
	assert_int_equal(c.status, 0);
}

static void a_call_ends_when_it_is_called_off_or_the_store_is_stopped(void **state)
{
	struct hung *h = *state;
	struct caller c;
	pthread_t t;

	h->provider.silence_ms = 600000;
	for (int stop = 0; stop < 2; stop++) {
		c = (struct caller){ .h = h, .req = { .verb = PROVIDER_VERIFY } };
		assert_int_equal(pthread_create(&t, NULL, call_thread, &c), 0);
		wait_until_kept(h);
		if (stop)
			provider_stop(&h->provider);
		else
			provider_cancel(&h->provider, &c.req);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(c.status, -ECANCELED);
		if (!stop)
			assert_int_equal(provider_call(&h->provider, &c.req),
					 -ECANCELED); /* it stays called off */
		wake_up(h);
		lock_take(&h->lock);
		h->answers = false;
		lock_drop(&h->lock);
	}
	c.req = (struct provider_req){ .verb = PROVIDER_ATTACH };
	assert_int_equal(provider_call(&h->provider, &c.req), -ECANCELED);
	assert_int_equal(n_asked(h), 2);
}

/* Until c has come back, and once more; the longest time without an answer. */
static uint64_t ask_beside(struct hung *h, const struct caller *c, int *ret_status)
{
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	uint64_t last = monotonic_ms(), now, gap = 0;
	bool over;
	int r;

	*ret_status = 0;
	do {
		over = atomic_load(&c->over);
		r = provider_call(&h->provider, &req);
		*ret_status = MIN(*ret_status, r);
		now = monotonic_ms();
		gap = MAX(gap, now - last);
		last = now;
	} while (!over);
	return gap;
}

static void a_limit_of_the_callers_own_is_kept_though_others_are_answered(void **state)
{
	struct hung *h = *state;
	struct caller c;
	uint64_t gap;
	pthread_t t;
	int r;

	h->provider.silence_ms = 600000;
	/* Who does not get the processor for so long is not answered meanwhile. */
	do {
		c = (struct caller){ .h = h,
				     .req = { .verb = PROVIDER_STAT,
					      .limit_ms = MOVE_MS } };
		lock_take(&h->lock);
		h->answers = false;
		lock_drop(&h->lock);
		assert_int_equal(pthread_create(&t, NULL, call_thread, &c), 0);
		wait_until_kept(h);
		lock_take(&h->lock);
		h->answers = true;
		lock_drop(&h->lock);
		gap = ask_beside(h, &c, &r);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(c.status, -EREMOTEIO);
		wake_up(h);
	} while (gap > MOVE_MS / 4 && r < 0);
	assert_int_equal(r, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hung_new, hung_free)
	const struct CMUnitTest tests[] = {
		T(an_answer_that_comes_too_late_reaches_nobody),
		T(a_silent_store_is_not_asked_by_everybody),
		T(a_call_that_moves_on_has_no_end),
		T(a_call_ends_when_it_is_called_off_or_the_store_is_stopped),
		T(a_limit_of_the_callers_own_is_kept_though_others_are_answered),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
