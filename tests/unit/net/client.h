/*
 * client.h - a server that behaves and misbehaves (server.py), and requests to it
 *
 * A case has a server, a loop and a client of its own.  What fails, fails an assert;
 * requests are started, waited for and looked at by the case's thread.
 */
#ifndef TEST_NET_CLIENT_H
#define TEST_NET_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/thread.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/work.h"

#include "helper/server.h"

#define N_WORKERS   2
#define PATIENCE_MS 120000 /* what takes as long hangs */

struct fixture {
	struct server server;
	struct loop *loop;
	struct work *work;
	struct http *http;
	struct lock lock;
	struct cond cond;
	unsigned n_done; /* lock: lock */
};

struct get {
	struct http_req req;
	struct fixture *f;
	char url[256];
	struct buf body;
	int status;
	unsigned dones; /* lock: f->lock */
	bool on_loop;
};

/* Once, in main() before any case. */
int client_begin(void);

/* For cmocka; the second: two connections a host at most. */
int set_up(void **state);
int set_up_two_per_host(void **state);
int tear_down(void **state);
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* Byte i of what the server has; so are all of s, from byte `first` on. */
uint8_t pattern(uint64_t i);
bool is_pattern(struct slice s, uint64_t first);

/* A GET of http://127.0.0.1:port/path with room for 8 MiB, not started. */
void prepare(struct fixture *f, struct get *g, const char *path);

/* Until it is done, once and on the loop.  Is it over now? */
void wait_for(struct get *g);
bool is_over(struct get *g);

/* Start and wait: the request's status, or http_start()'s. */
int run(struct get *g);

/* A plain GET: its status; *g can be looked at and is finished by finish(). */
int get(struct fixture *f, struct get *g, const char *path);
void finish(struct get *g);

#endif
