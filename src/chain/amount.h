/*
 * amount.h - sums of FIL and USDFC, as people write them
 *
 * Both have 18 decimals: a sum is a number of units of 10^-18 (attoFIL).  There
 * is no floating point near money: text is read and written digit by digit.
 *
 * Threading: stateless.
 */
#ifndef CHAIN_AMOUNT_H
#define CHAIN_AMOUNT_H

#include "base/slice.h"
#include "base/util.h"
#include "chain/u256.h"

struct err;

#define AMOUNT_DECIMALS 18
#define AMOUNT_TEXT_MAX 82 /* 78 digits, "0.", NUL, and one to spare */

/*
 * "12.5", or with its unit behind it ("12.5 USDFC"; any case, the space may be
 * missing).  There are digits on both sides of a point, 18 behind it at most;
 * no sign, no exponent, no separators of thousands.
 *
 * -EINVAL, -EOVERFLOW, with the reason in `reterr`
 */
must_check int amount_parse(struct slice text, const char *unit,
			    struct u256 *ret, struct err *reterr);

/* All digits that matter, without the unit: amount_parse() gives it back. */
void amount_text(struct u256 v, char ret[static AMOUNT_TEXT_MAX]);

enum amount_round {
	AMOUNT_DOWN, /* of what one has */
	AMOUNT_UP,   /* of what one pays */
};

/*
 * For people: four decimals; below 1, as many as four digits need that are not
 * leading zeros ("0.00001235").
 */
void amount_text_short(struct u256 v, enum amount_round round,
		       char ret[static AMOUNT_TEXT_MAX]);

#endif
