/* test_far.c - stores with latency: what is counted is round trips and bytes */
#include "rig.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define LATENCY_MS 50
#define FAR_MS     800 /* the most that it is made for a busy machine */
#define MIB        (1u << 20)

/* A drive that is on `n_stores` stores, with a big file and a small one deep down. */
static void make(struct rig *r, size_t n_stores, uint64_t big)
{
	static const char *const dirs[] = { "a", "a/b", "a/b/c", "a/b/c/d" };
	struct device d;

	device_init(&d, r, "first", n_stores, (unsigned)n_stores);
	device_start(&d);
	f_fill(&d, "big", 0, big, 1);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		f_mkdir(&d, dirs[i]);
	f_fill(&d, "a/b/c/d/small", 0, 3000, 2);
	f_fill(&d, "a/b/c/d/other", 0, 3000, 3);
	ok(device_sync(&d));
	device_close(&d);
}

static void recover_as(struct device *d, struct rig *r, const char *name,
		       size_t n_stores, const struct far_line *line)
{
	r->line = *line;
	device_recover(d, r, name, n_stores, (unsigned)n_stores, 0);
	r->line = (struct far_line){ .latency_ms = 0 };
}

static void recover_far(struct device *d, struct rig *r, size_t n_stores,
			const struct far_line *line)
{
	recover_as(d, r, "again", n_stores, line);
}

static void count(struct device *d, struct far_count *ret)
{
	struct far_count c;

	*ret = (struct far_count){ .most = 0 };
	for (size_t i = 0; i < d->n_stores; i++) {
		far_count(d->far[i], &c);
		for (size_t v = 0; v < PROVIDER_NX; v++)
			ret->n[v] += c.n[v];
		ret->bytes += c.bytes;
		ret->most = MAX(ret->most, c.most);
	}
}

static uint64_t read_all(struct device *d, const char *path, uint64_t size)
{
	uint8_t *p = malloc(128u << 10);
	uint64_t began = monotonic_us(), off = 0;
	size_t n;

	assert_non_null(p);
	for (; off < size; off += n) {
		ok(f_read(d, path, off, p, 128u << 10, &n));
		assert_true(n > 0);
	}
	free(p);
	return monotonic_us() - began;
}

static void a_small_file_takes_one_round_trip_a_directory_and_one_for_itself(void **state)
{
	const struct far_line line = { .latency_ms = LATENCY_MS };
	struct rig *r = *state;
	struct far_count c;
	struct device d;
	uint8_t p[100];
	size_t n;

	make(r, 1, MIB);
	recover_far(&d, r, 1, &line);
	count(&d, &c);
	ok(f_read(&d, "a/b/c/d/small", 0, p, sizeof(p), &n));
	count(&d, &c);
	assert_in_range(c.n[PROVIDER_GET], 1, 6);
	ok(f_read(&d, "a/b/c/d/other", 0, p, sizeof(p), &n));
	count(&d, &c);
	assert_int_equal(c.n[PROVIDER_GET], 1);
	device_close(&d);
}

static void a_cold_sequential_read_fills_the_line(void **state)
{
	const struct far_line line = { .latency_ms = LATENCY_MS, .rate = 32 * MIB };
	const uint64_t size = 48 * MIB;
	struct rig *r = *state;
	struct far_count c;
	struct device d;
	unsigned trips;
	uint64_t took;

	make(r, 1, size);
	recover_far(&d, r, 1, &line);
	count(&d, &c);
	(void)far_depth();
	took = read_all(&d, "big", size);
	trips = far_depth();
	count(&d, &c);
	print_message("# %u %% of the line, %u requests, %u round trips\n",
		      (unsigned)(size * 100 / (line.rate * took / 1000000)),
		      c.n[PROVIDER_GET], trips);
	/* machines are busy: what is sure is that requests do not wait for each
	 * other, as 48 chunks would */
	assert_in_range(trips, 2, 24);
	assert_in_range(c.most, 4, 8);
	assert_in_range(c.bytes, size, size + size / 50);
	device_close(&d);
}

/* All of a big file, of two stores of which one is late.  Requests that were made
 * twice. */
