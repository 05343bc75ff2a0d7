/*
 * segment.c - the files of data/ and the sealed bytes in them
 *
 * A segment is one file data/<number as 8 hex digits>:
 *
 *   offset      size       field
 *   0           8          "fildrseg"
 *   8           4          version, LE: 1
 *   12          4          number of the segment, LE
 *   16          16         drive id
 *   32          4          n, number of slots, LE
 *   4096        40 n       marks: nonce and tag of each slot (crypto/aead.h)
 *   T           4096 n     slots; T = 4096 + 40 n rounded up to 4096
 *
 * With 16,224 slots that is 64 MiB.  A slot is sealed on its own; its associated
 * data are "slot", the drive id, the segment, the slot and the slot generation,
 * which stands in the (authenticated) extent row: an older image of the slot put
 * back does not open.
 *
 *
 * Which slots are free, and who names the others: slots.c.
 */
#include "cache/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "crypto/aead.h"

#define SEG_SLOTS 16224u
#define HEADER    4096u

static const uint8_t magic[8] = { 'f', 'i', 'l', 'd', 'r', 's', 'e', 'g' };

struct ad {
	uint8_t v[4 + 16 + 4 + 4 + 8];
};

static void make_ad(const struct cache *c, uint32_t seg, uint32_t slot,
		    uint64_t sgen, struct ad *ret)
{
	memcpy(ret->v, "slot", 4);
	memcpy(ret->v + 4, c->p.drive_id, 16);
	put_le32(ret->v + 20, seg);
	put_le32(ret->v + 24, slot);
	put_le64(ret->v + 28, sgen);
}

static uint64_t marks_off(uint32_t slot)
{
	return HEADER + (uint64_t)slot * AEAD_MARK_SIZE;
}

uint64_t seg_slots_off(const struct segment *s, uint32_t slot)
{
	return ((uint64_t)s->n_head + slot) * CACHE_BLOCK;
}

static void set_slots(struct segment *s, uint32_t n)
{
	s->n_slots = n;
	s->n_head = (uint32_t)(align_up(marks_off(n), CACHE_BLOCK) / CACHE_BLOCK);
}

static uint32_t slots_of_new(const struct cache *c)
{
	return c->p.segment_slots ? c->p.segment_slots : SEG_SLOTS;
}

uint32_t seg_file_head(const struct cache *c)
{
	struct segment s;

	set_slots(&s, slots_of_new(c));
	return s.n_head;
}

static void seg_name_of(uint32_t number, char ret[static 16])
{
	(void)snprintf(ret, 16, "data/%08x", number);
}

static void seg_free(struct segment *s)
{
	if (!s)
		return;
	io_close(s->file);
	free(s->refs);
	around_fini(&s->around);
	free(s);
}

struct segment *seg_by_number(struct cache *c, uint32_t number)
{
	return number < c->segs.n_v ? c->segs.v[number] : NULL;
}

static int table_put(struct cache *c, struct segment *s)
{
	struct segs *g = &c->segs;

	if (s->number >= SEG_MAX)
		return -ENOSPC;
	if (s->number >= g->n_v) {
		uint32_t n = MAX(s->number + 1, g->n_v * 2);
		struct segment **v = realloc(g->v, n * sizeof(struct segment *));

		if (!v)
			return -ENOMEM;
		memset(v + g->n_v, 0, (n - g->n_v) * sizeof(struct segment *));
		g->v = v;
		g->n_v = n;
	}
	g->v[s->number] = s;
	g->next_number = MAX(g->next_number, s->number + 1);
	return 0;
}

static int write_header(struct cache *c, struct segment *s)
{
	uint8_t h[64] = { 0 };

	memcpy(h, magic, 8);
	put_le32(h + 8, 1);
	put_le32(h + 12, s->number);
	memcpy(h + 16, c->p.drive_id, 16);
	put_le32(h + 32, s->n_slots);
	return io_pwrite(s->file, h, sizeof(h), 0);
}

