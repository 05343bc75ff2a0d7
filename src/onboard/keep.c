#include "onboard/keep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "onboard/run.h"

#define LEFT_MAX 1000 /* that are named, and not read again */

struct keep {
	uint64_t ino, gen, size;
	bool damaged, out;
};

struct left {
	uint64_t ino, gen;
	bool out;
	char *path; /* from the root; NULL: not known */
};

/* ---- of a run ---- */

static int keep_add(struct run *r, const struct keep *k)
{
	size_t cap = r->cap_keeps ? 2 * r->cap_keeps : 16;
	struct keep *v = r->keeps;
	int rc;

	if (r->n_keeps == r->cap_keeps) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->keeps = v;
		r->cap_keeps = cap;
	}
	rc = ino_map_put(&r->keep_of, k->ino, r->n_keeps);
	if (rc == 0)
		v[r->n_keeps++] = *k;
	return rc;
}

int keep_lost(struct run *r, uint64_t ino, uint64_t size)
{
	return keep_add(r, &(struct keep){ .ino = ino, .size = size });
}

int keep_damaged(struct run *r, uint64_t ino, uint64_t gen, uint64_t size)
{
	return keep_add(r, &(struct keep){ ino, gen, size, true, false });
}

bool keep_has_left_out(const struct run *r)
{
	uint64_t is = 0;

	/* one that cannot be read is found by who needs the ledger next */
	return ledger_get_u64(r->o->p.ledger, LEDGER_LEFT_OUT, &is) == 0 && is;
}

int keep_out(struct run *r, uint64_t ino, uint64_t gen)
{
	int rc = 0;

	if (!keep_has_left_out(r))
		rc = ledger_set_u64(r->o->p.ledger, LEDGER_LEFT_OUT, 1);
	return rc < 0 ? rc : keep_add(r, &(struct keep){ ino, gen, 0, true, true });
}

bool keep_is_known(const struct run *r, uint64_t ino, uint64_t gen)
{
	const struct onboard *o = r->o; /* only this thread changes the list */

	if (r->asked)
		return false;
	for (size_t i = 0; i < o->n_left; i++)
		if (o->left[i].ino == ino)
			return o->left[i].gen == gen;
	return false;
}

static const struct keep *keep_find(const struct run *r, uint64_t ino)
{
	size_t at;

	return ino_map_get(&r->keep_of, ino, &at) ? &r->keeps[at] : NULL;
}

bool keep_is_out(const struct run *r, uint64_t ino)
{
	const struct keep *k = keep_find(r, ino);

	return k && k->out;
}

void keep_size(const struct run *r, uint64_t ino, uint64_t *size)
{
	const struct keep *k = keep_find(r, ino);

	if (k)
		*size = k->size;
}

int keep_count(struct run *r, struct cache_counts *ret)
{
	struct cache_counts t = cache_snap_counts(r->snap);
	struct cache_snap_inode i;
	int rc = 0;

	for (size_t k = 0; k < r->n_keeps && rc == 0 && t.inodes; k++) {
		rc = cache_snap_inode(r->snap, r->keeps[k].ino, &i);
		if (rc < 0)
			break;
		t.bytes += r->keeps[k].size - i.attr.size;
		t.inodes -= r->keeps[k].out;
	}
	*ret = t;
	return rc;
}

/* ---- what is said ---- */

static void left_free(struct left *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].path);
	free(v);
}

static bool said_before(const struct onboard *o, const struct keep *k)
{
	for (size_t i = 0; i < o->n_left; i++)
		if (o->left[i].ino == k->ino)
			return o->left[i].gen == k->gen;
	return false;
}

static int left_add(struct run *r, const struct keep *k, struct left *ret)
{
	_cleanup_free_ char *path = malloc(LEDGER_PATH_MAX);
	int rc;

	if (!path)
		return -ENOMEM;
	rc = cache_snap_path(r->snap, k->ino, path, LEDGER_PATH_MAX);
	if (rc == -ENOMEM)
		return rc;
	*ret = (struct left){ .ino = k->ino, .gen = k->gen, .out = k->out };
	if (rc == 0) {
		ret->path = strdup(path);
		if (!ret->path)
			return -ENOMEM;
	}
	if (!said_before(r->o, k))
		log_err(-EBADMSG, "inode %" PRIu64 "%s%s: damaged on the disk, %s",
			k->ino, rc == 0 ? ", " : "", rc == 0 ? path : "",
			k->out ? "and left out of the commit" :
				 "in the commit as it was before");
	return 0;
}

int keep_end(struct run *r)
{
	struct onboard *o = r->o;
	struct left *v = NULL, *old;
	size_t n = 0, n_all = 0, n_old;
	bool out = false;
	int rc = 0;

	for (size_t i = 0; i < r->n_keeps; i++) {
		n_all += r->keeps[i].damaged;
		out |= r->keeps[i].out;
	}
	if (!out && keep_has_left_out(r))
		rc = ledger_set_u64(o->p.ledger, LEDGER_LEFT_OUT, 0);
	if (rc < 0)
		return rc;
	if (n_all) {
		v = calloc(MIN(n_all, LEFT_MAX), sizeof(*v));
		if (!v)
			return -ENOMEM;
	}
	for (size_t i = 0; v && i < r->n_keeps && n < LEFT_MAX && rc == 0; i++)
		if (r->keeps[i].damaged)
			rc = left_add(r, &r->keeps[i], &v[n++]);
	if (rc < 0) {
		left_free(v, n);
		return rc;
	}
	lock_take(&o->lock);
	old = o->left;
	n_old = o->n_left;
	o->left = v;
	o->n_left = n;
	o->n_left_all = n_all;
	lock_drop(&o->lock);
	left_free(old, n_old);
	return 0;
}

void keep_fini(struct run *r)
{
	free(r->keeps);
	ino_map_fini(&r->keep_of);
}

void keep_free(struct onboard *o)
{
	left_free(o->left, o->n_left);
}

uint64_t onboard_left(struct onboard *o, struct err *reterr)
{
	const struct left *f;
	const char *path;
	uint64_t n;

	lock_take(&o->lock);
	n = o->n_left_all;
	f = o->left;
	path = n && f->path ? f->path : "a file without a known name";
	if (n == 1)
		err_set(reterr, 0,
			"damaged on this disk and at no store; %s until it is written anew or deleted: %s",
			f->out ? "in no commit" : "commits have it as it was before",
			path);
	else if (n)
		err_set(reterr, 0,
			"%" PRIu64
			" files are damaged on this disk and at no store; commits have what they had of them before; verify names them; one is %s",
			n, path);
	lock_drop(&o->lock);
	return n;
}

int onboard_left_tell(struct onboard *o,
		      void (*found)(void *ctx, const char *sentence), void *ctx)
{
	char sentence[LEDGER_PATH_MAX + 128], who[64];
	bool more = true;
	int n = 0;

	while (more) {
		lock_take(&o->lock);
		more = (size_t)n < o->n_left;
		if (more) {
			const struct left *f = &o->left[n];

			(void)snprintf(who, sizeof(who), "inode %" PRIu64,
				       f->ino); /* fits */
			(void)snprintf(
				sentence, sizeof(sentence),
				"%s: damaged on this disk and at no store; %s",
				f->path ? f->path : who,
				f->out ? "in no commit" :
					 "commits have it as it was before"); /* fits */
		}
		lock_drop(&o->lock);
		if (more) {
			found(ctx, sentence);
			n++;
		}
	}
	return n;
}
