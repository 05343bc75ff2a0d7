/*
 * fan.h - the same for many, at once: when each waits for a peer and does little else
 *
 *   static int one(void *ctx, size_t i) { struct thing *v = ctx; … v[i] … }
 *
 *   r = fan_out(n, 16, one, v);
 *
 * Each index is called once, on up to `width` threads of which the caller's is one;
 * it returns when all have.  Results go where only that index writes.
 *
 * 0, or what the first index that failed returned; the others are called all the
 * same.  That threads cannot be made is no error: fewer do the work.
 *
 * Threading: any thread but the loop's.
 */
#ifndef NET_FAN_H
#define NET_FAN_H

#include <stddef.h>

#include "base/util.h"

#define FAN_WIDTH_MAX 64

must_check int fan_out(size_t n, unsigned width,
		       int (*one)(void *ctx, size_t i), void *ctx);

#endif
