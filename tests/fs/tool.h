/*
 * tool.h - what the helper programs of tests/fs share: to end with a reason, and to
 * come from a file of words to keys
 *
 * Threading: one thread.
 */
#ifndef TESTS_FS_TOOL_H
#define TESTS_FS_TOOL_H

struct err;
struct keys;

/* Ends the program if r is -errno; `e` may be NULL. */
void must(int r, const char *what, const struct err *e);

struct keys *keys_of(const char *path); /* of a file of words; or ends */

#endif
