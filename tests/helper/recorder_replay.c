/*
 * recorder_replay.c - the disk after a power cut
 *
 * A backward pass over the log finds what a later sync made durable; a forward
 * pass applies that, and of the rest what the policy keeps.
 */
#include "helper/recorder.h"

#include <errno.h>
#include <string.h>

#include "helper/recorder_log.h"

#define SECTOR 512u

struct replay {
	struct recorder *to;
	struct memnode **nodes; /* by id, referenced; NULL: not met yet */
	size_t n_nodes;
	bool *durable; /* by log index */
	bool *picked;  /* of RECORDER_PICK: is lost */
	const struct recorder_cut *cut;
};

/* splitmix64 of seed and position: the same cut is always the same disk. */
static uint64_t dice(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t x = seed + a * 0x9e3779b97f4a7c15u + b * 0xd1b54a32d192ed03u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static bool is_sync(const struct change *c)
{
	return c->kind == CHANGE_SYNC || c->kind == CHANGE_SYNCDIR;
}

static int find_durable(const struct recorder *rec, struct replay *rp, size_t *ret)
{
	_cleanup_free_ bool *synced = calloc(rp->n_nodes, sizeof(*synced));
	size_t n = 0;

	rp->durable = calloc(rp->cut->at + 1, sizeof(*rp->durable));
	rp->picked = calloc(rp->cut->at + 1, sizeof(*rp->picked));
	if (!synced || !rp->durable || !rp->picked)
		return -ENOMEM;
	for (size_t i = rp->cut->at; i-- > 0;) {
		if (is_sync(&rec->log[i])) {
			synced[rec->log[i].node] = true;
			continue;
		}
		rp->durable[i] = synced[rec->log[i].node];
		if (rp->durable[i])
			continue;
		rp->picked[i] = n < 64 && (rp->cut->seed >> n & 1);
		n++;
	}
	*ret = n;
	return 0;
}

int recorder_unsynced(struct recorder *rec, size_t at, size_t *ret)
{
	struct recorder_cut cut = { .at = at };
	struct replay rp = { .cut = &cut };
	int r;

	lock_take(&rec->lock);
	assert(at <= rec->n_log);
	rp.n_nodes = rec->next_id;
	r = find_durable(rec, &rp, ret);
	lock_drop(&rec->lock);
	free(rp.durable);
	free(rp.picked);
	return r;
}

/* Is it there whole, whatever the dice say? */
static bool is_kept(const struct replay *rp, size_t i)
{
	return rp->durable[i] || rp->cut->lose == RECORDER_NOTHING ||
	       (rp->cut->lose == RECORDER_PICK && !rp->picked[i]);
}

/* NULL: no memory. */
static struct memnode *node_of(struct replay *rp, size_t id, bool dir)
{
	struct memnode **node = &rp->nodes[id];

	if (!*node && memnode_new(id, dir, &rp->to->used, node) < 0)
		return NULL;
	return *node;
}

/* Each sector kept or not; of a lost one perhaps the length. */
static int apply_torn(struct replay *rp, size_t i, const struct change *c,
		      struct memnode *node)
{
	uint64_t off = c->off, end = c->off + c->n;
	uint64_t next, d;
	int r = 0;

	while (r == 0 && off < end) {
		next = MIN(end, align_down(off, SECTOR) + SECTOR);
		d = dice(rp->cut->seed, i, off / SECTOR);
		if (d & 1)
			r = memnode_write(node, c->data + (off - c->off),
					  next - off, off);
		else if ((d & 6) == 6 && next > node->size)
			r = memnode_truncate(node, next);
		off = next;
	}
	return r;
}

static int apply_data(struct replay *rp, size_t i, const struct change *c)
{
	uint64_t d = dice(rp->cut->seed, i, UINT64_MAX);
	bool whole = is_kept(rp, i);
	struct memnode *node = node_of(rp, c->node, false);

	if (!node)
		return -ENOMEM;
	if (!whole) {
		if (rp->cut->lose != RECORDER_SOME || d % 3 == 0)
			return 0;
		if (c->kind == CHANGE_WRITE && d % 3 == 1)
			return apply_torn(rp, i, c, node);
	}
	if (c->kind == CHANGE_WRITE)
		return memnode_write(node, c->data, c->n, c->off);
	if (c->kind == CHANGE_TRUNCATE)
		return memnode_truncate(node, c->n);
	if (c->kind == CHANGE_ALLOCATE)
		return memnode_allocate(node, c->off, c->n, c->flag);
	memnode_punch(node, c->off, c->n);
	return 0;
}

/*
 * Names point to nodes, so a kept rename needs no kept create before it.  An
 * unlink or rename takes a name away only from the file that it was said of.
 */
static int apply_name(struct replay *rp, size_t i, const struct change *c)
{
	struct memfs *fs = &rp->to->now;
	struct memnode *node = node_of(rp, c->file, c->flag);
	struct memnode *at;
	int r;

	if (!node)
		return -ENOMEM;
	if (!is_kept(rp, i) && (rp->cut->lose != RECORDER_SOME ||
				(dice(rp->cut->seed, i, UINT64_MAX) & 1)))
		return 0;
	if (c->kind == CHANGE_CREATE)
		return memfs_link(fs, c->path, node);
	if (c->kind == CHANGE_RENAME) {
		r = memfs_link(fs, c->to, node);
		if (r < 0 || strcmp(c->path, c->to) == 0)
			return r;
	}
	at = memfs_find(fs, c->path);
	if (at && at->id == c->file)
		memfs_unlink(fs, c->path);
	return 0;
}

static int apply(struct replay *rp, size_t i, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_WRITE:
	case CHANGE_TRUNCATE:
	case CHANGE_ALLOCATE:
	case CHANGE_PUNCH: return apply_data(rp, i, c);
	case CHANGE_CREATE:
	case CHANGE_RENAME:
	case CHANGE_UNLINK: return apply_name(rp, i, c);
	case CHANGE_SYNC:
	case CHANGE_SYNCDIR: break;
	}
	return 0;
}

