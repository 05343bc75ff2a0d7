/*
 * row.c - a row of the inode table
 *
 * The table of a commit has a row for each inode of several names.  One that went
 * with a lost piece, when nobody here knew it, is in no table from then on
 * (docs/architecture.md, section 12).  If the piece is found again, an older commit
 * that is still kept has it: the newest of those counts, for a row that had changed
 * since were in a newer one.  So a table that cannot be read where the row would
 * stand ends the search.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dag/dir.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "retrieve/internal.h"

#define NAME_SIZE 17 /* 16 hex digits and NUL */

struct tables {
	struct link *v; /* oldest first, neighbours differ */
	size_t n, cap;
};

static int on_head(void *ctx, const struct ledger_head *h)
{
	struct tables *t = ctx;
	size_t cap = t->cap ? 2 * t->cap : 16;
	struct head_info info;
	struct link *v;
	int r;

	if (h->state == LEDGER_SUPERSEDED || h->body.n == 0)
		return 0;
	r = head_info_decode(h->body, &info);
	if (r < 0 || info.inode_table.kind == LINK_NONE ||
	    (t->n && link_same(&t->v[t->n - 1], &info.inode_table)))
		return r;
	if (t->n == t->cap) {
		v = realloc(t->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = info.inode_table;
	return 0;
}

/* In the tables before `table`, the newest first. */
static int find_older(struct retrieve *r, const struct link *table,
		      const char *name, struct stop *stop, struct buf *body,
		      struct dir_item *ret, struct err *reterr)
{
	struct tables t = { .n = 0 };
	size_t n;
	int rc;

	rc = ledger_heads(r->p.ledger, on_head, &t);
	for (n = t.n; n && !link_same(&t.v[n - 1], table);)
		n--;
	if (rc == 0)
		rc = -ENOENT;
	while (rc == -ENOENT && n > 1)
		rc = walk_find(r, &t.v[--n - 1], name, stop, body, ret, reterr);
	free(t.v);
	return rc;
}

int row_find(struct retrieve *r, const struct link *table, uint64_t ino,
	     struct stop *stop, struct buf *body, struct dir_item *ret,
	     struct err *reterr)
{
	char name[NAME_SIZE];
	int rc = -ENOENT;

	(void)snprintf(name, sizeof(name), "%016" PRIx64, ino); /* fits */
	if (table->kind != LINK_NONE)
		rc = walk_find(r, table, name, stop, body, ret, reterr);
	if (rc == -ENOENT && table->kind != LINK_NONE)
		rc = find_older(r, table, name, stop, body, ret, reterr);
	if (rc == -ENOENT)
		return err_set(reterr, -EBADMSG,
			       "its row in the table of files of several names is lost");
	return rc;
}
