#include "chain/contracts.h"

#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "chain/call.h"
#include "chain/revert.h"

struct contracts {
	struct rpc *rpc;
	struct network net;
	struct lock lock;
	struct contracts_known known; /* lock: lock */
	uint64_t until_ms;            /* lock: lock; 0: not known */
};

/* clang-format off */
static const struct {
	enum call call;
	size_t offset; /* of the address in struct contracts_known */
	const char *name;
} getters[] = {
	{ CALL_FWSS_VIEW_CONTRACT, offsetof(struct contracts_known, view), "viewContractAddress" },
	{ CALL_FWSS_PDP_VERIFIER, offsetof(struct contracts_known, pdp), "pdpVerifierAddress" },
	{ CALL_FWSS_PAYMENTS, offsetof(struct contracts_known, pay), "paymentsContractAddress" },
	{ CALL_FWSS_USDFC, offsetof(struct contracts_known, usdfc), "usdfcTokenAddress" },
	{ CALL_FWSS_PROVIDER_REGISTRY, offsetof(struct contracts_known, registry), "serviceProviderRegistry" },
	{ CALL_FWSS_SESSION_KEY_REGISTRY, offsetof(struct contracts_known, sessions), "sessionKeyRegistry" },
};
/* clang-format on */

#define N_GETTERS ARRAY_LEN(getters)

/* ---- eth_call ---- */

int contract_params(struct address to, const struct address *from,
		    struct slice data, const char *block, char **ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	if (data.n > CONTRACTS_CALL_MAX)
		return -EMSGSIZE;
	buf_init(&b, 2 * data.n + 512);
	r = buf_printf(&b, "[{");
	if (r == 0 && from)
		r = buf_printf(&b, "\"from\":\"");
	if (r == 0 && from)
		r = json_put_hex(&b, slice(from->b, ADDRESS_SIZE));
	if (r == 0 && from)
		r = buf_printf(&b, "\",");
	if (r == 0)
		r = buf_printf(&b, "\"to\":\"");
	if (r == 0)
		r = json_put_hex(&b, slice(to.b, ADDRESS_SIZE));
	if (r == 0)
		r = buf_printf(&b, "\",\"data\":\"");
	if (r == 0)
		r = json_put_hex(&b, data);
	if (r == 0)
		r = buf_printf(&b, "\"},\"%s\"]", block);
	if (r == 0)
		r = buf_u8(&b, 0);
	if (r < 0)
		return r;
	*ret = (char *)b.p;
	b = (struct buf){ 0 };
	return 0;
}

int contract_call(struct rpc *rpc, struct address to, struct slice data,
		  struct buf *ret, struct rpc_error *ret_error, struct err *reterr)
{
	_cleanup_rpc_call_ struct rpc_call call = {
		.method = "eth_call",
		.want = RPC_BYTES,
		.max = 2 * CONTRACTS_CALL_MAX,
	};
	_cleanup_free_ char *params = NULL;
	int r;

	r = contract_params(to, NULL, data, "latest", &params);
	if (r < 0)
		return err_set(reterr, r, "eth_call: %s", err_str(r));
	call.params = params;
	r = rpc_wait(rpc, &call);
	if (r == 0)
		r = json_hex_bytes(call.result, ret);
	if (r < 0 && ret_error)
		*ret_error = call.error;
	if (r == -ENOEXEC && call.error.n_data) {
		struct revert why;

		revert_read(slice(call.error.data, call.error.n_data), &why);
		err_set(reterr, r, "%s", why.text);
	}
	if (r < 0)
		err_set(reterr, r, "%s",
			call.err.text[0] ? call.err.text : err_str(r));
	return r;
}

/* ---- asking for all ---- */

struct question {
	struct rpc_call call;
	struct contracts_fetch *all;
	char *params;
	int status;
};

struct contracts_fetch {
	struct lock lock;
	struct cond cond;
	unsigned left; /* lock: lock */
	struct question q[N_GETTERS + 1];
};

static void on_answer(struct rpc_call *call, int status)
{
	struct question *q = container_of(call, struct question, call);
	struct contracts_fetch *a = q->all;

	lock_take(&a->lock);
	q->status = status;
	a->left--;
	cond_wake_all(&a->cond);
	lock_drop(&a->lock);
}

static int prepare(struct contracts *c, struct contracts_fetch *a,
		   struct question *q, enum call what)
{
	_cleanup_buf_ struct buf data = { 0 };
	int r;

	buf_init(&data, 64);
	r = call_bare(what, &data);
	if (r == 0)
		r = contract_params(c->net.fwss, NULL, buf_slice(&data),
				    "latest", &q->params);
	if (r < 0)
		return r;
	q->all = a;
	q->call = (struct rpc_call){ .method = "eth_call",
				     .params = q->params,
				     .want = RPC_BYTES,
				     .max = 1024,
				     .done = on_answer };
	return 0;
}

void contracts_cancel(struct contracts *c, struct contracts_fetch *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->q); i++)
		rpc_cancel(c->rpc, &f->q[i].call);
}

