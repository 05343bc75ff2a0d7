#include "onboard/lost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "crypto/link.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "onboard/internal.h"
#include "onboard/reseal.h"

#define NODE_MAX 2097152u /* bytes of an opened node */

/* ---- one file ---- */

static int is_lost(struct onboard *o, const struct link *l)
{
	if (l->kind != LINK_SEALED)
		return 0;
	return ledger_block_lost(o->p.ledger, l->digest, l->place.piece);
}

/* `n` bytes at `off` are lost. */
static int range(struct lost_file *w, uint64_t off, uint64_t n, uint64_t *ret)
{
	*ret += n;
	return w->range && n ? w->range(w->ctx, off, n) : 0;
}

static uint64_t key_of(const struct link *l)
{
	return get_le64(l->digest);
}

static int below(struct lost_file *w, const struct link *l, uint64_t off,
		 uint64_t n, unsigned depth, uint64_t *ret);

/* The body of a node, opened and as long as its parent said. */
static int node_read(struct lost_file *w, const struct link *l, uint64_t n,
		     unsigned depth, struct buf *body, struct file_node *ret)
{
	struct onboard *o = w->o;
	const struct file_child c = { .link = *l, .size = n };
	struct err why = { "" };
	int r;

	if (depth == FILE_DEPTH_MAX)
		return -EPROTO;
	buf_init(body, NODE_MAX);
	r = o->p.nodes.body(o->p.nodes.ctx, l, body, &why);
	if (r == 0)
		r = file_node_parse(buf_slice(body), l->codec, true, ret);
	return r == 0 && depth > 0 ? file_child_check(&c, ret) : r;
}

/* A node, for the first time or again; what is lost below is remembered. */
static int node(struct lost_file *w, const struct link *l, bool lost,
		uint64_t off, uint64_t n, unsigned depth, uint64_t *ret)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct file_child child;
	struct file_node node;
	struct file_iter it;
	uint64_t bytes = 0;
	int r;

	w->node |= lost;
	r = node_read(w, l, n, depth, &body, &node);
	if (r < 0 && (lost || reseal_is_gone(r))) {
		r = ino_map_put(&w->known, key_of(l), (size_t)n);
		return r < 0 ? r : range(w, off, n, ret);
	}
	if (r < 0)
		return r;
	file_iter_init(&it, &node);
	while ((r = file_iter_next(&it, &child)) == 1) {
		if (child.hole || !child.size)
			continue; /* below one without bytes may be any number */
		r = below(w, &child.link, off + child.off, child.size,
			  depth + 1, &bytes);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = ino_map_put(&w->known, key_of(l), (size_t)bytes);
	*ret += bytes;
	return r;
}

static int below(struct lost_file *w, const struct link *l, uint64_t off,
		 uint64_t n, unsigned depth, uint64_t *ret)
{
	size_t bytes;
	int lost;

	lost = is_lost(w->o, l);
	if (lost < 0 || l->kind != LINK_SEALED)
		return lost;
	if (l->codec == LINK_RAW)
		return lost ? range(w, off, n, ret) : 0;
	if (!ino_map_get(&w->known, key_of(l), &bytes))
		return node(w, l, lost, off, n, depth, ret);
	if (bytes && bytes < n && w->range && ++w->again <= LOST_AGAIN_MAX)
		return node(w, l, lost, off, n, depth, ret);
	if (bytes)
		return range(w, off, w->range ? n : MIN(bytes, n), ret);
	return 0;
}

int lost_file(struct lost_file *w, const struct link *l, uint64_t n)
{
	int r;

	w->bytes = 0;
	w->again = 0;
	r = below(w, l, 0, n, 0, &w->bytes);
	ino_map_fini(&w->known);
	w->known = (struct ino_map){ .n = 0 };
	return r;
}

/* ---- the newest commit ---- */

struct folder {
	struct folder *next;
	struct link link;
	uint64_t ino;
	char path[]; /* empty: the root; else it begins with a slash */
};

struct naming {
	struct onboard *o;
	void (*found)(void *ctx, const char *sentence);
	void *ctx;
	int n;

	struct link root, table, catalogue;
	uint64_t root_ino;
	struct ino_map known;   /* the ledger names them */
	struct ino_map shared;  /* the inode table; → bytes that are lost */
	struct ino_map folders; /* that wait or were looked into */
	struct folder *pending, *now;
	size_t pending_bytes;
	struct ino_map nodes; /* of directories, that were looked at */
	uint64_t losses;      /* when it began */
	bool over, table_over;
	bool hangs; /* something of the commit may hang on a lost block */
	char path[LEDGER_PATH_MAX + 1];
	char sentence[LEDGER_PATH_MAX + 512];
};

static void tell(struct naming *m, const char *path, const char *what)
{
	(void)snprintf(m->sentence, sizeof(m->sentence), "%s: %.400s",
		       *path ? path : "/", what); /* fits */
	m->found(m->ctx, m->sentence);
	m->n++;
}

static void tell_bytes(struct naming *m, const char *path, uint64_t bytes)
{
	char what[64];

	(void)snprintf(what, sizeof(what),
		       "%" PRIu64 " bytes are lost for good", bytes); /* fits */
	tell(m, path, what);
}

