/* test_provider_head.c - the head register: claimed once, found fast */
#include "common.h"

#include <string.h>
#include <sys/wait.h>

#define N_RACES 200

static bool no_links; /* a file system without hard links, as vfat */

int __real_linkat(int from, const char *a, int to, const char *b, int flags);
int __wrap_linkat(int from, const char *a, int to, const char *b, int flags);

int __wrap_linkat(int from, const char *a, int to, const char *b, int flags)
{
	if (no_links) {
		errno = EPERM;
		return -1;
	}
	return __real_linkat(from, a, to, b, flags);
}

static struct piece_cid cid_of(uint8_t seed)
{
	struct fixture f;
	struct piece_cid cid;

	folders_make(&f);
	cid = make_piece(&f, "x", seed, 1000);
	folders_remove(&f);
	return cid;
}

static void a_head_is_claimed_once_and_by_its_owner_again(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct piece_cid a = cid_of(1), b = cid_of(2), got;
	struct err e = { 0 };

	for (int i = 0; i < 2; i++) {
		uint64_t h = (uint64_t)i + 1;

		no_links = i == 1;
		assert_int_equal(head_read(f->p, k, h, &got, NULL), -ENOENT);
		assert_int_equal(head_claim(f->p, k, h, &a, NULL), 0);
		assert_int_equal(head_claim(f->p, k, h, &a, NULL), 0);
		assert_int_equal(head_claim(f->p, k, h, &b, &e), -ESTALE);
		assert_true(e.text[0]);
		assert_int_equal(head_read(f->p, k, h, &got, NULL), 0);
		assert_true(piece_cid_eq(&got, &a));
	}
	no_links = false;
	assert_int_equal(count_names(f->store, ".part"), 0);
}

static void heads_path(struct fixture *f, struct keys *k, uint64_t h,
		       char ret[static 2 * PATH_SIZE])
{
	uint8_t name[KEYS_HEAD_NAME_SIZE];
	size_t n;

	assert_int_equal(keys_head_name(k, 0, h, name), 0);
	n = (size_t)snprintf(ret, (size_t)(2 * PATH_SIZE), "%s/heads/", f->store);
	for (size_t i = 0; i < sizeof(name); i++)
		n += (size_t)snprintf(ret + n, 3, "%02x", name[i]);
}

static void what_is_not_our_head_is_said(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct piece_cid a = cid_of(1), got;
	char path[2 * PATH_SIZE], other[2 * PATH_SIZE];
	int fd;

	assert_int_equal(head_claim(f->p, k, 1, &a, NULL), 0);
	heads_path(f, k, 1, path);
	heads_path(f, k, 2, other);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, PROVIDER_HEAD_MAX + 1), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(head_read(f->p, k, 1, &got, NULL), -EMSGSIZE);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(head_read(f->p, k, 1, &got, NULL), -EBADMSG);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(head_read(f->p, k, 1, &got, NULL), -EBADMSG);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(head_read(f->p, k, 2, &got, NULL), -EBADMSG);
	assert_int_equal(head_claim(f->p, k, 2, &a, NULL), -EBADMSG);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(symlink("/etc/hostname", other), 0);
	assert_int_equal(head_read(f->p, k, 2, &got, NULL), -EBADMSG);
	assert_int_equal(head_claim(f->p, k, 2, &a, NULL), -EBADMSG);
}

static void a_heads_folder_that_is_a_link_is_not_followed(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	char path[2 * PATH_SIZE], target[2 * PATH_SIZE];
	struct piece_cid a = cid_of(1);

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	(void)snprintf(target, sizeof(target), "%s/other", f->root);
	(void)snprintf(path, sizeof(path), "%s/heads", f->store);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_true(head_claim(f->p, k, 1, &a, NULL) < 0);
	assert_int_equal(count_names(target, ""), 0);
}

/* ---- the newest ---- */

static const struct provider_ops *real_ops;
static _Atomic(unsigned) n_reads;

static int counting_start(struct provider *p, struct provider_req *req)
{
	n_reads += req->verb == PROVIDER_HEAD;
	return real_ops->start(p, req);
}

static unsigned log2_of(uint64_t v)
{
	unsigned n = 0;

	while (v >>= 1)
		n++;
	return n;
}

static void newest(struct provider *p, struct keys *k, uint64_t known,
		   uint64_t want, const struct piece_cid *cid)
{
	struct piece_cid got;
	uint64_t h = 0;

	n_reads = 0;
	if (!want) {
		assert_int_equal(head_newest(p, k, known, &h, &got, NULL), -ENOENT);
		return;
	}
	assert_int_equal(head_newest(p, k, known, &h, &got, NULL), 0);
	assert_int_equal(h, want);
	assert_true(piece_cid_eq(&got, cid));
}

