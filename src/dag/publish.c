#include "dag/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "dag/car.h"
#include "dag/digest_set.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define WRITE_BUF (1u << 20) /* bytes gathered for one pwrite */

struct publish {
	struct publish_opts opts;
	struct plain_sealer sealer;
	struct car_writer car;
	struct digest_set seen;
	struct buf out; /* bytes of the CAR that wait to be written */
	uint64_t out_off;
	int fd;
	uint8_t *chunk;
	struct buf path; /* of what is being read, for errors */
	struct publish_stats stats;
	struct err *err;
};

static void publish_fini(struct publish *p)
{
	digest_set_fini(&p->seen);
	buf_fini(&p->out);
	buf_fini(&p->path);
	free(p->chunk);
}

static int fail(struct publish *p, int code)
{
	return err_set(p->err, code, "%.*s: %s", (int)MIN(p->path.n, (size_t)180),
		       (const char *)p->path.p, err_str(code));
}

static int write_at(int fd, struct slice s, uint64_t off)
{
	ssize_t n;

	while (s.n) {
		n = pwrite(fd, s.p, s.n, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		s = slice(s.p + n, s.n - (size_t)n);
		off += (uint64_t)n;
	}
	return 0;
}

static int flush_car(struct publish *p)
{
	int r;

	r = write_at(p->fd, buf_slice(&p->out), p->out_off);
	if (r < 0)
		return err_set(p->err, r, "writing the CAR: %s", err_str(r));
	p->out_off += p->out.n;
	buf_reset(&p->out);
	return 0;
}

static int write_car(void *ctx, struct slice bytes)
{
	struct publish *p = ctx;
	size_t n;
	int r;

	while (bytes.n) {
		if (p->out.n == WRITE_BUF) {
			r = flush_car(p);
			if (r < 0)
				return r;
		}
		n = MIN(bytes.n, WRITE_BUF - p->out.n);
		r = buf_append(&p->out, slice(bytes.p, n));
		if (r < 0)
			return r;
		bytes = slice(bytes.p + n, bytes.n - n);
	}
	return 0;
}

/* Each CID once.  Raw and dag-pb of the same bytes are two CIDs. */
static int on_block(void *ctx, const struct cid *cid, struct slice block)
{
	struct publish *p = ctx;
	uint8_t id[DIGEST_SIZE];
	struct car_section s;
	int r;

	memcpy(id, cid->digest, sizeof(id));
	id[DIGEST_SIZE - 1] ^= (uint8_t)cid->codec;
	r = digest_set_add(&p->seen, id);
	if (r <= 0)
		return r;
	p->stats.blocks++;
	return car_writer_append(&p->car, cid, block, &s);
}

/* Up to n bytes; fewer only at the end of the file. */
static int64_t read_chunk(int fd, uint8_t *dst, size_t n)
{
	size_t got = 0;
	ssize_t k;

	while (got < n) {
		k = read(fd, dst + got, n - got);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		got += (size_t)k;
	}
	return (int64_t)got;
}

static int publish_file(struct publish *p, int fd, struct dag_root *ret)
{
	_cleanup_file_builder_ struct file_builder *b = NULL;
	uint32_t max = p->opts.profile->chunk_bytes;
	struct stat before, after;
	uint64_t size = 0;
	int64_t n;
	int r;

	r = file_builder_new(p->opts.profile, &p->sealer.sealer, &b);
	if (r < 0)
		return r;
	if (fstat(fd, &before) < 0)
		return fail(p, -errno);
	do {
		n = read_chunk(fd, p->chunk, max);
		if (n < 0)
			return fail(p, (int)n);
		if (n == 0)
			break;
		r = file_builder_add(b, slice(p->chunk, (size_t)n));
		if (r < 0)
			return r;
		size += (uint64_t)n;
	} while (n == max);
	if (fstat(fd, &after) < 0)
		return fail(p, -errno);
	if (before.st_size != after.st_size ||
	    before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
	    before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)
		return err_set(p->err, -EBUSY,
			       "%.*s: changed while it was read; publish again",
			       (int)MIN(p->path.n, (size_t)180),
			       (const char *)p->path.p);
	p->stats.files++;
	p->stats.content_bytes += size;
	return file_builder_finish(b, ret);
}

static int publish_symlink(struct publish *p, int at, const char *name,
			   struct dag_root *ret)
{
	_cleanup_buf_ struct buf b = { .max = DAG_NODE_MAX };
	struct dag_root t = { .size = 0 };
	char target[PATH_MAX];
	ssize_t n;
	int r;

	n = readlinkat(at, name, target, sizeof(target));
	if (n < 0)
		return fail(p, -errno);
	if (n == sizeof(target))
		return fail(p, -ENAMETOOLONG);
	r = unixfs_symlink_encode(slice(target, (size_t)n), &b);
	if (r < 0)
		return r;
	r = sealer_seal(&p->sealer.sealer, LINK_DAGPB, BLOCK_NODE,
			buf_slice(&b), &t.link);
	if (r < 0)
		return r;
	t.tsize = b.n;
	p->stats.symlinks++;
	*ret = t;
	return 0;
}

static int publish_at(struct publish *p, int at, const char *name,
		      unsigned depth, struct dag_root *ret);

static void closedirp(DIR **d)
{
	if (*d)
		(void)closedir(*d); /* only read */
}

/* One name of a folder; special files are skipped. */
static int publish_entry(struct publish *p, struct dir_builder *b, int at,
			 const char *name, unsigned depth)
{
	size_t len = p->path.n;
	struct dag_root root;
	int r;

	r = buf_printf(&p->path, "/%s", name);
	if (r < 0)
		return r;
	r = publish_at(p, at, name, depth, &root);
	if (r > 0)
		p->stats.skipped++;
	else if (r == 0)
		r = dir_builder_add(b, slice_str(name), &root.link, root.tsize,
				    SLICE_NONE);
	if (r < 0)
		return fail(p, r);
	p->path.n = len;
	return 0;
}

/* Takes `*fd` and leaves -1; what it could not take stays the caller's. */
static int publish_dir(struct publish *p, int *fd, unsigned depth,
		       struct dag_root *ret)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	_cleanup_(closedirp) DIR *d = fdopendir(*fd);
	struct dirent *e;
	int r;

	if (!d)
		return fail(p, -errno);
	*fd = -1;
	if (depth > PUBLISH_DEPTH_MAX)
		return fail(p, -ELOOP);
	r = dir_builder_new(p->opts.profile, &p->sealer.sealer, &b);
	if (r < 0)
		return r;
	for (;;) {
		errno = 0;
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): the DIR is ours alone */
		e = readdir(d);
		if (!e && errno)
			return fail(p, -errno);
		if (!e)
			break;
		if (!dir_name_valid(slice_str(e->d_name)) ||
		    (e->d_name[0] == '.' && !p->opts.hidden))
			continue;
		r = publish_entry(p, b, dirfd(d), e->d_name, depth + 1);
		if (r < 0)
			return r;
	}
	p->stats.dirs++;
	r = dir_builder_finish(b, ret, p->err);
	return r < 0 ? fail(p, r) : 0;
}

