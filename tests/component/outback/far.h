/*
 * far.h - a store at the end of a slow line
 *
 * Put around a provider: what is asked of it arrives after the latency, and what it
 * gives shares one line of so many bytes a second.  A request that is called off in
 * between ends at once, and its bytes leave the line.
 */
#ifndef OUTBACK_FAR_H
#define OUTBACK_FAR_H

#include <stdint.h>

#include "provider/provider.h"

struct far;

struct far_line {
	unsigned latency_ms;
	uint64_t rate; /* bytes a second; 0: no limit */
	/* Every so many GETs one takes that much longer; 0: none. */
	unsigned late_every, late_ms;
};

struct far_count {
	unsigned n[PROVIDER_NX]; /* requests by verb */
	unsigned most;           /* at once */
	uint64_t bytes;          /* that GETs gave, or had begun to give */
	uint64_t idle_us; /* that a line with a rate was free between two GETs */
};

/* Before anything is asked of it.  Failures end the test. */
struct far *far_new(struct provider *p, const struct far_line *line);
void far_free(struct far *f); /* nothing is under way any more; NULL is fine */

void far_set(struct far *f, const struct far_line *line);
void far_count(struct far *f, struct far_count *ret); /* and begins anew */

/*
 * Round trips one after the other at all lines together, and begins anew: a request
 * that was sent after the answer of another is one deeper.
 */
unsigned far_depth(void);

#endif
