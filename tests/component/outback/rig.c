#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "ledger/head_info.h"
#include "parks.h"
#include "retrieve/salvage.h"

#define BLOCK (1u << 20)

/* ---- life ---- */

void rig_new(struct rig *r)
{
	static const uint8_t entropy[SECRET_SIZE] = { 1, 2, 3, 4, 5 };
	const char *tmp = getenv("TMPDIR");

	ok(secret_init_library());
	(void)snprintf(r->root, sizeof(r->root), "%.32s/outback-XXXXXX",
		       tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->root));
	ok(secret_new(entropy, &r->entropy));
	ok(keys_from_entropy(r->entropy, &r->keys));
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

void rig_path(struct rig *r, const char *name, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/%s", r->root, name);
}

void rig_remove(struct rig *r, const char *name)
{
	char path[256];

	rig_path(r, name, path, sizeof(path));
	(void)nftw(path, rm, 16, FTW_DEPTH | FTW_PHYS);
}

void rig_free(struct rig *r)
{
	rig_remove(r, ".");
	(void)nftw(r->root, rm, 16, FTW_DEPTH | FTW_PHYS);
	keys_free(r->keys);
	secret_free(r->entropy);
}

static void open_io(struct device *d)
{
	char path[256];

	rig_path(d->rig, d->name, path, sizeof(path));
	if (mkdir(path, 0700) < 0)
		assert_int_equal(errno, EEXIST);
	ok(io_dir_new(path, &d->io));
	ok(loop_new(&d->loop));
	ok(loop_start(d->loop));
	ok(work_new(d->loop, 2, &d->work));
}

static void store_url(struct device *d, size_t i, char *ret, size_t size)
{
	(void)snprintf(ret, size, "dir://%s/s%zu", d->rig->root, i);
}

/* ---- stores that hang ---- */

#define KEPT_MAX 256

struct hang {
	struct provider_ops ops;
	const struct provider_ops *real;
	struct lock lock;
	bool hangs;                          /* lock: lock */
	struct provider_req *kept[KEPT_MAX]; /* lock: lock */
	unsigned n;                          /* lock: lock */
};

static int hang_start(struct provider *p, struct provider_req *req)
{
	/* The head of ours. */
	struct hang *h = (struct hang *)(uintptr_t)p->ops; // NOLINT(performance-no-int-to-ptr)
	bool hangs;

	lock_take(&h->lock);
	hangs = h->hangs;
	if (hangs) {
		assert_in_range(h->n, 0, KEPT_MAX - 1);
		h->kept[h->n++] = req;
	}
	lock_drop(&h->lock);
	return hangs ? 0 : h->real->start(p, req);
}

/* Before anything is asked of it. */
static void hang_install(struct device *d, size_t i)
{
	struct hang *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	lock_init(&h->lock);
	h->real = d->stores[i]->ops;
	h->ops = *h->real;
	h->ops.start = hang_start;
	d->stores[i]->ops = &h->ops;
	d->hangs[i] = h;
}

void device_hang(struct device *d, size_t i)
{
	lock_take(&d->hangs[i]->lock);
	d->hangs[i]->hangs = true;
	lock_drop(&d->hangs[i]->lock);
}

void device_wake(struct device *d, size_t i)
{
	struct hang *h = d->hangs[i];

	lock_take(&h->lock);
	h->hangs = false;
	for (unsigned k = 0; k < h->n; k++)
		ok(h->real->start(d->stores[i], h->kept[k]));
	h->n = 0;
	lock_drop(&h->lock);
}

static void close_provider(struct device *d, size_t i)
{
	struct hang *h = d->hangs[i];

	if (!d->stores[i])
		return;
	device_wake(d, i);
	assert_true(provider_settle(d->stores[i], 10000));
	assert_true(provider_free(d->stores[i]));
	lock_fini(&h->lock);
	free(h);
	d->hangs[i] = NULL;
	d->stores[i] = NULL;
}

