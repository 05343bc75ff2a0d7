#include "daemon/config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/cache.h"
#include "chain/amount.h"
#include "daemon/gateways.h"
#include "daemon/paystore.h"
#include "daemon/units.h"

enum kind {
	KIND_NUMBER,
	KIND_SIZE,
	KIND_TIME,
	KIND_PAUSE, /* a time, or "auto" */
	KIND_COMPRESS,
	KIND_SWITCH,
	KIND_STORE,
	/* from here on the field is no uint64_t */
	KIND_URLS, /* char[CONFIG_URLS_MAX] */
	KIND_ADDRESS,
	KIND_MONEY,
};

struct key {
	const char *name;
	enum kind kind;
	size_t off; /* in struct config */
	uint64_t def, min, max;
	const char *help;
};

#define MIB      (1ull << 20)
#define GIB      (1ull << 30)
#define SIZE_TOP (1ull << 60)
#define SECOND   1000ull
#define DAY      (86400 * SECOND)
#define FIELD(f) offsetof(struct config, f)

/* clang-format off */
static const struct key keys[] = {
	{ "version", KIND_NUMBER, FIELD(version), CONFIG_VERSION, CONFIG_VERSION, CONFIG_VERSION,
	  "of this file's form" },
	{ "store", KIND_STORE, FIELD(n_stores), 0, 0, CONFIG_STORES_MAX,
	  "where the drive's pieces go: dir:///path; one line for each" },
	{ "copies", KIND_NUMBER, FIELD(copies), 1, 1, CONFIG_STORES_MAX,
	  "stores that must hold a piece before it may leave this machine" },
	{ "cache_size", KIND_SIZE, FIELD(cache_size), 0, 0, SIZE_TOP,
	  "room for the drive directory; 0: what the disk has" },
	{ "reserve_free", KIND_SIZE, FIELD(reserve_free), GIB, 0, SIZE_TOP,
	  "room on the disk that is left to other programs" },
	{ "commit_interval", KIND_TIME, FIELD(commit_interval), 5 * SECOND, 100, 60 * SECOND,
	  "after which writes are durable without fsync" },
	{ "full_timeout", KIND_TIME, FIELD(full_timeout), 30 * SECOND, 0, DAY,
	  "for which writers wait on a full cache before ENOSPC, while nothing leaves" },
	{ "onboard_idle", KIND_PAUSE, FIELD(onboard_idle), CONFIG_AUTO, 0, DAY,
	  "of quiet, after which changes leave for the stores; auto: 30s, or what the budget allows" },
	{ "onboard_bytes", KIND_SIZE, FIELD(onboard_bytes), GIB, MIB, SIZE_TOP,
	  "of changes, with which they leave at once" },
	{ "onboard_age", KIND_PAUSE, FIELD(onboard_age), CONFIG_AUTO, SECOND, 365 * DAY,
	  "after which changes leave even if it is never quiet; auto: 10m, or what the budget allows" },
	{ "readback", KIND_SIZE, FIELD(readback), 256 * MIB, MIB, SIZE_TOP,
	  "a day that are read back of pieces which a network store is said to have" },
	{ "fetch_timeout", KIND_TIME, FIELD(fetch_timeout), 60 * SECOND, SECOND, DAY,
	  "after which a read of bytes that are not here fails" },
	{ "store_timeout", KIND_TIME, FIELD(store_timeout), 30 * SECOND, SECOND, DAY,
	  "without a sign of life, after which a store is called silent" },
	{ "proof_watch", KIND_TIME, FIELD(proof_watch), 1800 * SECOND, SECOND, DAY,
	  "between two looks at the proofs of a storage provider" },
	{ "give_up", KIND_TIME, FIELD(give_up), DAY, 60 * SECOND, 30 * DAY,
	  "of asking in vain, after which another storage provider takes its place" },
	{ "lock_after", KIND_TIME, FIELD(lock_after), 0, 0, 365 * DAY,
	  "without a request by any program, after which the drive is locked; 0: never" },
	{ "compress", KIND_COMPRESS, FIELD(compress), CONFIG_COMPRESS_NODES, 0, CONFIG_COMPRESS_NX - 1,
	  "nodes: metadata only; all: file contents too" },
	{ "gateway", KIND_URLS, FIELD(gateway), 0, 0, 0,
	  "URLs of gateways, asked for blocks that no store gives; they learn which; or none" },
	{ "router", KIND_URLS, FIELD(router), 0, 0, 0,
	  "URLs of delegated routing, which names more of them; likewise" },
	{ "payer", KIND_ADDRESS, FIELD(payer), 0, 0, 0,
	  "the wallet that pays for stores on Filecoin" },
	{ "signer", KIND_ADDRESS, FIELD(signer), 0, 0, 0,
	  "the address of the daemon's session key" },
	{ "session", KIND_NUMBER, FIELD(session), 1, 1, CONFIG_SESSION_MAX,
	  "number of that key; `wallet session renew` takes the next" },
	{ "budget", KIND_MONEY, FIELD(budget), 0, 0, 0,
	  "USDFC that a month may cost; none: nothing may be spent" },
	{ "deposit_cap", KIND_MONEY, FIELD(deposit_cap), 0, 0, 0,
	  "USDFC that may be deposited at a time; none: what `wallet fund` is told" },
	{ "ipfs_indexing", KIND_SWITCH, FIELD(ipfs_indexing), 0, 0, 1,
	  "on: providers announce the CIDs of all blocks to the world" },
	{ "up_rate", KIND_SIZE, FIELD(up_rate), 0, 0, SIZE_TOP,
	  "bytes a second, at most, to each provider; 0: no limit" },
	{ "down_rate", KIND_SIZE, FIELD(down_rate), 0, 0, SIZE_TOP,
	  "bytes a second, at most, from each provider; 0: no limit" },
};
/* clang-format on */

