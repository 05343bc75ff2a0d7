/*
 * words_out.h - showing the recovery words, once
 *
 * Threading: one thread.
 */
#ifndef DAEMON_WORDS_OUT_H
#define DAEMON_WORDS_OUT_H

#include "base/util.h"

struct err;
struct secret;

/*
 * May the words be shown?  To a file that does not exist yet, or (path NULL) to
 * a terminal at standard output.  -EEXIST, -ENOTTY with what to do.
 */
must_check int words_out_check(const char *path, struct err *reterr);

/* To a new file of mode 0600, synced.  -EEXIST, … */
must_check int words_out_file(const struct secret *entropy, const char *path,
			      struct err *reterr);

/* In numbered columns on standard output, with what they are. */
must_check int words_out_terminal(const struct secret *entropy);

/* The words that a person wrote down: file, or "-" for standard input. */
must_check int words_out_read(const char *path, struct secret **ret,
			      struct err *reterr);

#endif