static void open_providers(struct device *d, bool create)
{
	for (size_t i = 0; i < d->n_stores; i++) {
		struct provider_params p = { .loop = d->loop,
					     .silence_ms = d->rig->silence_ms };
		struct ledger_store row;
		struct err e = { "" };
		char url[256];

		store_url(d, i, url, sizeof(url));
		p.url = url;
		p.create = create;
		if (d->ledger) {
			ok(ledger_store_get(d->ledger, d->ids[i], &row));
			p.id = row.has_ident ? row.ident : NULL;
			p.create = !row.has_ident;
		}
		ok(provider_new(&p, &d->stores[i], &e));
		if (d->rig->parks)
			parks_install(d->rig->parks, i, d->stores[i], d->loop);
		hang_install(d, i);
		if (d->rig->hung & 1u << i)
			device_hang(d, i);
	}
}

static void open_ledger(struct device *d)
{
	struct ledger_params p = { .io = d->io,
				   .key = keys_secret(d->rig->keys, KEYS_DB) };
	char urls[RIG_STORES_MAX][256];
	const char *v[RIG_STORES_MAX];
	struct err e = { "" };

	memcpy(p.drive_id, keys_drive_id(d->rig->keys), sizeof(p.drive_id));
	if (ledger_open(&p, &d->ledger, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < d->n_stores; i++) {
		store_url(d, i, urls[i], sizeof(urls[i]));
		v[i] = urls[i];
	}
	ok(ledger_stores_set(d->ledger, v, d->n_stores, d->ids));
}

static struct cache_params cache_params(struct device *d)
{
	struct cache_params p = { .io = d->io,
				  .key = keys_secret(d->rig->keys, KEYS_DB),
				  .commit_interval_ms = 5000,
				  .full_timeout_ms = 5000 };

	memcpy(p.drive_id, keys_drive_id(d->rig->keys), sizeof(p.drive_id));
	return p;
}

static int on_newest(void *ctx, const struct ledger_head *h)
{
	struct head_info info;

	ok(head_info_decode(h->body, &info));
	*(struct link *)ctx = info.inode_table;
	return 0;
}

static void open_rest(struct device *d)
{
	struct retrieve_store rs[RIG_STORES_MAX];
	struct retrieve_params rp = { .ledger = d->ledger,
				      .io = d->io,
				      .stores = rs,
				      .n_stores = d->n_stores,
				      .n_threads = 4,
				      .give_up_ms = RIG_GIVE_UP_MS };
	struct link table = { .kind = LINK_NONE };
	struct cache_params cp = cache_params(d);
	struct err e = { "" };
	uint64_t seq;

	for (size_t i = 0; i < d->n_stores; i++)
		rs[i] = (struct retrieve_store){ d->ids[i], d->stores[i] };
	ok(retrieve_new(&rp, &d->retrieve));
	ok(ledger_newest_head(d->ledger, &seq));
	if (seq)
		ok(ledger_head_get(d->ledger, seq, on_newest, &table));
	retrieve_set_inode_table(d->retrieve, &table);
	cp.source = retrieve_source(d->retrieve);
	if (cache_open(&cp, &d->cache, &e) < 0)
		fail_msg("%s", e.text);
}

void device_open(struct device *d)
{
	open_io(d);
	open_ledger(d);
	open_providers(d, false);
	open_rest(d);
}

void device_init(struct device *d, struct rig *r, const char *name,
		 size_t n_stores, unsigned copies)
{
	const struct cache_root root = { .uid = 1000, .gid = 1000, .mode = 0755 };
	_cleanup_secret_ struct secret *convergence = NULL;
	struct cache_params cp;
	struct err e = { "" };

	*d = (struct device){ .rig = r, .n_stores = n_stores, .copies = copies };
	text_copy(d->name, sizeof(d->name), name);
	open_io(d);
	ok(secret_new_random(&convergence));
	if (ledger_format(d->io, r->keys, convergence, 1, &e) < 0)
		fail_msg("%s", e.text);
	cp = cache_params(d);
	if (cache_format(&cp, &root, &e) < 0)
		fail_msg("%s", e.text);
	open_ledger(d);
	open_providers(d, true);
	open_rest(d);
}

static int node_body(void *ctx, const struct link *l, struct buf *ret, struct err *e)
{
	return retrieve_body(ctx, l, ret, e);
}

static int node_list(void *ctx, const struct link *dir,
		     int (*cb)(void *ctx, const struct dir_item *item),
		     void *cb_ctx, struct err *e)
{
	return retrieve_list(ctx, dir, cb, cb_ctx, e);
}

void device_start(struct device *d)
{
	struct onboard_store v[RIG_STORES_MAX];
	struct onboard_params p = { .cache = d->cache,
				    .ledger = d->ledger,
				    .io = d->io,
				    .keys = d->rig->keys,
				    .work = d->work,
				    .nodes = { node_body, node_list, d->retrieve },
				    .stores = v,
				    .n_stores = d->n_stores,
				    .copies = d->copies,
				    .device = d->name,
				    .manual = true,
				    .piece_target = d->piece_target };
	struct err e = { "" };

	for (size_t i = 0; i < d->n_stores; i++)
		v[i] = (struct onboard_store){ d->ids[i], d->stores[i] };
	if (onboard_new(&p, &d->onboard, &e) < 0)
		fail_msg("%s", e.text);
	ok(onboard_start(d->onboard));
}

void device_close(struct device *d)
{
	uint64_t began = monotonic_ms();

	for (size_t i = 0; i < d->n_stores; i++)
		if (d->stores[i])
			provider_stop(d->stores[i]);
	onboard_free(d->onboard);
	if (d->retrieve)
		retrieve_stop(d->retrieve);
	if (d->cache)
		ok(cache_close(d->cache));
	d->closed_ms = monotonic_ms() - began;
	retrieve_free(d->retrieve);
	for (size_t i = 0; i < d->n_stores; i++)
		close_provider(d, i);
	work_free(d->work);
	ledger_close(d->ledger);
	loop_stop(d->loop);
	loop_free(d->loop);
	io_free(d->io);
	d->onboard = NULL;
	d->retrieve = NULL;
	d->cache = NULL;
	d->work = NULL;
	d->ledger = NULL;
	d->loop = NULL;
	d->io = NULL;
}

int device_sync(struct device *d)
{
	struct err e = { "" };
	int r;

	r = onboard_wait(d->onboard, onboard_request(d->onboard), RIG_WAIT_MS, &e);
	if (r < 0)
		print_message("# sync: %s\n", e.text);
	return r;
}

/* ---- recover ---- */

void device_look(struct device *d, struct rig *r, const char *name, size_t n_stores)
{
	*d = (struct device){ .rig = r, .n_stores = n_stores, .copies = 1 };
	text_copy(d->name, sizeof(d->name), name);
	open_io(d);
	open_providers(d, false);
	for (size_t i = 0; i < n_stores; i++) {
		struct provider_req req = { .verb = PROVIDER_ATTACH };

		best_effort(provider_call(d->stores[i], &req)); /* away is a case */
	}
}

int device_find(struct device *d, struct rig *r, const char *name, size_t n_stores,
		uint64_t before, struct recover_found **ret, struct err *e)
{
	struct recover_params p = { .keys = r->keys, .before = before };

	device_look(d, r, name, n_stores);
	p.stores = d->stores;
	p.n_stores = n_stores;
	return recover_find(&p, ret, e);
}

void device_find_end(struct device *d)
{
	device_close(d);
}

void device_fill(struct device *d, const struct recover_found *f, struct salvage *s)
{
	struct cache_params cp;
	struct err e = { "" };

	if (ledger_format(d->io, d->rig->keys, commit_convergence(f->commit),
			  commit_info(f->commit)->epoch, &e) < 0)
		fail_msg("%s", e.text);
	open_ledger(d);
	if (recover_into(f, d->ledger, d->ids, &e) < 0)
		fail_msg("%s", e.text);
	cp = cache_params(d);
	if (recover_format(f, &cp, &e) < 0)
		fail_msg("%s", e.text);
	if (s && salvage_mend(s, &cp, &e) < 0)
		fail_msg("%s", e.text);
	open_rest(d);
}

void device_recover(struct device *d, struct rig *r, const char *name,
		    size_t n_stores, unsigned copies, uint64_t before)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct err e = { "" };

	if (device_find(d, r, name, n_stores, before, &f, &e) < 0)
		fail_msg("%s", e.text);
	d->copies = copies;
	device_fill(d, f, NULL);
}

