#include "retrieve/snapshot.h"

#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/err.h"
#include "dag/attr.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "retrieve/internal.h"

static void device_text(struct slice s, char ret[static COMMIT_DEVICE_MAX + 1])
{
	size_t n = MIN(s.n, (size_t)COMMIT_DEVICE_MAX);

	for (size_t i = 0; i < n; i++)
		ret[i] = s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : (char)s.p[i];
	ret[n] = '\0';
}

static int snapshot_of(const struct ledger_head *h, struct snapshot *ret)
{
	_cleanup_buf_ struct buf link = { 0 };
	struct head_info info;
	struct attr a;
	int r;

	*ret = (struct snapshot){ .sequence = h->seq,
				  .time = h->time,
				  .published = h->state == LEDGER_CLAIMED };
	buf_init(&link, LINK_ENCODED_MAX);
	r = head_info_decode(h->body, &info);
	if (r == 0)
		r = attr_decode(info.root_attr, &a);
	if (r == 0)
		r = link_encode(&info.root, &link);
	if (r < 0)
		return r == -EPROTO ? -EUCLEAN : r;
	device_text(info.device, ret->device);
	attr_to_cache(&a, &ret->root);
	memcpy(ret->link, link.p, link.n);
	ret->n_link = link.n;
	ret->inode_table = info.inode_table;
	ret->counts = (struct cache_counts){ info.n_inodes, info.n_bytes };
	return 0;
}

struct lister {
	int (*cb)(void *ctx, const struct snapshot *s);
	void *ctx;
};

/* What another device overtook was never a commit of the drive; what was thinned
 * out is none any more. */
static int on_head(void *ctx, const struct ledger_head *h)
{
	const struct lister *l = ctx;
	struct snapshot s;
	int r;

	if (h->state == LEDGER_SUPERSEDED || h->body.n == 0)
		return 0;
	r = snapshot_of(h, &s);
	return r < 0 ? r : l->cb(l->ctx, &s);
}

int snapshot_list(struct ledger *l,
		  int (*cb)(void *ctx, const struct snapshot *s), void *ctx)
{
	struct lister v = { cb, ctx };

	return ledger_heads(l, on_head, &v);
}

static int on_found(void *ctx, const struct snapshot *s)
{
	*(struct snapshot *)ctx = *s;
	return 0;
}

int snapshot_find(struct ledger *l, uint64_t sequence, struct snapshot *ret,
		  struct err *reterr)
{
	struct lister v = { on_found, ret };
	int r;

	ret->sequence = 0;
	r = ledger_head_get(l, sequence, on_head, &v);
	if (r == 0 && ret->sequence != sequence)
		r = -ENOENT;
	if (r == -ENOENT)
		return err_set(reterr, r, "there is no snapshot %" PRIu64, sequence);
	return r < 0 ? err_set(reterr, r, "snapshot %" PRIu64 ": %s", sequence,
			       err_str(r)) :
		       0;
}
