/*
 * swap.h - does this machine write memory to a disk in the clear?
 *
 * Keys are in locked memory; file contents, names and what a program reads are in
 * memory that the kernel may swap out, ours and everybody's.  A swap area is fine
 * if it stands on dm-crypt, all the way down, or is zram without a disk behind it.
 * What is not known to be fine is called plain: a disk that encrypts itself, a swap
 * file on a file system whose device cannot be found.
 *
 * Threading: any; reads /proc and /sys only.
 */
#ifndef DAEMON_SWAP_H
#define DAEMON_SWAP_H

#include <stddef.h>

#include "base/util.h"

/*
 * The swap areas that are plain, with commas between, in dst (cut to fit); their
 * number.  `root` is "", or a folder that stands in for / in tests.  -errno: it
 * cannot be told; no swap in the kernel is 0.
 */
must_check int swap_plain(const char *root, char *dst, size_t size);

#endif
