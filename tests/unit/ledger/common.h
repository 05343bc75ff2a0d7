/* common.h - a disk, a key, and small rows for the tests of the ledger */
#ifndef TEST_LEDGER_COMMON_H
#define TEST_LEDGER_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "ledger/ledger.h"

#include "helper/recorder.h"

/* Ordinals of this writer are negative as signed numbers. */
#define HIGH_WRITER 0xabcdefu
#define NODES_MAX   (4u << 20) /* bytes of the node cache in tests */

int set_up_key(void **state);
int tear_down_key(void **state);

#define TEST_DRIVE_ID "drive one"
const struct secret *test_key(void);

struct recorder *new_disk(void);
int try_open(struct recorder *rec, bool create, struct ledger **ret);
struct ledger *open_ledger(struct recorder *rec); /* makes it if absent */
struct ledger *new_ledger(struct recorder *rec, uint32_t writer);
struct ledger *reopen(struct recorder *rec, struct ledger *l);

struct piece_cid test_cid(uint8_t seed);
struct ledger_block test_block(uint32_t n); /* block n has its own digest */

/* A READY piece with blocks first … first+n-1. */
uint64_t add_ready(struct ledger *l, uint32_t first, uint32_t n);

struct ordinals {
	uint64_t v[16];
	size_t n;
};

/* ledger_pieces() of that state. */
struct ordinals pieces_in(struct ledger *l, enum ledger_piece_state state);

/* A ledger on a disk of its own, for one case. */
struct fixture {
	struct recorder *rec;
	struct ledger *l;
};

int set_up(void **state); /* *state is a struct fixture */
int tear_down(void **state);
void again(struct fixture *f); /* close, open */

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
