#include "daemon/snaplist.h"

#include <errno.h>
#include <jansson.h>

#include "net/json.h"
#include "retrieve/snapshot.h"

/* Commits were made that did not count. */
static json_t *known(const struct cache_counts *c, uint64_t n)
{
	return c->inodes && n <= INT64_MAX ? json_integer((json_int_t)n) :
					     json_null();
}

int snaplist_add(void *ctx, const struct snapshot *s)
{
	json_t *o = json_pack("{s:I, s:I, s:o, s:b, s:o, s:o}", "sequence",
			      (json_int_t)s->sequence, "time",
			      (json_int_t)s->time, "device",
			      json_text(s->device), "published", s->published,
			      "inodes", known(&s->counts, s->counts.inodes),
			      "bytes", known(&s->counts, s->counts.bytes));

	return json_array_append_new(ctx, o) < 0 ? -ENOMEM : 0;
}
