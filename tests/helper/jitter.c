/*
 * jitter.c - preloaded, delays threads at random, so that races show
 *
 * A race that needs a thread to be away at one moment for longer than others take
 * for their next step shows once in a thousand runs, or on a busy machine.  Here
 * threads sleep around the calls by which they meet each other or the disk: locks,
 * conditions, new threads, files, sockets.  In four ways, for what finds one race
 * hides another:
 *
 *   noise  any call, 1 to 5 ms; rarely 50 to 300 ms
 *   place  a few places of the program, some milliseconds whoever passes there
 *   spell  one thread for a second, all calls of some kinds: slower than all others
 *   start  a new thread, or who made it
 *
 * A wait on a condition may also end for no reason, as POSIX lets it.
 *
 *   JITTER     the seed, a number; nothing is done without it
 *   JITTER_IN  a folder; only programs below it are delayed
 *
 * Each process has a sequence made of the seed and its name, each thread one of that
 * and its number.  A seed given again delays the same calls of each thread; what
 * the kernel does is another matter, so it shows the same fault often, not always.
 * No thread sleeps for more than a fifth of its life, the first half second and
 * spells excepted, or nothing would ever get done: all wait for who sleeps.  Locks of
 * libraries are left alone: SQLite's are many, and ours are around them.
 *
 * tests/run.sh --jitter preloads it; docs/testing.md says how to use it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "helper/mix.h"

/* What a call is, and when of it; bits, for a spell has a set of them. */
enum when {
	BEFORE_LOCK = 1,
	LOCKED = 2,
	BEFORE_UNLOCK = 4,
	UNLOCKED = 8,
	BEFORE_WAKE = 16,
	AFTER_WAKE = 32,
	AFTER_WAIT = 64,
	BEFORE_FILE = 128,
	AFTER_FILE = 256,
	BEFORE_PEER = 512, /* sockets and pipes */
	AFTER_PEER = 1024,
	START = 2048,
};

#define START_US   500000 /* a thread may sleep so long at once */
#define SPELL_US   1000000
#define REST_US    8000000 /* until the next spell */
#define NOISE_1_IN 50
#define LONG_1_IN  1500
#define SPELL_1_IN 3000
#define PLACE_1_IN 40
#define WOKEN_1_IN 100

struct self {
	uint64_t x; /* 0: has no sequence yet */
	uint64_t born_us, slept_us;
	uint64_t spell_end_us;
	uint64_t spell_us; /* of one call */
	unsigned spell;    /* enum when */
};

static __thread struct self self;

static struct {
	bool on;
	uint64_t seed;
	uint64_t n_threads, n_forks;
	uintptr_t start, end; /* of the program's own code and data */
} process;

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t draw(uint64_t below)
{
	self.x += 0x9e3779b97f4a7c15ull;
	return mix(mix(process.seed, self.x), self.x >> 7) % below;
}

static bool one_in(uint64_t n)
{
	return draw(n) == 0;
}

static void doze(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
	int e = errno;

	self.slept_us += us;
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* or shorter */
	errno = e;
}

static void begin_thread(void)
{
	uint64_t n = __atomic_add_fetch(&process.n_threads, 1, __ATOMIC_RELAXED);

	self = (struct self){ .x = mix(process.seed, n) | 1, .born_us = now_us() };
}

static bool is_ours(void *at)
{
	uintptr_t a = (uintptr_t)at;

	return a >= process.start && a < process.end;
}

/* The places are the same in each process of a program, wherever it was loaded. */
static bool is_slow_place(void *at, enum when when)
{
	uintptr_t a = (uintptr_t)at;

	a = is_ours(at) ? a - process.start : a & 0xfff;
	return mix(mix(mix(process.seed, a), when), 1) % PLACE_1_IN == 0;
}

