/*
 * nomem.h - the nth allocation fails
 *
 * For programs that are linked with test_nomem_dep: allocations of our own code
 * (malloc, calloc, realloc, reallocarray, strdup, sodium_malloc; not those inside
 * of shared libraries) are counted while a fault is armed.  The sweep:
 *
 *   for (n = 0;; n++) {
 *           nomem_arm(NOMEM_THREAD, n);
 *           r = operation();
 *           if (!nomem_disarm())
 *                   break;             it needs no more than n: r has to be 0
 *           r is -ENOMEM, or 0 where it can do without
 *   }
 *
 * nomem_sweep() is that, each run on a fresh thread, so that what a thread makes
 * once (crypto/kept.h) fails too, and followed by a run that has to succeed.
 *
 * Threading: one fault in the process at a time.
 */
#ifndef TEST_HELPER_NOMEM_H
#define TEST_HELPER_NOMEM_H

#include <stdbool.h>

enum nomem_scope {
	NOMEM_THREAD,  /* allocations of the thread that arms it */
	NOMEM_PROCESS, /* of any thread */
};

/* Fail the nth allocation from now, 0 is the next; one only. */
void nomem_arm(enum nomem_scope scope, long n);

/* Did it fail?  No more faults. */
bool nomem_disarm(void);

/*
 * Sweep over n = 0, 1, 2 … with the step growing by one every `slow` hits (0:
 * each n).  Aborts the program unless each failing run returns -ENOMEM or 0, and
 * each run after it 0.  Returns how many runs failed.
 */
unsigned nomem_sweep(enum nomem_scope scope, unsigned slow,
		     int (*run)(void *ctx), void *ctx);

#endif
