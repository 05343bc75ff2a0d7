/* test_provider.c - pieces in a folder, the marker, and the URLs */
#include "common.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "crypto/commp.h"

#define SIZE 200000u

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[2 * PATH_SIZE];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* ---- pieces ---- */

static void a_piece_goes_in_and_comes_back(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	uint8_t bytes[100];
	struct provider_req get = { .verb = PROVIDER_GET,
				    .cid = cid,
				    .off = 12345,
				    .n = sizeof(bytes),
				    .dst = bytes };

	assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0);
	assert_int_equal(size_at(f->p, &cid), SIZE);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), 0);
	assert_int_equal(provider_call(f->p, &get), 0);
	assert_int_equal(get.ret_n, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], (uint8_t)(1 + (i + 12345) * 7 +
						     ((i + 12345) >> 8)));
	get.off = SIZE - 10;
	assert_int_equal(provider_call(f->p, &get), 0);
	assert_int_equal(get.ret_n, 10);
	get.off = SIZE + 10;
	assert_int_equal(provider_call(f->p, &get), 0);
	assert_int_equal(get.ret_n, 0);
	assert_int_equal(count_list(f->p), 1);
	assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0); /* again: the same */
	assert_int_equal(count_list(f->p), 1);
	assert_int_equal(count_names(f->store, ".part"), 0);
	assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), 0);
	assert_int_equal(count_list(f->p), 0);
}

static void what_is_missing_is_enoent(void **state)
{
	static const enum provider_verb verbs[] = { PROVIDER_VERIFY,
						    PROVIDER_GET, PROVIDER_STAT,
						    PROVIDER_REMOVE };
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	struct provider_req head = { .verb = PROVIDER_HEAD };

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		assert_int_equal(simple(f->p, verbs[i], &cid), -ENOENT);
	assert_int_equal(provider_call(f->p, &head), -ENOENT);
	/* the source of a piece is not the store's to miss */
	assert_int_equal(put(f->p, f, "nothing", &cid, SIZE), -EUCLEAN);
	assert_int_equal(put(f->p, f, "a", &cid, SIZE + 1), -EUCLEAN);
	assert_int_equal(count_list(f->p), 0);
	assert_int_equal(count_names(f->store, ".part"), 0);
}

static void damage_is_found_and_can_be_repaired(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	struct provider_req again = { .verb = PROVIDER_PUT,
				      .cid = cid,
				      .src = f->io,
				      .src_name = "a",
				      .size = SIZE,
				      .replace = true };
	char path[2 * PATH_SIZE];
	uint8_t b;
	int fd;

	assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0);
	piece_path(f, &cid, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, 777), 1);
	b ^= 4;
	assert_int_equal(pwrite(fd, &b, 1, 777), 1);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), -EBADMSG);
	assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0); /* it is there */
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), -EBADMSG);
	assert_int_equal(provider_call(f->p, &again), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), 0);
	/* of another size it is replaced without being removed */
	assert_int_equal(truncate(path, SIZE - 1), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), -EBADMSG);
	assert_int_equal(truncate(path, SIZE + 1), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), -EBADMSG);
	assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), 0);
	assert_int_equal(close(fd), 0);
}

/* How often a file was cut, until now. */
static unsigned cuts(int watch)
{
	struct inotify_event e;
	unsigned n = 0;

	while (read(watch, &e, sizeof(e)) == sizeof(e)) {
		assert_int_equal(e.len, 0); /* a file is watched, no folder */
		n += e.mask & IN_MODIFY ? 1 : 0;
	}
	return n;
}

/* Not every file system can tell that nobody else has a file open. */
static bool has_leases(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool has = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	return has;
}

