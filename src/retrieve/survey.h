/*
 * survey.h - every block of a drive, by the trailers and indexes of its pieces
 *
 * What salvage looks with when nothing else is left: neither head register nor
 * commit nor catalogue is needed, only the words and the pieces.  A trailer says
 * where its piece stands in the history; its indexes say what each block is, and
 * hold the keys.
 *
 * Memory: 40 bytes a piece, and one index at a time.
 *
 * Threading: as remote.h.
 */
#ifndef RETRIEVE_SURVEY_H
#define RETRIEVE_SURVEY_H

#include <stdbool.h>

#include "crypto/link.h"
#include "dag/piece_reader.h"
#include "dag/trailer.h"
#include "dag/xindex.h"
#include "retrieve/remote.h"

/* A piece, and the evidence of its age. */
struct survey_piece {
	uint64_t sequence; /* of its commit; else one above the newest head that
			      its writer knew: that of the commit which it was
			      written for */
	int64_t time_s;    /* when it was closed */
	uint64_t ordinal;
	size_t listed; /* remote_listed() */
	bool has_commit;
};

struct survey {
	struct remote *r;
	struct survey_piece *v; /* newest first */
	size_t n, cap;
	uint64_t n_unreadable; /* listed, and no piece of this drive, or damaged
				  at the end */
};

/* Read the trailers of what remote_listing() found; each piece is known to
 * remote.h afterwards.  Only -ENOMEM and -EMSGSIZE are failures. */
must_check int survey_read(struct survey *s);
void survey_fini(struct survey *s); /* `r` stays */

must_check int survey_trailer(const struct survey *s, const struct survey_piece *p,
			      struct trailer *ret, struct piece_cid *ret_cid);

/* Non-zero ends the look at this piece, and is returned. */
typedef int (*survey_cb)(void *ctx, const struct survey_piece *p,
			 const struct link *l, const struct xindex_entry *e);

/*
 * The blocks of one piece, ascending by digest.  An index that is not there, or
 * that cannot be read, has none: 0.  -ENOMEM.
 */
must_check int survey_blocks(const struct survey *s, const struct survey_piece *p,
			     enum piece_index_of of, survey_cb cb, void *ctx);

/* The same of all pieces, the newest first. */
must_check int survey_all(const struct survey *s, enum piece_index_of of,
			  survey_cb cb, void *ctx);

#endif
