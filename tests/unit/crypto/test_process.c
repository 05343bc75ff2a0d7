/* test_process.c - what the daemon does to itself at its start */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/err.h"
#include "crypto/harden.h"
#include "crypto/secret.h"
#include "crypto/selftest.h"

static void the_self_test_passes_here_and_is_quick(void **state)
{
	struct err e = { "" };
	clock_t start, took;
	int tries = 10;

	(void)state;
	assert_int_equal(crypto_selftest(&e), 0); /* the first one warms up */
	assert_string_equal(e.text, "");
	/* The clock of this process, for others may be busy.  A virtual machine that
	 * stands still may count that as its own. */
	do {
		start = clock();
		assert_int_equal(crypto_selftest(NULL), 0);
		took = clock() - start;
	} while (took >= CLOCKS_PER_SEC && --tries > 0);
	assert_true(took < CLOCKS_PER_SEC);
}

static void a_hardened_process_leaves_no_core_and_cannot_be_read(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit;

		if (process_harden() < 0)
			_exit(1);
		if (process_harden() < 0)
			_exit(4); /* a second time does no harm */
		if (prctl(PR_GET_DUMPABLE) != 0)
			_exit(2);
		if (getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_cur ||
		    limit.rlim_max)
			_exit(3);
		abort();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Killed by the signal, without the bit that says "core dumped". */
	assert_int_equal(status, SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_self_test_passes_here_and_is_quick),
		cmocka_unit_test(a_hardened_process_leaves_no_core_and_cannot_be_read),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