static const char *path_of(struct naming *m, struct slice name)
{
	(void)snprintf(m->path, sizeof(m->path), "%s/%.*s", m->now->path,
		       (int)name.n, (const char *)name.p); /* cut is fine */
	return m->path;
}

/* How many bytes of what the link names are lost; a symlink has its target. */
static int count(struct naming *m, const struct attr *a, const struct link *l,
		 uint64_t *ret)
{
	struct lost_file w = { .o = m->o };
	int r;

	*ret = 0;
	if (S_ISREG(a->mode)) {
		r = lost_file(&w, l, a->size);
		*ret = w.bytes;
		m->hangs |= r < 0 || w.node || w.bytes;
		return r;
	}
	r = is_lost(m->o, l);
	if (r > 0)
		*ret = a->size;
	m->hangs |= r != 0;
	return r;
}

/*
 * Does the directory stand on a lost block?  That can be though it can be listed: its
 * nodes may still be in the ledger's cache.
 */
static int look_at_nodes(struct naming *m, const struct link *l, unsigned level)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct onboard *o = m->o;
	struct err why = { "" };
	struct dir_node node = { .fanout = 0 };
	struct dir_item item;
	struct dir_iter it;
	size_t at;
	int r;

	if (m->hangs || l->kind == LINK_NONE ||
	    ino_map_get(&m->nodes, key_of(l), &at))
		return 0;
	m->hangs = m->nodes.n == LOST_FOLDERS_MAX || is_lost(o, l) != 0;
	if (m->hangs)
		return 0;
	buf_init(&body, NODE_MAX);
	r = ino_map_put(&m->nodes, key_of(l), 0);
	if (r == 0)
		r = o->p.nodes.body(o->p.nodes.ctx, l, &body, &why);
	if (r == 0)
		r = dir_node_parse(buf_slice(&body), true, level, &node);
	if (r < 0) {
		m->hangs = true; /* it cannot be told */
		return r == -ENOMEM || r == -ECANCELED ? r : 0;
	}
	dir_iter_init(&it, &node);
	while (node.fanout && (r = dir_next(&it, &item)) == 1) {
		r = item.is_subshard ? look_at_nodes(m, &item.link, level + 1) : 0;
		if (r < 0)
			return r;
	}
	m->hangs |= r < 0;
	return 0;
}

static int push(struct naming *m, const struct link *l, uint64_t ino,
		const char *path)
{
	size_t at, n = strlen(path) + 1;
	struct folder *f;
	int r;

	/* A number stands for one folder, but who has the words can link one
	 * that is above it, or one twice below one twice. */
	if (ino_map_get(&m->folders, ino, &at))
		return 0;
	if (m->pending_bytes + sizeof(*f) + n > LOST_PENDING_MAX ||
	    m->folders.n == LOST_FOLDERS_MAX) {
		m->over = true;
		return 0;
	}
	r = ino_map_put(&m->folders, ino, 0);
	if (r < 0)
		return r;
	f = malloc(sizeof(*f) + n);
	if (!f)
		return -ENOMEM;
	*f = (struct folder){ .next = m->pending, .link = *l, .ino = ino };
	memcpy(f->path, path, n);
	m->pending = f;
	m->pending_bytes += sizeof(*f) + n;
	return 0;
}

static struct folder *pop(struct naming *m)
{
	struct folder *f = m->pending;

	if (f) {
		m->pending = f->next;
		m->pending_bytes -= sizeof(*f) + strlen(f->path) + 1;
	}
	return f;
}

static int on_shared(void *ctx, const struct dir_item *item)
{
	struct naming *m = ctx;
	uint64_t bytes = 0;
	struct attr a = { .ino = 0 };
	int r;

	r = attr_decode(item->attr, &a);
	if (r == 0)
		r = count(m, &a, &item->link, &bytes);
	if (r < 0)
		return r;
	if (m->shared.n == LOST_SHARED_MAX) {
		m->table_over = true;
		m->over |= bytes > 0;
		return 0;
	}
	return ino_map_put(&m->shared, a.ino, (size_t)bytes);
}

/* One of several names. */
static int on_name(struct naming *m, struct slice name, uint64_t ino)
{
	size_t bytes = 0;

	if (ino_map_get(&m->shared, ino, &bytes)) {
		if (bytes)
			tell_bytes(m, path_of(m, name), bytes);
	} else if (!m->table_over) {
		tell(m, path_of(m, name),
		     "what it is a name of is lost: the table of files of several names does not have it");
	}
	return 0;
}

static int on_entry(void *ctx, const struct dir_item *item)
{
	struct naming *m = ctx;
	uint64_t bytes = 0;
	struct attr a;
	size_t at;
	int r;

	r = attr_decode(item->attr, &a);
	if (r < 0)
		return r;
	if (S_ISDIR(a.mode))
		return push(m, &item->link, a.ino, path_of(m, item->name));
	if (ino_map_get(&m->known, a.ino, &at))
		return 0;
	if (a.shared)
		return on_name(m, item->name, a.ino);
	r = count(m, &a, &item->link, &bytes);
	if (r < 0 && reseal_is_gone(r)) {
		tell(m, path_of(m, item->name), err_str(r));
		r = 0;
	}
	if (r == 0 && bytes)
		tell_bytes(m, path_of(m, item->name), bytes);
	if (r == 0 && is_lost(m->o, &a.xattr_link) == 1)
		tell(m, path_of(m, item->name),
		     "its extended attributes are lost for good");
	m->hangs |= r < 0;
	return r;
}

