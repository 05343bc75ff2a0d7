/* recovery_impl.h - between the files of recovery.h: looking, and what follows from it */
#ifndef DAEMON_RECOVERY_IMPL_H
#define DAEMON_RECOVERY_IMPL_H

#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"
#include "daemon/config.h"
#include "daemon/netstores.h"
#include "daemon/recovery.h"
#include "provider/provider.h"
#include "retrieve/recover.h"
#include "retrieve/salvage.h"

struct loop;

#define RECOVERY_NAME_MAX 320

/* What is looked at: a folder, or a data set. */
struct holder {
	struct provider *provider;
	struct netstores *net; /* NULL: a folder */
	size_t set;            /* which of its data sets */
	size_t store;          /* of the config */
	struct err err;        /* why it does not answer; empty: it does */
	bool over;             /* lock: recovery->lock; ATTACH has ended */
	bool hurried; /* lock: recovery->lock; not waited for as long as others do */
	char name[RECOVERY_NAME_MAX];
	enum provider_proof_state proof; /* 0: not asked */
	size_t row; /* of `rows`; RECOVERY_NO_ROW: given up */
};

#define RECOVERY_NO_ROW SIZE_MAX

/* A store of the ledger to be. */
struct row {
	char *url;
	struct holder *place; /* NULL: of a network, chosen later */
};

struct recovery {
	const struct config *config; /* the caller's; until recovery_settle() */
	const struct keys *keys;
	recovery_warn warn;
	struct loop *loop;
	bool looping;
	struct netstores *nets[CONFIG_STORES_MAX]; /* by store; NULL: a folder */
	struct holder places[RECOVER_STORES_MAX];
	struct provider *providers[RECOVER_STORES_MAX];
	size_t n;
	struct lock lock;
	size_t n_answered;           /* lock: lock */
	bool hurry;                  /* not all places are needed */
	struct recover_found *found; /* ours, or that of `salvage` */
	struct salvage salvage;
	struct row rows[CONFIG_STORES_MAX];
	size_t n_rows;
	size_t n_skipped; /* stores of the config that could not be asked */
};

/* To who listens. */
void recovery_say(const struct recovery *r, const char *fmt, ...) printf_like(2, 3);

#endif
