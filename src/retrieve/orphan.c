/*
 * orphan.c - what no readable node links
 *
 *   every node: which blocks does it link?      (the set `linked`)
 *   every node: a directory, or a file's root, that is not in the set
 *   every leaf: likewise
 *
 * The roots of commits are linked by nothing, and no orphans.
 */
#include "retrieve/mend.h"

#include <errno.h>
#include <stdio.h>

#include "crypto/seal.h"
#include "dag/file.h"

#define PATH_SIZE 64 /* of what is in lost+found */
#define NOTE_SIZE 64

struct search {
	struct mend *m;
	struct digest_set linked; /* by a node that can be read; or taken */
	bool over;                /* more than fit */
	uint64_t next_ino;
};

static int link_note(struct search *s, const struct link *l)
{
	int r;

	if (l->kind != LINK_SEALED)
		return 0;
	if (s->linked.n >= MEND_BLOCKS_MAX)
		return -EMSGSIZE;
	r = digest_set_add(&s->linked, l->digest);
	return r < 0 ? r : 0;
}

static int dir_links(struct search *s, struct slice body)
{
	struct dir_node node = { .level = 0 };
	struct dir_item item;
	struct dir_iter it;
	int r;

	if (mend_parse_dir(body, &node) < 0)
		return 0;
	dir_iter_init(&it, &node);
	while (dir_next(&it, &item) == 1) {
		r = link_note(s, &item.link);
		if (r < 0)
			return r;
	}
	return 0;
}

static int file_links(struct search *s, struct slice body)
{
	struct file_node node;
	struct file_child c;
	struct file_iter it;
	int r;

	if (file_node_parse(body, LINK_DAGPB, true, &node) < 0)
		return 0;
	file_iter_init(&it, &node);
	while (file_iter_next(&it, &c) == 1) {
		r = link_note(s, &c.link);
		if (r < 0)
			return r;
	}
	return 0;
}

static int on_node(void *ctx, const struct survey_piece *p,
		   const struct link *l, const struct xindex_entry *e)
{
	struct search *s = ctx;
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	(void)p;
	if (l->codec != LINK_DAGPB)
		return 0;
	buf_init(&body, SEAL_BODY_MAX);
	r = remote_body(s->m->r, l, &body, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	return e->kind == XINDEX_FILE ? file_links(s, buf_slice(&body)) :
					dir_links(s, buf_slice(&body));
}

static void path_below(const struct mend *m, const struct mend_orphan *o,
		       char ret[static PATH_SIZE])
{
	char name[MEND_NAME_SIZE];

	mend_orphan_name(o, name);
	(void)snprintf(ret, PATH_SIZE, "%s/%s", m->found_name, name); /* fits */
}

static int take(struct search *s, const struct mend_orphan *o, const char *note)
{
	struct mend *m = s->m;
	size_t cap = m->cap_orphans ? 2 * m->cap_orphans : 64;
	struct mend_orphan *v = m->orphans;
	char path[PATH_SIZE];

	if (m->n_orphans == MEND_ORPHANS_MAX) {
		s->over = true;
		return 0;
	}
	if (m->n_orphans == m->cap_orphans) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		m->orphans = v;
		m->cap_orphans = cap;
	}
	v[m->n_orphans++] = *o;
	s->next_ino++;
	path_below(m, o, path);
	mend_say(m, true, "found", path, note);
	return link_note(s, &o->link);
}

static int take_dir(struct search *s, const struct link *l,
		    const struct xindex_entry *e, struct slice body)
{
	struct mend_orphan o = { *l, 0, s->next_ino, true };
	char path[PATH_SIZE];
	struct dir_node node = { .level = 0 };
	bool any;
	int r;

	if (mend_parse_dir(body, &node) < 0 ||
	    (e->kind == XINDEX_ROOT && !node.level))
		return 0;
	path_below(s->m, &o, path);
	r = mend_adopt(s->m, o.ino, l, node.level, path, &any);
	if (r < 0 || !any)
		return r;
	return take(s, &o, "a folder, or a part of one, whose name is lost");
}

static int take_file(struct search *s, const struct link *l, struct slice body)
{
	struct mend_orphan o = { *l, 0, s->next_ino, false };
	struct file_node node;
	char note[NOTE_SIZE];

	if (file_node_parse(body, l->codec, true, &node) < 0 || !node.size)
		return 0;
	o.size = node.size;
	(void)snprintf(note, sizeof(note), "%llu bytes, whose name is lost",
		       (unsigned long long)o.size); /* fits */
	return take(s, &o, note);
}

static bool may_be_orphan(enum xindex_kind k)
{
	return k == XINDEX_FILE || k == XINDEX_LEAF || k == XINDEX_DIR ||
	       k == XINDEX_SHARD || k == XINDEX_ROOT;
}

static int on_block(void *ctx, const struct survey_piece *p,
		    const struct link *l, const struct xindex_entry *e)
{
	struct search *s = ctx;
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	(void)p;
	if (!may_be_orphan(e->kind) || s->over ||
	    digest_set_has(&s->linked, l->digest))
		return 0;
	buf_init(&body, SEAL_BODY_MAX);
	r = remote_body(s->m->r, l, &body, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	return e->kind == XINDEX_FILE || e->kind == XINDEX_LEAF ?
		       take_file(s, l, buf_slice(&body)) :
		       take_dir(s, l, e, buf_slice(&body));
}

static void name_found(struct mend *m)
{
	if (m->found_tries)
		(void)snprintf(m->found_name, sizeof(m->found_name),
			       "lost+found-%u", m->found_tries); /* fits */
	else
		text_copy(m->found_name, sizeof(m->found_name), "lost+found");
}

int mend_orphans(struct mend *m, uint64_t *next_ino, struct err *reterr)
{
	struct search s = { .m = m, .next_ino = *next_ino + 1 };
	int r;

	m->found_ino = *next_ino;
	name_found(m);
	r = survey_all(m->survey, PIECE_NODES, on_node, &s);
	if (r == 0)
		r = survey_all(m->survey, PIECE_NODES, on_block, &s);
	if (r == 0)
		r = survey_all(m->survey, PIECE_LEAVES, on_block, &s);
	digest_set_fini(&s.linked);
	if (r == -EMSGSIZE) /* a comfort: the drive goes on without */
		s.over = true;
	else if (r < 0)
		return r;
	if (s.over)
		mend_say(m, true, "found", "",
			 "more content without a name than can be looked through");
	*next_ino = s.next_ino;
	return mend_plan_on(m, reterr);
}
