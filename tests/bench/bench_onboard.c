/*
 * bench_onboard.c - what onboarding costs: bench_onboard [MIB [FILE_KIB]]
 *
 * First its parts, each on one thread and warm: hashes, sealing, CommP.  CommP is
 * set beside what one stream of SHA-256 allows, which is its rate divided by 4.03:
 * the tree hashes 2.0 times the padded payload, in messages whose padding is a
 * block of its own.
 *
 * Then MIB of incompressible bytes, in files of FILE_KIB (0: one file), from the
 * cache to a folder.  The store hangs until the commit is in the outbox, so that
 * packing and shipping are told apart; then once more with a store that takes
 * pieces as they come.  CPU seconds count all threads, and how much of it is
 * niced stands beside them.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <sodium.h>

#include "base/heap.h"
#include "crypto/commp.h"
#include "crypto/hash_many.h"
#include "crypto/seal.h"
#include "rig.h"

#define MIB         ((size_t)1 << 20)
#define GIB         ((double)(1u << 30))
#define PATIENCE_MS 3600000
#define LOOK_NS     20000000
#define N_LEAVES    ((size_t)8)
#define LEAF_ROOM   (MIB + SEAL_OVERHEAD)
#define PART_ROUNDS ((size_t)8) /* of N_LEAVES in one measurement */
#define PART_TRIES  5
#define SHARE       4.03

static double clock_s(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- parts ---- */

struct part {
	const char *name;
	void (*run)(struct part *p, uint8_t *bytes); /* N_LEAVES MiB */
	size_t beside; /* so many messages at once */
	struct secret *key;
	struct commp *commp;
	double gib_s; /* the best try */
};

static void cut(struct slice *v, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = slice(bytes + i * LEAF_ROOM, MIB);
}

static void run_sha256(struct part *p, uint8_t *bytes)
{
	uint8_t d[N_LEAVES][HASH_SIZE];
	struct slice v[N_LEAVES];

	cut(v, bytes, N_LEAVES);
	for (size_t i = 0; i < N_LEAVES; i += p->beside)
		sha256_many(v + i, p->beside, d);
}

static void run_keyed(struct part *p, uint8_t *bytes)
{
	uint8_t d[N_LEAVES][HASH_SIZE];
	struct slice v[N_LEAVES];

	cut(v, bytes, N_LEAVES);
	for (size_t i = 0; i < N_LEAVES; i += p->beside)
		ok(hash_keyed_many(p->key, v + i, p->beside, d));
}

static void run_commp(struct part *p, uint8_t *bytes)
{
	struct slice v[N_LEAVES];

	cut(v, bytes, N_LEAVES);
	for (size_t i = 0; i < N_LEAVES; i++)
		commp_update(p->commp, v[i]);
}

static void run_seal(struct part *p, uint8_t *bytes)
{
	struct seal_item v[N_LEAVES] = { { .p = NULL } };

	for (size_t i = 0; i < N_LEAVES; i++) {
		v[i].p = bytes + i * LEAF_ROOM;
		v[i].n = MIB;
	}
	for (size_t i = 0; i < N_LEAVES; i += p->beside)
		ok(seal_many(p->key, SEAL_STORED, v + i, p->beside));
}

static void measure(struct part *p, uint8_t *bytes)
{
	const double n = (double)(PART_ROUNDS * N_LEAVES * MIB);
	double at, s;

	for (unsigned i = 0; i < PART_TRIES; i++) {
		at = clock_s(CLOCK_THREAD_CPUTIME_ID);
		for (size_t k = 0; k < PART_ROUNDS; k++)
			p->run(p, bytes);
		s = clock_s(CLOCK_THREAD_CPUTIME_ID) - at;
		p->gib_s = MAX(p->gib_s, n / GIB / s);
	}
	(void)printf("%-28s %6.3f s CPU a GiB, %6.0f MB/s\n", p->name,
		     1 / p->gib_s, p->gib_s * GIB / 1e6);
}

static void parts(void)
{
	struct part v[] = {
		{ .name = "SHA-256, one stream", .run = run_sha256, .beside = 1 },
		{ .name = "SHA-256, eight", .run = run_sha256, .beside = 8 },
		{ .name = "CommP", .run = run_commp },
		{ .name = "keyed BLAKE2b-256, one", .run = run_keyed, .beside = 1 },
		{ .name = "keyed BLAKE2b-256, eight", .run = run_keyed, .beside = 8 },
		{ .name = "leaves of 1 MiB, one", .run = run_seal, .beside = 1 },
		{ .name = "leaves of 1 MiB, eight", .run = run_seal, .beside = 8 },
	};
	uint8_t *bytes = malloc(N_LEAVES * LEAF_ROOM);
	struct secret *key = NULL;
	struct commp *c = NULL;

	assert_non_null(bytes);
	randombytes_buf(bytes, N_LEAVES * LEAF_ROOM);
	ok(secret_new_random(&key));
	ok(commp_new(&c));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i].key = key;
		v[i].commp = c;
		measure(&v[i], bytes);
	}
	(void)printf("CommP is %.2f times what one stream of SHA-256 allows\n",
		     v[2].gib_s * SHARE / v[0].gib_s);
	(void)fflush(stdout);
	commp_free(c);
	secret_free(key);
	free(bytes);
}