static void the_newest_head_is_found_with_few_round_trips(void **state)
{
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct provider_ops ops = *f->p->ops;
	struct piece_cid cids[2] = { cid_of(1), cid_of(2) };

	real_ops = f->p->ops;
	ops.start = counting_start;
	f->p->ops = &ops;
	for (uint64_t n = 0; n <= 70; n++) {
		const struct piece_cid *cid = &cids[n % 2];

		if (n)
			assert_int_equal(head_claim(f->p, k, n, cid, NULL), 0);
		newest(f->p, k, 0, n, cid);
		assert_true(n_reads <= 16 * (2 + (log2_of(n ? n : 1) + 3) / 4));
		newest(f->p, k, n, n, cid);
		assert_true(n_reads <= (n ? 2 : 16));
		newest(f->p, k, n / 2, n, cid);
		newest(f->p, k, n + 9, n, cid); /* the store fell behind */
	}
	f->p->ops = real_ops;
}

/* A store that has an answer for every name: the one head that it was given. */
static uint8_t given[PROVIDER_HEAD_MAX];
static size_t n_given;

static int endless_start(struct provider *p, struct provider_req *req)
{
	(void)p;
	n_reads += req->verb == PROVIDER_HEAD;
	assert_int_equal(req->verb, PROVIDER_HEAD);
	assert_int_equal(buf_append(req->ret_head, slice(given, n_given)), 0);
	req->done(req, 0);
	return 0;
}

static void heads_without_an_end_end_in_few_questions(void **state)
{
	static const uint64_t known[] = { 0, 1, 1000, 1ull << 47 };
	struct fixture *f = *state;
	_cleanup_keys_ struct keys *k = test_keys();
	struct provider_ops ops = *f->p->ops;
	struct piece_cid cid = cid_of(1), got;
	char path[2 * PATH_SIZE];
	struct err e = { "" };
	uint64_t h = 0;
	ssize_t n;
	int fd;

	assert_int_equal(head_claim(f->p, k, 1, &cid, NULL), 0);
	heads_path(f, k, 1, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, given, sizeof(given));
	assert_true(n > 0);
	n_given = (size_t)n;
	assert_int_equal(close(fd), 0);

	real_ops = f->p->ops;
	ops.start = endless_start;
	f->p->ops = &ops;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		n_reads = 0;
		assert_int_equal(head_newest(f->p, k, known[i], &h, &got, &e),
				 -EPROTO);
		assert_non_null(strstr(e.text, "without an end"));
		assert_true(n_reads <= 64);
	}
	f->p->ops = real_ops;
}

/* ---- races ---- */

/* In a process of its own: claims all heads; a byte each, 1 for won. */
static void racer(struct fixture *f, uint8_t seed, int go, int out)
{
	struct piece_cid cid = cid_of(seed);
	_cleanup_keys_ struct keys *k = test_keys();
	uint8_t won[N_RACES];
	char c;
	int r;

	threads_start(f);
	if (read(go, &c, 1) != 0)
		_exit(1);
	for (uint64_t h = 1; h <= N_RACES; h++) {
		r = head_claim(f->p, k, h, &cid, NULL);
		if (r != 0 && r != -ESTALE)
			_exit(2);
		won[h - 1] = r == 0;
	}
	if (write(out, won, sizeof(won)) != (ssize_t)sizeof(won))
		_exit(3);
	threads_stop(f);
	_exit(0);
}

static void race(void)
{
	struct fixture f = { .p = NULL };
	uint8_t won[2][N_RACES];
	int go[2], out[2][2], status;
	pid_t pids[2];

	folders_make(&f);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(out[i], O_CLOEXEC), 0);
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			(void)close(go[1]); /* its end starts the race */
			racer(&f, (uint8_t)(i + 1), go[0], out[i][1]);
		}
	}
	assert_int_equal(close(go[1]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		assert_int_equal(read(out[i][0], won[i], N_RACES), N_RACES);
		assert_int_equal(close(out[i][0]), 0);
		assert_int_equal(close(out[i][1]), 0);
	}
	assert_int_equal(close(go[0]), 0);
	for (int h = 0; h < N_RACES; h++)
		assert_int_equal(won[0][h] + won[1][h], 1);
	folders_remove(&f);
}

static void of_two_processes_exactly_one_wins_each_head(void **state)
{
	(void)state;
	no_links = false;
	race();
}

static void without_hard_links_exactly_one_wins_too(void **state)
{
	(void)state;
	no_links = true;
	race();
	no_links = false;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: they fork, which is done before there are threads */
		cmocka_unit_test(of_two_processes_exactly_one_wins_each_head),
		cmocka_unit_test(without_hard_links_exactly_one_wins_too),
		CASE(a_head_is_claimed_once_and_by_its_owner_again),
		CASE(what_is_not_our_head_is_said),
		CASE(a_heads_folder_that_is_a_link_is_not_followed),
		CASE(the_newest_head_is_found_with_few_round_trips),
		CASE(heads_without_an_end_end_in_few_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
