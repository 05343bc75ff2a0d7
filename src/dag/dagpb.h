/*
 * dagpb.h - dag-pb nodes: strict decoder, canonical encoder
 *
 * Spec: https://ipld.io/specs/codecs/dag-pb/spec/.
 *
 *   PBNode { 1: bytes Data; 2: repeated PBLink Links }
 *   PBLink { 1: bytes Hash; 2: string Name; 3: uint64 Tsize }
 *
 *   encoded: each link 12 <len> { 0a <len> cid  12 <len> name  18 <tsize> },
 *   then 0a <len> data.  Name is written even when empty, as Kubo does.
 *
 * The decoder allocates nothing: dagpb_parse() checks the whole block once and
 * dagpb_next() walks the links in wire order; slices borrow from the block.
 * Refused: unknown fields, wrong wire types, link fields out of order or
 * repeated, two Data fields, links on both sides of Data, a missing Hash, a
 * Hash that is no CID.  Data before the links (old blocks) is read.
 *
 * Threading: stateless.  Errors: -EPROTO.
 */
#ifndef DAG_DAGPB_H
#define DAG_DAGPB_H

#include <stdbool.h>

#include "base/cursor.h"
#include "base/slice.h"
#include "base/util.h"

struct buf;

struct dagpb {
	struct slice links; /* the wire bytes of all links, framed */
	struct slice data;
	bool has_data;
	uint32_t n_links;
};

struct dagpb_link {
	struct slice hash; /* a CID, checked */
	struct slice name; /* empty if it was missing */
	uint64_t tsize;    /* 0 if it was missing; a hint, never trusted */
};

must_check int dagpb_parse(struct slice block, struct dagpb *ret);

/* Walk: `it` = cursor(pb->links).  False at the end. */
bool dagpb_next(struct cursor *it, struct dagpb_link *ret);

/* Append one link; the caller adds links in order of their names. */
must_check int dagpb_put_link(struct buf *b, const struct dagpb_link *l);

/* Append Data; last. */
must_check int dagpb_put_data(struct buf *b, struct slice data);

/* Bytes that dagpb_put_link() and dagpb_put_data() append. */
size_t dagpb_link_size(size_t n_hash, size_t n_name, uint64_t tsize);
size_t dagpb_data_size(size_t n_data);

/* Bytes of a protobuf varint. */
size_t dagpb_varint_size(uint64_t v);

#endif
