#include "chain/foc.h"

#include <errno.h>
#include <string.h>

#include "chain/call.h"
#include "chain/foc_impl.h"
#include "chain/revert.h"
#include "chain/rpc_agree.h"

#define ANSWER_MAX CONTRACTS_CALL_MAX
#define LATEST     ",\"latest\"]"

/* A call that foc_stop() can reach. */
struct foc_running {
	struct list node;
	struct rpc_call *call;
	struct rpc_agree *agree;
	struct contracts_fetch *fetch;
};

/* ---- handles ---- */

static void core_free(struct foc_core *c)
{
	contracts_free(c->contracts);
	if (c->rpc)
		rpc_free(c->rpc);
	network_url_fini(&c->url);
	lock_fini(&c->lock);
	free(c);
}

static int handle_new(struct foc_core *c, struct foc **ret)
{
	struct foc *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->core = c;
	lock_init(&f->lock);
	list_init(&f->running);
	*ret = f;
	return 0;
}

static int core_open(struct foc_core *c, const struct foc_params *p, struct err *e)
{
	const char *urls[RPC_URLS_MAX];
	struct rpc_params rp = { .loop = p->loop, .http = p->http, .urls = urls };
	_cleanup_free_ char *url = NULL;
	int r;

	/* Through its text: a copy of a struct that owns memory. */
	r = network_url_canonical(p->url, &url);
	if (r == 0)
		r = network_url_parse(url, &c->url, e);
	if (r < 0)
		return r;
	rp.chain_id = c->url.net.chain_id;
	rp.chain_name = c->url.net.name;
	rp.n_urls = network_url_rpc(&c->url, urls);
	r = rpc_new(&rp, &c->rpc, e);
	return r < 0 ? r : contracts_new(c->rpc, &c->url.net, &c->contracts);
}

int foc_new(const struct foc_params *p, struct foc **ret, struct err *reterr)
{
	struct foc_core *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	lock_init(&c->lock);
	c->refs = 1;
	c->payer = p->payer;
	r = core_open(c, p, reterr);
	if (r == 0)
		r = handle_new(c, ret);
	if (r < 0)
		core_free(c);
	return r;
}

int foc_fork(struct foc *f, struct foc **ret)
{
	struct foc_core *c = f->core;
	int r = handle_new(c, ret);

	if (r < 0)
		return r;
	lock_take(&c->lock);
	c->refs++;
	lock_drop(&c->lock);
	return 0;
}

void foc_free(struct foc *f)
{
	struct foc_core *c;
	bool last;

	if (!f)
		return;
	c = f->core;
	lock_fini(&f->lock);
	free(f);
	lock_take(&c->lock);
	last = --c->refs == 0;
	lock_drop(&c->lock);
	if (last)
		core_free(c);
}

struct rpc *foc_rpc(struct foc *f)
{
	return f->core->rpc;
}

const struct network *foc_network(const struct foc *f)
{
	return &f->core->url.net;
}

struct address foc_payer(const struct foc *f)
{
	return f->core->payer;
}

/* ---- calls that can be stopped ---- */

static int enter(struct foc *f, struct foc_running *run)
{
	bool stopped;

	lock_take(&f->lock);
	stopped = f->stopped;
	if (!stopped)
		list_push(&f->running, &run->node);
	lock_drop(&f->lock);
	return stopped ? -ECANCELED : 0;
}

static void leave(struct foc *f, struct foc_running *run)
{
	lock_take(&f->lock);
	list_del(&run->node);
	lock_drop(&f->lock);
}

void foc_stop(struct foc *f)
{
	lock_take(&f->lock);
	f->stopped = true;
	list_foreach(n, &f->running) {
		struct foc_running *run = container_of(n, struct foc_running, node);

		if (run->call)
			rpc_cancel(f->core->rpc, run->call);
		else if (run->agree)
			rpc_agree_cancel(f->core->rpc, run->agree);
		else
			contracts_cancel(f->core->contracts, run->fetch);
	}
	lock_drop(&f->lock);
}

static int run_call(struct foc *f, struct rpc_call *call)
{
	struct foc_running run = { .call = call };
	int r;

	r = enter(f, &run);
	if (r < 0)
		return r;
	r = rpc_wait(f->core->rpc, call);
	leave(f, &run);
	return r;
}

