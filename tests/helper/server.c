/* server.c - a server of a test's own, that goes when the test goes */
#include "helper/server.h"

#include <assert.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 15

void server_start(struct server *s, const char *const *argv)
{
	posix_spawn_file_actions_t a;
	char *copies[ARGS_MAX + 1] = { NULL };
	int in[2], out[2], r;
	size_t at = 0;

	*s = (struct server){ .to = -1, .from = -1 };
	for (size_t i = 0; argv[i]; i++) { /* posix_spawn() wants char * */
		assert(i < ARGS_MAX);
		copies[i] = strdup(argv[i]);
		assert(copies[i]);
	}
	assert(copies[0]);
	r = pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) |
	    posix_spawn_file_actions_init(&a) |
	    posix_spawn_file_actions_adddup2(&a, in[0], 0) |
	    posix_spawn_file_actions_adddup2(&a, out[1], 1);
	assert(r == 0);
	r = posix_spawnp(&s->pid, copies[0], &a, NULL, copies, environ);
	assert(r == 0);
	r = posix_spawn_file_actions_destroy(&a) | close(in[0]) | close(out[1]);
	assert(r == 0);
	for (size_t i = 0; copies[i]; i++)
		free(copies[i]);
	s->to = in[1];
	s->from = out[0];
	while (at + 1 < sizeof(s->line) &&
	       read(s->from, s->line + at, 1) == 1 && s->line[at] != '\n')
		at++;
	assert(at > 0); /* it said nothing: it has failed */
	s->line[at] = '\0';
	s->port = (int)strtol(s->line, NULL, 10);
}

void server_start_py(struct server *s, const char *script)
{
	const char *const argv[] = { "/usr/bin/python3", script, NULL };

	server_start(s, argv);
	assert(s->port > 0);
}

void server_stop(struct server *s)
{
	pid_t gone;
	int r;

	r = close(s->to) | close(s->from);
	assert(r == 0);
	gone = waitpid(s->pid, NULL, 0);
	assert(gone == s->pid);
}
