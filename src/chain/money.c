#include "chain/money.h"

#include <errno.h>

#include "base/err.h"
#include "chain/amount.h"
#include "chain/cost.h"
#include "chain/pay.h"
#include "chain/view.h"

#define MONTH_MS (30ull * 86400 * 1000)

static struct u256 tenth(void)
{
	return u256(100000000000000000u); /* 0.1 USDFC */
}

int money_allow(const struct view_price_list *p, struct u256 budget,
		unsigned sets, struct money_allow *ret)
{
	struct money_allow a = { .period = MAX(p->lockup_period,
					       MONEY_LOCKUP_EPOCHS) };
	struct u256 part;
	int r;

	r = u256_div(budget, u256(COST_EPOCHS_PER_MONTH), &a.rate, NULL);
	if (r == 0)
		r = u256_mul(a.rate, u256(a.period), &a.lockup);
	if (r == 0)
		r = u256_mul(p->lifecycle_reserve_target, u256(sets), &part);
	if (r == 0)
		r = u256_add(a.lockup, part, &a.lockup);
	if (r == 0)
		r = u256_muldiv(budget, u256(MONEY_FEE_SHARE * MONEY_FEE_MONTHS),
				u256(100), &part);
	if (r == 0)
		r = u256_add(a.lockup, part, &a.lockup);
	if (r == 0)
		*ret = a;
	return r;
}

int money_commit_fee(const struct view_price_list *p, unsigned copies,
		     struct u256 *ret)
{
	struct u256 fee;
	int r;

	r = u256_add(p->add_base_fee, p->add_piece_fee, &fee);
	return r < 0 ? r : u256_mul(fee, u256(copies), ret);
}

uint64_t money_commit_ms(const struct view_price_list *p, struct u256 budget,
			 unsigned copies)
{
	struct u256 fee, share, ms;

	if (u256_is_zero(budget) || money_commit_fee(p, copies, &fee) < 0 ||
	    u256_muldiv(budget, u256(MONEY_FEE_SHARE), u256(100), &share) < 0 ||
	    u256_is_zero(share) || u256_muldiv(fee, u256(MONTH_MS), share, &ms) < 0)
		return MONEY_COMMIT_MAX_MS;
	return MIN(MAX(u256_cap_u64(ms), MONEY_COMMIT_MIN_MS), MONEY_COMMIT_MAX_MS);
}

/* One data set with all of it. */
static int one_set(const struct view_price_list *p, uint64_t bytes, struct cost *ret)
{
	uint64_t full = bytes / MONEY_PIECE_BYTES, rest = bytes % MONEY_PIECE_BYTES;
	struct cost_plan plan = { .create = true, .n_pieces = full + (rest > 0) };

	if (__builtin_mul_overflow(cost_leaves_of_size(MONEY_PIECE_BYTES), full,
				   &plan.add_leaves))
		return -EOVERFLOW;
	if (rest)
		plan.add_leaves += cost_leaves_of_size(rest);
	if (plan.n_pieces == 0) { /* an empty drive has a commit, too */
		plan.n_pieces = 1;
		plan.add_leaves = cost_leaves_of_size(1);
	}
	return cost_of(p, &plan, ret);
}

int money_quote(const struct view_price_list *p, uint64_t bytes, unsigned copies,
		unsigned months, uint64_t commit_ms, struct money_quote *ret)
{
	struct cost one = { 0 }, all = { 0 };
	struct money_quote q = { .rate = U256_ZERO };
	int r;

	r = one_set(p, bytes, &one);
	for (unsigned i = 0; r == 0 && i < copies; i++)
		r = cost_sum(&all, &one);
	if (r < 0)
		return r;
	q.rate = all.rate;
	q.lockup = all.lockup;
	q.fees = all.fees;
	r = cost_month(q.rate, &q.month);
	if (r == 0)
		r = cost_deposit(&all, U256_ZERO, U256_ZERO, U256_ZERO,
				 (uint64_t)months * COST_EPOCHS_PER_MONTH,
				 &q.deposit);
	if (r == 0)
		r = money_commit_fee(p, copies, &q.commit);
	if (r == 0)
		r = u256_muldiv(q.commit, u256(MONTH_MS),
				u256(MAX(commit_ms, 1)), &q.commits);
	if (r == 0)
		*ret = q;
	return r;
}

int money_budget(const struct view_price_list *p, uint64_t bytes,
		 unsigned copies, struct u256 *ret)
{
	struct money_quote q;
	struct u256 sum = U256_ZERO, least = U256_ZERO, n = U256_ZERO;
	int r;

	r = money_quote(p, bytes, copies, 0, MONEY_COMMIT_MAX_MS, &q);
	if (r == 0)
		r = u256_muldiv(q.month, u256(100), u256(100 - MONEY_FEE_SHARE),
				&sum);
	if (r == 0)
		r = u256_add(q.month, q.commits, &least);
	if (r == 0 && u256_cmp(sum, least) < 0)
		sum = least; /* so seldom a small drive commits, too */
	if (r == 0)
		r = u256_div(sum, tenth(), &n, NULL);
	return r < 0 ? r : u256_mul(u256_add_capped(n, u256(1)), tenth(), ret);
}

int money_check_deposit(const struct pay_info *account, struct u256 amount,
			struct u256 cap, struct err *reterr)
{
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX], c[AMOUNT_TEXT_MAX];
	struct u256 sum = u256_add_capped(account->funds, amount);

	if (u256_is_zero(cap) || u256_cmp(sum, cap) <= 0)
		return 0;
	amount_text_short(account->funds, AMOUNT_DOWN, a);
	amount_text_short(amount, AMOUNT_UP, b);
	amount_text_short(cap, AMOUNT_DOWN, c);
	return err_set(reterr, -EDQUOT,
		       "%s USDFC are deposited, and with %s more it would be over the deposit_cap of %s in the config",
		       a, b, c);
}

uint64_t money_runway_days(const struct pay_info *account, uint64_t epoch)
{
	if (account->funded_until == PAY_NEVER || u256_is_zero(account->lockup_rate))
		return MONEY_NO_END;
	if (account->funded_until <= epoch)
		return 0;
	return (account->funded_until - epoch) / COST_EPOCHS_PER_DAY;
}
