/* test_contracts.c - a network's contracts, as nodes of node.py name them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "chain/contracts.h"
#include "tests/component/chain/rig.h"

static int get(void **state, const char *path, struct contracts_known *k,
	       struct err *e)
{
	struct rpc *rpc = rig_rpc(*state, &path, 1);
	struct contracts *c = NULL;
	int r;

	assert_int_equal(contracts_new(rpc, network_find("calibration"), &c), 0);
	r = contracts_get(c, NULL, k, e);
	contracts_free(c);
	rpc_free(rpc);
	return r;
}

static void the_others_are_found_from_the_one_that_is_built_in(void **state)
{
	struct contracts_known k;
	struct err e = { 0 };

	assert_int_equal(get(state, "foc/1.3.1", &k, &e), 0);
	assert_string_equal(k.version, "1.3.1");
	/* node.py: the address is the getter's selector. */
	assert_memory_equal(k.view.b + 16, "\x7a\x9e\xbc\x15", 4);
	assert_memory_equal(k.pdp.b + 16, "\xde\x4b\x6b\x71", 4);
	assert_memory_equal(k.pay.b + 16, "\xbc\x47\x14\x69", 4);
	assert_memory_equal(k.usdfc.b + 16, "\xd3\x9b\x33\xab", 4);
	assert_memory_equal(k.registry.b + 16, "\x05\xf8\x92\xec", 4);
	assert_memory_equal(k.sessions.b + 16, "\x9f\x6a\xa5\x72", 4);
	assert_true(address_eq(k.endorsements,
			       network_find("calibration")->endorsements));
}

static void versions_with_another_layout_are_refused(void **state)
{
	static const struct {
		const char *path;
		int r;
	} cases[] = {
		{ "foc/1.3.0", 0 },       { "foc/1.10.0", 0 },
		{ "foc/1.2.9", -ENOSYS }, { "foc/2.0.0", -ENOSYS },
		{ "foc/0.9.0", -ENOSYS }, { "foc/v1.3.0", -ENOSYS },
		{ "foc/1", -ENOSYS },     { "foc/1.3", -ENOSYS },
		{ "foc/none", -ENOEXEC }, { "foc/zero", -EPROTO },
		{ "foc/short", -EPROTO }, { "foc/long", -EPROTO },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct contracts_known k;
		struct err e = { 0 };

		assert_int_equal(get(state, cases[i].path, &k, &e), cases[i].r);
		assert_true(!cases[i].r == !e.text[0]);
	}
}

static void what_was_said_holds_for_an_hour_or_until_forgotten(void **state)
{
	static const char *const path = "foc/1.3.1/cached";
	struct rpc *rpc = rig_rpc(*state, &path, 1);
	struct contracts *c = NULL;
	struct contracts_known k;
	struct rpc_status s;
	struct err e = { 0 };

	assert_int_equal(contracts_new(rpc, network_find("calibration"), &c), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(contracts_get(c, NULL, &k, &e), 0);
	rpc_endpoint_status(rpc, 0, &s);
	assert_true(s.n_good <= 2); /* asked once; in one array or two */
	contracts_forget(c);
	assert_int_equal(contracts_get(c, NULL, &k, &e), 0);
	rpc_endpoint_status(rpc, 0, &s);
	assert_true(s.n_good >= 2);
	contracts_free(c);
	rpc_free(rpc);
}

struct called_off {
	struct contracts *c;
	unsigned begun, ended;
	int refuse;
};

static int call_off(void *ctx, struct contracts_fetch *f)
{
	struct called_off *o = ctx;

	o->begun++;
	if (!o->refuse)
		contracts_cancel(o->c, f);
	return o->refuse;
}

static void over(void *ctx)
{
	struct called_off *o = ctx;

	o->ended++;
}

/* Else a daemon that ends waits for an endpoint that does not answer. */
static void a_fetch_that_is_called_off_is_not_waited_for(void **state)
{
	static const char *const path = "foc/1.3.1";
	struct rpc *rpc = rig_rpc(*state, &path, 1);
	struct called_off o = { .c = NULL };
	const struct contracts_watch watch = { call_off, over, &o };
	struct contracts_known k;
	struct err e = { 0 };

	assert_int_equal(contracts_new(rpc, network_find("calibration"), &o.c), 0);
	assert_int_equal(contracts_get(o.c, &watch, &k, &e), -ECANCELED);
	assert_true(o.begun == 1 && o.ended == 1);
	o.refuse = -ECANCELED; /* it was stopped before */
	assert_int_equal(contracts_get(o.c, &watch, &k, &e), -ECANCELED);
	assert_true(o.begun == 2 && o.ended == 1);
	assert_int_equal(contracts_get(o.c, NULL, &k, &e), 0);
	contracts_free(o.c);
	rpc_free(rpc);
}

static void a_view_that_reverts_says_why(void **state)
{
	static const char *const path = "foc/none";
	struct rpc *rpc = rig_rpc(*state, &path, 1);
	_cleanup_buf_ struct buf b = { 0 };
	struct rpc_error error;
	struct err e = { 0 };

	buf_init(&b, 100);
	assert_int_equal(contract_call(rpc, network_find("calibration")->fwss,
				       slice("\xff\xa1\xad\x74", 4), &b, &error, &e),
			 -ENOEXEC);
	assert_int_equal(error.n_data, 4);
	assert_non_null(strstr(e.text, "data set"));
	rpc_free(rpc);
}

static int set_up(void **state)
{
	static const char *const argv[] = { "/usr/bin/python3", NODE, NULL };

	return rig_set_up(state, argv);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_others_are_found_from_the_one_that_is_built_in),
		cmocka_unit_test(versions_with_another_layout_are_refused),
		cmocka_unit_test(what_was_said_holds_for_an_hour_or_until_forgotten),
		cmocka_unit_test(a_fetch_that_is_called_off_is_not_waited_for),
		cmocka_unit_test(a_view_that_reverts_says_why),
	};

	log_level_set(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("contracts", tests, set_up,
					   rig_tear_down);
}