void device_snapshot(struct device *d, struct device *of, const struct snapshot *s)
{
	struct cache_params cp;
	struct err e = { "" };

	*d = (struct device){ .rig = of->rig };
	text_copy(d->name, sizeof(d->name), "snap");
	open_io(d);
	cp = cache_params(d);
	if (cache_format_from(&cp, &s->root, slice(s->link, s->n_link),
			      1ull << 60, &e) < 0)
		fail_msg("%s", e.text);
	retrieve_set_inode_table(of->retrieve, &s->inode_table);
	cp.source = retrieve_source(of->retrieve);
	if (cache_open(&cp, &d->cache, &e) < 0)
		fail_msg("%s", e.text);
}

void device_snapshot_end(struct device *d, struct device *of)
{
	ok(cache_close(d->cache));
	work_free(d->work);
	loop_stop(d->loop);
	loop_free(d->loop);
	io_free(d->io);
	rig_remove(of->rig, "snap");
}

/* ---- operations, with misses fetched ---- */

struct waiter {
	struct cache_fetch fetch;
	struct lock lock;
	struct cond cond;
	bool over;
	int status;
};

static void fetched(struct cache_fetch *f, int status)
{
	struct waiter *w = container_of(f, struct waiter, fetch);

	lock_take(&w->lock);
	w->over = true;
	w->status = status;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

static int fetch(struct device *d, const struct cache_op *op)
{
	struct waiter w = {
		.fetch = { .miss = op->miss, .done = fetched, .timeout_ms = 20000 }
	};
	int r;

	lock_init(&w.lock);
	cond_init(&w.cond);
	r = cache_fetch(d->cache, &w.fetch);
	if (r == 0) {
		lock_take(&w.lock);
		while (!w.over)
			cond_wait(&w.cond, &w.lock);
		lock_drop(&w.lock);
		r = w.status;
	}
	cond_fini(&w.cond);
	lock_fini(&w.lock);
	return r;
}

#define again(r, op, call) \
 do {                      \
  (r) = (call);            \
  if ((r) != -EINPROGRESS) \
   break;                  \
  (r) = fetch(d, &(op));   \
 } while ((r) == 0)

static int lookup_at(struct device *d, uint64_t parent, struct slice name,
		     struct cache_attr *ret)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_lookup(d->cache, &op, parent, name, ret));
	if (r == 0)
		cache_forget(d->cache, ret->ino, 1);
	return r;
}

