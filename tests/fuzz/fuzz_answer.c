/*
 * fuzz_answer.c - any bytes as a daemon's answer to a command
 *
 * The lines come in pieces, as from a socket.  What is a status is said, to nobody.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/lines.h"
#include "tests/fuzz/fuzz.h"

#define STEP 61 /* bytes that arrive at a time */

/* On stdout, which is the replayer's: /dev/null stands in for it meanwhile. */
static void say(const json_t *status)
{
	static int null = -1;
	int r, out;

	if (null < 0)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	(void)fflush(stdout); /* goes where it should */
	out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	assert(null >= 0 && out >= 0);
	r = dup2(null, STDOUT_FILENO);
	assert(r == STDOUT_FILENO);
	answer_say_status(status);
	r = fflush(stdout);
	assert(r == 0);
	r = dup2(out, STDOUT_FILENO);
	assert(r == STDOUT_FILENO);
	(void)close(out);
}

static void check(struct slice line)
{
	struct err e = { "" };
	json_t *o = NULL;
	char *at;
	int r = answer_read(line, &o);

	if (r < 0) {
		assert(r == -EPROTO || r == -EMSGSIZE);
		assert(!o);
		return;
	}
	assert(json_is_object(o));
	r = answer_end(o, &e);
	assert(r < 0 ? e.text[0] && r > -4096 : !e.text[0] && r <= 1);
	at = answer_mountpoint(o);
	assert(!at || json_object_get(o, "mountpoint") ||
	       json_object_get(o, "mountpoint_bytes"));
	free(at);
	say(o);
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line;
	struct lines in;

	lines_init(&in, CLIENT_LINE_MAX);
	for (size_t i = 0; i < size; i += STEP) {
		if (lines_feed(&in, slice(data + i, MIN(STEP, size - i))) < 0)
			break;
		while (lines_next(&in, &line))
			check(line);
	}
	lines_fini(&in);
	return 0;
}
