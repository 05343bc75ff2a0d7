/* common.h - a disk, a key and a small table for the tests of src/db */
#ifndef TEST_DB_COMMON_H
#define TEST_DB_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "db/db.h"

#include "helper/recorder.h"

#define DB_FILE  "drive.db"
#define WAL_FILE "drive.db-wal"
#define PLAIN    "a very well known text"
#define FRAME    4128u
#define HEADER   512u

extern struct secret *the_key;

int set_up_key(void **state);
int tear_down_key(void **state);

struct recorder *new_disk(void);
struct recorder *cut_at(struct recorder *rec, size_t at,
			enum recorder_lose lose, uint64_t seed);
struct recorder *copy_of(struct recorder *rec);

struct db_params params_of(struct recorder *rec);
int try_open(struct recorder *rec, struct db **ret);
struct db *open_db(struct recorder *rec); /* with the table */

/* Row k in a transaction of its own: blob of PLAIN and k, n bytes in all. */
int put_row(struct db *db, uint64_t k, size_t n);
int put_in_transaction(struct db *db, uint64_t k, size_t n);

/*
 * Rows 1..n, each exactly as put_row wrote it, and no other: n.  OTHER_BYTES, which
 * is no error of a database, for a wrong row; -errno from the database.
 */
#define OTHER_BYTES (-EILSEQ)
int64_t count_rows(struct db *db);

#endif