/* A disk that discards what a large file held is busy for long, else. */
static void a_large_piece_goes_bit_by_bit_if_nobody_reads_it(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	char path[2 * PATH_SIZE];

	for (int reads = 0; reads < 2; reads++) {
		int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), fd = -1;
		struct stat st;
		bool leases;

		assert_true(watch >= 0);
		assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0);
		piece_path(f, &cid, path);
		assert_int_equal(truncate(path, 20 << 20), 0);
		leases = has_leases(path);
		assert_true(inotify_add_watch(watch, path, IN_MODIFY) >= 0);
		if (reads)
			fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), 0);
		assert_int_equal(count_list(f->p), 0);
		if (reads) {
			assert_int_equal(cuts(watch), 0);
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_size, 20 << 20);
			assert_int_equal(close(fd), 0);
		} else if (leases) {
			assert_int_not_equal(cuts(watch), 0);
		}
		assert_int_equal(close(watch), 0);
	}
}

static int stop_list(struct provider_req *req, const struct piece_cid *cid,
		     uint64_t size)
{
	(void)cid;
	assert_int_equal(size, SIZE);
	++*(int *)req->ctx;
	return -EDOM;
}

static void a_list_skips_what_is_no_piece_and_stops_on_demand(void **state)
{
	struct fixture *f = *state;
	struct piece_cid a = make_piece(f, "a", 1, SIZE);
	struct piece_cid b = make_piece(f, "b", 2, SIZE);
	int n = 0;
	struct provider_req req = { .verb = PROVIDER_LIST,
				    .found = stop_list,
				    .ctx = &n };

	assert_int_equal(put(f->p, f, "a", &a, SIZE), 0);
	assert_int_equal(put(f->p, f, "b", &b, SIZE), 0);
	write_file(f->store, "README.txt", "hello");
	write_file(f->store, ".car", "");
	write_file(f->store, "bafkqaaa.car", "");
	assert_int_equal(count_list(f->p), 2);
	assert_int_equal(provider_call(f->p, &req), -EDOM);
	assert_int_equal(n, 1);
}

/* ---- the marker ---- */

static void an_empty_folder_in_the_stores_place_is_away_and_stays_empty(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	struct provider_req claim = { .verb = PROVIDER_CLAIM,
				      .head = slice_str("x") };
	uint8_t id[PROVIDER_ID_SIZE];
	char elsewhere[2 * PATH_SIZE];
	struct provider *again;

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	memcpy(id, provider_id(f->p), sizeof(id));
	(void)snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->root);
	assert_int_equal(rename(f->store, elsewhere), 0);
	again = store_new(f, id, true);
	for (int empty = 0; empty < 2; empty++) {
		if (empty)
			assert_int_equal(mkdir(f->store, 0700), 0);
		for (int i = 0; i < 2; i++) {
			struct provider *p = i ? again : f->p;

			assert_int_equal(simple(p, PROVIDER_ATTACH, NULL),
					 -EREMOTEIO);
			assert_int_equal(put(p, f, "a", &cid, SIZE), -EREMOTEIO);
			assert_int_equal(size_at(p, &cid), -EREMOTEIO);
			assert_int_equal(provider_call(p, &claim), -EREMOTEIO);
			assert_true(claim.err.text[0]);
		}
		assert_int_equal(count_names(f->store, ""), 0);
		assert_int_equal(access(f->store, F_OK), empty ? 0 : -1);
	}
	assert_int_equal(rmdir(f->store), 0);
	assert_int_equal(rename(elsewhere, f->store), 0);
	assert_int_equal(put(again, f, "a", &cid, SIZE), 0); /* it came back */
	assert_int_equal(size_at(f->p, &cid), SIZE);
	provider_free(again);
}

static void a_folder_proves_nothing_and_stays_the_store_that_it_is(void **state)
{
	static const enum provider_verb verbs[] = { PROVIDER_PROOF,
						    PROVIDER_REPLACE };
	struct fixture *f = *state;
	uint8_t id[PROVIDER_ID_SIZE];

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	memcpy(id, provider_id(f->p), sizeof(id));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		assert_int_equal(simple(f->p, verbs[i], NULL), -EOPNOTSUPP);
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	assert_memory_equal(provider_id(f->p), id, sizeof(id));
}

