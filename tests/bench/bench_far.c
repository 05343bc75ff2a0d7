/*
 * bench_far.c - reading in order through a slow line: bench_far [MS [KIB [MIB]]]
 *
 * A file of MIB MiB (48) at one store behind a line of MS milliseconds (50) and KIB
 * KiB a second (32768), recovered, looked up, and then read cold, 128 KiB at a time,
 * without a mount.  Prints when the first bytes came, what part of the line was used, and how
 * long it was free in between.
 *
 * What a busy machine adds to each step is less of a slower line that holds as many
 * bytes: bench_far 500 3276 is bench_far 50 32768, ten times as slow.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

#define MIB  (1u << 20)
#define STEP (128u << 10)

static void plant(struct rig *r, uint64_t size)
{
	struct device d;

	device_init(&d, r, "first", 1, 1);
	device_start(&d);
	f_fill(&d, "big", 0, size, 1);
	ok(device_sync(&d));
	device_close(&d);
}

static void read_cold(struct device *d, uint64_t size, uint64_t rate)
{
	uint64_t began, first = 0, took;
	struct cache_attr a;
	struct far_count c;
	uint8_t *p = malloc(STEP);
	size_t n;

	assert_non_null(p);
	(void)f_lookup(d, "big", &a);
	far_count(d->far[0], &c);
	began = monotonic_us();
	for (uint64_t off = 0; off < size; off += n) {
		ok(f_read(d, "big", off, p, STEP, &n));
		assert_true(n > 0);
		if (off == 0)
			first = monotonic_us() - began;
	}
	took = monotonic_us() - began;
	free(p);
	far_count(d->far[0], &c);
	(void)printf("first bytes after %.0f ms, %.1f %% of the line, which was free "
		     "for %.0f ms; %u requests, %.1f %% more bytes than the file\n",
		     (double)first / 1e3,
		     (double)size / (double)rate * 1e8 / (double)took,
		     (double)c.idle_us / 1e3, c.n[PROVIDER_GET],
		     ((double)c.bytes / (double)size - 1) * 100);
}

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
	return argc > i ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	const struct far_line line = {
		.latency_ms = (unsigned)argument(argc, argv, 1, 50),
		.rate = argument(argc, argv, 2, 32768) * 1024,
	};
	uint64_t size = argument(argc, argv, 3, 48) * MIB;
	struct device d;
	struct rig *r;
	void *state;

	assert_int_equal(rig_set_up(&state), 0);
	r = state;
	plant(r, size);
	r->line = line;
	device_recover(&d, r, "again", 1, 1, 0);
	r->line = (struct far_line){ .latency_ms = 0 };
	read_cold(&d, size, line.rate);
	device_close(&d);
	return rig_tear_down(&state);
}
