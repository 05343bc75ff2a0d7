/* engine_sync.c - who waits for a commit to be published */
#include "daemon/engine_impl.h"

#include <errno.h>

#include "base/err.h"
#include "daemon/drive.h"
#include "net/loop.h"
#include "onboard/onboard.h"

#define SYNC_TICK_MS   50
#define PROGRESS_TICKS 10 /* of a sync; each asks the ledger */
#define STUCK_TICKS    60 /* a sync ends that waits so long for a silent store */

struct sync_state {
	uint64_t ticket;
	unsigned ticks;
	unsigned stuck; /* ticks in a row */
	bool cancelled;
};

static void sync_end(struct engine *e, struct engine_sync *s, int status,
		     const char *reason)
{
	list_del(&s->node);
	free(s->impl);
	s->impl = NULL;
	if (list_empty(&e->syncs))
		loop_timer_stop(e->timer);
	s->done(s, status, reason);
}

static void sync_progress(struct engine *e, struct engine_sync *s)
{
	struct onboard_stats os;

	onboard_stats(engine_onboard(e), &os); /* there while a sync is */
	switch (os.phase) {
	case ONBOARD_PACKING:
		s->progress(s, "sealing", os.pack_done, os.pack_total);
		break;
	case ONBOARD_PAUSED: s->progress(s, "waiting for stores", 0, 0); break;
	case ONBOARD_SHIPPING:
		s->progress(s, "uploading", os.ship_done, os.ship_total);
		break;
	case ONBOARD_IDLE:
	case ONBOARD_WAITING:
	case ONBOARD_STOPPED: s->progress(s, "publishing", 0, 0); break;
	}
}

/* A store that hangs may do so for ever: who waits is told, and may go. */
static bool sync_is_stuck(struct engine *e, struct sync_state *st, struct err *why)
{
	if (onboard_stuck(engine_onboard(e), st->ticket,
			  e->drive->config.store_timeout, why))
		st->stuck++;
	else
		st->stuck = 0;
	if (st->stuck < STUCK_TICKS)
		why->text[0] = '\0';
	return st->stuck >= STUCK_TICKS;
}

void engine_sync_tick(void *ctx)
{
	struct engine *e = ctx;

	list_foreach_safe(p, &e->syncs) {
		struct engine_sync *s = container_of(p, struct engine_sync, node);
		struct sync_state *st = s->impl;
		struct err why = { "" };
		int r;

		r = st->cancelled ?
			    -ECANCELED :
			    onboard_poll(engine_onboard(e), st->ticket, &why);
		if (r == -EINPROGRESS && sync_is_stuck(e, st, &why))
			r = -EREMOTEIO;
		if (r == 0 && onboard_left(engine_onboard(e), &why))
			r = -EBADMSG; /* all else is published */
		if (r == -EINPROGRESS && st->ticks++ % PROGRESS_TICKS == 0)
			sync_progress(e, s);
		else if (r != -EINPROGRESS)
			sync_end(e, s, r, why.text[0] ? why.text : NULL);
	}
}

int engine_sync(struct engine *e, struct engine_sync *s)
{
	struct onboard *o = engine_onboard(e);
	struct sync_state *st = o ? calloc(1, sizeof(*st)) : NULL;

	if (!o)
		return -EROFS;
	if (!st)
		return -ENOMEM;
	st->ticket = onboard_request(o);
	s->impl = st;
	if (list_empty(&e->syncs))
		loop_timer_start(e->timer, SYNC_TICK_MS, SYNC_TICK_MS);
	list_push(&e->syncs, &s->node);
	return 0;
}

void engine_sync_cancel(struct engine *e, struct engine_sync *s)
{
	struct sync_state *st = s->impl;

	(void)e;
	if (st)
		st->cancelled = true; /* the next tick says so */
}

void engine_sync_flush(struct engine *e)
{
	while (!list_empty(&e->syncs))
		sync_end(e, list_first(&e->syncs, struct engine_sync, node),
			 -ECANCELED, "the drive is being unmounted");
}
