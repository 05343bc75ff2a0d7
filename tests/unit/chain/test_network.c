/* test_network.c - networks, and the URLs of stores on them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/err.h"
#include "chain/network.h"

#define FWSS "0x1a642f0e3c3af545e7acbd38b07251b3990914f1"

static void the_built_in_addresses_are_the_published_ones(void **state)
{
	static const struct {
		const char *name, *fwss, *set;
		uint64_t chain_id;
	} want[] = {
		{ "mainnet", "0x8408502033C418E1bbC97cE9ac48E5528F371A9f",
		  "0x59eFa2e8324E1551d46010d7B0B140eE2F5c726b", 314 },
		{ "calibration", "0x02925630df557F957f70E112bA06e50965417CA0",
		  "0xAA2f7CfC7ecAc616EC9C1f6d700fAd19087FAC84", 314159 },
	};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		const struct network *n = network_find(want[i].name);

		assert_non_null(n);
		assert_true(n->chain_id == want[i].chain_id);
		address_text(n->fwss, text);
		assert_string_equal(text, want[i].fwss);
		address_text(n->endorsements, text);
		assert_string_equal(text, want[i].set);
		assert_non_null(n->rpc[1]);
	}
	assert_null(network_find("testnet"));
}

static void a_url_says_what_it_means_in_one_canonical_form(void **state)
{
	static const struct {
		const char *url, *canonical;
	} cases[] = {
		{ "filecoin://mainnet", "filecoin://mainnet?copies=2" },
		{ "filecoin://mainnet/", "filecoin://mainnet?copies=2" },
		{ "filecoin://mainnet?copies=3", "filecoin://mainnet?copies=3" },
		{ "filecoin://calibration?rpc=http://a/b&copies=1&rpc=https://c",
		  "filecoin://calibration?copies=1&rpc=http://a/b&rpc=https://c" },
		{ "filecoin://calibration?rpc=https%3A%2F%2Fa%2F%3Fkey%3D1%262",
		  "filecoin://calibration?copies=2&rpc=https://a/?key=1%262" },
		{ "filecoin://devnet?fwss=" FWSS,
		  "filecoin://devnet?copies=2&fwss=0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_network_url_ struct network_url u = { .n_rpc = 0 };
		_cleanup_network_url_ struct network_url again = { .n_rpc = 0 };
		_cleanup_free_ char *text = NULL;
		_cleanup_free_ char *twice = NULL;
		struct err e = { 0 };

		assert_int_equal(network_url_parse(cases[i].url, &u, &e), 0);
		assert_int_equal(network_url_canonical(&u, &text), 0);
		assert_string_equal(text, cases[i].canonical);
		assert_int_equal(network_url_parse(text, &again, &e), 0);
		assert_int_equal(network_url_canonical(&again, &twice), 0);
		assert_string_equal(text, twice);
	}
}

static void endpoints_of_the_url_replace_those_of_the_network(void **state)
{
	_cleanup_network_url_ struct network_url u = { .n_rpc = 0 };
	_cleanup_network_url_ struct network_url v = { .n_rpc = 0 };
	const char *rpc[RPC_URLS_MAX];

	(void)state;
	assert_int_equal(network_url_parse("filecoin://mainnet", &u, NULL), 0);
	assert_int_equal(network_url_rpc(&u, rpc), 3);
	assert_non_null(strstr(rpc[0], "glif"));
	assert_int_equal(network_url_parse("filecoin://mainnet?rpc=http://me:1",
					   &v, NULL),
			 0);
	assert_int_equal(network_url_rpc(&v, rpc), 1);
	assert_string_equal(rpc[0], "http://me:1");
}

static void urls_of_a_wrong_form_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *url, *says;
	} cases[] = {
		{ "filecoin:mainnet", "filecoin://" },
		{ "filecoin://", "network" },
		{ "filecoin://moonnet", "moonnet" },
		{ "filecoin://mainnet/x", "path" },
		{ "filecoin://mainnet?", "key=value" },
		{ "filecoin://mainnet?copies=0", "copies" },
		{ "filecoin://mainnet?copies=9", "copies" },
		{ "filecoin://mainnet?copies=22", "copies" },
		{ "filecoin://mainnet?copies=2&copies=2", "twice" },
		{ "filecoin://mainnet?copies", "key=value" },
		{ "filecoin://mainnet?colour=red", "colour" },
		{ "filecoin://mainnet?rpc=ftp://a", "rpc" },
		{ "filecoin://mainnet?rpc=http://", "rpc" },
		{ "filecoin://mainnet?rpc=http://a&rpc=http://a", "twice" },
		{ "filecoin://mainnet?rpc=http://a%2", "%xx" },
		{ "filecoin://mainnet?rpc=http://a%0a", "%xx" },
		{ "filecoin://mainnet?rpc=http://a b", "%xx" },
		{ "filecoin://mainnet?fwss=" FWSS, "devnet only" },
		{ "filecoin://devnet", "fwss" },
		{ "filecoin://devnet?fwss=0x12", "fwss" },
		{ "filecoin://devnet?fwss=0x0000000000000000000000000000000000000000",
		  "no contract" },
		{ "filecoin://devnet?fwss=" FWSS "&fwss=" FWSS, "twice" },
		{ "filecoin://mainnet?rpc=http://a1&rpc=http://a2&rpc=http://a3&"
		  "rpc=http://a4&rpc=http://a5&rpc=http://a6&rpc=http://a7&"
		  "rpc=http://a8&rpc=http://a9",
		  "more than" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct network_url u = { .n_rpc = 0 };
		struct err e = { 0 };

		assert_int_equal(network_url_parse(cases[i].url, &u, &e), -EINVAL);
		if (!strstr(e.text, cases[i].says))
			fail_msg("%s: %s", cases[i].url, e.text);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_built_in_addresses_are_the_published_ones),
		cmocka_unit_test(a_url_says_what_it_means_in_one_canonical_form),
		cmocka_unit_test(endpoints_of_the_url_replace_those_of_the_network),
		cmocka_unit_test(urls_of_a_wrong_form_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
