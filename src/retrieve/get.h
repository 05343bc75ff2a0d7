/*
 * get.h - ranges of pieces from the stores, a bounded number at a time
 *
 * A store has a queue of ranges and up to GET_SLOTS requests under way.  While its
 * slots are busy, ranges that wait and lie near each other in one piece become one
 * request; so many small reads are few requests, and a read that finds a free slot
 * is never held up to wait for company.  Who wants what is under way already joins.
 *
 *   queued ─► asked ─► over ─► the last who wanted it lets go ─► freed
 *     └───────┴─ everybody lets go ─► called off
 *
 * Threading: everything with r->lock held; r->came is woken when one is over.
 */
#ifndef RETRIEVE_GET_H
#define RETRIEVE_GET_H

#include "retrieve/internal.h"

struct ledger_piece;

/* What is to be fetched from one store. */
struct get_want {
	size_t store;
	const struct ledger_piece *piece;
	uint64_t off;
	size_t n;
	unsigned limit_ms; /* silence that ends it; 0: the store's own limit */
	bool ahead;        /* nobody waits for it yet */
	bool alone;        /* not together with others */
};

/* A request of a store.  Constant once it is over; `refs` aside. */
struct get {
	struct list node;
	struct retrieve *r;
	size_t store;
	uint64_t piece; /* ordinal */
	struct piece_cid cid;
	uint64_t off, end;
	unsigned limit_ms;
	bool ahead, alone;
	enum get_state {
		GET_QUEUED,
		GET_ASKED,
		GET_OVER
	} state;
	unsigned refs; /* who wants it, and the thread that asks */
	unsigned n_wanting;
	uint8_t *bytes; /* over: */
	size_t got; /* from `off` on; fewer than asked for where it is cut */
	int status;
	struct err err;

	/* private to get.c */
	struct provider_req req;
	struct rank_mark mark;
};

/* -ECANCELED: the retriever is being stopped.  -ENOMEM, -EAGAIN: no thread. */
must_check int get_start(struct retrieve *r, const struct get_want *w,
			 struct get **ret) REQUIRES(&r->lock);

/* No longer wanted; NULL is fine.  Bytes that came for nothing: returned. */
uint64_t get_drop(struct retrieve *r, struct get *g) REQUIRES(&r->lock);

/* Bytes of [off, off + n) that came. */
struct slice get_bytes(const struct get *g, uint64_t off, size_t n);

/* Everything under way ends; the threads too. */
void get_stop(struct retrieve *r) EXCLUDES(&r->lock);

#endif
