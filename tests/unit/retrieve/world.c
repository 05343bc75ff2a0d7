#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "crypto/seal.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/piece_writer.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define ANYWHERE UINT64_MAX

/* ---- stores ---- */

static struct store *store_of(struct provider *p)
{
	return container_of(p, struct store, provider);
}

/* What the mood makes of a GET; lock held. */
static int answer(struct store *s, struct provider_req *req)
{
	const struct buf *piece = &s->world->piece;
	uint64_t end = piece->n;

	switch (s->mood) {
	case STORE_AWAY:
		return err_set(&req->err, -EREMOTEIO, "the store is away");
	case STORE_WITHOUT: return -ENOENT;
	case STORE_CUT:
	case STORE_CUT_ERROR: end = MIN(end, s->cut); break;
	case STORE_GOOD:
	case STORE_WRONG:
	case STORE_SHORT:
	case STORE_BOASTS:
	case STORE_HANGS: break;
	}
	if (s->mood == STORE_CUT_ERROR && req->off + req->n > end)
		return err_set(&req->err, -EIO, "a bad sector");
	req->ret_n = req->off < end ? MIN(req->n, end - req->off) : 0;
	if (s->mood == STORE_SHORT)
		req->ret_n /= 2;
	memcpy(req->dst, piece->p + req->off, req->ret_n);
	for (size_t i = 0; i < req->ret_n && s->mood == STORE_WRONG; i++)
		req->dst[i] ^= 0xff;
	if (s->mood == STORE_BOASTS)
		req->ret_n += 1000;
	return 0;
}

static struct provider_req **hanging_at(struct store *s,
					const struct provider_req *req)
{
	for (size_t i = 0; i < HANGING_MAX; i++)
		if (s->hanging[i] == req)
			return &s->hanging[i];
	return NULL;
}

static int store_start(struct provider *p, struct provider_req *req)
{
	struct store *s = store_of(p);
	bool hangs;
	int r = 0;

	assert_int_equal(req->verb, PROVIDER_GET);
	lock_take(&s->lock);
	s->n_calls++;
	hangs = s->mood == STORE_HANGS && !atomic_load(&req->cancelled);
	if (hangs) {
		struct provider_req **at = hanging_at(s, NULL);

		if (!at)
			abort();
		*at = req;
		cond_wake_all(&s->cond);
	} else {
		r = atomic_load(&req->cancelled) ? -ECANCELED : answer(s, req);
	}
	lock_drop(&s->lock);
	if (!hangs)
		req->done(req, r);
	return 0;
}

static void store_cancel(struct provider *p, struct provider_req *req)
{
	struct store *s = store_of(p);
	struct provider_req **was;

	lock_take(&s->lock);
	was = hanging_at(s, req);
	if (was)
		*was = NULL;
	lock_drop(&s->lock);
	if (was)
		req->done(req, -ECANCELED);
}

static const char *store_name(struct provider *p)
{
	(void)p;
	return "a store";
}

static const struct provider_ops store_ops = { .start = store_start,
					       .cancel = store_cancel,
					       .name = store_name };

void mood(struct world *w, size_t store, enum store_mood m)
{
	struct store *s = &w->stores[store];

	lock_take(&s->lock);
	s->mood = m;
	s->n_calls = 0;
	lock_drop(&s->lock);
}

unsigned calls(struct world *w, size_t store)
{
	struct store *s = &w->stores[store];
	unsigned n;

	lock_take(&s->lock);
	n = s->n_calls;
	lock_drop(&s->lock);
	return n;
}

static bool is_hanging(const struct store *s, uint64_t off)
{
	for (size_t i = 0; i < HANGING_MAX; i++)
		if (s->hanging[i] && (off == ANYWHERE || s->hanging[i]->off == off))
			return true;
	return false;
}

void wait_until_hanging(struct world *w, size_t store)
{
	wait_until_hanging_at(w, store, ANYWHERE);
}

void wait_until_hanging_at(struct world *w, size_t store, uint64_t off)
{
	struct store *s = &w->stores[store];

	lock_take(&s->lock);
	while (!is_hanging(s, off))
		cond_wait(&s->cond, &s->lock);
	lock_drop(&s->lock);
}

/* ---- the piece ---- */

void loose_text(unsigned i, uint8_t ret[static LOOSE_SIZE])
{
	memset(ret, (int)(i + 1), LOOSE_SIZE);
}

void file_text(uint64_t off, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((off + i) * 31 + ((off + i) >> 12));
}

/* Seals into the piece; everything, so that there are blocks to fetch. */
struct test_sealer {
	struct sealer sealer;
	struct world *w;
	struct piece_writer *out;
};

static int seal(struct sealer *sealer, enum link_codec codec,
		enum block_kind kind, struct slice body, struct link *ret)
{
	struct test_sealer *s = container_of(sealer, struct test_sealer, sealer);
	struct ledger_block *row = &s->w->blocks[s->w->n_blocks];
	struct piece_block b = { .codec = codec,
				 .kind = kind == BLOCK_LEAF ? XINDEX_LEAF :
							      XINDEX_FILE };
	struct buf block;

