#include "dag/piece_writer.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/thread.h"
#include "crypto/aead.h"
#include "crypto/commp.h"
#include "crypto/hash.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "dag/file.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define FILLER_MAX  (1u << 20) /* bytes of one filler block */
#define CHILD_BYTES 128 /* more than a child takes in an index's root node */

enum state {
	LEAVES,
	NODES,
	COMMIT,
	DONE
};

/* So many bytes of the piece, while they are hashed and written. */
struct span {
	struct piece_writer *w;
	uint8_t *p; /* COMMP_SPAN bytes; NULL: not needed yet */
	uint64_t off;
	uint8_t root[COMMP_SIZE];
	int status; /* lock: w->lock */
	bool done;  /* lock: w->lock */
};

struct piece_writer {
	struct piece_spec spec;
	struct io_file *file;
	struct sealer sealer; /* of the indexes' own blocks */
	struct commp *commp;
	struct lock lock;
	struct cond cond;
	struct span spans[PIECE_SPANS]; /* a ring: span i is spans[i % n] */
	uint64_t n_joined;              /* spans that are part of the sum */
	uint64_t n_out;                 /* spans handed out */
	size_t n;                       /* bytes in the span behind those */
	struct xindex leaves;
	struct xindex nodes;
	struct trailer trailer; /* filled as things land */
	enum state state;
	int err; /* of the file: sticky */
};

static int index_seal(struct sealer *s, enum link_codec codec,
		      enum block_kind kind, struct slice body, struct link *ret);

static const struct sealer_ops index_sealer = { .seal = index_seal };

uint64_t piece_writer_size(const struct piece_writer *w)
{
	return w->n_out * COMMP_SPAN + w->n;
}

/* ---- bytes */

static struct span *span_at(struct piece_writer *w, uint64_t i)
{
	return &w->spans[i % PIECE_SPANS];
}

