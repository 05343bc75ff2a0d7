/* rig_stores.c - the stores of a rig as folders */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECES_MAX 256 /* at one store */

struct dated {
	struct piece_file file;
	struct timespec at;
};

static int by_time(const void *a, const void *b)
{
	const struct dated *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
	return x->at.tv_nsec < y->at.tv_nsec ? -1 : x->at.tv_nsec > y->at.tv_nsec;
}

size_t store_pieces(struct rig *r, const char *store, struct piece_file *ret,
		    size_t max)
{
	char path[256], file[512];
	static struct dated v[PIECES_MAX];
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	DIR *dir;

	rig_path(r, store, path, sizeof(path));
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!strstr(e->d_name, ".car"))
			continue;
		assert_true(n < ARRAY_LEN(v));
		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		assert_int_equal(stat(file, &st), 0);
		text_copy(v[n].file.name, sizeof(v[n].file.name), e->d_name);
		v[n].file.size = (uint64_t)st.st_size;
		v[n++].at = st.st_mtim;
	}
	(void)closedir(dir);
	qsort(v, n, sizeof(*v), by_time);
	for (size_t i = 0; i < n && i < max; i++)
		ret[i] = v[i].file;
	return n;
}

uint64_t store_bytes(struct rig *r, const char *store)
{
	static struct piece_file v[PIECES_MAX];
	uint64_t sum = 0;
	size_t n = store_pieces(r, store, v, ARRAY_LEN(v));

	for (size_t i = 0; i < n && i < ARRAY_LEN(v); i++)
		sum += v[i].size;
	return sum;
}

/*
 * Not by fork(): a test holds so many disks in memory that to copy the tables of
 * its pages takes longer than the store.  Returns the exit status.
 */
static int tool(const char *name, const char *option, const char *a, const char *b)
{
	char args[4][256], *argv[] = { args[0], args[1], args[2], args[3], NULL };
	posix_spawn_file_actions_t said;
	int status;
	pid_t pid;

	text_copy(args[0], sizeof(args[0]), name);
	text_copy(args[1], sizeof(args[1]), option);
	text_copy(args[2], sizeof(args[2]), a);
	text_copy(args[3], sizeof(args[3]), b);
	assert_int_equal(posix_spawn_file_actions_init(&said), 0);
	assert_int_equal(posix_spawn_file_actions_addopen(&said, 1, "/dev/null",
							  O_WRONLY, 0),
			 0);
	assert_int_equal(posix_spawnp(&pid, name, &said, NULL, argv, environ), 0);
	assert_int_equal(posix_spawn_file_actions_destroy(&said), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void rig_copy(struct rig *r, const char *from, const char *to)
{
	char a[256], b[256];
	int status = 1;

	rig_path(r, from, a, sizeof(a));
	rig_path(r, to, b, sizeof(b));
	/* Of a store that is written to a file may get its name meanwhile. */
	for (unsigned tries = 0; status != 0 && tries < 20; tries++) {
		if (tries)
			rig_remove(r, to);
		status = tool("cp", "-a", a, b);
	}
	assert_int_equal(status, 0);
}

bool rig_same(struct rig *r, const char *a, const char *b)
{
	char pa[256], pb[256];
	int status;

	rig_path(r, a, pa, sizeof(pa));
	rig_path(r, b, pb, sizeof(pb));
	status = tool("diff", "-rq", pa, pb);
	assert_in_range(status, 0, 1); /* of diff: 2 is trouble */
	return status == 0;
}