static uint64_t how_long_us(void *at, enum when when, uint64_t now)
{
	bool noise = one_in(NOISE_1_IN);

	if (one_in(SPELL_1_IN) && self.spell_end_us + REST_US < now) {
		static const uint64_t paces[] = { 500, 5000, 50000 };

		self.spell = (unsigned)draw(2 * START);
		self.spell_us = paces[draw(3)];
		self.spell_end_us = now + SPELL_US;
	}
	if (self.spell_end_us > now && self.spell & when)
		return self.spell_us;

	if (self.slept_us > (now - self.born_us) / 5 + START_US)
		return 0;
	if (one_in(LONG_1_IN))
		return 50000 + draw(250000);
	if (is_slow_place(at, when) && one_in(3))
		return 1000 + draw(20000);
	return noise ? 1000 + draw(4000) : 0;
}

static void delay(void *at, enum when when)
{
	uint64_t us;

	if (!process.on || (when <= UNLOCKED && !is_ours(at)))
		return;
	if (self.x == 0)
		begin_thread();

	us = how_long_us(at, when, now_us());
	if (us > 0)
		doze(us);
}

/* ---- the process ---- */

static int find_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	process.start = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t end = info->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_LOAD && end > process.end)
			process.end = end;
	}
	return 1; /* the first is the program */
}

static void begin_child(void)
{
	process.seed = mix(process.seed, ++process.n_forks);
	process.n_threads = 0;
	begin_thread();
}

__attribute__((constructor)) static void begin(void)
{
	const char *seed = getenv("JITTER");
	const char *in = getenv("JITTER_IN");
	const char *name = program_invocation_short_name;
	char exe[4096];
	ssize_t n;

	if (!seed || !*seed)
		return;
	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n < 0)
		return;
	exe[n] = '\0';
	if (in && (strncmp(exe, in, strlen(in)) != 0 || exe[strlen(in)] != '/'))
		return;

	process.seed =
		mix_bytes(mix(0, strtoull(seed, NULL, 10)), name, strlen(name));
	(void)dl_iterate_phdr(find_program, NULL); /* it stopped at the first */
	if (pthread_atfork(NULL, NULL, begin_child) != 0)
		return;
	process.on = true;
}

/* ---- calls ---- */

/* The parameters have our names. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

/*
 * `next` is what the call would have been.  Conditions have an older form of the
 * same name in the C library, which dlsym() may find.
 */
static void *find_next(const char *name, const char *version)
{
	void *p = version ? dlvsym(RTLD_NEXT, name, version) : NULL;

	if (!p)
		p = dlsym(RTLD_NEXT, name);
	if (!p)
		abort(); /* no such call, then who calls it */
	return p;
}

