/*
 * slot.h - the file `keys`: passphrases that open the drive
 *
 * Up to SLOT_MAX passphrases open the same drive.  Each slot wraps two things
 * apart: the drive secret (keys.h), which the daemon opens and keeps, and the
 * entropy of the words, which only commands that move money or show the words
 * open.  The file is a value of fixed size: these functions take its bytes and
 * return new bytes; the caller reads it with io_slurp() and writes it with
 * io_replace().
 *
 *   offset  size  field                                          all integers LE
 *   0       8     magic "fdkeys\r\n"
 *   8       4     version, 1
 *   12      4     zero
 *   16      16    drive id
 *   32      184   slot 0
 *   ...
 *   1320    184   slot 7
 *   1504    32    SHA-256 of all before it (damage, not malice)
 *
 *   offset  size  field of a slot
 *   0       1     1 used, 0 free (then all of the slot is zero)
 *   1       7     zero
 *   8       8     Argon2id passes
 *   16      8     Argon2id memory, bytes
 *   24      16    salt
 *   40      40    mark (aead.h) of the drive secret
 *   80      32    the drive secret, sealed
 *   112     40    mark of the entropy
 *   152     32    the entropy, sealed
 *
 *   k = Argon2id(passphrase, salt, passes, memory), 32 bytes; the two are
 *   sealed under secret_derive(k, "slot drive") and (k, "slot entropy"), with
 *   the associated data: offsets 0 to 32 of the file, 0 to 40 of the slot, and
 *   the slot's number as one byte.
 *
 * A passphrase is bytes: no normalisation, no trimming.  Trying one costs about
 * a second for each used slot.  A slot with damage does not keep the others
 * from being opened.  A damaged file that is changed stays known as one (its sum is
 * wrong), unless there is but one slot in it.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SLOT_H
#define CRYPTO_SLOT_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct buf;
struct err;
struct keys;
struct secret;

#define SLOT_MAX            8
#define SLOT_FILE_SIZE      1536
#define SLOT_PASSPHRASE_MAX 4096 /* bytes */

/*
 * What one try costs.  A file may ask for at most SLOT_MEM_MAX bytes, and for
 * passes times memory of at most SLOT_WORK_MAX (some ten seconds).
 */
struct slot_cost {
	uint64_t passes;
	uint64_t mem_bytes;
};

#define SLOT_MEM_MIN  (8u << 10)
#define SLOT_MEM_MAX  (1u << 30)
#define SLOT_WORK_MAX (16ull << 30)

/* 5 passes over 256 MiB: about a second. */
extern const struct slot_cost slot_cost_default;
/* For tests only: a few microseconds, no protection. */
extern const struct slot_cost slot_cost_test;

/*
 * Common to all below:
 *   -EINVAL        an empty or overlong passphrase, a cost out of bounds
 *   -EPROTO        the file is not a key file, or of a newer version
 *   -EUCLEAN       the file is damaged, and nothing intact opens
 *   -EKEYREJECTED  the file is whole, and the passphrase opens none of its slots
 *   -ENOMEM        also when Argon2id does not get its memory
 * with the reason in `reterr` (may be NULL).  A result buffer is appended to,
 * and is as it was on failure; its maximum has to allow SLOT_FILE_SIZE.
 */

/* A new file with one slot: a new drive, or a passphrase lost but not the words. */
must_check int slot_create(const struct secret *entropy, struct slice passphrase,
			   const struct slot_cost *cost, struct buf *ret_file,
			   struct err *reterr);

/* For the daemon: the drive's keys. */
must_check int slot_open(struct slice file, struct slice passphrase,
			 struct keys **ret, struct err *reterr);

/* For commands that show the words or move money. */
must_check int slot_open_entropy(struct slice file, struct slice passphrase,
				 struct secret **ret, struct err *reterr);

/*
 * Add `added`, which opens what `passphrase` opens.  -ENOSPC: all slots are
 * used; -EEXIST: `added` opens a slot already.
 */
must_check int slot_add(struct slice file, struct slice passphrase,
			struct slice added, const struct slot_cost *cost,
			struct buf *ret_file, struct err *reterr);

/*
 * Replace `passphrase` by `changed` in its slot, which may be the same once more;
 * with `cost`, or with what the slot has if that is more work.  -EEXIST: `changed`
 * opens another slot.
 */
must_check int slot_change(struct slice file, struct slice passphrase,
			   struct slice changed, const struct slot_cost *cost,
			   struct buf *ret_file, struct err *reterr);

/*
 * Clear the slot that `passphrase` opens.  -EBUSY: it is the last one.  -EUCLEAN also
 * if it opens, but the others of a damaged file may not.
 */
must_check int slot_remove(struct slice file, struct slice passphrase,
			   struct buf *ret_file, struct err *reterr);

/* What can be said without a passphrase. */
struct slot_info {
	uint8_t drive_id[16]; /* keys_drive_id() */
	unsigned n_used;
	bool damaged; /* the checksum is wrong, or a slot has no valid form */
};

/* How many slots cost whoever guesses less than `cost`, in work or in memory.
 * Errors as slot_info(). */
must_check int slot_n_weak(struct slice file, const struct slot_cost *cost,
			   struct err *reterr);

/* -EPROTO, -EUCLEAN (a wrong length).  Other damage is told in the info. */
must_check int slot_info(struct slice file, struct slot_info *ret,
			 struct err *reterr);

#endif
