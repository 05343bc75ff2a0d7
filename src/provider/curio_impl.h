/* curio_impl.h - one request of curio.c, for curio_tx.c */
#ifndef PROVIDER_CURIO_IMPL_H
#define PROVIDER_CURIO_IMPL_H

#include "net/http.h"
#include "net/json.h"
#include "provider/curio.h"

#define CURIO_ANSWER_MAX (64u << 10) /* bytes of JSON */
#define CURIO_SEND_MS    300000      /* its handlers wait for the chain */
#define CURIO_ASK_MS     30000
#define CURIO_PING_MS    10000

/* A request with the defaults: method, path below the service URL. */
struct curio_ask {
	enum http_method method;
	const char *path;  /* "pdp/…", or "/pdp/…": below the origin */
	json_t *body;      /* borrowed; NULL: none */
	struct buf *bytes; /* of the answer; NULL: not wanted */
	uint64_t range_off, range_n;
	struct io_file *src;
	uint64_t src_n;
	uint64_t total_ms, idle_ms; /* 0: CURIO_ASK_MS; http.h's */
	struct http_head head;      /* of the answer */
};

/* Ask and wait.  Errors of curio.h; op->err, op->said and op->status are set. */
must_check int curio_ask(struct curio *c, struct curio_op *op, struct curio_ask *a);

/* The same; the answer's bytes to `ret`, which is initialised here. */
must_check int curio_ask_text(struct curio *c, struct curio_op *op,
			      struct curio_ask *a, struct buf *ret);

#define CURIO_HASH_TEXT (2 + 2 * CURIO_HASH_SIZE + 1) /* "0x", 64 digits, NUL */

/*
 * What is in answers, as text.  0, -EPROTO (another form than Curio's; *ret_why
 * says what is wrong) or -ENOMEM.  Nothing of a stranger's is trusted: numbers,
 * hashes and lists are checked and bounded.
 */
must_check int curio_read_cid(struct slice text, const struct piece_cid *cid,
			      const char **ret_why);
/* `created`: of a data set; else of pieces, whose set the caller knows. */
must_check int curio_read_tx(struct slice text, bool created,
			     struct curio_tx *ret, const char **ret_why);
/* Each of `pieces` has to be in it once, in any order. */
must_check int curio_read_pull(struct slice text, struct curio_pull *pieces,
			       size_t n, const char **ret_why);
must_check int curio_read_hash(struct slice text,
			       uint8_t ret[static CURIO_HASH_SIZE],
			       const char **ret_why);

/* -EPROTO with a sentence: the answer has not the form of Curio's. */
int curio_nonsense(struct curio *c, struct curio_op *op, const char *what);

#endif
