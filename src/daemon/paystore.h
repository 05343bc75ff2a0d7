/*
 * paystore.h - stores of a config that cost money
 *
 * Threading: values.
 */
#ifndef DAEMON_PAYSTORE_H
#define DAEMON_PAYSTORE_H

#include <stdbool.h>

#include "base/util.h"

struct config;
struct err;
struct network_url;

bool paystore_is(const char *url); /* filecoin://… */

/*
 * The first store that costs money.  -ENOENT: there is none, in words.
 * -EINVAL, -ENOMEM: its URL (network_url_parse()).
 */
must_check int paystore_find(const struct config *c, struct network_url *ret,
			     struct err *reterr);

/*
 * Places that can hold a piece: each `dir` is one, a network has as many as its
 * URL asks for.  A URL that cannot be read counts as one.
 */
unsigned paystore_places(const struct config *c);

/* Copies that are paid for; 0: nothing costs. */
unsigned paystore_copies(const struct config *c);

#endif