static void another_stores_marker_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t other[PROVIDER_ID_SIZE] = { 5 };
	struct provider *p;

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	p = store_new(f, other, true);
	assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), -EREMOTEIO);
	provider_free(p);
	p = store_new(f, provider_id(f->p), false);
	assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), 0);
	provider_free(p);
	p = store_new(f, NULL, false); /* recover: whatever it is */
	assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), 0);
	assert_memory_equal(provider_id(p), provider_id(f->p), PROVIDER_ID_SIZE);
	provider_free(p);
}

static void a_damaged_marker_is_no_store(void **state)
{
	static const char *const bad[] = {
		"",
		"fildrive store 1\n",
		"fildrive store 2\n0123456789abcdef01234567",
		"fildrive store 1\n0123456789abcdef0123456789abcdeG\n",
	};
	struct fixture *f = *state;
	struct provider *p;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_file(f->store, "fildrive-store", bad[i]);
		p = store_new(f, NULL, true);
		assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), -EUCLEAN);
		provider_free(p);
	}
	write_file(f->store, "fildrive-store",
		   "fildrive store 1\n0123456789abcdef0123456789abcdef\n");
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	assert_int_equal(provider_id(f->p)[1], 0x23);
}

static void a_store_is_made_only_on_demand_and_says_what_is_free(void **state)
{
	struct fixture *f = *state;
	struct provider *p = store_new(f, NULL, false);
	struct provider_req req = { .verb = PROVIDER_ATTACH };

	assert_int_equal(rmdir(f->store), 0);
	assert_int_equal(provider_call(p, &req), -EREMOTEIO);
	assert_int_equal(provider_call(f->p, &req), -EREMOTEIO);
	assert_int_equal(access(f->store, F_OK), -1); /* a folder is never made */
	assert_int_equal(mkdir(f->store, 0700), 0);
	assert_int_equal(provider_call(p, &req), -EREMOTEIO);
	assert_int_equal(count_names(f->store, ""), 0);
	provider_free(p);
	assert_int_equal(provider_call(f->p, &req), 0);
	assert_true(req.ret_free > 0);
	assert_string_equal(provider_name(f->p), f->store);
}

/* ---- tricks ---- */

static void links_and_pipes_are_not_followed(void **state)
{
	static const enum provider_verb verbs[] = { PROVIDER_VERIFY,
						    PROVIDER_GET, PROVIDER_STAT };
	struct fixture *f = *state;
	struct piece_cid cid = make_piece(f, "a", 1, SIZE);
	char path[2 * PATH_SIZE], target[2 * PATH_SIZE];
	struct stat st;

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	(void)snprintf(target, sizeof(target), "%s/precious", f->root);
	write_file(f->root, "precious", "precious");
	piece_path(f, &cid, path);
	for (int kind = 0; kind < 3; kind++) {
		if (kind == 0)
			assert_int_equal(symlink(target, path), 0);
		else if (kind == 1)
			assert_int_equal(mkfifo(path, 0600), 0);
		else
			assert_int_equal(mkdir(path, 0700), 0);
		for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
			assert_int_equal(simple(f->p, verbs[i], &cid), -ENOENT);
		assert_int_equal(count_list(f->p), 0);
		if (kind == 2) {
			assert_int_equal(put(f->p, f, "a", &cid, SIZE), -EISDIR);
			assert_int_equal(rmdir(path), 0);
			continue;
		}
		assert_int_equal(put(f->p, f, "a", &cid, SIZE), 0);
		assert_int_equal(simple(f->p, PROVIDER_VERIFY, &cid), 0);
		assert_int_equal(simple(f->p, PROVIDER_REMOVE, &cid), 0);
	}
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 8);
}

