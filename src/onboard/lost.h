/*
 * lost.h - which files of the newest commit hang on blocks that are nowhere
 *
 * What is loaded on this machine the packer deals with (reseal.h): it seals anew
 * what is here and names the rest in the ledger.  Folders that nobody has opened
 * since a recover stand in the DAG alone.  To name what is lost in them all of
 * their nodes have to be read, from the stores where they are not here: so that is
 * done when it is asked for (onboard_verify()), never by itself, and only while a
 * lost piece is still linked into.
 *
 * Memory: the folders that wait to be looked into, LOST_PENDING_MAX bytes of them
 * at most, and the numbers of LOST_SHARED_MAX files of several names.
 *
 * Threading: any one thread that may wait for a store.
 */
#ifndef ONBOARD_LOST_H
#define ONBOARD_LOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

#define LOST_PENDING_MAX \
 (32u << 20) /* bytes; more folders are not looked into,
					and that is told */
#define LOST_SHARED_MAX 65536

/* What is said of a folder after its path. */
#define LOST_FOLDER \
 "the folder, or a part of it, is lost, and with it the names of what is in it"

struct link;
struct onboard;

/* Each range of a file's content whose leaf is lost, or all that hangs on a
 * node that cannot be read any more. */
struct lost_file {
	struct onboard *o;
	int (*range)(void *ctx, uint64_t off, uint64_t n);
	void *ctx;
	bool node; /* set: a node is lost, whether its content is or not */
};

/*
 * `l` stands for content [off, off + n); `depth` is 0 for the file's own link.
 *
 * -EREMOTEIO, -ETIMEDOUT  a node is not lost, but cannot be read now
 * -EPROTO                 deeper than FILE_DEPTH_MAX
 */
must_check int lost_file(struct lost_file *w, const struct link *l,
			 uint64_t off, uint64_t n, unsigned depth);

/*
 * A sentence for each file and folder of the newest commit that has lost
 * something and is not in ledger_lost_files(), which `found` heard of already;
 * returns their number.  `go_on` is asked at each folder, and ends the walk by
 * anything but 0.
 *
 * -ECANCELED  by go_on, or the engine stops
 */
must_check int lost_name(struct onboard *o,
			 void (*found)(void *ctx, const char *sentence),
			 int (*go_on)(void *ctx), void *ctx);

#endif
