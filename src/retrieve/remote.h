/*
 * remote.h - blocks straight from the stores, with nothing local to help
 *
 * What recover and salvage read with: there is no ledger yet, only pieces that
 * are known by name.  Every block is verified against its link (I4); a store
 * that gives a wrong one is passed over for the next.
 *
 * The ends of some pieces are kept (piece_reader.h: the tail holds commit,
 * catalogue and root of most drives), so that they are fetched once.
 *
 * Threading: belongs to one thread, which may wait.  remote_body(),
 * remote_bodies(), remote_section() and remote_trailer_read() may run side by side, as long as nothing is
 * added.
 */
#ifndef RETRIEVE_REMOTE_H
#define RETRIEVE_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"
#include "crypto/piece_cid.h"
#include "dag/piece.h"
#include "dag/trailer.h"

struct dir_item;
struct keys;
struct provider;
struct remote;

#define REMOTE_STORES_MAX 16
#define REMOTE_PIECES_MAX (1u << 20)

/* A piece by its ordinal, and who has it. */
struct remote_piece {
	uint64_t ordinal;
	struct piece_cid cid;
	uint64_t size; /* bytes, as the CID says */
	enum piece_kind kind;
	uint32_t stores; /* bit i: store i may have it */
	uint8_t *tail;   /* last n_tail bytes; NULL: not kept */
	size_t n_tail;
};

/* `stores` is borrowed. */
must_check int remote_new(const struct keys *keys, struct provider *const *stores,
			  size_t n_stores, struct remote **ret);
void remote_free(struct remote *r); /* NULL is fine */

/*
 * What every store lists.  `ret_status[i]`, `ret_n[i]`: how that went at store
 * i.  Before remote_add().  -EREMOTEIO if none answers.
 */
must_check int remote_listing(struct remote *r, int *ret_status,
			      uint64_t *ret_n, struct err *reterr);

/* Every piece of the listing: its CID and the stores that list it. */
size_t remote_n_listed(const struct remote *r);
void remote_listed(const struct remote *r, size_t i, struct piece_cid *ret,
		   uint64_t *ret_size, uint32_t *ret_stores);

/* Stores that list the piece with the size of its CID.  -EPROTO: no such CID. */
must_check int remote_where(const struct remote *r, const struct piece_cid *cid,
			    uint64_t *ret_size, uint32_t *ret_stores);

/* Now links into this piece can be followed.  A known ordinal stays as it is:
 * -EEXIST if it names another piece. */
must_check int remote_add(struct remote *r, uint64_t ordinal,
			  const struct piece_cid *cid, enum piece_kind kind);

/* Ascending by ordinal; borrowed until the next remote_add(). */
const struct remote_piece *remote_pieces(const struct remote *r, size_t *ret_n);

/* Does any store list the piece with this ordinal? */
bool remote_has(const struct remote *r, uint64_t ordinal);

/*
 * The trailer of a piece, from any store that lists it; with `keep` its tail
 * stays for remote_body().  Adds the piece under the ordinal of the trailer.
 * -ENODATA at no store, -EBADMSG damaged or not ours, -EREMOTEIO away.
 */
must_check int remote_trailer(struct remote *r, const struct piece_cid *cid,
			      bool keep, struct trailer *ret, struct err *reterr);

/* The same in two steps: reads that run side by side, then what adds. */
must_check int remote_trailer_read(struct remote *r, const struct piece_cid *cid,
				   struct trailer *ret);
must_check int remote_know(struct remote *r, const struct piece_cid *cid,
			   const struct trailer *t);

/* A section whose block `check` accepts (0); appended to `ret`.  Errors as
 * above; the last error of `check` where a store had bytes. */
typedef int (*remote_check)(void *ctx, struct slice section);
must_check int remote_section(struct remote *r, uint64_t ordinal, uint64_t off,
			      uint32_t len, remote_check check, void *ctx,
			      struct err *reterr);

/* The opened bytes of a link, appended.  -ENODATA: no store has its piece. */
must_check int remote_body(struct remote *r, const struct link *l,
			   struct buf *ret, struct err *reterr);

/* The same for many at once.  `body` is the caller's to free; 0, or the status of
 * the first that failed. */
struct remote_want {
	struct link link;
	struct buf body;
	int status;
	struct err err;
};
void remote_want_init(struct remote_want *w, const struct link *l);
must_check int remote_bodies(struct remote *r, struct remote_want *v, size_t n);

/* Every entry of a directory.  `cb` may call remote_add(). */
must_check int remote_dir(struct remote *r, const struct link *dir,
			  int (*cb)(void *ctx, const struct dir_item *item),
			  void *ctx, struct err *reterr);

static inline void remote_freep(struct remote **r)
{
	remote_free(*r);
}
#define _cleanup_remote_ _cleanup_(remote_freep)

#endif
