/*
 * nullfs.c - an empty FUSE server: the floor under every benchmark
 *
 * usage: nullfs [--xattr] MOUNTPOINT
 *
 * Keeps names, attributes and sizes in memory and forgets what is written: a
 * read gives zeros.  So it costs what the kernel, libfuse and the wake-ups cost,
 * and nothing that a real drive has to do.  Its mount is as fildrive's: no kernel
 * write-back cache, 1 MiB writes, long timeouts, keep_cache, no FLUSH.
 *
 * It has no extended attributes, which the kernel asks for once and never again.
 * With --xattr it has them, though no file has one: then it is asked for each, as
 * whoever keeps them is.
 *
 * Runs in the foreground until it is unmounted; prints "ready" once it answers.
 * One lock guards everything; no operation holds it for longer than a lookup or,
 * in readdir, a walk over one folder.
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/list.h"
#include "base/thread.h"
#include "base/util.h"

#define TIMEOUT_S  3600.0
#define N_BUCKETS  (1u << 16)
#define N_NODE_MAX (1u << 24)
#define WRITE_MAX  (1u << 20) /* bytes */
#define BLOCK_SIZE 4096

/* A file or folder.  Hard links share a node through their names. */
struct node {
	struct stat st;
	char *target;        /* of a symlink */
	struct list entries; /* of a folder: struct entry.sibling */
	off_t next_pos;      /* of a folder: cookie of the next entry */
};

/* A name in a folder. */
struct entry {
	struct list sibling;
	struct entry *chain; /* next in its bucket */
	struct node *dir, *node;
	off_t pos; /* readdir cookie, ascending along entries */
	char name[];
};

static struct {
	struct lock lock;
	struct node **node; /* by inode number; 0 is unused */
	fuse_ino_t n_node;
	struct entry *bucket[N_BUCKETS];
} fs;

static struct node *node_of(fuse_ino_t ino)
{
	return fs.node[ino];
}

static struct node *node_new(mode_t mode, const struct fuse_ctx *ctx)
{
	struct node *n;

	/* Numbers are not used again: a benchmark ends before they do. */
	if (fs.n_node == N_NODE_MAX)
		return NULL;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	list_init(&n->entries);
	n->next_pos = 1;
	n->st.st_ino = fs.n_node;
	n->st.st_mode = mode;
	n->st.st_nlink = S_ISDIR(mode) ? 2 : 1;
	n->st.st_blksize = BLOCK_SIZE;
	if (ctx) {
		n->st.st_uid = ctx->uid;
		n->st.st_gid = ctx->gid;
	}
	(void)clock_gettime(CLOCK_REALTIME, &n->st.st_mtim); /* cannot fail */
	n->st.st_atim = n->st.st_ctim = n->st.st_mtim;
	fs.node[fs.n_node++] = n;
	return n;
}

static struct entry **slot_of(const struct node *dir, const char *name)
{
	uint64_t h = dir->st.st_ino * 0x9e3779b97f4a7c15u;
	struct entry **at;

