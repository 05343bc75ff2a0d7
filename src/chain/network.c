#include "chain/network.h"

#include <errno.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"

#define SCHEME "filecoin://"

/* clang-format off */
static const struct network networks[] = {
	{
		.name = "mainnet", .chain_id = 314, .coin = "FIL",
		/* 0x8408502033C418E1bbC97cE9ac48E5528F371A9f */
		.fwss = { { 0x84, 0x08, 0x50, 0x20, 0x33, 0xc4, 0x18, 0xe1, 0xbb, 0xc9,
			    0x7c, 0xe9, 0xac, 0x48, 0xe5, 0x52, 0x8f, 0x37, 0x1a, 0x9f } },
		/* 0x59eFa2e8324E1551d46010d7B0B140eE2F5c726b */
		.endorsements = { { 0x59, 0xef, 0xa2, 0xe8, 0x32, 0x4e, 0x15, 0x51, 0xd4, 0x60,
				    0x10, 0xd7, 0xb0, 0xb1, 0x40, 0xee, 0x2f, 0x5c, 0x72, 0x6b } },
		.genesis_s = 1598306400,
		.explorer = "https://filecoin.blockscout.com/tx/",
		.rpc = { "https://api.node.glif.io/rpc/v1",
			 "https://filecoin.drpc.org",
			 "https://rpc.ankr.com/filecoin" },
	}, {
		.name = "calibration", .chain_id = 314159, .coin = "tFIL", .testnet = true,
		/* 0x02925630df557F957f70E112bA06e50965417CA0 */
		.fwss = { { 0x02, 0x92, 0x56, 0x30, 0xdf, 0x55, 0x7f, 0x95, 0x7f, 0x70,
			    0xe1, 0x12, 0xba, 0x06, 0xe5, 0x09, 0x65, 0x41, 0x7c, 0xa0 } },
		/* 0xAA2f7CfC7ecAc616EC9C1f6d700fAd19087FAC84 */
		.endorsements = { { 0xaa, 0x2f, 0x7c, 0xfc, 0x7e, 0xca, 0xc6, 0x16, 0xec, 0x9c,
				    0x1f, 0x6d, 0x70, 0x0f, 0xad, 0x19, 0x08, 0x7f, 0xac, 0x84 } },
		.genesis_s = 1667326380,
		.explorer = "https://filecoin-testnet.blockscout.com/tx/",
		.rpc = { "https://api.calibration.node.glif.io/rpc/v1",
			 "https://filecoin-calibration.drpc.org",
			 "https://rpc.ankr.com/filecoin_testnet" },
	}, {
		.name = "devnet", .chain_id = 31415926, .coin = "FIL", .testnet = true,
		.rpc = { "http://127.0.0.1:5700/rpc/v1" },
	},
};
/* clang-format on */

const struct network *network_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(networks); i++)
		if (strcmp(networks[i].name, name) == 0)
			return &networks[i];
	return NULL;
}

/* ---- reading ---- */

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) :
			     NULL;

	return at ? (int)(at - digits) : -1;
}

/* The byte at s[*i], an escape decoded; -1: not allowed there. */
static int byte_at(struct slice s, size_t *i)
{
	int c = s.p[*i], hi, lo;

	if (c == '%') {
		if (s.n - *i < 3)
			return -1;
		hi = hex_digit((char)s.p[*i + 1]);
		lo = hex_digit((char)s.p[*i + 2]);
		if (hi < 0 || lo < 0)
			return -1;
		*i += 2;
		c = hi * 16 + lo;
	} else if (c == '#' || c == '+') {
		return -1;
	}
	return c <= ' ' || c >= 0x7f ? -1 : c;
}

/* A value, decoded, in the heap. */
static int decode(struct slice s, char **ret)
{
	_cleanup_free_ char *out = malloc(s.n + 1);
	size_t n = 0;
	int c;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		c = byte_at(s, &i);
		if (c < 0)
			return -EINVAL;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	*ret = steal(&out);
	return 0;
}

static int set_copies(struct network_url *u, const char *v, struct err *e)
{
	if (u->copies)
		return err_set(e, -EINVAL, "copies= is there twice");
	if (v[0] < '1' || v[0] > '0' + NETWORK_COPIES_MAX || v[1])
		return err_set(e, -EINVAL, "copies=%s: from 1 to %d", v,
			       NETWORK_COPIES_MAX);
	u->copies = (unsigned)(v[0] - '0');
	return 0;
}

static int set_contract(struct network_url *u, struct address *to,
			const char *name, const char *v, struct err *e)
{
	struct err why = { 0 };
	int r;

	if (strcmp(u->net.name, "devnet") != 0)
		return err_set(e, -EINVAL,
			       "%s= is for devnet only: the contracts of %s are known",
			       name, u->net.name);
	if (!address_is_none(*to))
		return err_set(e, -EINVAL, "%s= is there twice", name);
	r = address_parse(slice_str(v), to, &why);
	if (r < 0)
		return err_set(e, -EINVAL, "%s=%s: %s", name, v, why.text);
	if (address_is_none(*to))
		return err_set(e, -EINVAL, "%s= is no contract", name);
	return 0;
}

static int add_rpc(struct network_url *u, char **v, struct err *e)
{
	const char *host = NULL;

	if (strncmp(*v, "https://", 8) == 0)
		host = *v + 8;
	else if (strncmp(*v, "http://", 7) == 0)
		host = *v + 7;
	if (!host || strcspn(host, "/?@") == 0)
		return err_set(e, -EINVAL, "rpc=%s: an http or https URL", *v);
	for (unsigned i = 0; i < u->n_rpc; i++)
		if (strcmp(u->rpc[i], *v) == 0)
			return err_set(e, -EINVAL, "rpc=%s is there twice", *v);
	if (u->n_rpc == RPC_URLS_MAX)
		return err_set(e, -EINVAL, "more than %d rpc=", RPC_URLS_MAX);
	u->rpc[u->n_rpc++] = steal(v);
	return 0;
}

