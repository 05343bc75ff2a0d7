/*
 * server.h - a server of a test's own, that goes when the test goes
 *
 * A program that serves on 127.0.0.1, prints one line when it is ready (its port,
 * or JSON that names it) and ends when its standard input does.
 *
 * Threading: one thread.  What fails, fails an assert().
 */
#ifndef HELPER_SERVER_H
#define HELPER_SERVER_H

#include <sys/types.h>

struct server {
	pid_t pid;
	int to, from; /* its standard input and output */
	int port;     /* 0: the line is no number */
	char line[16384];
};

/* argv[0] is looked up in PATH. */
void server_start(struct server *s, const char *const *argv);
void server_start_py(struct server *s, const char *script);

/* Its input ends; waits for it. */
void server_stop(struct server *s);

#endif