static uint64_t read_late(struct rig *r, const char *name, uint64_t size)
{
	const struct far_line line = {
		.latency_ms = 10, .rate = 64 * MIB, .late_every = 6, .late_ms = 3000
	};
	const struct far_line even = { .latency_ms = 10, .rate = 64 * MIB };
	struct retrieve_stats s;
	struct far_count c;
	struct device d;
	uint64_t took;

	recover_as(&d, r, name, 2, &line);
	far_set(d.far[1], &even); /* or a second try may be late as well */
	count(&d, &c);
	took = read_all(&d, "big", size);
	count(&d, &c);
	retrieve_stats(d.retrieve, &s);
	print_message("# %.2f s, %llu of %llu requests twice, %llu KiB for nothing\n",
		      (double)took / 1e6, (unsigned long long)s.hedged,
		      (unsigned long long)s.requests,
		      (unsigned long long)s.wasted >> 10);
	/* What came twice is the promise; what was asked for twice and called off
	 * before it came hangs on how late this machine is. */
	assert_in_range(s.wasted, 0, size / 20 + 4 * MIB);
	assert_in_range(c.bytes, size, 2 * size);
	device_close(&d);
	return s.hedged;
}

/* Where the machine itself stops for seconds these are nothing unusual any more. */
static void a_store_that_is_late_now_and_then_is_not_waited_for(void **state)
{
	const uint64_t size = 64 * MIB;
	struct rig *r = *state;
	uint64_t hedged = 0;
	char name[16];

	make(r, 2, size);
	for (unsigned n = 0; n < 10 && hedged == 0; n++) {
		(void)snprintf(name, sizeof(name), "again%u", n);
		hedged = read_late(r, name, size);
	}
	assert_true(hedged > 0);
}

static void the_only_copy_is_asked_for_once(void **state)
{
	const struct far_line line = {
		.latency_ms = 10, .rate = 64 * MIB, .late_every = 5, .late_ms = 300
	};
	struct retrieve_stats s;
	struct rig *r = *state;
	struct device d;

	make(r, 1, 16 * MIB);
	recover_far(&d, r, 1, &line);
	(void)read_all(&d, "big", 16 * MIB);
	retrieve_stats(d.retrieve, &s);
	assert_int_equal(s.hedged, 0);
	assert_int_equal(s.wasted, 0);
	device_close(&d);
}

/*
 * ls right after recover: what stands between the words and the first name.  A
 * request counts as one that waited for whatever ended before it began, so on a busy
 * machine the chain looks longer than it is.  The farther away the stores are, the
 * less that comes to: tries go on with lines that are longer and longer.
 */
static void from_recover_to_ls_takes_few_round_trips(void **state)
{
	struct far_line line = { .latency_ms = LATENCY_MS };
	struct rig *r = *state;
	struct cache_attr a;
	struct device d;
	uint64_t began;
	unsigned trips = UINT_MAX;

	device_init(&d, r, "first", 2, 2);
	device_start(&d);
	for (unsigned i = 0; i < 40; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%u", i);
		f_fill(&d, name, 0, 3000, i);
		ok(device_sync(&d));
	}
	device_close(&d);
	for (unsigned n = 0; n < 20 && trips > 12; n++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "again%u", n);
		(void)far_depth();
		began = monotonic_us();
		recover_as(&d, r, name, 2, &line);
		(void)f_lookup(&d, "f7", &a);
		began = monotonic_us() - began;
		trips = far_depth();
		print_message("# %u round trips, %.1f times the latency\n",
			      trips, (double)began / (line.latency_ms * 1000));
		device_close(&d);
		if (n % 2)
			line.latency_ms = MIN(2 * line.latency_ms, FAR_MS);
	}
	assert_in_range(trips, 4, 12);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_small_file_takes_one_round_trip_a_directory_and_one_for_itself),
		T(a_cold_sequential_read_fills_the_line),
		T(a_store_that_is_late_now_and_then_is_not_waited_for),
		T(the_only_copy_is_asked_for_once),
		T(from_recover_to_ls_takes_few_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
