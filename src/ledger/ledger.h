/*
 * ledger.h - what left this device, where it is, and what is on its way
 *
 * ledger.db stands apart from drive.db: a piece on its way must not wait for a
 * gigabyte of dirty data, and a damaged file tree must not lose the record of
 * what is stored.  Every function that changes something is one short durable
 * transaction: when it returns 0 the change survives a power cut.  All of them
 * may be repeated after a crash.
 *
 * A piece:
 *
 *   BUILDING ──► READY ──► HELD ──► CONDEMNED ──► REMOVED
 *      │           └────┬────┴─── again found whole ◄──┐
 *      │                └──► LOST ─────────────────────┘
 *      └─ dropped at the next open: its file is not whole
 *
 *   BUILDING   an ordinal is taken; the file in outbox/ grows
 *   READY      whole and durable in outbox/; its blocks can be linked and read
 *   HELD       `copies` stores hold it and gave it back verified (I2): the
 *              outbox file may go
 *   CONDEMNED  nothing needs it (onboard/mark.h), and no commit to come may link
 *              into it; it goes from the stores once such a commit is published.
 *              Also one that was LOST, and may be damaged at a store
 *   REMOVED    gone from every store; kept so that its ordinal stays taken.  Also
 *              one that was READY, of a run that was given up, which no store has
 *              begun to get (onboard/outbox.c)
 *   LOST       neither the outbox nor any store has it whole.  No block of it is
 *              linked again; what is still here in the clear is sealed anew
 *
 * A placement (piece × store):
 *
 *   PLANNED ──► STORED ──► VERIFIED ──► REMOVING ──► (row deleted)
 *      ▲           └─────┬────┘ ▲
 *      └──── LOST ◄──────┤      │  missing or damaged: placed again
 *                     LISTED ───┘
 *
 *   REMOVING   of a piece that is condemned: the store has been asked to remove it,
 *              or is about to be
 *   PARKED     a store that parks has taken it, and has yet to be told to keep it
 *              (provider.h); between PLANNED and STORED
 *   STORED     put by this device, not read back yet: that is done at once; or in
 *              doubt since a reader was served it wrong, then with that reason
 *   VERIFIED   read back whole by this device; only this counts as a copy (I2)
 *   LISTED     a store says that it has it, with the right size; this device has
 *              not read it back: after a recover, or when a store is configured
 *              again.  It counts when stores are chosen, and for nothing else
 *
 * A head (commit h):  BUILT ──► CLAIMED, or SUPERSEDED by another device.
 *
 * Threading: any thread but the loop (they wait for the disk); one lock inside.
 * Callbacks run under that lock unless their function says otherwise: they copy
 * and return, and call nothing here.
 * Errors: those of db.h.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"
#include "crypto/piece_cid.h"
#include "dag/piece.h"

struct buf;
struct err;
struct io;
struct ledger;
struct secret;

#define LEDGER_ERROR_MAX 256 /* bytes of a reason in words */
#define LEDGER_IDENT_MAX 16  /* bytes */
#define LEDGER_URL_MAX   4096
#define LEDGER_NODES_MAX (64u << 20) /* bytes of the node cache */

enum ledger_piece_state {
	LEDGER_BUILDING = 1,
	LEDGER_READY = 2,
	LEDGER_HELD = 3,
	LEDGER_CONDEMNED = 4,
	LEDGER_REMOVED = 5,
	LEDGER_PIECE_LOST = 6,
	LEDGER_PIECE_NX
};

enum ledger_placement_state {
	LEDGER_PLANNED = 1,
	LEDGER_STORED = 2,
	LEDGER_VERIFIED = 3,
	LEDGER_LOST = 4,
	LEDGER_REMOVING = 5,
	LEDGER_LISTED = 6,
	LEDGER_PARKED = 7,
	LEDGER_PLACEMENT_NX
};

enum ledger_head_state {
	LEDGER_BUILT = 1,
	LEDGER_CLAIMED = 2,
	LEDGER_SUPERSEDED = 3,
	LEDGER_HEAD_NX
};

