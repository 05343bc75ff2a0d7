/*
 * fuzz_proc.c - what the kernel says of mounts, swap areas and processes, line by line
 *
 * Paths in it are what people and programs chose.  A mount that is found is found again
 * by its names when they are written as the kernel writes them.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "base/util.h"
#include "daemon/proc_text.h"
#include "tests/fuzz/fuzz.h"

static char *string_of(struct slice s)
{
	char *text = malloc(s.n + 1);

	assert(text);
	if (s.n)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return text;
}

/* All bytes as \ooo; heap. */
static char *escape(const char *s)
{
	char *text = malloc(4 * strlen(s) + 1), *to = text;

	assert(text);
	for (; *s; s++)
		to += snprintf(to, 5, "\\%03o", (unsigned char)*s);
	*to = '\0';
	return text;
}

static bool is_in(const char *p, const char *line, size_t n)
{
	return p >= line && p <= line + n && strlen(p) <= n;
}

static void check_again(const struct proc_mount *m)
{
	char *at = escape(m->at), *drive = escape(m->drive), *line = NULL;
	struct proc_mount again;
	int n = asprintf(&line, "1 2 %s / %s rw shared:1 - fuse fildrive:%s rw\n",
			 m->device, at, drive);
	bool found;

	assert(n > 0);
	found = proc_mount(line, &again);
	assert(found == (m->at[0] && m->device[0]));
	if (found) {
		assert(strcmp(again.at, m->at) == 0);
		assert(strcmp(again.device, m->device) == 0);
		assert(strcmp(again.drive, m->drive) == 0);
	}
	free(line);
	free(at);
	free(drive);
}

static void check_mount(struct slice s)
{
	char *line = string_of(s);
	struct proc_mount m;

	if (proc_mount(line, &m)) {
		assert(is_in(m.at, line, s.n) && is_in(m.drive, line, s.n));
		assert(is_in(m.device, line, s.n));
		assert(strlen(m.device) < PROC_DEVICE_MAX);
		check_again(&m);
	}
	free(line);
}

static void check_swap(struct slice s)
{
	char *line = string_of(s), *path, *type;

	if (proc_swap(line, &path, &type)) {
		assert(is_in(path, line, s.n) && is_in(type, line, s.n));
		assert(path[0] == '/' && type[0] && !strpbrk(type, " \t\n"));
	}
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice left = slice(data, size), line;
	char *stat = string_of(left);
	const uint8_t *end;
	char state = proc_state(stat);

	assert(!state || memchr(data, state, size));
	free(stat);
	while (left.n) {
		end = memchr(left.p, '\n', left.n);
		line = slice(left.p, end ? (size_t)(end - left.p) + 1 : left.n);
		left = slice(left.p + line.n, left.n - line.n);
		check_mount(line);
		check_swap(line);
	}
	return 0;
}
