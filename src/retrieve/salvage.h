/*
 * salvage.h - a drive whose metadata, or whose head register, is damaged
 *
 * Neither the head register nor a catalogue is needed: the trailer of every
 * piece that the stores list is read (so its time grows with the number of
 * pieces), and, where that does not do, every index and every node.
 *
 *   - The newest commit whose root directory can be read is taken.  If its
 *     record is damaged or gone, but its root directory is in some piece, the
 *     record is made anew from that: root, inode table and retained commits by
 *     what the index calls them, settings from an older commit.
 *   - Directories below that are lost are replaced by the newest older version
 *     that any piece has (mend.h), or are left empty with a note in them.
 *   - If anything is lost, content that no node names goes to lost+found.
 *
 * All that is not as it was is said, line by line: salvage_report(), and the
 * same in lost+found/report.txt of the drive.
 *
 *   salvage_find ─► recover_into, recover_format with ret->found ─► salvage_mend
 *
 * What is at a store that does not answer counts as lost: name the stores that
 * do not (found->stores), before a person goes on.
 *
 * Threading: as recover.h.
 */
#ifndef RETRIEVE_SALVAGE_H
#define RETRIEVE_SALVAGE_H

#include "base/slice.h"
#include "retrieve/recover.h"

struct salvage_plan;

struct salvage {
	struct recover_found *found; /* NULL: nothing; until salvage_fini() */
	uint64_t n_pieces;           /* of the drive, by their trailers */
	uint64_t n_unreadable; /* files that are not pieces of this drive, or
					damaged at their end */
	uint64_t n_commits;    /* found in trailers */
	uint64_t newest;       /* sequence of the newest that is known of */
	bool rebuilt;          /* the record of `found` is made anew */
	uint64_t n_dirs;       /* of the commit that was taken */
	uint64_t n_lost_dirs;  /* of these, cannot be read from end to end */
	uint64_t n_faults;     /* lines that tell of a loss; 0: all is there */
	struct salvage_plan *plan; /* private to salvage.c */
};

/*
 * Looks, and changes nothing.  params.before as in recover.h; params.stores are
 * borrowed until salvage_fini(), which is called in any case.
 *
 * -ENOENT      no piece at these stores holds a root directory of this drive
 * -EOPNOTSUPP  the newest commit is of a newer program
 * -EMSGSIZE    more to mend than this program holds in memory
 */
must_check int salvage_find(const struct recover_params *p, struct salvage *ret,
			    struct err *reterr);

/* The drive that recover_format() has just made of s->found gets what takes the
 * place of lost directories; the next commit publishes it. */
must_check int salvage_mend(struct salvage *s, const struct cache_params *p,
			    struct err *reterr);

/* What is not as it was, a line each; borrowed from `s`.  Empty: all is. */
struct slice salvage_report(const struct salvage *s);

void salvage_fini(struct salvage *s); /* zeroed is fine */

#endif
