/*
 * nextcommit.h - publish the next commit of a drive, with its real keys
 *
 * For helper programs that write what this program does not: another device did it,
 * in its own words "future".  Every failure ends the program with a reason.
 *
 * Threading: one thread.
 */
#ifndef TESTS_FS_NEXTCOMMIT_H
#define TESTS_FS_NEXTCOMMIT_H

#include "dag/commit.h"

struct keys;
struct loop;
struct piece_writer;
struct provider;
struct recover_found;

struct next_commit {
	/* The newest commit repeated as the next one; to be changed. */
	struct commit_info info;

	const struct secret *convergence;

	/* private to nextcommit.c */
	struct keys *keys;
	struct loop *loop;
	struct provider *store;
	struct recover_found *found;
	struct commit_piece head;
};

void next_commit_begin(struct next_commit *n, const char *url,
		       const char *words_file);

/*
 * Write its piece, in the current directory, put it, and claim its head.  `blocks`
 * adds what the commit links, and changes n->info to say so; NULL: nothing.
 */
void next_commit_publish(struct next_commit *n,
			 void (*blocks)(struct next_commit *n,
					struct piece_writer *w, void *ctx),
			 void *ctx);
void next_commit_end(struct next_commit *n);

#endif
