#include "chain/rpc_endpoint.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/thread.h"

#define FIRST_MS 300 /* what an endpoint is taken for before it is measured */
#define ORDER_MS 100 /* the next one must be faster by so much */

/* scheme://host:port only: users, paths and queries may hold secrets. */
static int name_of(const char *url, char *name)
{
	const char *host, *at;
	size_t scheme, n;

	if (strncmp(url, "https://", 8) == 0)
		scheme = 8;
	else if (strncmp(url, "http://", 7) == 0)
		scheme = 7;
	else
		return -EINVAL;
	host = url + scheme;
	n = strcspn(host, "/?#");
	for (at = host; at < host + n; at++)
		if (*at == '@') {
			n -= (size_t)(at + 1 - host);
			host = at + 1;
		} else if (*at <= ' ' || *at > '~') {
			return -EINVAL;
		}
	if (n == 0 || scheme + n >= RPC_NAME_MAX)
		return -EINVAL;
	(void)snprintf(name, RPC_NAME_MAX, "%.*s%.*s", (int)scheme, url, (int)n,
		       host); /* fits */
	return 0;
}

int rpc_endpoint_init(struct rpc_endpoint *e, unsigned index, const char *url,
		      const struct retry_policy *backoff)
{
	int r;

	*e = (struct rpc_endpoint){ .index = index,
				    .retry = { .policy = backoff },
				    .batch_max = RPC_BATCH_MAX };
	list_init(&e->out);
	r = name_of(url, e->name);
	if (r < 0)
		return r;
	e->url = strdup(url);
	return e->url ? 0 : -ENOMEM;
}

void rpc_endpoint_fini(struct rpc_endpoint *e)
{
	free(e->url);
	e->url = NULL;
}

void rpc_endpoint_good(struct rpc_endpoint *e, uint64_t took_ms)
{
	if (e->retry.n)
		log_info("%s answers again", e->name);
	e->retry = (struct retry){ .policy = e->retry.policy };
	e->away_until_ms = 0;
	e->last = 0;
	e->n_good++;
	took_ms = MIN(MAX(took_ms, 1), 60000);
	e->latency_ms = e->latency_ms ?
				e->latency_ms - e->latency_ms / 8 + took_ms :
				took_ms * 8;
}

void rpc_endpoint_bad(struct rpc_endpoint *e, int r, uint64_t retry_after_s,
		      const char *why)
{
	uint64_t wait_ms = 0;

	if (e->retry.n == 0)
		log_warn("%s", why);
	/* Whatever it was, it is tried again some time. */
	if (retry_next(&e->retry, -EREMOTEIO, retry_after_s, &wait_ms) < 0)
		wait_ms = e->retry.policy->max_ms;
	e->away_until_ms = monotonic_ms() + wait_ms;
	e->n_failed++;
	e->last = r;
	e->err.text[0] = '\0';
	text_copy(e->err.text, sizeof(e->err.text), why);
	if (e->state == RPC_OK && r != -EAGAIN)
		e->state = RPC_UNKNOWN; /* it may come back as another */
}

bool rpc_endpoint_usable(const struct rpc_endpoint *e, uint64_t now_ms)
{
	return e->state != RPC_REFUSED && e->away_until_ms <= now_ms;
}

uint64_t rpc_endpoint_score(const struct rpc_endpoint *e)
{
	uint64_t ms = e->latency_ms ? e->latency_ms / 8 : FIRST_MS;

	return ms + (uint64_t)ORDER_MS * e->index;
}
