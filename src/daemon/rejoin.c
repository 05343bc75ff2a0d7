#include "daemon/rejoin.h"

#include <errno.h>
#include <time.h>

#include "base/err.h"
#include "chain/cost.h"
#include "chain/foc.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "daemon/config.h"
#include "net/fan.h"

#define DECIMALS 18

struct step {
	struct foc *foc;
	const struct keys *keys;
	uint64_t first;              /* number of the first key */
	uint64_t until[REJOIN_STEP]; /* seconds since 1970; 0: it was never allowed,
					or is no more */
	struct address signer[REJOIN_STEP];
	struct err err[REJOIN_STEP];
};

static int try_key(void *ctx, size_t i)
{
	struct step *s = ctx;
	_cleanup_secret_ struct secret *key = NULL;
	uint64_t create = 0, add = 0;
	int r;

	r = session_key(s->keys, s->first + i, &key);
	if (r == 0)
		r = address_of_key(key, &s->signer[i]);
	if (r == 0)
		r = foc_session(s->foc, s->signer[i], &create, &add, &s->err[i]);
	s->until[i] = r == 0 ? MIN(create, add) : 0;
	return r;
}

/* The newest that may sign; else the newest that once might. */
static int find_session(struct foc *f, const struct keys *k, struct config *c,
			bool *ret_found, struct err *reterr)
{
	_cleanup_free_ struct step *s = calloc(1, sizeof(*s));
	uint64_t now = (uint64_t)time(NULL);
	bool found = false, any = true;
	int r;

	if (!s)
		return -ENOMEM;
	s->foc = f;
	s->keys = k;
	for (s->first = 1; s->first < REJOIN_MAX && (any || !found);
	     s->first += REJOIN_STEP) {
		r = fan_out(REJOIN_STEP, REJOIN_STEP, try_key, s);
		any = false;
		for (size_t i = 0; i < REJOIN_STEP; i++) {
			bool good = s->until[i] > now;

			if (r < 0 && s->err[i].text[0])
				return err_set(reterr, r, "%s", s->err[i].text);
			any |= good;
			if (!s->until[i] || (found && !good))
				continue;
			found |= good;
			c->session = s->first + i;
			c->signer = s->signer[i];
		}
		if (r < 0)
			return r;
	}
	*ret_found = found;
	return 0;
}

struct u256 rejoin_budget(struct u256 rate)
{
	const struct u256 month = u256(COST_EPOCHS_PER_MONTH);
	struct u256 least, end, step = u256(1), best, up;

	/* No purse holds so much: it was allowed without a limit. */
	if (u256_mul(rate, month, &least) < 0 ||
	    u256_cmp(least, u256_shr(U256_MAX, 128)) > 0)
		return U256_ZERO;
	/* From here to there a budget gives this rate; rounded up to ever rounder
	 * numbers as long as it stays below the end. */
	end = u256_add_capped(least, month);
	best = least;
	for (unsigned i = 0; i < 2 * DECIMALS; i++) {
		if (u256_mul(step, u256(10), &step) < 0 ||
		    u256_sub(step, u256(1), &up) < 0 ||
		    u256_div(u256_add_capped(least, up), step, &up, NULL) < 0 ||
		    u256_mul(up, step, &up) < 0 || u256_cmp(up, end) >= 0)
			break;
		best = up;
	}
	return best;
}

int rejoin_wallet(struct foc *f, const struct keys *k, struct config *c,
		  struct rejoin *ret, struct err *reterr)
{
	struct rejoin found = { .session = false };
	struct foc_purse purse = { .epoch = 0 };
	struct u256 budget;
	int r;

	r = find_session(f, k, c, &found.session, reterr);
	if (r == 0)
		r = foc_purse(f, &purse, reterr);
	if (r < 0)
		return err_set(reterr, r, "the wallet: %s", err_str(r));
	budget = rejoin_budget(purse.approvals.rate_allowance);
	found.budget = purse.approvals.approved && !u256_is_zero(budget);
	if (found.budget)
		c->budget = budget;
	*ret = found;
	return 0;
}
