/*
 * memnotes.h - what a provider remembers, for as long as this process looks on
 *
 * struct provider_notes (provider/provider.h) without a ledger: a drive that is being
 * recovered has none yet.  What is kept of them is copied into the ledger that
 * is made then.
 *
 * Threading: any; one lock inside.
 */
#ifndef DAEMON_MEMNOTES_H
#define DAEMON_MEMNOTES_H

#include "base/util.h"
#include "provider/provider.h"

struct memnotes;

#define MEMNOTES_MAX 64 /* notes of one store: -ENOSPC beyond */

must_check int memnotes_new(struct memnotes **ret);
void memnotes_free(struct memnotes *m); /* NULL is fine */

/* Borrowed from `m`.  Nothing is spent: there is no `spent`. */
const struct provider_notes *memnotes_ops(const struct memnotes *m);

#endif