static int ask_all(struct contracts *c, struct contracts_fetch *a,
		   const struct contracts_watch *watch)
{
	int r = prepare(c, a, &a->q[N_GETTERS], CALL_FWSS_VERSION);

	for (size_t i = 0; i < N_GETTERS && r == 0; i++)
		r = prepare(c, a, &a->q[i], getters[i].call);
	if (r == 0 && watch)
		r = watch->begin(watch->ctx, a);
	if (r < 0)
		return r;
	a->left = ARRAY_LEN(a->q); /* nobody else has it yet */
	for (size_t i = 0; i < ARRAY_LEN(a->q); i++) {
		r = rpc_start(c->rpc, &a->q[i].call);
		if (r < 0)
			on_answer(&a->q[i].call, r);
	}
	lock_take(&a->lock);
	while (a->left)
		cond_wait(&a->cond, &a->lock);
	lock_drop(&a->lock);
	if (watch)
		watch->end(watch->ctx);
	return 0;
}

/* ---- what they say ---- */

static int bytes_of(const struct question *q, struct buf *b)
{
	buf_init(b, 1024);
	return json_hex_bytes(q->call.result, b);
}

static int read_address(const struct question *q, struct address *ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	r = bytes_of(q, &b);
	if (r == 0)
		r = call_answer_address(buf_slice(&b), ret);
	return r == 0 && address_is_none(*ret) ? -EPROTO : r;
}

/* "major.minor.patch": at least 1.3.0? */
static bool version_is_spoken(const char *text)
{
	char *end;
	long major = strtol(text, &end, 10), minor;

	if (end == text || *end != '.')
		return false;
	text = end + 1;
	minor = strtol(text, &end, 10);
	return end != text && *end == '.' && major == 1 && minor >= 3;
}

static int read_version(const struct question *q, char ret[static 32])
{
	_cleanup_buf_ struct buf b = { 0 };
	struct slice s;
	int r;

	r = bytes_of(q, &b);
	if (r < 0)
		return r;
	r = call_answer_text(buf_slice(&b), &s);
	if (r < 0)
		return r;
	if (s.n >= 32)
		return -EPROTO;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return -EPROTO;
	memset(ret, 0, 32);
	if (s.n)
		memcpy(ret, s.p, s.n);
	return 0;
}

static int take_answers(const struct contracts *c, const struct contracts_fetch *a,
			struct contracts_known *k, struct err *e)
{
	const struct question *v = &a->q[N_GETTERS];
	char fwss[ADDRESS_TEXT_MAX];
	int r;

	address_text(c->net.fwss, fwss);
	for (size_t i = 0; i < ARRAY_LEN(a->q); i++) {
		r = a->q[i].status;
		if (r < 0)
			return err_set(e, r, "%s", a->q[i].call.err.text);
	}
	r = read_version(v, k->version);
	if (r < 0)
		return err_set(e, r,
			       "%s is no storage service: its version cannot be read",
			       fwss);
	if (!version_is_spoken(k->version))
		return err_set(e, -ENOSYS,
			       "the storage service %s has version %s: this program speaks 1.3.0 up to 1.x",
			       fwss, k->version);
	for (size_t i = 0; i < N_GETTERS; i++) {
		r = read_address(&a->q[i],
				 (struct address *)(void *)((char *)k +
							    getters[i].offset));
		if (r < 0)
			return err_set(e, r, "%s says no address for %s", fwss,
				       getters[i].name);
	}
	return 0;
}

static void fetch_free(struct contracts_fetch *a)
{
	for (size_t i = 0; i < ARRAY_LEN(a->q); i++) {
		rpc_call_fini(&a->q[i].call);
		free(a->q[i].params);
	}
	cond_fini(&a->cond);
	lock_fini(&a->lock);
	free(a);
}

static int fetch(struct contracts *c, const struct contracts_watch *watch,
		 struct contracts_known *k, struct err *e)
{
	struct contracts_fetch *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	lock_init(&a->lock);
	cond_init(&a->cond);
	*k = (struct contracts_known){ .fwss = c->net.fwss,
				       .endorsements = c->net.endorsements };
	r = ask_all(c, a, watch);
	if (r == 0)
		r = take_answers(c, a, k, e);
	fetch_free(a);
	return r;
}

int contracts_get(struct contracts *c, const struct contracts_watch *watch,
		  struct contracts_known *ret, struct err *reterr)
{
	struct contracts_known k;
	bool fresh;
	int r;

	lock_take(&c->lock);
	fresh = monotonic_ms() < c->until_ms;
	if (fresh)
		*ret = c->known;
	lock_drop(&c->lock);
	if (fresh)
		return 0;
	r = fetch(c, watch, &k, reterr);
	if (r < 0)
		return r;
	lock_take(&c->lock);
	if (strcmp(c->known.version, k.version) != 0)
		log_info("%s: storage service %s", c->net.name, k.version);
	c->known = k;
	c->until_ms = monotonic_ms() + CONTRACTS_CACHE_MS;
	lock_drop(&c->lock);
	*ret = k;
	return 0;
}

void contracts_forget(struct contracts *c)
{
	lock_take(&c->lock);
	c->until_ms = 0;
	lock_drop(&c->lock);
}

int contracts_new(struct rpc *rpc, const struct network *net, struct contracts **ret)
{
	struct contracts *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->rpc = rpc;
	c->net = *net;
	lock_init(&c->lock);
	*ret = c;
	return 0;
}

void contracts_free(struct contracts *c)
{
	if (!c)
		return;
	lock_fini(&c->lock);
	free(c);
}
