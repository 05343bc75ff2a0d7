/*
 * results.c - what the inodes of a run link now
 *
 * RESULTS_MAX of them are in memory.  What a larger commit has more is staged in
 * ledger.db, where all of it has to be in the end for the cache to adopt, and read
 * back from there, since the directory above has yet to be built.
 */
#include "onboard/run.h"

#include <errno.h>

#include "base/buf.h"
#include "ledger/ledger.h"

#define RESULTS_MAX 32768

/* Room for one more link. */
static int links_room(struct run *r)
{
	size_t cap = r->cap_links ? 2 * r->cap_links : 4096;
	uint8_t *v;

	if (r->cap_links - r->n_links >= LINK_ENCODED_MAX)
		return 0;
	v = realloc(r->links, cap);
	if (!v)
		return -ENOMEM;
	r->links = v;
	r->cap_links = cap;
	return 0;
}

static struct slice link_at(const struct run *r, const struct result *res)
{
	return slice(r->links + res->link, res->n_link);
}

int results_tell(const struct run *r, struct ledger_adopt **ret)
{
	struct ledger_adopt *v = calloc(r->n_results + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_results; i++)
		v[i] = (struct ledger_adopt){ .ino = r->results[i].ino,
					      .size = r->results[i].size,
					      .link = link_at(r, &r->results[i]) };
	*ret = v;
	return 0;
}

/* Those in memory go to the ledger. */
static int stage(struct run *r)
{
	_cleanup_free_ struct ledger_adopt *v = NULL;
	int rc = results_tell(r, &v);

	if (rc == 0)
		rc = ledger_adopt_stage(r->o->p.ledger, cache_snap_gen(r->snap),
					v, r->n_results);
	if (rc < 0)
		return rc;
	ino_map_fini(&r->result_of);
	r->n_results = 0;
	r->n_links = 0;
	r->staged = true;
	return 0;
}

int result_add(struct run *r, uint64_t ino, uint64_t size, const struct link *l)
{
	size_t max = r->o->p.results_max ? r->o->p.results_max : RESULTS_MAX;
	size_t cap = r->cap_results ? 2 * r->cap_results : 64;
	struct result *v = r->results;
	_cleanup_buf_ struct buf b = { 0 };
	int rc;

	buf_init(&b, LINK_ENCODED_MAX);
	rc = link_encode(l, &b);
	if (rc == 0 && r->n_results >= max)
		rc = stage(r);
	if (rc < 0)
		return rc;
	if (r->n_results == r->cap_results) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->results = v;
		r->cap_results = cap;
	}
	rc = links_room(r);
	if (rc == 0)
		rc = ino_map_put(&r->result_of, ino, r->n_results);
	if (rc < 0)
		return rc;
	v += r->n_results++;
	*v = (struct result){ .ino = ino,
			      .size = size,
			      .link = r->n_links,
			      .n_link = (uint8_t)b.n };
	memcpy(r->links + r->n_links, b.p, b.n);
	r->n_links += b.n;
	return 0;
}

int result_find(const struct run *r, uint64_t ino, struct buf *link)
{
	size_t at;

	if (ino_map_get(&r->result_of, ino, &at))
		return buf_append(link, link_at(r, &r->results[at]));
	if (!r->staged)
		return -ENOENT;
	return ledger_adopt_staged(r->o->p.ledger, cache_snap_gen(r->snap), ino,
				   link);
}

void results_fini(struct run *r)
{
	free(r->results);
	free(r->links);
	ino_map_fini(&r->result_of);
}
