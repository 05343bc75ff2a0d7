/*
 * bench_cache.c - what one operation of the cache costs, without FUSE
 *
 *   bench_cache [FOLDER [ROW...]]
 *
 * Makes a drive in a new folder under FOLDER (/var/tmp if not given), on the real
 * disk, and prints for each row the least of a few runs: microseconds on the
 * wall, and CPU microseconds of all threads of this process, per operation; for
 * rows of bytes MB/s as well.  Cold rows have the segments dropped from the page
 * cache before.  With names of rows only these are run, for perf; name what they stand
 * on, too ("create lookup").  valgrind must know openat2(2): 3.19 does not.
 *
 * Numbers for people: it fails only if an operation does.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/util.h"
#include "cache/cache.h"
#include "crypto/secret.h"

#define RUNS     3
#define FILES    20000u
#define PER_DIR  200u
#define BIG      (256u << 20) /* bytes */
#define MIB      (1u << 20)
#define RANDOM   8192u /* operations of 4 KiB */
#define SYNCS    200u
#define DIR_INOS (FILES / PER_DIR)

struct bench {
	char path[4096];
	struct io *io;
	struct secret *key;
	struct cache_params p;
	struct cache *c;
	uint8_t *bytes; /* 2 MiB, incompressible */
	uint64_t dirs[DIR_INOS];
	uint64_t files[FILES];
	uint64_t big;
	uint64_t run;
	uint64_t seed;
};

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bench_cache: %s: %s\n", what, err_str(r));
	exit(1); // NOLINT(concurrency-mt-unsafe): one thread of ours
}

static double seconds(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t next_random(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed;
}

static uint64_t make(struct bench *b, uint64_t parent, const char *name, mode_t mode)
{
	struct cache_new n = { .mode = mode };
	struct cache_op op = { 0 };
	struct cache_attr a;

	check(cache_mknod(b->c, &op, parent, slice_str(name), &n, &a), name);
	cache_forget(b->c, a.ino, 1);
	return a.ino;
}

static void put(struct bench *b, uint64_t ino, uint64_t off, size_t n)
{
	struct cache_op op = { 0 };
	const uint8_t *p = b->bytes + next_random(b) % (MIB - 64);

	check(cache_write(b->c, &op, ino, off, slice(p, n), 0), "write");
}

static void get(struct bench *b, uint64_t ino, uint64_t off, size_t n)
{
	struct cache_op op = { 0 };
	size_t got;

	check(cache_read(b->c, &op, ino, off, b->bytes + MIB, n, &got), "read");
}

static void file_name(char dst[static 32], uint64_t i)
{
	(void)snprintf(dst, 32, "file%" PRIu64 ".c", i); /* fits */
}

/* ---- rows: each returns how many operations it did ---- */

static uint64_t create(struct bench *b)
{
	char name[32];

	for (uint64_t d = 0; d < DIR_INOS; d++) {
		(void)snprintf(name, sizeof(name), "r%" PRIu64 "d%" PRIu64,
			       b->run, d); /* fits */
		b->dirs[d] = make(b, CACHE_ROOT_INO, name, S_IFDIR | 0755);
	}
	for (uint64_t i = 0; i < FILES; i++) {
		file_name(name, i);
		b->files[i] = make(b, b->dirs[i % DIR_INOS], name, S_IFREG | 0644);
	}
	return FILES;
}

static uint64_t write_small(struct bench *b)
{
	for (uint64_t i = 0; i < FILES; i++)
		put(b, b->files[i], 0, 4000);
	check(cache_sync(b->c), "sync");
	return FILES;
}

static uint64_t lookup(struct bench *b)
{
	for (uint64_t i = 0; i < FILES; i++) {
		uint64_t k = next_random(b) % FILES;
		struct cache_op op = { 0 };
		struct cache_attr a;
		char name[32];

		file_name(name, k);
		check(cache_lookup(b->c, &op, b->dirs[k % DIR_INOS],
				   slice_str(name), &a),
		      "lookup");
		cache_forget(b->c, a.ino, 1);
	}
	return FILES;
}

static uint64_t lookup_none(struct bench *b)
{
	for (uint64_t i = 0; i < FILES; i++) {
		struct cache_op op = { 0 };
		struct cache_attr a;
		char name[32];

		(void)snprintf(name, sizeof(name), "none%" PRIu64, i); /* fits */
		if (cache_lookup(b->c, &op, b->dirs[i % DIR_INOS],
				 slice_str(name), &a) != -ENOENT)
			check(-EEXIST, name);
	}
	return FILES;
}

static int count_name(void *ctx, struct slice name,
		      const struct cache_attr *attr, uint64_t pos)
{
	uint64_t *n = ctx;

	(void)name;
	(void)attr;
	(void)pos;
	(*n)++;
	return 0;
}

static uint64_t readdir_all(struct bench *b)
{
	uint64_t n = 0;

	for (uint64_t d = 0; d < DIR_INOS; d++) {
		struct cache_op op = { 0 };

		check(cache_readdir(b->c, &op, b->dirs[d], 0, count_name, &n),
		      "readdir");
	}
	return n;
}

static uint64_t read_small(struct bench *b)
{
	for (uint64_t i = 0; i < FILES; i++)
		get(b, b->files[i], 0, 4096);
	return FILES;
}

static uint64_t unlink_all(struct bench *b)
{
	char name[32];

	for (uint64_t i = 0; i < FILES; i++) {
		struct cache_op op = { 0 };

		file_name(name, i);
		check(cache_unlink(b->c, &op, b->dirs[i % DIR_INOS], slice_str(name)),
		      "unlink");
	}
	return FILES;
}

static uint64_t fsync_each(struct bench *b)
{
	char name[32];

	for (uint64_t i = 0; i < SYNCS; i++) {
		(void)snprintf(name, sizeof(name), "s%" PRIu64 "-%" PRIu64,
			       b->run, i); /* fits */
		put(b, make(b, CACHE_ROOT_INO, name, S_IFREG | 0644), 0, 1024);
		check(cache_sync(b->c), "sync");
	}
	return SYNCS;
}

static uint64_t write_big(struct bench *b)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "big%" PRIu64, b->run); /* fits */
	b->big = make(b, CACHE_ROOT_INO, name, S_IFREG | 0644);
	for (uint64_t off = 0; off < BIG; off += MIB)
		put(b, b->big, off, MIB);
	check(cache_sync(b->c), "sync");
	return BIG / MIB;
}

