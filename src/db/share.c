#include "db/share.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define REGIONS_MAX 65536u /* of 32 KiB: indexes 256 million frames */

static struct lock registry_lock = { PTHREAD_MUTEX_INITIALIZER };
static struct list registry = { &registry, &registry };

static struct share *registry_find(const struct io *io, const char *name)
{
	list_foreach(pos, &registry) {
		struct share *sh = container_of(pos, struct share, node);

		if (sh->io == io && strcmp(sh->name, name) == 0)
			return sh;
	}
	return NULL;
}

int share_get(const struct io *io, const char *name, struct share **ret) NO_LOCK_CHECK
{
	struct share *sh;

	lock_take(&registry_lock);
	sh = registry_find(io, name);
	if (!sh) {
		sh = calloc(1, sizeof(*sh));
		if (sh)
			sh->name = strdup(name);
		if (!sh || !sh->name) {
			free(sh);
			lock_drop(&registry_lock);
			return -ENOMEM;
		}
		sh->io = io;
		lock_init(&sh->lock);
		cond_init(&sh->looked);
		list_push(&registry, &sh->node);
	}
	sh->refs++;
	*ret = sh;
	return 0;
}

void share_opened(void) NO_LOCK_CHECK
{
	lock_drop(&registry_lock);
}

static void put_locked(struct share *sh) REQUIRES(&registry_lock)
{
	if (--sh->refs)
		return;
	list_del(&sh->node);
	for (size_t i = 0; i < sh->n_regions; i++)
		free(sh->regions[i]);
	free(sh->regions);
	cond_fini(&sh->looked);
	lock_fini(&sh->lock);
	free(sh->name);
	free(sh);
}

void share_closing(void) NO_LOCK_CHECK
{
	lock_take(&registry_lock);
}

void share_put(struct share *sh) NO_LOCK_CHECK
{
	put_locked(sh);
	lock_drop(&registry_lock);
}

static int lock_locked(struct share *sh, enum share_level from, enum share_level to)
{
	unsigned mine = from >= SHARE_SHARED;

	if (from == SHARE_NONE && sh->exclusive)
		return -EBUSY;
	if (to >= SHARE_RESERVED && from < SHARE_RESERVED && sh->reserved)
		return -EBUSY;
	if (to == SHARE_EXCLUSIVE && sh->n_shared > mine)
		return -EBUSY;
	if (from == SHARE_NONE)
		sh->n_shared++;
	if (to >= SHARE_RESERVED)
		sh->reserved = true;
	if (to == SHARE_EXCLUSIVE)
		sh->exclusive = true;
	return 0;
}

int share_lock(struct share *sh, enum share_level from, enum share_level to)
{
	int r;

	if (to <= from)
		return 0;
	lock_take(&sh->lock);
	r = lock_locked(sh, from, to);
	lock_drop(&sh->lock);
	return r;
}

void share_unlock(struct share *sh, enum share_level from, enum share_level to)
{
	if (to >= from)
		return;
	lock_take(&sh->lock);
	if (from == SHARE_EXCLUSIVE)
		sh->exclusive = false;
	if (from >= SHARE_RESERVED && to < SHARE_RESERVED)
		sh->reserved = false;
	if (to == SHARE_NONE)
		sh->n_shared--;
	lock_drop(&sh->lock);
}

bool share_is_reserved(struct share *sh)
{
	bool yes;

	lock_take(&sh->lock);
	yes = sh->reserved;
	lock_drop(&sh->lock);
	return yes;
}

int share_slots_take(struct share *sh, unsigned first, unsigned n,
		     bool exclusive, bool writes)
{
	bool place = first == SHARE_SLOT_WRITE && exclusive;
	int r = 0;

	assert(first + n <= SHARE_SLOTS);
	lock_take(&sh->lock);
	while (place && writes && sh->looked_at)
		cond_wait(&sh->looked, &sh->lock);
	for (unsigned i = first; i < first + n; i++)
		if (sh->slots[i] < 0 || (exclusive && sh->slots[i] > 0))
			r = -EBUSY;
	for (unsigned i = first; r == 0 && i < first + n; i++)
		sh->slots[i] = exclusive ? -1 : sh->slots[i] + 1;
	if (r == 0 && place)
		sh->looked_at = !writes;
	lock_drop(&sh->lock);
	return r;
}

void share_slots_drop(struct share *sh, unsigned first, unsigned n, bool exclusive)
{
	assert(first + n <= SHARE_SLOTS);
	lock_take(&sh->lock);
	for (unsigned i = first; i < first + n; i++)
		sh->slots[i] = exclusive ? 0 : sh->slots[i] - 1;
	if (first == SHARE_SLOT_WRITE && exclusive && sh->looked_at) {
		sh->looked_at = false;
		cond_wake_all(&sh->looked);
	}
	lock_drop(&sh->lock);
}

static int make_regions(struct share *sh, unsigned i, size_t size)
{
	void **p;

	if (i >= REGIONS_MAX)
		return -EMSGSIZE;
	p = reallocarray(sh->regions, i + 1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	sh->regions = p;
	for (; sh->n_regions <= i; sh->n_regions++) {
		p[sh->n_regions] = calloc(1, size);
		if (!p[sh->n_regions])
			return -ENOMEM;
	}
	return 0;
}

int share_region(struct share *sh, unsigned i, size_t size, bool make, void **ret)
{
	int r = 0;

	lock_take(&sh->lock);
	if (i >= sh->n_regions && make)
		r = make_regions(sh, i, size);
	if (r == 0)
		*ret = i < sh->n_regions ? sh->regions[i] : NULL;
	lock_drop(&sh->lock);
	return r;
}
