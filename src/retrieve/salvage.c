#include "retrieve/salvage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "cache/cache.h"
#include "crypto/secret.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "retrieve/finder.h"
#include "retrieve/mend.h"
#include "retrieve/survey.h"

#define INO_AHEAD \
 (1ull << 32) /* above all that are seen: a writer whose record
				  is lost may have given out more */
#define NOTE_MAX   160
#define RETAIN_MAX 1024 /* commits */

struct salvage_plan {
	struct remote *r;
	struct survey survey;
	struct mend mend;
};

/* One look for the newest tree that can be mounted. */
struct choice {
	struct finder *d;
	struct salvage *s;
	struct recover_found *seen; /* what the stores said; ours */
};

static const struct link no_link = { .kind = LINK_NONE };

static struct recover_found *found_new(const struct choice *c,
				       const struct survey_piece *p)
{
	struct recover_found *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->n_stores = c->seen->n_stores;
	memcpy(f->stores, c->seen->stores, sizeof(f->stores));
	f->newest = MAX(c->seen->newest, c->s->newest);
	f->sequence = p->sequence;
	return f;
}

/* ---- a commit whose record is there ---- */

static int try_record(struct choice *c, const struct survey_piece *p)
{
	struct trailer t;
	int r;

	c->d->f = found_new(c, p);
	if (!c->d->f)
		return -ENOMEM;
	r = survey_trailer(&c->s->plan->survey, p, &t, &c->d->f->head);
	return r < 0 ? r : finder_open(c->d);
}

/* ---- a commit whose record is lost ---- */

struct last_of {
	enum xindex_kind kind;
	struct link link; /* LINK_NONE: none */
};

/* Nodes are written bottom-up, so the last one of a kind is the root. */
static int on_last(void *ctx, const struct survey_piece *p,
		   const struct link *l, const struct xindex_entry *e)
{
	struct last_of *last = ctx;

	(void)p;
	if (e->kind == last->kind && l->codec == LINK_DAGPB &&
	    (last->link.kind == LINK_NONE || l->place.off > last->link.place.off))
		last->link = *l;
	return 0;
}

static int ignore(void *ctx, const struct dir_item *item)
{
	(void)ctx;
	(void)item;
	return 0;
}

/* The newest directory of this kind, in piece `from` or an older one, that can
 * be read from end to end; LINK_NONE: there is none. */
static int newest_dir(struct choice *c, size_t from, enum xindex_kind kind,
		      struct link *ret)
{
	struct survey *s = &c->s->plan->survey;
	struct err e;
	int r;

	*ret = no_link;
	for (size_t i = from; i < s->n; i++) {
		struct last_of last = { .kind = kind };

		r = survey_blocks(s, &s->v[i], PIECE_NODES, on_last, &last);
		if (r < 0)
			return r;
		if (last.link.kind == LINK_NONE)
			continue;
		e = (struct err){ "" };
		r = remote_dir(s->r, &last.link, ignore, NULL, &e);
		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			*ret = last.link;
			return 0;
		}
	}
	return 0;
}

/* The commit of a piece, if its record opens. */
static int open_record(struct choice *c, size_t at, struct commit **ret)
{
	const struct survey *s = &c->s->plan->survey;
	struct recover_found *mine = c->d->f;
	struct trailer t;
	int r;

	if (!s->v[at].has_commit)
		return -ENOENT;
	c->d->f = found_new(c, &s->v[at]);
	r = c->d->f ? survey_trailer(s, &s->v[at], &t, &c->d->f->head) : -ENOMEM;
	if (r == 0)
		r = finder_commit(c->d);
	if (r == 0)
		*ret = steal(&c->d->f->commit);
	recover_found_free(c->d->f);
	c->d->f = mine;
	return r;
}