	for (const char *s = name; *s; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	at = &fs.bucket[(h ^ h >> 32) % N_BUCKETS];
	while (*at && ((*at)->dir != dir || strcmp((*at)->name, name) != 0))
		at = &(*at)->chain;
	return at;
}

static int entry_add(struct node *dir, const char *name, struct node *n)
{
	size_t len = strlen(name) + 1;
	struct entry **at = slot_of(dir, name), *e;

	e = malloc(sizeof(*e) + len);
	if (!e)
		return -ENOMEM;
	memcpy(e->name, name, len);
	e->chain = NULL;
	e->dir = dir;
	e->node = n;
	e->pos = dir->next_pos++;
	list_push(&dir->entries, &e->sibling);
	*at = e;
	if (S_ISDIR(n->st.st_mode))
		dir->st.st_nlink++;
	return 0;
}

static void entry_remove(struct entry **at)
{
	struct entry *e = *at;

	if (!e)
		return;
	*at = e->chain;
	list_del(&e->sibling);
	if (S_ISDIR(e->node->st.st_mode))
		e->dir->st.st_nlink--;
	free(e);
}

static struct fuse_entry_param param_of(const struct node *n)
{
	return (struct fuse_entry_param){
		.ino = n->st.st_ino,
		.attr = n->st,
		.attr_timeout = TIMEOUT_S,
		.entry_timeout = TIMEOUT_S,
	};
}

static void op_init(void *ctx, struct fuse_conn_info *conn)
{
	(void)ctx;
	conn->max_write = WRITE_MAX;
	conn->want |= conn->capable &
		      (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS);
	conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
	(void)puts("ready");
	(void)fflush(stdout); /* whoever waits for it sees the pipe close */
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param p = { .entry_timeout = TIMEOUT_S };
	struct entry *e;

	lock_take(&fs.lock);
	e = *slot_of(node_of(parent), name);
	if (e)
		p = param_of(e->node);
	lock_drop(&fs.lock);
	(void)fuse_reply_entry(req, &p); /* of no use to a dead kernel */
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	lock_take(&fs.lock);
	st = node_of(ino)->st;
	lock_drop(&fs.lock);
	(void)fuse_reply_attr(req, &st, TIMEOUT_S);
}

static void set_size(struct node *n, off_t size)
{
	n->st.st_size = size;
	n->st.st_blocks = (size + BLOCK_SIZE - 1) / BLOCK_SIZE * (BLOCK_SIZE / 512);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int to_set, struct fuse_file_info *fi)
{
	struct node *n;
	struct stat st;

	(void)fi;
	lock_take(&fs.lock);
	n = node_of(ino);
	(void)clock_gettime(CLOCK_REALTIME, &n->st.st_ctim); /* cannot fail */
	if (to_set & FUSE_SET_ATTR_MODE)
		n->st.st_mode = (n->st.st_mode & S_IFMT) |
				(attr->st_mode & ~(mode_t)S_IFMT);
	if (to_set & FUSE_SET_ATTR_UID)
		n->st.st_uid = attr->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		n->st.st_gid = attr->st_gid;
	if (to_set & FUSE_SET_ATTR_SIZE)
		set_size(n, attr->st_size);
	if (to_set & FUSE_SET_ATTR_ATIME)
		n->st.st_atim = to_set & FUSE_SET_ATTR_ATIME_NOW ? n->st.st_ctim :
								   attr->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME)
		n->st.st_mtim = to_set & FUSE_SET_ATTR_MTIME_NOW ? n->st.st_ctim :
								   attr->st_mtim;
	st = n->st;
	lock_drop(&fs.lock);
	(void)fuse_reply_attr(req, &st, TIMEOUT_S);
}

/* A new node under a new name; *ret is what the kernel is told. */
static int make(fuse_req_t req, fuse_ino_t parent, const char *name,
		mode_t mode, const char *target, struct fuse_entry_param *ret)
{
	struct node *dir, *n;
	int r = -ENOSPC;

	lock_take(&fs.lock);
	dir = node_of(parent);
	n = node_new(mode, fuse_req_ctx(req));
	if (n && target) {
		n->target = strdup(target);
		n->st.st_size = (off_t)strlen(target);
	}
	if (n && (!target || n->target))
		r = entry_add(dir, name, n);
	if (r == 0)
		*ret = param_of(n);
	lock_drop(&fs.lock);
	return r;
}

static void reply_made(fuse_req_t req, int r, const struct fuse_entry_param *p)
{
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_entry(req, p);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct fuse_entry_param p;

	(void)rdev;
	reply_made(req, make(req, parent, name, mode, NULL, &p), &p);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param p;

	reply_made(req, make(req, parent, name, S_IFDIR | mode, NULL, &p), &p);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct fuse_entry_param p;

	reply_made(req, make(req, parent, name, S_IFLNK | 0777, target, &p), &p);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param p;
	int r = make(req, parent, name, S_IFREG | (mode & 07777), NULL, &p);

	fi->keep_cache = 1;
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_create(req, &p, fi);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct fuse_entry_param p;
	struct node *n;
	int r;

	lock_take(&fs.lock);
	n = node_of(ino);
	r = entry_add(node_of(parent), name, n);
	if (r == 0)
		n->st.st_nlink++;
	p = param_of(n);
	lock_drop(&fs.lock);
	reply_made(req, r, &p);
}

