/* failed.c - requests of the cache that failed, while that is so */
#include <errno.h>

#include "base/err.h"
#include "retrieve/internal.h"

#define SAID_MS 60000 /* what was only away is named so long */

static void drop(struct retrieve *r, size_t i) REQUIRES(&r->lock)
{
	r->n_failed--;
	for (; i < r->n_failed; i++)
		r->failed[i] = r->failed[i + 1];
}

/* The same bytes of the same inode, whatever it is linked to by now. */
static bool is_for(const struct retrieve_failed *f, const struct source_req *req)
{
	return f->kind == req->kind && f->ino == req->ino && f->off == req->off;
}

void failed_past(struct retrieve *r, const struct source_req *req)
{
	for (size_t i = r->n_failed; i-- > 0;)
		if (is_for(&r->failed[i], req))
			drop(r, i);
}

void failed_note(struct retrieve *r, const struct source_req *req, int status,
		 const char *why)
{
	struct retrieve_failed *f;

	r->stats.failed++;
	failed_past(r, req);
	if (r->n_failed == RETRIEVE_FAILED_MAX)
		drop(r, 0);
	f = &r->failed[r->n_failed++];
	*f = (struct retrieve_failed){
		.id = ++r->failed_id,
		.kind = req->kind,
		.ino = req->ino,
		.off = req->off,
		.at_ms = monotonic_ms(),
		.n_link = MIN(req->link.n, sizeof(f->link)),
	};
	if (f->n_link)
		memcpy(f->link, req->link.p, f->n_link);
	/* Of the inode table nobody can tell when another one took its place. */
	f->wrong = f->n_link && (status == -EBADMSG || status == -EPROTO);
	text_copy(f->error, sizeof(f->error), why);
}

size_t retrieve_failed(struct retrieve *r,
		       struct retrieve_failed ret[static RETRIEVE_FAILED_MAX])
{
	uint64_t now;
	size_t n;

	lock_take(&r->lock);
	now = monotonic_ms(); /* not before the newest was noted */
	for (size_t i = r->n_failed; i-- > 0;)
		if (!r->failed[i].wrong && now - r->failed[i].at_ms >= SAID_MS)
			drop(r, i);
	n = r->n_failed;
	for (size_t i = 0; i < n; i++)
		ret[i] = r->failed[i];
	lock_drop(&r->lock);
	return n;
}

void retrieve_forget(struct retrieve *r, uint64_t id)
{
	lock_take(&r->lock);
	for (size_t i = r->n_failed; i-- > 0;)
		if (r->failed[i].id == id)
			drop(r, i);
	lock_drop(&r->lock);
}