static void a_marker_that_is_a_pipe_does_not_hang(void **state)
{
	struct fixture *f = *state;
	char path[2 * PATH_SIZE];

	(void)snprintf(path, sizeof(path), "%s/fildrive-store", f->store);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), -EUCLEAN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere/x", path), 0);
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), -EUCLEAN);
}

static void old_rests_are_dropped_and_young_ones_stay(void **state)
{
	struct fixture *f = *state;
	struct timespec old[2] = { { .tv_sec = time(NULL) - 90000 },
				   { .tv_sec = time(NULL) - 90000 } };
	struct timespec young[2] = { { .tv_sec = time(NULL) - 36000 },
				     { .tv_sec = time(NULL) - 36000 } };
	char path[2 * PATH_SIZE];

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	write_file(f->store, ".part-0011223344556677", "half");
	write_file(f->store, ".part-8899aabbccddeeff", "half");
	(void)snprintf(path, sizeof(path), "%s/.part-0011223344556677", f->store);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	/* another device may still write it */
	(void)snprintf(path, sizeof(path), "%s/.part-8899aabbccddeeff", f->store);
	assert_int_equal(utimensat(AT_FDCWD, path, young, 0), 0);
	assert_int_equal(count_list(f->p), 0);
	assert_int_equal(count_names(f->store, ".part-00"), 0);
	assert_int_equal(count_names(f->store, ".part-88"), 1);
}

/* ---- cancel ---- */

struct async {
	struct provider_req req;
	struct lock lock;
	struct cond cond;
	bool over; /* lock: lock */
	int status;
};

static void async_done(struct provider_req *req, int status)
{
	struct async *a = container_of(req, struct async, req);

	lock_take(&a->lock);
	a->status = status;
	a->over = true;
	cond_wake_all(&a->cond);
	lock_drop(&a->lock);
}

/* A sparse piece of `size` zeros, whose CID tells its size but not its root. */
static struct piece_cid sparse_piece(struct fixture *f, uint64_t size)
{
	struct commp_sum sum = { .raw_size = size, .height = 2 };
	char path[2 * PATH_SIZE];
	struct piece_cid cid;
	int fd;

	while (127ull << (sum.height - 2) < size)
		sum.height++;
	sum.padding = (127ull << (sum.height - 2)) - size;
	piece_cid_v2(&sum, &cid);
	piece_path(f, &cid, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(close(fd), 0);
	return cid;
}

static void a_long_verify_can_be_called_off(void **state)
{
	const uint64_t size = 4ull << 30;
	struct fixture *f = *state;
	struct async a = { .req = { .verb = PROVIDER_VERIFY, .done = async_done } };

	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	a.req.cid = sparse_piece(f, size);
	lock_init(&a.lock);
	cond_init(&a.cond);
	assert_int_equal(provider_start(f->p, &a.req), 0);
	while (atomic_load(&a.req.moved) == 0)
		(void)usleep(1000); /* until it is under way */
	provider_cancel(f->p, &a.req);
	lock_take(&a.lock);
	while (!a.over)
		cond_wait(&a.cond, &a.lock);
	lock_drop(&a.lock);
	assert_int_equal(a.status, -ECANCELED);
	assert_true(atomic_load(&a.req.moved) < size / 2);
	cond_fini(&a.cond);
	lock_fini(&a.lock);
}

/* ---- URLs ---- */

static void urls_have_one_canonical_form(void **state)
{
	static const char *const good[][2] = {
		{ "dir:///a", "dir:///a" },
		{ "dir:/a/b", "dir:///a/b" },
		{ "dir:///a//b/", "dir:///a/b" },
		{ "dir:////a", "dir:///a" },
		{ "dir:///a%20b", "dir:///a%20b" },
		{ "dir:///a b", "dir:///a%20b" },
		{ "dir:///100%25", "dir:///100%25" },
		{ "dir:///%61%2fb", "dir:///a/b" },
		{ "dir:///a?b#c", "dir:///a?b#c" },
		{ "dir:///\xc3\xa4", "dir:///\xc3\xa4" },
		{ "dir:///%0A%7f", "dir:///%0a%7f" },
		{ "dir:///...", "dir:///..." },
	};
	static const char *const bad[] = {
		"",
		"dir:",
		"dir:a",
		"dir://host/a",
		"dir:///",
		"dir:////",
		"dir:///a/..",
		"dir:///./a",
		"dir:///%2e%2e",
		"dir:///a%",
		"dir:///a%4",
		"dir:///a%zz",
		"dir:///a%00b",
		"s3://bucket",
		"/a",
		"DIR:///a",
		"file:///a",
	};
	char *url, *again;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(provider_url_check(good[i][0], &url, NULL), 0);
		assert_string_equal(url, good[i][1]);
		assert_int_equal(provider_url_check(url, &again, NULL), 0);
		assert_string_equal(again, url);
		free(again);
		free(url);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e.text[0] = '\0';
		assert_int_equal(provider_url_check(bad[i], &url, &e), -EINVAL);
		assert_true(e.text[0]);
	}
}