static uint64_t read_big(struct bench *b)
{
	for (uint64_t off = 0; off < BIG; off += MIB)
		get(b, b->big, off, MIB);
	return BIG / MIB;
}

static uint64_t read_random(struct bench *b)
{
	for (uint64_t i = 0; i < RANDOM; i++)
		get(b, b->big, next_random(b) % (BIG / 4096) * 4096, 4096);
	return RANDOM;
}

static uint64_t write_random(struct bench *b)
{
	for (uint64_t i = 0; i < RANDOM; i++)
		put(b, b->big, next_random(b) % (BIG / 4096) * 4096, 4096);
	check(cache_sync(b->c), "sync");
	return RANDOM;
}

static const struct row {
	const char *name;
	uint64_t (*run)(struct bench *);
	unsigned bytes; /* of an operation */
	bool cold;
} rows[] = {
	{ "create", create, 0, false },
	{ "write-4000", write_small, 0, false },
	{ "lookup", lookup, 0, false },
	{ "lookup-none", lookup_none, 0, false },
	{ "readdir", readdir_all, 0, false },
	{ "read-small-cold", read_small, 0, true },
	{ "read-small", read_small, 0, false },
	{ "fsync", fsync_each, 0, false },
	{ "write", write_big, MIB, false },
	{ "read-cold", read_big, MIB, true },
	{ "read", read_big, MIB, false },
	{ "write-random", write_random, 4096, false },
	{ "read-random", read_random, 4096, false },
	{ "read-random-cold", read_random, 4096, true },
	{ "read-cold-fragmented", read_big, MIB, true },
	{ "unlink", unlink_all, 0, false },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- the drive ---- */

static void in_data(struct bench *b, void (*call)(int dir, const char *name))
{
	char path[sizeof(b->path) + 8];
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/data", b->path); /* fits */
	d = opendir(path);
	check(d ? 0 : -errno, path);
	assert(d);                 /* check() ends the program */
	while ((e = readdir(d))) { // NOLINT(concurrency-mt-unsafe): own stream
		if (e->d_name[0] != '.')
			call(dirfd(d), e->d_name);
	}
	(void)closedir(d); /* only read */
}

static void drop_pages(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	check(fd < 0 ? -errno : 0, name);
	check(-posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
	(void)close(fd); /* only read */
}

static void remove_name(int dir, const char *name)
{
	check(unlinkat(dir, name, 0) < 0 ? -errno : 0, name);
}

static void start(struct bench *b, const char *folder)
{
	static const struct cache_root root = { .mode = 0755 };
	static const uint8_t key[32] = "thirty-two bytes of a local key";
	struct err e = { 0 };

	(void)snprintf(b->path, sizeof(b->path) - 8, "%s/bench-XXXXXX", folder);
	check(mkdtemp(b->path) ? 0 : -errno, b->path);
	check(secret_init_library(), "libsodium");
	check(secret_new(key, &b->key), "secret");
	check(io_dir_new(b->path, &b->io), b->path);
	b->p = (struct cache_params){ .io = b->io, .key = b->key };
	memcpy(b->p.drive_id, "0123456789abcdef", 16);
	check(cache_format(&b->p, &root, &e), e.text);
	check(cache_open(&b->p, &b->c, &e), e.text);
	b->seed = 88172645463325252u;
	b->bytes = malloc(2 * (size_t)MIB);
	check(b->bytes ? 0 : -ENOMEM, "bytes");
	for (size_t i = 0; i < 2 * (size_t)MIB; i += 8)
		put_le64(b->bytes + i, next_random(b));
}

static void end(struct bench *b)
{
	char data[sizeof(b->path) + 8];

	check(cache_close(b->c), "close");
	in_data(b, remove_name);
	best_effort(io_unlink(b->io, "drive.db"));     /* it is a bench's */
	best_effort(io_unlink(b->io, "drive.db-wal")); /* may not be there */
	(void)snprintf(data, sizeof(data), "%s/data", b->path); /* fits */
	check(rmdir(data) < 0 || rmdir(b->path) < 0 ? -errno : 0, b->path);
	io_free(b->io);
	secret_free(b->key);
	free(b->bytes);
}

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc < 3;
}

int main(int argc, char **argv)
{
	static struct bench b;
	double wall[N_ROWS] = { 0 }, cpu[N_ROWS] = { 0 };
	uint64_t n[N_ROWS] = { 0 };

	start(&b, argc > 1 ? argv[1] : "/var/tmp");
	for (b.run = 0; b.run < RUNS; b.run++) {
		for (size_t k = 0; k < N_ROWS; k++) {
			const struct row *row = &rows[k];
			double w, c;

			if (!wanted(row->name, argc, argv))
				continue;
			if (row->cold)
				in_data(&b, drop_pages);
			w = seconds(CLOCK_MONOTONIC);
			c = seconds(CLOCK_PROCESS_CPUTIME_ID);
			n[k] = row->run(&b);
			w = seconds(CLOCK_MONOTONIC) - w;
			c = seconds(CLOCK_PROCESS_CPUTIME_ID) - c;
			wall[k] = b.run ? MIN(wall[k], w) : w;
			cpu[k] = b.run ? MIN(cpu[k], c) : c;
		}
	}
	(void)printf("%-22s %10s %10s %10s %10s\n", "least of three runs",
		     "us wall", "us CPU", "MB/s wall", "MB/s CPU");
	for (size_t k = 0; k < N_ROWS; k++) {
		double ops = (double)n[k];

		if (!n[k])
			continue;
		(void)printf("%-22s %10.2f %10.2f", rows[k].name,
			     wall[k] / ops * 1e6, cpu[k] / ops * 1e6);
		if (rows[k].bytes)
			(void)printf(" %10.0f %10.0f",
				     ops * rows[k].bytes / wall[k] / 1e6,
				     ops * rows[k].bytes / cpu[k] / 1e6);
		(void)printf("\n");
	}
	end(&b);
	return 0;
}
