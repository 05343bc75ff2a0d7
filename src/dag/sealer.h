/*
 * sealer.h - what turns a finished node into a link
 *
 * The builders (file.h, dir.h) hand every node, and the file builder also every
 * leaf that it was given as bytes, to a sealer.  Two exist: the plain one below
 * for `publish`, and the sealed one of src/onboard on top of crypto/seal.h.
 *
 * A sealer is called in post-order: what a node links was sealed before it, and
 * the root of a builder comes last.  The same body may be handed over more than
 * once; whether it is stored twice is the sealer's business.
 */
#ifndef DAG_SEALER_H
#define DAG_SEALER_H

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"

struct cid;
struct dag_profile;
struct sealer;

enum block_kind {
	BLOCK_LEAF, /* content */
	BLOCK_NODE, /* file node, directory, a shard's root, symlink */
	BLOCK_SHARD /* node below a shard's root */
};

struct sealer_ops {
	/*
	 * `body` is borrowed until return.  On success `*ret` names it.
	 * Any -errno ends the build.
	 */
	int (*seal)(struct sealer *s, enum link_codec codec,
		    enum block_kind kind, struct slice body, struct link *ret);
};

struct sealer {
	const struct sealer_ops *ops;
};

static inline must_check int sealer_seal(struct sealer *s, enum link_codec codec,
					 enum block_kind kind,
					 struct slice body, struct link *ret)
{
	return s->ops->seal(s, codec, kind, body, ret);
}

/*
 * The plain sealer: a link is the CID of the block itself (LINK_PLAIN), under
 * the profile's hash; never an identity.  `cb`, if not NULL, receives each
 * block (for a CAR); what it returns ends the build when negative.
 */
typedef int (*plain_sealer_cb)(void *ctx, const struct cid *cid, struct slice block);

struct plain_sealer {
	struct sealer sealer;
	/* private to sealer.c */
	const struct dag_profile *profile;
	plain_sealer_cb cb;
	void *ctx;
};

void plain_sealer_init(struct plain_sealer *s, const struct dag_profile *p,
		       plain_sealer_cb cb, void *ctx);

#endif
