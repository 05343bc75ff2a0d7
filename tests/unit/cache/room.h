/*
 * room.h - a drive that has little room: who waits for it, and what the disk has
 */
#ifndef TEST_CACHE_ROOM_H
#define TEST_CACHE_ROOM_H

#include "world.h"

#define MIB         (1u << 20)
#define PART        65536u /* bytes of one write */
#define PATIENCE_MS 60000  /* who needs as long hangs */
#define NAPS_MAX    30000  /* likewise, of nap() */

/* What is written: a pattern, of version 1. */
extern uint8_t room_bytes[MIB];

/* A test's set-up: a world (world_free()), and these bytes. */
int room_new(void **state);

/* One write; waits where it is told to.  How often: *waits, if not NULL.  The
 * result is that of the write, or of the wait that ended it. */
int put_slowly(struct drive *d, uint64_t ino, uint64_t off, size_t n,
	       unsigned *waits);

/* What the disk has for data/, at one instant: the committer gives back meanwhile. */
uint64_t du(struct drive *d);

/* 2 ms. */
void nap(void);

/* The account is what the disk says, when nothing is on its way back. */
void until_counted(struct drive *d);

#endif
