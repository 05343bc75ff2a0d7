#include "chain/cost.h"

#include <errno.h>

#include "chain/view.h"
#include "crypto/commp.h"
#include "crypto/piece_cid.h"

#define LEAF          32 /* bytes, of which 127/128 are payload */
#define BUFFER_EPOCHS 5  /* between a quote and its transaction */

/* Of so many leaves, as they are billed. */
static uint64_t cost_bytes(uint64_t leaves)
{
	return (uint64_t)((unsigned __int128)leaves * LEAF * 127 / 128);
}

/* Of the padded size, rounded up: as PDPVerifier counts. */
uint64_t cost_leaves_of_size(uint64_t raw_bytes)
{
	unsigned __int128 padded = ((unsigned __int128)raw_bytes * 128 + 126) / 127;

	return (uint64_t)((padded + LEAF - 1) / LEAF);
}

uint64_t cost_leaves(const struct piece_cid *cid)
{
	struct commp_sum sum;

	if (piece_cid_parse(piece_cid_slice(cid), &sum) < 0)
		return 0;
	return cost_leaves_of_size(sum.raw_size);
}

int cost_rate(const struct view_price_list *p, uint64_t leaves, struct u256 *ret)
{
	const struct u256 month = u256(COST_EPOCHS_PER_MONTH);
	struct u256 tib_month, by_size, fee;
	int r;

	*ret = U256_ZERO;
	if (leaves == 0)
		return 0;
	r = u256_mul(u256(1ull << 40), month, &tib_month);
	if (r == 0)
		r = u256_muldiv(u256(cost_bytes(leaves)),
				p->storage_per_tib_month, tib_month, &by_size);
	if (r == 0)
		r = u256_div(p->data_set_fee_per_month, month, &fee, NULL);
	return r < 0 ? r : u256_add(by_size, fee, ret);
}

static int fees_of(const struct view_price_list *p,
		   const struct cost_plan *plan, struct u256 *ret)
{
	uint64_t adds = plan->n_adds;
	struct u256 base, pieces, sum;
	int r;

	if (!adds)
		adds = plan->n_pieces / COST_ADD_PIECES +
		       !!(plan->n_pieces % COST_ADD_PIECES);
	r = u256_mul(p->add_base_fee, u256(adds), &base);
	if (r == 0)
		r = u256_mul(p->add_piece_fee, u256(plan->n_pieces), &pieces);
	if (r == 0)
		r = u256_add(base, pieces, &sum);
	if (r == 0)
		r = u256_add(sum, plan->create ? p->create_fee : U256_ZERO, ret);
	return r;
}

int cost_of(const struct view_price_list *p, const struct cost_plan *plan,
	    struct cost *ret)
{
	struct u256 before, after, lockup;
	struct cost c;
	int r;

	if (plan->add_leaves > UINT64_MAX - plan->have_leaves)
		return -EOVERFLOW;
	r = cost_rate(p, plan->have_leaves, &before);
	if (r == 0)
		r = cost_rate(p, plan->have_leaves + plan->add_leaves, &after);
	if (r == 0)
		r = u256_sub(after, before, &c.rate);
	if (r == 0)
		r = u256_mul(c.rate, u256(p->lockup_period), &lockup);
	if (r == 0)
		r = u256_add(lockup,
			     plan->create ? p->lifecycle_reserve_target : U256_ZERO,
			     &c.lockup);
	if (r == 0)
		r = fees_of(p, plan, &c.fees);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

int cost_sum(struct cost *to, const struct cost *more)
{
	struct cost c;
	int r;

	r = u256_add(to->rate, more->rate, &c.rate);
	if (r == 0)
		r = u256_add(to->lockup, more->lockup, &c.lockup);
	if (r == 0)
		r = u256_add(to->fees, more->fees, &c.fees);
	if (r < 0)
		return r;
	*to = c;
	return 0;
}

int cost_deposit(const struct cost *c, struct u256 lockup_rate,
		 struct u256 available, struct u256 debt, uint64_t runway,
		 struct u256 *ret)
{
	struct u256 net, need, part;
	int r;

	r = u256_add(lockup_rate, c->rate, &net);
	if (r == 0)
		r = u256_add(c->lockup, c->fees, &need);
	if (r == 0)
		r = u256_mul(net, u256(runway), &part);
	if (r == 0)
		r = u256_add(need, part, &need);
	if (r == 0)
		r = u256_add(need, debt, &need);
	if (r < 0)
		return r;
	need = u256_sub_capped(need, available);
	/* With rails that run, time passes until the deposit arrives. */
	if (!u256_is_zero(need) && !u256_is_zero(lockup_rate)) {
		r = u256_mul(net, u256(BUFFER_EPOCHS), &part);
		if (r == 0)
			r = u256_add(need, part, &need);
		if (r < 0)
			return r;
	}
	*ret = need;
	return 0;
}

int cost_month(struct u256 rate, struct u256 *ret)
{
	return u256_mul(rate, u256(COST_EPOCHS_PER_MONTH), ret);
}
