/*
 * check.c - read everything that is here, and set aside what cannot be read
 *
 * The databases' pages are checked by src/db; here every row of extent is opened
 * slot by slot.  Repair forgets a clean block (it is fetched again) and marks a
 * dirty one as bad, so that reading it gives EIO at once and writing it mends it.
 */
#include "cache/internal.h"

#include <stdio.h>

#define PAGE          32 /* rows under one hold of the lock */
#define PATH_MAX_SAID 4096

static const char slots_are_wrong[] = "the map of slots in use is wrong";
static const char slots_mended[] =
	"the map of slots in use is wrong (counted anew at the next mount)";

struct checking {
	struct cache *c;
	bool repair;
	void (*found)(void *ctx, const char *sentence);
	void *ctx;
	int left;
	struct cache_snap *names; /* NULL: they are not known */
	uint64_t ino;             /* that `path` is of */
	char path[PATH_MAX_SAID]; /* empty: not known */
};

static void say(struct checking *k, bool mended, const char *what, uint64_t ino,
		uint64_t block)
{
	char text[PATH_MAX_SAID + 160];

	if (k->ino != ino && (!k->names || cache_snap_path(k->names, ino, k->path,
							   sizeof(k->path)) < 0))
		k->path[0] = '\0';
	k->ino = ino;
	(void)snprintf(text, sizeof(text),
		       "%s%sinode %llu%s, bytes from %llu on: %s%s", k->path,
		       k->path[0] ? " (" : "", (unsigned long long)ino,
		       k->path[0] ? ")" : "",
		       (unsigned long long)block * CACHE_BLOCK, what,
		       mended ? " (set aside)" : ""); /* fits */
	if (k->found)
		k->found(k->ctx, text);
	if (!mended && k->left < INT32_MAX)
		k->left++;
}

static int mend(struct checking *k, uint64_t ino, const struct run *bad)
{
	struct run mark = { .block = bad->block,
			    .n = bad->n,
			    .seg = RUN_BAD_SEG,
			    .dgen = bad->dgen };
	struct inode *i;
	int r = inode_get(k->c, ino, &i);

	if (r < 0)
		return r;
	if (run_is_clean(i, bad) && i->n_link) /* also if nobody can fetch now */
		return extent_set(k->c, i, bad->block, bad->n, NULL, 0);
	return extent_set(k->c, i, bad->block, bad->n, &mark, 1);
}

static int check_run(struct checking *k, uint64_t ino, const struct run *run)
{
	uint8_t text[CACHE_BLOCK];
	int r = 0;

	if (run->seg == RUN_BAD_SEG) {
		say(k, false, "lost", ino, run->block);
		return 0;
	}
	for (uint64_t b = 0; b < run->n && run->seg && r == 0; b++) {
		struct run one = *run;

		if (seg_read(k->c, run, b, 1, text) == 0)
			continue;
		one.block += b;
		one.slot += (uint32_t)b;
		one.n = 1;
		if (k->repair)
			r = mend(k, ino, &one);
		say(k, k->repair && r == 0, "damaged on the disk", ino, one.block);
	}
	return r;
}

/* The next rows behind (*ino, *block).  1: there are none. */
static int check_page(struct checking *k, uint64_t *ino, uint64_t *block)
{
	struct db_stmt *s = st(k->c, STMT_extent_scan);
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t inos[PAGE] = { 0 };
	int r = 0;

	db_bind_u64(s, 1, *ino);
	db_bind_u64(s, 2, *block);
	while (runs.n < PAGE && (r = c_sql(k->c, db_step(s))) > 0) {
		struct run run = { .block = db_col_u64(s, 1),
				   .n = db_col_u64(s, 2),
				   .seg = (uint32_t)db_col_u64(s, 3),
				   .slot = (uint32_t)db_col_u64(s, 4),
				   .sgen = db_col_u64(s, 5),
				   .dgen = db_col_u64(s, 6) };

		*ino = inos[runs.n] = db_col_u64(s, 0);
		*block = run.block;
		r = runs_add(&runs, &run);
		if (r < 0)
			break;
	}
	db_reset(s);
	for (size_t n = 0; n < runs.n && r >= 0; n++)
		r = check_run(k, inos[n], &runs.v[n]);
	return r < 0 ? r : runs.n < PAGE;
}

static int check_slots(struct checking *k)
{
	uint64_t ino = 0, block = 0;
	int r;

	r = cache_snap_open(k->c, &k->names);
	if (r < 0) /* numbers are said in place of names */
		k->names = NULL;
	do {
		lock_take(&k->c->lock);
		r = check_page(k, &ino, &block);
		lock_drop(&k->c->lock);
	} while (r == 0);
	cache_snap_close(k->names);
	return r;
}

/* Of the drive as a whole; `mended` is said where it was to be repaired. */
static void say_all(struct checking *k, const char *wrong, const char *mended)
{
	if (k->found)
		k->found(k->ctx, k->repair ? mended : wrong);
	k->left += !k->repair;
}

/* What is counted of all rows.  If there is damage, it need not be possible. */
static int check_sums(struct checking *k)
{
	bool wrong = false, slots_wrong = false;
	struct cache *c = k->c;
	int r;

	lock_take(&c->lock);
	r = counts_check(c, k->repair, &wrong);
	if (r == 0)
		r = slotmap_check(c, &slots_wrong);
	if (slots_wrong)
		c->segs.no_map = true;
	slots_wrong = slots_wrong || c->map.wrong;
	if (k->repair)
		c->map.wrong = false;
	lock_drop(&c->lock);
	if (r < 0 && !k->left)
		return r;
	if (slots_wrong)
		say_all(k, slots_are_wrong, slots_mended);
	if (wrong)
		say_all(k, "the count of inodes and bytes is wrong",
			"the count of inodes and bytes is wrong (mended)");
	return 0;
}

int cache_check(struct cache *c, bool repair,
		void (*found)(void *ctx, const char *sentence), void *ctx,
		struct err *reterr)
{
	struct checking k = { .c = c,
			      .repair = repair && !c->p.read_only,
			      .found = found,
			      .ctx = ctx };
	struct err e = { 0 };
	int r = cache_sync(c);

	if (r < 0 && !c->p.read_only)
		return err_set(reterr, r, "the drive cannot be written: %s",
			       err_str(r));
	lock_take(&c->lock);
	r = db_check(c->db, &e);
	lock_drop(&c->lock);
	if (r < 0) {
		if (found)
			found(ctx, e.text);
		k.left++;
	}
	r = check_sums(&k);
	if (r < 0)
		return err_set(reterr, r, "inodes and slots cannot be counted: %s",
			       err_str(r));
	r = check_slots(&k);
	if (r == 1 && k.repair)
		r = cache_sync(c);
	if (r < 0)
		return err_set(reterr, r, "the check could not go on: %s",
			       err_str(r));
	return k.left;
}
