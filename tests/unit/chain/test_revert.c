/* test_revert.c - refusals of contracts as sentences */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "chain/abi.h"
#include "chain/revert.h"
#include "chain/revert_table.h"
#include "crypto/keccak.h"

#include "vectors.h"

static const struct revert_row *row_of(uint32_t selector)
{
	for (const struct revert_row *r = revert_table; r->signature; r++)
		if (r->selector == selector)
			return r;
	return NULL;
}

/* "Name(type name, type name)" without the names. */
static void types_only(const char *signature, char ret[static 256])
{
	size_t n = 0;
	bool skip = false;

	for (; *signature; signature++) {
		if (*signature == ',' || *signature == ')')
			skip = false;
		else if (*signature == ' ' && signature[-1] != ',')
			skip = true;
		if (!skip && *signature != ' ')
			ret[n++] = *signature;
		assert_true(n < 255);
	}
	ret[n] = '\0';
}

static void every_error_of_the_contracts_is_known(void **state)
{
	json_t *abis = vectors_load("selectors.json"), *v, *e;
	const char *contract;
	unsigned n = 0;
	size_t i;

	(void)state;
	json_object_foreach(abis, contract, v)
	{
		if (json_is_array(v))
			continue;
		json_array_foreach(json_object_get(v, "errors"), i, e)
		{
			uint32_t selector =
				(uint32_t)strtoul(vectors_str(e, "sel"), NULL, 16);
			const struct revert_row *r = row_of(selector);
			char ours[256], theirs[256];

			if (!r)
				fail_msg("%s", vectors_str(e, "sig"));
			types_only(r ? r->signature : "", ours);
			types_only(vectors_str(e, "sig"), theirs);
			assert_string_equal(ours, theirs);
			n++;
		}
	}
	assert_true(n > 250);
	json_decref(abis);
}

static unsigned count_parameters(const char *signature)
{
	unsigned n = strstr(signature, "()") ? 0 : 1;

	for (; *signature; signature++)
		n += *signature == ',';
	return n;
}

/* Selectors fit signatures; sentences name arguments that there are. */
static void the_table_is_sound(void **state)
{
	(void)state;
	for (const struct revert_row *r = revert_table; r->signature; r++) {
		unsigned n = count_parameters(r->signature);
		char types[256];
		uint8_t digest[KECCAK_SIZE];

		types_only(r->signature, types);
		keccak_once(slice_str(types), digest);
		assert_int_equal(r->selector,
				 (uint32_t)digest[0] << 24 | digest[1] << 16 |
					 digest[2] << 8 | digest[3]);
		assert_true(n <= 5);
		assert_true(row_of(r->selector) == r);
		for (const char *p = r->sentence ? strchr(r->sentence, '{') : NULL;
		     p; p = strchr(p + 1, '{')) {
			assert_true(p[1] >= '0' && (unsigned)(p[1] - '0') < n);
			assert_true(p[2] == '}' || (p[2] == '$' && p[3] == '}'));
		}
	}
}

/* Arguments of the right types, of which none is a special one. */
static void put_arguments(struct abi_out *o, const char *signature)
{
	char types[256];

	types_only(signature, types);
	for (char *p = strchr(types, '('); p && *p != ')' && p[1] != ')';
	     p = strpbrk(p + 1, ",)")) {
		const char *t = p + 1;

		if (strncmp(t, "string", 6) == 0)
			abi_put_string(o, slice_str("text"));
		else if (strncmp(t, "bool", 4) == 0)
			abi_put_bool(o, true);
		else
			abi_put_u64(o, 77);
	}
}

static void every_error_makes_a_sentence(void **state)
{
	(void)state;
	for (const struct revert_row *r = revert_table; r->signature; r++) {
		_cleanup_abi_out_ struct abi_out o = { 0 };
		struct revert v;
		struct slice s;

		abi_out_init(&o, 4096);
		abi_put_selector(&o, r->selector);
		put_arguments(&o, r->signature);
		assert_int_equal(abi_out_done(&o, &s), 0);
		revert_read(s, &v);
		assert_int_equal(strncmp(v.name, r->signature, strlen(v.name)), 0);
		assert_true(strlen(v.text) > 10 && strlen(v.text) < 250);
		assert_null(strchr(v.text, '{'));
		assert_int_equal(v.text[strlen(v.text) - 1] == '.', 0);
		/* All arguments, wrong ones, none: a sentence all the same. */
		revert_read(slice(s.p, s.n - (s.n > 4)), &v);
		assert_true(strlen(v.text) > 10);
		revert_read(slice(s.p, 4), &v);
		assert_true(strlen(v.text) > 10);
	}
}

static struct revert read_hex(const char *hex)
{
	struct buf b = vectors_unhex(hex);
	struct revert v;

	revert_read(buf_slice(&b), &v);
	buf_fini(&b);
	return v;
}

#define W(hex) "00000000000000000000000000000000000000000000000000000000" hex
#define PAYER  "0000000000000000000000001a642f0e3c3af545e7acbd38b07251b3990914f1"
#define OTHER  "00000000000000000000000000000000000000000000000000000000000000aa"

