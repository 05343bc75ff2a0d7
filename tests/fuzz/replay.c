/*
 * replay.c - runs a fuzz target over its corpus, without a fuzzer
 *
 * usage: fuzz_<what> FOLDER_OR_FILE...
 *
 * Linked in place of libFuzzer, so that every compiler and every run of the
 * suite replays the seeds and all crashes ever found.  Around each input stands
 * a small deterministic neighbourhood: its prefixes and inputs with one byte
 * changed, NEIGHBOURS_MAX of each at most.  Every input is a heap block of its
 * exact size, for the address sanitizer and valgrind to see an over-read.
 *
 * Prints TAP, a case per file; the name of the running input is printed before
 * it runs, for a crash says nothing afterwards.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX      (16u << 20) /* bytes of one seed */
#define NEIGHBOURS_MAX 256

static unsigned n_cases, n_failed;

static void feed(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	memcpy(exact, data, n);
	if (LLVMFuzzerTestOneInput(exact, n) != 0)
		abort(); /* the contract of fuzz.h */
}

/* Prefixes and one-byte changes, spread evenly over the input. */
static void feed_neighbours(uint8_t *data, size_t n)
{
	size_t step = n / NEIGHBOURS_MAX + 1;

	for (size_t i = 0; i < n; i += step)
		feed(data, i);
	for (size_t i = 0; i < n; i += step) {
		static const uint8_t flip[] = { 0x01, 0x80, 0xff };
		uint8_t was = data[i];

		data[i] = (uint8_t)(was ^ flip[i / step % ARRAY_LEN(flip)]);
		feed(data, n);
		data[i] = was;
	}
}

static bool load(const char *path, uint8_t **ret, size_t *ret_n)
{
	_cleanup_free_ uint8_t *data = malloc(INPUT_MAX + 1);
	FILE *f = fopen(path, "rbe");
	bool ok;

	if (!f)
		return false;
	*ret_n = data ? fread(data, 1, INPUT_MAX + 1, f) : 0;
	ok = data && !ferror(f) && *ret_n <= INPUT_MAX;
	(void)fclose(f); /* read side */
	if (ok)
		*ret = steal(&data);
	return ok;
}

static void replay_file(const char *path)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t n = 0;
	bool ok;

	(void)printf("# %s\n", path);
	(void)fflush(stdout); /* a lost line shows as a missing case */
	ok = load(path, &data, &n);
	if (ok) {
		feed(data, n);
		feed_neighbours(data, n);
	}
	n_failed += !ok;
	(void)printf("%s %u - %s%s\n", ok ? "ok" : "not ok", ++n_cases,
		     strrchr(path, '/') ? strrchr(path, '/') + 1 : path,
		     ok ? "" : " cannot be read or is too big");
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* False if there is nothing to replay. */
static bool replay_folder(const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, not_hidden, alphasort);

	for (int i = 0; i < n; i++) {
		char file[4096];
		int len = snprintf(file, sizeof(file), "%s/%s", path,
				   names[i]->d_name);

		if (len > 0 && (size_t)len < sizeof(file))
			replay_file(file);
		free(names[i]);
	}
	free(names);
	return n > 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISREG(st.st_mode)) {
			replay_file(argv[i]);
		} else if (!replay_folder(argv[i])) {
			n_failed++;
			(void)printf("not ok %u - %s has no seeds\n", ++n_cases,
				     argv[i]);
		}
	}
	(void)printf("1..%u\n", n_cases);
	return n_failed || !n_cases ? EXIT_FAILURE : EXIT_SUCCESS;
}
