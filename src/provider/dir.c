/*
 * dir.c - a folder as a store
 *
 *   fildrive-store          the marker: "fildrive store 1\n" and 32 hex digits
 *   <piece CID v2>.car      a piece
 *   heads/<64 hex digits>   a head: O_EXCL in effect, whatever the file system
 *   .part-<hex>             a piece on its way; dropped when a day old
 *
 * Parts of pieces and heads stand in the root.  Only regular files count: what
 * else has such a name (a link, a pipe, a folder) is not followed or opened.
 *
 * Nothing in it is secret, and nothing in it is ours alone: another program may
 * copy the folder to another place.  The marker tells the store from the empty
 * mount point of a stick that is not plugged in.
 *
 * Every verb opens the folder anew, so that a stick may come and go.  All of it
 * blocks, and so runs on threads of this store's own: one that hangs (NFS)
 * hangs nobody else, and who called it goes on without (call.c).
 */
#include "provider/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/commp.h"
#include "dag/piece.h"
#include "provider/dir_file.h"

#define DIR_PART_MAX_S 86400 /* seconds: an older rest of a crash is dropped */
#define DIR_COPY       IO_CALM /* bytes a read and write */
#define DIR_NEAR_MS    40 /* waited for a MiB: a medium that takes more is far */
#define DIR_WINDOW     (8u << 20) /* not on the medium yet: at most two of it */
#define DIR_VERIFY     (256u << 10) /* bytes a read */
#define DIR_GET        (256u << 10) /* bytes between two signs of life */
#define DIR_THREADS    4
#define HEX_HEAD       (2 * KEYS_HEAD_NAME_SIZE)

struct dir {
	struct provider provider;
	char *path;
	bool create;
	struct work *work;
	struct lock lock;
	bool known;                   /* lock: lock */
	uint8_t id[PROVIDER_ID_SIZE]; /* lock: lock; constant once known */
};

static struct dir *dir_of(struct provider *p)
{
	return container_of(p, struct dir, provider);
}

/* What the file system says when the medium is gone. */
static int away(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ENODEV:
	case ENXIO:
	case ESTALE:
	case ENOTCONN:
	case EHOSTDOWN:
	case ETIMEDOUT: return -EREMOTEIO;
	default: return -err;
	}
}

