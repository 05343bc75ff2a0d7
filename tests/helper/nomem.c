#include "helper/nomem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

#define RUNS_MAX 100000

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
void *__real_sodium_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *s);
void *__wrap_sodium_malloc(size_t n);

enum {
	OFF = -1,
	HIT = -2
};

static atomic_long fail_in = OFF;
static atomic_bool everywhere;
static _Thread_local bool here;

static bool fails(void)
{
	long n = atomic_load(&fail_in);

	if (n < 0 || (!here && !atomic_load(&everywhere)))
		return false;
	while (n >= 0 && !atomic_compare_exchange_weak(&fail_in, &n, n ? n - 1 : HIT))
		;
	if (n != 0)
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

void *__wrap_sodium_malloc(size_t n)
{
	return fails() ? NULL : __real_sodium_malloc(n);
}

void nomem_arm(enum nomem_scope scope, long n)
{
	here = true;
	atomic_store(&everywhere, scope == NOMEM_PROCESS);
	atomic_store(&fail_in, n);
}

bool nomem_disarm(void)
{
	here = false;
	atomic_store(&everywhere, false);
	return atomic_exchange(&fail_in, OFF) == HIT;
}

struct one_run {
	enum nomem_scope scope;
	long n; /* -1: no fault */
	int (*run)(void *ctx);
	void *ctx;
	int r;
	bool hit;
};

static void *on_thread(void *arg)
{
	struct one_run *o = arg;

	if (o->n >= 0)
		nomem_arm(o->scope, o->n);
	o->r = o->run(o->ctx);
	o->hit = nomem_disarm();
	return NULL;
}

static void run_one(struct one_run *o)
{
	pthread_t t;

	if (pthread_create(&t, NULL, on_thread, o) != 0 || pthread_join(t, NULL) != 0)
		abort();
}

unsigned nomem_sweep(enum nomem_scope scope, unsigned slow,
		     int (*run)(void *ctx), void *ctx)
{
	unsigned n_hits = 0, n_failed = 0;

	for (long n = 0;; n += slow ? 1 + n_hits / slow : 1) {
		struct one_run o = { scope, n, run, ctx, 0, false };
		struct one_run after = { scope, -1, run, ctx, 0, false };

		run_one(&o);
		run_one(&after);
		if (after.r != 0 || (o.r != 0 && (!o.hit || o.r != -ENOMEM)) ||
		    n > RUNS_MAX) {
			(void)fprintf(stderr,
				      "allocation %ld: %s, got %d, and then %d\n",
				      n, o.hit ? "failed" : "was not reached",
				      o.r, after.r);
			abort();
		}
		if (!o.hit)
			return n_failed;
		n_hits++;
		n_failed += o.r < 0;
	}
}
