/*
 * rpc_answer.h - the body of an answer, taken apart (internal to rpc*.c)
 *
 * An answer is one object, or an array of them in any order; each repeats the id of
 * its call and has a result or an error.  Nothing else of it is believed: an id
 * that was not asked, or twice, makes all of it worthless.
 *
 * Spec: https://www.jsonrpc.org/specification sections 5 and 6
 * Threading: values.
 */
#ifndef CHAIN_RPC_ANSWER_H
#define CHAIN_RPC_ANSWER_H

#include "chain/rpc.h"
#include "chain/rpc_error.h"

struct rpc_item {
	int status; /* 0: result; -EBADE: error; -EPROTO: neither */
	json_t *result;
	struct rpc_error error;
};

/*
 * Items of the calls first_id … first_id + n - 1; to be finished with
 * rpc_answer_fini(), also after an error.
 *
 * -EPROTO      nonsense, all of it
 * -EMSGSIZE    too deep or too many values
 * -EOPNOTSUPP  one error for a batch: in items[0].error
 * -ENOMEM
 */
must_check int rpc_answer_read(struct slice body, uint64_t first_id, unsigned n,
			       bool batch, struct rpc_item *items);
void rpc_answer_fini(struct rpc_item *items, unsigned n);

/* Has a result the type and size that the call wants?  0, -EPROTO, -EMSGSIZE. */
must_check int rpc_answer_check(const json_t *result, enum rpc_want want,
				size_t max);

#endif
