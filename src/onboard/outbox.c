/*
 * outbox.c - pieces that wait on this machine until the stores hold them
 *
 * The row of a piece says whether its file is in the outbox.  A file without a
 * row is a rest of a crash and is swept at the start; a row without a file is
 * put right there, too.  Copies are counted, the state is set and the file goes
 * under one lock, o->outbox.
 */
#include "onboard/internal.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/log.h"
#include "cache/cache.h"
#include "ledger/ledger.h"
#include "onboard/reseal.h"

void outbox_account(struct onboard *o)
{
	struct ledger_sums sums = { 0 };

	if (ledger_sums(o->p.ledger, &sums) == 0)
		cache_account_outbox(o->p.cache, sums.outbox_bytes);
}

unsigned outbox_copies(const struct onboard *o, const struct ledger_piece *p)
{
	unsigned want = o->p.copies + (p->kind == PIECE_META);

	return MIN(want, (unsigned)o->p.n_stores);
}

int outbox_set(struct onboard *o, uint64_t ordinal, bool outbox)
{
	struct ledger_piece p;
	int r;

	lock_take(&o->outbox);
	r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r == 0)
		r = ledger_piece_set(o->p.ledger, ordinal, p.state, outbox);
	lock_drop(&o->outbox);
	return r;
}

static int drop(struct onboard *o, const struct ledger_piece *p)
{
	char name[LEDGER_OUTBOX_NAME_MAX];
	int r;

	ledger_outbox_name(p->ordinal, name);
	/* The row first: a file without a row is swept at the next start. */
	r = ledger_piece_set(o->p.ledger, p->ordinal, p->state, false);
	if (r == 0)
		r = io_unlink(o->p.io, name);
	outbox_account(o);
	return r == -ENOENT ? 0 : r;
}

int outbox_unpull(struct onboard *o, uint64_t ordinal)
{
	struct ledger_piece p;
	int r;

	lock_take(&o->outbox);
	r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r == 0 && p.state != LEDGER_READY && p.outbox)
		r = drop(o, &p);
	lock_drop(&o->outbox);
	return r;
}

int outbox_has_room(struct onboard *o, bool *ret)
{
	struct ledger_sums sums = { 0 };
	int r = ledger_sums(o->p.ledger, &sums);

	*ret = !sums.outbox_bytes ||
	       sums.outbox_bytes + o->p.piece_target <= o->p.outbox_max;
	return r;
}

static int on_placement(void *ctx, const struct ledger_placement *p)
{
	(void)p;
	*(bool *)ctx = true;
	return 1;
}

/* Who begins with a piece has o->outbox as well (ship.c). */
static bool is_busy(struct onboard *o, uint64_t ordinal)
{
	bool busy = false;

	lock_take(&o->lock);
	for (size_t i = 0; i < o->p.n_stores; i++)
		busy |= o->shippers[i].busy_piece == ordinal;
	lock_drop(&o->lock);
	return busy;
}

static int take_back(struct onboard *o, uint64_t ordinal)
{
	char name[LEDGER_OUTBOX_NAME_MAX];
	struct ledger_piece p = { 0 };
	bool placed = false;
	int r;

	r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r == 0)
		r = ledger_placements(o->p.ledger, ordinal, on_placement, &placed);
	if (r < 0)
		return r;
	if (p.state != LEDGER_READY || p.seq || placed || is_busy(o, ordinal))
		return 0;
	r = ledger_piece_set(o->p.ledger, ordinal, LEDGER_REMOVED, false);
	if (r < 0)
		return r;
	atomic_store(&o->sweep, true);
	ledger_outbox_name(ordinal, name);
	r = io_unlink(o->p.io, name); /* as in drop() */
	outbox_account(o);
	return r < 0 && r != -ENOENT ? r : 1;
}

int outbox_take_back(struct onboard *o, uint64_t ordinal)
{
	int r;

	lock_take(&o->outbox);
	r = take_back(o, ordinal);
	lock_drop(&o->outbox);
	return r;
}

/* I2: only copies that were read back count. */
static int settle_one(struct onboard *o, uint64_t ordinal)
{
	struct ledger_piece p;
	unsigned copies = 0, claim = 0;
	bool all;
	int r;

	r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r == 0)
		r = ledger_copies(o->p.ledger, ordinal, &copies);
	/* The file stays until the claim has made the last copy. */
	if (r == 0 && copies < o->p.copies)
		r = park_count(o, ordinal, &claim);
	if (r < 0 || copies + claim < o->p.copies)
		return r;
	all = copies >= outbox_copies(o, &p);
	if (p.state == LEDGER_READY) {
		r = ledger_piece_set(o->p.ledger, ordinal, LEDGER_HELD, p.outbox);
		p.state = LEDGER_HELD;
		/* Who is to have one more, and was busy, finds it there now. */
		for (size_t i = 0; r == 0 && !all && i < o->p.n_stores; i++)
			atomic_store(&o->shippers[i].rescan, true);
	}
	if (r == 0 && p.outbox && all && copies >= o->p.copies)
		r = drop(o, &p);
	return r;
}

int outbox_settle(struct onboard *o, uint64_t ordinal)
{
	int r;

	lock_take(&o->outbox);
	r = settle_one(o, ordinal);
	lock_drop(&o->outbox);
	return r;
}

/* ---- start ---- */

struct sweep {
	struct onboard *o;
	int status;
};

/* A file without a row that says outbox: a rest of a crash. */
static int on_outbox_file(void *ctx, const char *name)
{
	struct sweep *s = ctx;
	char path[LEDGER_OUTBOX_NAME_MAX], *end;
	struct ledger_piece p = { 0 };
	uint64_t ordinal;
	int r;

	errno = 0;
	ordinal = strtoull(name, &end, 16);
	if (errno || end != name + 16 || strcmp(end, ".car") != 0)
		return 0; /* not ours */
	r = ledger_piece_get(s->o->p.ledger, ordinal, &p);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && p.outbox)
		return 0;
	ledger_outbox_name(ordinal, path);
	return io_unlink(s->o->p.io, path);
}

/* A row that says outbox, and no file: the stores have to have it. */
static int on_outbox_row(void *ctx, const struct ledger_piece *p)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	struct sweep *s = ctx;
	char path[LEDGER_OUTBOX_NAME_MAX];
	uint64_t size = 0;
	unsigned copies = 0;
	int r;

	if (!p->outbox || p->state == LEDGER_PIECE_LOST)
		return 0; /* what is left of a damaged one is read there */
	ledger_outbox_name(p->ordinal, path);
	r = io_open(s->o->p.io, path, O_RDONLY, &f);
	if (r == 0)
		r = io_size(f, &size);
	if (r == 0 && size == p->size)
		return outbox_settle(s->o, p->ordinal);
	r = reseal_outbox(s->o, p->ordinal);
	if (r == 0)
		r = ledger_copies(s->o->p.ledger, p->ordinal, &copies);
	if (r)
		return MIN(r, 0);
	log_err(copies ? -ENOENT : -EUCLEAN,
		"%s is missing or cut; %u stores have the piece", path, copies);
	return outbox_set(s->o, p->ordinal, false);
}

int outbox_recover(struct onboard *o)
{
	struct sweep s = { .o = o };
	int r;

	r = io_mkdir(o->p.io, LEDGER_OUTBOX);
	if (r < 0 && r != -EEXIST)
		return r;
	r = io_list(o->p.io, LEDGER_OUTBOX, on_outbox_file, &s);
	if (r == 0)
		r = ledger_pieces(o->p.ledger, 0, on_outbox_row, &s);
	if (r == 0)
		outbox_account(o);
	return r;
}
