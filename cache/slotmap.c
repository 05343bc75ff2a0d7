/*
 * slotmap.c - how a cache that is opened knows which slots are named
 *
 * By reading each row of extent, which are one for each small file at least; or,
 * behind a clean end, from table slotmap, which is some bytes a segment.
 *
 * The map is written by cache_close(), when nothing can change any more, in a
 * transaction of its own behind the last one of the rows: if that fails, nothing
 * is lost but the map.  With it stands STATE_MAP_OPENS, which is STATE_OPENS as it
 * was.  Whoever opens the drive for writing raises STATE_OPENS, durably, before it
 * changes anything else.  So the map is right as long as the two are the same, and
 * behind a crash, or behind a program that does not know of it, they are not.
 *
 * A map that cannot be read, or that does not fit to the segments that are there,
 * is no map.  The rows are.
 */
#include "cache/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/log.h"
#include "cache/slotmap.h"

#define MAP_MAX (32u << 20) /* bytes, which a transaction holds in memory */

/* Names of a slot, by what stands in refs. */
static uint16_t names(uint16_t ref)
{
	return ref >= SLOT_ROOM ? 0 : MIN(ref, SLOT_MANY);
}

/* ---- from the rows ---- */

/* Only inodes that are dirty, or have lost their name, have dirty blocks. */
static int count_dirty(struct cache *c)
{
	struct db_stmt *s = st(c, STMT_extent_dirty);
	int r;

	while ((r = db_step(s)) > 0) {
		const struct run run = { .block = db_col_u64(s, 0),
					 .n = db_col_u64(s, 1),
					 .seg = (uint32_t)db_col_u64(s, 2),
					 .dgen = db_col_u64(s, 3) };
		const struct inode i = { .clean_gen = db_col_u64(s, 4),
					 .link_size = db_col_u64(s, 5) };

		c->dirty_blocks += extent_dirty_part(&i, &run);
	}
	db_reset(s);
	return r;
}

/* Nothing is looked up for a row: a mount waits for it. */
static int scan(struct cache *c)
{
	struct db_stmt *s = st(c, STMT_extent_slots);
	uint64_t n_bad = 0;
	int r;

	while ((r = db_step(s)) > 0) {
		const struct run run = { .seg = (uint32_t)db_col_u64(s, 0),
					 .slot = (uint32_t)db_col_u64(s, 1),
					 .n = db_col_u64(s, 2) };

		if (run_is_promise(&run))
			c->reserved += run.n;
		if (run.seg == 0)
			continue;
		n_bad += seg_name(c, &run) < 0;
		c->row_blocks += run.n;
	}
	db_reset(s);
	if (r == 0 && n_bad) {
		c->segs.no_map = true; /* it could not tell of these */
		log_warn("%llu runs of blocks have lost their segment: reading "
			 "them gives EIO; run fsck",
			 (unsigned long long)n_bad);
	}
	return r;
}

/* ---- is it right? ---- */

struct counting {
	uint16_t **v; /* by number, as segs.v */
	uint64_t row_blocks, reserved;
};

static void free_counting(struct cache *c, struct counting *k)
{
	for (uint32_t i = 0; k->v && i < c->segs.n_v; i++)
		free(k->v[i]);
	free(k->v);
}

static int new_counting(struct cache *c, struct counting *k)
{
	k->v = calloc(MAX(c->segs.n_v, 1), sizeof(*k->v));
	if (!k->v)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		if (!c->segs.v[i])
			continue;
		k->v[i] = calloc(c->segs.v[i]->n_slots, sizeof(**k->v));
		if (!k->v[i])
			return -ENOMEM;
	}
	return 0;
}

static int count_rows(struct cache *c, struct counting *k)
{
	struct db_stmt *s = st(c, STMT_extent_slots);
	int r;

	while ((r = c_sql(c, db_step(s))) > 0) {
		const struct run run = { .seg = (uint32_t)db_col_u64(s, 0),
					 .slot = (uint32_t)db_col_u64(s, 1),
					 .n = db_col_u64(s, 2) };

		if (run_is_promise(&run))
			k->reserved += run.n;
		if (run.seg == 0)
			continue;
		k->row_blocks += run.n;
		if (!seg_fits(seg_by_number(c, run.seg), &run))
			continue;
		for (uint64_t n = 0; n < run.n; n++) {
			uint16_t *ref = &k->v[run.seg][run.slot + n];

			*ref = (uint16_t)MIN(*ref + 1, SLOT_MANY);
		}
	}
	db_reset(s);
	return r;
}

static bool same(struct cache *c, const struct counting *k)
{
	if (k->row_blocks != c->row_blocks || k->reserved != c->reserved)
		return false;
	for (uint32_t i = 0; i < c->segs.n_v; i++) {
		const struct segment *s = c->segs.v[i];

		for (uint32_t n = 0; s && k->v[i] && n < s->n_slots; n++)
			if (names(s->refs[n]) != k->v[i][n])
				return false;
	}
	return true;
}

int slotmap_check(struct cache *c, bool *ret_wrong)
{
	struct counting k = { 0 };
	int r = new_counting(c, &k);

	if (r == 0)
		r = count_rows(c, &k);
	if (r == 0)
		*ret_wrong = !same(c, &k);
	free_counting(c, &k);
	return r;
}

/* ---- the map ---- */