static int remove_name(fuse_ino_t parent, const char *name)
{
	struct entry **at;
	struct node *n;
	int r = 0;

	lock_take(&fs.lock);
	at = slot_of(node_of(parent), name);
	n = *at ? (*at)->node : NULL;
	if (!n) {
		r = -ENOENT;
	} else if (!list_empty(&n->entries)) {
		r = -ENOTEMPTY;
	} else {
		entry_remove(at);
		n->st.st_nlink--;
	}
	lock_drop(&fs.lock);
	return r;
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)fuse_reply_err(req, -remove_name(parent, name));
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t to, const char *new_name, unsigned flags)
{
	struct entry **at;
	struct node *n;
	int r;

	if (flags) {
		(void)fuse_reply_err(req, EINVAL);
		return;
	}
	r = remove_name(to, new_name);
	if (r < 0 && r != -ENOENT) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	lock_take(&fs.lock);
	at = slot_of(node_of(parent), name);
	n = *at ? (*at)->node : NULL;
	r = n ? entry_add(node_of(to), new_name, n) : -ENOENT;
	if (r == 0) /* looked up again: the new name may share the chain */
		entry_remove(slot_of(node_of(parent), name));
	lock_drop(&fs.lock);
	(void)fuse_reply_err(req, -r);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	/* A target never changes. */
	(void)fuse_reply_readlink(req, node_of(ino)->target);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (fi->flags & O_TRUNC) {
		lock_take(&fs.lock);
		set_size(node_of(ino), 0);
		lock_drop(&fs.lock);
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1; /* of a folder; means nothing to a file */
	(void)fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t n, off_t off,
		    struct fuse_file_info *fi)
{
	static const char zeros[WRITE_MAX];
	off_t size;

	(void)fi;
	lock_take(&fs.lock);
	size = node_of(ino)->st.st_size;
	lock_drop(&fs.lock);
	n = MIN(n, sizeof(zeros));
	if (off >= size)
		n = 0;
	else if (size - off < (off_t)n)
		n = (size_t)(size - off);
	(void)fuse_reply_buf(req, zeros, n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t n,
		     off_t off, struct fuse_file_info *fi)
{
	struct node *node;

	(void)data;
	(void)fi;
	lock_take(&fs.lock);
	node = node_of(ino);
	if (off + (off_t)n > node->st.st_size)
		set_size(node, off + (off_t)n);
	(void)clock_gettime(CLOCK_REALTIME, &node->st.st_mtim); /* cannot fail */
	lock_drop(&fs.lock);
	(void)fuse_reply_write(req, n);
}

/* Cookies 1 and up are entries; "." and ".." are left to nobody's need. */
static void reply_dir(fuse_req_t req, fuse_ino_t ino, size_t max, off_t off, bool plus)
{
	_cleanup_free_ char *out = malloc(max);
	size_t n = 0;

	if (!out) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	lock_take(&fs.lock);
	list_foreach(pos, &node_of(ino)->entries) {
		struct entry *e = container_of(pos, struct entry, sibling);
		struct fuse_entry_param p;
		size_t k;

		if (e->pos <= off)
			continue;
		p = param_of(e->node);
		k = plus ? fuse_add_direntry_plus(req, out + n, max - n,
						  e->name, &p, e->pos) :
			   fuse_add_direntry(req, out + n, max - n, e->name,
					     &p.attr, e->pos);
		if (k > max - n)
			break;
		n += k;
	}
	lock_drop(&fs.lock);
	(void)fuse_reply_buf(req, out, n);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t max, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	reply_dir(req, ino, max, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t max,
			   off_t off, struct fuse_file_info *fi)
{
	(void)fi;
	reply_dir(req, ino, max, off, true);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	(void)fuse_reply_err(req, 0);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	(void)fuse_reply_err(req, ENODATA);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	(void)ino;
	if (size)
		(void)fuse_reply_buf(req, NULL, 0);
	else
		(void)fuse_reply_xattr(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {
		.f_bsize = BLOCK_SIZE,
		.f_frsize = BLOCK_SIZE,
		.f_blocks = 1u << 28,
		.f_bfree = 1u << 28,
		.f_bavail = 1u << 28,
		.f_namemax = 255,
	};

	(void)ino;
	(void)fuse_reply_statfs(req, &st);
}

/* What is absent here is ENOSYS: the kernel asks once and never again. */
static const struct fuse_lowlevel_ops plain = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_remove,
	.rmdir = op_remove,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.opendir = op_open,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.create = op_create,
};

static bool fs_init(void)
{
	lock_init(&fs.lock);
	/* Reserved whole: pages come with use, and readers need no lock. */
	fs.node = calloc(N_NODE_MAX, sizeof(*fs.node));
	fs.n_node = FUSE_ROOT_ID;
	return fs.node && node_new(S_IFDIR | 0755, NULL);
}

static int serve(struct fuse_session *se, const char *mountpoint)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r = -1;

	if (config && fuse_session_mount(se, mountpoint) == 0) {
		r = fuse_session_loop_mt(se, config);
		fuse_session_unmount(se);
	}
	fuse_loop_cfg_destroy(config);
	return r;
}

int main(int argc, char **argv)
{
	char option[] = "-ofsname=nullfs,subtype=nullfs";
	char *words[] = { argv[0], option, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_lowlevel_ops ops = plain;
	struct fuse_session *se;
	bool xattr = argc == 3 && strcmp(argv[1], "--xattr") == 0;
	int r = -1;

	if (argc != 2 && !xattr) {
		(void)fprintf(stderr, "usage: nullfs [--xattr] MOUNTPOINT\n");
		return 2;
	}
	if (xattr) {
		ops.getxattr = op_getxattr;
		ops.listxattr = op_listxattr;
	}
	if (!fs_init()) {
		(void)fprintf(stderr, "nullfs: no memory\n");
		return 1;
	}
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se && fuse_set_signal_handlers(se) == 0) {
		r = serve(se, argv[argc - 1]);
		fuse_remove_signal_handlers(se);
	}
	if (se)
		fuse_session_destroy(se);
	return r == 0 ? 0 : 1;
}
