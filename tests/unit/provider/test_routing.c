/* test_routing.c - multiaddresses to URLs, and answers of routers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "provider/routing.h"

struct row {
	const char *addr, *url; /* url NULL: of no use */
};

static void addresses_become_urls(void **state)
{
	static const struct row rows[] = {
		{ "/dns4/h.example/tcp/443/https", "https://h.example:443" },
		{ "/dns/h/https", "https://h" },
		{ "/dns6/h/tcp/8443/tls/http", "https://h:8443" },
		{ "/ip4/192.0.2.1/tcp/443/tls/sni/h.example/http",
		  "https://192.0.2.1:443" },
		{ "/ip6/2001:db8::1/tcp/443/https", "https://[2001:db8::1]:443" },
		{ "/dns/h/https/http-path/a%2Fb%2F", "https://h/a/b" },
		{ "/dns/h/https/http-path/%2Fa", "https://h/a" },
		{ "/dns/h/tcp/443/https/p2p/QmX", "https://h:443" },
		{ "/dns/h/tcp/80/http", NULL }, /* not encrypted */
		{ "/dns/h/udp/443/quic-v1", NULL },
		{ "/dns/h/tcp/443/wss", NULL },
		{ "/dns/h/tcp/443", NULL },
		{ "/dns/h/tcp/0/https", NULL },
		{ "/dns/h/tcp/65536/https", NULL },
		{ "/dns/h/tcp/4294967739/https", NULL },
		{ "/dns/h%40x/https", NULL },
		{ "/dns/u@h/https", NULL },
		{ "/dns/h/https/http-path/..%2Fx", NULL },
		{ "/dns/h/https/http-path/a%3Fb", NULL },
		{ "/dns/h/https/http-path/a%00b", NULL },
		{ "/dns/h/https/http-path/a%2", NULL },
		{ "/dns/h/https/", NULL },
		{ "/dns//https", NULL },
		{ "/dns/a..b/https", NULL },
		{ "/dns/.a/https", NULL },
		{ "/ip4/12..3.4/tcp/443/https", NULL },
		{ "/ip4/1.2.3.456/tcp/443/https", NULL },
		{ "/ip6/::1::/tcp/443/https", NULL },
		{ "/dns", NULL },
		{ "https://h", NULL },
		{ "", NULL },
	};
	char url[ROUTING_URL_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = routing_url(rows[i].addr, false, url);

		assert_int_equal(r, rows[i].url ? 0 : -EOPNOTSUPP);
		if (rows[i].url)
			assert_string_equal(url, rows[i].url);
	}
	assert_int_equal(routing_url("/ip4/127.0.0.1/tcp/80/http", true, url), 0);
	assert_string_equal(url, "http://127.0.0.1:80");
}

struct found {
	char text[4096];
	size_t n, most;
};

static int on_found(void *ctx, const char *url)
{
	struct found *f = ctx;
	size_t at = strlen(f->text);

	if (f->n++ >= f->most)
		return -ENOSPC;
	if (at + strlen(url) + 2 < sizeof(f->text)) {
		memcpy(f->text + at, url, strlen(url));
		f->text[at + strlen(url)] = ' ';
	}
	return 0;
}

static int parse(const char *text, struct found *f)
{
	*f = (struct found){ .most = SIZE_MAX };
	return routing_parse(slice_str(text), false, on_found, f);
}

static void both_forms_of_an_answer_are_read(void **state)
{
	struct found f;

	(void)state;
	assert_int_equal(
		parse("{\"Providers\":[{\"Schema\":\"peer\",\"Addrs\":[\"/dns/a/https\"],\"Protocols\":[\"transport-ipfs-gateway-http\"]},"
		      "{\"Addrs\":[\"/dns/b/https\"]},{\"Addrs\":[\"/dns/c/https\"],\"Protocols\":[\"transport-bitswap\"]},7,{}]}",
		      &f),
		0);
	assert_string_equal(f.text, "https://a https://b ");
	assert_int_equal(parse("{\"Addrs\":[\"/dns/a/https\"]}\n\n{\"Addrs\":[3,\"/dns/b/https\"]}",
			       &f),
			 0);
	assert_string_equal(f.text, "https://a https://b ");
	assert_int_equal(parse("{\"Addrs\":[\"/dns/a/https\"]}\n", &f), 0);
	assert_string_equal(f.text, "https://a ");
	assert_int_equal(parse("{\"Providers\":null}", &f), 0);
	assert_int_equal(parse("", &f), 0);
	assert_int_equal(f.n, 0);
}

static void what_is_no_answer_is_refused(void **state)
{
	struct found f;

	(void)state;
	assert_int_equal(parse("[]", &f), -EPROTO);
	assert_int_equal(parse("<html>", &f), -EPROTO);
	assert_int_equal(parse("{\"Addrs\":[\"/dns/a/https\"]}\nnonsense", &f),
			 -EPROTO);
	assert_int_equal(
		routing_parse(slice((const uint8_t *)"", ROUTING_ANSWER_MAX + 1),
			      false, on_found, &f),
		-EMSGSIZE);
}

static void who_listens_can_end_it(void **state)
{
	struct found f = { .most = 1 };

	(void)state;
	assert_int_equal(
		routing_parse(slice_str("{\"Addrs\":[\"/dns/a/https\",\"/dns/b/https\"]}"),
			      false, on_found, &f),
		-ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_become_urls),
		cmocka_unit_test(both_forms_of_an_answer_are_read),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(who_listens_can_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
