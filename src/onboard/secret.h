/*
 * secret.h - the convergence secret, kept wrapped in the ledger
 *
 *   offset  size  field of LEDGER_CONVERGENCE
 *   0       4     epoch, LE
 *   4       72    secret, wrapped (crypto/wrap.h) under KEYS_COMMIT with the
 *                 associated data "convergence" and the epoch, as in a commit
 */
#ifndef ONBOARD_SECRET_H
#define ONBOARD_SECRET_H

#include <stdint.h>

#include "base/util.h"

struct keys;
struct ledger;
struct secret;

/* The caller frees *ret.  ret_epoch may be NULL. */
must_check int onboard_convergence(struct ledger *l, const struct keys *k,
				   struct secret **ret, uint32_t *ret_epoch);

#endif