/* The directory of `path`, and its last name. */
static uint64_t parent_of(struct device *d, const char *path, struct slice *name)
{
	uint64_t ino = CACHE_ROOT_INO;
	struct cache_attr a;
	const char *end;

	while ((end = strchr(path, '/'))) {
		ok(lookup_at(d, ino, slice(path, (size_t)(end - path)), &a));
		ino = a.ino;
		path = end + 1;
	}
	*name = slice_str(path);
	return ino;
}

uint64_t f_lookup(struct device *d, const char *path, struct cache_attr *ret)
{
	struct cache_attr a;
	struct slice name;
	uint64_t parent;

	if (!*path)
		return CACHE_ROOT_INO;
	parent = parent_of(d, path, &name);
	ok(lookup_at(d, parent, name, &a));
	if (ret)
		*ret = a;
	return a.ino;
}

static uint64_t make(struct device *d, const char *path, const struct cache_new *n)
{
	struct cache_op op = { .uid = 0 };
	struct cache_attr a;
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);
	int r;

	again(r, op, cache_mknod(d->cache, &op, parent, name, n, &a));
	ok(r);
	cache_forget(d->cache, a.ino, 1);
	return a.ino;
}

uint64_t f_mkdir(struct device *d, const char *path)
{
	const struct cache_new n = { .mode = S_IFDIR | 0750, .uid = 7, .gid = 8 };

	return make(d, path, &n);
}

void f_symlink(struct device *d, const char *path, const char *target)
{
	const struct cache_new n = { .mode = S_IFLNK | 0777,
				     .target = slice_str(target) };

	(void)make(d, path, &n);
}