/*
 * 0; 1 for a special file, which UnixFS cannot hold.  O_NONBLOCK keeps a fifo
 * that took a file's place from hanging us.
 */
static int publish_at(struct publish *p, int at, const char *name,
		      unsigned depth, struct dag_root *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(p, -errno);
	if (S_ISLNK(st.st_mode))
		return publish_symlink(p, at, name, ret);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 1;
	fd = openat(at, name,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(p, -errno);
	if (S_ISREG(st.st_mode))
		return publish_file(p, fd, ret);
	if (!S_ISDIR(st.st_mode))
		return 1;
	return publish_dir(p, &fd, depth, ret);
}

/* Blocks, then the header in the room that was left for it. */
static int publish_run(struct publish *p, const char *path, struct cid *ret)
{
	_cleanup_buf_ struct buf head = { .max = CAR_HEADER_MAX };
	struct dag_root root;
	struct cid cid;
	size_t room = p->opts.profile->cid_version == 0 ? CAR_HEADER_SIZE - 2 :
							  CAR_HEADER_SIZE;
	int r;

	if (p->opts.profile->hash == CID_BLAKE2B_256)
		room += 2;
	p->car.off = room;
	p->out_off = room;
	r = publish_at(p, AT_FDCWD, path, 0, &root);
	if (r > 0)
		return err_set(p->err, -EINVAL,
			       "%s: is neither a file, a folder nor a symbolic link",
			       path);
	if (r < 0)
		return fail(p, r);
	r = flush_car(p);
	if (r < 0)
		return r;
	dag_link_cid(p->opts.profile, &root.link, &cid);
	r = car_header_encode(&cid, &head);
	if (r < 0)
		return r;
	if (head.n != room)
		return -EUCLEAN;
	r = write_at(p->fd, buf_slice(&head), 0);
	if (r < 0 || ftruncate(p->fd, (off_t)p->out_off) < 0) {
		r = r < 0 ? r : -errno;
		return err_set(p->err, r, "writing the CAR: %s", err_str(r));
	}
	p->stats.car_bytes = p->out_off;
	*ret = cid;
	return 0;
}

int publish_path(const char *path, const struct publish_opts *opts, int car_fd,
		 struct cid *ret_root, struct publish_stats *ret_stats,
		 struct err *reterr)
{
	_cleanup_(publish_fini) struct publish p = { .opts = *opts,
						     .fd = car_fd,
						     .err = reterr };
	int r;

	if (!p.opts.profile)
		p.opts.profile = &dag_profile_v1_2025;
	buf_init(&p.out, WRITE_BUF);
	buf_init(&p.path, 1u << 20);
	p.chunk = malloc(p.opts.profile->chunk_bytes);
	if (!p.chunk)
		return -ENOMEM;
	plain_sealer_init(&p.sealer, p.opts.profile, on_block, &p);
	car_writer_init(&p.car, write_car, &p);
	r = buf_printf(&p.path, "%s", path);
	if (r < 0)
		return r;
	r = publish_run(&p, path, ret_root);
	if (r < 0)
		return r;

	*ret_stats = p.stats;
	return 0;
}