/* Open the folder, and make sure that it is the store that we know. */
static int dir_open(struct dir *d, struct err *reterr)
{
	_cleanup_close_ int fd = -1;
	uint8_t id[PROVIDER_ID_SIZE];
	bool known, same;
	int r;

	lock_take(&d->lock);
	known = d->known;
	lock_drop(&d->lock);
	/* The folder itself is never made here: where a stick is not plugged in,
	 * that would be one on this disk. */
	fd = open(d->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(reterr, away(errno), "%s: %s", d->path,
			       err_str(errno));
	r = dir_marker_read(fd, id);
	if (r == -ENOENT && known)
		return err_set(reterr, -EREMOTEIO,
			       "%s is there, but the store is not in it: is it mounted?",
			       d->path);
	if (r == -ENOENT && !d->create)
		return err_set(reterr, -EREMOTEIO,
			       "%s is not a fildrive store (no %s in it)",
			       d->path, DIR_MARKER);
	if (r == -ENOENT) {
		r = dir_marker_write(fd);
		if (r == 0)
			r = dir_marker_read(fd, id);
	}
	if (r < 0)
		return err_set(reterr, away(-r), "%s/%s: %s", d->path,
			       DIR_MARKER, err_str(r));
	lock_take(&d->lock);
	if (!d->known)
		memcpy(d->id, id, sizeof(id));
	d->known = true;
	same = slice_eq(slice(d->id, sizeof(id)), slice(id, sizeof(id)));
	lock_drop(&d->lock);
	if (!same)
		return err_set(reterr, -EREMOTEIO,
			       "%s holds another store than the one of this drive",
			       d->path);
	r = fd;
	fd = -1;
	return r;
}

static void piece_name(const struct piece_cid *cid,
		       char ret[static PIECE_CID_TEXT_MAX + 4])
{
	piece_cid_text(cid, ret);
	memcpy(ret + strlen(ret), ".car", 5);
}

static int piece_open(int fd, struct provider_req *req)
{
	char name[PIECE_CID_TEXT_MAX + 4];
	int f;

	piece_name(&req->cid, name);
	f = dir_open_regular(fd, name);
	return f == -EUCLEAN ? -ENOENT : f; /* it is no piece */
}

/* A piece on its way to the medium. */
struct out {
	int fd;
	bool far;
	uint64_t waited_ms;
};

/*
 * Let the medium begin with the n bytes at off, and wait for those of two windows
 * before, so that `moved` says how far it really is and the sync at the end is short.
 */
static int push_ahead(const struct out *o, uint64_t off, uint64_t n)
{
	const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE |
			     SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
	uint64_t end = off + n;
	int r;

	r = io_sync_range(o->fd, off, n, SYNC_FILE_RANGE_WRITE);
	if (r == 0 && end % DIR_WINDOW == 0 && end > DIR_WINDOW)
		r = io_sync_range(o->fd, end - 2 * DIR_WINDOW, DIR_WINDOW, how);
	return r;
}

/*
 * This medium may be the disk of the drive, so fsyncs there wait behind one request.
 * One that is slow or far away is another, and needs many on their way.
 */
static int push_out(struct out *o, uint64_t off, uint64_t n)
{
	uint64_t began = monotonic_ms();
	int r;

	if (o->far || !thread_foreground_busy())
		return push_ahead(o, off, n);
	r = io_write_out_fd(o->fd, off, n);
	o->waited_ms += monotonic_ms() - began;
	o->far = o->waited_ms > DIR_NEAR_MS * (1 + off / (1u << 20));
	return r;
}

static int copy_in(struct provider_req *req, struct io_file *from, int to)
{
	_cleanup_free_ uint8_t *p = malloc(DIR_COPY);
	struct out out = { .fd = to };
	uint64_t off = 0;
	int64_t n;
	int r;

	if (!p)
		return -ENOMEM;
	for (; off < req->size; off += (uint64_t)n) {
		if (req_cancelled(req))
			return -ECANCELED;
		thread_background_turn();
		n = io_pread(from, p, MIN(DIR_COPY, req->size - off), off);
		if (n <= 0)
			return n < 0 ? (int)n : -EUCLEAN; /* shorter than said */
		r = dir_write_all(to, p, (size_t)n);
		if (r == 0)
			r = push_out(&out, off, (uint64_t)n);
		if (r < 0)
			return r;
		atomic_fetch_add(&req->moved, (uint64_t)n);
	}
	/* Whole now: the next try finds it, though this one was left. */
	return fsync(to) < 0 ? -errno : 0;
}

static int do_put(int fd, struct provider_req *req)
{
	_cleanup_io_file_ struct io_file *from = NULL;
	char part[DIR_PART_SIZE], name[PIECE_CID_TEXT_MAX + 4];
	_cleanup_close_ int to = -1;
	struct stat st;
	int r;

	piece_name(&req->cid, name);
	if (!req->replace && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && (uint64_t)st.st_size == req->size)
		/* There; whether it is sound is VERIFY's question.  Who gave it
		 * its name may have been killed before the sync. */
		return fsync(fd) < 0 ? -errno : 0;
	r = io_open(req->src, req->src_name, O_RDONLY, &from);
	if (r < 0) /* -ENOENT would be the store's */
		return err_set(&req->err, r == -ENOENT ? -EUCLEAN : r,
			       "cannot read the piece to be stored, %s: %s",
			       req->src_name, err_str(r));
	io_no_ahead(from);
	r = dir_part_name(part);
	if (r < 0)
		return r;
	to = openat(fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (to < 0)
		return away(errno);
	r = copy_in(req, from, to);
	/* Replaces a file of the same name: that one is damaged. */
	if (r == 0 && renameat(fd, part, fd, name) < 0)
		r = -errno;
	if (r == 0)
		return fsync(fd) < 0 ? -errno : 0;
	best_effort(io_unlink_at(fd, part)); /* a rest is dropped later */
	return r;
}

/*
 * The next bytes of what is read in order: the kernel's own read-ahead asks for 4
 * MiB and more at a time, and who waits for the disk meanwhile waits for that.
 */
static int64_t read_next(int f, uint8_t *p, uint64_t off)
{
	/* advice */
	(void)posix_fadvise(f, (off_t)(off + DIR_VERIFY), DIR_VERIFY,
			    POSIX_FADV_WILLNEED);
	return dir_read_at(f, p, DIR_VERIFY, off);
}

static int do_verify(int fd, struct provider_req *req)
{
	_cleanup_free_ uint8_t *p = NULL;
	_cleanup_commp_ struct commp *c = NULL;
	_cleanup_close_ int f = piece_open(fd, req);
	struct piece_cid found;
	struct commp_sum sum;
	uint64_t off = 0;
	struct stat st;
	int64_t n;
	int r;

	if (f < 0)
		return f;
	r = piece_cid_parse(piece_cid_slice(&req->cid), &sum);
	if (r < 0)
		return -EINVAL;
	if (fstat(f, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != sum.raw_size) /* nor read what never ends */
		return -EBADMSG;
	p = malloc(DIR_VERIFY);
	r = commp_new(&c);
	if (r < 0 || !p)
		return -ENOMEM;
	/* From the medium, not from what was just written. */
	(void)posix_fadvise(f, 0, 0, POSIX_FADV_DONTNEED); /* advice */
	(void)posix_fadvise(f, 0, 0, POSIX_FADV_RANDOM);   /* advice */
	for (; off <= sum.raw_size; off += (uint64_t)n) {
		if (req_cancelled(req))
			return -ECANCELED;
		thread_background_turn();
		n = read_next(f, p, off);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		commp_update(c, slice(p, (size_t)n));
		atomic_fetch_add(&req->moved, (uint64_t)n);
	}
	commp_final(c, &sum);
	piece_cid_v2(&sum, &found);
	return piece_cid_eq(&found, &req->cid) ? 0 : -EBADMSG;
}

static int do_get(int fd, struct provider_req *req)
{
	_cleanup_close_ int f = piece_open(fd, req);
	int64_t n = DIR_GET;

	if (f < 0)
		return f;
	while (req->ret_n < req->n && n == DIR_GET) {
		if (req_cancelled(req))
			return -ECANCELED;
		n = dir_read_at(f, req->dst + req->ret_n,
				MIN(DIR_GET, req->n - req->ret_n),
				req->off + req->ret_n);
		if (n < 0)
			return (int)n;
		req->ret_n += (size_t)n;
		atomic_fetch_add(&req->moved, (uint64_t)n);
	}
	return 0;
}

/* A PUT was durable. */
static int do_commit(int fd, struct provider_req *req)
{
	(void)fd;
	(void)req;
	return 0;
}

static int do_stat(int fd, struct provider_req *req)
{
	char name[PIECE_CID_TEXT_MAX + 4];
	struct stat st;

	piece_name(&req->cid, name);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	req->ret_size = (uint64_t)st.st_size;
	return 0;
}

/* A rest of a crash, ours or another device's, that nobody writes any more. */
static void drop_old_part(int fd, const char *name)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_mtime + DIR_PART_MAX_S < time(NULL))
		best_effort(io_unlink_at(fd, name)); /* next time, else */
}

static int list_name(int fd, struct provider_req *req, const char *name)
{
	size_t n = strlen(name);
	struct piece_cid cid;
	struct stat st;

	if (strncmp(name, DIR_PART, strlen(DIR_PART)) == 0) {
		drop_old_part(fd, name);
		return 0;
	}
	if (n < 5 || strcmp(name + n - 4, ".car") != 0 ||
	    piece_cid_from_text(slice(name, n - 4), &cid) < 0 ||
	    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0; /* not a piece: none of our business */
	return req->found(req, &cid, (uint64_t)st.st_size);
}

static int do_list(int fd, struct provider_req *req)
{
	int dup = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (dup < 0)
		return -errno;
	dir = fdopendir(dup);
	if (!dir) {
		r = -errno;
		(void)close(dup); /* a directory: nothing to lose */
		return r;
	}
	while (r == 0 && !req_cancelled(req)) {
		errno = 0;
		e = readdir(dir); // NOLINT(concurrency-mt-unsafe): own stream
		if (!e) {
			r = -errno;
			break;
		}
		r = list_name(fd, req, e->d_name);
	}
	(void)closedir(dir); /* a directory: nothing to lose */
	return r == 0 && req_cancelled(req) ? -ECANCELED : r;
}

static int do_remove(int fd, struct provider_req *req)
{
	char name[PIECE_CID_TEXT_MAX + 4];
	int r;

	piece_name(&req->cid, name);
	r = io_unlink_at(fd, name);
	if (r < 0)
		return r;
	return fsync(fd) < 0 ? -errno : 0;
}

static int heads_open(int fd, bool create)
{
	int r;

	if (create && mkdirat(fd, "heads", 0777) < 0 && errno != EEXIST)
		return -errno;
	if (create && fsync(fd) < 0)
		return -errno;
	r = openat(fd, "heads", O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

static int do_claim(int fd, struct provider_req *req)
{
	_cleanup_close_ int heads = heads_open(fd, true);
	char name[HEX_HEAD + 1];

	if (heads < 0)
		return heads;
	dir_hex(req->head_name, KEYS_HEAD_NAME_SIZE, name);
	return dir_file_once(fd, heads, name, req->head);
}

static int do_head(int fd, struct provider_req *req)
{
	_cleanup_close_ int heads = heads_open(fd, false);
	uint8_t text[PROVIDER_HEAD_MAX + 1];
	_cleanup_close_ int f = -1;
	char name[HEX_HEAD + 1];
	int64_t n;

	if (heads < 0)
		return heads;
	dir_hex(req->head_name, KEYS_HEAD_NAME_SIZE, name);
	f = dir_open_regular(heads, name);
	if (f < 0)
		return f == -EUCLEAN ? -EBADMSG : f; /* the name is taken */
	n = dir_read_at(f, text, sizeof(text), 0);
	if (n < 0)
		return (int)n;
	if (n > PROVIDER_HEAD_MAX)
		return -EMSGSIZE;
	return buf_append(req->ret_head, slice(text, (size_t)n));
}

static int do_attach(int fd, struct provider_req *req)
{
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0)
		return away(errno);
	req->ret_free = (uint64_t)s.f_bavail * s.f_frsize;
	return 0;
}

/* A folder proves nothing: it is read back.  Nor is there another one to choose. */
static int do_proof(int fd, struct provider_req *req)
{
	(void)fd;
	(void)req;
	return -EOPNOTSUPP;
}

static int (*const dir_verbs[PROVIDER_NX])(int fd, struct provider_req *req) = {
	[PROVIDER_PUT] = do_put,       [PROVIDER_VERIFY] = do_verify,
	[PROVIDER_COMMIT] = do_commit, [PROVIDER_GET] = do_get,
	[PROVIDER_STAT] = do_stat,     [PROVIDER_LIST] = do_list,
	[PROVIDER_REMOVE] = do_remove, [PROVIDER_CLAIM] = do_claim,
	[PROVIDER_HEAD] = do_head,     [PROVIDER_ATTACH] = do_attach,
	[PROVIDER_PROOF] = do_proof,   [PROVIDER_REPLACE] = do_proof,
};

static void dir_run(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);
	struct dir *d = dir_of(req->provider);
	_cleanup_close_ int fd = -1;

	if (req_cancelled(req)) {
		req->status = -ECANCELED;
		return;
	}
	if (!dir_verbs[req->verb]) {
		req->status = err_set(&req->err, -EOPNOTSUPP,
				      "a folder gives no single blocks");
		return;
	}
	fd = dir_open(d, &req->err);
	req->status = fd < 0 ? fd : dir_verbs[req->verb](fd, req);
	/* Here, and then gone in the middle of it. */
	if (req->status == -ESTALE || req->status == -ENODEV ||
	    req->status == -ENXIO || req->status == -ENOTCONN ||
	    req->status == -EHOSTDOWN || req->status == -ETIMEDOUT)
		req->status = -EREMOTEIO;
	if (req->status < 0)
		err_set(&req->err, 0, "%s: %s", d->path, err_str(req->status));
}

static void dir_done(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);

	req->done(req, req->status);
}

static int dir_start(struct provider *p, struct provider_req *req)
{
	req->work.run = dir_run;
	req->work.done = dir_done;
	work_submit(dir_of(p)->work, &req->work);
	return 0;
}

static void dir_cancel(struct provider *p, struct provider_req *req)
{
	(void)p;
	(void)req; /* dir_run and the long verbs look at the flag */
}

static void dir_free(struct provider *p)
{
	struct dir *d = dir_of(p);

	work_free(d->work);
	provider_fini(p);
	lock_fini(&d->lock);
	free(d->path);
	free(d);
}

static const uint8_t *dir_id(struct provider *p)
{
	return dir_of(p)->id;
}

static const char *dir_name(struct provider *p)
{
	return dir_of(p)->path;
}

static const struct provider_ops dir_ops = {
	.start = dir_start,
	.cancel = dir_cancel,
	.free = dir_free,
	.id = dir_id,
	.name = dir_name,
};

int dir_new(const struct provider_params *p, const char *path, struct provider **ret)
{
	struct dir *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	lock_init(&d->lock);
	provider_init(&d->provider, &dir_ops, p->silence_ms);
	d->provider.size_min = PIECE_SIZE_MIN;
	d->provider.size_max = PIECE_SIZE_MAX;
	d->create = p->create;
	d->path = strdup(path);
	if (p->id) {
		memcpy(d->id, p->id, PROVIDER_ID_SIZE);
		d->known = true;
	}
	r = d->path ? work_new(p->loop, DIR_THREADS, &d->work) : -ENOMEM;
	if (r < 0) {
		dir_free(&d->provider);
		return r;
	}
	*ret = &d->provider;
	return 0;
}
