/* pdp_group.c - what the slots of one drive on one network share */
#include <errno.h>
#include <stdio.h>

#include "provider/pdp_impl.h"

#define SHUN_MAX 64

struct pdp_group {
	struct lock choosing;
	struct lock lock;
	struct {
		bool used;
		uint64_t provider, data_set;
		struct address payee;
		char location[FOC_NAME_MAX];
		char url[FOC_URL_MAX];
	} slots[PDP_SLOTS_MAX];           /* lock: lock */
	uint64_t shun[SHUN_MAX];          /* lock: lock */
	size_t n_shun;                    /* lock: lock */
	struct foc_purse purse;           /* lock: lock */
	uint64_t purse_ms;                /* lock: lock; 0: not known */
	uint64_t create_until, add_until; /* lock: lock */
	uint64_t session_ms;              /* lock: lock; 0: not known */
};

int pdp_group_new(struct pdp_group **ret)
{
	struct pdp_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	lock_init(&g->choosing);
	lock_init(&g->lock);
	*ret = g;
	return 0;
}

void pdp_group_free(struct pdp_group *g)
{
	if (!g)
		return;
	lock_fini(&g->lock);
	lock_fini(&g->choosing);
	free(g);
}

/* ---- who has which ---- */

void pdp_group_take(struct pdp_group *g, unsigned slot, const struct pdp_slot *s)
{
	lock_take(&g->lock);
	g->slots[slot].used = true;
	g->slots[slot].provider = s->provider;
	g->slots[slot].data_set = s->data_set;
	g->slots[slot].payee = s->payee;
	text_copy(g->slots[slot].location, FOC_NAME_MAX, s->location);
	text_copy(g->slots[slot].url, FOC_URL_MAX, s->url);
	lock_drop(&g->lock);
}

void pdp_group_leave(struct pdp_group *g, unsigned slot)
{
	lock_take(&g->lock);
	g->slots[slot].used = false;
	lock_drop(&g->lock);
}

bool pdp_group_has_provider(struct pdp_group *g, unsigned but,
			    uint64_t provider, struct address payee)
{
	bool found = false;

	lock_take(&g->lock);
	for (unsigned i = 0; i < PDP_SLOTS_MAX; i++)
		found |= i != but && g->slots[i].used &&
			 (g->slots[i].provider == provider ||
			  address_eq(g->slots[i].payee, payee));
	lock_drop(&g->lock);
	return found;
}

bool pdp_group_has_set(struct pdp_group *g, unsigned but, uint64_t data_set)
{
	bool found = false;

	lock_take(&g->lock);
	for (unsigned i = 0; i < PDP_SLOTS_MAX; i++)
		found |= i != but && g->slots[i].used &&
			 g->slots[i].data_set == data_set;
	lock_drop(&g->lock);
	return found;
}

bool pdp_group_has_place(struct pdp_group *g, unsigned but, const char *location)
{
	bool found = false;

	if (!location[0])
		return false;
	lock_take(&g->lock);
	for (unsigned i = 0; i < PDP_SLOTS_MAX; i++)
		found |= i != but && g->slots[i].used &&
			 strcmp(g->slots[i].location, location) == 0;
	lock_drop(&g->lock);
	return found;
}

size_t pdp_group_urls(struct pdp_group *g, unsigned but, char (*ret)[FOC_URL_MAX])
{
	size_t n = 0;

	lock_take(&g->lock);
	for (unsigned i = 0; i < PDP_SLOTS_MAX; i++)
		if (i != but && g->slots[i].used && g->slots[i].url[0])
			text_copy(ret[n++], FOC_URL_MAX, g->slots[i].url);
	lock_drop(&g->lock);
	return n;
}

void pdp_group_shun(struct pdp_group *g, uint64_t provider)
{
	if (pdp_group_shuns(g, provider))
		return;
	lock_take(&g->lock);
	g->shun[g->n_shun++ % SHUN_MAX] = provider;
	lock_drop(&g->lock);
}

bool pdp_group_shuns(struct pdp_group *g, uint64_t provider)
{
	bool found = false;

	lock_take(&g->lock);
	for (size_t i = 0; i < MIN(g->n_shun, SHUN_MAX); i++)
		found |= g->shun[i] == provider;
	lock_drop(&g->lock);
	return found;
}

void pdp_group_lock(struct pdp_group *g) NO_LOCK_CHECK
{
	lock_take(&g->choosing);
}

void pdp_group_unlock(struct pdp_group *g) NO_LOCK_CHECK
{
	lock_drop(&g->choosing);
}

/* ---- what the chain said a moment ago ---- */

static bool is_fresh(uint64_t at_ms, uint64_t age_ms)
{
	return at_ms && monotonic_ms() - at_ms < age_ms;
}

int pdp_group_purse(struct pdp_group *g, struct foc *f, uint64_t age_ms,
		    struct foc_purse *ret, struct err *e)
{
	struct foc_purse p;
	bool fresh;
	int r;

	lock_take(&g->lock);
	fresh = is_fresh(g->purse_ms, age_ms);
	p = g->purse;
	lock_drop(&g->lock);
	if (!fresh) {
		r = foc_purse(f, &p, e);
		if (r < 0)
			return r;
		lock_take(&g->lock);
		g->purse = p;
		g->purse_ms = monotonic_ms();
		lock_drop(&g->lock);
	}
	*ret = p;
	return 0;
}

int pdp_group_session(struct pdp_group *g, struct foc *f, struct address signer,
		      uint64_t age_ms, uint64_t *ret_create, uint64_t *ret_add,
		      struct err *e)
{
	bool fresh;
	int r;

	lock_take(&g->lock);
	fresh = is_fresh(g->session_ms, age_ms);
	*ret_create = g->create_until;
	*ret_add = g->add_until;
	lock_drop(&g->lock);
	if (fresh)
		return 0;
	r = foc_session(f, signer, ret_create, ret_add, e);
	if (r < 0)
		return r;
	lock_take(&g->lock);
	g->create_until = *ret_create;
	g->add_until = *ret_add;
	g->session_ms = monotonic_ms();
	lock_drop(&g->lock);
	return 0;
}

void pdp_group_forget(struct pdp_group *g)
{
	lock_take(&g->lock);
	g->purse_ms = 0;
	g->session_ms = 0;
	lock_drop(&g->lock);
}
