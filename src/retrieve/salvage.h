/*
 * salvage.h - a drive whose newest metadata, or whose head register, is gone
 *
 * Reads the trailer of every piece that the stores list (so its time grows with
 * the number of pieces) and takes the newest commit among them whose
 * directories can all be read; if there is none, the newest that mounts at all.
 * Neither the head register nor a catalogue is needed.  What is found goes on as
 * after recover_find(): recover_into(), recover_format().
 *
 * Threading: as recover.h.
 */
#ifndef RETRIEVE_SALVAGE_H
#define RETRIEVE_SALVAGE_H

#include "retrieve/recover.h"

struct salvage {
	struct recover_found *found; /* NULL: nothing; the caller frees it */
	uint64_t n_pieces;           /* of the drive, by their trailers */
	uint64_t n_unreadable; /* files that are not pieces of this drive, or
					damaged at their end */
	uint64_t n_commits;    /* found in trailers */
	uint64_t newest;       /* sequence of the newest of them */
	uint64_t n_dirs;       /* of the commit that was taken */
	uint64_t n_lost_dirs;  /* of these, cannot be read */
};

/*
 * Looks, and changes nothing.  params.before as in recover.h.
 * -ENOENT: no piece at these stores holds a commit of this drive that opens.
 */
must_check int salvage_find(const struct recover_params *p, struct salvage *ret,
			    struct err *reterr);

#endif