void f_node(struct device *d, const char *path, mode_t mode, dev_t rdev)
{
	const struct cache_new n = { .mode = mode, .rdev = rdev };

	(void)make(d, path, &n);
}

static void write_at(struct device *d, uint64_t ino, uint64_t off,
		     const uint8_t *p, size_t n)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_write(d->cache, &op, ino, off, slice(p, n), 0));
	ok(r);
}

static uint64_t file_of(struct device *d, const char *path)
{
	const struct cache_new new = { .mode = S_IFREG | 0644,
				       .uid = 1000,
				       .gid = 100 };
	struct cache_attr a;
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);

	if (lookup_at(d, parent, name, &a) == 0)
		return a.ino;
	return make(d, path, &new);
}

uint64_t f_write(struct device *d, const char *path, uint64_t off,
		 const void *p, size_t n)
{
	uint64_t ino = file_of(d, path);

	if (n)
		write_at(d, ino, off, p, n);
	return ino;
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

uint64_t f_fill(struct device *d, const char *path, uint64_t off, uint64_t n,
		uint64_t seed)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u, done = 0;
	uint8_t *p = malloc(BLOCK);
	uint64_t ino = file_of(d, path);

	assert_non_null(p);
	for (; done < n; done += MIN(BLOCK, n - done)) {
		for (size_t i = 0; i < BLOCK; i += 8)
			put_le64(p + i, next(&x));
		write_at(d, ino, off + done, p, MIN(BLOCK, n - done));
	}
	free(p);
	return ino;
}

void f_link(struct device *d, const char *from, const char *to)
{
	struct cache_op op = { .uid = 0 };
	uint64_t ino = f_lookup(d, from, NULL), parent;
	struct cache_attr a;
	struct slice name;
	int r;

	parent = parent_of(d, to, &name);
	again(r, op, cache_link(d->cache, &op, ino, parent, name, &a));
	ok(r);
	cache_forget(d->cache, a.ino, 1);
}

void f_unlink(struct device *d, const char *path)
{
	struct cache_op op = { .uid = 0 };
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);
	int r;

	again(r, op, cache_unlink(d->cache, &op, parent, name));
	ok(r);
}

void f_rename(struct device *d, const char *from, const char *to)
{
	struct cache_op op = { .uid = 0 };
	struct slice a, b;
	uint64_t p = parent_of(d, from, &a), q = parent_of(d, to, &b);
	int r;

	again(r, op, cache_rename(d->cache, &op, p, a, q, b, 0));
	ok(r);
}

void f_set(struct device *d, const char *path, const struct cache_setattr *s)
{
	uint64_t ino = f_lookup(d, path, NULL);
	struct cache_op op = { .uid = 0 };
	struct cache_attr a;
	int r;

	again(r, op, cache_setattr(d->cache, &op, ino, s, &a));
	ok(r);
}

void f_truncate(struct device *d, const char *path, uint64_t size)
{
	const struct cache_setattr s = { .mask = CACHE_SET_SIZE, .size = size };

	f_set(d, path, &s);
}

void f_xattr(struct device *d, const char *path, const char *name,
	     const void *p, size_t n)
{
	uint64_t ino = f_lookup(d, path, NULL);
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op,
	      cache_setxattr(d->cache, &op, ino, slice_str(name), slice(p, n), 0));
	ok(r);
}

static int read_at(struct device *d, uint64_t ino, uint64_t off, uint8_t *dst,
		   size_t n, size_t *ret_n)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_read(d->cache, &op, ino, off, dst, n, ret_n));
	return r;
}

int f_read(struct device *d, const char *path, uint64_t off, uint8_t *dst,
	   size_t n, size_t *ret_n)
{
	return read_at(d, f_lookup(d, path, NULL), off, dst, n, ret_n);
}

/* ---- the tree as text ---- */

struct entries {
	struct {
		char name[256];
		uint64_t ino;
	} * v;
	size_t n, cap;
	uint64_t pos;
};