/* A row.  -EPROTO if it does not fit. */
static int name_row(struct cache *c, uint64_t number, uint64_t n_slots,
		    struct slice named)
{
	struct segment *s =
		number <= UINT32_MAX ? seg_by_number(c, (uint32_t)number) : NULL;
	struct cursor k = cursor(named);
	uint64_t at = 0;

	if (!s || s->n_slots != n_slots)
		return -EPROTO;
	while (k.n > 0 && cursor_ok(&k) == 0) {
		uint64_t gap = cursor_varint(&k), n = cursor_varint(&k);
		uint64_t refs = cursor_varint(&k);

		if (gap > n_slots - at || n > n_slots - at - gap || n == 0 ||
		    refs == 0 || refs > SLOT_MANY)
			return -EPROTO;
		at += gap;
		for (uint64_t end = at + n; at < end; at++)
			s->refs[at] = (uint16_t)refs;
		s->n_bare -= (uint32_t)n;
		c->segs.used += n;
	}
	return cursor_done(&k);
}

static int read_rows(struct cache *c)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	int r = db_prepare(c->db, SQL_SLOTMAP_GET, &s);

	while (r >= 0 && (r = db_step(s)) > 0)
		r = name_row(c, db_col_u64(s, 0), db_col_u64(s, 1),
			     db_col_blob(s, 2));
	return r;
}

static void forget_names(struct cache *c)
{
	for (uint32_t i = 0; i < c->segs.n_v; i++)
		if (c->segs.v[i])
			seg_bare(c->segs.v[i]);
	c->segs.used = c->row_blocks = c->reserved = 0;
}

/* False: there is none that is right. */
static bool read_map(struct cache *c)
{
	int r;

	if (!c->map.opens || c->map.opens != c->opens)
		return false;
	r = read_rows(c);
	if (r < 0) {
		log_warn("the map of slots cannot be used (%s): rows are counted",
			 err_str(r));
		forget_names(c);
		return false;
	}
	c->row_blocks = c->map.row_blocks;
	c->reserved = c->map.reserved;
	return true;
}

/* True: the map is taken.  False: the rows have to be counted. */
static int take_map(struct cache *c, bool *ret)
{
	bool wrong = false;
	int r = 0;

	*ret = read_map(c);
	if (!*ret || !c->p.distrust)
		return 0;
	r = slotmap_check(c, &wrong);
	if (wrong) {
		c->map.wrong = true;
		forget_names(c);
		*ret = false;
	}
	return r;
}

int slotmap_open(struct cache *c)
{
	bool taken;
	int r = take_map(c, &taken);

	if (r == 0 && !taken)
		r = scan(c);
	if (r == 0)
		r = count_dirty(c);
	if (r == 0)
		r = seg_scanned(c);
	if (r == 0 && c->reserved && !c->p.read_only &&
	    seg_make_room(c, slots_kept(c)) < 0)
		log_warn("the disk has no room left for what fallocate has "
			 "promised: writing to it may fail");
	return r;
}

/* ---- at the end ---- */

static int encode(const struct segment *s, struct buf *b)
{
	uint32_t at = 0, last = 0;
	int r = 0;

	buf_reset(b);
	while (at < s->n_slots && r == 0) {
		uint16_t is = names(s->refs[at]);
		uint32_t from = at;

		while (at < s->n_slots && names(s->refs[at]) == is)
			at++;
		if (!is)
			continue;
		r = buf_varint(b, from - last);
		if (r == 0)
			r = buf_varint(b, at - from);
		if (r == 0)
			r = buf_varint(b, is);
		last = at;
	}
	return r;
}

static int put_row(struct cache *c, struct db_stmt *put,
		   const struct segment *s, struct slice named)
{
	int r = db_reserve(c->db, 64 + named.n / 2048);

	if (r < 0)
		return r;
	db_bind_u64(put, 1, s->number);
	db_bind_u64(put, 2, s->n_slots);
	db_bind_blob(put, 3, named);
	return db_run(put);
}

static int put_rows(struct cache *c)
{
	_cleanup_db_stmt_ struct db_stmt *put = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t total = 0;
	int r = db_prepare(c->db, SQL_SLOTMAP_PUT, &put);

	buf_init(&b, MAP_MAX);
	for (uint32_t i = 0; i < c->segs.n_v && r >= 0; i++) {
		const struct segment *s = c->segs.v[i];

		if (!s)
			continue;
		r = encode(s, &b);
		total += b.n;
		if (r == 0 && total > MAP_MAX)
			r = -EMSGSIZE;
		if (r == 0 && b.n)
			r = put_row(c, put, s, buf_slice(&b));
	}
	return r < 0 ? r : 0;
}

static int put_state(struct cache *c, enum state_key k, uint64_t v)
{
	db_bind_u64(st(c, STMT_state_put), 1, k);
	db_bind_u64(st(c, STMT_state_put), 2, v);
	return db_run(st(c, STMT_state_put));
}

int slotmap_save(struct cache *c)
{
	int r;

	if (c->segs.no_map)
		return 0;
	r = db_reserve(c->db, 256);
	if (r == 0)
		r = db_exec(c->db, slotmap_sql);
	if (r == 0)
		r = db_exec(c->db, SQL_SLOTMAP_CLEAR);
	if (r == 0)
		r = put_rows(c);
	if (r == 0)
		r = put_state(c, STATE_MAP_BLOCKS, c->row_blocks);
	if (r == 0)
		r = put_state(c, STATE_MAP_RESERVED, c->reserved);
	if (r == 0)
		r = put_state(c, STATE_MAP_OPENS, c->opens);
	return r < 0 ? r : db_commit(c->db);
}
