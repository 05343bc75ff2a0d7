/*
 * daemon_impl.h - the inside of struct daemon, for daemon*.c only
 */
#ifndef DAEMON_DAEMON_IMPL_H
#define DAEMON_DAEMON_IMPL_H

/* First: sys/param.h, which uv.h brings, has a MIN and a MAX of its own. */
#include "base/util.h"

#include <stdatomic.h>
#include <time.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/thread.h"
#include "daemon/control.h"
#include "daemon/daemon.h"

struct cache;
struct engine;
struct idle;
struct loop;
struct moneywatch;
struct session;

#define DAEMON_SIGNALS 3

struct daemon {
	const struct daemon_params *p;
	struct loop *loop;
	struct control *control;
	struct engine *engine;    /* NULL: local only */
	struct moneywatch *watch; /* NULL: no store costs money */
	struct cache *cache;
	struct session *session;
	struct idle *idle; /* NULL: it is never locked by itself */
	time_t since;
	bool looping; /* the loop's thread runs; main thread only */

	/* loop thread only */
	struct list umounts; /* struct umount_call: who waits for the end */
	struct list syncs;   /* struct sync_call */
	uv_signal_t signals[DAEMON_SIGNALS];
	unsigned n_signals; /* of them initialised */
	bool ending;        /* from now on calls are turned away */

	/* from ready() and signals to the main thread */
	struct lock lock;
	struct cond changed;
	unsigned n_busy;     /* lock: tasks on the loop or its pool */
	bool stop_requested; /* lock */
	bool ready;          /* lock: the kernel has asked the session */
	bool mounted;        /* lock: session may be stopped */
	atomic_bool nobody_waits;
};

/* The verbs of the control socket (daemon_verbs.c). */
extern const struct control_verb daemon_verbs[];

/* Those of daemon_store_verbs.c; they need an engine. */
void daemon_verb_snapshots(void *ctx, struct control_call *call,
			   const json_t *request);
void daemon_verb_history(void *ctx, struct control_call *call,
			 const json_t *request);
void daemon_verb_verify(void *ctx, struct control_call *call, const json_t *request);
/* daemon_gc.c; likewise */
void daemon_verb_gc(void *ctx, struct control_call *call, const json_t *request);
void daemon_verb_gc_asked(void *ctx, struct control_call *call,
			  const json_t *request);
void daemon_verb_gc_removed(void *ctx, struct control_call *call,
			    const json_t *request);

/* Loop thread: tell the waiting umounts and syncs how it ended, and forget. */
void daemon_verbs_progress(struct daemon *d, const char *stage);
void daemon_verbs_end(struct daemon *d, int err, const char *reason);
void daemon_verbs_cancel_syncs(struct daemon *d);

/* Any thread: may memory be written to a disk in the clear?  What to say then. */
bool daemon_warn_swap(struct daemon *d, struct err *ret);

/* Begin the end, on a thread of its own, since it may take its time. */
must_check int daemon_stop_soon(struct daemon *d);

/* Count work that touches the daemon off the main thread. */
void daemon_busy(struct daemon *d);
void daemon_idle(struct daemon *d);

#endif