static int set_one(struct network_url *u, struct slice pair, struct err *e)
{
	const uint8_t *eq = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
	_cleanup_free_ char *value = NULL;
	struct slice key;
	int r;

	if (!eq)
		return err_set(e, -EINVAL, "key=value, with & between them");
	key = slice(pair.p, (size_t)(eq - pair.p));
	r = decode(slice(eq + 1, pair.n - key.n - 1), &value);
	if (r == -EINVAL)
		return err_set(e, r,
			       "%.*s=: a character that must be written as %%xx",
			       (int)key.n, (const char *)key.p);
	if (r < 0)
		return r;
	if (slice_eq(key, slice_str("copies")))
		return set_copies(u, value, e);
	if (slice_eq(key, slice_str("rpc")))
		return add_rpc(u, &value, e);
	if (slice_eq(key, slice_str("fwss")))
		return set_contract(u, &u->net.fwss, "fwss", value, e);
	if (slice_eq(key, slice_str("endorsements")))
		return set_contract(u, &u->net.endorsements, "endorsements",
				    value, e);
	return err_set(e, -EINVAL,
		       "%.*s= is not known: copies, rpc, fwss, endorsements",
		       (int)MIN(key.n, 64), (const char *)key.p);
}

static int set_all(struct network_url *u, const char *query, struct err *e)
{
	const char *s = query;
	size_t n;
	int r;

	for (;; s += n + 1) {
		n = strcspn(s, "&");
		r = set_one(u, slice(s, n), e);
		if (r < 0 || !s[n])
			return r;
	}
}

static int parse(const char *url, struct network_url *u, struct err *e)
{
	const struct network *net;
	char name[32];
	size_t n;
	int r;

	if (strnlen(url, NETWORK_URL_MAX + 1) > NETWORK_URL_MAX)
		return err_set(e, -EINVAL, "a store's URL is too long");
	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return err_set(e, -EINVAL, "store %s: not " SCHEME "…", url);
	url += strlen(SCHEME);
	n = strcspn(url, "/?");
	text_copy(name, MIN(sizeof(name), n + 1), url);
	net = n < sizeof(name) ? network_find(name) : NULL;
	if (!net)
		return err_set(e, -EINVAL,
			       "network \"%s\": mainnet, calibration and devnet are known",
			       name);
	u->net = *net;
	url += n;
	url += url[0] == '/';
	if (url[0] == '?') {
		r = set_all(u, url + 1, e);
		if (r < 0)
			return r;
	} else if (url[0]) {
		return err_set(e, -EINVAL, SCHEME "%s takes no path", name);
	}
	u->has_copies = u->copies > 0;
	if (!u->has_copies)
		u->copies = NETWORK_COPIES_DEFAULT;
	if (address_is_none(u->net.fwss))
		return err_set(e, -EINVAL,
			       "a devnet needs fwss=0x…, the address of its storage service");
	return 0;
}

int network_url_parse(const char *url, struct network_url *ret, struct err *reterr)
{
	struct network_url u = { .copies = 0 };
	int r;

	r = parse(url, &u, reterr);
	if (r < 0) {
		network_url_fini(&u);
		return err_set(reterr, r, "%s", err_str(r));
	}
	*ret = u;
	return 0;
}

void network_url_fini(struct network_url *u)
{
	for (unsigned i = 0; i < u->n_rpc; i++)
		free(u->rpc[i]);
	u->n_rpc = 0;
}

unsigned network_url_rpc(const struct network_url *u,
			 const char *ret[static RPC_URLS_MAX])
{
	unsigned n = 0;

	for (; n < u->n_rpc; n++)
		ret[n] = u->rpc[n];
	if (n)
		return n;
	for (; n < ARRAY_LEN(u->net.rpc) && u->net.rpc[n]; n++)
		ret[n] = u->net.rpc[n];
	return n;
}

/* ---- writing ---- */

static int put_value(struct buf *b, const char *key, const char *v)
{
	int r = buf_printf(b, "&%s=", key);

	for (; *v && r == 0; v++)
		r = strchr("%&#+", *v) ? buf_printf(b, "%%%02x", (unsigned)*v) :
					 buf_u8(b, (uint8_t)*v);
	return r;
}

static int put_contract(struct buf *b, const char *key, struct address a)
{
	char text[ADDRESS_TEXT_MAX];

	address_text(a, text);
	return put_value(b, key, text);
}

int network_url_canonical(const struct network_url *u, char **ret)
{
	const struct network *known = network_find(u->net.name);
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	buf_init(&b, NETWORK_URL_MAX + 1);
	r = buf_printf(&b, SCHEME "%s?copies=%u", u->net.name, u->copies);
	if (r == 0 && !address_eq(u->net.fwss, known->fwss))
		r = put_contract(&b, "fwss", u->net.fwss);
	if (r == 0 && !address_eq(u->net.endorsements, known->endorsements))
		r = put_contract(&b, "endorsements", u->net.endorsements);
	for (unsigned i = 0; i < u->n_rpc && r == 0; i++)
		r = put_value(&b, "rpc", u->rpc[i]);
	if (r == 0)
		r = buf_u8(&b, 0);
	if (r < 0)
		return r;
	*ret = (char *)b.p;
	b = (struct buf){ 0 };
	return 0;
}