static int replay(struct recorder *rec, struct replay *rp)
{
	size_t n;
	int r;

	rp->n_nodes = rec->next_id;
	rp->nodes = calloc(rp->n_nodes, sizeof(struct memnode *));
	if (!rp->nodes)
		return -ENOMEM;
	r = find_durable(rec, rp, &n);
	if (r < 0)
		return r;
	memfs_fini(&rp->to->now);
	rp->to->next_id = rec->next_id;
	r = memfs_clone(&rec->base, &rp->to->used, &rp->to->now);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rp->to->now.n; i++) {
		struct memnode *node = rp->to->now.e[i].node;

		if (!rp->nodes[node->id])
			rp->nodes[node->id] = memnode_ref(node);
	}
	for (size_t i = 0; r == 0 && i < rp->cut->at; i++)
		r = apply(rp, i, &rec->log[i]);
	return r;
}

int recorder_replay(struct recorder *rec, const struct recorder_cut *cut,
		    struct recorder **ret)
{
	struct replay rp = { .cut = cut };
	int r = recorder_new(&rp.to);

	if (r < 0)
		return r;
	lock_take(&rec->lock);
	assert(cut->at <= rec->n_log);
	r = replay(rec, &rp);
	lock_drop(&rec->lock);
	for (size_t i = 0; rp.nodes && i < rp.n_nodes; i++)
		memnode_unref(rp.nodes[i]);
	free(rp.nodes);
	free(rp.durable);
	free(rp.picked);
	if (r == 0)
		r = recorder_forget(rp.to);
	if (r < 0) {
		recorder_free(rp.to);
		return r;
	}
	*ret = rp.to;
	return 0;
}