struct ledger_params {
	struct io *io;
	const struct secret *key;
	uint8_t drive_id[16];
	bool create;        /* make it if it is absent */
	uint64_t nodes_max; /* bytes of the node cache; 0: LEDGER_NODES_MAX */
};

/* -EUCLEAN, with a sentence, if it is damaged, or absent and not `create`. */
must_check int ledger_open(const struct ledger_params *p, struct ledger **ret,
			   struct err *reterr);
void ledger_close(struct ledger *l); /* NULL is fine */

/* All of its pages, like fsck: -EUCLEAN with a reason, or 0. */
must_check int ledger_check(struct ledger *l, struct err *reterr);

/* ---- single values ---- */

enum ledger_key {
	LEDGER_VERSION = 1,
	LEDGER_WRITER = 2,    /* our writer tag, 24 bits */
	LEDGER_COUNTER = 3,   /* last piece counter given out */
	LEDGER_HEAD_SEEN = 4, /* newest sequence seen at any store: rollback of
				 the drive directory shows against it */
	LEDGER_SUPERSEDED_BY = 5, /* a sentence; set once another device won */
	LEDGER_BASE = 7,        /* the commit that this device recovered from */
	LEDGER_CONVERGENCE = 8, /* epoch and wrapped secret (convergence.h) */
	LEDGER_ADOPT_GEN = 9,   /* rows to adopt count up to here */
	LEDGER_LOSSES = 10,     /* pieces lost so far */
	LEDGER_MENDED = 11,     /* of these, what a commit has answered for */
	LEDGER_MIN_WRITER = 12, /* format that a writer has to know (commit.h);
				  set by recover, else there is none above ours */
	LEDGER_RENEW = 13, /* 1: a commit is due, even if nothing has changed */
	LEDGER_CONDEMNED_AT = 14, /* newest commit when a piece was last condemned */
	LEDGER_LEFT_OUT = 15, /* 1: a commit has left out names of damaged files */
	LEDGER_NODE_SUMS = 16, /* of the node cache (ledger.c) */
	LEDGER_MEMO = 32, /* to 47: of large directories (onboard/memos.c) */
};

must_check int ledger_get_u64(struct ledger *l, enum ledger_key k,
			      uint64_t *ret); /* -ENOENT */
must_check int ledger_set_u64(struct ledger *l, enum ledger_key k, uint64_t v);
must_check int ledger_get(struct ledger *l, enum ledger_key k, struct buf *ret);
must_check int ledger_set(struct ledger *l, enum ledger_key k, struct slice v);

/* ---- stores ---- */

struct ledger_store {
	uint64_t id;
	char url[LEDGER_URL_MAX + 1];
	bool has_ident;
	uint8_t ident[LEDGER_IDENT_MAX];
	bool retired;
	uint64_t seen; /* seconds since 1970; 0 never */
	char error[LEDGER_ERROR_MAX];
};

/*
 * The stores of the configuration, in its order: new ones get rows, missing
 * ones are retired (their placements no longer count), known ones come back.
 * One that was retired may have lost anything meanwhile: what was VERIFIED there
 * is LISTED.  Ids to ret_ids[n].
 */
must_check int ledger_stores_set(struct ledger *l, const char *const *urls,
				 size_t n, uint64_t *ret_ids);
must_check int ledger_store_get(struct ledger *l, uint64_t id,
				struct ledger_store *ret);
must_check int ledger_store_ident(struct ledger *l, uint64_t id,
				  const uint8_t ident[static LEDGER_IDENT_MAX]);
/* error NULL or "": it answered at `now`. */
must_check int ledger_store_seen(struct ledger *l, uint64_t id, uint64_t now,
				 const char *error);

/*
 * Another takes the place of what this store was: it has no placements any more
 * and no ident, `drop` (if not NULL) is no note of it any more, and `key` is one.
 * -ENOENT: no such store.
 */
must_check int ledger_store_reset(struct ledger *l, uint64_t id, const char *drop,
				  const char *key, struct slice value);

/*
 * The store may have lost anything: what was STORED or VERIFIED there is LISTED.  In
 * the same transaction the note `key` is set.
 */
must_check int ledger_store_unsure(struct ledger *l, uint64_t id,
				   const char *key, struct slice value);

/* ---- pieces ---- */

