/* internal.h - between provider.c and the kinds of providers */
#ifndef PROVIDER_INTERNAL_H
#define PROVIDER_INTERNAL_H

#include "provider/provider.h"

/* The path of a dir: URL, decoded; heap string.  -EINVAL. */
must_check int url_dir_path(const char *url, char **ret, struct err *reterr);

must_check int dir_new(const struct provider_params *p, const char *path,
		       struct provider **ret);
const uint8_t *dir_id(struct provider *p);
const char *dir_path(struct provider *p);

/* Has the caller called it off? */
static inline bool req_cancelled(const struct provider_req *req)
{
	return atomic_load_explicit(&req->cancelled, memory_order_relaxed);
}

#endif
