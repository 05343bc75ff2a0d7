#include "helper/memfs.h"

#include <errno.h>
#include <string.h>

int memnode_new(size_t id, bool dir, uint64_t *used, struct memnode **ret)
{
	struct memnode *node = disk_calloc(1, sizeof(*node));

	if (!node)
		return -ENOMEM;
	node->id = id;
	node->refs = 1;
	node->dir = dir;
	node->used = used;
	*ret = node;
	return 0;
}

struct memnode *memnode_ref(struct memnode *node)
{
	node->refs++;
	return node;
}

void memnode_unref(struct memnode *node)
{
	if (!node || --node->refs)
		return;
	for (size_t i = 0; i < node->n_blocks; i++)
		*node->used -= node->blocks[i];
	free(node->data);
	free(node->blocks);
	free(node);
}

size_t memnode_read(const struct memnode *node, void *p, size_t n, uint64_t off)
{
	if (off >= node->size)
		return 0;
	n = MIN(n, node->size - off);
	if (n)
		memcpy(p, node->data + off, n);
	return n;
}

static int grow_data(struct memnode *node, uint64_t end)
{
	size_t cap = MAX(node->cap, MEMFS_BLOCK);
	uint8_t *p;

	if (end <= node->cap)
		return 0;
	while (cap < end)
		cap *= 2;
	p = disk_realloc(node->data, cap);
	if (!p)
		return -ENOMEM;
	memset(p + node->cap, 0, cap - node->cap);
	node->data = p;
	node->cap = cap;
	return 0;
}

static int grow_blocks(struct memnode *node, uint64_t n)
{
	uint8_t *p;

	if (n <= node->n_blocks)
		return 0;
	p = disk_realloc(node->blocks, n);
	if (!p)
		return -ENOMEM;
	memset(p + node->n_blocks, 0, n - node->n_blocks);
	node->blocks = p;
	node->n_blocks = n;
	return 0;
}

static int take_blocks(struct memnode *node, uint64_t off, uint64_t n)
{
	uint64_t end = (off + n + MEMFS_BLOCK - 1) / MEMFS_BLOCK;
	int r = grow_blocks(node, end);

	if (r < 0)
		return r;
	for (uint64_t i = off / MEMFS_BLOCK; i < end; i++) {
		*node->used += !node->blocks[i];
		node->blocks[i] = 1;
	}
	return 0;
}

/* Gives back the blocks first..end-1. */
static void drop_blocks(struct memnode *node, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < MIN(end, node->n_blocks); i++) {
		*node->used -= node->blocks[i];
		node->blocks[i] = 0;
	}
}

int memnode_write(struct memnode *node, const void *p, size_t n, uint64_t off)
{
	int r;

	if (n == 0)
		return 0;
	r = grow_data(node, off + n);
	if (r < 0)
		return r;
	r = take_blocks(node, off, n);
	if (r < 0)
		return r;
	memcpy(node->data + off, p, n);
	node->size = MAX(node->size, off + n);
	return 0;
}

int memnode_truncate(struct memnode *node, uint64_t size)
{
	int r;

	if (size < node->size)
		memset(node->data + size, 0, node->size - size);
	r = grow_data(node, size);
	if (r < 0)
		return r;
	drop_blocks(node, (size + MEMFS_BLOCK - 1) / MEMFS_BLOCK, UINT64_MAX);
	node->size = size;
	return 0;
}

int memnode_allocate(struct memnode *node, uint64_t off, uint64_t n, bool keep_size)
{
	int r = take_blocks(node, off, n);

	if (r < 0 || keep_size || off + n <= node->size)
		return r;
	r = grow_data(node, off + n);
	if (r == 0)
		node->size = off + n;
	return r;
}

void memnode_punch(struct memnode *node, uint64_t off, uint64_t n)
{
	uint64_t end = MIN(off + n, node->size);

	if (off < end)
		memset(node->data + off, 0, end - off);
	drop_blocks(node, (off + MEMFS_BLOCK - 1) / MEMFS_BLOCK,
		    (off + n) / MEMFS_BLOCK);
}

uint64_t memnode_missing(const struct memnode *node, uint64_t off, uint64_t n)
{
	uint64_t end = (off + n + MEMFS_BLOCK - 1) / MEMFS_BLOCK;
	uint64_t missing = 0;

	for (uint64_t i = off / MEMFS_BLOCK; n && i < end; i++)
		missing += i >= node->n_blocks || !node->blocks[i];
	return missing;
}

void memfs_fini(struct memfs *fs)
{
	for (size_t i = 0; i < fs->n; i++) {
		free(fs->e[i].path);
		memnode_unref(fs->e[i].node);
	}
	free(fs->e);
	*fs = (struct memfs){ 0 };
}

static struct mement *find(const struct memfs *fs, const char *path)
{
	for (size_t i = 0; i < fs->n; i++)
		if (strcmp(fs->e[i].path, path) == 0)
			return &fs->e[i];
	return NULL;
}

struct memnode *memfs_find(const struct memfs *fs, const char *path)
{
	struct mement *e = find(fs, path);

	return e ? e->node : NULL;
}

int memfs_link(struct memfs *fs, const char *path, struct memnode *node)
{
	struct mement *e = find(fs, path);
	size_t cap = fs->cap ? fs->cap * 2 : 16;

	if (e) {
		memnode_ref(node);
		memnode_unref(e->node);
		e->node = node;
		return 0;
	}
	if (fs->n == fs->cap) {
		e = disk_realloc(fs->e, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		fs->e = e;
		fs->cap = cap;
	}
	e = &fs->e[fs->n];
	e->path = disk_strdup(path);
	if (!e->path)
		return -ENOMEM;
	e->node = memnode_ref(node);
	fs->n++;
	return 0;
}

void memfs_unlink(struct memfs *fs, const char *path)
{
	struct mement *e = find(fs, path);

	if (!e)
		return;
	free(e->path);
	memnode_unref(e->node);
	*e = fs->e[--fs->n];
}

static struct memnode *find_id(const struct memfs *fs, size_t id)
{
	for (size_t i = 0; i < fs->n; i++)
		if (fs->e[i].node->id == id)
			return fs->e[i].node;
	return NULL;
}

static int clone_node(const struct memnode *from, uint64_t *used,
		      struct memnode **ret)
{
	struct memnode *node = NULL;
	int r = memnode_new(from->id, from->dir, used, &node);

	if (r < 0)
		return r;
	r = grow_data(node, from->size);
	if (r == 0)
		r = grow_blocks(node, from->n_blocks);
	if (r < 0) {
		memnode_unref(node);
		return r;
	}
	if (from->size)
		memcpy(node->data, from->data, from->size);
	node->size = from->size;
	for (size_t i = 0; i < from->n_blocks; i++) {
		node->blocks[i] = from->blocks[i];
		*used += from->blocks[i];
	}
	*ret = node;
	return 0;
}

int memfs_clone(const struct memfs *fs, uint64_t *used, struct memfs *ret)
{
	struct memfs to = { 0 };
	struct memnode *node;
	int r = 0;

	for (size_t i = 0; r == 0 && i < fs->n; i++) {
		node = find_id(&to, fs->e[i].node->id);
		if (node) {
			r = memfs_link(&to, fs->e[i].path, node);
			continue;
		}
		r = clone_node(fs->e[i].node, used, &node);
		if (r < 0)
			break;
		r = memfs_link(&to, fs->e[i].path, node);
		memnode_unref(node);
	}
	if (r < 0) {
		memfs_fini(&to);
		return r;
	}
	*ret = to;
	return 0;
}
