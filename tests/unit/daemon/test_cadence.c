/* test_cadence.c - how often a drive commits, and what is paid for */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "chain/amount.h"
#include "chain/money.h"
#include "chain/network.h"
#include "chain/view.h"
#include "daemon/cadence.h"
#include "daemon/config.h"
#include "daemon/paystore.h"

static struct config c;

static void set(const char *key, const char *value)
{
	struct err e = { "" };

	assert_int_equal(config_set(&c, key, value, &e), 0);
}

static struct view_price_list prices(void)
{
	struct view_price_list p = { .lockup_period = 86400 };

	assert_int_equal(amount_parse(slice_str("0.0008"), "USDFC",
				      &p.add_base_fee, NULL),
			 0);
	return p;
}

static void a_folder_is_committed_to_often(void **state)
{
	struct cadence pace;

	(void)state;
	config_init(&c);
	set("store", "dir:///a");
	cadence_of(&c, NULL, &pace);
	assert_false(pace.paid || pace.by_budget);
	assert_int_equal(pace.idle_ms, 30000);
	assert_int_equal(pace.age_ms, 600000);
}

static void what_is_paid_follows_the_budget(void **state)
{
	const struct view_price_list p = prices();
	struct cadence pace;

	(void)state;
	config_init(&c);
	set("store", "dir:///a");
	set("store", "filecoin://calibration?copies=2");
	cadence_of(&c, NULL, &pace);
	assert_true(pace.paid && pace.by_budget);
	assert_int_equal(pace.age_ms, MONEY_COMMIT_MAX_MS);
	set("budget", "11.52");
	cadence_of(&c, &p, &pace);
	assert_int_equal(pace.age_ms, 3600000);
	assert_int_equal(pace.idle_ms, 3600000); /* quiet does not make it cheaper */
}

static void what_the_config_says_counts(void **state)
{
	const struct view_price_list p = prices();
	struct cadence pace;

	(void)state;
	config_init(&c);
	set("store", "filecoin://mainnet");
	set("onboard_idle", "5s");
	set("onboard_age", "20m");
	cadence_of(&c, &p, &pace);
	assert_true(pace.paid);
	assert_false(pace.by_budget);
	assert_int_equal(pace.idle_ms, 5000);
	assert_int_equal(pace.age_ms, 1200000);
}

static void places_are_counted_by_what_the_urls_ask_for(void **state)
{
	_cleanup_network_url_ struct network_url u = { .copies = 0 };
	struct err e = { "" };

	(void)state;
	config_init(&c);
	set("store", "dir:///a");
	assert_int_equal(paystore_places(&c), 1);
	assert_int_equal(paystore_copies(&c), 0);
	assert_int_equal(paystore_find(&c, &u, &e), -ENOENT);
	set("store", "filecoin://calibration?copies=3");
	assert_int_equal(paystore_places(&c), 4);
	assert_int_equal(paystore_copies(&c), 3);
	assert_int_equal(paystore_find(&c, &u, &e), 0);
	assert_string_equal(u.net.name, "calibration");
	set("copies", "4");
	assert_int_equal(config_check(&c, &e), 0);
	set("copies", "5");
	assert_int_equal(config_check(&c, &e), -EINVAL);
}

static void sums_and_addresses_of_a_config_read_back(void **state)
{
	static const char text[] = "version = 1\n"
				   "payer = 0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1\n"
				   "budget = 2.5\n"
				   "deposit_cap = none\n"
				   "session = 3\n"
				   "ipfs_indexing = on\n"
				   "up_rate = 1M\n"
				   "onboard_age = auto\n";
	_cleanup_buf_ struct buf out = { 0 };
	static struct config back;
	struct err e = { "" };

	(void)state;
	assert_int_equal(config_parse(slice_str(text), &c, &e), 0);
	assert_false(address_is_none(c.payer));
	assert_true(address_is_none(c.signer));
	assert_true(u256_is_zero(c.deposit_cap));
	assert_int_equal(c.session, 3);
	assert_int_equal(c.ipfs_indexing, 1);
	assert_int_equal(c.up_rate, 1u << 20);
	assert_true(c.onboard_age == CONFIG_AUTO);
	buf_init(&out, CONFIG_FILE_MAX);
	assert_int_equal(config_write(&c, &out), 0);
	assert_int_equal(config_parse(buf_slice(&out), &back, &e), 0);
	assert_memory_equal(&c, &back, sizeof(c));
}

static void what_is_no_sum_or_address_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "budget", "-1" },
		{ "budget", "1e3" },
		{ "budget", "1,5" },
		{ "budget", "1.0000000000000000001" },
		{ "deposit_cap", "" },
		{ "payer", "0x12" },
		{ "payer", "f01x" },
		{ "payer", "0x1A642f0E3c3aF545E7AcBD38b07251B3990914F1" },
		{ "session", "0" },
		{ "ipfs_indexing", "yes" },
		{ "onboard_age", "aut" }
	};
	struct err e;

	(void)state;
	config_init(&c);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e.text[0] = '\0';
		assert_true(config_set(&c, bad[i][0], bad[i][1], &e) < 0);
		assert_true(e.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_is_committed_to_often),
		cmocka_unit_test(what_is_paid_follows_the_budget),
		cmocka_unit_test(what_the_config_says_counts),
		cmocka_unit_test(places_are_counted_by_what_the_urls_ask_for),
		cmocka_unit_test(sums_and_addresses_of_a_config_read_back),
		cmocka_unit_test(what_is_no_sum_or_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
