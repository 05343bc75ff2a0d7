#include "common.h"

#include <dirent.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/commp.h"
#include "crypto/secret.h"

void folders_make(struct fixture *f)
{
	const char *tmp = getenv("TMPDIR");
	char src[2 * PATH_SIZE];

	log_level_set(LOG_LEVEL_ERROR);
	assert_int_equal(secret_init_library(), 0);
	assert_in_range(snprintf(f->root, 128, "%s/fildrive-store-XXXXXX",
				 tmp ? tmp : "/tmp"),
			1, 127);
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(f->store, sizeof(f->store), "%.128s/store", f->root);
	(void)snprintf(src, sizeof(src), "%s/src", f->root);
	assert_int_equal(mkdir(src, 0700), 0);
	assert_int_equal(io_dir_new(src, &f->io), 0);
	assert_int_equal(mkdir(f->store, 0700), 0);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void folders_remove(struct fixture *f)
{
	io_free(f->io);
	assert_int_equal(nftw(f->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void threads_start(struct fixture *f)
{
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(loop_start(f->loop), 0);
	f->p = store_new(f, NULL, true);
}

void threads_stop(struct fixture *f)
{
	provider_free(f->p);
	loop_stop(f->loop);
	loop_free(f->loop);
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	folders_make(f);
	threads_start(f);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	threads_stop(f);
	folders_remove(f);
	free(f);
	return 0;
}

struct provider *store_new(struct fixture *f, const uint8_t *id, bool create)
{
	char url[2 * PATH_SIZE];
	struct provider_params p = {
		.url = url, .loop = f->loop, .id = id, .create = create
	};
	struct provider *ret = NULL;

	(void)snprintf(url, sizeof(url), "dir://%s", f->store);
	assert_int_equal(provider_new(&p, &ret, NULL), 0);
	return ret;
}

struct piece_cid make_piece(struct fixture *f, const char *name, uint8_t seed,
			    size_t n)
{
	_cleanup_io_file_ struct io_file *file = NULL;
	_cleanup_commp_ struct commp *c = NULL;
	_cleanup_free_ uint8_t *p = malloc(n);
	struct commp_sum sum;
	struct piece_cid cid;

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(seed + i * 7 + (i >> 8));
	assert_int_equal(io_open(f->io, name, O_RDWR | O_CREAT | O_TRUNC, &file), 0);
	assert_int_equal(io_pwrite(file, p, n, 0), 0);
	assert_int_equal(commp_new(&c), 0);
	commp_update(c, slice(p, n));
	commp_final(c, &sum);
	piece_cid_v2(&sum, &cid);
	return cid;
}

int put(struct provider *p, struct fixture *f, const char *name,
	const struct piece_cid *cid, uint64_t size)
{
	struct provider_req req = { .verb = PROVIDER_PUT,
				    .cid = *cid,
				    .src = f->io,
				    .src_name = name,
				    .size = size };
	int r = provider_call(p, &req);

	assert_true((r < 0) == (req.err.text[0] != '\0'));
	return r;
}

int simple(struct provider *p, enum provider_verb verb, const struct piece_cid *cid)
{
	struct provider_req req = { .verb = verb };

	if (cid)
		req.cid = *cid;
	return provider_call(p, &req);
}

int64_t size_at(struct provider *p, const struct piece_cid *cid)
{
	struct provider_req req = { .verb = PROVIDER_STAT, .cid = *cid };
	int r = provider_call(p, &req);

	return r < 0 ? r : (int64_t)req.ret_size;
}

static int count_found(struct provider_req *req, const struct piece_cid *cid,
		       uint64_t size)
{
	(void)cid;
	(void)size;
	++*(unsigned *)req->ctx;
	return 0;
}

unsigned count_list(struct provider *p)
{
	unsigned n = 0;
	struct provider_req req = { .verb = PROVIDER_LIST,
				    .found = count_found,
				    .ctx = &n };

	assert_int_equal(provider_call(p, &req), 0);
	return n;
}

void piece_path(struct fixture *f, const struct piece_cid *cid,
		char ret[static 2 * PATH_SIZE])
{
	char text[PIECE_CID_TEXT_MAX];

	piece_cid_text(cid, text);
	(void)snprintf(ret, (size_t)(2 * PATH_SIZE), "%s/%s.car", f->store, text);
}

unsigned count_names(const char *path, const char *prefix)
{
	DIR *d = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d))) // NOLINT(concurrency-mt-unsafe): own stream
		n += e->d_name[0] && strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0 &&
		     strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	assert_int_equal(closedir(d), 0);
	return n;
}

struct keys *test_keys(void)
{
	static const uint8_t bytes[SECRET_SIZE] = { 1, 2, 3 };
	_cleanup_secret_ struct secret *s = NULL;
	struct keys *k = NULL;

	assert_int_equal(secret_new(bytes, &s), 0);
	assert_int_equal(keys_from_entropy(s, &k), 0);
	return k;
}
