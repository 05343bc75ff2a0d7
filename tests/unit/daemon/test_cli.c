/* test_cli.c - properties of the command line, -o, and exit codes */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/cli.h"
#include "daemon/exits.h"
#include "daemon/mountopt.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "test-store", 's', true, "URL", "a store" },
	{ "test-quiet", 'q', false, NULL, "say less" },
	CLI_PASSFILE,
	CLI_END,
};
static const struct cli_verb verb = {
	.name = "test",
	.args = "[A]",
	.max_args = 1,
	.options = options,
};

/* argv is permuted, and borrowed by the result: one for each call. */
static int parse(struct cli *cli, const char *a, const char *b, const char *c,
		 const char *d)
{
	static char words[5][32];
	static char *argv[6];
	const char *given[5] = { "test", a, b, c, d };
	int argc = 0;

	for (; argc < 5 && given[argc]; argc++) {
		assert_true(strlen(given[argc]) < sizeof(words[0]));
		memcpy(words[argc], given[argc], strlen(given[argc]) + 1);
		argv[argc] = words[argc];
	}
	argv[argc] = NULL;
	memset(cli, 0, sizeof(*cli));
	return cli_parse(&verb, argc, argv, cli);
}

static int clean_env(void **state)
{
	(void)state;
	(void)unsetenv("FILDRIVE_TEST_STORE");
	(void)unsetenv("FILDRIVE_TEST_QUIET");
	(void)unsetenv("FILDRIVE_DRIVE");
	return 0;
}

static void options_are_found_wherever_they_stand(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "arg", "--drive", "d1", "-q"), 0);
	assert_string_equal(cli_get(&cli, "drive"), "d1");
	assert_true(cli_flag(&cli, "test-quiet"));
	assert_int_equal(cli.n_args, 1);
	assert_string_equal(cli.args[0], "arg");
	assert_null(cli_get(&cli, "passfile"));
	cli_fini(&cli);
}

static void the_last_value_counts_unless_there_may_be_many(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "--drive=a", "--drive=b", "-sx", "-sy"), 0);
	assert_string_equal(cli_get(&cli, "drive"), "b");
	assert_int_equal(cli_value(&cli, "test-store")->n, 2);
	assert_string_equal(cli_value(&cli, "test-store")->v[0], "x");
	cli_fini(&cli);
}

static void the_environment_fills_what_is_not_given(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(setenv("FILDRIVE_TEST_STORE", "a b\n c", 1), 0);
	assert_int_equal(setenv("FILDRIVE_TEST_QUIET", "no", 1), 0);
	assert_int_equal(setenv("FILDRIVE_DRIVE", "env", 1), 0);
	assert_int_equal(parse(&cli, "--drive", "line", NULL, NULL), 0);
	assert_string_equal(cli_get(&cli, "drive"), "line");
	assert_int_equal(cli_value(&cli, "test-store")->n, 3);
	assert_string_equal(cli_value(&cli, "test-store")->v[2], "c");
	assert_true(cli_value(&cli, "test-store")->from_env);
	assert_false(cli_flag(&cli, "test-quiet"));
	cli_fini(&cli);

	assert_int_equal(setenv("FILDRIVE_TEST_QUIET", "1", 1), 0);
	assert_int_equal(parse(&cli, NULL, NULL, NULL, NULL), 0);
	assert_string_equal(cli_get(&cli, "drive"), "env");
	assert_true(cli_flag(&cli, "test-quiet"));
	cli_fini(&cli);
}

static void nonsense_is_a_usage_error(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "--no-such", NULL, NULL, NULL), EXITS_USAGE);
	assert_int_equal(parse(&cli, "-x", NULL, NULL, NULL), EXITS_USAGE);
	assert_int_equal(parse(&cli, "--drive", NULL, NULL, NULL), EXITS_USAGE);
	assert_int_equal(parse(&cli, "-s", NULL, NULL, NULL), EXITS_USAGE);
	assert_int_equal(parse(&cli, "--test-quiet=1", NULL, NULL, NULL),
			 EXITS_USAGE);
	assert_int_equal(parse(&cli, "a", "b", NULL, NULL), EXITS_USAGE);
	assert_int_equal(parse(&cli, "--", NULL, NULL, NULL), 0);
	cli_fini(&cli);
}

static const char *word_at(const void *ctx, size_t i)
{
	static const char *const words[] = { "mount", "umount", "status", NULL };

	(void)ctx;
	return words[i];
}