static void a_url_that_grows_over_its_maximum_is_refused(void **state)
{
	char text[PROVIDER_URL_MAX + 2] = "dir:///";
	char *url;

	(void)state;
	memset(text + 7, ' ', PROVIDER_URL_MAX / 3);
	assert_int_equal(provider_url_check(text, &url, NULL), -EINVAL);
	memset(text + 7, 'a', PROVIDER_URL_MAX - 7);
	assert_int_equal(provider_url_check(text, &url, NULL), 0);
	assert_int_equal(strlen(url), PROVIDER_URL_MAX);
	free(url);
	text[PROVIDER_URL_MAX] = 'a';
	assert_int_equal(provider_url_check(text, &url, NULL), -EINVAL);
}

static void odd_paths_make_the_round_trip(void **state)
{
	static const char *const names[] = { "with blank", "100%", "a\nb",
					     "\x80\xff",   "%41",  "quote\"'",
					     "~",          "*" };
	struct fixture *f = *state;
	char url[4 * PATH_SIZE], path[2 * PATH_SIZE];
	struct provider_params pp = { .url = url, .loop = f->loop, .create = true };
	struct provider *p = NULL;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->root, names[i]);
		n = (size_t)snprintf(url, sizeof(url), "dir:///");
		for (const char *s = path + 1; *s; s++)
			n += (size_t)snprintf(url + n, sizeof(url) - n,
					      "%%%02X", *s & 0xffu);
		assert_int_equal(provider_new(&pp, &p, NULL), 0);
		assert_string_equal(provider_name(p), path);
		assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), -EREMOTEIO);
		assert_int_equal(access(path, F_OK), -1); /* never made here */
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(simple(p, PROVIDER_ATTACH, NULL), 0);
		assert_int_equal(access(path, F_OK), 0);
		provider_free(p);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_piece_goes_in_and_comes_back),
		CASE(what_is_missing_is_enoent),
		CASE(damage_is_found_and_can_be_repaired),
		CASE(a_large_piece_goes_bit_by_bit_if_nobody_reads_it),
		CASE(a_list_skips_what_is_no_piece_and_stops_on_demand),
		CASE(an_empty_folder_in_the_stores_place_is_away_and_stays_empty),
		CASE(a_folder_proves_nothing_and_stays_the_store_that_it_is),
		CASE(another_stores_marker_is_refused),
		CASE(a_damaged_marker_is_no_store),
		CASE(a_store_is_made_only_on_demand_and_says_what_is_free),
		CASE(links_and_pipes_are_not_followed),
		CASE(a_marker_that_is_a_pipe_does_not_hang),
		CASE(old_rests_are_dropped_and_young_ones_stay),
		CASE(a_long_verify_can_be_called_off),
		cmocka_unit_test(urls_have_one_canonical_form),
		cmocka_unit_test(a_url_that_grows_over_its_maximum_is_refused),
		CASE(odd_paths_make_the_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
