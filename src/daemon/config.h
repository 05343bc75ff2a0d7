/*
 * config.h - the file `config` in a drive directory
 *
 *   # a comment
 *   version = 1
 *   store = dir:///mnt/stick/drive
 *   copies = 1
 *
 * One `key = value` a line; only `store` may stand several times.  An unknown
 * key, a value out of its range, and a second value are refused with the line
 * number: a misspelt limit must not be silently absent.  What is absent has its
 * default.  The list of keys with their meanings is the table in config.c; it
 * is also what `fildrive config` prints.  Sums of money are decimal text
 * (chain/amount.h), "none" where there is none.
 *
 * The file is no secret and not authenticated: who can write it can also
 * replace the program.  It holds nothing that could give data away: stores only
 * ever get sealed blocks, and are verified on read (I4, I5).  Fewer copies or
 * another store make data less safe, which is why status prints both.
 *
 * Threading: values.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;
struct err;

#define CONFIG_VERSION     1
#define CONFIG_FILE_MAX    65536 /* bytes */
#define CONFIG_LINE_MAX    1024
#define CONFIG_STORES_MAX  16
#define CONFIG_URL_MAX     512 /* bytes, with NUL */
#define CONFIG_URLS_MAX    960 /* bytes of a list of URLs, with NUL */
#define CONFIG_FILE        "config"
#define CONFIG_SESSION_MAX 1000000

/* Of onboard_idle and onboard_age: see daemon/cadence.h. */
#define CONFIG_AUTO UINT64_MAX

enum config_compress {
	CONFIG_COMPRESS_NODES, /* directories and inner nodes */
	CONFIG_COMPRESS_ALL,   /* leaves too, padded to powers of two */
	CONFIG_COMPRESS_NX
};

struct config {
	uint64_t version;
	uint64_t n_stores;
	char stores[CONFIG_STORES_MAX][CONFIG_URL_MAX];
	uint64_t copies;
	uint64_t cache_size; /* bytes; 0: as much as the disk has; cache_size_check() */
	uint64_t reserve_free;    /* bytes of the disk left to others */
	uint64_t commit_interval; /* ms */
	uint64_t full_timeout; /* ms until a write to a full cache gets ENOSPC */
	uint64_t onboard_idle;  /* ms of quiet before dirty data leaves; or
				  CONFIG_AUTO */
	uint64_t onboard_bytes; /* dirty bytes that do not wait for quiet */
	uint64_t onboard_age;   /* ms that anything stays dirty at most; or
				   CONFIG_AUTO */
	uint64_t readback;      /* bytes a day of pieces not read back yet */
	uint64_t fetch_timeout; /* ms until a read of absent bytes gets EIO */
	uint64_t store_timeout; /* ms until a store is called silent */
	uint64_t proof_watch; /* ms between two looks at a provider's proofs */
	uint64_t give_up;     /* ms in vain until a provider is replaced */
	uint64_t lock_after;  /* ms unused until it is locked; 0: never */
	uint64_t compress;    /* enum config_compress */
	char gateway[CONFIG_URLS_MAX]; /* URLs, blanks between; empty: none */
	char router[CONFIG_URLS_MAX];  /* likewise */

	/* Of stores that cost money.  Sums are units of 10^-18; zero: none. */
	struct address payer;    /* whose wallet pays */
	struct address signer;   /* session key `session`, for status */
	uint64_t session;        /* number of the daemon's session key */
	struct u256 budget;      /* USDFC a month that may be spent */
	struct u256 deposit_cap; /* USDFC that may be deposited at a time */
	uint64_t ipfs_indexing;  /* bool: block CIDs are made public */
	uint64_t up_rate;        /* bytes a second to a provider; 0: no limit */
	uint64_t down_rate;      /* likewise, from one */
};

void config_init(struct config *c); /* the defaults, no stores */

/*
 * -EPROTO with the line and the reason in `reterr`; -EMSGSIZE.  *ret is whole
 * or not touched.
 */
must_check int config_parse(struct slice text, struct config *ret,
			    struct err *reterr);

/* All keys, in an order that config_parse() reads back to the same values. */
must_check int config_write(const struct config *c, struct buf *ret);

/*
 * Set one key from text, as a line of the file would.  -ENOENT: no such key;
 * -EINVAL: not a value of it.
 */
must_check int config_set(struct config *c, const char *key, const char *value,
			  struct err *reterr);

/* The keys in the order of the file; NULL at the end. */
const char *config_key(size_t i);
const char *config_help(size_t i);

/* The value of key i as text, appended; of `store` each on a line of its own. */
must_check int config_get(const struct config *c, size_t i, struct buf *ret);

/* What only shows in the whole: stores distinct, and enough for the copies. */
must_check int config_check(const struct config *c, struct err *reterr);

#endif