#define NEXT(name, version)                                          \
 static __typeof__(name) *next;                                      \
 __typeof__(name) *found = __atomic_load_n(&next, __ATOMIC_RELAXED); \
                                                                     \
 if (!found) {                                                       \
  *(void **)&found = find_next(#name, version);                      \
  __atomic_store_n(&next, found, __ATOMIC_RELAXED);                  \
 }

#define COND_VERSION "GLIBC_2.3.2"
#define HERE         __builtin_return_address(0)

int pthread_mutex_lock(pthread_mutex_t *m)
{
	NEXT(pthread_mutex_lock, NULL)
	int r;

	delay(HERE, BEFORE_LOCK);
	r = found(m);
	delay(HERE, LOCKED);
	return r;
}

int pthread_mutex_unlock(pthread_mutex_t *m)
{
	NEXT(pthread_mutex_unlock, NULL)
	int r;

	delay(HERE, BEFORE_UNLOCK);
	r = found(m);
	delay(HERE, UNLOCKED);
	return r;
}

int pthread_cond_signal(pthread_cond_t *c)
{
	NEXT(pthread_cond_signal, COND_VERSION)
	int r;

	delay(HERE, BEFORE_WAKE);
	r = found(c);
	delay(HERE, AFTER_WAKE);
	return r;
}

int pthread_cond_broadcast(pthread_cond_t *c)
{
	NEXT(pthread_cond_broadcast, COND_VERSION)
	int r;

	delay(HERE, BEFORE_WAKE);
	r = found(c);
	delay(HERE, AFTER_WAKE);
	return r;
}

/* Waits for nothing: true if the caller is to believe that it was woken. */
static bool woken_for_nothing(pthread_mutex_t *m)
{
	if (!process.on || self.x == 0 || !one_in(WOKEN_1_IN))
		return false;
	(void)pthread_mutex_unlock(m); /* the caller holds it, so neither fails */
	(void)pthread_mutex_lock(m);
	return true;
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	NEXT(pthread_cond_wait, COND_VERSION)
	int r;

	if (woken_for_nothing(m))
		return 0;
	r = found(c, m);
	delay(HERE, AFTER_WAIT);
	return r;
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			   const struct timespec *until)
{
	NEXT(pthread_cond_timedwait, COND_VERSION)
	int r;

	if (woken_for_nothing(m))
		return 0;
	r = found(c, m, until);
	delay(HERE, AFTER_WAIT);
	return r;
}

struct start {
	void *(*run)(void *);
	void *arg;
};

static void *start_late(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	begin_thread();
	if (one_in(4))
		doze(draw(200000));
	return s.run(s.arg);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
		   void *(*run)(void *), void *arg)
{
	NEXT(pthread_create, NULL)
	struct start *s;
	int r;

	if (!process.on)
		return found(t, attr, run, arg);

	s = malloc(sizeof(*s));
	if (!s)
		return EAGAIN;
	*s = (struct start){ run, arg };
	r = found(t, attr, start_late, s);
	if (r != 0)
		free(s);
	delay(HERE, START);
	return r;
}

int pthread_join(pthread_t t, void **ret)
{
	NEXT(pthread_join, NULL)

	delay(HERE, START);
	return found(t, ret);
}

/* Calls of a file or of a peer, between two delays. */
#define CALL(type, name, params, args, kind) \
 type name params                            \
 {                                           \
  NEXT(name, NULL)                           \
  type r;                                    \
                                             \
  delay(HERE, BEFORE_##kind);                \
  r = found args;                            \
  delay(HERE, AFTER_##kind);                 \
  return r;                                  \
 }

/* clang-format off */
CALL(int, fsync, (int fd), (fd), FILE)
CALL(int, fdatasync, (int fildes), (fildes), FILE)
CALL(int, sync_file_range, (int fd, off64_t offset, off64_t count, unsigned flags), (fd, offset, count, flags), FILE)
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n), FILE)
CALL(int, fallocate64, (int fd, int mode, off64_t offset, off64_t len), (fd, mode, offset, len), FILE)
CALL(ssize_t, pread64, (int fd, void *buf, size_t nbytes, off64_t offset), (fd, buf, nbytes, offset), FILE)
CALL(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off64_t offset), (fd, buf, n, offset), FILE)
CALL(int, rename, (const char *from, const char *to), (from, to), FILE)
CALL(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), FILE)
CALL(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags), FILE)
CALL(int, unlink, (const char *path), (path), FILE)
CALL(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), FILE)

CALL(ssize_t, read, (int fd, void *buf, size_t nbytes), (fd, buf, nbytes), PEER)
CALL(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), PEER)
CALL(ssize_t, writev, (int fd, const struct iovec *iovec, int count), (fd, iovec, count), PEER)
CALL(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), PEER)
CALL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), PEER)
CALL(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), PEER)
CALL(ssize_t, sendto, (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t addr_len), (fd, buf, n, flags, addr, addr_len), PEER)
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), PEER)
CALL(int, poll, (struct pollfd *fds, nfds_t nfds, int timeout), (fds, nfds, timeout), PEER)
CALL(int, epoll_wait, (int epfd, struct epoll_event *events, int maxevents, int timeout), (epfd, events, maxevents, timeout), PEER)
CALL(int, epoll_pwait, (int epfd, struct epoll_event *events, int maxevents, int timeout, const sigset_t *ss), (epfd, events, maxevents, timeout, ss), PEER)
/* clang-format on */
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