int foc_run_agree(struct foc *f, struct rpc_agree *a)
{
	struct foc_running run = { .agree = a };
	int r;

	r = enter(f, &run);
	if (r < 0)
		return r;
	r = rpc_agree_wait(f->core->rpc, a);
	leave(f, &run);
	return r;
}

/* Why it failed, in words; a revert by its own name. */
static int failed(int r, const struct rpc_error *why, const struct err *said,
		  struct err *reterr)
{
	struct revert v;

	if (r == -ENOEXEC && why && why->n_data) {
		revert_read(slice(why->data, why->n_data), &v);
		return err_set(reterr, r, "%s", v.text);
	}
	return err_set(reterr, r, "%s", said->text[0] ? said->text : err_str(r));
}

int foc_agree(struct foc *f, const char *method, const char *args,
	      enum rpc_want want, uint32_t max, json_t **ret, struct err *reterr)
{
	_cleanup_rpc_agree_ struct rpc_agree *a = NULL;
	uint64_t floor;
	int r;

	r = rpc_agree_new(&a);
	if (r < 0)
		return r;
	a->method = method;
	a->args = args;
	a->want = want;
	a->max = max;
	a->genesis_s = f->core->url.net.genesis_s;
	r = foc_run_agree(f, a);
	if (r < 0)
		return failed(r, a->error, &a->err, reterr);
	lock_take(&f->core->lock);
	floor = f->core->seen;
	lock_drop(&f->core->lock);
	if (a->block < floor)
		return err_set(reterr, -ESTALE,
			       "%s: the RPC endpoints are at block %llu, behind %llu that was seen",
			       f->core->url.net.name, (unsigned long long)a->block,
			       (unsigned long long)floor);
	f->block = a->block;
	*ret = json_incref(a->result);
	return 0;
}

static int read_agreed(struct foc *f, char *params, struct buf *ret,
		       struct err *reterr)
{
	_cleanup_json_ json_t *result = NULL;
	int r;

	/* "[{…},"latest"]": the object alone */
	params[strlen(params) - strlen(LATEST)] = '\0';
	r = foc_agree(f, "eth_call", params + 1, RPC_BYTES, 2 * ANSWER_MAX,
		      &result, reterr);
	return r < 0 ? r : json_hex_bytes(result, ret);
}

static int read_one(struct foc *f, const char *params, struct buf *ret,
		    struct err *reterr)
{
	_cleanup_rpc_call_ struct rpc_call call = {
		.method = "eth_call",
		.params = params,
		.want = RPC_BYTES,
		.max = 2 * ANSWER_MAX,
	};
	int r = run_call(f, &call);

	if (r < 0)
		return failed(r, &call.error, &call.err, reterr);
	return json_hex_bytes(call.result, ret);
}

static int read_at(struct foc *f, struct address to, struct slice data,
		   bool agreed, struct buf *ret, struct err *reterr)
{
	_cleanup_free_ char *params = NULL;
	int r;

	r = contract_params(to, NULL, data, "latest", &params);
	if (r < 0)
		return err_set(reterr, r, "eth_call: %s", err_str(r));
	if (agreed)
		return read_agreed(f, params, ret, reterr);
	return read_one(f, params, ret, reterr);
}

/* ---- which contract ---- */

static struct address address_at(const struct contracts_known *k, enum foc_at at)
{
	switch (at) {
	case FOC_VIEW: return k->view;
	case FOC_PDP: return k->pdp;
	case FOC_PAY: return k->pay;
	case FOC_USDFC: return k->usdfc;
	case FOC_REGISTRY: return k->registry;
	case FOC_SESSIONS: return k->sessions;
	case FOC_ENDORSEMENTS: return k->endorsements;
	case FOC_FWSS:
	default: return k->fwss;
	}
}

struct fetching {
	struct foc *foc;
	struct foc_running run;
};

static int on_fetch(void *ctx, struct contracts_fetch *fetch)
{
	struct fetching *w = ctx;

	w->run.fetch = fetch;
	return enter(w->foc, &w->run);
}

static void on_fetched(void *ctx)
{
	struct fetching *w = ctx;

	leave(w->foc, &w->run);
}

int foc_contracts(struct foc *f, struct contracts_known *ret, struct err *reterr)
{
	struct fetching w = { .foc = f };
	const struct contracts_watch watch = { on_fetch, on_fetched, &w };
	bool stopped;

	lock_take(&f->lock);
	stopped = f->stopped;
	lock_drop(&f->lock);
	return stopped ? -ECANCELED :
			 contracts_get(f->core->contracts, &watch, ret, reterr);
}

