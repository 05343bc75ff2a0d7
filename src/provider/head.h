/*
 * head.h - the head register of a store (docs/format.md section 4)
 *
 * Sequence h of a drive can be claimed once.  The name of h is a PRF of the
 * drive's keys, so a store sees random names, and whoever has the words can
 * compute them all.  The content is the sealed piece CID of the head piece; on a
 * network the name is the nonce that adds the head piece, and the chain says
 * which piece that was (docs/format.md).
 *
 * Threading: blocking; from any thread but the loop.
 */
#ifndef PROVIDER_HEAD_H
#define PROVIDER_HEAD_H

#include <stdint.h>

#include "base/util.h"
#include "crypto/piece_cid.h"

struct err;
struct keys;
struct provider;

/*
 * 0 if sequence h names `cid` here, now or since an earlier call of ours.
 * -ESTALE  h names another piece: somebody else published it
 */
must_check int head_claim(struct provider *p, const struct keys *k, uint64_t h,
			  const struct piece_cid *cid, struct err *reterr);

/* -ENOENT: not claimed.  -EBADMSG: it is not a head of this drive.  -ENODATA: it
 * is claimed, and its piece is known no more. */
must_check int head_read(struct provider *p, const struct keys *k, uint64_t h,
			 struct piece_cid *ret, struct err *reterr);

/*
 * Does the copy of `cid` that is here carry commit h?  0; -EBADMSG: it is a piece of
 * this drive without it, so that a register which names it as h shows an old head
 * under a new number; -ENODATA: no whole piece of this drive is here under that name;
 * and the failures of the store.
 */
must_check int head_check(struct provider *p, const struct keys *k, uint64_t h,
			  const struct piece_cid *cid);

/*
 * The newest sequence that is claimed here and its piece: doubles from `known`
 * (0 = nothing known) and then narrows, 16 names at a time: one round trip if
 * nothing is newer than `known`, else 2 + log16(h) of them.
 * A store that has not got `known` is searched from its first.
 * -ENOENT if no head at all; -ENODATA: *ret_h is claimed, its piece is known no
 * more.  Sequences have no gaps.  On a network they may begin later than at 1, if it
 * was not the drive's first store: then, with `known` 0, trailers of the pieces that
 * were added last say where to look.
 */
must_check int head_newest(struct provider *p, const struct keys *k,
			   uint64_t known, uint64_t *ret_h,
			   struct piece_cid *ret, struct err *reterr);

#endif
