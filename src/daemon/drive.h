/*
 * drive.h - a drive directory: making it, locking it, opening its keys
 *
 *   <home>/<drive>/    config   settings (config.h)
 *                      keys     key slots (crypto/slot.h)
 *                      lock     locked (fcntl(2), by open file) by whoever works
 *                               on the drive; asking does not take it, and
 *                               what stands in it (pid, "mounted", device) is
 *                               for messages, and for how long to wait
 *                      drive.db, data/, …   the cache's
 *   <home>/.<drive>.tmp/   a drive that is being made
 *
 * drive_open() reads config and keys and opens nothing that is secret; what may
 * run beside a daemon (status, passwd) does no more.  drive_lock() is for those
 * who must be alone; drive_unlock() asks for the passphrase.
 *
 * Threading: one thread at a time.
 */
#ifndef DAEMON_DRIVE_H
#define DAEMON_DRIVE_H

#include "base/buf.h"
#include "base/util.h"
#include "cache/cache.h"
#include "daemon/config.h"

struct err;
struct io;
struct keys;
struct passphrase;
struct passphrase_from;
struct secret;
struct slot_cost;

#define DRIVE_KEYS_FILE "keys"
#define DRIVE_LOCK_FILE "lock"

/* Bytes of a data piece; less where the cache is small (engine.c). */
#define DRIVE_PIECE_TARGET (256ull << 20)

struct drive {
	char *name;
	char *dir;
	struct io *io;
	struct config config;
	struct buf keys_file; /* sealed: no secret */
	struct keys *keys;    /* after drive_unlock() */
	int lock_fd;          /* -1: not locked by us */
};

/* -ENOENT: no such drive (what to do stands in `reterr`); -EPROTO: its config. */
must_check int drive_open(const char *name, struct drive **ret, struct err *reterr);
void drive_close(struct drive *d); /* and unlock; NULL is fine */

/* Unlock and wipe the keys, before the process ends with threads that hang in a
 * store and may still use `io`: the rest is left.  NULL is fine. */
void drive_leave(struct drive *d);

/*
 * -ENOTUNIQ with the pid in `reterr`.  Waits for a holder that is ending: killed a
 * moment ago, or a daemon whose mount has gone and that still writes (a minute at
 * most).
 */
must_check int drive_lock(struct drive *d, struct err *reterr);

/* The lock is held, and the drive is mounted there now: for those who wait for the
 * end.  What mounts_find() says. */
must_check int drive_lock_mounted(const struct drive *d, const char *mountpoint);

/* The pid that holds the lock; 0: nobody; -1: somebody unknown. */
long drive_lock_holder(const struct drive *d);

/*
 * Ask (up to three times, if a person answers) and open the keys.  *ret_used, if
 * not NULL, gets the passphrase that opened them.
 * -EKEYREJECTED, -EUCLEAN, and those of passphrase_read().
 */
must_check int drive_unlock(struct drive *d, const struct passphrase_from *from,
			    struct passphrase **ret_used, struct err *reterr);

/* What the cache of this drive needs; valid as long as the drive. */
void drive_cache_params(const struct drive *d, struct cache_params *ret);

/* The key file again, as it is now: who changes it does so under passwd's lock. */
must_check int drive_reread_keys(struct drive *d, struct err *reterr);

/* Put a new key file or config in place, synced. */
must_check int drive_replace_keys(struct drive *d, struct slice file);
must_check int drive_replace_config(struct drive *d, const struct config *c);

/*
 * Make a drive: all of it, or nothing that is left behind.  `format` makes the
 * local databases: cache_format(), or cache_format_from() for recover.
 */
struct drive_new {
	const char *name;
	const struct config *config;
	const struct secret *entropy;
	const struct passphrase *passphrase;
	int (*format)(void *ctx, const struct cache_params *p,
		      struct keys *keys, struct err *reterr);
	void *ctx;
};
must_check int drive_create(const struct drive_new *n, struct err *reterr);

/* -EPERM, with what to do, if others may write to the folder of the drives. */
must_check int drive_check_home(struct err *reterr);

/* -EEXIST, with what to do, if the name is taken.  To say so early. */
must_check int drive_check_free(const char *name, struct err *reterr);

/*
 * What Argon2id costs for new slots: the default, or for tests
 * FILDRIVE_KDF_MEM_KIB and FILDRIVE_KDF_OPS.
 */
void drive_kdf_cost(struct slot_cost *ret);

/*
 * Do passphrases of this key file cost a guesser less than new ones do?  What to say
 * then.
 */
bool drive_warn_weak(const char *drive, struct slice keys_file, struct err *ret);

static inline void drive_closep(struct drive **d)
{
	drive_close(*d);
}

#define _cleanup_drive_ _cleanup_(drive_closep)

#endif
