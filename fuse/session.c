#include "fuse/session.h"

#include <limits.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "fuse/evict.h"
#include "fuse/mount.h"
#include "fuse/ops.h"
#include "fuse/opts.h"
#include "fuse/pool.h"
#include "fuse/retry.h"
#include "fuse/syncer.h"
#include "fuse/wire.h"

#define SELINUX_FS      "/sys/fs/selinux/enforce"
#define MAX_BACKGROUND  8192u      /* parked reads must not starve local ones */
#define READ_AHEAD      (2u << 20) /* two requests on their way */
#define N_RETRY_THREADS 2u
#define N_WORKERS_MIN   4u
#define N_WORKERS_MAX   16u

struct session {
	struct op_env env; /* libfuse's userdata */
	struct session_params p;
	struct opts opts;
	char *mountpoint; /* absolute */
	struct fuse_session *se;
	int fd; /* belongs to se */
	struct wire wire;
	struct evict evict;
	struct pool *pool;
	struct lock lock;
	bool stopped;      /* lock: lock */
	atomic_bool ready; /* params.ready was called */
};

/* ---- what libfuse calls ---- */

static void want(struct fuse_conn_info *c, unsigned cap, bool on)
{
	c->want &= ~cap;
	if (on)
		c->want |= c->capable & cap;
}

static void ll_init(void *userdata, struct fuse_conn_info *c)
{
	struct op_env *env = userdata;
	struct session *s = container_of(env, struct session, env);

	c->max_write = 1u << 20;
	c->max_read = s->opts.max_read;
	if (c->max_readahead > READ_AHEAD)
		c->max_readahead = READ_AHEAD;
	c->max_background = MAX_BACKGROUND;
	c->congestion_threshold = MAX_BACKGROUND;
	c->time_gran = 1;
	want(c, FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK, true);
	want(c, FUSE_CAP_PARALLEL_DIROPS, true);
	want(c, FUSE_CAP_CACHE_SYMLINKS, !env->atime);
	/* name_to_handle_at(2), also over NFS and across mounts. */
	want(c, FUSE_CAP_EXPORT_SUPPORT, true);
	want(c, FUSE_CAP_WRITEBACK_CACHE, s->opts.writeback_cache);
	/* Nobody else changes the drive: pages stay good when mtime moves. */
	want(c, FUSE_CAP_AUTO_INVAL_DATA, false);
	want(c, FUSE_CAP_EXPLICIT_INVAL_DATA, true);
	/* With it a read through O_DIRECT waits where no signal reaches it. */
	want(c, FUSE_CAP_ASYNC_DIO, false);
	/* O_TRUNC comes as setattr, see ll_open(). */
	want(c, FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_HANDLE_KILLPRIV, false);
	want(c, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
	     false);
	env->no_open = c->capable & FUSE_CAP_NO_OPEN_SUPPORT && !env->atime;
	env->no_opendir = c->capable & FUSE_CAP_NO_OPENDIR_SUPPORT && !env->diratime;
	atomic_store(&env->no_labels, access(SELINUX_FS, F_OK) < 0);
}

/* Requests are read by pool.c; libfuse does not do it itself. */
static ssize_t io_read(int fd, void *buf, size_t n, void *userdata)
{
	(void)userdata;
	return read(fd, buf, n);
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	struct op_env *env = userdata;

	wire_reply(&container_of(env, struct session, env)->wire, iov, count);
	return writev(fd, iov, count);
}

static void log_line_of_libfuse(enum fuse_log_level level, const char *fmt,
				va_list ap) __attribute__((format(printf, 2, 0)));
static void log_line_of_libfuse(enum fuse_log_level level, const char *fmt,
				va_list ap)
{
	char text[512];
	size_t n;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	n = strcspn(text, "\n");
	text[n] = '\0';
	log_line(level <= FUSE_LOG_ERR     ? LOG_LEVEL_ERROR :
		 level == FUSE_LOG_WARNING ? LOG_LEVEL_WARN :
					     LOG_LEVEL_DEBUG,
		 "libfuse: %s", text);
}

/* ---- serving ---- */

/* Without libfuse, which need not see it. */
static void refuse(struct session *s, uint64_t unique)
{
	struct fuse_out_header out = {
		.len = sizeof(out),
		.error = -EROFS,
		.unique = unique,
	};

	best_effort(write(s->fd, &out, sizeof(out))); /* as in reply.c */
}

