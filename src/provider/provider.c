#include "provider/provider.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "provider/internal.h"

#define FREE_MS 2000 /* for what was called off to come back */

int provider_new(const struct provider_params *p, struct provider **ret,
		 struct err *reterr)
{
	_cleanup_free_ char *url = NULL;
	_cleanup_free_ char *path = NULL;
	struct provider *made = NULL;
	int r;

	r = provider_url_check(p->url, &url, reterr);
	if (r < 0)
		return r;
	if (url_is_filecoin(url)) {
		r = pdp_new(p, &made, reterr);
	} else {
		r = url_dir_path(url, &path, reterr);
		if (r == 0)
			r = dir_new(p, path, &made);
	}
	if (r < 0)
		return r;
	assert(made); /* or r said why not */
	made->url = steal(&url);
	*ret = made;
	return 0;
}

bool provider_free(struct provider *p)
{
	if (!p)
		return true;
	provider_stop(p);
	if (!provider_settle(p, provider_silence_ms(p) ? 0 : FREE_MS)) {
		log_warn("%s does not answer: what it was asked is left behind",
			 provider_name(p));
		return false;
	}
	free(p->url);
	p->ops->free(p);
	return true;
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

const uint8_t *provider_id(struct provider *p)
{
	return p->ops->id(p);
}

const char *provider_name(struct provider *p)
{
	return p->ops->name(p);
}