	assert_true(s->w->n_blocks < ARRAY_LEN(s->w->blocks));
	buf_init(&block, SEAL_BLOCK_MAX);
	assert_int_equal(seal_block(s->w->convergence, SEAL_STORED, body,
				    &block, b.key, b.digest),
			 0);
	b.block = buf_slice(&block);
	*ret = (struct link){ .kind = LINK_SEALED, .codec = codec };
	memcpy(ret->digest, b.digest, sizeof(b.digest));
	memcpy(ret->key, b.key, sizeof(b.key));
	assert_int_equal(piece_writer_add(s->out, &b, &ret->place), 0);
	ret->place.piece = s->w->ordinal;
	buf_fini(&block);
	*row = (struct ledger_block){ .off = ret->place.off,
				      .len = ret->place.len,
				      .node = kind != BLOCK_LEAF };
	memcpy(row->digest, b.digest, sizeof(row->digest));
	memcpy(row->key, b.key, sizeof(row->key));
	s->w->n_blocks++;
	return 0;
}

static const struct sealer_ops sealer_ops = { .seal = seal };

static void build_file(struct world *w, struct test_sealer *s)
{
	struct file_builder *b = NULL;
	uint8_t *p = malloc(1u << 20);
	uint64_t off = 0;
	size_t n;

	assert_non_null(p);
	assert_int_equal(file_builder_new(&dag_profile_sealed, &s->sealer, &b), 0);
	for (; off < FILE_SIZE; off += n) {
		n = MIN(1u << 20, FILE_SIZE - off);
		file_text(off, p, n);
		assert_int_equal(file_builder_add(b, slice(p, n)), 0);
	}
	assert_int_equal(file_builder_finish(b, &w->file), 0);
	file_builder_free(b);
	free(p);
}

/* A directory of one entry: the file, or a name that only says its inode. */
static void build_dir(struct world *w, struct test_sealer *s, const char *name,
		      bool shared, struct dag_root *ret)
{
	const struct attr a = { .ino = FILE_INO,
				.mode = S_IFREG | 0640,
				.nlink = shared ? 0 : 2,
				.size = shared ? 0 : FILE_SIZE,
				.shared = shared };
	const struct link none = { .kind = LINK_IDENTITY, .codec = LINK_RAW };
	struct dir_builder *b = NULL;
	struct buf attr;

	buf_init(&attr, ATTR_ENCODED_MAX);
	assert_int_equal(attr_encode(&a, &attr), 0);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &s->sealer, &b), 0);
	assert_int_equal(
		dir_builder_add(b, slice_str(name), shared ? &none : &w->file.link,
				shared ? 0 : w->file.tsize, buf_slice(&attr)),
		0);
	assert_int_equal(dir_builder_finish(b, ret, NULL), 0);
	dir_builder_free(b);
	buf_fini(&attr);
}

