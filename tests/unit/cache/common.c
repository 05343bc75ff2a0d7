/* common.c - a drive on a recorder, and short words for its operations */
#include "common.h"

#include "db/db.h"

static const struct cache_root root = { .uid = 1, .gid = 2, .mode = 0755 };

static void params(struct drive *d)
{
	d->p = (struct cache_params){ .io = recorder_io(d->rec),
				      .key = d->key,
				      .commit_interval_ms = 3600000,
				      .full_timeout_ms = 50,
				      .meta_floor_bytes = 1u << 20,
				      .segment_slots = 128 };
	memcpy(d->p.drive_id, "0123456789abcdef", 16);
}

void drive_new(struct drive *d)
{
	struct err e = { 0 };

	memset(d, 0, sizeof(*d));
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(secret_new((const uint8_t *)"0123456789abcdef"
						     "0123456789abcdef",
				    &d->key),
			 0);
	assert_int_equal(recorder_new(&d->rec), 0);
	params(d);
	if (cache_format(&d->p, &root, &e) < 0)
		fail_msg("format: %s", e.text);
}

void drive_open(struct drive *d)
{
	struct err e = { 0 };

	if (cache_open(&d->p, &d->c, &e) < 0)
		fail_msg("open: %s", e.text);
}

void drive_close(struct drive *d)
{
	assert_int_equal(cache_close(d->c), 0);
	d->c = NULL;
}

void drive_free(struct drive *d)
{
	(void)cache_close(d->c); /* a test may have broken it */
	recorder_free(d->rec);
	secret_free(d->key);
	memset(d, 0, sizeof(*d));
}

int drive_setup(void **state)
{
	struct drive *d = malloc(sizeof(*d));

	assert_non_null(d);
	drive_new(d);
	drive_open(d);
	*state = d;
	return 0;
}

int drive_teardown(void **state)
{
	drive_free(*state);
	free(*state);
	return 0;
}

void drive_again(struct drive *d)
{
	drive_close(d);
	drive_open(d);
}

void drive_cut(struct drive *d, const struct recorder_cut *cut, struct drive *ret)
{
	memset(ret, 0, sizeof(*ret));
	assert_int_equal(secret_new((const uint8_t *)"0123456789abcdef"
						     "0123456789abcdef",
				    &ret->key),
			 0);
	assert_int_equal(recorder_replay(d->rec, cut, &ret->rec), 0);
	params(ret);
	ret->p.source = d->p.source;
	ret->p.max_bytes = d->p.max_bytes;
	ret->p.segment_slots = d->p.segment_slots;
	drive_open(ret);
}

int try_mk(struct drive *d, uint64_t parent, const char *name, mode_t mode,
	   uint64_t *ret)
{
	struct cache_new n = { .mode = mode, .uid = 1, .gid = 2 };
	struct cache_op op = { 0 };
	struct cache_attr a;
	int r;

	if (S_ISLNK(mode))
		n.target = slice_str("the target");
	r = cache_mknod(d->c, &op, parent, slice_str(name), &n, &a);
	if (r == 0)
		*ret = a.ino;
	return r;
}

uint64_t mk(struct drive *d, uint64_t parent, const char *name, mode_t mode)
{
	uint64_t ino = 0;

	assert_int_equal(try_mk(d, parent, name, mode, &ino), 0);
	return ino;
}

uint64_t look(struct drive *d, uint64_t parent, const char *name)
{
	struct cache_op op = { 0 };
	struct cache_attr a;
	int r = cache_lookup(d->c, &op, parent, slice_str(name), &a);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	cache_forget(d->c, a.ino, 1);
	return a.ino;
}

int try_put(struct drive *d, uint64_t ino, uint64_t off, const void *p, size_t n)
{
	struct cache_op op = { 0 };

	return cache_write(d->c, &op, ino, off, slice(p, n), 0);
}

void put(struct drive *d, uint64_t ino, uint64_t off, const void *p, size_t n)
{
	assert_int_equal(try_put(d, ino, off, p, n), 0);
}

int try_get(struct drive *d, uint64_t ino, uint64_t off, void *p, size_t n,
	    size_t *ret_n)
{
	struct cache_op op = { 0 };

	return cache_read(d->c, &op, ino, off, p, n, ret_n);
}

size_t get(struct drive *d, uint64_t ino, uint64_t off, void *p, size_t n)
{
	size_t got = 0;

	assert_int_equal(try_get(d, ino, off, p, n, &got), 0);
	return got;
}

void cut_to(struct drive *d, uint64_t ino, uint64_t size)
{
	struct cache_setattr s = { .mask = CACHE_SET_SIZE, .size = size };
	struct cache_op op = { 0 };
	struct cache_attr a;

	assert_int_equal(cache_setattr(d->c, &op, ino, &s, &a), 0);
}

struct cache_attr attr(struct drive *d, uint64_t ino)
{
	struct cache_op op = { 0 };
	struct cache_attr a;

	assert_int_equal(cache_getattr(d->c, &op, ino, &a), 0);
	return a;
}

void rm(struct drive *d, uint64_t parent, const char *name)
{
	struct cache_op op = { 0 };

	assert_int_equal(cache_unlink(d->c, &op, parent, slice_str(name)), 0);
}

void forget(struct drive *d, uint64_t ino)
{
	cache_forget(d->c, ino, 1);
}

void double_file(struct drive *d, uint64_t ino, uint64_t n)
{
	struct cache_op op = { 0 };
	uint64_t done = 0, part;

	while (done < n) {
		assert_int_equal(cache_copy_range(d->c, &op, ino, done, ino,
						  n + done, n - done, &part),
				 0);
		assert_int_not_equal(part, 0);
		done += part;
	}
}

void pattern(uint8_t *p, size_t n, uint64_t off, unsigned version)
{
	for (size_t k = 0; k < n; k++) {
		uint64_t at = off + k;

		p[k] = (uint8_t)((at * 31 + (at >> 8) * 7 + (at >> 16)) ^
				 (version * 0x55u + 1));
		p[k] |= 1; /* zeros are holes, never data */
	}
}

void expect_pattern(struct drive *d, uint64_t ino, uint64_t off, size_t n,
		    unsigned version)
{
	uint8_t *want = malloc(n), *got = malloc(n);

	assert_non_null(want);
	assert_non_null(got);
	pattern(want, n, off, version);
	assert_int_equal(get(d, ino, off, got, n), n);
	assert_memory_equal(got, want, n);
	free(want);
	free(got);
}

static struct db *raw(struct drive *d)
{
	struct db_params p = { .io = recorder_io(d->rec),
			       .name = "drive.db",
			       .key = d->key };
	struct err e = { 0 };
	struct db *db;

	memcpy(p.drive_id, d->p.drive_id, sizeof(p.drive_id));
	assert_int_equal(db_open(&p, &db, &e), 0);
	return db;
}

uint64_t drive_number(struct drive *d, const char *sql)
{
	struct db *db = raw(d);
	struct db_stmt *s;
	uint64_t n;

	assert_int_equal(db_prepare(db, sql, &s), 0);
	assert_int_equal(db_step(s), 1);
	n = db_col_u64(s, 0);
	db_stmt_free(s);
	db_close(db);
	return n;
}

void drive_change(struct drive *d, const char *sql)
{
	struct db *db = raw(d);

	assert_int_equal(db_exec(db, sql), 0);
	db_close(db);
}
