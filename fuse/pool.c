#include "fuse/pool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "fuse/op.h"

#define SPIN_MIN_NS    20000u
#define SPIN_MAX_NS    60000u
#define SPIN_GAP_NS    10000u /* between two looks: somebody else ran here */
#define SPIN_TRUST_MAX 16
#define SPIN_TRUST     4   /* that a new try begins with */
#define SPIN_PAUSE_MIN 64u /* requests without a spin after one was lost */
#define SPIN_PAUSE_MAX 1024u
#define STANDBY_MS     1u
#define CALM_MS        4u
#define CALM_ROUNDS    64u /* without a leader stuck, before it looks less often */
#define STANDBY_ROUNDS 50u /* of nothing to do, before it sleeps for good */
#define SHARE_ALL_CPUS 2   /* with more cores every backlog is shared */

struct pool_worker {
	struct pool *pool;
	pthread_t id;
	uint8_t *in;
	struct op_room room;
	_Atomic uint64_t seq; /* requests taken, twice; odd: one in work */
	uint64_t spin_ns;
	int trust;      /* falls with lost spins; none without it */
	unsigned pause; /* requests until spins are tried again */
	unsigned next_pause;
	bool backlog; /* the last request waited for us */
};

struct pool {
	struct pool_params p;
	int stop_fd; /* eventfd: readable for ever once stopped */
	long n_cpus;
	struct lock lock;
	struct cond follow; /* a follower may become the standby */
	struct cond standby;
	struct cond done;
	bool has_standby; /* lock: lock */
	unsigned calm;    /* lock: lock; looks since a leader was stuck */
	bool stopped;     /* lock: lock */
	int status;       /* lock: lock */
	_Atomic(struct pool_worker *) leader; /* set under lock */
	atomic_bool standby_asleep;
	unsigned n;
	struct pool_worker w[POOL_THREADS_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec in_ms(unsigned ms)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	t.tv_nsec += (long)ms * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

void pool_stop(struct pool *p, int status)
{
	const uint64_t one = 1;

	lock_take(&p->lock);
	if (!p->stopped) {
		p->stopped = true;
		p->status = status;
		best_effort(write(p->stop_fd, &one, sizeof(one))); /* cannot
								     overflow */
	}
	cond_wake_all(&p->follow);
	cond_wake_all(&p->standby);
	cond_wake_all(&p->done);
	lock_drop(&p->lock);
}

/* ---- reading ---- */

/* > 0 bytes; 0: nothing there now; -errno: the end (-ENODEV: unmounted). */
static ssize_t try_read(struct pool_worker *w)
{
	ssize_t n = read(w->pool->p.fd, w->in, POOL_REQUEST_MAX);

	if (n > 0)
		return n;
	if (n == 0)
		return -ENODEV;
	/* ENOENT: it was called off while we read it. */
	return errno == EAGAIN || errno == EINTR || errno == ENOENT ? 0 : -errno;
}

/* Long waits make short spins, and the other way round. */
static void won(struct pool_worker *w, uint64_t waited_ns)
{
	w->spin_ns = MIN(SPIN_MAX_NS, MAX(SPIN_MIN_NS, 2 * waited_ns));
	w->trust = MIN(SPIN_TRUST_MAX, w->trust + 1);
	w->next_pause = SPIN_PAUSE_MIN;
}

static void lost(struct pool_worker *w)
{
	w->spin_ns = MAX(SPIN_MIN_NS, w->spin_ns / 2);
	w->trust -= 2;
	if (w->trust > 0)
		return;
	w->pause = w->next_pause;
	w->next_pause = MIN(SPIN_PAUSE_MAX, 2 * w->next_pause);
}

static bool may_spin(struct pool_worker *w)
{
	if (w->pause > 0 && --w->pause == 0)
		w->trust = SPIN_TRUST;
	return w->pause == 0 && w->pool->n_cpus > 1;
}

/*
 * Look until something comes, the time is up, or the core was given to somebody
 * else meanwhile: then whoever is to ask next may be the one that we keep from
 * running.  Not sched_yield(): on a busy machine that gives the core away for
 * milliseconds, while a thread that sleeps is let in at once.
 */
static ssize_t spin(struct pool_worker *w)
{
	uint64_t start = now_ns(), last = start, now = start;
	ssize_t n = 0;

	while (n == 0 && now - start < w->spin_ns && now - last < SPIN_GAP_NS) {
		last = now;
		n = try_read(w);
		now = now_ns();
	}
	if (n > 0 && now - last < SPIN_GAP_NS)
		won(w, now - start);
	else if (n >= 0)
		lost(w);
	return n;
}

/* As try_read(), but waits. */
static ssize_t next_request(struct pool_worker *w)
{
	struct pollfd fds[2] = { { .fd = w->pool->p.fd, .events = POLLIN },
				 { .fd = w->pool->stop_fd, .events = POLLIN } };
	bool spins = may_spin(w);
	ssize_t n = 0;

	if (w->backlog || spins)
		n = try_read(w);
	w->backlog = n != 0;
	if (n == 0 && spins)
		n = spin(w);
	while (n == 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return -ECANCELED;
		n = try_read(w);
	}
	return n;
}

static bool more_waits(struct pool *p)
{
	struct pollfd fd = { .fd = p->p.fd, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

/* ---- leading ---- */

static void resign(struct pool_worker *w)
{
	struct pool *p = w->pool;

	lock_take(&p->lock);
	if (p->leader == w)
		p->leader = NULL;
	cond_wake_one(&p->standby);
	lock_drop(&p->lock);
}

void pool_share(struct pool_worker *w)
{
	if (w->pool->leader == w && more_waits(w->pool))
		resign(w);
}

struct pool *pool_of(struct pool_worker *w)
{
	return w->pool;
}

static void wake_standby(struct pool *p)
{
	if (!p->standby_asleep)
		return;
	lock_take(&p->lock);
	cond_wake_one(&p->standby);
	lock_drop(&p->lock);
}

static void lead(struct pool_worker *w)
{
	struct pool *p = w->pool;

	while (p->leader == w) {
		ssize_t n = next_request(w);

		if (n < 0) {
			/* umount, or abort by the administrator */
			if (n == -ENODEV || n == -ECANCELED || n == -ECONNABORTED)
				n = 0;
			else
				best_effort(log_err((int)n, "read /dev/fuse"));
			pool_stop(p, (int)n);
			return;
		}
		w->seq++;
		thread_foreground();
		wake_standby(p);
		if (p->n_cpus > SHARE_ALL_CPUS)
			pool_share(w);
		p->p.serve(p->p.ctx, w, w->in, (size_t)n);
		w->seq++;
	}
}

/* Returns as the leader, or because the pool stopped. */
static void stand_by(struct pool *p, struct pool_worker *w) REQUIRES(p->lock)
{
	struct pool_worker *leader = NULL;
	unsigned quiet = 0;
	uint64_t seen = 0;

	while (!p->stopped && p->leader) {
		uint64_t seq;

		if (quiet > STANDBY_ROUNDS) {
			p->standby_asleep = true;
			/* The leader raises seq before it looks whether we
			 * sleep. */
			if (p->leader == leader && leader->seq == seen)
				cond_wait(&p->standby, &p->lock);
			p->standby_asleep = false;
			quiet = 0;
		} else {
			struct timespec t = in_ms(
				p->calm < CALM_ROUNDS ? STANDBY_MS : CALM_MS);

			(void)cond_wait_until(&p->standby, &p->lock, &t);
		}
		if (p->stopped || !p->leader)
			break;
		seq = p->leader->seq;
		if (p->leader == leader && seq == seen) {
			if (seq & 1) {
				p->calm = 0;
				break; /* stuck: take over */
			}
			quiet++;
		} else {
			quiet = 0;
		}
		p->calm = MIN(p->calm + 1, CALM_ROUNDS);
		leader = p->leader;
		seen = seq;
	}
	if (!p->stopped)
		p->leader = w;
}

static void *worker_main(void *arg)
{
	struct pool_worker *w = arg;
	struct pool *p = w->pool;

	op_set_room(&w->room);
	lock_take(&p->lock);
	while (!p->stopped) {
		if (p->has_standby) {
			cond_wait(&p->follow, &p->lock);
			continue;
		}
		p->has_standby = true;
		stand_by(p, w);
		p->has_standby = false;
		cond_wake_one(&p->follow);
		if (p->stopped)
			break;
		lock_drop(&p->lock);
		lead(w);
		lock_take(&p->lock);
	}
	lock_drop(&p->lock);
	return NULL;
}

/* ---- life ---- */

static int start_worker(struct pool *p)
{
	struct pool_worker *w = &p->w[p->n];
	int r;

	w->pool = p;
	w->spin_ns = SPIN_MIN_NS;
	w->trust = SPIN_TRUST;
	w->next_pause = SPIN_PAUSE_MIN;
	w->backlog = true;
	w->in = malloc(POOL_REQUEST_MAX);
	w->room = (struct op_room){ malloc(OP_ROOM_BYTES), OP_ROOM_BYTES, 0 };
	r = w->in && w->room.p ? -pthread_create(&w->id, NULL, worker_main, w) :
				 -ENOMEM;
	if (r < 0) {
		free(w->in);
		free(w->room.p);
		return r;
	}
	p->n++;
	return 0;
}

/* Signals are the main thread's. */
static int start_all(struct pool *p)
{
	sigset_t all, old;
	int r = 0;

	(void)sigfillset(&all);                         /* cannot fail */
	(void)pthread_sigmask(SIG_SETMASK, &all, &old); /* cannot fail */
	for (unsigned i = 0; i < p->p.n_threads && r == 0; i++)
		r = start_worker(p);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL); /* cannot fail */
	return r;
}

int pool_new(const struct pool_params *params, struct pool **ret)
{
	struct pool *p = calloc(1, sizeof(*p));
	int r;

	assert(params->n_threads > 1 && params->n_threads <= POOL_THREADS_MAX);
	if (!p)
		return -ENOMEM;
	p->p = *params;
	p->n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	lock_init(&p->lock);
	cond_init(&p->follow);
	cond_init(&p->standby);
	cond_init(&p->done);
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->stop_fd < 0 || fcntl(params->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		r = -errno;
	else
		r = start_all(p);
	if (r < 0) {
		pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int pool_wait(struct pool *p)
{
	int r;

	lock_take(&p->lock);
	while (!p->stopped)
		cond_wait(&p->done, &p->lock);
	r = p->status;
	lock_drop(&p->lock);
	return r;
}

uint64_t pool_requests(struct pool *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < p->n; i++)
		n += p->w[i].seq / 2;
	return n;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	if (p->stop_fd >= 0)
		pool_stop(p, 0);
	for (unsigned i = 0; i < p->n; i++) {
		(void)pthread_join(p->w[i].id, NULL); /* our own id */
		free(p->w[i].in);
		free(p->w[i].room.p);
	}
	if (p->stop_fd >= 0)
		(void)close(p->stop_fd); /* an eventfd holds nothing */
	cond_fini(&p->follow);
	cond_fini(&p->standby);
	cond_fini(&p->done);
	lock_fini(&p->lock);
	free(p);
}
