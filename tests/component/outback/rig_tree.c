/* rig_tree.c - a device's tree as text, so that two can be compared */
#include "rig_op.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct entries {
	struct {
		char name[256];
		uint64_t ino;
	} * v;
	size_t n, cap;
	uint64_t pos;
};

static int on_name(void *ctx, struct slice name, const struct cache_attr *attr,
		   uint64_t pos)
{
	struct entries *e = ctx;

	e->pos = pos;
	if (e->n == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 64;
		e->v = realloc(e->v, e->cap * sizeof(*e->v));
		assert_non_null(e->v);
	}
	memcpy(e->v[e->n].name, name.p, name.n);
	e->v[e->n].name[name.n] = '\0';
	e->v[e->n++].ino = attr->ino;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void text_bytes(struct device *d, struct buf *out, uint64_t ino, uint64_t size)
{
	uint8_t *p = malloc(RIG_BLOCK);
	uint64_t sum = 0xcbf29ce484222325u;
	uint64_t off = 0;
	size_t n = 0;
	int r = 0;

	assert_non_null(p);
	for (; off < size && r == 0; off += n) {
		r = op_read(d, ino, off, p, RIG_BLOCK, &n);
		if (r == 0 && n == 0)
			break;
		for (size_t i = 0; i < n && r == 0; i++)
			sum = (sum ^ p[i]) * 0x100000001b3u;
	}
	free(p);
	if (r < 0)
		ok(buf_printf(out, " unreadable"));
	else
		ok(buf_printf(out, " bytes %llu sum %016llx",
			      (unsigned long long)off, (unsigned long long)sum));
}

/* Chunks of 1 MiB that are holes from end to end. */
static void text_holes(struct device *d, struct buf *out, uint64_t ino, uint64_t size)
{
	uint64_t data, n = 0;
	int r;

	for (uint64_t off = 0; off < size; off += RIG_BLOCK) {
		struct cache_op op = { .uid = 0 };

		again(r, op, cache_lseek(d->cache, &op, ino, off, SEEK_DATA, &data));
		if (r == -ENXIO)
			data = UINT64_MAX;
		else if (r < 0)
			return;
		n += data >= off + MIN(RIG_BLOCK, size - off);
	}
	ok(buf_printf(out, " holes %llu", (unsigned long long)n));
}

static void text_xattrs(struct device *d, struct buf *out, uint64_t ino)
{
	uint8_t *names = malloc(65536), *value = malloc(65536);
	struct cache_op op = { .uid = 0 };
	size_t n = 0, m;
	int r;

	assert_true(names && value);
	again(r, op, cache_listxattr(d->cache, &op, ino, names, 65536, &n));
	ok(r);
	for (size_t i = 0; i < n; i += strlen((char *)names + i) + 1) {
		const char *name = (char *)names + i;
		uint64_t sum = 0;

		again(r, op,
		      cache_getxattr(d->cache, &op, ino, slice_str(name), value,
				     65536, &m));
		ok(r);
		for (size_t k = 0; k < m; k++)
			sum = sum * 31 + value[k];
		ok(buf_printf(out, " [%s %zu %llx]", name, m,
			      (unsigned long long)sum));
	}
	free(names);
	free(value);
}

static void text_inode(struct device *d, struct buf *out, uint64_t ino)
{
	struct cache_op op = { .uid = 0 };
	uint8_t target[4096];
	struct cache_attr a;
	size_t n;
	int r;

	again(r, op, cache_getattr(d->cache, &op, ino, &a));
	ok(r);
	ok(buf_printf(out, " ino %llu mode %o %u:%u nlink %u rdev %llx size %llu m %lld.%ld c %lld.%ld b %lld.%ld",
		      (unsigned long long)a.ino, a.mode, a.uid, a.gid,
		      S_ISDIR(a.mode) ? 0 : a.nlink, (unsigned long long)a.rdev,
		      S_ISDIR(a.mode) ? 0ull : (unsigned long long)a.size,
		      (long long)a.mtime.tv_sec, a.mtime.tv_nsec,
		      (long long)a.ctime.tv_sec, a.ctime.tv_nsec,
		      (long long)a.btime.tv_sec, a.btime.tv_nsec));
	if (S_ISLNK(a.mode)) {
		again(r, op,
		      cache_readlink(d->cache, &op, ino, target, sizeof(target),
				     &n));
		ok(r);
		ok(buf_printf(out, " -> %.*s", (int)n, (char *)target));
	}
	if (S_ISREG(a.mode)) {
		text_bytes(d, out, ino, a.size);
		text_holes(d, out, ino, a.size);
	}
	text_xattrs(d, out, ino);
}

static void text_dir(struct device *d, struct buf *out, uint64_t ino,
		     const char *path)
{
	struct entries e = { 0 };
	struct cache_op op = { .uid = 0 };
	char sub[1024];
	struct cache_attr a;
	size_t n;
	int r;

	/* A miss behind some names ends a call early: go on from there. */
	do {
		n = e.n;
		r = cache_readdir(d->cache, &op, ino, e.pos, on_name, &e);
		if (r == -EINPROGRESS) {
			r = op_fetch(d, &op);
			r = r < 0 ? r : -EAGAIN;
		}
	} while (r == -EAGAIN || (r == 0 && e.n > n));
	if (r < 0)
		ok(buf_printf(out, "%s: unreadable directory: %s\n", path,
			      err_str(r)));
	if (r == 0 && e.n)
		qsort(e.v, e.n, sizeof(*e.v), by_text);
	for (size_t i = 0; i < e.n && r == 0; i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e.v[i].name);
		if (op_lookup(d, ino, slice_str(e.v[i].name), &a) < 0) {
			ok(buf_printf(out, "%s: unreadable inode\n", sub));
			continue;
		}
		ok(buf_printf(out, "%s:", sub));
		text_inode(d, out, a.ino);
		ok(buf_printf(out, "\n"));
		if (S_ISDIR(a.mode))
			text_dir(d, out, a.ino, sub);
	}
	free(e.v);
}