/* On any thread: a whole span. */
static void span_run(void *arg)
{
	struct span *s = arg;
	struct piece_writer *w = s->w;
	int r;

	r = commp_span(s->p, s->root);
	if (r == 0)
		r = io_pwrite(w->file, s->p, COMMP_SPAN, s->off);
	if (r == 0)
		r = io_write_out(w->file, s->off, COMMP_SPAN);
	lock_take(&w->lock);
	s->status = r;
	s->done = true;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

/* Wait for the oldest span under way; its root joins the sum. */
static void join_one(struct piece_writer *w)
{
	struct span *s = span_at(w, w->n_joined);
	int r;

	lock_take(&w->lock);
	while (!s->done)
		cond_wait(&w->cond, &w->lock);
	r = s->status;
	lock_drop(&w->lock);
	if (r == 0 && w->err == 0)
		commp_add_span(w->commp, s->root);
	else
		w->err = w->err ? w->err : r;
	w->n_joined++;
}

static void join_all(struct piece_writer *w)
{
	while (w->n_joined < w->n_out)
		join_one(w);
}

/* The span that is filled now has its bytes. */
static int hand_out(struct piece_writer *w)
{
	struct span *s = span_at(w, w->n_out);

	s->off = w->n_out * COMMP_SPAN;
	s->done = false;
	w->n_out++;
	w->n = 0;
	if (w->spec.fork) {
		w->spec.fork(w->spec.fork_ctx, span_run, s);
	} else {
		span_run(s);
		join_one(w);
	}
	return w->err;
}

/* Where the next bytes go; waits if all spans are under way. */
static int room(struct piece_writer *w, uint8_t **ret)
{
	struct span *s = span_at(w, w->n_out);

	if (w->n_out - w->n_joined == PIECE_SPANS)
		join_one(w);
	if (!s->p && !w->err) {
		s->p = malloc(COMMP_SPAN);
		s->w = w;
		w->err = s->p ? 0 : -ENOMEM;
	}
	if (w->err == 0)
		*ret = s->p + w->n;
	return w->err;
}

static int put(struct piece_writer *w, struct slice s)
{
	uint8_t *to = NULL;
	int r = w->err;

	while (s.n && r == 0) {
		size_t n = MIN(s.n, COMMP_SPAN - w->n);

		r = room(w, &to);
		if (r < 0)
			return r;
		memcpy(to, s.p, n);
		s = slice(s.p + n, s.n - n);
		w->n += n;
		if (w->n == COMMP_SPAN)
			r = hand_out(w);
	}
	return r;
}

/* Everything to the file, and into the sum. */
static int flush(struct piece_writer *w)
{
	struct span *s = span_at(w, w->n_out);
	int r;

	join_all(w);
	if (w->err || w->n == 0)
		return w->err;
	r = io_pwrite(w->file, s->p, w->n, w->n_out * COMMP_SPAN);
	if (r < 0)
		w->err = r;
	else
		commp_update(w->commp, slice(s->p, w->n));
	return r;
}

static int put_section(struct piece_writer *w,
		       const uint8_t digest[static PIECE_DIGEST_SIZE],
		       struct slice block, struct place *ret)
{
	uint8_t head[PIECE_HEAD_MAX];
	size_t n = piece_section_head(digest, block.n, head);
	struct place p = { w->spec.piece, piece_writer_size(w),
			   (uint32_t)(n + block.n) };
	int r;

	if (p.off + p.len > PIECE_SIZE_MAX)
		return -EFBIG;
	r = put(w, slice(head, n));
	if (r < 0)
		return r;
	r = put(w, block);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

/* ---- how large it becomes */

static uint64_t sealed_section(uint64_t n)
{
	return piece_section_size(seal_block_size(SEAL_STORED, n));
}

/* At most so many bytes for the index of n blocks. */
static uint64_t index_bound(uint64_t n)
{
	uint64_t size = xindex_file_size(n);
	uint64_t full = size / XINDEX_CHUNK_SIZE;
	uint64_t rest = size % XINDEX_CHUNK_SIZE;
	uint64_t sum = full * sealed_section(XINDEX_CHUNK_SIZE);

	if (rest)
		sum += sealed_section(rest);
	if (size > XINDEX_CHUNK_SIZE)
		sum += sealed_section((full + 2) * CHILD_BYTES);
	return sum;
}

uint64_t piece_writer_bound(const struct piece_writer *w, size_t n_block)
{
	uint64_t size = piece_writer_size(w) + TRAILER_SECTION_SIZE;
	uint64_t more = n_block ? 1 : 0;

	if (n_block)
		size += piece_section_size(n_block);
	if (w->state == LEAVES)
		size += index_bound(xindex_n(&w->leaves) + more);
	if (w->state <= NODES) {
		size += index_bound(xindex_n(&w->nodes) + more);
		if (w->spec.commit_max)
			size += piece_section_size(w->spec.commit_max);
	}
	/* A filler may be larger than what is missing by its own head. */
	if (size < w->spec.size_min)
		size = w->spec.size_min + PIECE_HEAD_MAX + 1;
	return size;
}

/* ---- indexes */

static int index_seal(struct sealer *s, enum link_codec codec,
		      enum block_kind kind _unused_, struct slice body,
		      struct link *ret)
{
	struct piece_writer *w = container_of(s, struct piece_writer, sealer);
	struct link l = { .kind = LINK_SEALED, .codec = codec };
	_cleanup_buf_ struct buf block = { 0 };
	int r;

	buf_init(&block, SEAL_BLOCK_MAX);
	r = seal_block(w->spec.convergence, SEAL_STORED, body, &block, l.key,
		       l.digest);
	if (r < 0)
		return r;
	r = put_section(w, l.digest, buf_slice(&block), &l.place);
	if (r < 0)
		return r;
	*ret = l;
	return 0;
}

static int put_index(struct piece_writer *w, struct xindex *x, struct link *ret)
{
	_cleanup_file_builder_ struct file_builder *b = NULL;
	_cleanup_buf_ struct buf chunk = { 0 };
	uint64_t size = xindex_file_size(xindex_n(x));
	struct dag_root root;
	int r;

	if (size == 0)
		return 0;
	xindex_sort(x);
	r = file_builder_new(&dag_profile_sealed, &w->sealer, &b);
	if (r < 0)
		return r;
	buf_init(&chunk, XINDEX_CHUNK_SIZE);
	for (uint64_t off = 0; off < size; off += XINDEX_CHUNK_SIZE) {
		buf_reset(&chunk);
		r = xindex_read(x, off, XINDEX_CHUNK_SIZE, &chunk);
		if (r < 0)
			return r;
		r = file_builder_add(b, buf_slice(&chunk));
		if (r < 0)
			return r;
	}
	r = file_builder_finish(b, &root);
	if (r < 0)
		return r;
	*ret = root.link;
	return 0;
}

/* Close what comes before `to`: each index follows the blocks that it lists. */
static int advance(struct piece_writer *w, enum state to)
{
	int r = w->err;

	if (r == 0 && w->state == LEAVES && to > LEAVES) {
		r = put_index(w, &w->leaves, &w->trailer.leaves);
		if (r == 0)
			w->state = NODES;
	}
	if (r == 0 && w->state == NODES && to > NODES) {
		r = put_index(w, &w->nodes, &w->trailer.nodes);
		if (r == 0)
			w->state = COMMIT;
	}
	if (r < 0)
		w->err = r; /* part of an index may stand there */
	return r;
}

/* ---- the calls */

int piece_writer_new(struct io_file *f, const struct piece_spec *spec,
		     struct piece_writer **ret)
{
	_cleanup_piece_writer_ struct piece_writer *w = NULL;
	uint64_t max = spec->size_max ? spec->size_max : PIECE_SIZE_MAX;
	int r;

	if (!spec->piece || max > PIECE_SIZE_MAX || spec->size_min > max)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->spec = *spec;
	w->spec.size_max = max;
	w->file = f;
	w->sealer.ops = &index_sealer;
	w->trailer.piece = spec->piece;
	w->trailer.kind = spec->kind;
	lock_init(&w->lock);
	cond_init(&w->cond);
	xindex_init(&w->leaves, spec->piece);
	xindex_init(&w->nodes, spec->piece);
	r = commp_new(&w->commp);
	if (r < 0)
		return r;
	if (piece_writer_bound(w, 0) + PIECE_HEADER_SIZE > max)
		return -EINVAL;
	r = io_truncate(f, 0);
	if (r < 0)
		return r;
	r = put(w, slice(piece_header, sizeof(piece_header)));
	if (r < 0)
		return r;
	*ret = steal(&w);
	return 0;
}

void piece_writer_free(struct piece_writer *w)
{
	if (!w)
		return;
	join_all(w);
	commp_free(w->commp);
	xindex_fini(&w->leaves);
	xindex_fini(&w->nodes);
	for (size_t i = 0; i < PIECE_SPANS; i++)
		free(w->spans[i].p);
	cond_fini(&w->cond);
	lock_fini(&w->lock);
	free(w);
}

int piece_writer_add(struct piece_writer *w, const struct piece_block *b,
		     struct place *ret)
{
	bool leaf = b->kind == XINDEX_LEAF;
	struct xindex_entry e = { .kind = b->kind, .codec = b->codec };
	struct place p;
	int r;

	assert(w->state == LEAVES || (w->state == NODES && !leaf));
	if (w->err)
		return w->err;
	if (b->block.n > PIECE_BLOCK_MAX || b->block.n == 0)
		return -EMSGSIZE;
	if (piece_writer_bound(w, b->block.n) > w->spec.size_max)
		return -EFBIG;
	r = advance(w, leaf ? LEAVES : NODES);
	if (r < 0)
		return r;
	r = put_section(w, b->digest, b->block, &p);
	if (r < 0)
		return r;
	memcpy(e.digest, b->digest, sizeof(e.digest));
	memcpy(e.key, b->key, sizeof(e.key));
	e.off = p.off;
	e.len = p.len;
	r = xindex_add(leaf ? &w->leaves : &w->nodes, &e);
	if (r < 0) {
		w->err = r; /* a block that no index lists */
		return r;
	}
	*ret = p;
	return 0;
}

int piece_writer_commit(struct piece_writer *w, struct slice record,
			const uint8_t digest[static PIECE_DIGEST_SIZE],
			uint64_t sequence)
{
	struct place p;
	int r;

	assert(w->state < COMMIT && sequence > 0 && record.n > 0);
	if (w->err)
		return w->err;
	if (record.n > PIECE_BLOCK_MAX)
		return -EMSGSIZE;
	if (record.n > w->spec.commit_max) {
		w->spec.commit_max = record.n;
		if (piece_writer_bound(w, 0) > w->spec.size_max)
			return -EFBIG;
	}
	r = advance(w, COMMIT);
	if (r < 0)
		return r;
	r = put_section(w, digest, record, &p);
	if (r < 0)
		return r;
	memcpy(w->trailer.commit.digest, digest, PIECE_DIGEST_SIZE);
	w->trailer.commit.off = p.off;
	w->trailer.commit.len = p.len;
	w->trailer.sequence = sequence;
	return 0;
}

/* Random bytes, as everything else looks: the piece reaches its minimum. */
static int put_filler(struct piece_writer *w)
{
	uint64_t end = piece_writer_size(w) + TRAILER_SECTION_SIZE;
	_cleanup_secret_ struct secret *key = NULL;
	_cleanup_buf_ struct buf block = { 0 };
	uint8_t mark[AEAD_MARK_SIZE];
	uint8_t digest[HASH_SIZE];
	struct place p;
	uint64_t need;
	uint8_t *text;
	int r;

	if (end >= w->spec.size_min)
		return 0;
	need = w->spec.size_min - end;
	need = need > PIECE_HEAD_MAX ? need - PIECE_HEAD_MAX + 1 : 1;
	need = MIN(need, FILLER_MAX);
	r = secret_new_random(&key);
	if (r < 0)
		return r;
	buf_init(&block, FILLER_MAX);
	r = buf_grow(&block, (size_t)need, &text);
	if (r < 0)
		return r;
	memset(text, 0, block.n);
	aead_seal(key, SLICE_NONE, buf_slice(&block), text, mark);
	sha256_once(buf_slice(&block), digest);
	return put_section(w, digest, buf_slice(&block), &p);
}

static int put_trailer(struct piece_writer *w)
{
	_cleanup_buf_ struct buf record = { 0 };
	uint8_t digest[HASH_SIZE];
	struct place p;
	int r;

	w->trailer.raw_size = piece_writer_size(w) + TRAILER_SECTION_SIZE;
	w->trailer.n_leaves = xindex_n(&w->leaves);
	w->trailer.n_nodes = xindex_n(&w->nodes);
	buf_init(&record, TRAILER_RECORD_SIZE);
	r = trailer_seal(&w->trailer, w->spec.keys, &record);
	if (r < 0)
		return r;
	sha256_once(buf_slice(&record), digest);
	return put_section(w, digest, buf_slice(&record), &p);
}

static int finish(struct piece_writer *w)
{
	int r;

	r = advance(w, COMMIT);
	if (r < 0)
		return r;
	while (piece_writer_size(w) + TRAILER_SECTION_SIZE < w->spec.size_min) {
		r = put_filler(w);
		if (r < 0)
			return r;
	}
	r = put_trailer(w);
	if (r < 0)
		return r;
	r = flush(w);
	if (r < 0)
		return r;
	return io_datasync(w->file);
}

int piece_writer_finish(struct piece_writer *w, int64_t time_s,
			const struct trailer_head *previous,
			struct piece_result *ret)
{
	struct commp_sum sum;
	int r;

	assert(w->state != DONE);
	w->trailer.time_s = time_s;
	w->trailer.previous = *previous;
	r = finish(w);
	if (r < 0) {
		w->err = w->err ? w->err : r;
		return r;
	}
	w->state = DONE;
	commp_final(w->commp, &sum);
	assert(sum.raw_size == w->trailer.raw_size);
	piece_cid_v2(&sum, &ret->cid);
	ret->raw_size = sum.raw_size;
	ret->n_leaves = w->trailer.n_leaves;
	ret->n_nodes = w->trailer.n_nodes;
	return 0;
}
