#include "chain/registry.h"

#include <errno.h>

#include "base/err.h"
#include "chain/call.h"

int registry_providers_by_product(bool only_active, uint64_t offset,
				  uint64_t limit, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_REGISTRY_PROVIDERS_BY_PRODUCT);
	abi_put_u64(&o, REGISTRY_PDP);
	abi_put_bool(&o, only_active);
	abi_put_u64(&o, offset);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int registry_provider_with_product(uint64_t provider, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_REGISTRY_PROVIDER_WITH_PRODUCT);
	abi_put_u64(&o, provider);
	abi_put_u64(&o, REGISTRY_PDP);
	return call_end(&o, ret);
}

int registry_provider(uint64_t provider, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_REGISTRY_PROVIDER);
	abi_put_u64(&o, provider);
	return call_end(&o, ret);
}

int registry_capabilities(uint64_t provider, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_REGISTRY_CAPABILITIES);
	abi_put_u64(&o, provider);
	abi_put_u64(&o, REGISTRY_PDP);
	return call_end(&o, ret);
}

int registry_endorsed(struct buf *ret)
{
	return call_bare(CALL_REGISTRY_ENDORSED, ret);
}

/* (address, address, string, string, bool) */
static void get_info(struct abi_in *in, struct registry_provider *p)
{
	struct abi_in info = abi_get_tuple(in);

	p->service_provider = abi_get_address(&info);
	p->payee = abi_get_address(&info);
	p->name = abi_get_string(&info);
	p->description = abi_get_string(&info);
	p->active = abi_get_bool(&info);
}

/* Keys or values into their half of `ret`; how many. */
static size_t get_texts(struct abi_in *in, struct registry_capability *ret,
			size_t cap, bool values)
{
	struct abi_in list;
	size_t n;

	list = abi_get_array(in, 1, &n);
	if (n > cap) {
		abi_fail(in, -EMSGSIZE);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct slice s = abi_get_bytes(&list);

		if (values)
			ret[i].value = s;
		else
			ret[i].key = s;
	}
	return n;
}

static void get_product(struct abi_in *in, struct registry_provider *p)
{
	struct abi_in all = abi_get_tuple(in), product;
	size_t n;

	*p = (struct registry_provider){ .id = abi_get_u64(&all) };
	get_info(&all, p);
	product = abi_get_tuple(&all);
	if (abi_get_u8(&product) != REGISTRY_PDP)
		abi_fail(in, -EPROTO);
	p->n_capabilities = get_texts(&product, p->capability,
				      REGISTRY_CAPABILITIES_MAX, false);
	p->product_active = abi_get_bool(&product);
	n = get_texts(&all, p->capability, REGISTRY_CAPABILITIES_MAX, true);
	if (n != p->n_capabilities)
		abi_fail(in, -EPROTO);
}

int registry_product_answer(struct slice answer, struct registry_provider *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct registry_provider p;
	int r;

	get_product(&in, &p);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int registry_products_answer(struct slice answer, struct registry_provider *ret,
			     size_t cap, size_t *ret_n, bool *ret_more)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), all = abi_get_tuple(&in), list;
	size_t n;
	bool more;
	int r;

	list = abi_get_array(&all, 1, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		get_product(&list, &ret[i]);
	more = abi_get_bool(&all);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	*ret_more = more;
	return 0;
}

int registry_provider_answer(struct slice answer, struct registry_provider *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), all = abi_get_tuple(&in);
	struct registry_provider p = { .id = abi_get_u64(&all) };
	int r;

	get_info(&all, &p);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int registry_capabilities_answer(struct slice answer, bool *ret_active,
				 struct registry_capability *ret, size_t cap,
				 size_t *ret_n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	bool active = abi_get_bool(&in);
	size_t n, n_values;
	int r;

	n = get_texts(&in, ret, cap, false);
	n_values = get_texts(&in, ret, cap, true);
	if (n != n_values)
		abi_fail(&in, -EPROTO);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_active = active;
	*ret_n = n;
	return 0;
}

int registry_endorsed_answer(struct slice answer, uint64_t *ret, size_t cap,
			     size_t *ret_n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list;
	size_t n, n_ids = 0;
	int r;

	list = abi_get_array(&in, 1, &n);
	for (size_t i = 0; i < n; i++) {
		uint64_t id = abi_get_u64(&list);
		bool known = id == 0;

		for (size_t k = 0; k < n_ids && !known; k++)
			known = ret[k] == id;
		if (known)
			continue;
		if (n_ids == cap)
			return -EMSGSIZE;
		ret[n_ids++] = id;
	}
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n_ids;
	return 0;
}

/* Its value; false if there is none. */
static bool registry_capability(const struct registry_provider *p,
				const char *key, struct slice *ret)
{
	for (size_t i = 0; i < p->n_capabilities; i++) {
		if (slice_eq(p->capability[i].key, slice_str(key))) {
			*ret = p->capability[i].value;
			return true;
		}
	}
	return false;
}

/* A number, big-endian; false if it is missing or too large. */
static bool number(const struct registry_provider *p, const char *key,
		   struct u256 *ret)
{
	struct slice s;

	return registry_capability(p, key, &s) && s.n &&
	       u256_from_be_short(s, ret) == 0;
}

static bool number64(const struct registry_provider *p, const char *key,
		     uint64_t *ret)
{
	struct u256 v;

	return number(p, key, &v) && u256_to_u64(v, ret) == 0;
}

static bool flag(const struct registry_provider *p, const char *key)
{
	struct slice s;

	return registry_capability(p, key, &s) && s.n == 1 && s.p[0] == 1;
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

int registry_terms(const struct registry_provider *p,
		   struct registry_terms *ret, struct err *reterr)
{
	struct registry_terms t = { 0 };
	struct slice s;

	if (!registry_capability(p, "serviceURL", &t.service_url) ||
	    !is_printable(t.service_url))
		return err_set(reterr, -EPROTO,
			       "provider %llu has no usable service URL",
			       (unsigned long long)p->id);
	if (!number64(p, "minPieceSizeInBytes", &t.min_piece_bytes) ||
	    !number64(p, "maxPieceSizeInBytes", &t.max_piece_bytes) ||
	    t.min_piece_bytes > t.max_piece_bytes)
		return err_set(reterr, -EPROTO,
			       "provider %llu does not say which sizes of pieces it takes",
			       (unsigned long long)p->id);

	/* The rest only helps to choose: what makes no sense is not said. */
	if (!number(p, "storagePricePerTibPerDay", &t.price_per_tib_day))
		t.price_per_tib_day = U256_ZERO;
	if (!number64(p, "minProvingPeriodInEpochs", &t.min_proving_period))
		t.min_proving_period = 0;
	if (!number64(p, "capacityTiB", &t.capacity_tib))
		t.capacity_tib = 0;
	if (!registry_capability(p, "location", &t.location))
		t.location = SLICE_NONE;
	if (registry_capability(p, "paymentTokenAddress", &s) &&
	    (s.n == ADDRESS_SIZE || s.n == ABI_WORD))
		memcpy(t.payment_token.b, s.p + s.n - ADDRESS_SIZE, ADDRESS_SIZE);
	t.ipni_piece = flag(p, "ipniPiece");
	t.ipni_ipfs = flag(p, "ipniIpfs");
	*ret = t;
	return 0;
}