static int on_name(void *ctx, struct slice name, const struct cache_attr *attr,
		   uint64_t pos)
{
	struct entries *e = ctx;

	e->pos = pos;
	if (e->n == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 64;
		e->v = realloc(e->v, e->cap * sizeof(*e->v));
		assert_non_null(e->v);
	}
	memcpy(e->v[e->n].name, name.p, name.n);
	e->v[e->n].name[name.n] = '\0';
	e->v[e->n++].ino = attr->ino;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void text_bytes(struct device *d, struct buf *out, uint64_t ino, uint64_t size)
{
	uint8_t *p = malloc(BLOCK);
	uint64_t sum = 0xcbf29ce484222325u;
	uint64_t off = 0;
	size_t n = 0;
	int r = 0;

	assert_non_null(p);
	for (; off < size && r == 0; off += n) {
		r = read_at(d, ino, off, p, BLOCK, &n);
		if (r == 0 && n == 0)
			break;
		for (size_t i = 0; i < n && r == 0; i++)
			sum = (sum ^ p[i]) * 0x100000001b3u;
	}
	free(p);
	if (r < 0)
		ok(buf_printf(out, " unreadable"));
	else
		ok(buf_printf(out, " bytes %llu sum %016llx",
			      (unsigned long long)off, (unsigned long long)sum));
}

/* Chunks of 1 MiB that are holes from end to end. */
static void text_holes(struct device *d, struct buf *out, uint64_t ino, uint64_t size)
{
	uint64_t data, n = 0;
	int r;

	for (uint64_t off = 0; off < size; off += BLOCK) {
		struct cache_op op = { .uid = 0 };

		again(r, op, cache_lseek(d->cache, &op, ino, off, SEEK_DATA, &data));
		if (r == -ENXIO)
			data = UINT64_MAX;
		else if (r < 0)
			return;
		n += data >= off + MIN(BLOCK, size - off);
	}
	ok(buf_printf(out, " holes %llu", (unsigned long long)n));
}

static void text_xattrs(struct device *d, struct buf *out, uint64_t ino)
{
	uint8_t *names = malloc(65536), *value = malloc(65536);
	struct cache_op op = { .uid = 0 };
	size_t n = 0, m;
	int r;

	assert_true(names && value);
	again(r, op, cache_listxattr(d->cache, &op, ino, names, 65536, &n));
	ok(r);
	for (size_t i = 0; i < n; i += strlen((char *)names + i) + 1) {
		const char *name = (char *)names + i;
		uint64_t sum = 0;

		again(r, op,
		      cache_getxattr(d->cache, &op, ino, slice_str(name), value,
				     65536, &m));
		ok(r);
		for (size_t k = 0; k < m; k++)
			sum = sum * 31 + value[k];
		ok(buf_printf(out, " [%s %zu %llx]", name, m,
			      (unsigned long long)sum));
	}
	free(names);
	free(value);
}

static void text_inode(struct device *d, struct buf *out, uint64_t ino)
{
	struct cache_op op = { .uid = 0 };
	uint8_t target[4096];
	struct cache_attr a;
	size_t n;
	int r;

	again(r, op, cache_getattr(d->cache, &op, ino, &a));
	ok(r);
	ok(buf_printf(out, " ino %llu mode %o %u:%u nlink %u rdev %llx size %llu m %lld.%ld c %lld.%ld b %lld.%ld",
		      (unsigned long long)a.ino, a.mode, a.uid, a.gid,
		      S_ISDIR(a.mode) ? 0 : a.nlink, (unsigned long long)a.rdev,
		      S_ISDIR(a.mode) ? 0ull : (unsigned long long)a.size,
		      (long long)a.mtime.tv_sec, a.mtime.tv_nsec,
		      (long long)a.ctime.tv_sec, a.ctime.tv_nsec,
		      (long long)a.btime.tv_sec, a.btime.tv_nsec));
	if (S_ISLNK(a.mode)) {
		again(r, op,
		      cache_readlink(d->cache, &op, ino, target, sizeof(target),
				     &n));
		ok(r);
		ok(buf_printf(out, " -> %.*s", (int)n, (char *)target));
	}
	if (S_ISREG(a.mode)) {
		text_bytes(d, out, ino, a.size);
		text_holes(d, out, ino, a.size);
	}
	text_xattrs(d, out, ino);
}

static void text_dir(struct device *d, struct buf *out, uint64_t ino,
		     const char *path)
{
	struct entries e = { 0 };
	struct cache_op op = { .uid = 0 };
	char sub[1024];
	struct cache_attr a;
	size_t n;
	int r;

	/* A miss behind some names ends a call early: go on from there. */
	do {
		n = e.n;
		r = cache_readdir(d->cache, &op, ino, e.pos, on_name, &e);
		if (r == -EINPROGRESS) {
			r = fetch(d, &op);
			r = r < 0 ? r : -EAGAIN;
		}
	} while (r == -EAGAIN || (r == 0 && e.n > n));
	if (r < 0)
		ok(buf_printf(out, "%s: unreadable directory: %s\n", path,
			      err_str(r)));
	if (r == 0 && e.n)
		qsort(e.v, e.n, sizeof(*e.v), by_text);
	for (size_t i = 0; i < e.n && r == 0; i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e.v[i].name);
		if (lookup_at(d, ino, slice_str(e.v[i].name), &a) < 0) {
			ok(buf_printf(out, "%s: unreadable inode\n", sub));
			continue;
		}
		ok(buf_printf(out, "%s:", sub));
		text_inode(d, out, a.ino);
		ok(buf_printf(out, "\n"));
		if (S_ISDIR(a.mode))
			text_dir(d, out, a.ino, sub);
	}
	free(e.v);
}