struct ledger_piece {
	uint64_t ordinal;
	struct piece_cid cid;
	uint64_t size;
	enum piece_kind kind;
	enum ledger_piece_state state;
	bool outbox;
	uint64_t seq;
	uint64_t live; /* bytes; of a LOST one: not 0 while something links into it;
			  of a CONDEMNED one: not 0 if it was LOST */
	uint64_t created;
	bool indexed; /* its blocks are known (ledger_blocks_add()) */
};

/* A block of a piece, as its index has it. */
struct ledger_block {
	uint8_t digest[LINK_DIGEST_SIZE];
	uint8_t key[LINK_KEY_SIZE];
	uint64_t off;
	uint32_t len;
	bool node;
};

/* By their digests, as they stand in the ledger: many are added in that order at a
 * fraction of the cost. */
void ledger_blocks_sort(struct ledger_block *v, size_t n);

/* A fresh ordinal, BUILDING. */
must_check int ledger_piece_begin(struct ledger *l, enum piece_kind kind,
				  uint64_t now, uint64_t *ret_ordinal);

/* BUILDING → READY with its blocks, in one transaction. */
must_check int ledger_piece_ready(struct ledger *l, uint64_t ordinal,
				  const struct piece_cid *cid, uint64_t size,
				  const struct ledger_block *blocks, size_t n);

/* A piece that another device made, learned from a commit: HELD, not in the
 * outbox.  A known ordinal stays as it is. */
must_check int ledger_piece_learn(struct ledger *l, const struct ledger_piece *p);
must_check int ledger_piece_drop(struct ledger *l, uint64_t ordinal);
must_check int ledger_piece_get(struct ledger *l, uint64_t ordinal,
				struct ledger_piece *ret); /* -ENOENT */
/* -ENOENT, as ledger_piece_listed() and ledger_head_set(). */
must_check int ledger_piece_set(struct ledger *l, uint64_t ordinal,
				enum ledger_piece_state state, bool outbox);
/* The oldest commit that lists it counts: it is the first to need it. */
must_check int ledger_piece_listed(struct ledger *l, uint64_t ordinal, uint64_t seq);

/*
 * In order of ordinals; state 0: all.  The lock is not held in `cb`, which may
 * call here.
 */
must_check int ledger_pieces(struct ledger *l, enum ledger_piece_state state,
			     int (*cb)(void *ctx, const struct ledger_piece *p),
			     void *ctx);
/* The same, from `ordinal` on; 0: all. */
must_check int ledger_pieces_from(struct ledger *l,
				  enum ledger_piece_state state, uint64_t ordinal,
				  int (*cb)(void *ctx, const struct ledger_piece *p),
				  void *ctx);

/* Blocks of a piece that was learned, from its indexes, in parts; then it is
 * indexed.  -ENOENT. */
must_check int ledger_piece_indexed(struct ledger *l, uint64_t ordinal);
must_check int ledger_blocks_add(struct ledger *l, uint64_t ordinal,
				 const struct ledger_block *blocks, size_t n);

/*
 * Where a block is that may be linked again: in a READY or HELD piece that is in
 * the outbox or verified at a store; never in one that is condemned or lost
 * (docs/architecture.md section 8).  -ENOENT.
 */
must_check int ledger_block_link(struct ledger *l,
				 const uint8_t digest[static LINK_DIGEST_SIZE],
				 struct ledger_block *ret, uint64_t *ret_ordinal);

/* Where a block may be read: in any READY or HELD piece.  -ENOENT. */
must_check int ledger_block_find(struct ledger *l,
				 const uint8_t digest[static LINK_DIGEST_SIZE],
				 struct ledger_block *ret, uint64_t *ret_ordinal);

/* ---- the node cache: opened bodies of directories, shards, file nodes ---- */

must_check int ledger_node_get(struct ledger *l,
			       const uint8_t digest[static LINK_DIGEST_SIZE],
			       struct buf *ret); /* -ENOENT */
/*
 * Not durable by itself; those that were used longest ago make room: a cache.
 * -EMSGSIZE over PIECE_BLOCK_MAX.
 */