void foc_ask_init(struct foc_ask *a, enum foc_at at)
{
	a->at = at;
	buf_init(&a->data, FOC_DATA_MAX);
}

int foc_read(struct foc *f, const struct foc_ask *a, int r, bool agreed,
	     struct buf *ret, struct err *reterr)
{
	struct contracts_known k;

	if (r == 0)
		r = foc_contracts(f, &k, reterr);
	if (r < 0)
		return r;
	buf_init(ret, ANSWER_MAX);
	r = read_at(f, address_at(&k, a->at), buf_slice(&a->data), agreed, ret,
		    reterr);
	/* Perhaps it was deployed anew. */
	if (r == -ENOEXEC && a->at == FOC_VIEW)
		contracts_forget(f->core->contracts);
	return r;
}

int foc_multi(struct foc *f, const struct foc_ask *a, size_t n, int r, bool agreed,
	      struct buf *answer, struct multicall_result *ret, struct err *reterr)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	_cleanup_buf_ struct buf data = { 0 };
	struct contracts_known k;

	if (r == 0)
		r = foc_contracts(f, &k, reterr);
	if (r < 0)
		return r;
	buf_init(&data, CALL_MAX);
	buf_init(answer, ANSWER_MAX);
	multicall_begin(&o);
	for (size_t i = 0; i < n; i++)
		multicall_add(&o, address_at(&k, a[i].at), buf_slice(&a[i].data));
	r = multicall_end(&o, &data);
	if (r == 0)
		r = read_at(f, multicall_address, buf_slice(&data), agreed,
			    answer, reterr);
	if (r < 0)
		return r;
	r = multicall_answer(buf_slice(answer), ret, n);
	return r < 0 ? foc_nonsense(f, r, "many reads at once", reterr) : 0;
}

int foc_nonsense(const struct foc *f, int r, const char *what, struct err *reterr)
{
	return err_set(reterr, r, "%s: the answer about %s cannot be understood",
		       f->core->url.net.name, what);
}

/* ---- the network ---- */

int foc_prices(struct foc *f, struct view_price_list *ret, struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	struct foc_core *c = f->core;
	struct view_price_list p;
	bool fresh;
	int r;

	lock_take(&c->lock);
	fresh = monotonic_ms() < c->prices_until_ms;
	p = c->prices;
	lock_drop(&c->lock);
	if (fresh) {
		*ret = p;
		return 0;
	}
	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_price_list(&a.data), true, &b, reterr);
	if (r < 0)
		return r;
	r = view_price_list_answer(buf_slice(&b), &p);
	if (r < 0)
		return foc_nonsense(f, r, "prices", reterr);
	lock_take(&c->lock);
	c->prices = p;
	c->prices_until_ms = monotonic_ms() + FOC_CACHE_MS;
	lock_drop(&c->lock);
	*ret = p;
	return 0;
}

uint64_t foc_block(const struct foc *f)
{
	return f->block;
}

void foc_seen(struct foc *f, uint64_t epoch)
{
	lock_take(&f->core->lock);
	f->core->seen = MAX(f->core->seen, epoch);
	lock_drop(&f->core->lock);
}

int foc_receipt(struct foc *f, const uint8_t tx[static 32],
		enum foc_receipt *ret, struct err *reterr)
{
	struct rpc_call call = { .method = "eth_getTransactionReceipt",
				 .want = RPC_OBJECT_OR_NULL };
	_cleanup_buf_ struct buf params = { 0 };
	uint64_t status = 0;
	int r;

	buf_init(&params, 128);
	r = buf_printf(&params, "[\"");
	if (r == 0)
		r = json_put_hex(&params, slice(tx, 32));
	if (r == 0)
		r = buf_printf(&params, "\"]");
	if (r == 0)
		r = buf_u8(&params, 0);
	if (r < 0)
		return r;
	call.params = (const char *)params.p;
	r = run_call(f, &call);
	if (r < 0) {
		(void)failed(r, &call.error, &call.err, reterr);
	} else if (!json_is_object(call.result)) {
		*ret = FOC_RECEIPT_NONE;
	} else {
		r = json_hex_u64(json_object_get(call.result, "status"), &status);
		if (r < 0)
			(void)foc_nonsense(f, r, "a transaction", reterr);
		else
			*ret = status ? FOC_RECEIPT_GOOD : FOC_RECEIPT_FAILED;
	}
	rpc_call_fini(&call);
	return r;
}