char *tree_text(struct device *d)
{
	struct buf out;

	buf_init(&out, 64u << 20);
	ok(buf_printf(&out, ".:"));
	text_inode(d, &out, CACHE_ROOT_INO);
	ok(buf_printf(&out, "\n"));
	text_dir(d, &out, CACHE_ROOT_INO, "");
	ok(buf_u8(&out, 0));
	return (char *)out.p;
}

void tree_same(const char *want, const char *got)
{
	while (*want || *got) {
		size_t n = strcspn(want, "\n"), m = strcspn(got, "\n");

		if (n != m || memcmp(want, got, n) != 0)
			fail_msg("want %.*s\n    got  %.*s", (int)n, want,
				 (int)m, got);
		want += n + (want[n] == '\n');
		got += m + (got[m] == '\n');
	}
}

/* ---- stores ---- */

struct dated {
	struct piece_file file;
	struct timespec at;
};

static int by_time(const void *a, const void *b)
{
	const struct dated *x = a, *y = b;

	if (x->at.tv_sec != y->at.tv_sec)
		return x->at.tv_sec < y->at.tv_sec ? -1 : 1;
	return x->at.tv_nsec < y->at.tv_nsec ? -1 : x->at.tv_nsec > y->at.tv_nsec;
}

size_t store_pieces(struct rig *r, const char *store, struct piece_file *ret,
		    size_t max)
{
	char path[256], file[512];
	struct dated v[80];
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	DIR *dir;

	rig_path(r, store, path, sizeof(path));
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		if (!strstr(e->d_name, ".car") || n == ARRAY_LEN(v))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		assert_int_equal(stat(file, &st), 0);
		text_copy(v[n].file.name, sizeof(v[n].file.name), e->d_name);
		v[n].file.size = (uint64_t)st.st_size;
		v[n++].at = st.st_mtim;
	}
	(void)closedir(dir);
	qsort(v, n, sizeof(*v), by_time);
	for (size_t i = 0; i < n && i < max; i++)
		ret[i] = v[i].file;
	return n;
}

uint64_t store_bytes(struct rig *r, const char *store)
{
	struct piece_file v[80];
	uint64_t sum = 0;
	size_t n = store_pieces(r, store, v, ARRAY_LEN(v));

	for (size_t i = 0; i < n && i < ARRAY_LEN(v); i++)
		sum += v[i].size;
	return sum;
}

void rig_copy(struct rig *r, const char *from, const char *to)
{
	char a[256], b[256];
	int status;
	pid_t pid;

	rig_path(r, from, a, sizeof(a));
	rig_path(r, to, b, sizeof(b));
	pid = fork();
	if (pid == 0) {
		(void)execlp("cp", "cp", "-a", a, b, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
