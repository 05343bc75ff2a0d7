/* model.c - the simplest file system that can be: what the cache must equal */
#include "model.h"

#include <linux/falloc.h>
#include <stdio.h>

#include "helper/mix.h"

uint64_t model_rand(struct model *m, uint64_t below)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (m->seed >> 33) % below;
}

static const char *name_of(int k)
{
	static const char *const names[MODEL_NAMES / 2] = { "alpha", "beta", "gamma",
							    "delta", "omega" };

	return names[k % (MODEL_NAMES / 2)];
}

static uint64_t parent_of(uint64_t dir, int k)
{
	return k < MODEL_NAMES / 2 ? CACHE_ROOT_INO : dir;
}

void model_new(struct model *m, struct drive *d, struct fakedag *f, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	m->d = d;
	m->f = f;
	m->seed = seed;
	m->written = 1;
	for (int k = 0; k < MODEL_NAMES; k++)
		m->names[k] = -1;
	m->dir = mk(d, CACHE_ROOT_INO, "dir", S_IFDIR | 0755);
}

void model_free(struct model *m)
{
	for (int k = 0; k < MODEL_FILES; k++)
		free(m->files[k].p);
}

/* Try until it is there: fetches, and waits for room. */
#define UNTIL_THERE(m, r, call)                     \
 do {                                               \
  while (((r) = (call)) == -EINPROGRESS)            \
   assert_int_equal(fetch_wait((m)->d, &op, 0), 0); \
  assert_int_equal((r), 0);                         \
 } while (0)

static int any_file(struct model *m)
{
	int k = (int)model_rand(m, MODEL_NAMES);

	return m->names[k];
}

static void lose(struct model *m, int file)
{
	if (file >= 0 && --m->files[file].nlink == 0) {
		free(m->files[file].p);
		m->files[file].p = NULL;
	}
}

static void create(struct model *m, int k)
{
	int file = 0;

	if (m->names[k] >= 0)
		return;
	while (m->files[file].p)
		file++;
	assert_true(file < MODEL_FILES);
	m->files[file] = (struct model_file){
		.p = calloc(1, MODEL_FILE_MAX),
		.ino = mk(m->d, parent_of(m->dir, k), name_of(k), S_IFREG | 0644),
		.nlink = 1
	};
	assert_non_null(m->files[file].p);
	forget(m->d, m->files[file].ino);
	m->names[k] = file;
}

static void do_write(struct model *m, struct model_file *f, bool append)
{
	struct cache_op op = { 0 };
	uint64_t off, n;
	int r;

	off = append ? f->n : model_rand(m, MODEL_FILE_MAX);
	if (!append && model_rand(m, 3) == 0)
		off = align_down(off, CACHE_BLOCK);
	n = model_rand(m, 3) ? 1 + model_rand(m, 9000) :
			       1 + model_rand(m, MODEL_FILE_MAX);
	if (off >= MODEL_FILE_MAX)
		return;
	n = MIN(n, MODEL_FILE_MAX - off);
	pattern(f->p + off, n, off, m->written++);
	f->n = MAX(f->n, off + n);
	UNTIL_THERE(m, r,
		    cache_write(m->d->c, &op, f->ino, off, slice(f->p + off, n),
				append ? CACHE_WRITE_APPEND : 0));
}

static void do_size(struct model *m, struct model_file *f)
{
	struct cache_setattr s = { .mask = CACHE_SET_SIZE,
				   .size = model_rand(m, MODEL_FILE_MAX) };
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r;

	if (s.size < f->n)
		memset(f->p + s.size, 0, f->n - s.size);
	f->n = s.size;
	UNTIL_THERE(m, r, cache_setattr(m->d->c, &op, f->ino, &s, &at));
}

static void do_zero(struct model *m, struct model_file *f, bool punch)
{
	uint64_t off = model_rand(m, MODEL_FILE_MAX - 1);
	uint64_t n = 1 + model_rand(m, MODEL_FILE_MAX - off);
	struct cache_op op = { 0 };
	int r;

	if (punch)
		n = MIN(n, f->n > off ? f->n - off : 1);
	if (off < f->n)
		memset(f->p + off, 0, MIN(n, f->n - off));
	if (!punch)
		f->n = MAX(f->n, off + n);
	UNTIL_THERE(m, r,
		    cache_fallocate(m->d->c, &op, f->ino,
				    punch ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
					    FALLOC_FL_ZERO_RANGE,
				    off, n));
}

static void do_promise(struct model *m, struct model_file *f)
{
	bool keep = model_rand(m, 2) == 0;
	uint64_t off = model_rand(m, MODEL_FILE_MAX - 1);
	uint64_t n = 1 + model_rand(m, MODEL_FILE_MAX - off);
	struct cache_op op = { 0 };
	int r;

	if (!keep)
		f->n = MAX(f->n, off + n);
	UNTIL_THERE(m, r,
		    cache_fallocate(m->d->c, &op, f->ino,
				    keep ? FALLOC_FL_KEEP_SIZE : 0, off, n));
}

