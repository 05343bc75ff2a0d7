#include "chain/amount.h"

#include <errno.h>
#include <strings.h>

#include "base/err.h"

#define SHORT_DECIMALS 4

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Digits at the start of `*s`, which goes on behind them. */
static struct slice take_digits(struct slice *s)
{
	size_t n = 0;
	struct slice digits;

	while (n < s->n && is_digit(s->p[n]))
		n++;
	digits = slice(s->p, n);
	*s = slice(s->p + n, s->n - n);
	return digits;
}

static struct u256 power_of_ten(unsigned n)
{
	struct u256 v = u256(1);

	for (unsigned i = 0; i < n; i++)
		best_effort(u256_mul(v, u256(10), &v)); /* n is 18 at most */
	return v;
}

static int combine(struct slice whole, struct slice fraction, struct u256 *ret)
{
	struct u256 v, f = U256_ZERO;
	int r;

	r = u256_from_text(whole, &v);
	if (r == 0)
		r = u256_mul(v, power_of_ten(AMOUNT_DECIMALS), &v);
	if (r == 0 && fraction.n) {
		r = u256_from_text(fraction, &f);
		if (r == 0)
			r = u256_mul(f,
				     power_of_ten(AMOUNT_DECIMALS -
						  (unsigned)fraction.n),
				     &f);
		if (r == 0)
			r = u256_add(v, f, &v);
	}
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int amount_parse(struct slice text, const char *unit, struct u256 *ret,
		 struct err *reterr)
{
	struct slice rest = text, whole, fraction = SLICE_NONE;
	size_t n_unit = strlen(unit);
	int r;

	whole = take_digits(&rest);
	if (rest.n && rest.p[0] == '.') {
		rest = slice(rest.p + 1, rest.n - 1);
		fraction = take_digits(&rest);
		if (!fraction.n)
			whole = SLICE_NONE;
	}
	if (rest.n > 1 && rest.p[0] == ' ')
		rest = slice(rest.p + 1, rest.n - 1);
	if (!whole.n ||
	    (rest.n && (rest.n != n_unit ||
			strncasecmp((const char *)rest.p, unit, n_unit) != 0)))
		return err_set(reterr, -EINVAL,
			       "an amount is written like 12.5 %s", unit);
	if (fraction.n > AMOUNT_DECIMALS)
		return err_set(reterr, -EINVAL,
			       "%s has 18 decimals, this amount has %zu", unit,
			       fraction.n);
	r = combine(whole, fraction, ret);
	if (r < 0)
		return err_set(reterr, r, "there is not so much %s", unit);
	return 0;
}

/* `decimals` of them, without zeros at the end; the rest is cut. */
static void put(struct u256 v, unsigned decimals, char ret[static AMOUNT_TEXT_MAX])
{
	char digits[U256_TEXT_MAX];
	struct u256 whole = v, rest = U256_ZERO;
	size_t n;

	best_effort(u256_div(v, power_of_ten(AMOUNT_DECIMALS), &whole,
			     &rest)); /* the divisor is not 0 */
	u256_text(whole, ret);
	n = strlen(ret);
	ret[n++] = '.';
	/* One in front keeps the zeros behind the point. */
	u256_text(u256_add_capped(rest, power_of_ten(AMOUNT_DECIMALS)), digits);
	memcpy(ret + n, digits + 1, decimals);
	n += decimals;
	while (ret[n - 1] == '0')
		n--;
	if (ret[n - 1] == '.')
		n--;
	ret[n] = '\0';
}

void amount_text(struct u256 v, char ret[static AMOUNT_TEXT_MAX])
{
	put(v, AMOUNT_DECIMALS, ret);
}

void amount_text_short(struct u256 v, enum amount_round round,
		       char ret[static AMOUNT_TEXT_MAX])
{
	struct u256 one = power_of_ten(AMOUNT_DECIMALS), step;
	unsigned decimals = SHORT_DECIMALS;

	/* Below 10^-k, k more decimals. */
	for (unsigned k = 1; u256_cmp(v, power_of_ten(AMOUNT_DECIMALS - k)) < 0 &&
			     decimals < AMOUNT_DECIMALS;
	     k++)
		decimals++;
	if (u256_cmp(v, one) >= 0 || u256_is_zero(v))
		decimals = SHORT_DECIMALS;
	if (round == AMOUNT_UP) {
		step = power_of_ten(AMOUNT_DECIMALS - decimals);
		v = u256_add_capped(v, u256_sub_capped(step, u256(1)));
	}
	put(v, decimals, ret);
}