static const char *const compress_names[CONFIG_COMPRESS_NX] = { "nodes", "all" };
static const char *const switch_names[2] = { "off", "on" };

#define TEXT_AUTO "auto"
#define TEXT_NONE "none"

static bool is_number(const struct key *k)
{
	return k->kind < KIND_URLS;
}

static void *field(struct config *c, const struct key *k)
{
	return (char *)c + k->off;
}

static const void *field_const(const struct config *c, const struct key *k)
{
	return (const char *)c + k->off;
}

static uint64_t value_of(const struct config *c, const struct key *k)
{
	return is_number(k) ? *(const uint64_t *)field_const(c, k) : 0;
}

void config_init(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (is_number(&keys[i]))
			*(uint64_t *)field(c, &keys[i]) = keys[i].def;
}

const char *config_key(size_t i)
{
	return i < ARRAY_LEN(keys) ? keys[i].name : NULL;
}

const char *config_help(size_t i)
{
	return i < ARRAY_LEN(keys) ? keys[i].help : NULL;
}

static const struct key *key_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

/* ---- values ---- */

static int parse_number(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!s[0] || strlen(s) > 18 || strspn(s, "0123456789") != strlen(s))
		return -EINVAL;
	for (; *s; s++)
		v = v * 10 + (unsigned)(*s - '0');
	*ret = v;
	return 0;
}

static int parse_name(const char *s, const char *const *names, unsigned n,
		      uint64_t *ret)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(s, names[i]) != 0)
			continue;
		*ret = i;
		return 0;
	}
	return -EINVAL;
}

static int parse_address(struct config *c, const struct key *k, const char *s,
			 struct err *reterr)
{
	if (strcmp(s, TEXT_NONE) != 0)
		return address_parse(slice_str(s), field(c, k), reterr);
	*(struct address *)field(c, k) = ADDRESS_NONE;
	return 0;
}

static int parse_money(struct config *c, const struct key *k, const char *s,
		       struct err *reterr)
{
	if (strcmp(s, TEXT_NONE) != 0)
		return amount_parse(slice_str(s), "USDFC", field(c, k), reterr);
	*(struct u256 *)field(c, k) = U256_ZERO;
	return 0;
}

