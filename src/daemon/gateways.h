/*
 * gateways.h - the gateways and routers of a configuration, ready to be asked
 *
 * Threading: gateways_open() before the loop starts; gateways_close() while it runs,
 * from another thread, when nobody asks any more.
 */
#ifndef DAEMON_GATEWAYS_H
#define DAEMON_GATEWAYS_H

#include "base/util.h"

struct config;
struct err;
struct gateways;
struct loop;
struct provider;
struct work;

/* *ret stays NULL if the configuration names none. */
must_check int gateways_open(const struct config *c, struct loop *loop,
			     struct work *work, struct gateways **ret,
			     struct err *reterr);

/* What retrieval asks; NULL if there are none. */
struct provider *gateways_provider(const struct gateways *g);

/* NULL is fine. */
void gateways_close(struct gateways *g);

/* One that was opened, and whose loop never ran. */
void gateways_drop(struct gateways *g);

/* URLs with blanks between: -EINVAL with the reason. */
must_check int gateways_check(const char *urls, struct err *reterr);

#endif
