#include "daemon/recovery.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "crypto/link.h"
#include "daemon/config.h"
#include "dag/commit.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/fan.h"
#include "net/loop.h"
#include "provider/provider.h"
#include "retrieve/recover.h"
#include "retrieve/salvage.h"

#define SILENCE_MS 10000 /* a person waits: the other stores will do */

struct recovery {
	const struct config *config;
	const struct keys *keys;
	struct loop *loop;
	struct provider *providers[CONFIG_STORES_MAX];
	bool attached[CONFIG_STORES_MAX];
	size_t n;
	struct recover_found *found; /* ours, or that of `salvage` */
	struct salvage salvage;
};

struct attaching {
	struct recovery *r;
	struct err err[CONFIG_STORES_MAX];
};

static int attach(void *ctx, size_t i)
{
	struct attaching *a = ctx;
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	int rc = provider_call(a->r->providers[i], &req);

	a->r->attached[i] = rc == 0;
	return rc < 0 ? err_set(&a->err[i], rc, "%s", req.err.text) : 0;
}

static int open_stores(struct recovery *r, struct err *reterr)
{
	struct attaching a = { .r = r };
	int rc;

	for (size_t i = 0; i < r->config->n_stores; i++) {
		struct provider_params p = { .url = r->config->stores[i],
					     .loop = r->loop,
					     .silence_ms = SILENCE_MS };

		rc = provider_new(&p, &r->providers[i], reterr);
		if (rc < 0)
			return rc;
		r->n++;
	}
	best_effort(fan_out(r->n, CONFIG_STORES_MAX, attach, &a)); /* one will do */
	for (size_t i = 0; i < r->n; i++)
		if (r->attached[i])
			return 0;
	return err_set(reterr, -EREMOTEIO, "%s", a.err[0].text);
}

static int begin(const struct config *c, const struct keys *k,
		 struct recovery **ret, struct err *reterr)
{
	struct recovery *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	*ret = r;
	r->config = c;
	r->keys = k;
	rc = loop_new(&r->loop);
	if (rc == 0)
		rc = loop_start(r->loop);
	return rc < 0 ? rc : open_stores(r, reterr);
}

int recovery_open(const struct config *c, const struct keys *k, uint64_t before,
		  struct recovery **ret, struct err *reterr)
{
	struct recover_params p = { .keys = k, .before = before };
	int rc = begin(c, k, ret, reterr);

	if (rc < 0)
		return rc;
	p.stores = (*ret)->providers;
	p.n_stores = (*ret)->n;
	return recover_find(&p, &(*ret)->found, reterr);
}

int recovery_salvage(const struct config *c, const struct keys *k,
		     struct recovery **ret, struct err *reterr)
{
	struct recover_params p = { .keys = k };
	int rc = begin(c, k, ret, reterr);

	if (rc < 0)
		return rc;
	p.stores = (*ret)->providers;
	p.n_stores = (*ret)->n;
	rc = salvage_find(&p, &(*ret)->salvage, reterr);
	(*ret)->found = (*ret)->salvage.found;
	return rc;
}

const struct salvage *recovery_salvaged(const struct recovery *r)
{
	return &r->salvage;
}

const struct recover_found *recovery_found(const struct recovery *r)
{
	return r ? r->found : NULL;
}

int recovery_may_write(const struct recovery *r, struct err *reterr)
{
	int rc = commit_may_write(commit_info(r->found->commit));

	return rc < 0 ? err_set(reterr, rc,
				"a newer fildrive has written this drive, and only one as new may go on writing: update this program") :
			0;
}

static int fill_ledger(struct recovery *r, struct io *io, struct err *reterr)
{
	const struct commit_info *info = commit_info(r->found->commit);
	struct ledger_params lp = { .io = io, .key = keys_secret(r->keys, KEYS_DB) };
	const char *urls[CONFIG_STORES_MAX];
	uint64_t ids[CONFIG_STORES_MAX];
	struct ledger *l = NULL;
	int rc;

	memcpy(lp.drive_id, keys_drive_id(r->keys), sizeof(lp.drive_id));
	for (size_t i = 0; i < r->n; i++)
		urls[i] = r->config->stores[i];
	rc = ledger_format(io, r->keys, commit_convergence(r->found->commit),
			   info->epoch, reterr);
	if (rc == 0)
		rc = ledger_open(&lp, &l, reterr);
	if (rc == 0)
		rc = ledger_stores_set(l, urls, r->n, ids);
	for (size_t i = 0; i < r->n && rc == 0; i++)
		if (r->attached[i])
			rc = ledger_store_ident(l, ids[i],
						provider_id(r->providers[i]));
	if (rc == 0)
		rc = recover_into(r->found, l, ids, reterr);
	ledger_close(l);
	return rc;
}

int recovery_fill(struct recovery *r, const struct cache_params *p, struct err *reterr)
{
	int rc;

	rc = fill_ledger(r, p->io, reterr);
	if (rc == 0)
		rc = recover_format(r->found, p, reterr);
	if (rc == 0 && r->salvage.plan)
		rc = salvage_mend(&r->salvage, p, reterr);
	return rc;
}

/* False: a thread hangs in a store. */
static bool close_all(struct recovery *r)
{
	bool left = false;

	if (!r)
		return true;
	if (r->found != r->salvage.found)
		recover_found_free(r->found);
	salvage_fini(&r->salvage);
	for (size_t i = 0; i < r->n; i++)
		left |= !provider_free(r->providers[i]);
	if (r->loop)
		loop_stop(r->loop);
	if (!left) /* a thread that comes back posts to it */
		loop_free(r->loop);
	free(r);
	return !left;
}

void recovery_close(struct recovery *r)
{
	(void)close_all(r); /* the process goes on */
}

int recovery_leave(struct recovery *r, int status)
{
	if (!close_all(r)) {
		(void)fflush(NULL); /* nobody reads what is left */
		_exit(status);
	}
	return status;
}
