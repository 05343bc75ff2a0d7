/* foc_check.c - which endpoints cannot be counted on */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "chain/foc_impl.h"
#include "chain/rpc_agree.h"

static void tell_age(const struct foc *f, uint64_t block,
		     void (*tell)(void *ctx, const char *name, const char *why),
		     void *ctx)
{
	const struct network *net = &f->core->url.net;
	uint64_t now = (uint64_t)time(NULL), is;
	char text[128];

	if (!net->genesis_s)
		return;
	is = net->genesis_s + block * NETWORK_EPOCH_S;
	if (now < is + FOC_OLD_S)
		return;
	(void)snprintf(text, sizeof(text),
		       "its newest block is %llu minutes old: what came after it is not seen",
		       (unsigned long long)((now - is) / 60)); /* fits */
	tell(ctx, net->name, text);
}

int foc_check(struct foc *f,
	      void (*tell)(void *ctx, const char *name, const char *why),
	      void *ctx, struct err *reterr)
{
	_cleanup_rpc_agree_ struct rpc_agree *a = NULL;
	char args[ADDRESS_TEXT_MAX + 2], who[ADDRESS_TEXT_MAX];
	int r;

	r = rpc_agree_new(&a);
	if (r < 0)
		return r;
	address_text(f->core->payer, who);
	(void)snprintf(args, sizeof(args), "\"%s\"", who); /* fits */
	a->method = "eth_getBalance";
	a->args = args;
	a->want = RPC_NUMBER;
	a->genesis_s = f->core->url.net.genesis_s;
	r = foc_run_agree(f, a);
	for (unsigned i = 0; i < a->n && r != -ECANCELED; i++)
		if (a->said[i].status < 0 && a->said[i].status != -ENOEXEC)
			tell(ctx, rpc_endpoint_name(f->core->rpc, i),
			     a->said[i].err.text[0] ? a->said[i].err.text :
						      err_str(a->said[i].status));
	if (r == 0)
		tell_age(f, a->block, tell, ctx);
	return r < 0 ? err_set(reterr, r, "%s",
			       a->err.text[0] ? a->err.text : err_str(r)) :
		       0;
}
