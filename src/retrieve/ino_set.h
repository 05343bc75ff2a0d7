/*
 * ino_set.h - inode numbers that were seen, with one bit each
 *
 * The bit says whether the inode may have several names (a hard link).  Open
 * addressing: 8 bytes a place, at most three quarters of them taken.
 *
 * Numbers are 1 to INO_SET_MAX.  Threading: one thread.
 */
#ifndef RETRIEVE_INO_SET_H
#define RETRIEVE_INO_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define INO_SET_MAX   (UINT64_MAX >> 1) /* a number */
#define INO_SET_N_MAX (1u << 26)        /* numbers: 1 GiB at the worst */

struct ino_set {
	uint64_t *v; /* number, and the bit on top; 0: empty */
	size_t n, cap;
};

void ino_set_fini(struct ino_set *s); /* zeroed is a valid empty set */

/*
 * 1: it may stand: it is new, or shared now as before.  0: it is there already.
 * -ENOMEM, -EMSGSIZE.
 */
must_check int ino_set_add(struct ino_set *s, uint64_t ino, bool shared);
bool ino_set_has(const struct ino_set *s, uint64_t ino);

#endif
