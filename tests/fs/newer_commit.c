/*
 * newer_commit.c - what a fildrive of the future might publish
 *
 *   newer_commit URL WORDS_FILE MIN_READER MIN_WRITER
 *
 * Repeats the newest commit of a drive as the next one, with the real keys, but
 * for the versions that it asks for, and claims its head.
 */
#include <stdlib.h>

#include "nextcommit.h"

int main(int argc, char **argv)
{
	struct next_commit n;

	if (argc != 5)
		return 2;
	next_commit_begin(&n, argv[1], argv[2]);
	n.info.min_reader = (uint32_t)strtoul(argv[3], NULL, 10);
	n.info.min_writer = (uint32_t)strtoul(argv[4], NULL, 10);
	next_commit_publish(&n, NULL, NULL);
	next_commit_end(&n);
	return 0;
}
