/*
 * rig.h - a loop, HTTP, and a server that was started for the test
 */
#ifndef TESTS_COMPONENT_CHAIN_RIG_H
#define TESTS_COMPONENT_CHAIN_RIG_H

#include "base/thread.h"
#include "chain/rpc.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/work.h"

#include "helper/server.h"

#define RIG_CHAIN 314159

struct rig {
	struct loop *loop;
	struct work *work;
	struct http *http;
	struct server server;
	uint64_t request_ms; /* of rig_rpc(); 0: as in real life */
};

/* A server as helper/server.h has them. */
void rig_open(struct rig *g, const char *const *argv);
void rig_close(struct rig *g);

/* The same for cmocka; a group's set-up calls the first. */
int rig_set_up(void **state, const char *const *argv);
int rig_tear_down(void **state);

/* "http://127.0.0.1:port/path"; up to 16 stay valid. */
const char *rig_url(struct rig *g, const char *path);

/* Of these paths; waits of a failing endpoint begin at 20 ms. */
struct rpc *rig_rpc(struct rig *g, const char *const *paths, unsigned n);

/* POST of JSON; asserts that it went well. */
void rig_post(struct rig *g, const char *url, const char *json);

/* A blocking call; *c is finished by rpc_call_fini(). */
int rig_call(struct rpc *r, struct rpc_call *c, const char *method,
	     const char *params);

#endif
