/*
 * snaplist.h - a retained commit as JSON
 *
 * {sequence, time, device, published, inodes, bytes}: time in seconds since 1970; the
 * last two are null where nobody has counted.
 *
 * Threading: values.
 */
#ifndef DAEMON_SNAPLIST_H
#define DAEMON_SNAPLIST_H

struct snapshot;

/* For snapshot_list(): `ctx` is the json_t array that gets it.  -ENOMEM */
int snaplist_add(void *ctx, const struct snapshot *s);

#endif
