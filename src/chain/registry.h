/*
 * registry.h - ServiceProviderRegistry: who sells, where and on which terms;
 * and the set of endorsed providers
 *
 * Everything in it is written by the providers: names and URLs are the text of
 * strangers.  Only the product PDP is asked for.  Conventions: call.h.
 */
#ifndef CHAIN_REGISTRY_H
#define CHAIN_REGISTRY_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;
struct err;

#define REGISTRY_PDP              0 /* the product's number */
#define REGISTRY_CAPABILITIES_MAX 24
#define REGISTRY_PROVIDERS_PAGE   50 /* providers to ask for at once */

struct registry_capability {
	struct slice key;   /* at most 32 bytes */
	struct slice value; /* at most 128 bytes, of any kind */
};

struct registry_provider {
	uint64_t id;
	struct address service_provider;
	struct address payee; /* is signed when a data set is created */
	struct slice name;
	struct slice description;
	bool active;
	bool product_active;
	size_t n_capabilities;
	struct registry_capability capability[REGISTRY_CAPABILITIES_MAX];
};

/* What the capabilities say; prices are informational, FWSS sets them. */
struct registry_terms {
	struct slice service_url; /* printable; whoever connects checks the rest */
	uint64_t min_piece_bytes; /* raw */
	uint64_t max_piece_bytes;
	struct u256 price_per_tib_day;
	uint64_t min_proving_period;  /* epochs */
	uint64_t capacity_tib;        /* 0: not said */
	struct slice location;        /* "C=US;ST=..;L=..", or empty */
	struct address payment_token; /* none: not said */
	bool ipni_piece;
	bool ipni_ipfs;
};

/*
 * Answered by the readers below.  endorsed is asked of the set of endorsed providers (ProviderIdSet).
 */
must_check int registry_providers_by_product(bool only_active, uint64_t offset,
					     uint64_t limit, struct buf *ret);
must_check int registry_provider_with_product(uint64_t provider, struct buf *ret);
must_check int registry_provider(uint64_t provider, struct buf *ret);
must_check int registry_capabilities(uint64_t provider, struct buf *ret);
must_check int registry_endorsed(struct buf *ret);

/* Of provider_with_product. */
must_check int registry_product_answer(struct slice answer,
				       struct registry_provider *ret);
/* -EMSGSIZE: more than `cap`. */
must_check int registry_products_answer(struct slice answer,
					struct registry_provider *ret, size_t cap,
					size_t *ret_n, bool *ret_more);
/* Of provider: without product and capabilities. */
must_check int registry_provider_answer(struct slice answer,
					struct registry_provider *ret);
must_check int registry_capabilities_answer(struct slice answer, bool *ret_active,
					    struct registry_capability *ret,
					    size_t cap, size_t *ret_n);
/* Without zeros and without the ids that stand twice.  -EMSGSIZE. */
must_check int registry_endorsed_answer(struct slice answer, uint64_t *ret,
					size_t cap, size_t *ret_n);

/*
 * -EPROTO: a required one (URL, smallest and largest piece) is missing or makes
 * no sense, so the provider is of no use; the reason is in `reterr`.
 */
must_check int registry_terms(const struct registry_provider *p,
			      struct registry_terms *ret, struct err *reterr);

#endif
