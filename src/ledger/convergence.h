/*
 * convergence.h - a new ledger, and the convergence secret in it
 *
 * The secret that turns plaintext into keys (docs/format.md) is random, stands
 * in every commit, and is kept here wrapped for the next one.
 *
 *   offset  size  field of LEDGER_CONVERGENCE
 *   0       4     epoch, LE
 *   4       72    secret, wrapped (crypto/wrap.h) under KEYS_COMMIT with the
 *                 associated data "convergence" and the epoch, as in a commit
 */
#ifndef LEDGER_CONVERGENCE_H
#define LEDGER_CONVERGENCE_H

#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"
#include "crypto/wrap.h"

struct err;
struct io;
struct keys;
struct ledger;
struct secret;

/*
 * Make ledger.db for a device that begins to write: a fresh writer tag, and the
 * secret of the drive.  Used by init (a random secret, epoch 1) and by recover.
 */
must_check int ledger_format(struct io *io, const struct keys *k,
			     const struct secret *convergence, uint32_t epoch,
			     struct err *reterr);

#define CONVERGENCE_SIZE (4 + WRAP_SIZE) /* bytes that are kept */

/*
 * What is kept, and back: the caller frees *ret; ret_epoch may be NULL.
 * -EUCLEAN  not of this size
 * -EBADMSG  not wrapped by this drive, or changed
 */
must_check int convergence_open(struct slice kept, const struct keys *k,
				struct secret **ret, uint32_t *ret_epoch);
void convergence_seal(const struct keys *k, const struct secret *convergence,
		      uint32_t epoch, uint8_t ret[static CONVERGENCE_SIZE]);

/* From the ledger, as convergence_open().  -EUCLEAN: it is not there. */
must_check int ledger_convergence(struct ledger *l, const struct keys *k,
				  struct secret **ret, uint32_t *ret_epoch);

#endif