char *tree_text(struct device *d)
{
	struct buf out;

	buf_init(&out, 64u << 20);
	ok(buf_printf(&out, ".:"));
	text_inode(d, &out, CACHE_ROOT_INO);
	ok(buf_printf(&out, "\n"));
	text_dir(d, &out, CACHE_ROOT_INO, "");
	ok(buf_u8(&out, 0));
	return (char *)out.p;
}

void tree_same(const char *want, const char *got)
{
	while (*want || *got) {
		size_t n = strcspn(want, "\n"), m = strcspn(got, "\n");

		if (n != m || memcmp(want, got, n) != 0)
			fail_msg("want %.*s\n    got  %.*s", (int)n, want,
				 (int)m, got);
		want += n + (want[n] == '\n');
		got += m + (got[m] == '\n');
	}
}

void tree_is(struct device *d, const char *want)
{
	char *got = tree_text(d);

	tree_same(want, got);
	free(got);
}

char *recovered_text(struct rig *r, const char *name, size_t n_stores)
{
	struct device d;
	char *text;

	device_recover(&d, r, name, n_stores, 1, 0);
	text = tree_text(&d);
	device_close(&d);
	return text;
}

void recovers_as(struct rig *r, const char *name, size_t n_stores, const char *want)
{
	char *got = recovered_text(r, name, n_stores);

	tree_same(want, got);
	free(got);
}

static void ends_and_comes_back(struct device *d, struct rig *r,
				size_t n_stores, bool lost)
{
	char *want = tree_text(d);

	device_close(d);
	if (lost)
		rig_remove(r, d->name);
	recovers_as(r, "back", n_stores, want);
	free(want);
}

void comes_back(struct device *d, struct rig *r, size_t n_stores)
{
	ends_and_comes_back(d, r, n_stores, false);
}

void comes_back_after_loss(struct device *d, struct rig *r, size_t n_stores)
{
	ends_and_comes_back(d, r, n_stores, true);
}