must_check int ledger_node_put(struct ledger *l,
			       const uint8_t digest[static LINK_DIGEST_SIZE],
			       struct slice body);

/* ---- the outbox ---- */

#define LEDGER_OUTBOX          "outbox" /* folder of the drive directory */
#define LEDGER_OUTBOX_NAME_MAX 40

/* "outbox/<16 hex digits>.car": the file of a piece that has .outbox set. */
void ledger_outbox_name(uint64_t ordinal, char ret[static LEDGER_OUTBOX_NAME_MAX]);

/* ---- placements ---- */

struct ledger_placement {
	uint64_t piece, store;
	enum ledger_placement_state state;
	uint32_t attempts;
	uint64_t next_try; /* seconds since 1970 */
	char error[LEDGER_ERROR_MAX];
};

must_check int ledger_placement_set(struct ledger *l,
				    const struct ledger_placement *p);
must_check int ledger_placement_get(struct ledger *l, uint64_t piece,
				    uint64_t store, struct ledger_placement *ret);

/*
 * A reader was given bytes of it that are wrong, or none: VERIFIED or LISTED →
 * STORED with the reason, and it is read back again.  1; 0: it was neither.
 */
must_check int ledger_placement_doubt(struct ledger *l, uint64_t piece,
				      uint64_t store, const char *why);

/* An `error` that begins so: it came back wrong, and is to be read back whole. */
#define LEDGER_DOUBT "wrong: "
static inline bool ledger_is_doubted(const struct ledger_placement *p)
{
	return strncmp(p->error, LEDGER_DOUBT, sizeof(LEDGER_DOUBT) - 1) == 0;
}

/* Those of one piece; retired stores are left out. */
must_check int ledger_placements(struct ledger *l, uint64_t piece,
				 int (*cb)(void *ctx,
					   const struct ledger_placement *p),
				 void *ctx);

/*
 * What a store has PARKED, by ordinal; `head`: it is the head piece of a commit
 * that is not published yet.  The lock is not held in `cb`.
 */
must_check int ledger_parked(struct ledger *l, uint64_t store,
			     int (*cb)(void *ctx, uint64_t piece,
				       const struct piece_cid *cid, bool head),
			     void *ctx);

/* Is it the head piece of a commit that is not published yet? */
must_check int ledger_is_head(struct ledger *l, uint64_t piece, bool *ret);

/* Copies that were read back whole, at stores of the configuration. */
must_check int ledger_copies(struct ledger *l, uint64_t piece, unsigned *ret);

struct ledger_sums {
	uint64_t n_pieces; /* READY and HELD */
	uint64_t bytes;    /* of them */
	uint64_t outbox_pieces, outbox_bytes;
	uint64_t queued_pieces, queued_bytes; /* READY: not held enough yet */
};
must_check int ledger_sums(struct ledger *l, struct ledger_sums *ret);

/* Pieces that neither the outbox nor any store of the configuration holds; of
 * those given up as LOST the ones that are still linked into. */
must_check int ledger_lost(struct ledger *l, uint64_t *ret);

/* What one store holds. */
struct ledger_holding {
	uint64_t pieces, bytes;               /* read back whole */
	uint64_t unread_pieces, unread_bytes; /* said to be there: put, or listed by
						 a commit, and not read back yet */
};
must_check int ledger_store_sums(struct ledger *l, uint64_t store,
				 struct ledger_holding *ret);

/* ---- pieces that nobody needs ---- */

/*
 * HELD → CONDEMNED, those that are not in the outbox and that a commit lists; and
 * LOST → CONDEMNED, such as are not linked into, and may be damaged at a store.  The
 * others stay.  *ret_n: how many it were.  Packer thread: a commit that is being
 * built links where it may still link.
 */
must_check int ledger_condemn(struct ledger *l, const uint64_t *ordinals,
			      size_t n, size_t *ret_n);

/* CONDEMNED → HELD, or LOST again if it was: somebody needs it after all.  What was
 * being removed counts as LISTED, or LOST. */
must_check int ledger_spare(struct ledger *l, uint64_t ordinal);

/* Is a commit published that was built after the last condemnation? */
must_check int ledger_may_remove(struct ledger *l, bool *ret);