static void serve(void *ctx, struct pool_worker *w, uint8_t *p, size_t n)
{
	struct session *s = ctx;
	struct wire_kind kind;
	struct fuse_buf buf = { .mem = p };

	if (evict_refuses(&s->evict, s->fd, p, n))
		return;
	buf.size = wire_request(&s->wire, p, n, &kind);
	if (kind.changes && s->opts.flags & MS_RDONLY) {
		refuse(s, kind.unique);
		return;
	}
	if (kind.heavy)
		pool_share(w);
	op_set_flags(kind.flags);
	fuse_session_process_buf(s->se, &buf);

	if (atomic_load_explicit(&s->ready, memory_order_relaxed))
		return;
	if (fuse_session_exited(s->se)) {
		pool_stop(pool_of(w), -EPROTO);
	} else if (s->wire.answered && !atomic_exchange(&s->ready, true)) {
		mount_read_ahead(s->mountpoint, READ_AHEAD >> 10);
		if (s->p.ready)
			s->p.ready(s->p.ctx);
	}
}

/* ---- life ---- */

static int new_libfuse(struct session *s)
{
	static const struct fuse_custom_io io = { .writev = io_writev,
						  .read = io_read };
	struct fuse_lowlevel_ops ops = { .init = ll_init };
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char limit[32];
	int r = fuse_opt_add_arg(&args, "fildrive");

	ops_names(&ops);
	ops_inode(&ops);
	ops_bytes(&ops);
	ops_dir(&ops);
	ops_xattr(&ops);
	if (s->opts.max_read) {
		(void)snprintf(limit, sizeof(limit), "-omax_read=%u",
			       s->opts.max_read);
		r |= fuse_opt_add_arg(&args, limit);
	}
	if (s->opts.allow_root)
		r |= fuse_opt_add_arg(&args, "-oallow_root");
	if (s->opts.debug)
		r |= fuse_opt_add_arg(&args, "-odebug");
	fuse_set_log_func(log_line_of_libfuse);
	if (r == 0)
		s->se = fuse_session_new(&args, &ops, sizeof(ops), &s->env);
	fuse_opt_free_args(&args);
	if (!s->se)
		return -ENOMEM;
	s->env.se = s->se;
	r = fuse_session_custom_io(s->se, &io, s->fd);
	if (r < 0)
		return r;
	return 0;
}

static int absolute(struct session *s, const char *mountpoint, struct err *reterr)
{
	s->mountpoint = realpath(mountpoint, NULL);
	if (s->mountpoint)
		return 0;
	/* mount_attach() says it best, for instance of a dead mount. */
	if (errno == ENOMEM)
		return err_set(reterr, -ENOMEM, "%s", err_str(-ENOMEM));
	s->mountpoint = strdup(mountpoint);
	return s->mountpoint ? 0 : -ENOMEM;
}

static int take_opts(struct session *s, struct err *reterr)
{
	int r = opts_parse(s->p.opts, &s->opts, reterr);

	if (r < 0)
		return r;
	if (s->p.read_only)
		s->opts.flags |= MS_RDONLY;
	if (s->p.writeback_cache)
		s->opts.writeback_cache = true;
	if (!s->opts.fsname[0])
		(void)snprintf(s->opts.fsname, sizeof(s->opts.fsname),
			       "fildrive:%s", s->p.drive ? s->p.drive : "");
	s->env.atime = !(s->opts.flags & (MS_NOATIME | MS_RDONLY));
	s->env.strict = s->opts.flags & MS_STRICTATIME;
	s->env.diratime = s->env.atime && !(s->opts.flags & MS_NODIRATIME);
	s->p.opts = s->p.drive = NULL; /* borrowed until here */
	return 0;
}

static int attach(struct session *s, struct err *reterr)
{
	struct retry_params rp = {
		.cache = s->p.cache,
		.n_threads = N_RETRY_THREADS,
		.timeout_ms = s->p.fetch_timeout_ms,
		.bytes_max = s->p.parked_bytes_max,
	};
	int r = absolute(s, s->p.mountpoint, reterr);

	if (r < 0)
		return r;
	s->p.mountpoint = s->mountpoint;
	r = retry_new(&rp, &s->env.retry);
	if (r == 0)
		r = syncer_new(s->p.cache, &s->env.syncer);
	if (r < 0)
		return err_set(reterr, r, "threads of the mount: %s", err_str(r));
	r = mount_attach(s->mountpoint, &s->opts, &s->fd, reterr);
	if (r < 0)
		return r;
	r = new_libfuse(s);
	if (r < 0)
		return err_set(reterr, r, "libfuse: %s", err_str(r));
	return 0;
}

