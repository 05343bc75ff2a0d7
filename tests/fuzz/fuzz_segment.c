/*
 * fuzz_segment.c - a segment of the local drive with another head, tags or slots
 *
 * The input replaces what stands at an offset (4 bytes LE, of the file) of the
 * only segment.  The drive opens and reads what was written, or says that it
 * cannot; it writes and opens again.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "cache/cache.h"
#include "helper/recorder.h"
#include "tests/fuzz/zerokeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENT "data/00000001"
#define N       20000u

static struct recorder *whole;
static uint64_t ino;

static struct cache_params params(struct recorder *rec)
{
	return (struct cache_params){ .io = recorder_io(rec),
				      .key = keys_secret(zero_keys(), KEYS_DB),
				      .commit_interval_ms = 3600000,
				      .full_timeout_ms = 50,
				      .segment_slots = 16 };
}

static void fill(uint8_t *p, uint8_t salt)
{
	for (size_t i = 0; i < N; i++)
		p[i] = (uint8_t)(i * 7 + i / 4096 + salt);
}

static void prepare(void)
{
	static const struct cache_root root = { .mode = 0755 };
	static const struct cache_new new = { .mode = S_IFREG | 0644 };
	static uint8_t text[N];
	struct recorder_cut cut = { .lose = RECORDER_NOTHING };
	struct cache_op op = { 0 };
	struct recorder *rec = NULL;
	struct cache_params p;
	struct cache_attr a;
	struct cache *c = NULL;
	int r;

	log_level_set(LOG_LEVEL_ERROR - 1);
	r = recorder_new(&rec);
	assert(r == 0);
	p = params(rec);
	r = cache_format(&p, &root, NULL);
	if (r == 0)
		r = cache_open(&p, &c, NULL);
	if (r == 0)
		r = cache_mknod(c, &op, CACHE_ROOT_INO, slice_str("f"), &new, &a);
	fill(text, 0);
	if (r == 0)
		r = cache_write(c, &op, a.ino, 0, slice(text, N), 0);
	if (r == 0)
		r = cache_close(c);
	assert(r == 0);
	ino = a.ino;
	cut.at = recorder_length(rec);
	r = recorder_replay(rec, &cut, &whole);
	assert(r == 0);
	recorder_free(rec);
}

static void replace(struct recorder *rec, const uint8_t *data, size_t size)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	uint64_t n = 0, off;
	int r;

	r = io_open(recorder_io(rec), SEGMENT, O_RDWR, &f);
	if (r == 0)
		r = io_size(f, &n);
	assert(r == 0 && n > 0);
	off = get_le32(data) % n;
	r = size == 4 ? io_truncate(f, off) : io_pwrite(f, data + 4, size - 4, off);
	assert(r == 0);
}

/* Reads; then writes it anew and reads that. */
static void use(struct recorder *rec)
{
	static uint8_t text[N], got[N];
	struct cache_params p = params(rec);
	struct cache_op op = { 0 };
	struct err e = { "" };
	struct cache_attr a;
	struct cache *c = NULL;
	size_t n = 0;
	int r;

	r = cache_open(&p, &c, &e);
	if (r < 0) {
		assert(e.text[0]);
		return;
	}
	r = cache_lookup(c, &op, CACHE_ROOT_INO, slice_str("f"), &a);
	assert(r == 0 && a.ino == ino && a.size == N);
	fill(text, 0);
	r = cache_read(c, &op, ino, 0, got, N, &n);
	if (r == 0)
		assert(n == N && memcmp(text, got, N) == 0);
	else
		assert(r == -EIO || r == -EUCLEAN);
	fill(text, 1);
	if (cache_write(c, &op, ino, 0, slice(text, N), 0) == 0) {
		r = cache_read(c, &op, ino, 0, got, N, &n);
		assert(r == 0 && n == N && memcmp(text, got, N) == 0);
	}
	cache_forget(c, ino, 1);
	(void)cache_close(c); /* may have nowhere to write to */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recorder_cut cut = { .lose = RECORDER_NOTHING };
	struct recorder *rec = NULL;
	int r;

	if (size < 4 || size > 4096)
		return 0;
	if (!whole)
		prepare();
	cut.at = recorder_length(whole);
	r = recorder_replay(whole, &cut, &rec);
	assert(r == 0);
	replace(rec, data, size);
	use(rec);
	recorder_free(rec);
	return 0;
}
