/* test_devnet.c - networks, agreement and transactions on tests/devnet */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "chain/contracts.h"
#include "chain/sender.h"
#include "chain/token.h"
#include "crypto/secret.h"
#include "net/retry.h"
#include "tests/component/chain/rig.h"

#define PATIENCE_MS 60000 /* who needs as long hangs */

struct fixture {
	struct rig rig;
	json_t *said; /* what the devnet printed */
	struct network_url url;
	struct rpc *rpc; /* both endpoints */
	struct contracts *contracts;
	struct secret *key;
	struct address from;
	unsigned n_persisted, n_settled;
};

static const char *said(struct fixture *f, const char *name)
{
	const char *text = json_string_value(json_object_get(f->said, name));

	assert_non_null(text);
	return text;
}

static void admin(struct fixture *f, const char *path, const char *json)
{
	char url[160];

	(void)snprintf(url, sizeof(url), "%s/%s", said(f, "admin"), path);
	rig_post(&f->rig, url, json);
}

static int set_up(void **state)
{
	static const char *const argv[] = { "node",       DEVNET,
					    "--json",     "--until-eof",
					    "--epoch-ms", "100",
					    NULL };
	static const struct retry_policy backoff = { .base_ms = 20, .max_ms = 200 };
	struct fixture *f = calloc(1, sizeof(*f));
	const char *urls[RPC_URLS_MAX];
	struct rpc_params p = { .urls = urls, .backoff = &backoff };
	uint8_t key[32] = { 0x77 };
	const json_t *list;
	struct err e = { 0 };

	assert_non_null(f);
	rig_open(&f->rig, argv);
	assert_int_equal(json_read(slice_str(f->rig.server.line), 1000, &f->said),
			 0);
	assert_int_equal(network_url_parse(said(f, "url"), &f->url, &e), 0);
	list = json_object_get(f->said, "rpc");
	for (; p.n_urls < json_array_size(list); p.n_urls++)
		urls[p.n_urls] = json_string_value(json_array_get(list, p.n_urls));
	assert_int_equal(p.n_urls, 2);
	p.loop = f->rig.loop;
	p.http = f->rig.http;
	p.chain_id = f->url.net.chain_id;
	p.chain_name = f->url.net.name;
	assert_int_equal(rpc_new(&p, &f->rpc, &e), 0);
	assert_int_equal(contracts_new(f->rpc, &f->url.net, &f->contracts), 0);
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(secret_new(key, &f->key), 0);
	assert_int_equal(address_of_key(f->key, &f->from), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	contracts_free(f->contracts);
	rpc_free(f->rpc);
	rig_close(&f->rig);
	network_url_fini(&f->url);
	json_decref(f->said);
	secret_free(f->key);
	free(f);
	return 0;
}

static void fund(struct fixture *f)
{
	char who[ADDRESS_TEXT_MAX], json[160];

	address_text(f->from, who);
	(void)snprintf(json, sizeof(json),
		       "{\"address\":\"%s\",\"fil\":\"10\",\"usdfc\":\"100\"}",
		       who);
	admin(f, "fund", json);
}

static void the_contracts_are_found(void **state)
{
	struct fixture *f = *state;
	struct contracts_known k;
	struct err e = { 0 };
	const struct {
		const char *name;
		struct address *at;
	} want[] = {
		{ "view", &k.view },         { "pdp", &k.pdp },
		{ "pay", &k.pay },           { "usdfc", &k.usdfc },
		{ "registry", &k.registry }, { "sessions", &k.sessions },
		{ "fwss", &k.fwss },         { "endorsements", &k.endorsements }
	};
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(contracts_get(f->contracts, NULL, &k, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		address_text(*want[i].at, text);
		assert_string_equal(text, said(f, want[i].name));
	}
}

static int ask_balance(struct fixture *f, struct rpc_agree *a)
{
	char who[ADDRESS_TEXT_MAX], args[64];

	address_text(f->from, who);
	(void)snprintf(args, sizeof(args), "\"%s\"", who);
	a->method = "eth_getBalance";
	a->args = args;
	a->want = RPC_NUMBER;
	return rpc_agree_wait(f->rpc, a);
}

static void two_endpoints_agree_until_one_lags_or_lies(void **state)
{
	struct fixture *f = *state;
	_cleanup_rpc_agree_ struct rpc_agree *a = NULL, *b = NULL, *c = NULL;
	char who[ADDRESS_TEXT_MAX], json[160];

	assert_int_equal(rpc_agree_new(&a) | rpc_agree_new(&b) | rpc_agree_new(&c),
			 0);
	fund(f);
	assert_int_equal(ask_balance(f, a), 0);
	assert_int_equal(a->n_agree, 2);

	admin(f, "rpc/1", "{\"lag\":50}");
	assert_int_equal(ask_balance(f, b), 0);
	assert_int_equal(b->n_agree, 1);
	assert_int_equal(b->said[1].status, -ESTALE);
	admin(f, "rpc/1", "{\"lag\":0}");

	address_text(f->from, who);
	(void)snprintf(json, sizeof(json), "{\"balanceOf\":{\"%s\":\"123\"}}", who);
	admin(f, "rpc/1", json);
	assert_int_equal(ask_balance(f, c), -EBADMSG);
	admin(f, "reset", "{}");
}

/* ---- transactions ---- */

static int sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	struct fixture *f = ctx;
	uint8_t hash[ETH_TX_HASH_SIZE];

	return eth_tx_sign(tx, f->key, ret_raw, hash);
}

static int persist(void *ctx, const struct sender_row *row)
{
	struct fixture *f = ctx;

	assert_true(row->raw.n > 0);
	f->n_persisted++;
	return 0;
}

static int settled(void *ctx, uint64_t intent, const struct sender_outcome *o)
{
	struct fixture *f = ctx;

	assert_true(intent && o->end != SENDER_OPEN);
	f->n_settled++;
	return 0;
}

static void our_transactions_are_taken_and_their_reverts_understood(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = { .rpc = f->rpc,
				   .chain_id = f->url.net.chain_id,
				   .from = f->from,
				   .max_fee = U256_MAX,
				   .max_cost = U256_MAX,
				   .confirmations = 3,
				   .poll_ms = 50,
				   .ctx = f,
				   .sign = sign,
				   .persist = persist,
				   .settled = settled };
	struct sender_tx ok = { .intent = 1, .deadline_ms = PATIENCE_MS };
	struct sender_tx no = { .intent = 2, .deadline_ms = PATIENCE_MS };
	_cleanup_buf_ struct buf approve = { 0 };
	_cleanup_buf_ struct buf move = { 0 };
	struct contracts_known k;
	struct sender *s = NULL;
	struct err e = { 0 };

	fund(f);
	assert_int_equal(contracts_get(f->contracts, NULL, &k, &e), 0);
	assert_int_equal(sender_new(&p, NULL, 0, &s, &e), 0);
	buf_init(&approve, 1024);
	buf_init(&move, 1024);
	assert_int_equal(token_approve(k.pay, u256(5), &approve), 0);
	ok.to = k.usdfc;
	ok.data = buf_slice(&approve);
	if (sender_run(s, &ok) != 0)
		fail_msg("%s", ok.err.text);
	assert_int_equal(ok.outcome.end, SENDER_MINED);

	/* More than we have: the estimate reverts, nothing is sent. */
	assert_int_equal(token_transfer(k.pay, U256_MAX, &move), 0);
	no.to = k.usdfc;
	no.data = buf_slice(&move);
	assert_int_equal(sender_run(s, &no), -ENOEXEC);
	assert_true(no.err.text[0]);
	assert_int_equal(f->n_persisted, 1);
	assert_int_equal(f->n_settled, 1);
	sender_free(s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_contracts_are_found),
		cmocka_unit_test(two_endpoints_agree_until_one_lags_or_lies),
		cmocka_unit_test(
			our_transactions_are_taken_and_their_reverts_understood),
	};

	log_level_set(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("chain_devnet", tests, set_up, tear_down);
}
