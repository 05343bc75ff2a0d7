/* trace.c - what a program did to a file system, done again to a drive */
#include "trace.h"

#include <stdio.h>

#include "helper/mix.h"

#define ENTRIES_MAX 512
#define LINE_MAX_   512
#define FILE_MAX    (1u << 20)

/* A file or directory; files may have several names. */
struct node {
	bool dir;
	uint64_t ino;
	unsigned nlink;
	uint8_t *p;
	size_t n;
	uint64_t hash; /* of its bytes; 0: not known */
};

struct trace {
	char **lines;
	size_t n;
	struct name {
		char path[LINE_MAX_]; /* "": free */
		struct node *node;
	} names[ENTRIES_MAX];
};

/* Once there is what is missing. */
#define UNTIL_THERE(d, r, call)                  \
 do {                                            \
  struct cache_op op = { 0 };                    \
  while (((r) = (call)) == -EINPROGRESS)         \
   assert_int_equal(fetch_wait((d), &op, 0), 0); \
 } while (0)

/* ---- one number ---- */

static uint64_t bytes_hash(const uint8_t *p, size_t n)
{
	return mix_bytes(mix(1, n), p, n) | 1;
}

/* Sums of these: the order of names does not matter. */
static uint64_t entry_hash(const char *path, bool dir, unsigned nlink,
			   uint64_t content)
{
	uint64_t h = mix_bytes(dir ? 2 : 3, path, strlen(path));

	return dir ? h : mix(mix(h, nlink), content);
}

uint64_t trace_hash(struct trace *t)
{
	uint64_t h = 1;

	for (size_t k = 0; k < ENTRIES_MAX; k++) {
		struct node *f = t->names[k].node;

		if (!f)
			continue;
		if (!f->hash)
			f->hash = bytes_hash(f->p, f->n);
		h += entry_hash(t->names[k].path, f->dir, f->nlink, f->hash);
	}
	return h;
}

struct listing {
	char names[ENTRIES_MAX][LINE_MAX_];
	struct cache_attr attrs[ENTRIES_MAX];
	size_t n;
};

static int on_name(void *ctx, struct slice name, const struct cache_attr *a,
		   uint64_t pos)
{
	struct listing *l = ctx;

	(void)pos;
	assert_true(l->n < ENTRIES_MAX && name.n < LINE_MAX_);
	memcpy(l->names[l->n], name.p, name.n);
	l->names[l->n][name.n] = '\0';
	l->attrs[l->n++] = *a;
	return 0;
}