/* Its entries; 1: the walk ends here, and that was told. */
static int look_into(struct naming *m)
{
	struct onboard *o = m->o;
	struct err why = { "" };
	char what[400];
	size_t at;
	int r;

	r = look_at_nodes(m, &m->now->link, 0);
	if (r < 0)
		return r;
	r = o->p.nodes.list(o->p.nodes.ctx, &m->now->link, on_entry, m, &why);
	if (r >= 0 || r == -ECANCELED || r == -ENOMEM)
		return r;
	if (reseal_is_gone(r)) {
		if (!ino_map_get(&m->known, m->now->ino, &at))
			tell(m, m->now->path, LOST_FOLDER);
		return 0;
	}
	(void)snprintf(what, sizeof(what),
		       "what is lost here and in other folders cannot be found out now: %s",
		       why.text[0] ? why.text : err_str(r)); /* fits */
	tell(m, m->now->path, what);
	return 1;
}

static int on_head(void *ctx, const struct ledger_head *h)
{
	struct naming *m = ctx;
	struct head_info info;
	struct attr a = { .ino = 0 };
	int r;

	r = head_info_decode(h->body, &info);
	if (r == 0)
		r = attr_decode(info.root_attr, &a);
	if (r < 0)
		return r;
	m->root = info.root;
	m->table = info.inode_table;
	m->catalogue = info.catalogue;
	m->hangs |= is_lost(m->o, &a.xattr_link) != 0;
	m->root_ino = a.ino;
	return 0;
}

static int on_known(void *ctx, const struct ledger_lost_file *f)
{
	struct naming *m = ctx;

	return ino_map_put(&m->known, f->ino, 0);
}

/* Which files of several names are lost: the folders only have their numbers. */
static int look_at_table(struct naming *m)
{
	struct onboard *o = m->o;
	struct err why = { "" };
	int r;

	if (m->table.kind == LINK_NONE)
		return 0;
	r = o->p.nodes.list(o->p.nodes.ctx, &m->table, on_shared, m, &why);
	if (r >= 0 || r == -ECANCELED || r == -ENOMEM)
		return MIN(r, 0);
	m->table_over = true;
	tell(m, "",
	     "the table of files of several names cannot be read: which of them are lost is not known");
	return 0;
}

/* Is there something to look for, and where?  1: no. */
static int begin(struct naming *m)
{
	struct ledger *l = m->o->p.ledger;
	uint64_t seq = 0, lost = 0, mended = 0;
	int r;

	r = ledger_lost(l, &lost);
	if (r == 0)
		r = ledger_losses(l, &m->losses, &mended);
	if (r == 0)
		r = ledger_newest_head(l, &seq);
	if (r < 0 || !lost || !seq)
		return r < 0 ? r : 1;
	m->hangs = m->losses != mended;
	r = ledger_head_get(l, seq, on_head, m);
	if (r == 0)
		r = ledger_lost_files(l, on_known, m);
	if (r == 0)
		r = look_at_table(m);
	if (r == 0)
		r = look_at_nodes(m, &m->table, 0);
	if (r == 0)
		r = look_at_nodes(m, &m->catalogue, 0);
	return r < 0 ? r : push(m, &m->root, m->root_ino, "");
}

/* All of the commit was looked at, and nothing of it is lost. */
static bool is_sound(const struct naming *m)
{
	return !m->hangs && !m->over && !m->table_over && !m->n && !m->known.n;
}

int lost_name(struct onboard *o, void (*found)(void *ctx, const char *sentence),
	      int (*go_on)(void *ctx), void *ctx)
{
	struct naming *m = calloc(1, sizeof(*m));
	struct folder *next;
	int r, n;
	bool walked;

	if (!m)
		return -ENOMEM;
	m->o = o;
	m->found = found;
	m->ctx = ctx;
	r = begin(m);
	walked = r == 0;
	while (r == 0 && (m->now = pop(m))) {
		r = atomic_load(&o->stop) || go_on(ctx) ? -ECANCELED :
							  look_into(m);
		free(m->now);
	}
	if (r == 0 && m->over)
		tell(m, "",
		     "there are too many folders, or lost files of several names, to name all that is lost");
	if (r == 0 && walked && is_sound(m))
		r = ledger_lost_unlinked(o->p.ledger, m->losses);
	for (; m->pending; m->pending = next) {
		next = m->pending->next;
		free(m->pending);
	}
	ino_map_fini(&m->known);
	ino_map_fini(&m->shared);
	ino_map_fini(&m->folders);
	ino_map_fini(&m->nodes);
	n = m->n;
	free(m);
	return r < 0 ? r : n;
}
