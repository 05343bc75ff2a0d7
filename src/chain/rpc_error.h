/*
 * rpc_error.h - what a node says when it does not answer a call
 *
 * Numeric codes differ from node to node (Lotus alone has used 1, 3 and 11 for a
 * revert), so a class is found from what is said besides: the bytes that the
 * contract reverted with, and the words of the message.  The bytes are in
 * error.data (a string, or an object around one), or only in the message, as Lotus
 * writes it:
 *
 *   message execution failed (exit=[33], revert reason=[message failed with
 *   backtrace: …], vm error=[0x5d946944])
 *   … vm error=[Error(Provider does not exist)]
 *
 * Spec: https://www.jsonrpc.org/specification section 5.1
 * Threading: values.
 */
#ifndef CHAIN_RPC_ERROR_H
#define CHAIN_RPC_ERROR_H

#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"
#include "net/json.h"

#define RPC_MESSAGE_MAX 512  /* bytes kept of a message, with NUL */
#define RPC_REVERT_MAX  1024 /* bytes kept of revert data */

enum rpc_class {
	RPC_CLASS_NONE,      /* there is no error */
	RPC_CLASS_REVERTED,  /* the contract said no: every node will */
	RPC_CLASS_FINAL,     /* the node said no: so will others */
	RPC_CLASS_ELSEWHERE, /* this node cannot: another may */
	RPC_CLASS_BUSY,      /* too many requests: later, or another */
};

struct rpc_error {
	enum rpc_class cls;
	int64_t code;
	char message[RPC_MESSAGE_MAX]; /* printable ASCII, cut */
	uint8_t data[RPC_REVERT_MAX];  /* of a revert; none if it was larger */
	size_t n_data;
};

/* An error object of a JSON-RPC answer.  -EPROTO: it is none. */
must_check int rpc_error_read(const json_t *v, struct rpc_error *ret);

/*
 * Only the message: a provider's HTTP answer carries Lotus' text, too.  `message` need
 * not end in NUL and may hold any bytes.
 */
void rpc_error_from_text(struct slice message, struct rpc_error *ret);

#endif