static void build_piece(struct world *w)
{
	const struct trailer_head none = { 0 };
	struct test_sealer s = { .sealer = { &sealer_ops }, .w = w };
	struct io *io = recorder_io(w->rec);
	struct piece_result result;
	struct piece_spec spec = { .kind = PIECE_DATA,
				   .size_min = PIECE_SIZE_MIN,
				   .keys = w->keys,
				   .convergence = w->convergence };
	char name[LEDGER_OUTBOX_NAME_MAX];
	uint8_t text[LOOSE_SIZE];
	struct io_file *f = NULL;

	assert_int_equal(io_mkdir(io, LEDGER_OUTBOX), 0);
	assert_int_equal(ledger_piece_begin(w->ledger, PIECE_DATA, 1, &w->ordinal),
			 0);
	spec.piece = w->ordinal;
	ledger_outbox_name(w->ordinal, name);
	assert_int_equal(io_open(io, name, O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(piece_writer_new(f, &spec, &s.out), 0);
	for (unsigned i = 0; i < N_LOOSE; i++) {
		loose_text(i, text);
		assert_int_equal(seal(&s.sealer, LINK_RAW, BLOCK_LEAF,
				      slice(text, sizeof(text)), &w->loose[i]),
				 0);
	}
	build_file(w, &s);
	build_dir(w, &s, "named", true, &w->dir);
	build_dir(w, &s, "000000000000004d", false, &w->table);
	assert_int_equal(piece_writer_finish(s.out, 1, &none, &result), 0);
	piece_writer_free(s.out);
	io_close(f);
	buf_init(&w->piece, 64u << 20);
	assert_int_equal(io_slurp(io, name, &w->piece), 0);
	assert_int_equal(ledger_piece_ready(w->ledger, w->ordinal, &result.cid,
					    result.raw_size, w->blocks, w->n_blocks),
			 0);
	assert_int_equal(
		ledger_piece_set(w->ledger, w->ordinal, LEDGER_HELD, false), 0);
}

/* ---- life ---- */

void world_threads(struct world *w, unsigned n)
{
	struct retrieve_store v[N_STORES];
	struct retrieve_params p = { .ledger = w->ledger,
				     .io = recorder_io(w->rec),
				     .stores = v,
				     .n_stores = N_STORES,
				     .gateway = w->gateway,
				     .n_threads = n,
				     .give_up_ms = GIVE_UP_MS };

	for (size_t i = 0; i < N_STORES; i++)
		v[i] = (struct retrieve_store){ w->ids[i], &w->stores[i].provider };
	retrieve_free(w->r);
	assert_int_equal(retrieve_new(&p, &w->r), 0);
}

int world_new(void **state)
{
	static const char *const urls[N_STORES] = { "dir:///a", "dir:///b" };
	static const uint8_t bytes[SECRET_SIZE] = { 5, 5 };
	struct world *w = calloc(1, sizeof(*w));
	struct ledger_params p = { .create = true };
	struct secret *entropy = NULL;

	assert_non_null(w);
	log_level_set(LOG_LEVEL_ERROR - 1); /* lies are announced loudly */
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(secret_new(bytes, &entropy), 0);
	assert_int_equal(keys_from_entropy(entropy, &w->keys), 0);
	secret_free(entropy);
	assert_int_equal(secret_new(bytes, &w->convergence), 0);
	assert_int_equal(recorder_new(&w->rec), 0);
	p.io = recorder_io(w->rec);
	p.key = keys_secret(w->keys, KEYS_DB);
	assert_int_equal(ledger_open(&p, &w->ledger, NULL), 0);
	assert_int_equal(ledger_set_u64(w->ledger, LEDGER_WRITER, 3), 0);
	assert_int_equal(ledger_stores_set(w->ledger, urls, N_STORES, w->ids), 0);
	for (size_t i = 0; i < N_STORES; i++) {
		struct store *s = &w->stores[i];

		provider_init(&s->provider, &store_ops, SILENCE_MS);
		s->world = w;
		lock_init(&s->lock);
		cond_init(&s->cond);
	}
	build_piece(w);
	world_threads(w, 4);
	*state = w;
	return 0;
}

int world_free(void **state)
{
	struct world *w = *state;

	retrieve_free(w->r);
	for (size_t i = 0; i < N_STORES; i++) {
		cond_fini(&w->stores[i].cond);
		provider_fini(&w->stores[i].provider);
		lock_fini(&w->stores[i].lock);
	}
	ledger_close(w->ledger);
	recorder_free(w->rec);
	buf_fini(&w->piece);
	secret_free(w->convergence);
	keys_free(w->keys);
	free(w);
	return 0;
}

/* ---- requests of the cache ---- */

static int on_entry(struct source_req *req, const struct source_entry *e)
{
	struct ask *a = container_of(req, struct ask, req);

	assert_true(e->name.n < sizeof(a->name));
	memcpy(a->name, e->name.p, e->name.n);
	a->name[e->name.n] = '\0';
	a->attr = *e->attr;
	a->n_entries++;
	return 0;
}

static int on_data(struct source_req *req, uint64_t off, struct slice data,
		   uint64_t n_hole)
{
	struct ask *a = container_of(req, struct ask, req);

	/* A retry gives again what came before it failed. */
	assert_true(off >= req->off && off - req->off <= a->data.n && !n_hole);
	a->data.n = off - req->off;
	return buf_append(&a->data, data);
}

static const struct source_sink sink = { on_entry, on_data };

static void on_done(struct source_req *req, int status)
{
	struct ask *a = container_of(req, struct ask, req);

	lock_take(&a->lock);
	a->n_done++;
	a->status = status;
	cond_wake_all(&a->cond);
	lock_drop(&a->lock);
}

void ask_start(struct ask *a, struct world *w, enum source_kind kind,
	       const struct link *l, uint64_t off, uint64_t n, bool readahead)
{
	struct source *s = retrieve_source(w->r);

	*a = (struct ask){ .req = { .kind = kind,
				    .ino = FILE_INO,
				    .off = off,
				    .n = n,
				    .readahead = readahead,
				    .sink = &sink,
				    .done = on_done } };
	lock_init(&a->lock);
	cond_init(&a->cond);
	buf_init(&a->link, LINK_ENCODED_MAX);
	buf_init(&a->data, 16u << 20);
	if (l)
		assert_int_equal(link_encode(l, &a->link), 0);
	a->req.link = buf_slice(&a->link);
	assert_int_equal(s->start(s, &a->req), 0);
}

int ask_wait(struct ask *a)
{
	int r;

	lock_take(&a->lock);
	while (!a->n_done)
		cond_wait(&a->cond, &a->lock);
	r = a->status;
	lock_drop(&a->lock);
	return r;
}

void ask_end(struct ask *a)
{
	assert_int_equal(a->n_done, 1);
	buf_fini(&a->link);
	buf_fini(&a->data);
	cond_fini(&a->cond);
	lock_fini(&a->lock);
}