static int add_store(struct config *c, const char *url, struct err *reterr)
{
	size_t n = strlen(url);

	if (n == 0 || n >= CONFIG_URL_MAX)
		return err_set(reterr, -EINVAL, "a store's URL has 1 to %d bytes",
			       CONFIG_URL_MAX - 1);
	for (const char *s = url; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return err_set(reterr, -EINVAL,
				       "a store's URL has no control characters");
	if (c->n_stores == CONFIG_STORES_MAX)
		return err_set(reterr, -EINVAL, "more than %d stores",
			       CONFIG_STORES_MAX);
	memcpy(c->stores[c->n_stores++], url, n + 1);
	return 0;
}

static int parse_urls(struct config *c, const struct key *k, const char *s,
		      struct err *reterr)
{
	char *to = (char *)c + k->off;
	int r;

	if (strcmp(s, TEXT_NONE) == 0)
		s = "";
	else if (!s[0])
		return err_set(reterr, -EINVAL, "%s: a URL, or none", k->name);
	r = gateways_check(s, reterr);
	if (r == 0)
		text_copy(to, CONFIG_URLS_MAX, s);
	return r;
}

/* What a value looks like, of those kinds that parse_value() reads itself. */
static const char *form_of(enum kind kind)
{
	switch (kind) {
	case KIND_SIZE: return "a size such as 512M or 20G";
	case KIND_TIME: return "a time such as 30s, 5m or 1d";
	case KIND_PAUSE: return "a time such as 30s or 5m, or " TEXT_AUTO;
	case KIND_COMPRESS: return "nodes or all";
	case KIND_SWITCH: return "on or off";
	case KIND_NUMBER:
	case KIND_STORE:
	case KIND_URLS:
	case KIND_ADDRESS:
	case KIND_MONEY: break;
	}
	return "a number";
}

static void write_value(const struct key *k, uint64_t v,
			char ret[static UNITS_TEXT_MAX])
{
	if (k->kind == KIND_SIZE)
		units_write_size(v, ret);
	else if (k->kind == KIND_TIME || k->kind == KIND_PAUSE)
		units_write_time(v, ret);
	else
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu",
			       (unsigned long long)v); /* at most 20 */
}

static int out_of_range(const struct key *k, const char *s, struct err *reterr)
{
	char from[UNITS_TEXT_MAX], to[UNITS_TEXT_MAX];

	write_value(k, k->min, from);
	write_value(k, k->max, to);
	if (k->min == k->max)
		return err_set(reterr, -EINVAL,
			       "%s: %.64s is out of its range: this program knows %s",
			       k->name, s, from);
	return err_set(reterr, -EINVAL, "%s: %.64s is out of its range, %s to %s",
		       k->name, s, from, to);
}

static int parse_value(struct config *c, const struct key *k, const char *s,
		       struct err *reterr)
{
	uint64_t v = 0;
	int r = -EINVAL;

	switch (k->kind) {
	case KIND_STORE: return add_store(c, s, reterr);
	case KIND_URLS: return parse_urls(c, k, s, reterr);
	case KIND_ADDRESS: return parse_address(c, k, s, reterr);
	case KIND_MONEY: return parse_money(c, k, s, reterr);
	case KIND_NUMBER: r = parse_number(s, &v); break;
	case KIND_SIZE: r = units_parse_size(s, &v); break;
	case KIND_TIME: r = units_parse_time(s, &v); break;
	case KIND_PAUSE:
		if (strcmp(s, TEXT_AUTO) == 0) {
			*(uint64_t *)field(c, k) = CONFIG_AUTO;
			return 0;
		}
		r = units_parse_time(s, &v);
		break;
	case KIND_COMPRESS:
		r = parse_name(s, compress_names, CONFIG_COMPRESS_NX, &v);
		break;
	case KIND_SWITCH: r = parse_name(s, switch_names, 2, &v); break;
	}
	if (r < 0)
		return err_set(reterr, -EINVAL, "'%.64s' is no value for %s (%s)",
			       s, k->name, form_of(k->kind));
	if (v < k->min || v > k->max)
		return out_of_range(k, s, reterr);
	if (k->off == FIELD(cache_size)) {
		r = cache_size_check(v, 0, reterr);
		if (r < 0)
			return r;
	}
	*(uint64_t *)field(c, k) = v;
	return 0;
}

int config_set(struct config *c, const char *key, const char *value,
	       struct err *reterr)
{
	const struct key *k = key_find(key);

	if (!k)
		return err_set(reterr, -ENOENT, "no key %.64s in the config", key);
	return parse_value(c, k, value, reterr);
}

