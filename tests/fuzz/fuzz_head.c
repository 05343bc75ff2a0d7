/*
 * fuzz_head.c - what a store says is in its head register
 *
 * The input is first the sealed head itself, then its body.
 */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "crypto/commp.h"
#include "crypto/record.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "tests/fuzz/zerokeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A store that answers every head with the same bytes. */
struct liar {
	struct provider provider;
	struct slice head;
};

static int start(struct provider *p, struct provider_req *req)
{
	struct liar *l = container_of(p, struct liar, provider);
	int r;

	if (req->verb == PROVIDER_CLAIM)
		return -EEXIST;
	r = buf_append(req->ret_head, l->head);
	if (r < 0)
		return err_set(&req->err, r, "%s", err_str(r));
	req->done(req, 0);
	return 0;
}

static const char *name(struct provider *p)
{
	(void)p;
	return "liar";
}

static const struct provider_ops ops = { .start = start, .name = name };

static int ask(struct slice head)
{
	struct liar l = { .provider = { .ops = &ops }, .head = head };
	struct piece_cid got = { 0 }, ours = { .n = 1 };
	struct err e = { "" };
	struct commp_sum sum;
	int r, claimed;

	r = head_read(&l.provider, zero_keys(), 7, &got, &e);
	assert(r == 0 || e.text[0]);
	if (r == 0)
		assert(piece_cid_parse(piece_cid_slice(&got), &sum) == 0);
	claimed = head_claim(&l.provider, zero_keys(), 7, &ours, &e);
	assert(claimed == (r == 0 ? -ESTALE : r));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_kind kind = { "head", 1 };
	const struct keys *k = zero_keys();
	_cleanup_buf_ struct buf sealed = { .max = 2 * PROVIDER_HEAD_MAX };
	struct commp_sum sum;
	int r;

	if (size > 2 * PROVIDER_HEAD_MAX)
		return 0;
	r = ask(slice(data, size));
	assert(r == -EBADMSG || r == -EMSGSIZE);
	if (size > PROVIDER_HEAD_MAX)
		return 0;
	r = record_seal(keys_secret(k, KEYS_HEAD_SEAL), &kind, keys_drive_id(k),
			slice(data, size), &sealed);
	assert(r == 0);
	r = ask(buf_slice(&sealed));
	if (size <= PIECE_CID_MAX)
		assert((r == 0) == (piece_cid_parse(slice(data, size), &sum) == 0));
	else
		assert(r < 0);
	return 0;
}