static int read_header(struct cache *c, struct segment *s)
{
	uint8_t h[64];
	uint32_t n_slots;
	int64_t n = io_pread(s->file, h, sizeof(h), 0);

	if (n < 0)
		return (int)n;
	if (n != sizeof(h) || memcmp(h, magic, 8) != 0 || get_le32(h + 8) != 1 ||
	    get_le32(h + 12) != s->number || memcmp(h + 16, c->p.drive_id, 16) != 0)
		return -EUCLEAN;
	n_slots = get_le32(h + 32);
	/* the header is not sealed: no more than we would make ourselves */
	if (n_slots == 0 || n_slots > MAX(SEG_SLOTS, c->p.segment_slots))
		return -EUCLEAN;
	set_slots(s, n_slots);
	return 0;
}

static int make_refs(struct segment *s)
{
	s->refs = calloc(s->n_slots, sizeof(*s->refs));
	s->n_bare = s->n_slots;
	return s->refs ? around_init(&s->around, s->n_slots) : -ENOMEM;
}

void seg_bare(struct segment *s)
{
	memset(s->refs, 0, s->n_slots * sizeof(*s->refs));
	s->n_bare = s->n_slots;
}

/* ---- open ---- */

struct listing {
	struct cache *c;
	uint32_t *v;
	size_t n, cap;
	int r;
};

static int on_name(void *ctx, const char *name)
{
	struct listing *l = ctx;
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(name, &end, 16);
	if (strlen(name) != 8 || *end || errno || v >= SEG_MAX)
		return 0; /* not ours */
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		uint32_t *p = realloc(l->v, cap * sizeof(*p));

		if (!p) {
			l->r = -ENOMEM;
			return 1;
		}
		l->v = p;
		l->cap = cap;
	}
	l->v[l->n++] = (uint32_t)v;
	return 0;
}

static int load_one(struct cache *c, uint32_t number)
{
	struct segment *s = calloc(1, sizeof(*s));
	char name[16];
	int r;

	if (!s)
		return -ENOMEM;
	s->number = number;
	seg_name_of(number, name);
	r = io_open(c->p.io, name, c->p.read_only ? O_RDONLY : O_RDWR, &s->file);
	if (r == 0)
		r = read_header(c, s);
	if (r == 0)
		r = make_refs(s);
	if (r == 0)
		r = table_put(c, s);
	if (r == 0)
		c->segs.head += s->n_head;
	if (r < 0)
		seg_free(s);
	if (r == -EUCLEAN) {
		/* never became durable, or is damaged: a row will tell */
		c->segs.next_number = MAX(c->segs.next_number, number + 1);
		return 0;
	}
	return r;
}

int seg_init(struct cache *c, struct err *reterr)
{
	struct listing l = { .c = c };
	int r;

	lock_init(&c->segs.lock);
	cond_init(&c->segs.behind);
	cond_init(&c->segs.bring);
	list_init(&c->segs.pins);
	c->segs.next_number = 1;
	r = io_list(c->p.io, "data", on_name, &l);
	if (l.r < 0)
		r = l.r;
	for (size_t i = 0; i < l.n && r >= 0; i++)
		r = load_one(c, l.v[i]);
	free(l.v);
	return r < 0 ? err_set(reterr, r, "cannot read the drive's segments") : 0;
}

void seg_fini(struct cache *c)
{
	struct segs *g = &c->segs;

	for (uint32_t i = 0; i < g->n_v; i++)
		seg_free(g->v[i]);
	free(g->v);
	while (g->first) {
		struct freed *f = g->first;

		g->first = f->next;
		free(f);
	}
	free(g->open);
	cond_fini(&g->behind);
	cond_fini(&g->bring);
	lock_fini(&g->lock);
}

/* ---- files ---- */