/* An older commit that opens: it knows what the drive was set to. */
static int find_donor(struct choice *c, size_t from, struct commit **ret)
{
	int r = -ENOENT;

	for (size_t i = from; i < c->s->plan->survey.n && r < 0; i++) {
		r = open_record(c, i, ret);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static int retain(struct recover_found *f, const struct commit_info *info)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct recover_commit *v;
	int r;

	buf_init(&body, FINDER_HEAD_BODY_MAX);
	r = finder_head_body(info, &body);
	if (r < 0)
		return r;
	v = realloc(f->retained, (f->n_retained + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->retained = v;
	memmove(v + 1, v, f->n_retained * sizeof(*v));
	v[0] = (struct recover_commit){ .sequence = info->sequence,
					.time = (uint64_t)info->time.s,
					.n_body = body.n };
	v[0].body = steal(&body.p);
	f->n_retained++;
	return 0;
}

/* A short list of retained commits stands in the record itself, and is lost with
 * it.  Then every commit that opens is one. */
static int retain_records(struct choice *c, size_t from)
{
	struct survey *s = &c->s->plan->survey;
	struct recover_found *f = c->d->f;
	uint64_t last = f->sequence;
	int r = 0;

	for (size_t i = from; i < s->n && f->n_retained < RETAIN_MAX; i++) {
		_cleanup_commit_ struct commit *old = NULL;

		if (s->v[i].sequence >= last)
			continue;
		r = open_record(c, i, &old);
		if (r == 0)
			r = retain(f, commit_info(old));
		if (r == -ENOMEM)
			return r;
		if (r == 0)
			last = s->v[i].sequence;
	}
	return 0;
}

static int reseal(struct choice *c, const struct commit_info *info,
		  const struct secret *convergence)
{
	_cleanup_buf_ struct buf record = { 0 };
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct commit *made = NULL;
	int r;

	buf_init(&record, COMMIT_RECORD_MAX);
	r = commit_seal(info, convergence, c->d->p->keys, &record, digest);
	if (r == 0)
		r = commit_open(buf_slice(&record), c->d->p->keys, &made);
	if (r < 0)
		return r;
	commit_free(c->d->f->commit); /* `info` may have borrowed from it */
	c->d->f->commit = made;
	return 0;
}

static struct attr guessed_root(const struct trailer *t)
{
	const struct attr_time when = { MAX(t->time_s, 0), 0 };

	return (struct attr){ .ino = CACHE_ROOT_INO,
			      .mode = S_IFDIR | 0755,
			      .uid = geteuid(),
			      .gid = getegid(),
			      .nlink = 2,
			      .mtime = when,
			      .ctime = when,
			      .btime = when,
			      .atime = when };
}

static void info_guess(struct commit_info *info, const struct trailer *t,
		       uint64_t sequence, const struct commit *donor)
{
	const struct commit_info *old = donor ? commit_info(donor) : NULL;

	*info = (struct commit_info){
		.min_reader = COMMIT_FORMAT,
		.min_writer = old ? old->min_writer : COMMIT_FORMAT,
		.sequence = sequence,
		.time = { t->time_s, 0 },
		.writer = (uint32_t)(t->piece >> PIECE_COUNTER_BITS),
		.root_attr = old ? old->root_attr : guessed_root(t),
		.ino_next = old ? old->ino_next : CACHE_ROOT_INO + 1,
		.piece_next = 1,
		.epoch = old ? old->epoch : 1,
		.compress = old ? old->compress : COMMIT_COMPRESS_NODES,
		.copies = old ? old->copies : 1,
	};
	if (sequence > 1)
		memcpy(info->parent, t->previous.commit, sizeof(info->parent));
}

/*
 * Everything that the record said: from the index, an older commit, or anew.  A
 * new convergence secret costs deduplication against what was, nothing else.
 */
static int rebuild(struct choice *c, size_t at, const struct link *root)
{
	struct survey *s = &c->s->plan->survey;
	_cleanup_commit_ struct commit *donor = NULL;
	_cleanup_secret_ struct secret *fresh = NULL;
	struct recover_found *f = c->d->f;
	struct commit_info info;
	int r;

	r = find_donor(c, at, &donor);
	if (r == 0 && !donor)
		r = secret_new_random(&fresh);
	if (r < 0)
		return r;
	info_guess(&info, &f->trailer, f->sequence, donor);
	info.root = *root;
	r = newest_dir(c, at, XINDEX_INODES, &info.inode_table);
	if (r == 0)
		r = newest_dir(c, at, XINDEX_RETAINED, &info.retained);
	if (r == 0)
		r = reseal(c, &info, donor ? commit_convergence(donor) : fresh);
	if (r < 0)
		return r;
	/* What the next commit calls its parent is the record that was lost. */
	if (s->v[at].has_commit)
		memcpy(f->commit_hash, f->trailer.commit.digest,
		       sizeof(f->commit_hash));
	else
		memcpy(f->commit_hash, commit_digest(f->commit),
		       sizeof(f->commit_hash));
	r = finder_complete(c->d);
	return r < 0 || f->n_retained ? r : retain_records(c, at);
}

/* The root directory of a commit, and no record of it. */
static int try_root(struct choice *c, size_t at)
{
	struct survey *s = &c->s->plan->survey;
	struct last_of last = { .kind = XINDEX_ROOT };
	struct recover_found *f;
	uint32_t stores;
	int r;

	r = survey_blocks(s, &s->v[at], PIECE_NODES, on_last, &last);
	if (r < 0)
		return r;
	if (last.link.kind == LINK_NONE)
		return -ENOENT;
	r = remote_dir(s->r, &last.link, ignore, NULL, c->d->err);
	if (r < 0)
		return r;
	f = c->d->f = found_new(c, &s->v[at]);
	if (!f)
		return -ENOMEM;
	r = survey_trailer(s, &s->v[at], &f->trailer, &f->head);
	if (r == 0)
		r = remote_where(s->r, &f->head, &f->head_size, &stores);
	return r < 0 ? r : rebuild(c, at, &last.link);
}

/* ---- the choice ---- */

static void drop_found(struct choice *c)
{
	if (c->d->f != c->seen)
		recover_found_free(c->d->f);
	c->d->f = c->seen;
}

static int try_piece(struct choice *c, size_t at)
{
	const struct survey_piece *p = &c->s->plan->survey.v[at];
	int r = -ENOENT;

	if (p->has_commit) {
		r = try_record(c, p);
		if (r == 0 || r == -ENOMEM || r == -EOPNOTSUPP)
			return r;
		log_warn("commit %" PRIu64 " cannot be mounted as it is: %s",
			 p->sequence,
			 c->d->err->text[0] ? c->d->err->text : err_str(r));
		drop_found(c);
	}
	c->d->err->text[0] = '\0';
	r = try_root(c, at);
	if (r == 0)
		c->s->rebuilt = true;
	else
		drop_found(c);
	return r;
}

static int choose(struct choice *c)
{
	struct survey *s = &c->s->plan->survey;
	int r = -ENOENT;

	for (size_t i = 0; i < s->n; i++) {
		c->s->n_commits += s->v[i].has_commit;
		if (s->v[i].has_commit)
			c->s->newest = MAX(c->s->newest, s->v[i].sequence);
	}
	for (size_t i = 0; i < s->n && r < 0; i++) {
		if (c->d->p->before && s->v[i].sequence >= c->d->p->before)
			continue;
		r = try_piece(c, i);
		if (r == -ENOMEM || r == -EOPNOTSUPP)
			return r;
	}
	if (r == 0)
		c->s->found = c->d->f;
	return r == 0 ? 0 :
			err_set(c->d->err, -ENOENT,
				"no piece at these stores holds a commit of this drive that opens, or a root directory");
}

/* ---- what is not as it was ---- */

/* Rows of the inode table are asked for one by one, and all of them by the next
 * commit: a table with a gap is of no use. */
static int check_table(struct choice *c, struct commit_info *info, bool *ret_changed)
{
	struct mend *m = &c->s->plan->mend;
	int r = mend_table(m, &info->inode_table);

	if (r == 0 || r == -ENOMEM || r == -EMSGSIZE)
		return r;
	*ret_changed = true;
	r = newest_dir(c, 0, XINDEX_INODES, &info->inode_table);
	if (r == 0)
		r = mend_table(m, &info->inode_table);
	if (r == 0)
		mend_say(m, true, "replaced", "",
			 info->inode_table.kind == LINK_NONE ?
				 "the table of hard links is lost: files with several names cannot be read" :
				 "the table of hard links is lost, and an older one takes its place: files with several names may be older, or missing");
	return r;
}

static void say_which_commit(struct choice *c)
{
	const struct recover_found *f = c->d->f;
	struct mend *m = &c->s->plan->mend;
	char note[NOTE_MAX];

	if (c->s->rebuilt) {
		(void)snprintf(note, sizeof(note),
			       "the record of commit %" PRIu64
			       " is lost, and was made anew from its root directory",
			       f->sequence); /* fits */
		mend_say(m, false, "rebuilt", "", note);
	}
	if (f->sequence < f->newest) {
		(void)snprintf(note, sizeof(note),
			       "commit %" PRIu64 " stands in for %" PRIu64
			       ", which is lost: later changes are missing",
			       f->sequence, f->newest); /* fits */
		mend_say(m, true, "older", "", note);
	}
}

static int mend(struct choice *c)
{
	struct mend *m = &c->s->plan->mend;
	struct commit_info info = *commit_info(c->d->f->commit);
	bool changed = false;
	int r;

	say_which_commit(c);
	r = check_table(c, &info, &changed);
	if (r == 0)
		r = mend_plan(m, &info.root, c->d->err);
	if (r < 0)
		return r;
	if (c->s->rebuilt || m->max_ino >= info.ino_next) {
		info.ino_next = MAX(info.ino_next, m->max_ino + 1) + INO_AHEAD;
		changed = true;
	}
	if (m->n_faults || m->n_dirs || c->s->rebuilt) {
		r = mend_orphans(m, &info.ino_next, c->d->err);
		changed = true;
	}
	if (r == 0)
		r = mend_finish(m);
	if (changed) /* and nobody has counted what is left */
		info.n_inodes = info.n_bytes = 0;
	if (r == 0 && changed)
		r = reseal(c, &info, commit_convergence(c->d->f->commit));
	c->s->n_dirs = m->n_seen;
	c->s->n_lost_dirs = m->n_lost;
	c->s->n_faults = m->n_faults;
	return r;
}

/* ---- */

static int look(struct finder *d, struct salvage *s)
{
	struct choice c = { .d = d, .s = s, .seen = d->f };
	struct survey *survey = &s->plan->survey;
	int status[RECOVER_STORES_MAX];
	uint64_t n[RECOVER_STORES_MAX];
	struct err e = { "" }, *outer = d->err;
	int r;

	d->err = &e; /* that heads are gone is why we are here */
	r = finder_ask_heads(d);
	d->err = outer;
	if (r == -ENOMEM)
		return r;
	r = remote_listing(d->r, status, n, d->err);
	if (r < 0)
		return r;
	d->err->text[0] = '\0';
	for (size_t i = 0; i < d->f->n_stores; i++)
		d->f->stores[i].n_pieces = n[i];
	s->newest = d->f->newest;
	r = survey_read(survey);
	s->n_pieces = survey->n;
	s->n_unreadable = survey->n_unreadable;
	if (r == 0)
		r = choose(&c);
	if (r == 0)
		r = mend(&c);
	return r;
}

int salvage_find(const struct recover_params *p, struct salvage *ret,
		 struct err *reterr)
{
	struct finder d = { .p = p, .salvage = true };
	struct recover_found *seen;
	struct err e = { "" };
	int r;

	*ret = (struct salvage){ 0 };
	if (p->n_stores == 0 || p->n_stores > RECOVER_STORES_MAX)
		return err_set(reterr, -EINVAL, "salvage needs 1 to %d stores",
			       RECOVER_STORES_MAX);
	ret->plan = calloc(1, sizeof(*ret->plan));
	d.f = calloc(1, sizeof(*d.f));
	if (!ret->plan || !d.f) {
		free(d.f);
		return -ENOMEM;
	}
	seen = d.f;
	seen->n_stores = p->n_stores;
	d.err = &e;
	r = remote_new(p->keys, p->stores, p->n_stores, &ret->plan->r);
	d.r = ret->plan->r;
	ret->plan->survey.r = d.r;
	mend_init(&ret->plan->mend, &ret->plan->survey);
	if (r == 0)
		r = look(&d, ret);
	if (d.f != seen && d.f != ret->found)
		recover_found_free(d.f); /* a try that ended the search */
	recover_found_free(seen);
	if (r < 0)
		return err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r));
	return 0;
}

int salvage_mend(struct salvage *s, const struct cache_params *p, struct err *reterr)
{
	return mend_apply(&s->plan->mend, p, reterr);
}

struct slice salvage_report(const struct salvage *s)
{
	return s->plan ? buf_slice(&s->plan->mend.report) : SLICE_NONE;
}

void salvage_fini(struct salvage *s)
{
	recover_found_free(s->found);
	if (s->plan) {
		mend_fini(&s->plan->mend);
		survey_fini(&s->plan->survey);
		remote_free(s->plan->r);
		free(s->plan);
	}
	*s = (struct salvage){ 0 };
}
