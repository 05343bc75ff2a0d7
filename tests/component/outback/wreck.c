/* wreck.c - damage by hand, and what salvage makes of it */
#include "wreck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "crypto/seal.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "retrieve/salvage.h"

#define MIB (1u << 20)

void piece_path(struct device *d, uint64_t ordinal, char *ret, size_t size)
{
	char name[PIECE_CID_TEXT_MAX], sub[256];
	struct ledger_piece p;

	ok(ledger_piece_get(d->ledger, ordinal, &p));
	piece_cid_text(&p.cid, name);
	(void)snprintf(sub, sizeof(sub), "s0/%s.car", name);
	rig_path(d->rig, sub, ret, size);
}

static void flip(const char *path, uint64_t off)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &b, 1, (off_t)off), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)off), 1);
	(void)close(fd);
}

/* The block of a link becomes unreadable. */
void break_block(struct device *d, const struct link *l)
{
	char path[512];

	assert_int_equal(l->kind, LINK_SEALED);
	piece_path(d, l->place.piece, path, sizeof(path));
	flip(path, l->place.off + l->place.len - 1);
}

void break_end(struct device *d, uint64_t ordinal)
{
	struct ledger_piece p;
	char path[512];

	ok(ledger_piece_get(d->ledger, ordinal, &p));
	piece_path(d, ordinal, path, sizeof(path));
	flip(path, p.size - 1);
}

static void head_piece(struct device *d, uint64_t sequence, char *path,
		       size_t size, struct trailer *ret)
{
	uint8_t tail[TRAILER_SECTION_SIZE];
	struct piece_cid cid;
	struct err e = { "" };
	char name[PIECE_CID_TEXT_MAX], sub[256];
	struct stat st;
	int fd;

	ok(head_read(d->stores[0], d->rig->keys, sequence, &cid, &e));
	piece_cid_text(&cid, name);
	(void)snprintf(sub, sizeof(sub), "s0/%s.car", name);
	rig_path(d->rig, sub, path, size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pread(fd, tail, sizeof(tail),
			       st.st_size - (off_t)sizeof(tail)),
			 sizeof(tail));
	ok(piece_tail_parse(slice(tail, sizeof(tail)), (uint64_t)st.st_size,
			    d->rig->keys, ret));
	(void)close(fd);
}

void break_commit(struct device *d, uint64_t sequence)
{
	struct trailer t;
	char path[512];

	head_piece(d, sequence, path, sizeof(path), &t);
	flip(path, t.commit.off + t.commit.len - 1);
}

void remove_head_piece(struct device *d, uint64_t sequence)
{
	struct trailer t;
	char path[512];

	head_piece(d, sequence, path, sizeof(path), &t);
	assert_int_equal(unlink(path), 0);
}

static int on_newest(void *ctx, const struct ledger_head *h)
{
	struct link *two = ctx;
	struct cursor c = cursor(h->body);

	ok(link_decode(&c, &two[0]));
	ok(link_decode(&c, &two[1]));
	return 0;
}

/* Root and inode table of the newest commit. */
void newest_links(struct device *d, struct link two[static 2])
{
	uint64_t seq;

	ok(ledger_newest_head(d->ledger, &seq));
	ok(ledger_head_get(d->ledger, seq, on_newest, two));
}

/* The link of a path in the newest commit. */
struct link link_at(struct device *d, const char *path)
{
	struct link two[2], at;
	struct dir_item item;
	struct err e = { "" };
	char name[256];

	newest_links(d, two);
	at = two[0];
	while (*path) {
		size_t n = strcspn(path, "/");
		struct buf body;

		(void)snprintf(name, sizeof(name), "%.*s", (int)n, path);
		buf_init(&body, SEAL_BODY_MAX);
		ok(retrieve_find(d->retrieve, &at, name, &body, &item, &e));
		at = item.link;
		buf_fini(&body);
		path += n + (path[n] == '/');
	}
	return at;
}

/* ---- salvage ---- */