static uint64_t file_hash(struct drive *d, uint64_t ino, uint64_t size)
{
	uint8_t *p = malloc(size + 1);
	uint64_t h;
	size_t n = 0;
	int r;

	assert_true(p && size <= FILE_MAX);
	UNTIL_THERE(d, r, cache_read(d->c, &op, ino, 0, p, size + 1, &n));
	assert_int_equal(r, 0);
	assert_int_equal(n, size);
	h = bytes_hash(p, n);
	free(p);
	return h;
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the trace's paths
static uint64_t dir_hash(struct drive *d, uint64_t ino, const char *path)
{
	struct listing *l = calloc(1, sizeof(*l));
	char sub[2 * LINE_MAX_];
	uint64_t h = 0;
	int r;

	assert_non_null(l);
	UNTIL_THERE(d, r, cache_readdir(d->c, &op, ino, 0, on_name, l));
	assert_int_equal(r, 0);
	for (size_t k = 0; k < l->n; k++) {
		const struct cache_attr *a = &l->attrs[k];
		bool dir = S_ISDIR(a->mode);

		(void)snprintf(sub, sizeof(sub), "%s%s%s", path, *path ? "/" : "",
			       l->names[k]); /* paths of a trace are short */
		h += entry_hash(sub, dir, a->nlink,
				dir ? 0 : file_hash(d, a->ino, a->size));
		if (dir)
			h += dir_hash(d, a->ino, sub);
	}
	free(l);
	return h;
}

uint64_t trace_drive_hash(struct drive *d)
{
	return 1 + dir_hash(d, CACHE_ROOT_INO, "");
}

/* ---- reading ---- */

struct trace *trace_new(const char *name)
{
	struct trace *t = calloc(1, sizeof(*t));
	char path[256], line[LINE_MAX_];
	FILE *f;

	assert_non_null(t);
	(void)snprintf(path, sizeof(path), TRACES "/%s.trace", name); /* fits */
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s: %s", path, err_str(-errno));
	while (fgets(line, sizeof(line), f)) {
		char **v = realloc(t->lines, (t->n + 1) * sizeof(*v));

		assert_non_null(v);
		line[strcspn(line, "\n")] = '\0';
		t->lines = v;
		t->lines[t->n] = strdup(line);
		assert_non_null(t->lines[t->n++]);
	}
	assert_int_equal(fclose(f), 0);
	return t;
}

static void unname(struct name *e)
{
	if (--e->node->nlink == 0) {
		free(e->node->p);
		free(e->node);
	}
	*e = (struct name){ .node = NULL };
}

void trace_free(struct trace *t)
{
	for (size_t k = 0; k < ENTRIES_MAX; k++)
		if (t->names[k].node)
			unname(&t->names[k]);
	for (size_t k = 0; k < t->n; k++)
		free(t->lines[k]);
	free(t->lines);
	free(t);
}

size_t trace_length(const struct trace *t)
{
	return t->n;
}

/* ---- doing ---- */

static struct name *find(struct trace *t, const char *path)
{
	for (size_t k = 0; k < ENTRIES_MAX; k++)
		if (t->names[k].node && strcmp(t->names[k].path, path) == 0)
			return &t->names[k];
	return NULL;
}

static struct name *there(struct trace *t, const char *path)
{
	struct name *e = find(t, path);

	if (!e)
		fail_msg("the trace uses %s, which it did not make", path);
	return e;
}

static void enter(struct trace *t, const char *path, struct node *f)
{
	size_t k = 0;

	while (k < ENTRIES_MAX && t->names[k].node)
		k++;
	assert_true(k < ENTRIES_MAX);
	(void)snprintf(t->names[k].path, LINE_MAX_, "%s", path);
	t->names[k].node = f;
	f->nlink++;
}

/* The directory that a path is in, and its last name. */
static uint64_t parent(struct trace *t, const char *path, struct slice *ret)
{
	const char *slash = strrchr(path, '/');
	char dir[LINE_MAX_];

	*ret = slice_str(slash ? slash + 1 : path);
	if (!slash)
		return CACHE_ROOT_INO;
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return there(t, dir)->node->ino;
}

static void make(struct trace *t, struct drive *d, const char *path, bool dir)
{
	struct cache_new new = { .mode = dir ? S_IFDIR | 0755 : S_IFREG | 0644 };
	struct node *f = calloc(1, sizeof(*f));
	struct cache_op op = { 0 };
	struct cache_attr a;
	struct slice name;
	uint64_t in;

	assert_non_null(f);
	f->dir = dir;
	in = parent(t, path, &name);
	assert_int_equal(cache_mknod(d->c, &op, in, name, &new, &a), 0);
	forget(d, a.ino);
	f->ino = a.ino;
	enter(t, path, f);
}

static void resize(struct node *f, size_t n)
{
	uint8_t *p = realloc(f->p, n + 1);

	assert_true(p && n <= FILE_MAX);
	if (n > f->n)
		memset(p + f->n, 0, n - f->n);
	f->p = p;
	f->n = n;
	f->hash = 0;
}

static void fill(struct trace *t, struct drive *d, const char *path, size_t off,
		 size_t n, size_t k)
{
	struct node *f = there(t, path)->node;
	int r;

	resize(f, MAX(f->n, off + n));
	for (size_t i = 0; i < n; i++) /* zeros are holes, never data */
		f->p[off + i] = (uint8_t)(mix(k, i) | 1);
	UNTIL_THERE(d, r,
		    cache_write(d->c, &op, f->ino, off, slice(f->p + off, n), 0));
	assert_int_equal(r, 0);
}

static void shorten(struct trace *t, struct drive *d, const char *path, size_t n)
{
	struct cache_setattr s = { .mask = CACHE_SET_SIZE, .size = n };
	struct node *f = there(t, path)->node;
	struct cache_attr a;
	int r;

	resize(f, n);
	UNTIL_THERE(d, r, cache_setattr(d->c, &op, f->ino, &s, &a));
	assert_int_equal(r, 0);
}

static void move(struct trace *t, struct drive *d, const char *from, const char *to)
{
	struct name *over = find(t, to), *e = there(t, from);
	size_t n = strlen(from);
	char rest[LINE_MAX_];
	struct slice a, b;
	uint64_t pa = parent(t, from, &a), pb = parent(t, to, &b);
	int r;

	UNTIL_THERE(d, r, cache_rename(d->c, &op, pa, a, pb, b, 0));
	assert_int_equal(r, 0);
	if (over && over->node == e->node)
		return;
	if (over)
		unname(over);
	for (size_t k = 0; k < ENTRIES_MAX; k++) { /* and what is below it */
		e = &t->names[k];
		if (!e->node || strncmp(e->path, from, n) != 0 ||
		    (e->path[n] && e->path[n] != '/'))
			continue;
		(void)snprintf(rest, sizeof(rest), "%s", e->path + n);
		assert_true(snprintf(e->path, LINE_MAX_, "%s%s", to, rest) <
			    LINE_MAX_);
	}
}

static void name_again(struct trace *t, struct drive *d, const char *from,
		       const char *to)
{
	struct node *f = there(t, from)->node;
	struct cache_op op = { 0 };
	struct cache_attr a;
	struct slice name;
	uint64_t in = parent(t, to, &name);

	assert_int_equal(cache_link(d->c, &op, f->ino, in, name, &a), 0);
	forget(d, a.ino);
	enter(t, to, f);
}

static void take_away(struct trace *t, struct drive *d, const char *path, bool dir)
{
	struct slice name;
	uint64_t in = parent(t, path, &name);
	int r;

	if (dir)
		UNTIL_THERE(d, r, cache_rmdir(d->c, &op, in, name));
	else
		UNTIL_THERE(d, r, cache_unlink(d->c, &op, in, name));
	assert_int_equal(r, 0);
	unname(there(t, path));
}

/* Words of a line; numbers are given as words too. */
static size_t split(char *line, char *v[static 4])
{
	size_t n = 0;

	for (char *s = strtok_r(line, " ", &line); s;
	     s = strtok_r(NULL, " ", &line)) {
		assert_true(n < 4);
		v[n++] = s;
	}
	return n;
}

bool trace_do(struct trace *t, size_t k, struct drive *d)
{
	char line[LINE_MAX_], *v[4];
	size_t n;

	(void)snprintf(line, sizeof(line), "%s", t->lines[k]);
	n = split(line, v);
	if (n == 2 && strcmp(v[0], "sync") == 0) {
		assert_int_equal(cache_sync(d->c), 0);
		return true;
	}
	if (n == 2 && strcmp(v[0], "mkdir") == 0)
		make(t, d, v[1], true);
	else if (n == 2 && strcmp(v[0], "create") == 0)
		make(t, d, v[1], false);
	else if (n == 4 && strcmp(v[0], "write") == 0)
		fill(t, d, v[1], strtoul(v[2], NULL, 10),
		     strtoul(v[3], NULL, 10), k);
	else if (n == 3 && strcmp(v[0], "truncate") == 0)
		shorten(t, d, v[1], strtoul(v[2], NULL, 10));
	else if (n == 3 && strcmp(v[0], "rename") == 0)
		move(t, d, v[1], v[2]);
	else if (n == 3 && strcmp(v[0], "link") == 0)
		name_again(t, d, v[1], v[2]);
	else if (n == 2 && strcmp(v[0], "unlink") == 0)
		take_away(t, d, v[1], false);
	else if (n == 2 && strcmp(v[0], "rmdir") == 0)
		take_away(t, d, v[1], true);
	else
		fail_msg("line %zu of the trace: %s", k + 1, t->lines[k]);
	return false;
}