int config_get(const struct config *c, size_t i, struct buf *ret)
{
	const struct key *k = &keys[i];
	char text[AMOUNT_TEXT_MAX];
	const struct address *who;
	const struct u256 *sum;
	uint64_t v = value_of(c, k);
	const char *urls = (const char *)c + k->off;
	int r = 0;

	switch (k->kind) {
	case KIND_URLS:
		return buf_append(ret, slice_str(urls[0] ? urls : TEXT_NONE));
	case KIND_PAUSE:
		if (v == CONFIG_AUTO)
			return buf_append(ret, slice_str(TEXT_AUTO));
		_fallthrough_;
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_TIME:
		write_value(k, v, text);
		return buf_append(ret, slice_str(text));
	case KIND_COMPRESS:
		return buf_append(ret, slice_str(compress_names[v]));
	case KIND_SWITCH: return buf_append(ret, slice_str(switch_names[v]));
	case KIND_ADDRESS:
		who = field_const(c, k);
		if (address_is_none(*who))
			return buf_append(ret, slice_str(TEXT_NONE));
		address_text(*who, text);
		return buf_append(ret, slice_str(text));
	case KIND_MONEY:
		sum = field_const(c, k);
		if (u256_is_zero(*sum))
			return buf_append(ret, slice_str(TEXT_NONE));
		amount_text(*sum, text);
		return buf_append(ret, slice_str(text));
	case KIND_STORE:
		for (uint64_t s = 0; r == 0 && s < v; s++)
			r = buf_printf(ret, "%s%s", s ? "\n" : "", c->stores[s]);
		return r;
	}
	return -EINVAL;
}

/* ---- the file ---- */

/* Without white space at both ends; *s must be writable. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

static int parse_line(struct config *c, char *line, bool *seen, struct err *reterr)
{
	const struct key *k;
	char *eq, *name = trim(line);

	if (!name[0] || name[0] == '#')
		return 0;
	eq = strchr(name, '=');
	if (!eq)
		return err_set(reterr, -EPROTO, "not of the form key = value");
	*eq = '\0';
	name = trim(name);
	k = key_find(name);
	if (!k)
		return err_set(reterr, -EPROTO, "unknown key '%.32s'", name);
	if (k->kind != KIND_STORE && seen[k - keys])
		return err_set(reterr, -EPROTO, "%s stands twice", k->name);
	seen[k - keys] = true;
	return parse_value(c, k, trim(eq + 1), reterr);
}

int config_parse(struct slice text, struct config *ret, struct err *reterr)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	bool seen[ARRAY_LEN(keys)] = { false };
	char line[CONFIG_LINE_MAX];
	struct err why = { "" };
	unsigned number = 0;

	if (!c)
		return -ENOMEM;
	if (text.n > CONFIG_FILE_MAX)
		return err_set(reterr, -EMSGSIZE, "config: over %d bytes",
			       CONFIG_FILE_MAX);
	config_init(c);
	while (text.n) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end ? (size_t)(end - text.p) : text.n;

		number++;
		if (n >= sizeof(line))
			return err_set(reterr, -EPROTO,
				       "config line %u: too long", number);
		if (memchr(text.p, '\0', n))
			return err_set(reterr, -EPROTO,
				       "config line %u: a zero byte", number);
		memcpy(line, text.p, n);
		line[n] = '\0';
		if (parse_line(c, line, seen, &why) < 0)
			return err_set(reterr, -EPROTO, "config line %u: %.200s",
				       number, why.text);
		text = slice(text.p + n + (end != NULL), text.n - n - (end != NULL));
	}
	if (!seen[0])
		return err_set(reterr, -EPROTO, "config: no line version = %d",
			       CONFIG_VERSION);
	*ret = *c;
	return 0;
}

int config_write(const struct config *c, struct buf *ret)
{
	int r = buf_printf(ret, "# fildrive: see fildrive(1), section CONFIG\n");

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++) {
		if (keys[i].kind == KIND_STORE) {
			for (uint64_t s = 0; r == 0 && s < c->n_stores; s++)
				r = buf_printf(ret, "store = %s\n", c->stores[s]);
			continue;
		}
		r = buf_printf(ret, "%s = ", keys[i].name);
		if (r == 0)
			r = config_get(c, i, ret);
		if (r == 0)
			r = buf_u8(ret, '\n');
	}
	return r;
}

int config_check(const struct config *c, struct err *reterr)
{
	for (uint64_t i = 0; i < c->n_stores; i++)
		for (uint64_t j = 0; j < i; j++)
			if (strcmp(c->stores[i], c->stores[j]) == 0)
				return err_set(reterr, -EINVAL,
					       "store %s stands twice",
					       c->stores[i]);
	if (c->n_stores && c->copies > paystore_places(c))
		return err_set(reterr, -EINVAL,
			       "%llu copies need as many stores; there are %u",
			       (unsigned long long)c->copies, paystore_places(c));
	return 0;
}
