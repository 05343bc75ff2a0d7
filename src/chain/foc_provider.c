/* foc_provider.c - who sells storage: registry, approval, endorsement */
#include "chain/foc.h"

#include <errno.h>

#include "chain/call.h"
#include "chain/foc_impl.h"
#include "chain/registry.h"

#define PAGE 12 /* providers of one multicall; one may answer 10 KiB */

struct ids {
	uint64_t id[FOC_IDS_MAX];
	size_t n;
};

static bool is_in(const struct ids *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->id[i] == id)
			return true;
	return false;
}

static int approved_ids(struct foc *f, struct ids *ret, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_approved_providers(0, FOC_IDS_MAX, &a.data),
		     false, &b, reterr);
	if (r < 0)
		return r;
	r = call_answer_ids(buf_slice(&b), ret->id, FOC_IDS_MAX, &ret->n);
	return r < 0 ? foc_nonsense(f, r, "approved providers", reterr) : 0;
}

static int endorsed_ids(struct foc *f, struct ids *ret, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	ret->n = 0;
	if (address_is_none(f->core->url.net.endorsements))
		return 0;
	foc_ask_init(&a, FOC_ENDORSEMENTS);
	r = foc_read(f, &a, registry_endorsed(&a.data), false, &b, reterr);
	if (r < 0)
		return r;
	r = registry_endorsed_answer(buf_slice(&b), ret->id, FOC_IDS_MAX, &ret->n);
	return r < 0 ? foc_nonsense(f, r, "endorsed providers", reterr) : 0;
}

/* What a stranger wrote, for a terminal: other bytes become '?'. */
static void printable(struct slice s, char *ret, size_t size)
{
	size_t n = MIN(s.n, size - 1);

	for (size_t i = 0; i < n; i++)
		ret[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? (char)s.p[i] : '?';
	ret[n] = '\0';
}

static void fill(const struct registry_provider *p, struct foc_provider *ret)
{
	struct registry_terms t;
	struct err why = { 0 };

	*ret = (struct foc_provider){ .id = p->id,
				      .service_provider = p->service_provider,
				      .payee = p->payee,
				      .active = p->active && p->product_active };
	printable(p->name, ret->name, sizeof(ret->name));
	if (registry_terms(p, &t, &why) < 0) {
		text_copy(ret->why, sizeof(ret->why), why.text);
		return;
	}
	if (t.service_url.n >= sizeof(ret->url)) {
		text_copy(ret->why, sizeof(ret->why), "its service URL is too long");
		return;
	}
	printable(t.service_url, ret->url, sizeof(ret->url));
	printable(t.location, ret->location, sizeof(ret->location));
	ret->min_piece_bytes = t.min_piece_bytes;
	ret->max_piece_bytes = t.max_piece_bytes;
	ret->ipni_ipfs = t.ipni_ipfs;
	if (!ret->active)
		text_copy(ret->why, sizeof(ret->why), "it sells nothing any more");
	ret->usable = ret->active;
}

/* One that cannot be read is no provider, and no reason to stop. */
static bool answer_of(const struct multicall_result *said, uint64_t id,
		      struct foc_provider *ret)
{
	struct registry_provider p;

	if (!said->ok || registry_product_answer(said->data, &p) < 0 || p.id != id)
		return false;
	fill(&p, ret);
	return true;
}

static int page_of(struct foc *f, const uint64_t *ids, size_t n,
		   const struct ids *endorsed,
		   int (*cb)(void *ctx, const struct foc_provider *), void *ctx,
		   struct err *reterr)
{
	struct foc_ask a[PAGE] = { 0 };
	struct multicall_result said[PAGE];
	_cleanup_buf_ struct buf answer = { 0 };
	struct foc_provider p;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		foc_ask_init(&a[i], FOC_REGISTRY);
	for (size_t i = 0; i < n && r == 0; i++)
		r = registry_provider_with_product(ids[i], &a[i].data);
	r = foc_multi(f, a, n, r, false, &answer, said, reterr);
	for (size_t i = 0; i < n; i++)
		foc_ask_fini(&a[i]);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!answer_of(&said[i], ids[i], &p))
			continue;
		p.approved = true;
		p.endorsed = is_in(endorsed, p.id);
		r = cb(ctx, &p);
	}
	return r < 0 ? r : 0;
}

int foc_providers(struct foc *f, int (*cb)(void *ctx, const struct foc_provider *),
		  void *ctx, struct err *reterr)
{
	_cleanup_free_ struct ids *approved = calloc(1, sizeof(*approved));
	_cleanup_free_ struct ids *endorsed = calloc(1, sizeof(*endorsed));
	int r;

	if (!approved || !endorsed)
		return -ENOMEM;
	r = approved_ids(f, approved, reterr);
	if (r == 0)
		r = endorsed_ids(f, endorsed, reterr);
	for (size_t i = 0; i < approved->n && r == 0; i += PAGE)
		r = page_of(f, approved->id + i, MIN(PAGE, approved->n - i),
			    endorsed, cb, ctx, reterr);
	return r;
}

int foc_provider(struct foc *f, uint64_t id, struct foc_provider *ret,
		 struct err *reterr)
{
	_cleanup_free_ struct ids *endorsed = calloc(1, sizeof(*endorsed));
	struct foc_ask a[2] = { 0 };
	struct multicall_result said[2];
	_cleanup_buf_ struct buf answer = { 0 };
	struct foc_provider p;
	int r;

	if (!endorsed)
		return -ENOMEM;
	foc_ask_init(&a[0], FOC_REGISTRY);
	foc_ask_init(&a[1], FOC_VIEW);
	r = registry_provider_with_product(id, &a[0].data);
	if (r == 0)
		r = view_is_provider_approved(id, &a[1].data);
	r = foc_multi(f, a, 2, r, false, &answer, said, reterr);
	for (size_t i = 0; i < 2; i++)
		foc_ask_fini(&a[i]);
	if (r == 0)
		r = endorsed_ids(f, endorsed, reterr);
	if (r < 0)
		return r;
	if (!answer_of(&said[0], id, &p))
		return err_set(reterr, -ENOENT, "%s has no storage provider %llu",
			       f->core->url.net.name, (unsigned long long)id);
	p.endorsed = is_in(endorsed, id);
	if (!said[1].ok || call_answer_bool(said[1].data, &p.approved) < 0)
		return foc_nonsense(f, -EPROTO, "a provider", reterr);
	*ret = p;
	return 0;
}