int session_new(const struct session_params *p, struct session **ret,
		struct err *reterr)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(reterr, -ENOMEM, "%s", err_str(-ENOMEM));
	lock_init(&s->lock);
	s->p = *p;
	s->fd = -1;
	s->env.cache = p->cache;
	if (!s->p.fetch_timeout_ms)
		s->p.fetch_timeout_ms = SESSION_FETCH_TIMEOUT_MS;
	if (!s->p.parked_bytes_max)
		s->p.parked_bytes_max = SESSION_PARKED_BYTES_MAX;
	r = take_opts(s, reterr);
	if (r == 0)
		r = attach(s, reterr);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

static unsigned n_workers(const struct session *s)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = s->p.n_threads;

	if (!n)
		n = cpus > 0 ? 2 * (unsigned)cpus : 0;
	return MIN(N_WORKERS_MAX, MAX(N_WORKERS_MIN, n));
}

int session_run_threads(struct session *s, struct err *reterr)
{
	struct pool_params pp = {
		.fd = s->fd,
		.n_threads = n_workers(s),
		.serve = serve,
		.ctx = s,
	};
	int r = pool_new(&pp, &s->pool);

	return r < 0 ? err_set(reterr, r, "threads of the mount: %s", err_str(r)) :
		       0;
}

int session_wait(struct session *s)
{
	return pool_wait(s->pool);
}

/*
 * Out of the tree.  If the mount is busy the kernel would go on showing what it
 * has cached, to programs whose files are open and to who looks into its memory.
 * What waits for a store is answered first: it may hold a folder that evict_all()
 * has to lock.
 */
static void leave(struct session *s)
{
	bool busy = mount_detach(s->mountpoint, false) == -EBUSY; /* logged there */
	int r;

	if (mount_gone(s->fd))
		return;
	/* Or it was detached before, or is mounted elsewhere as well. */
	retry_stop(s->env.retry);
	evict_begin(&s->evict);
	r = atomic_load(&s->ready) ? evict_all(s->se, s->p.cache) : 0;
	if (r < 0)
		log_err(r, "the kernel still holds something of the drive in memory");
	if (busy)
		best_effort(mount_detach(s->mountpoint, true)); /* likewise */
}

void session_stop(struct session *s)
{
	bool first;

	lock_take(&s->lock);
	first = !s->stopped;
	s->stopped = true;
	lock_drop(&s->lock);
	if (!first)
		return;
	if (s->fd >= 0 && !mount_gone(s->fd))
		leave(s);
	retry_stop(s->env.retry);
	if (s->pool)
		pool_stop(s->pool, 0);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		session_stop(s);
	pool_free(s->pool);
	retry_free(s->env.retry);
	syncer_free(s->env.syncer);
	if (s->se)
		fuse_session_destroy(s->se); /* closes fd */
	else if (s->fd >= 0)
		(void)close(s->fd); /* nothing to lose in a device */
	free(s->mountpoint);
	lock_fini(&s->lock);
	free(s);
}

void session_stats(struct session *s, struct session_stats *ret)
{
	struct retry_stats rs;

	retry_stats(s->env.retry, &rs);
	*ret = (struct session_stats){
		.requests = s->pool ? pool_requests(s->pool) : 0,
		.parked = rs.parked,
		.parked_bytes = rs.parked_bytes,
		.parked_total = rs.parked_total,
		.timeouts = rs.timeouts,
	};
}

int session_check_opts(const char *opts, bool *ret_read_only, struct err *reterr)
{
	struct opts o;
	int r = opts_parse(opts, &o, reterr);

	if (r < 0)
		return r;
	*ret_read_only = o.flags & MS_RDONLY;
	return 0;
}

int session_remount(const char *mountpoint, const char *opts,
		    bool stays_read_only, struct err *reterr)
{
	unsigned long flags = 0;
	int r = mount_flags(mountpoint, &flags);

	if (r < 0)
		return err_set(reterr, r, "%s: %s", mountpoint, err_str(r));
	r = opts_parse_again(opts, flags, &flags, reterr);
	if (r < 0)
		return r;
	if (stays_read_only && !(flags & MS_RDONLY))
		return err_set(reterr, -EROFS,
			       "%s: the drive was mounted read only; unmount it, and mount it without ro",
			       mountpoint);
	return mount_again(mountpoint, flags, reterr);
}