/*
 * CONDEMNED and REMOVED pieces that still have a placement at `store`, by ordinal.
 * The lock is not held in `cb`, which may call here.
 */
must_check int ledger_removals(struct ledger *l, uint64_t store,
			       int (*cb)(void *ctx, const struct ledger_piece *p),
			       void *ctx);

/* The store has it no more; with the last one CONDEMNED → REMOVED. */
must_check int ledger_removed(struct ledger *l, uint64_t piece, uint64_t store);

/* Pieces and bytes that are condemned and not gone, at one store; 0: at any of the
 * configuration. */
must_check int ledger_condemned(struct ledger *l, uint64_t store,
				uint64_t *ret_pieces, uint64_t *ret_bytes);

/* Forget the blocks of REMOVED pieces, in short transactions; `stop` (may be NULL)
 * ends it early, which is 0. */
must_check int ledger_blocks_sweep(struct ledger *l, const atomic_bool *stop);

/* ---- losses ---- */

/*
 * READY or HELD → LOST, if the outbox does not have it and no store of the
 * configuration is said to: 1; else 0.  Of a READY one, BUILT heads that need it
 * go with it: they can have been claimed nowhere.  `damaged`: the outbox has it, but
 * not whole; its sound blocks may still be read there.  -ENOENT.
 */
must_check int ledger_piece_lose(struct ledger *l, uint64_t ordinal, bool damaged);

/* Is there something to mend?  Yes while the two differ. */
must_check int ledger_losses(struct ledger *l, uint64_t *ret_losses,
			     uint64_t *ret_mended);

/*
 * Is the block, which `hint` should hold, only in LOST pieces?  1, 0; what we do
 * not know of is not lost.  Cheap while nothing is lost.
 */
must_check int ledger_block_lost(struct ledger *l,
				 const uint8_t digest[static LINK_DIGEST_SIZE],
				 uint64_t hint);

/*
 * No LOST piece is linked into any more: that is what was seen when there had been so
 * many losses.  If there are more by now, nothing is changed.
 */
must_check int ledger_lost_unlinked(struct ledger *l, uint64_t losses);

#define LEDGER_PATH_MAX 4096 /* bytes; a longer one is cut */

/* A file or directory of which `bytes` are nowhere any more. */
struct ledger_lost_file {
	uint64_t ino;
	uint64_t bytes;
	char path[LEDGER_PATH_MAX + 1]; /* from the root; empty: not known */
};

/*
 * All losses up to `losses` are dealt with.  These files, and no others, have
 * lost something; these LOST pieces are still linked into.
 */
must_check int ledger_mended(struct ledger *l, uint64_t losses,
			     const struct ledger_lost_file *v, size_t n,
			     const uint64_t *ordinals, size_t n_ordinals);

/* The lock is not held in `cb`. */
must_check int ledger_lost_files(struct ledger *l,
				 int (*cb)(void *ctx,
					   const struct ledger_lost_file *f),
				 void *ctx);
must_check int ledger_lost_count(struct ledger *l, uint64_t *ret_files,
				 uint64_t *ret_bytes);

/* ---- what providers remember, and what was paid ---- */

#define LEDGER_NOTE_KEY_MAX 128         /* bytes, with NUL */
#define LEDGER_NOTE_MAX     (64u << 10) /* bytes of a value */

/* Small values of one store, by name.  Store 0: of none. */
must_check int ledger_note_get(struct ledger *l, uint64_t store, const char *key,
			       struct buf *ret); /* appended; -ENOENT */
/* -EMSGSIZE: key or value too long. */
must_check int ledger_note_set(struct ledger *l, uint64_t store,
			       const char *key, struct slice value);
must_check int ledger_note_drop(struct ledger *l, uint64_t store, const char *key);

/* Those whose key begins with `prefix`, by key.  The lock is not held in `cb`,
 * which may call here. */
must_check int ledger_notes(struct ledger *l, uint64_t store, const char *prefix,
			    int (*cb)(void *ctx, const char *key, struct slice value),
			    void *ctx);

#define LEDGER_SPEND_REF_MAX  64  /* bytes */
#define LEDGER_SPEND_TEXT_MAX 256 /* bytes, with NUL */