int seg_file_fill(struct segment *s, uint32_t slot, uint32_t n)
{
	int r = io_allocate(s->file, 0, seg_slots_off(s, slot),
			    (uint64_t)n * CACHE_BLOCK);

	/* without it the disk's ENOSPC comes later: the best that is to be had */
	return r == -EOPNOTSUPP ? 0 : r;
}

int seg_file_punch(struct segment *s, uint32_t slot, uint32_t n)
{
	return io_allocate(s->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   seg_slots_off(s, slot), (uint64_t)n * CACHE_BLOCK);
}

int seg_file_held(struct segment *s, uint64_t *ret)
{
	uint64_t bytes = 0;
	int r = io_allocated(s->file, &bytes);

	if (r == 0)
		*ret = bytes / CACHE_BLOCK;
	return r;
}

int seg_file_create(struct cache *c, struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));
	char name[16];
	int r;

	if (!s)
		return -ENOMEM;
	s->number = c->segs.next_number;
	set_slots(s, slots_of_new(c));
	seg_name_of(s->number, name);
	r = make_refs(s);
	if (r == 0)
		r = io_open(c->p.io, name, O_RDWR | O_CREAT | O_EXCL, &s->file);
	if (r < 0) {
		seg_free(s);
		return r;
	}
	r = io_truncate(s->file, seg_slots_off(s, s->n_slots));
	if (r == 0) /* head and marks */
		r = io_allocate(s->file, 0, 0, seg_slots_off(s, 0));
	if (r == -EOPNOTSUPP)
		r = 0;
	if (r == 0)
		r = write_header(c, s);
	if (r == 0)
		r = table_put(c, s);
	if (r < 0) {
		seg_free(s);
		/* found and removed again at the next open */
		best_effort(io_unlink(c->p.io, name));
		c->segs.next_number++;
		return r;
	}
	s->unsynced = true;
	c->segs.head += s->n_head;
	c->segs.need_syncdir = true;
	*ret = s;
	return 0;
}

void seg_file_remove(struct cache *c, struct segment *s)
{
	char name[16];

	seg_name_of(s->number, name);
	c->segs.v[s->number] = NULL;
	c->segs.head -= s->n_head;
	seg_free(s);
	/* an empty file that stays is found again at the next open */
	best_effort(io_unlink(c->p.io, name));
}

/* ---- bytes ---- */

/* The segment stays open until put_segment. */
static struct segment *hold_segment(struct cache *c, uint32_t number)
{
	struct segment *s;

	lock_take(&c->segs.lock);
	s = seg_by_number(c, number);
	if (s)
		s->in_use++;
	lock_drop(&c->segs.lock);
	return s;
}

static void put_segment(struct cache *c, struct segment *s, bool unsynced)
{
	lock_take(&c->segs.lock);
	s->in_use--;
	if (unsynced)
		s->unsynced = true;
	lock_drop(&c->segs.lock);
}

static const struct secret *segment_key(const struct cache *c)
{
	return c->p.segment_key ? c->p.segment_key : c->p.key;
}

#define BATCH 64 /* slots sealed or opened between system calls */
_Static_assert(BATCH <= AEAD_MANY_MAX, "sealed at once");

static int write_batch(struct cache *c, struct segment *s, uint32_t slot,
		       uint32_t n, uint64_t sgen, const uint8_t *const *text,
		       uint8_t *sealed)
{
	uint8_t marks[BATCH * AEAD_MARK_SIZE];
	struct aead_job jobs[BATCH];
	struct ad ad[BATCH];
	int r;

	for (uint32_t k = 0; k < n; k++) {
		make_ad(c, s->number, slot + k, sgen, &ad[k]);
		jobs[k] = (struct aead_job){
			.ad = slice(ad[k].v, sizeof(ad[k].v)),
			.text = text[k],
			.dst = sealed + (size_t)k * CACHE_BLOCK,
			.mark = marks + (size_t)k * AEAD_MARK_SIZE,
		};
	}
	aead_seal_many(segment_key(c), CACHE_BLOCK, jobs, n);
	r = io_pwrite(s->file, sealed, (size_t)n * CACHE_BLOCK,
		      seg_slots_off(s, slot));
	if (r == 0)
		r = io_pwrite(s->file, marks, (size_t)n * AEAD_MARK_SIZE,
			      marks_off(slot));
	return r;
}

