/*
 * fuzz_address.c - what people type: addresses, sums of money, numbers; what is
 * accepted comes back from its own text
 */
#include <assert.h>

#include "base/err.h"
#include "chain/address.h"
#include "chain/amount.h"
#include "chain/u256.h"
#include "tests/fuzz/fuzz.h"

static void check_address(struct slice s)
{
	char text[ADDRESS_TEXT_MAX], fil[ADDRESS_FIL_MAX];
	struct err e = { "" };
	struct address a, back;

	if (address_parse(s, &a, &e) < 0) {
		assert(e.text[0]);
		return;
	}
	address_text(a, text);
	assert(address_parse(slice_str(text), &back, NULL) == 0);
	assert(address_eq(a, back));
	for (int testnet = 0; testnet < 2; testnet++) {
		address_fil(a, testnet, fil);
		assert(address_parse(slice_str(fil), &back, NULL) == 0);
		assert(address_eq(a, back));
	}
}

static void check_amount(struct slice s)
{
	char text[AMOUNT_TEXT_MAX];
	struct err e = { "" };
	struct u256 v, back;

	if (amount_parse(s, "USDFC", &v, &e) < 0) {
		assert(e.text[0]);
		return;
	}
	amount_text(v, text);
	assert(amount_parse(slice_str(text), "USDFC", &back, NULL) == 0);
	assert(u256_eq(v, back));
	amount_text_short(v, AMOUNT_DOWN, text);
	assert(amount_parse(slice_str(text), "USDFC", &back, NULL) == 0);
	assert(u256_cmp(back, v) <= 0);
}

static void check_number(struct slice s)
{
	char text[U256_TEXT_MAX], hex[U256_HEX_MAX];
	struct u256 v, back;

	if (u256_from_text(s, &v) == 0 || u256_from_hex(s, &v) == 0 ||
	    u256_from_be_short(s, &v) == 0) {
		u256_text(v, text);
		assert(u256_from_text(slice_str(text), &back) == 0);
		assert(u256_eq(v, back));
		u256_hex(v, hex);
		assert(u256_from_hex(slice_str(hex), &back) == 0);
		assert(u256_eq(v, back));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice(data, size);

	check_address(s);
	check_amount(s);
	check_number(s);
	return 0;
}
