/*
 * passphrase.h - a passphrase from a person, a file or a program
 *
 * In this order: --extpass or --passfile of the command line, those of the
 * environment, the terminal.  From a file or a program it is the first line
 * without its newline; the rest is ignored.  It is bytes: neither trimmed nor
 * normalised.
 *
 * The bytes live in one mapping that is locked, kept out of core dumps and of
 * children, and wiped by passphrase_free().
 *
 * Threading: one thread.
 */
#ifndef DAEMON_PASSPHRASE_H
#define DAEMON_PASSPHRASE_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct cli;
struct err;
struct passphrase;

#define PASSPHRASE_TRIES 3 /* at a terminal */

/* Where it comes from; all NULL: the terminal.  Borrowed strings. */
struct passphrase_from {
	const char *passfile; /* "-": standard input */
	const char *extpass;  /* for /bin/sh -c */
	const char *prompt;   /* for the terminal, without colon */
	bool twice;           /* ask again, and compare */
};

/* From --passfile and --extpass; -EINVAL if both are given. */
must_check int passphrase_from_cli(const struct cli *cli, const char *passfile,
				   const char *extpass, struct passphrase_from *ret,
				   struct err *reterr);

bool passphrase_asks(const struct passphrase_from *from); /* a person? */

/*
 * -ENOKEY, with the reason in `reterr`: there is none to be had.  It is empty, too
 * long, or not the same twice; the file cannot be read; the command failed; there is
 * no terminal.
 * -ENOMEM, …  of this machine
 */
must_check int passphrase_read(const struct passphrase_from *from,
			       struct passphrase **ret, struct err *reterr);
struct slice passphrase_slice(const struct passphrase *p);
void passphrase_free(struct passphrase *p); /* wipes; NULL is fine */

/*
 * The memory alone, for other text that is secret: room for `n` bytes, zeroed,
 * locked, not dumped.  n is the same for both.
 */
must_check int passphrase_room(size_t n, char **ret);
void passphrase_wipe(char *room, size_t n); /* and unmap; NULL is fine */

/* A file that holds a secret is open: warn if others may read or change it. */
void passphrase_warn_open(int fd, const char *what, const char *path);

static inline void passphrase_freep(struct passphrase **p)
{
	passphrase_free(*p);
}

#define _cleanup_passphrase_ _cleanup_(passphrase_freep)

#endif
