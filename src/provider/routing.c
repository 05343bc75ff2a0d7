#include "provider/routing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/json.h"

#define VALUES_MAX 16384 /* of an answer */
#define GATEWAY    "transport-ipfs-gateway-http"
#define PART_MAX   256 /* bytes of a component, with NUL */

/* ---- one address ---- */

/* The next "/part"; false at the end, or if it is empty or too long. */
static bool next_part(const char **at, char ret[static PART_MAX])
{
	size_t n;

	if (**at != '/')
		return false;
	n = strcspn(*at + 1, "/");
	if (n == 0 || n >= PART_MAX)
		return false;
	memcpy(ret, *at + 1, n);
	ret[n] = '\0';
	*at += 1 + n;
	return true;
}

static bool only_has(const char *s, const char *allowed)
{
	return strspn(s, allowed) == strlen(s);
}

/* "dns4" and "h" to how a URL writes it. */
static bool host_of(const char *kind, const char *s, char ret[static PART_MAX + 2])
{
	static const char names[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	bool six = strcmp(kind, "ip6") == 0;
	unsigned char bytes[16];
	bool good;

	if (six)
		good = inet_pton(AF_INET6, s, bytes) == 1;
	else if (strcmp(kind, "ip4") == 0)
		good = inet_pton(AF_INET, s, bytes) == 1;
	else
		good = (strcmp(kind, "dns") == 0 || strcmp(kind, "dns4") == 0 ||
			strcmp(kind, "dns6") == 0) &&
		       only_has(s, names) && s[0] != '.' && !strstr(s, "..");
	if (!good)
		return false;
	(void)snprintf(ret, PART_MAX + 2, six ? "[%s]" : "%s", s); /* fits */
	return true;
}

static bool port_of(const char *s, unsigned *ret)
{
	unsigned v = 0;

	if (!s[0] || strlen(s) > 5 || !only_has(s, "0123456789"))
		return false;
	for (; *s; s++)
		v = v * 10 + (unsigned)(*s - '0');
	*ret = v;
	return v > 0 && v <= 65535;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

/* "a%2Fb" to "a/b"; only what is plain in a URL, and nothing that leads up. */
static bool path_of(const char *s, char ret[static PART_MAX])
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	size_t n = 0;

	for (; *s; s++) {
		int c = (unsigned char)*s;

		if (c == '%') {
			if (digit(s[1]) < 0 || digit(s[2]) < 0)
				return false;
			c = digit(s[1]) * 16 + digit(s[2]);
			s += 2;
		}
		if (c <= 0 || c > 126 || !strchr(plain, c))
			return false;
		ret[n++] = (char)c;
	}
	while (n && ret[n - 1] == '/')
		n--;
	ret[n] = '\0';
	return !strstr(ret, "..");
}

struct address {
	char host[PART_MAX + 2], path[PART_MAX];
	unsigned port; /* 0: the scheme's */
	bool tls, http;
};

static bool take_part(struct address *a, const char *part, const char **at)
{
	char value[PART_MAX];

	if (strcmp(part, "tls") == 0) {
		a->tls = true;
	} else if (strcmp(part, "https") == 0) {
		a->tls = a->http = true;
	} else if (strcmp(part, "http") == 0) {
		a->http = true;
	} else if (strcmp(part, "tcp") == 0) {
		return next_part(at, value) && port_of(value, &a->port);
	} else if (strcmp(part, "http-path") == 0) {
		return next_part(at, value) && path_of(value, a->path);
	} else if (strcmp(part, "sni") == 0 || strcmp(part, "p2p") == 0) {
		return next_part(at, value);
	} else {
		return false;
	}
	return true;
}

int routing_url(const char *multiaddr, bool local, char ret[static ROUTING_URL_MAX])
{
	char part[PART_MAX], value[PART_MAX], port[16] = "";
	struct address a = { .port = 0 };
	const char *at = multiaddr;
	int n;

	if (!next_part(&at, part) || !next_part(&at, value) ||
	    !host_of(part, value, a.host))
		return -EOPNOTSUPP;
	while (next_part(&at, part))
		if (!take_part(&a, part, &at))
			return -EOPNOTSUPP;
	if (*at || !a.http || (!a.tls && !local))
		return -EOPNOTSUPP;
	if (a.port)
		(void)snprintf(port, sizeof(port), ":%u", a.port); /* fits */
	n = snprintf(ret, ROUTING_URL_MAX, "%s://%s%s%s%s",
		     a.tls ? "https" : "http", a.host, port,
		     a.path[0] && a.path[0] != '/' ? "/" : "", a.path);
	return n < 0 || n >= ROUTING_URL_MAX ? -EOPNOTSUPP : 0;
}

/* ---- an answer ---- */

struct answer {
	bool local;
	size_t n;
	int (*found)(void *ctx, const char *url);
	void *ctx;
};

/* Does it say that it is a gateway?  Who says nothing may be one. */
static bool is_gateway(const json_t *record)
{
	json_t *v = json_object_get(record, "Protocols");
	const char *s;

	if (json_array_size(v) == 0)
		return !json_object_get(record, "Protocol");
	for (size_t i = 0; i < json_array_size(v); i++) {
		s = json_string_value(json_array_get(v, i));
		if (s && strcmp(s, GATEWAY) == 0)
			return true;
	}
	return false;
}

static int take_record(struct answer *a, const json_t *record)
{
	const json_t *addrs = json_object_get(record, "Addrs");
	char url[ROUTING_URL_MAX];
	const char *s;
	int r;

	if (a->n++ >= ROUTING_RECORDS_MAX || !is_gateway(record))
		return 0;
	for (size_t i = 0; i < MIN(json_array_size(addrs), ROUTING_ADDRS_MAX); i++) {
		s = json_string_value(json_array_get(addrs, i));
		if (!s || routing_url(s, a->local, url) < 0)
			continue;
		r = a->found(a->ctx, url);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_object(struct answer *a, const json_t *v)
{
	const json_t *all = json_object_get(v, "Providers");
	int r = 0;

	if (!json_is_object(v))
		return -EPROTO;
	if (!all)
		return take_record(a, v);
	for (size_t i = 0; i < json_array_size(all) && r == 0; i++)
		r = take_record(a, json_array_get(all, i));
	return r;
}

int routing_parse(struct slice answer, bool local,
		  int (*found)(void *ctx, const char *url), void *ctx)
{
	struct answer a = { .local = local, .found = found, .ctx = ctx };
	_cleanup_json_ json_t *whole = NULL;
	int r;

	if (answer.n > ROUTING_ANSWER_MAX)
		return -EMSGSIZE;
	r = json_read(answer, VALUES_MAX, &whole);
	if (r == 0)
		return take_object(&a, whole);
	while (answer.n && r != -ENOMEM && a.n < ROUTING_RECORDS_MAX) {
		const uint8_t *end = memchr(answer.p, '\n', answer.n);
		size_t n = end ? (size_t)(end - answer.p) : answer.n;
		_cleanup_json_ json_t *line = NULL;

		if (n > 1) {
			r = json_read(slice(answer.p, n), VALUES_MAX, &line);
			if (r == 0)
				r = take_object(&a, line);
			if (r < 0)
				return r;
		}
		answer = slice(answer.p + n + (end != NULL),
			       answer.n - n - (end != NULL));
	}
	return r == -ENOMEM ? r : 0;
}
