/*
 * cadence.h - how often a drive commits by itself
 *
 * In a folder a commit costs nothing: after 30 s of quiet, or every 10 minutes.
 * At a provider each costs fees, so the interval follows from prices and budget
 * (chain/money.h): between 10 minutes and 6 hours, whether it is quiet or not.  What
 * the config says instead of "auto" counts in any case; `sync` never waits.
 *
 * Threading: values.
 */
#ifndef DAEMON_CADENCE_H
#define DAEMON_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct view_price_list;

struct cadence {
	uint64_t idle_ms; /* of quiet */
	uint64_t age_ms;  /* of the oldest change */
	bool paid;        /* commits cost fees */
	bool by_budget;   /* at least one of both follows from the prices */
};

/* `prices` NULL: not read yet; then a paid commit waits the longest time. */
void cadence_of(const struct config *c, const struct view_price_list *prices,
		struct cadence *ret);

#endif