struct ledger_spend {
	uint64_t id;                       /* given by the ledger */
	uint64_t time;                     /* seconds since 1970 */
	uint64_t store;                    /* 0: none */
	uint8_t ref[LEDGER_SPEND_REF_MAX]; /* what was paid for: a nonce, a hash */
	size_t n_ref;
	uint8_t amount[32]; /* units of the token, big-endian */
	char text[LEDGER_SPEND_TEXT_MAX];
};

/* Once for a `ref`: a second time changes nothing. */
must_check int ledger_spend_add(struct ledger *l, const struct ledger_spend *s);

/* In the order of adding, from id `after` on.  The lock is not held in `cb`. */
must_check int ledger_spends(struct ledger *l, uint64_t after,
			     int (*cb)(void *ctx, const struct ledger_spend *s),
			     void *ctx);

/* ---- heads and adoption ---- */

struct ledger_head {
	uint64_t seq;
	enum ledger_head_state state;
	uint64_t time;
	uint64_t piece;
	uint8_t hash[32];
	struct slice body; /* borrowed for the call */
	uint64_t losses;   /* for ledger_head_add() of a BUILT one: what
			      ledger_losses() said before anything was linked */
};

struct ledger_adopt {
	uint64_t ino, size;
	struct slice link; /* encoded */
};

/*
 * A part of what the cache has to adopt of the commit that is being made, in
 * advance and in short transactions: it counts when ledger_head_add() has been
 * called for `gen`, which no commit before had.  Before the first part what was
 * staged for others is forgotten.  Of two with one inode number the last counts.
 */
must_check int ledger_adopt_stage(struct ledger *l, uint64_t gen,
				  const struct ledger_adopt *v, size_t n);
/* The link is appended to ret.  -ENOENT: not staged */
must_check int ledger_adopt_staged(struct ledger *l, uint64_t gen, uint64_t ino,
				   struct buf *ret);

/*
 * A commit is whole in the outbox: its head, the pieces that it lists, and what
 * the cache has to adopt (the rest of it, if some was staged).  The last is written
 * in short transactions first and counts from the moment that the head is there.
 *
 * -EAGAIN  a piece was lost since; the commit may link into it
 */
must_check int ledger_head_add(struct ledger *l, const struct ledger_head *h,
			       const uint64_t *ordinals, size_t n_ordinals,
			       uint64_t gen, const struct ledger_adopt *adopt,
			       size_t n_adopt);
must_check int ledger_head_set(struct ledger *l, uint64_t seq,
			       enum ledger_head_state state);
must_check int ledger_head_get(struct ledger *l, uint64_t seq,
			       int (*cb)(void *ctx, const struct ledger_head *h),
			       void *ctx); /* -ENOENT */
/* Those that are not thinned out, oldest first. */
must_check int ledger_heads(struct ledger *l,
			    int (*cb)(void *ctx, const struct ledger_head *h),
			    void *ctx);
/* Which head it is whose piece that is, or was; thinned out or not.  -ENOENT. */
must_check int ledger_head_of(struct ledger *l, const struct piece_cid *cid,
			      uint64_t *ret_seq);
must_check int ledger_newest_head(struct ledger *l, uint64_t *ret_seq);
must_check int ledger_newest_claimed(struct ledger *l, uint64_t *ret_seq);

/*
 * The oldest that is BUILT, without its body, and whether every piece that it
 * needs is held.  -ENOENT.
 */
must_check int ledger_head_next(struct ledger *l, struct ledger_head *ret,
				bool *ret_complete);

/*
 * These CLAIMED commits can no longer be mounted: their bodies go.  Which piece
 * each head is stays known, for stores that are still to get it.
 */
must_check int ledger_heads_thin(struct ledger *l, const uint64_t *seqs, size_t n);

/* What the cache may not have made durable yet: replayed at mount.  The lock is
 * not held in `cb`. */
must_check int ledger_adopts(struct ledger *l,
			     int (*cb)(void *ctx, uint64_t gen,
				       const struct ledger_adopt *a),
			     void *ctx);
must_check int ledger_adopted(struct ledger *l, uint64_t gen);

#endif
