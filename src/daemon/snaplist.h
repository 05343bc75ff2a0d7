/*
 * snaplist.h - a retained commit as JSON: {sequence, time, device, published}
 *
 * Threading: values.
 */
#ifndef DAEMON_SNAPLIST_H
#define DAEMON_SNAPLIST_H

struct snapshot;

/* For snapshot_list(): `ctx` is the json_t array that gets it. */
int snaplist_add(void *ctx, const struct snapshot *s);

#endif
