/* internal.h - between provider.c and the kinds of providers */
#ifndef PROVIDER_INTERNAL_H
#define PROVIDER_INTERNAL_H

#include "provider/provider.h"

bool url_is_filecoin(const char *url);

/* The path of a dir: URL, decoded; heap string.  -EINVAL. */
must_check int url_dir_path(const char *url, char **ret, struct err *reterr);

/* pdp.h */
must_check int pdp_new(const struct provider_params *p, struct provider **ret,
		       struct err *reterr);

must_check int dir_new(const struct provider_params *p, const char *path,
		       struct provider **ret);

/*
 * The marker of a dir store: DIR_MARKER_HEAD, the id in hex, a newline.  What
 * follows the id is not looked at.  -EUCLEAN if it has another form.
 */
#define DIR_MARKER_HEAD "fildrive store 1\n"
#define DIR_MARKER_SIZE (sizeof(DIR_MARKER_HEAD) + 2ul * PROVIDER_ID_SIZE)

must_check int dir_marker_parse(struct slice text,
				uint8_t ret[static PROVIDER_ID_SIZE]);
void dir_marker_text(const uint8_t id[static PROVIDER_ID_SIZE],
		     char ret[static DIR_MARKER_SIZE]);

/* Has the caller called it off? */
static inline bool req_cancelled(const struct provider_req *req)
{
	return atomic_load_explicit(&req->cancelled, memory_order_relaxed);
}

#endif
