/*
 * thread.h - mutexes that clang can check, and the lock order
 *
 * Functions that need a lock held say REQUIRES(lock); those that take it
 * themselves say EXCLUDES(lock).  Members say which lock guards them in a
 * comment (clang 14 cannot check that in C).
 *
 * Lock order, outermost first; a thread may only take locks further down:
 *
 *   1 fuse  handle tables
 *   2 cache operation lock (names, inodes, the open transaction)
 *   3 cache write buffer
 *   4 cache segments (allocation, accountant)
 *   5 ledger
 *   6 db file (the VFS's own)
 *   7 queues between threads
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/util.h"

#if defined(__clang__)
# define CAPABILITY(x) __attribute__((capability(x)))
# define REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
# define EXCLUDES(...) __attribute__((locks_excluded(__VA_ARGS__)))
# define ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
# define RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
# define NO_LOCK_CHECK __attribute__((no_thread_safety_analysis))
#else
# define CAPABILITY(x)
# define REQUIRES(...)
# define EXCLUDES(...)
# define ACQUIRES(...)
# define RELEASES(...)
# define NO_LOCK_CHECK
#endif

struct CAPABILITY("mutex") lock {
	pthread_mutex_t m;
};

static inline void lock_init(struct lock *l)
{
	int r = pthread_mutex_init(&l->m, NULL);

	assert(r == 0);
}

static inline void lock_fini(struct lock *l)
{
	(void)pthread_mutex_destroy(&l->m); /* cannot fail when unlocked */
}

static inline void lock_take(struct lock *l) ACQUIRES(l) NO_LOCK_CHECK
{
	int r = pthread_mutex_lock(&l->m);

	assert(r == 0);
}

static inline void lock_drop(struct lock *l) RELEASES(l) NO_LOCK_CHECK
{
	int r = pthread_mutex_unlock(&l->m);

	assert(r == 0);
}

/* Condition variables count on the monotonic clock. */
struct cond {
	pthread_cond_t c;
};

static inline void cond_init(struct cond *c)
{
	pthread_condattr_t a;
	int r = pthread_condattr_init(&a);

	assert(r == 0);
	r = pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	assert(r == 0);
	r = pthread_cond_init(&c->c, &a);
	assert(r == 0);
	(void)pthread_condattr_destroy(&a); /* cannot fail */
}

static inline void cond_fini(struct cond *c)
{
	(void)pthread_cond_destroy(&c->c); /* cannot fail without waiters */
}

static inline void cond_wait(struct cond *c, struct lock *l) REQUIRES(l)
{
	(void)pthread_cond_wait(&c->c, &l->m); /* cannot fail */
}

/* False once `until` (CLOCK_MONOTONIC) has passed. */
static inline int cond_wait_until(struct cond *c, struct lock *l,
				  const struct timespec *until) REQUIRES(l)
{
	return pthread_cond_timedwait(&c->c, &l->m, until) == 0;
}

static inline void cond_wake_all(struct cond *c)
{
	(void)pthread_cond_broadcast(&c->c); /* cannot fail */
}

static inline void cond_wake_one(struct cond *c)
{
	(void)pthread_cond_signal(&c->c); /* cannot fail */
}

static inline uint64_t monotonic_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t monotonic_ms(void)
{
	return monotonic_us() / 1000;
}

/*
 * How long was waited since the last call, by who looks in rounds (a look, a pause)
 * of which none takes more than `round_ms` while the process runs.  Of a longer one so
 * much counts: in the rest the process stood (stopped, frozen, suspended), and who
 * could not look has not waited.
 *
 *   uint64_t last_ms = monotonic_ms();
 *
 *   for (uint64_t ms = 0; ms < LIMIT_MS; ms += monotonic_waited_ms(&last_ms, ROUND_MS))
 *           look: return if it is there; pause
 *
 * With a limit of several rounds there is a look after each time in which it stood.
 *
 * *last_ms: in ms of the monotonic clock, when it was called last; becomes now.  It is
 * the caller's alone; any thread.  Cannot fail.
 */
static inline uint64_t monotonic_waited_ms(uint64_t *last_ms, uint64_t round_ms)
{
	uint64_t now = monotonic_ms(), ms = now - *last_ms;

	*last_ms = now;
	return MIN(ms, round_ms);
}

/* cond_wait_until() with a time of monotonic_ms(). */
static inline int cond_wait_until_ms(struct cond *c, struct lock *l,
				     uint64_t until_ms) REQUIRES(l)
{
	struct timespec t = { (time_t)(until_ms / 1000),
			      (long)(until_ms % 1000) * 1000000 };

	return cond_wait_until(c, l, &t);
}

#define BACKGROUND_NICE 10

/*
 * The background makes way for the foreground.
 *
 * thread_background(): the calling thread works in the background until it ends:
 * nicer by that than the thread that main() runs on, and never taking a core away from
 * another one because it woke up (SCHED_BATCH).
 *
 * That is not enough where all cores are busy: the kernel lets a nicer thread go on
 * until the next tick (4 ms) when who woke up has had more than its share before,
 * and who asks a file system for one thing after the other always has.  So while
 * thread_foreground() was called in the last 200 ms, threads of the background leave
 * one core alone (the first that the process may run on, if there are more).
 * thread_background_turn() is where that is looked at: each of them calls it before
 * what takes milliseconds, holding no lock.  What is more for the disk than for a core
 * waits for thread_foreground_end(): when these 200 ms are over, in ms of the monotonic
 * clock; 0 before the first call.  thread_foreground_busy(): are they not?
 *
 * The kernel may refuse each of these, which is not an error.  Linux: they are a
 * thread's own, not the process's.  A thread that one of the background starts has
 * the same cores.  thread_foreground(): any thread, a few ns.
 */
void thread_background(void);
void thread_background_turn(void);
void thread_foreground(void);
uint64_t thread_foreground_end(void);
bool thread_foreground_busy(void);

#endif
