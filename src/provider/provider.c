#include "provider/provider.h"

#include <assert.h>
#include <string.h>

#include "base/thread.h"
#include "provider/internal.h"

int provider_new(const struct provider_params *p, struct provider **ret,
		 struct err *reterr)
{
	_cleanup_free_ char *url = NULL;
	_cleanup_free_ char *path = NULL;
	struct provider *made;
	int r;

	r = provider_url_check(p->url, &url, reterr);
	if (r < 0)
		return r;
	r = url_dir_path(url, &path, reterr);
	if (r < 0)
		return r;
	r = dir_new(p, path, &made);
	if (r < 0)
		return r;
	made->url = steal(&url);
	*ret = made;
	return 0;
}

void provider_free(struct provider *p)
{
	if (!p)
		return;
	free(p->url);
	p->ops->free(p);
}

int provider_start(struct provider *p, struct provider_req *req)
{
	assert(req->verb < PROVIDER_NX);
	req->provider = p;
	req->ret_n = 0;
	atomic_store(&req->moved, 0);
	req->err.text[0] = '\0';
	return p->ops->start(p, req);
}

void provider_cancel(struct provider *p, struct provider_req *req)
{
	atomic_store(&req->cancelled, true);
	p->ops->cancel(p, req);
}

struct call {
	struct lock lock;
	struct cond cond;
	bool over; /* lock: lock */
	int status;
};

static void call_done(struct provider_req *req, int status)
{
	struct call *c = req->impl;

	lock_take(&c->lock);
	c->over = true;
	c->status = status;
	cond_wake_all(&c->cond);
	lock_drop(&c->lock);
}

int provider_call(struct provider *p, struct provider_req *req)
{
	struct call c = { .status = 0 };
	int r;

	lock_init(&c.lock);
	cond_init(&c.cond);
	/* cppcheck-suppress autoVariables; taken back below */
	req->impl = &c;
	req->done = call_done;
	r = provider_start(p, req);
	if (r == 0) {
		lock_take(&c.lock);
		while (!c.over)
			cond_wait(&c.cond, &c.lock);
		lock_drop(&c.lock);
		r = c.status;
	}
	req->impl = NULL;
	cond_fini(&c.cond);
	lock_fini(&c.lock);
	return r;
}

const uint8_t *provider_id(struct provider *p)
{
	return p->ops->id(p);
}

const char *provider_name(struct provider *p)
{
	return p->ops->name(p);
}
