/* pdp_money.c - may it be signed?  If not: what is missing, in figures */
#include <errno.h>
#include <stdio.h>

#include "chain/amount.h"
#include "provider/pdp_impl.h"

#define SESSION_SPARE_S 120 /* from signing until it is on chain */
#define RUNWAY_EPOCHS   (30 * COST_EPOCHS_PER_DAY)

static void short_text(struct u256 v, char ret[static AMOUNT_TEXT_MAX])
{
	amount_text_short(v, AMOUNT_UP, ret);
}

/* Who signs, and may it? */
static int check_signer(struct pdp_job *j, bool create, uint64_t age_ms)
{
	struct pdp *d = j->d;
	uint64_t create_until, add_until, until, now = pdp_now_s();
	char signer[ADDRESS_TEXT_MAX], payer[ADDRESS_TEXT_MAX];
	struct err e = { 0 };
	int r;

	if (!d->p.session)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: there is no key here that may sign for the wallet",
			       d->name);
	if (address_eq(d->signer, d->payer))
		return 0;
	r = pdp_group_session(d->p.group, j->foc, d->signer, age_ms,
			      &create_until, &add_until, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	until = create ? MIN(create_until, add_until) : add_until;
	if (until >= now && until - now >= SESSION_SPARE_S)
		return 0;
	pdp_group_forget(d->p.group);
	address_text(d->signer, signer);
	address_text(d->payer, payer);
	return err_set(
		&j->req->err, -EREMOTEIO,
		"%s: the session key %s %s act for %s: fildrive wallet session renew",
		d->name, signer, until ? "may no longer" : "may not yet", payer);
}

/*
 * Nothing is deposited yet, or too little.  What to send where is not a slot's to say:
 * the wallet's commands know what else is to be paid, and what waits to be sent.
 */
static int short_of(struct pdp_job *j, const struct foc_purse *purse, struct u256 need)
{
	char missing[AMOUNT_TEXT_MAX];

	short_text(u256_sub_capped(need, purse->account.available), missing);
	pdp_group_forget(j->d->p.group);
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: waiting for funds: the deposit is short of %s USDFC",
		       j->d->name, missing);
}

static int check_allowances(struct pdp_job *j, const struct foc_purse *purse,
			    const struct cost *c, uint64_t lockup_period)
{
	const struct pay_approvals *a = &purse->approvals;
	struct u256 rate = u256_sub_capped(a->rate_allowance, a->rate_usage);
	struct u256 lockup = u256_sub_capped(a->lockup_allowance, a->lockup_usage);
	struct u256 need = u256_add_capped(c->lockup, c->fees);
	char has[AMOUNT_TEXT_MAX], wants[AMOUNT_TEXT_MAX];
	struct u256 month;
	const char *what;

	if (a->approved && u256_cmp(c->rate, rate) <= 0 &&
	    u256_cmp(need, lockup) <= 0 &&
	    u256_cmp(a->max_lockup_period, u256(lockup_period)) >= 0)
		return 0;
	pdp_group_forget(j->d->p.group);
	if (!a->approved || u256_cmp(a->max_lockup_period, u256(lockup_period)) < 0)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the wallet does not let the storage service spend anything yet: fildrive wallet fund",
			       j->d->name);
	if (u256_cmp(c->rate, rate) > 0) {
		what = "a month";
		amount_text_short(cost_month(rate, &month) == 0 ? month : U256_MAX,
				  AMOUNT_DOWN, has);
		short_text(cost_month(c->rate, &month) == 0 ? month : U256_MAX,
			   wants);
	} else {
		what = "of locked funds";
		amount_text_short(lockup, AMOUNT_DOWN, has);
		short_text(need, wants);
	}
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: this needs %s USDFC %s more, and the wallet's allowance leaves %s: raise the budget and fildrive wallet fund",
		       j->d->name, wants, what, has);
}

static int check_budget(struct pdp_job *j, const struct foc_purse *purse,
			const struct cost *c)
{
	char would[AMOUNT_TEXT_MAX], budget[AMOUNT_TEXT_MAX];
	struct u256 rate, month = U256_MAX;

	if (u256_add(purse->account.lockup_rate, c->rate, &rate) == 0 &&
	    cost_month(rate, &month) == 0 && u256_cmp(month, j->d->p.budget) <= 0)
		return 0;
	short_text(month, would);
	amount_text_short(j->d->p.budget, AMOUNT_DOWN, budget);
	if (u256_is_zero(j->d->p.budget))
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: this would cost %s USDFC a month, and no budget is set: fildrive config budget",
			       j->d->name, would);
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: this would cost %s USDFC a month, over the budget of %s",
		       j->d->name, would, budget);
}

int pdp_afford(struct pdp_job *j, const struct cost_plan *plan, uint64_t age_ms,
	       struct u256 *ret_fees)
{
	struct view_price_list prices = { 0 };
	struct foc_purse purse = { 0 };
	struct u256 need, deposit;
	struct err e = { 0 };
	struct cost c;
	int r;

	if (address_is_none(j->d->payer))
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the drive's wallet is not known yet: fildrive wallet",
			       j->d->name);
	r = foc_prices(j->foc, &prices, &e);
	if (r == 0)
		r = pdp_group_purse(j->d->p.group, j->foc, age_ms, &purse, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	r = cost_of(&prices, plan, &c);
	if (r < 0)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: its price list makes no sense", j->d->name);
	need = u256_add_capped(c.lockup, c.fees);
	if (u256_cmp(purse.account.available, need) < 0) {
		/* What is asked for lasts a while. */
		if (cost_deposit(&c, purse.account.lockup_rate, U256_ZERO,
				 U256_ZERO, RUNWAY_EPOCHS, &deposit) == 0)
			need = deposit;
		return short_of(j, &purse, need);
	}
	r = check_budget(j, &purse, &c);
	if (r == 0)
		r = check_allowances(j, &purse, &c, prices.lockup_period);
	if (r == 0)
		r = check_signer(j, plan->create, age_ms);
	if (r == 0)
		*ret_fees = c.fees;
	return r;
}