static void the_frequent_ones_say_what_to_do(void **state)
{
	struct revert v;

	(void)state;
	/* required 0.124 USDFC, available 0.1 */
	v = read_hex(
		"dae03403" PAYER
		"00000000000000000000000000000000000000000000000001b88957d0260000"
		"000000000000000000000000000000000000000000000000016345785d8a0000");
	assert_int_equal(v.kind, REVERT_FUNDS);
	assert_string_equal(v.name, "InsufficientLockupFunds");
	assert_non_null(strstr(v.text, "0.1 USDFC free and 0.124"));
	assert_non_null(strstr(v.text, "wallet fund"));

	v = read_hex("eef23db6" PAYER OTHER);
	assert_int_equal(v.kind, REVERT_ALLOWANCE);
	assert_non_null(strstr(v.text, "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"));

	v = read_hex("42d750dc" PAYER OTHER);
	assert_int_equal(v.kind, REVERT_SIGNATURE);
	assert_non_null(strstr(v.text, "session renew"));

	v = read_hex("db94c961" W("00000007"));
	assert_int_equal(v.kind, REVERT_USED);
	assert_non_null(strstr(v.text, "7"));

	v = read_hex("211a40c0" W("0000002a"));
	assert_int_equal(v.kind, REVERT_ENDED);
	assert_non_null(strstr(v.text, "42"));

	v = read_hex("4e487b71" W("00000011"));
	assert_string_equal(v.name, "Panic");
	assert_non_null(strstr(v.text, "17"));

	/* One without a sentence of its own. */
	v = read_hex("1d932033" W("00000001") W("00000002") W("00000003"));
	assert_int_equal(v.kind, REVERT_LATER);
	v = read_hex("425335c3" W("00000005"));
	assert_string_equal(
		v.text, "the contract refused: ProofAlreadySubmitted (dataSetId 5)");
}

static void what_is_not_known_is_said(void **state)
{
	struct revert v;

	(void)state;
	v = read_hex("");
	assert_non_null(strstr(v.text, "no reason"));
	assert_string_equal(v.name, "");
	v = read_hex("1234");
	assert_non_null(strstr(v.text, "no reason"));
	v = read_hex("12345678" W("00000001"));
	assert_non_null(strstr(v.text, "0x12345678"));
}

static void strange_text_of_a_contract_is_made_harmless(void **state)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	char bad[300];
	struct revert v;
	struct slice s;

	(void)state;
	memset(bad, 'x', sizeof(bad));
	memcpy(bad, "\x1b[2J\n\xff{0}", 9);
	abi_out_init(&o, 4096);
	abi_put_selector(&o, 0x08c379a0);
	abi_put_string(&o, slice(bad, sizeof(bad)));
	assert_int_equal(abi_out_done(&o, &s), 0);
	revert_read(s, &v);
	assert_string_equal(v.name, "Error");
	for (const char *p = v.text; *p; p++)
		assert_true(*p >= ' ' && *p <= '~');
	assert_non_null(strstr(v.text, "?[2J??{0}xxx"));
}

static void data_are_found_in_the_text_of_nodes_and_providers(void **state)
{
	static const struct {
		const char *text, *name;
		enum revert_kind kind;
	} known[] = {
		{ "Failed to send transaction: message execution failed (exit=[33], "
		  "revert reason=[message failed with backtrace: 00: f0 (1)], "
		  "vm error=[0xdb94c961" W("00000007") "]) [eid: 1]",
		  "ClientDataSetAlreadyRegistered", REVERT_USED },
		{ "vm error=[Error(invariant failure: insufficient funds to cover "
		  "lockup (after) execution)] [eid: 5]",
		  "Error", REVERT_FUNDS },
		{ "x revert reason=[0x5d946944]", "DataSetNotLive", REVERT_ENDED },
		{ "vm error=[0x5d946944", "DataSetNotLive", REVERT_ENDED },
	};
	static const char *const none[] = { "",
					    "internal server error",
					    "vm error=[]",
					    "vm error=[0x]",
					    "vm error=[0x1",
					    "revert reason=[none]",
					    "vm error=[" };
	struct revert v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		assert_true(revert_read_text(slice_str(known[i].text), &v));
		assert_string_equal(v.name, known[i].name);
		assert_int_equal(v.kind, known[i].kind);
	}
	revert_read_text(slice_str(known[1].text), &v);
	assert_string_equal(v.text, "the contract says: invariant failure: insufficient "
				    "funds to cover lockup (after) execution");
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		assert_false(revert_read_text(slice_str(none[i]), &v));
		assert_true(v.text[0] && !v.name[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_of_the_contracts_is_known),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(every_error_makes_a_sentence),
		cmocka_unit_test(the_frequent_ones_say_what_to_do),
		cmocka_unit_test(what_is_not_known_is_said),
		cmocka_unit_test(strange_text_of_a_contract_is_made_harmless),
		cmocka_unit_test(data_are_found_in_the_text_of_nodes_and_providers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
