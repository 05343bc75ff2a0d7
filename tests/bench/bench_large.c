/*
 * bench_large.c - what one large directory costs: bench_large [NAMES [BYTES]]
 *
 * Plants NAMES files of BYTES bytes in one directory through the cache, commits
 * them to a folder, then changes one of them and commits again.  Prints seconds on
 * the wall and of CPU, the resident set and its peak, and the bytes that came to
 * the store.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "rig.h"

#define PATIENCE_MS 3600000

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A line of /proc/self/status, in MiB. */
static unsigned long mib(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, what, strlen(what)) == 0)
			kib = strtoul(line + strlen(what) + 1, NULL, 10);
	if (f)
		(void)fclose(f); /* it was only read */
	return kib / 1024;
}

/* The peak begins anew. */
static void forget_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		(void)fputs("5", f); /* else the peak is that of before, too */
		(void)fclose(f);
	}
}

static void plant(struct device *d, uint64_t dir, uint64_t n, size_t size)
{
	struct cache_new new = { .mode = 0100644, .uid = 1000, .gid = 1000 };
	struct cache_op op = { 0 };
	uint8_t bytes[4096];
	struct cache_attr at;
	char name[32];
	int r;

	memset(bytes, 0, sizeof(bytes));
	for (uint64_t i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "file-%010llu.txt",
			       (unsigned long long)i); /* fits */
		ok(cache_mknod(d->cache, &op, dir, slice_str(name), &new, &at));
		memcpy(bytes, &i, sizeof(i));
		if (size) {
			r = cache_write(d->cache, &op, at.ino, 0,
					slice(bytes, size), 0);
			ok(r);
		}
		cache_forget(d->cache, at.ino, 1);
	}
}

static void commit(struct device *d, const char *what)
{
	uint64_t before = store_bytes(d->rig, "s0");
	unsigned long rss = mib("VmRSS:");
	struct err e = { "" };
	double at, used;

	forget_peak();
	at = now();
	used = cpu();
	if (onboard_wait(d->onboard, onboard_request(d->onboard), PATIENCE_MS,
			 &e) < 0)
		fail_msg("%s", e.text);
	(void)printf("%-28s %6.2f s, %6.2f s CPU, %4lu MiB before, %4lu MiB at most, %9.1f KiB sent\n",
		     what, now() - at, cpu() - used, rss, mib("VmHWM:"),
		     (double)(store_bytes(d->rig, "s0") - before) / 1024);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	struct cache_setattr set = { .mask = CACHE_SET_MODE, .mode = 0600 };
	struct device d;
	struct rig r = { .silence_ms = 0 };
	uint64_t dir;
	double at;

	heap_settle();
	rig_new(&r);
	device_init(&d, &r, "a", 1, 1);
	device_start(&d);
	dir = f_mkdir(&d, "many");
	at = now();
	plant(&d, dir, n, MIN(size, (size_t)4096));
	ok(cache_sync(d.cache));
	(void)printf("%llu files of %zu bytes planted in %.2f s\n",
		     (unsigned long long)n, size, now() - at);
	commit(&d, "all of them");
	f_set(&d, "many/file-0000000007.txt", &set);
	commit(&d, "one changed");
	f_write(&d, "many/file-0000000008.txt", 0, "x", 1);
	commit(&d, "one written");
	f_unlink(&d, "many/file-0000000009.txt");
	commit(&d, "one removed");
	device_close(&d);
	device_open(&d);
	device_start(&d);
	f_set(&d, "many/file-0000000017.txt", &set);
	commit(&d, "one changed after a restart");
	device_close(&d);
	rig_free(&r);
	return 0;
}