static void do_copy(struct model *m, struct model_file *s, struct model_file *t)
{
	uint64_t from = align_down(model_rand(m, MODEL_FILE_MAX), CACHE_BLOCK);
	uint64_t to = align_down(model_rand(m, MODEL_FILE_MAX), CACHE_BLOCK);
	uint64_t n = 1 + model_rand(m, 60000), got = 0;
	struct cache_op op = { 0 };
	int r;

	if (model_rand(m, 4) == 0)
		from += 17;
	if (s == t || from >= s->n)
		return;
	n = MIN(n, MIN(s->n - from, MODEL_FILE_MAX - to));
	UNTIL_THERE(m, r,
		    cache_copy_range(m->d->c, &op, s->ino, from, t->ino, to, n,
				     &got));
	assert_true(got > 0 && got <= n);
	memcpy(t->p + to, s->p + from, got);
	t->n = MAX(t->n, to + got);
}

static void do_rename(struct model *m)
{
	int from = (int)model_rand(m, MODEL_NAMES),
	    to = (int)model_rand(m, MODEL_NAMES);
	struct cache_op op = { 0 };
	int r;

	if (m->names[from] < 0 || from == to)
		return;
	r = cache_rename(m->d->c, &op, parent_of(m->dir, from),
			 slice_str(name_of(from)), parent_of(m->dir, to),
			 slice_str(name_of(to)), 0);
	assert_int_equal(r, 0);
	if (m->names[from] == m->names[to])
		return;
	lose(m, m->names[to]);
	m->names[to] = m->names[from];
	m->names[from] = -1;
}

static void do_link(struct model *m)
{
	int from = (int)model_rand(m, MODEL_NAMES),
	    to = (int)model_rand(m, MODEL_NAMES);
	struct cache_op op = { 0 };
	struct cache_attr at;

	if (m->names[from] < 0 || m->names[to] >= 0)
		return;
	assert_int_equal(cache_link(m->d->c, &op, m->files[m->names[from]].ino,
				    parent_of(m->dir, to),
				    slice_str(name_of(to)), &at),
			 0);
	forget(m->d, at.ino);
	m->names[to] = m->names[from];
	m->files[m->names[to]].nlink++;
}

static void do_unlink(struct model *m)
{
	int k = (int)model_rand(m, MODEL_NAMES);

	if (m->names[k] < 0)
		return;
	rm(m->d, parent_of(m->dir, k), name_of(k));
	lose(m, m->names[k]);
	m->names[k] = -1;
}

void model_step(struct model *m)
{
	int file = any_file(m), other = any_file(m);
	uint64_t what = model_rand(m, 16);

	if (file < 0 || what == 0) {
		create(m, (int)model_rand(m, MODEL_NAMES));
		return;
	}
	if (what < 6)
		do_write(m, &m->files[file], false);
	else if (what == 6)
		do_write(m, &m->files[file], true);
	else if (what == 7)
		do_size(m, &m->files[file]);
	else if (what == 8 || what == 9)
		do_zero(m, &m->files[file], what == 8);
	else if (what == 10 && other >= 0)
		do_copy(m, &m->files[file], &m->files[other]);
	else if (what == 11)
		do_rename(m);
	else if (what == 12)
		do_link(m);
	else if (what == 14)
		do_promise(m, &m->files[file]);
	else if (what == 13 && model_rand(m, 2))
		do_unlink(m);
}

/* ---- one number ---- */

uint64_t model_hash(const struct model *m)
{
	uint64_t h = 1;

	for (int k = 0; k < MODEL_NAMES; k++) {
		const struct model_file *f;

		if (m->names[k] < 0)
			continue;
		f = &m->files[m->names[k]];
		h = mix(mix(mix(h, (uint64_t)k), f->n), (uint64_t)f->nlink);
		h = mix_bytes(h, f->p, f->n);
	}
	return h;
}

struct cache_counts model_counts(const struct model *m)
{
	struct cache_counts t = { .inodes = 2 }; /* the root and the directory */

	for (int k = 0; k < MODEL_FILES; k++) {
		if (m->files[k].nlink == 0)
			continue;
		t.inodes++;
		t.bytes += m->files[k].n;
	}
	return t;
}

static int on_name(void *ctx, struct slice name, const struct cache_attr *a,
		   uint64_t pos)
{
	unsigned *n = ctx;

	(void)name, (void)a, (void)pos;
	(*n)++;
	return 0;
}

static unsigned count_names(struct drive *d, uint64_t dir)
{
	struct cache_op op = { 0 };
	unsigned n = 0;

	assert_int_equal(cache_readdir(d->c, &op, dir, 0, on_name, &n), 0);
	return n;
}

uint64_t drive_hash(struct drive *d)
{
	uint64_t h = 1, dir = look(d, CACHE_ROOT_INO, "dir");
	static uint8_t p[MODEL_FILE_MAX];
	struct model m = { .d = d };
	unsigned n_names = 0;

	if (!dir)
		return count_names(d, CACHE_ROOT_INO) ? 0 : 1;
	for (int k = 0; k < MODEL_NAMES; k++) {
		uint64_t ino = look(d, parent_of(dir, k), name_of(k));
		struct cache_op op = { 0 };
		struct cache_attr a;
		size_t n = 0;
		int r;

		if (!ino)
			continue;
		n_names++;
		a = attr(d, ino);
		h = mix(mix(mix(h, (uint64_t)k), a.size), a.nlink);
		UNTIL_THERE(&m, r, cache_read(d->c, &op, ino, 0, p, sizeof(p), &n));
		assert_int_equal(n, a.size);
		h = mix_bytes(h, p, n);
	}
	return n_names + 1 == count_names(d, CACHE_ROOT_INO) + count_names(d, dir) ?
		       h :
		       0;
}