static void a_near_word_is_suggested_and_a_far_one_is_not(void **state)
{
	(void)state;
	assert_string_equal(cli_nearest("mont", word_at, NULL), "mount");
	assert_string_equal(cli_nearest("unmount", word_at, NULL), "umount");
	assert_string_equal(cli_nearest("stat", word_at, NULL), "status");
	assert_null(cli_nearest("frobnicate", word_at, NULL));
	assert_null(cli_nearest("", word_at, NULL));
}

/* ---- -o ---- */

static int options_of(const char *text, struct mountopt *m, struct err *e)
{
	*e = (struct err){ "" };
	memset(m, 0, sizeof(*m));
	return mountopt_parse(text, m, e);
}

static void mount_options_are_sorted_into_ours_and_the_sessions(void **state)
{
	static struct mountopt m;
	struct err e;

	(void)state;
	assert_int_equal(
		options_of("rw,noauto,user,nofail,_netdev,x-systemd.automount,"
			   "drive=work,passfile=/etc/p,cache_size=20G,allow_other",
			   &m, &e),
		0);
	assert_string_equal(m.drive, "work");
	assert_string_equal(m.passfile, "/etc/p");
	assert_int_equal(m.cache_size, 20ull << 30);
	assert_true(m.has_cache_size);
	assert_string_equal(m.rest, "rw,allow_other");
	assert_false(m.foreground);
}

static void commas_in_values_are_escaped(void **state)
{
	static struct mountopt m;
	struct err e;

	(void)state;
	assert_int_equal(options_of("extpass=echo a\\,b\\\\c,ro", &m, &e), 0);
	assert_string_equal(m.extpass, "echo a,b\\c");
	assert_string_equal(m.rest, "ro");
}

static void options_add_up_and_empty_ones_are_nothing(void **state)
{
	static struct mountopt m;
	struct err e;

	(void)state;
	assert_int_equal(options_of(",,ro,", &m, &e), 0);
	assert_int_equal(mountopt_parse("nodev", &m, &e), 0);
	assert_string_equal(m.rest, "ro,nodev");
	assert_int_equal(options_of("", &m, &e), 0);
	assert_string_equal(m.rest, "");
}

static void options_without_their_value_are_refused(void **state)
{
	static char big[2 * MOUNTOPT_VALUE_MAX];
	static struct mountopt m;
	struct err e;

	(void)state;
	assert_int_equal(options_of("passfile=", &m, &e), -EINVAL);
	assert_non_null(strstr(e.text, "passfile"));
	assert_int_equal(options_of("drive", &m, &e), -EINVAL);
	assert_int_equal(options_of("cache_size=much", &m, &e), -EINVAL);
	memset(big, 'a', sizeof(big) - 1);
	assert_int_equal(options_of(big, &m, &e), -EINVAL);
	for (size_t i = 0; i + 2 < sizeof(big); i += 2)
		big[i] = ',';
	assert_int_equal(options_of(big, &m, &e), -EINVAL);
}

static void errors_have_the_exit_codes_of_the_manual(void **state)
{
	(void)state;
	assert_int_equal(exits_of(0), 0);
	assert_int_equal(exits_of(-EIO), 1);
	assert_int_equal(exits_of(-EKEYREJECTED), 12);
	assert_int_equal(exits_of(-ENOTUNIQ), 13);
	assert_int_equal(exits_of(-EREMOTEIO), 14);
	assert_int_equal(exits_of(-ENOSPC), 16);
	assert_int_equal(exits_of(-EUCLEAN), 17);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(options_are_found_wherever_they_stand,
				       clean_env),
		cmocka_unit_test_setup(the_last_value_counts_unless_there_may_be_many,
				       clean_env),
		cmocka_unit_test_setup_teardown(the_environment_fills_what_is_not_given,
						clean_env, clean_env),
		cmocka_unit_test(nonsense_is_a_usage_error),
		cmocka_unit_test(a_near_word_is_suggested_and_a_far_one_is_not),
		cmocka_unit_test(mount_options_are_sorted_into_ours_and_the_sessions),
		cmocka_unit_test(commas_in_values_are_escaped),
		cmocka_unit_test(options_add_up_and_empty_ones_are_nothing),
		cmocka_unit_test(options_without_their_value_are_refused),
		cmocka_unit_test(errors_have_the_exit_codes_of_the_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