int seg_write(struct cache *c, const struct run *r, const uint8_t *const *text)
{
	uint32_t most = (uint32_t)MIN(r->n, BATCH);
	_cleanup_free_ uint8_t *sealed = malloc((size_t)most * CACHE_BLOCK);
	struct segment *s;
	int e = 0;

	if (!sealed)
		return -ENOMEM;
	s = hold_segment(c, r->seg);
	assert(s);
	for (uint32_t k = 0; k < r->n && e == 0; k += BATCH)
		e = write_batch(c, s, r->slot + k, (uint32_t)MIN(r->n - k, BATCH),
				r->sgen, text + k, sealed);
	lock_take(&c->segs.lock);
	s->in_use--;
	s->unsynced = true;
	behind_wrote(c, s, r->slot, (uint32_t)r->n);
	lock_drop(&c->segs.lock);
	return e;
}

/* `from` is the segment's file, or another handle of it. */
static int read_batch(struct cache *c, struct segment *s, struct io_file *from,
		      uint32_t slot, uint32_t n, uint64_t sgen, uint8_t *dst)
{
	uint8_t marks[BATCH * AEAD_MARK_SIZE];
	struct ad ad;
	int64_t got;
	int r;

	got = io_pread(from, dst, (size_t)n * CACHE_BLOCK, seg_slots_off(s, slot));
	if (got >= 0 && (uint64_t)got != (uint64_t)n * CACHE_BLOCK)
		got = -EBADMSG;
	if (got < 0)
		return log_err((int)got, "segment %08x slot %u", s->number, slot);
	got = io_pread(s->file, marks, (size_t)n * AEAD_MARK_SIZE, marks_off(slot));
	if (got >= 0 && (uint64_t)got != (uint64_t)n * AEAD_MARK_SIZE)
		got = -EBADMSG;
	if (got < 0)
		return log_err((int)got, "segment %08x tags from slot %u",
			       s->number, slot);
	for (uint32_t k = 0; k < n; k++) {
		uint8_t *p = dst + (size_t)k * CACHE_BLOCK;

		make_ad(c, s->number, slot + k, sgen, &ad);
		r = aead_open(segment_key(c), slice(ad.v, sizeof(ad.v)),
			      slice(p, CACHE_BLOCK),
			      marks + (size_t)k * AEAD_MARK_SIZE, p);
		if (r < 0)
			return log_err(r, "segment %08x slot %u", s->number,
				       slot + k);
	}
	return 0;
}

/*
 * Hold the segment, and have the marks of the slots come in while they are read
 * themselves, where nobody has yet.
 */
static struct segment *hold_to_read(struct cache *c, const struct run *r,
				    uint32_t slot, uint64_t n)
{
	uint32_t part = (uint32_t)(marks_off(slot) / AROUND_MARKS);
	uint64_t off = (uint64_t)part * AROUND_MARKS;
	struct segment *s;
	bool marks;

	lock_take(&c->segs.lock);
	s = seg_by_number(c, r->seg);
	if (s && !seg_fits(s, r))
		s = NULL;
	if (s)
		s->in_use++;
	marks = s && around_marks(&c->segs.around, &s->around,
				  (uint32_t)MIN(n, UINT32_MAX), part);
	lock_drop(&c->segs.lock);
	if (marks)
		io_begin_read(s->file, off,
			      MIN(AROUND_MARKS, seg_slots_off(s, 0) - off));
	return s;
}

