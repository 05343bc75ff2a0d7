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
 * at most, the numbers of LOST_SHARED_MAX files of several names and those of
 * LOST_FOLDERS_MAX folders.
 *
 * Threading: any one thread that may wait for a store.
 */
#ifndef ONBOARD_LOST_H
#define ONBOARD_LOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "onboard/run.h"

#define LOST_PENDING_MAX \
 (32u << 20) /* bytes; more folders are not looked into,
					and that is told */
#define LOST_SHARED_MAX  65536
#define LOST_FOLDERS_MAX (1u << 20) /* that are looked into; likewise */
#define LOST_AGAIN_MAX   4096

/* What is said of a folder after its path. */
#define LOST_FOLDER \
 "the folder, or a part of it, is lost, and with it the names of what is in it"

struct link;
struct onboard;

/*
 * Each range of a file's content whose leaf is lost, or all that hangs on a node
 * that cannot be read any more or is wrong.
 *
 * A node is remembered: one that is linked again and again, as equal parts of a file
 * are, is looked through once.  Where a part of such a node is lost its ranges differ
 * from place to place; it is gone through LOST_AGAIN_MAX times in all, then `range`
 * gets the whole of it.  Memory: 32 bytes a node.
 */
struct lost_file {
	struct onboard *o;
	/* NULL: they are only counted */
	int (*range)(void *ctx, uint64_t off, uint64_t n);
	void *ctx;
	bool node;      /* set: a node is lost, whether its content is or not */
	uint64_t bytes; /* set: of all ranges */
	/* private to lost.c */
	struct ino_map known; /* first bytes of a node's digest → bytes lost */
	unsigned again;
};

/*
 * `l` is a file's own link, `n` its size.
 *
 * -EREMOTEIO, -ETIMEDOUT  a node is not lost, but cannot be read now
 */
must_check int lost_file(struct lost_file *w, const struct link *l, uint64_t n);

/*
 * A sentence for each file and folder of the newest commit that has lost
 * something and is not in ledger_lost_files(), which `found` heard of already;
 * returns their number.  `go_on` is asked at each folder, and ends the walk by
 * anything but 0.  If nothing of the commit hangs on a lost piece any more, none of
 * them is said to be linked into from then on.
 *
 * -ECANCELED  by go_on, or the engine stops
 */
must_check int lost_name(struct onboard *o,
			 void (*found)(void *ctx, const char *sentence),
			 int (*go_on)(void *ctx), void *ctx);

#endif