/* ---- the whole ---- */

/* CPU seconds of the threads of this process that are niced, so far. */
static double niced(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	double sum = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) { // NOLINT(concurrency-mt-unsafe): own stream
		id_t tid = (id_t)strtoul(e->d_name, NULL, 10);
		unsigned long long ns = 0;
		char path[64], line[128];
		FILE *f;

		if (!tid || getpriority(PRIO_PROCESS, tid) <= 0)
			continue;
		(void)snprintf(path, sizeof(path),
			       "/proc/self/task/%u/schedstat", tid); /* fits */
		f = fopen(path, "r");
		if (f && fgets(line, sizeof(line), f))
			ns = strtoull(line, NULL, 10);
		if (f)
			(void)fclose(f); /* it was only read */
		sum += (double)ns / 1e9;
	}
	(void)closedir(dir); /* likewise */
	return sum;
}

struct mark {
	double wall, cpu, nice;
};

static struct mark mark(void)
{
	return (struct mark){ clock_s(CLOCK_MONOTONIC),
			      clock_s(CLOCK_PROCESS_CPUTIME_ID), niced() };
}

static void since(const char *what, struct mark from, double bytes)
{
	struct mark to = mark();
	double wall = to.wall - from.wall, cpu = to.cpu - from.cpu;

	(void)printf("%-28s %6.2f s, %5.0f MB/s; %6.3f s CPU a GiB, %3.0f %% of it niced\n",
		     what, wall, bytes / 1e6 / wall, cpu / (bytes / GIB),
		     100 * (to.nice - from.nice) / cpu);
	(void)fflush(stdout);
}

static void plant(struct device *d, const char *dir, size_t n, size_t size)
{
	char path[64];

	(void)f_mkdir(d, dir);
	for (size_t i = 0; i * size < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/%zu", dir, i); /* fits */
		(void)f_fill(d, path, 0, MIN(size, n - i * size),
			     randombytes_random());
	}
	ok(cache_sync(d->cache));
}

static void until_built(struct device *d, uint64_t sequence)
{
	const struct timespec t = { .tv_nsec = LOOK_NS };
	struct onboard_stats s;

	for (;;) {
		onboard_stats(d->onboard, &s);
		if (s.built >= sequence)
			return;
		(void)nanosleep(&t, NULL); /* a short one is fine */
	}
}

static void finish(struct device *d, uint64_t ticket)
{
	struct err e = { "" };

	if (onboard_wait(d->onboard, ticket, PATIENCE_MS, &e) < 0)
		fail_msg("%s", e.text);
}

static void whole(size_t n, size_t size)
{
	struct rig r = { .silence_ms = PATIENCE_MS };
	double bytes = (double)n;
	struct onboard_stats s;
	uint64_t ticket;
	struct device d;
	struct mark m;

	rig_new(&r);
	device_init(&d, &r, "a", 1, 1);
	device_start(&d);
	plant(&d, "first", n, size);
	onboard_stats(d.onboard, &s);
	device_hang(&d, 0);
	m = mark();
	ticket = onboard_request(d.onboard);
	until_built(&d, s.built + 1);
	since("packing", m, bytes);
	m = mark();
	device_wake(&d, 0);
	finish(&d, ticket);
	since("to the store, read back", m, bytes);

	plant(&d, "second", n, size);
	m = mark();
	finish(&d, onboard_request(d.onboard));
	since("both at once", m, bytes);
	device_close(&d);
	rig_free(&r);
}

int main(int argc, char **argv)
{
	size_t n = (argc > 1 ? strtoul(argv[1], NULL, 10) : 512) * MIB;
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 0) << 10;

	heap_settle();
	ok(secret_init_library());
	parts();
	if (n)
		whole(n, size ? size : n);
	return 0;
}