int seg_read(struct cache *c, const struct run *r, uint64_t skip, uint64_t n,
	     uint8_t *dst)
{
	uint32_t slot = r->slot + (uint32_t)skip;
	struct segment *s = hold_to_read(c, r, slot, n);
	int e = 0;

	if (!s)
		return -EIO;
	for (uint64_t k = 0; k < n && e == 0; k += BATCH)
		e = read_batch(c, s, s->file, slot + (uint32_t)k,
			       (uint32_t)MIN(n - k, BATCH), r->sgen,
			       dst + k * CACHE_BLOCK);
	lock_take(&c->segs.lock);
	bring_around(c, s, slot, (uint32_t)n);
	s->in_use--;
	lock_drop(&c->segs.lock);
	return e;
}

/* A handle by which the kernel reads what it is asked for, and no more. */
static void open_calm(struct cache *c, const struct segment *s, struct io_file **ret)
{
	char name[16];

	seg_name_of(s->number, name);
	if (io_open(c->p.io, name, O_RDONLY, ret) == 0)
		io_no_ahead(*ret);
	else /* then by the one that there is */
		*ret = NULL;
}

int seg_read_calm(struct cache *c, const struct run *r, uint64_t skip,
		  uint64_t n, uint8_t *dst)
{
	_cleanup_io_file_ struct io_file *calm = NULL;
	uint32_t slot = r->slot + (uint32_t)skip;
	struct segment *s;
	int e = 0;

	if (n < BATCH)
		return seg_read(c, r, skip, n, dst);
	s = hold_to_read(c, r, slot, n);
	if (!s)
		return -EIO;
	open_calm(c, s, &calm);
	for (uint64_t k = 0; k < n && e == 0; k += BATCH) {
		uint32_t at = slot + (uint32_t)k;
		uint32_t next = MIN(at + BATCH, s->n_slots);
		uint64_t ahead = MIN(BATCH, s->n_slots - next);

		if (ahead)
			io_begin_read(s->file, seg_slots_off(s, next),
				      ahead * CACHE_BLOCK);
		e = read_batch(c, s, calm ? calm : s->file, at,
			       (uint32_t)MIN(n - k, BATCH), r->sgen,
			       dst + k * CACHE_BLOCK);
	}
	put_segment(c, s, false);
	return e;
}

bool seg_is_unsynced(struct cache *c)
{
	struct segs *g = &c->segs;
	bool any;

	lock_take(&g->lock);
	any = g->need_syncdir;
	for (uint32_t i = 0; i < g->n_v && !any; i++)
		any = g->v[i] && g->v[i]->unsynced;
	lock_drop(&g->lock);
	return any;
}

/*
 * Everything written before the call is durable after it.  Segments are not
 * removed meanwhile: only the committer, which calls this, removes them.
 */
int seg_sync(struct cache *c)
{
	struct segs *g = &c->segs;
	bool dir;
	int r = 0;

	for (uint32_t i = 0;; i++) {
		struct segment *s = NULL;

		lock_take(&g->lock);
		while (i < g->n_v && !(g->v[i] && g->v[i]->unsynced))
			i++;
		if (i < g->n_v) {
			s = g->v[i];
			s->unsynced = false;
			s->n_behind = 0;
			s->in_use++;
		}
		lock_drop(&g->lock);
		if (!s)
			break;
		r = io_datasync(s->file);
		put_segment(c, s, r < 0);
		if (r < 0)
			return log_err(r, "segment %08x: fdatasync", s->number);
	}
	lock_take(&g->lock);
	dir = g->need_syncdir;
	g->need_syncdir = false;
	lock_drop(&g->lock);
	if (dir)
		r = io_syncdir(c->p.io, "data");
	if (r < 0) {
		lock_take(&g->lock);
		g->need_syncdir = true;
		lock_drop(&g->lock);
		return log_err(r, "data: fsync of the folder");
	}
	return 0;
}
