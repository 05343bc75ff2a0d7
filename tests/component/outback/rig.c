/* rig.c - the life of a device: its rooms in one process, its stores */
#include "rig.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "helper/recorder.h"
#include "ledger/head_info.h"
#include "net/fan.h"
#include "parks.h"
#include "retrieve/salvage.h"

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

int rig_set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	rig_new(r);
	*state = r;
	return 0;
}

int rig_set_up_parks(void **state)
{
	(void)rig_set_up(state); /* 0 */
	((struct rig *)*state)->parks = parks_new();
	return 0;
}

int rig_tear_down(void **state)
{
	struct rig *r = *state;

	if (r->parks)
		parks_free(r->parks);
	rig_free(r);
	free(r);
	return 0;
}

static void open_io(struct device *d)
{
	char path[256];

	rig_path(d->rig, d->name, path, sizeof(path));
	if (d->rig->disk) {
		d->io = recorder_io(d->rig->disk);
	} else {
		if (mkdir(path, 0700) < 0)
			assert_int_equal(errno, EEXIST);
		ok(io_dir_new(path, &d->io));
	}
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
#define NO_VERB  (-1) /* 0 is PUT */

struct hang {
	struct provider_ops ops;
	const struct provider_ops *real;
	unsigned patience_ms; /* of calls to one that does not hang */
	struct lock lock;
	bool hangs;                          /* lock: lock */
	int verb;                            /* lock: lock; NO_VERB: any */
	struct provider_req *kept[KEPT_MAX]; /* lock: lock */
	unsigned n;                          /* lock: lock */
	bool full;                           /* lock: lock */
	/* An answer that comes late: of this request, which was given so. */
	int late; /* lock: lock; the next of it is; NO_VERB: none */
	struct provider_req *asked; /* lock: lock */
	bool answered;              /* lock: lock */
	int status;
	void (*done)(struct provider_req *req, int status);
	struct cond cond;
};

static struct hang *hang_of(struct provider *p)
{
	/* The head of ours. */
	return (struct hang *)(uintptr_t)p->ops; // NOLINT(performance-no-int-to-ptr)
}

static void on_late(struct provider_req *req, int status)
{
	struct hang *h = hang_of(req->provider);

	lock_take(&h->lock);
	h->status = status;
	h->answered = true;
	cond_wake_all(&h->cond);
	lock_drop(&h->lock);
}

static int hang_start(struct provider *p, struct provider_req *req)
{
	struct hang *h = hang_of(p);
	bool hangs, full;

	lock_take(&h->lock);
	full = h->full && req->verb == PROVIDER_PUT;
	hangs = h->hangs && (h->verb == NO_VERB || h->verb == (int)req->verb);
	if (!hangs && !full && h->late == (int)req->verb) {
		h->late = NO_VERB;
		h->asked = req;
		h->done = req->done;
		req->done = on_late;
	}
	if (hangs) {
		assert_in_range(h->n, 0, KEPT_MAX - 1);
		h->kept[h->n++] = req;
	}
	lock_drop(&h->lock);
	if (hangs)
		return 0;
	return full ? -ENOSPC : h->real->start(p, req);
}

/* Before anything is asked of it. */
static void hang_install(struct device *d, size_t i)
{
	struct hang *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	lock_init(&h->lock);
	cond_init(&h->cond);
	h->real = d->stores[i]->ops;
	h->ops = *h->real;
	h->ops.start = hang_start;
	h->verb = h->late = NO_VERB;
	h->patience_ms = d->stores[i]->silence_ms;
	d->stores[i]->ops = &h->ops;
	d->hangs[i] = h;
}

/* Calls look at it under this lock, or after they had it. */
static void set_patience(struct provider *p, unsigned ms)
{
	lock_take(&p->lock);
	p->silence_ms = ms;
	lock_drop(&p->lock);
}

void device_hang(struct device *d, size_t i)
{
	lock_take(&d->hangs[i]->lock);
	d->hangs[i]->hangs = true;
	lock_drop(&d->hangs[i]->lock);
	set_patience(d->stores[i], RIG_SILENT_MS);
}

void device_wake(struct device *d, size_t i)
{
	struct hang *h = d->hangs[i];

	set_patience(d->stores[i], h->patience_ms);
	lock_take(&h->lock);
	h->hangs = false;
	h->verb = NO_VERB;
	for (unsigned k = 0; k < h->n; k++)
		ok(h->real->start(d->stores[i], h->kept[k]));
	h->n = 0;
	lock_drop(&h->lock);
}

void device_hold(struct device *d, size_t i, enum provider_verb verb)
{
	lock_take(&d->hangs[i]->lock);
	d->hangs[i]->hangs = true;
	d->hangs[i]->verb = (int)verb;
	lock_drop(&d->hangs[i]->lock);
}

void device_full(struct device *d, size_t i, bool full)
{
	lock_take(&d->hangs[i]->lock);
	d->hangs[i]->full = full;
	lock_drop(&d->hangs[i]->lock);
}

void device_crawl(struct device *d, size_t i)
{
	lock_take(&d->hangs[i]->lock);
	for (unsigned k = 0; k < d->hangs[i]->n; k++)
		atomic_fetch_add(&d->hangs[i]->kept[k]->moved, 1);
	lock_drop(&d->hangs[i]->lock);
}

void device_late(struct device *d, size_t i, enum provider_verb verb)
{
	lock_take(&d->hangs[i]->lock);
	d->hangs[i]->late = (int)verb;
	lock_drop(&d->hangs[i]->lock);
}

void device_late_cid(struct device *d, size_t i, struct piece_cid *ret)
{
	struct hang *h = d->hangs[i];

	lock_take(&h->lock);
	while (!h->answered)
		cond_wait(&h->cond, &h->lock);
	assert_int_equal(h->status, 0);
	*ret = h->asked->cid;
	lock_drop(&h->lock);
}

void device_let_go(struct device *d, size_t i)
{
	struct hang *h = d->hangs[i];
	struct provider_req *req;

	lock_take(&h->lock);
	assert_true(h->answered);
	req = h->asked;
	h->answered = false;
	lock_drop(&h->lock);
	req->done = h->done;
	req->done(req, h->status);
}

static void close_provider(struct device *d, size_t i)
{
	struct hang *h = d->hangs[i];

	if (!d->stores[i])
		return;
	if (h)
		device_wake(d, i);
	assert_true(provider_settle(d->stores[i], RIG_WAIT_MS));
	far_free(d->far[i]);
	d->far[i] = NULL;
	assert_true(provider_free(d->stores[i]));
	if (h) {
		cond_fini(&h->cond);
		lock_fini(&h->lock);
	}
	free(h);
	d->hangs[i] = NULL;
	d->stores[i] = NULL;
}

/* As init does; elsewhere stores only become what stands there. */
static void make_folders(struct device *d)
{
	char name[32], path[256];

	for (size_t i = 0; i < d->n_stores; i++) {
		(void)snprintf(name, sizeof(name), "s%zu", i);
		rig_path(d->rig, name, path, sizeof(path));
		if (mkdir(path, 0777) < 0)
			assert_int_equal(errno, EEXIST);
	}
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
		if (!p.silence_ms)
			p.silence_ms = RIG_PATIENT_MS;
		p.url = url;
		p.create = create;
		if (d->ledger) {
			ok(ledger_store_get(d->ledger, d->ids[i], &row));
			p.id = row.has_ident ? row.ident : NULL;
			p.create = !row.has_ident;
			if (d->rig->parks) /* theirs is not the folder's */
				p.id = NULL;
		}
		ok(provider_new(&p, &d->stores[i], &e));
		if (d->rig->parks)
			parks_install(d->rig->parks, i, d->stores[i], d->loop);
		if (d->rig->line.latency_ms)
			d->far[i] = far_new(d->stores[i], &d->rig->line);
		else
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
	struct cache_params p = {
		.io = d->io,
		.key = keys_secret(d->rig->keys, KEYS_DB),
		.commit_interval_ms = 5000,
		.full_timeout_ms = d->rig->cache_bytes ? 1000 : 5000,
		.max_bytes = d->rig->cache_bytes,
		.meta_floor_bytes = d->rig->cache_bytes ? 1u << 20 : 0
	};

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

static struct lock doubting = { PTHREAD_MUTEX_INITIALIZER }; /* d->onboard */

static void on_doubted(void *ctx, uint64_t store, uint64_t piece)
{
	struct device *d = ctx;

	lock_take(&doubting);
	if (d->onboard)
		onboard_doubted(d->onboard, store, piece);
	lock_drop(&doubting);
}

static void set_onboard(struct device *d, struct onboard *o)
{
	lock_take(&doubting);
	d->onboard = o;
	lock_drop(&doubting);
}

static void open_rest(struct device *d)
{
	struct retrieve_store rs[RIG_STORES_MAX];
	struct retrieve_params rp = { .ledger = d->ledger,
				      .io = d->io,
				      .stores = rs,
				      .n_stores = d->n_stores,
				      .doubted = on_doubted,
				      .ctx = d,
				      .n_threads = d->far[0] ? 0 : 4,
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
	make_folders(d);
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
				    .watch_ms = d->watch_ms,
				    .watch_away_s = d->watch_away_s,
				    .away_ms = RIG_PATIENT_MS,
				    .piece_target = d->piece_target,
				    .piece_blocks = d->piece_blocks,
				    .outbox_max = d->outbox_max,
				    .results_max = d->results_max };
	struct onboard *o = NULL;
	struct err e = { "" };

	for (size_t i = 0; i < d->n_stores; i++)
		v[i] = (struct onboard_store){ d->ids[i], d->stores[i] };
	if (onboard_new(&p, &o, &e) < 0)
		fail_msg("%s", e.text);
	set_onboard(d, o);
	ok(onboard_start(d->onboard));
}

void device_close(struct device *d)
{
	uint64_t began = monotonic_ms();
	struct onboard *o = d->onboard;

	for (size_t i = 0; i < d->n_stores; i++)
		if (d->stores[i])
			provider_stop(d->stores[i]);
	set_onboard(d, NULL);
	onboard_free(o);
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
	if (!d->rig->disk)
		io_free(d->io);
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

int no_progress(void *ctx, const char *stage, uint64_t done, uint64_t total)
{
	(void)ctx;
	(void)stage;
	(void)done;
	(void)total;
	return 0;
}

void device_begun(struct device *d, struct rig *r, size_t n_stores, unsigned copies)
{
	device_init(d, r, "a", n_stores, copies);
	device_start(d);
	f_fill(d, "first", 0, 3u << 20, 1);
	ok(device_sync(d));
	for (size_t i = 0; i < n_stores; i++)
		device_until_newest(d, i, 1);
	device_close(d);
	device_open(d);
}

uint64_t device_newest_at(struct device *d, size_t i)
{
	struct piece_cid cid;
	uint64_t h = 0;
	int r = head_newest(d->stores[i], d->rig->keys, 0, &h, &cid, NULL);

	assert_true(r == 0 || r == -ENOENT);
	return h;
}

void device_until_newest(struct device *d, size_t i, uint64_t want)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (device_newest_at(d, i) < want) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0); /* others are at work */
	}
}

/* ---- recover ---- */

static int attach(void *ctx, size_t i)
{
	struct device *d = ctx;
	struct provider_req req = { .verb = PROVIDER_ATTACH };

	return provider_call(d->stores[i], &req);
}

void device_look(struct device *d, struct rig *r, const char *name, size_t n_stores)
{
	*d = (struct device){ .rig = r, .n_stores = n_stores, .copies = 1 };
	text_copy(d->name, sizeof(d->name), name);
	open_io(d);
	open_providers(d, false);
	best_effort(fan_out(n_stores, RIG_STORES_MAX, attach, d)); /* away is a
								      case */
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

/*
 * By a timer of its own: of a parent that sleeps so long nobody knows when it gets a
 * processor again, and what the child has done until then.
 */
static void set_end(long us)
{
	const struct itimerspec t = { .it_value = { us / 1000000,
						    MAX(us % 1000000 * 1000, 1) } };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &e, &timer) != 0 ||
	    timer_settime(timer, 0, &t, NULL) != 0)
		_exit(2);
}

bool device_lives_through(struct device *d, int (*child)(struct device *d), long us)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		set_end(us);
		_exit(child(d));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return false;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
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
