#include "daemon/snaplist.h"

#include <errno.h>
#include <jansson.h>

#include "retrieve/snapshot.h"

int snaplist_add(void *ctx, const struct snapshot *s)
{
	json_t *o = json_pack("{s:I, s:I, s:s, s:b}", "sequence",
			      (json_int_t)s->sequence, "time", (json_int_t)s->time,
			      "device", s->device, "published", s->published);

	return json_array_append_new(ctx, o) < 0 ? -ENOMEM : 0;
}
