/* common.h - a temporary folder with a dir store and pieces to put into it */
#ifndef TEST_PROVIDER_COMMON_H
#define TEST_PROVIDER_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "net/loop.h"
#include "provider/head.h"
#include "provider/provider.h"

#define PATH_SIZE 256

struct fixture {
	char root[PATH_SIZE];  /* mkdtemp */
	char store[PATH_SIZE]; /* root/store */
	struct io *io;         /* root/src */
	struct loop *loop;
	struct provider *p; /* of the store, made on first use */
};

/* The folders alone, without a thread: for tests that fork. */
void folders_make(struct fixture *f);
void folders_remove(struct fixture *f);
void threads_start(struct fixture *f);
void threads_stop(struct fixture *f);

int set_up(void **state); /* all of it */
int tear_down(void **state);

/* A provider on f->store; id NULL: new to us. */
struct provider *store_new(struct fixture *f, const uint8_t *id, bool create);

/* File `name` of f->io with n bytes of its seed, and its CID. */
struct piece_cid make_piece(struct fixture *f, const char *name, uint8_t seed,
			    size_t n);

/* One blocking request; its status. */
int put(struct provider *p, struct fixture *f, const char *name,
	const struct piece_cid *cid, uint64_t size);
int simple(struct provider *p, enum provider_verb verb, const struct piece_cid *cid);
int64_t size_at(struct provider *p, const struct piece_cid *cid); /* or -errno */
unsigned count_list(struct provider *p); /* whole pieces that LIST finds */

/* store/<cid>.car */
void piece_path(struct fixture *f, const struct piece_cid *cid,
		char ret[static 2 * PATH_SIZE]);

/* Names in a folder that begin with `prefix`. */
unsigned count_names(const char *path, const char *prefix);

struct keys *test_keys(void);

#endif
