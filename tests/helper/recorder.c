#include "helper/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helper/recorder_log.h"

void change_fini(struct change *c)
{
	free(c->data);
	free(c->path);
	free(c->to);
}

int recorder_new(struct recorder **ret)
{
	struct recorder *rec = disk_calloc(1, sizeof(*rec));
	struct memnode *root = NULL;
	int r;

	if (!rec)
		return -ENOMEM;
	rec->io.ops = &recorder_disk;
	lock_init(&rec->lock);
	r = memnode_new(rec->next_id++, true, &rec->used, &root);
	if (r == 0) {
		r = memfs_link(&rec->now, ".", root);
		memnode_unref(root);
	}
	if (r == 0)
		r = memfs_clone(&rec->now, &rec->base_used, &rec->base);
	if (r < 0) {
		recorder_free(rec);
		return r;
	}
	*ret = rec;
	return 0;
}

static void clear_log(struct recorder *rec)
{
	for (size_t i = 0; i < rec->n_log; i++)
		change_fini(&rec->log[i]);
	rec->n_log = 0;
}

void recorder_free(struct recorder *rec)
{
	if (!rec)
		return;
	clear_log(rec);
	free(rec->log);
	memfs_fini(&rec->now);
	memfs_fini(&rec->base);
	lock_fini(&rec->lock);
	free(rec);
}

struct io *recorder_io(struct recorder *rec)
{
	return &rec->io;
}

size_t recorder_length(struct recorder *rec)
{
	size_t n;

	lock_take(&rec->lock);
	n = rec->n_log;
	lock_drop(&rec->lock);
	return n;
}

int recorder_forget(struct recorder *rec)
{
	struct memfs base = { 0 };
	int r;

	lock_take(&rec->lock);
	r = memfs_clone(&rec->now, &rec->base_used, &base);
	if (r == 0) {
		memfs_fini(&rec->base);
		rec->base = base;
		clear_log(rec);
	}
	lock_drop(&rec->lock);
	return r;
}

uint64_t recorder_calls(struct recorder *rec, unsigned kinds)
{
	uint64_t n = 0;

	lock_take(&rec->lock);
	for (unsigned i = 0; i < ARRAY_LEN(rec->calls); i++)
		if (kinds & 1u << i)
			n += rec->calls[i];
	lock_drop(&rec->lock);
	return n;
}

void recorder_fail(struct recorder *rec, unsigned kinds, uint64_t nth, int err,
		   bool sticky)
{
	lock_take(&rec->lock);
	rec->fail_kinds = kinds;
	rec->fail_in = nth;
	rec->fail_err = err;
	rec->fail_sticky = sticky;
	rec->failed = 0;
	lock_drop(&rec->lock);
}

uint64_t recorder_begun(struct recorder *rec)
{
	uint64_t n;

	lock_take(&rec->lock);
	n = rec->begun;
	lock_drop(&rec->lock);
	return n;
}

uint64_t recorder_wanted(struct recorder *rec)
{
	uint64_t n;

	lock_take(&rec->lock);
	n = rec->wanted;
	lock_drop(&rec->lock);
	return n;
}

uint64_t recorder_failed(struct recorder *rec)
{
	uint64_t n;

	lock_take(&rec->lock);
	n = rec->failed;
	lock_drop(&rec->lock);
	return n;
}

void recorder_limit(struct recorder *rec, uint64_t bytes)
{
	lock_take(&rec->lock);
	rec->limit = bytes / MEMFS_BLOCK;
	lock_drop(&rec->lock);
}

uint64_t recorder_used(struct recorder *rec)
{
	uint64_t n;

	lock_take(&rec->lock);
	n = rec->used * MEMFS_BLOCK;
	lock_drop(&rec->lock);
	return n;
}

uint64_t recorder_used_by(struct recorder *rec, const char *prefix)
{
	uint64_t n = 0;

	lock_take(&rec->lock);
	for (size_t i = 0; i < rec->now.n; i++) {
		const struct memnode *node = rec->now.e[i].node;

		if (strncmp(rec->now.e[i].path, prefix, strlen(prefix)) != 0)
			continue;
		for (size_t k = 0; k < node->n_blocks; k++)
			n += node->blocks[k];
	}
	lock_drop(&rec->lock);
	return n * MEMFS_BLOCK;
}

static bool holds(const void *p, size_t n, struct slice needle)
{
	return p && memmem(p, n, needle.p, needle.n);
}

bool recorder_contains(struct recorder *rec, struct slice needle)
{
	bool found = false;

	lock_take(&rec->lock);
	for (size_t i = 0; !found && i < rec->n_log; i++) {
		const struct change *c = &rec->log[i];

		found = holds(c->data, c->n, needle) ||
			(c->path && holds(c->path, strlen(c->path), needle)) ||
			(c->to && holds(c->to, strlen(c->to), needle));
	}
	for (size_t i = 0; !found && i < rec->now.n; i++) {
		const struct mement *e = &rec->now.e[i];

		found = holds(e->node->data, e->node->size, needle) ||
			holds(e->path, strlen(e->path), needle);
	}
	lock_drop(&rec->lock);
	return found;
}

int64_t recorder_size(struct recorder *rec, const char *name)
{
	const struct memnode *node;
	int64_t n;

	lock_take(&rec->lock);
	node = memfs_find(&rec->now, name);
	n = node ? (int64_t)node->size : -ENOENT;
	lock_drop(&rec->lock);
	return n;
}

int recorder_flip(struct recorder *rec, const char *name, uint64_t off, uint8_t mask)
{
	struct memnode *node;
	int r = 0;

	lock_take(&rec->lock);
	node = memfs_find(&rec->now, name);
	if (!node)
		r = -ENOENT;
	else if (off >= node->size)
		r = -ERANGE;
	else
		node->data[off] ^= mask;
	lock_drop(&rec->lock);
	return r;
}

void recorder_watch(struct recorder *rec, size_t every,
		    void (*cb)(void *ctx, size_t at), void *ctx)
{
	lock_take(&rec->lock);
	rec->watch = cb;
	rec->watch_ctx = ctx;
	rec->watch_every = every;
	lock_drop(&rec->lock);
}
