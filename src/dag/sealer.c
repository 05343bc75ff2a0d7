#include "dag/sealer.h"

#include "crypto/hash.h"
#include "dag/cid.h"
#include "dag/profile.h"

static int plain_seal(struct sealer *sealer, enum link_codec codec,
		      enum block_kind kind _unused_, struct slice body,
		      struct link *ret)
{
	struct plain_sealer *s = container_of(sealer, struct plain_sealer, sealer);
	struct link l = { .kind = LINK_PLAIN, .codec = codec };
	struct cid cid;
	int r;

	if (s->profile->hash == CID_BLAKE2B_256) {
		r = hash_blake2b(body, l.digest);
		if (r < 0)
			return r;
	} else {
		sha256_once(body, l.digest);
	}
	if (s->cb) {
		dag_link_cid(s->profile, &l, &cid);
		r = s->cb(s->ctx, &cid, body);
		if (r < 0)
			return r;
	}
	*ret = l;
	return 0;
}

static const struct sealer_ops plain_ops = { .seal = plain_seal };

void plain_sealer_init(struct plain_sealer *s, const struct dag_profile *p,
		       plain_sealer_cb cb, void *ctx)
{
	*s = (struct plain_sealer){
		.sealer.ops = &plain_ops, .profile = p, .cb = cb, .ctx = ctx
	};
}