/* A report into the test's own, where a line of it begins with `# `. */
static void tell(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		print_message("# %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

void salvage_into(struct device *b, struct rig *r, const char *name,
		  struct result *ret)
{
	struct recover_params p = { .keys = r->keys };
	struct err e = { "" };
	struct salvage s;
	struct slice text;

	device_look(b, r, name, 1);
	p.stores = b->stores;
	p.n_stores = 1;
	if (salvage_find(&p, &s, &e) < 0)
		fail_msg("%s", e.text);
	device_fill(b, s.found, &s);
	text = salvage_report(&s);
	*ret = (struct result){
		s.found->sequence, s.n_faults,
		s.n_lost_dirs,     s.found->n_retained,
		s.rebuilt,         strndup((const char *)text.p, text.n)
	};
	tell(text.n ? ret->report : "nothing to say\n");
	salvage_fini(&s);
}

/* Lines of one path and below, or of all others. */
char *text_lines(const char *text, const char *path, bool below)
{
	char *out = calloc(1, strlen(text) + 1), *to = out;

	assert_non_null(out);
	while (*text) {
		size_t n = strcspn(text, "\n");

		n += text[n] == '\n';
		if ((strncmp(text, path, strlen(path)) == 0) == below) {
			memcpy(to, text, n);
			to += n;
		}
		text += n;
	}
	return out;
}

/* The same but for lost+found, and for the root's own times. */
void same_tree(const char *want, const char *got)
{
	char *a = text_lines(want, "/lost+found", false);
	char *b = text_lines(got, "/lost+found", false);

	tree_same(a + strcspn(a, "\n"), b + strcspn(b, "\n"));
	free(a);
	free(b);
}

/* What was salvaged can be worked on, published, and recovered anew. */
void goes_on(struct device *b, struct rig *r)
{
	struct device c;
	char *want, *got;

	device_start(b);
	f_write(b, "goes on", 0, "yes", 3);
	ok(device_sync(b));
	want = tree_text(b);
	device_close(b);
	device_recover(&c, r, "again", 1, 1, 0);
	got = tree_text(&c);
	tree_same(want, got);
	assert_null(strstr(got, "unreadable"));
	free(want);
	free(got);
	device_close(&c);
}

static void plant(struct device *d)
{
	f_mkdir(d, "d");
	f_mkdir(d, "d/sub");
	f_fill(d, "d/sub/deep", 0, 5000, 1);
	f_fill(d, "d/big", 0, 3 * MIB, 2);
	f_fill(d, "d/small", 0, 3000, 3);
	f_write(d, "tiny", 0, "tiny", 4);
	f_link(d, "d/small", "other name");
	f_symlink(d, "link", "d/small");
	f_xattr(d, "d/small", "user.note", "green", 5);
}

void scene_new(struct scene *t, void **state)
{
	*t = (struct scene){ .r = *state };
	device_init(&t->a, t->r, "a", 1, 1);
	device_start(&t->a);
}

void scene_planted(struct scene *t, void **state)
{
	scene_new(t, state);
	plant(&t->a);
	ok(device_sync(&t->a));
}

void scene_salvage(struct scene *t)
{
	device_close(&t->a);
	salvage_into(&t->b, t->r, "b", &t->s);
	t->got = tree_text(&t->b);
}

void scene_free(struct scene *t)
{
	free(t->want);
	free(t->got);
	free(t->s.report);
}

void scene_end(struct scene *t)
{
	scene_free(t);
	goes_on(&t->b, t->r);
}

void plant_many(struct device *d, const char *dir, unsigned from, unsigned to)
{
	char path[256];

	for (unsigned i = from; i < to; i++) {
		(void)snprintf(path, sizeof(path),
			       "%s%san entry whose name is long %u", dir,
			       *dir ? "/" : "", i);
		f_symlink(d, path, "somewhere");
	}
}

/* A sub-shard of a sharded directory; where the new commit has its own. */
struct link subshard(struct device *d, const struct link *dir)
{
	struct link found = { .kind = LINK_NONE };
	struct err e = { "" };
	struct dir_node node;
	struct dir_item item;
	struct dir_iter it;
	struct buf body;

	buf_init(&body, SEAL_BODY_MAX);
	ok(retrieve_body(d->retrieve, dir, &body, &e));
	ok(dir_node_parse(buf_slice(&body), true, 0, &node));
	assert_int_equal(node.fanout, 256);
	dir_iter_init(&it, &node);
	while (dir_next(&it, &item) == 1)
		if (item.is_subshard && item.link.kind == LINK_SEALED &&
		    item.link.place.piece == dir->place.piece)
			found = item.link;
	buf_fini(&body);
	assert_int_equal(found.kind, LINK_SEALED);
	return found;
}

size_t text_count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}
