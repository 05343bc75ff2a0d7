/* test_salvage.c - drives whose metadata is damaged at every store */
#include "rig.h"

#include "retrieve/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/seal.h"
#include "dag/dir.h"
#include "dag/piece_reader.h"
#include "helper/nomem.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* ---- damage ---- */

static void piece_path(struct device *d, uint64_t ordinal, char *ret, size_t size)
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
static void break_block(struct device *d, const struct link *l)
{
	char path[512];

	assert_int_equal(l->kind, LINK_SEALED);
	piece_path(d, l->place.piece, path, sizeof(path));
	flip(path, l->place.off + l->place.len - 1);
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

static void break_commit(struct device *d, uint64_t sequence)
{
	struct trailer t;
	char path[512];

	head_piece(d, sequence, path, sizeof(path), &t);
	flip(path, t.commit.off + t.commit.len - 1);
}

static void remove_head_piece(struct device *d, uint64_t sequence)
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
static void newest(struct device *d, struct link two[static 2])
{
	uint64_t seq;

	ok(ledger_newest_head(d->ledger, &seq));
	ok(ledger_head_get(d->ledger, seq, on_newest, two));
}

/* The link of a path in the newest commit. */
static struct link link_at(struct device *d, const char *path)
{
	struct link two[2], at;
	struct dir_item item;
	struct err e = { "" };
	char name[256];

	newest(d, two);
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

struct result {
	uint64_t sequence, n_faults, n_lost_dirs, n_retained;
	bool rebuilt;
	char *report;
};

/* A report into the test's own, where a line of it begins with `# `. */
static void tell(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		print_message("# %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void salvage_into(struct device *b, struct rig *r, const char *name,
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
static char *lines(const char *text, const char *path, bool below)
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
static void same_tree(const char *want, const char *got)
{
	char *a = lines(want, "/lost+found", false);
	char *b = lines(got, "/lost+found", false);

	tree_same(a + strcspn(a, "\n"), b + strcspn(b, "\n"));
	free(a);
	free(b);
}

/* What was salvaged can be worked on, published, and recovered anew. */
static void goes_on(struct device *b, struct rig *r)
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

static void planted(struct device *a, struct rig *r)
{
	device_init(a, r, "a", 1, 1);
	device_start(a);
	plant(a);
	ok(device_sync(a));
}

/* ---- the cases ---- */

static void a_damaged_record_is_made_anew(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	char *want, *got;

	planted(&a, r);
	want = tree_text(&a);
	break_commit(&a, 1);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_true(s.rebuilt);
	assert_int_equal(s.sequence, 1);
	assert_int_equal(s.n_faults, 0);
	assert_non_null(strstr(s.report, "the record of commit 1 is lost"));
	got = tree_text(&b);
	same_tree(want, got);
	assert_non_null(strstr(got, "/lost+found/report.txt:"));
	free(want);
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void the_newest_record_is_made_anew_with_an_older_ones_settings(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	char *want, *got;

	planted(&a, r);
	f_write(&a, "d/sub/new", 0, "new", 3);
	ok(device_sync(&a));
	want = tree_text(&a);
	break_commit(&a, 2);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_true(s.rebuilt);
	assert_int_equal(s.sequence, 2);
	assert_int_equal(s.n_faults, 0);
	assert_int_equal(s.n_retained, 1); /* the first can still be mounted */
	got = tree_text(&b);
	same_tree(want, got);
	free(want);
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void a_lost_folder_is_filled_from_its_older_version(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	struct link l;
	char *old, *want, *got, *x, *y;

	planted(&a, r);
	old = tree_text(&a);
	f_fill(&a, "d/new", 0, 777, 5);
	f_write(&a, "tiny", 0, "TINY", 4);
	ok(device_sync(&a));
	want = tree_text(&a);
	l = link_at(&a, "d");
	break_block(&a, &l);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_false(s.rebuilt);
	assert_int_equal(s.sequence, 2);
	assert_int_equal(s.n_lost_dirs, 1);
	assert_non_null(strstr(
		s.report, "replaced  /d: the folder is lost; what commit 1 "));
	got = tree_text(&b);
	/* Below d it is the first commit, all else is the second. */
	x = lines(old, "/d/", true);
	y = lines(got, "/d/", true);
	tree_same(x, y);
	free(x);
	free(y);
	x = lines(want, "/d/", false);
	y = lines(got, "/d/", false);
	same_tree(x, y);
	free(x);
	free(y);
	/* What only the lost folder named is a file without a name. */
	assert_non_null(strstr(s.report, "777 bytes, whose name is lost"));
	free(old);
	free(want);
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void a_lost_folder_without_a_past_is_empty_and_says_so(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	struct link l;
	char *want, *got, *x, *y, *found;
	const char *sum;

	planted(&a, r);
	want = tree_text(&a);
	l = link_at(&a, "d");
	break_block(&a, &l);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_non_null(strstr(s.report, "emptied   /d: "));
	assert_int_equal(s.n_lost_dirs, 1);
	got = tree_text(&b);
	x = lines(got, "/d/", true);
	assert_non_null(strstr(x, "/d/THIS FOLDER WAS LOST.txt:"));
	assert_ptr_equal(strchr(x, '\n')[1] ? x : NULL, NULL);
	free(x);
	x = lines(want, "/d/", false);
	y = lines(got, "/d/", false);
	x[strcspn(x, "\n")] = y[strcspn(y, "\n")] = '\n';
	assert_non_null(strstr(y, "/tiny:"));
	assert_non_null(strstr(y, "/other name:")); /* by the inode table */
	free(x);
	free(y);
	/* The three mebibytes are there, byte for byte, without their name;
	 * d/sub is, too. */
	found = lines(got, "/lost+found/", true);
	sum = strstr(strstr(want, "/d/big:"), "bytes ");
	x = strndup(sum, strcspn(sum, "\n"));
	x[strlen(x) - strlen(strstr(x, " holes"))] = '\0';
	assert_non_null(strstr(found, x));
	assert_non_null(strstr(found, "/deep: ino"));
	free(x);
	free(found);
	free(want);
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void many(struct device *d, const char *dir, unsigned from, unsigned to)
{
	char path[256];

	for (unsigned i = from; i < to; i++) {
		(void)snprintf(path, sizeof(path),
			       "%s%san entry whose name is long %u", dir,
			       *dir ? "/" : "", i);
		f_symlink(d, path, "somewhere");
	}
}

struct shard {
	struct link link;
	unsigned n;
};

/* A sub-shard of a sharded directory; where the new commit has its own. */
static struct link subshard(struct device *d, const struct link *dir)
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

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void a_lost_shard_costs_only_what_changed_in_it(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	struct link l;
	size_t had, has;
	char *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "m");
	many(&a, "m", 0, 1500);
	ok(device_sync(&a));
	many(&a, "m", 1500, 1800);
	ok(device_sync(&a));
	got = tree_text(&a);
	had = count(got, "/m/an entry");
	assert_int_equal(had, 1800);
	free(got);
	l = link_at(&a, "m");
	l = subshard(&a, &l);
	break_block(&a, &l);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_int_equal(s.n_lost_dirs, 1);
	assert_non_null(
		strstr(s.report, "replaced  /m: a part of the folder is lost"));
	got = tree_text(&b);
	has = count(got, "/m/an entry");
	/* All of the first commit, and nearly all that was new. */
	assert_true(has >= 1780 && has < 1800);
	for (unsigned i = 0; i < 1500; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "name is long %u:", i);
		assert_int_equal(count(got, name), 1);
	}
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void a_root_in_shards_is_filled_as_any_folder(void **state)
{
	struct rig *r = *state;
	struct link two[2], l;
	struct device a, b;
	struct result s;
	char *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	many(&a, "", 0, 1500);
	ok(device_sync(&a));
	many(&a, "", 1500, 1800);
	ok(device_sync(&a));
	newest(&a, two);
	l = subshard(&a, &two[0]);
	break_block(&a, &l);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_int_equal(s.sequence, 2);
	assert_int_equal(s.n_lost_dirs, 1);
	assert_non_null(strstr(
		s.report,
		"replaced  /: a part of the folder is lost; what commit 1 "));
	got = tree_text(&b);
	assert_true(count(got, "/an entry") >= 1780);
	for (unsigned i = 0; i < 1500; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "name is long %u:", i);
		assert_int_equal(count(got, name), 1);
	}
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void without_an_inode_table_contents_are_found(void **state)
{
	struct rig *r = *state;
	struct link two[2];
	struct device a, b;
	struct result s;
	char *got;

	planted(&a, r);
	newest(&a, two);
	break_block(&a, &two[1]);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_non_null(strstr(s.report, "the table of hard links is lost: "));
	assert_non_null(strstr(s.report, "left out  /d/small: "));
	assert_non_null(strstr(s.report, "left out  /other name: "));
	assert_non_null(strstr(s.report, ": 3000 bytes, whose name is lost"));
	got = tree_text(&b);
	assert_null(strstr(got, "unreadable"));
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void what_was_moved_stands_where_it_is_now(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	struct link l;
	char *got;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "from");
	f_mkdir(&a, "from/inner");
	f_mkdir(&a, "from/dir");
	f_mkdir(&a, "to");
	f_fill(&a, "from/file", 0, 3000, 1);
	f_fill(&a, "from/inner/file", 0, 3000, 2);
	f_fill(&a, "from/dir/in it", 0, 3000, 3);
	f_fill(&a, "from/stays", 0, 3000, 4);
	ok(device_sync(&a));
	f_rename(&a, "from/file", "to/file");
	f_rename(&a, "from/inner/file", "to/inner file");
	f_rename(&a, "from/dir", "to/dir");
	f_write(&a, "from/new", 0, "new", 3);
	ok(device_sync(&a));
	l = link_at(&a, "from");
	break_block(&a, &l);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	got = tree_text(&b);
	assert_non_null(strstr(got, "/from/stays:"));
	assert_non_null(strstr(got, "/from/inner:"));
	assert_non_null(strstr(got, "/to/file:"));
	assert_non_null(strstr(got, "/to/inner file:"));
	assert_non_null(strstr(got, "/to/dir/in it:"));
	assert_null(strstr(got, "/from/file:"));
	assert_null(strstr(got, "/from/inner/file:"));
	assert_null(strstr(got, "/from/dir:"));
	assert_non_null(strstr(
		s.report, "left out  /from/inner/file: it stands elsewhere now"));
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void a_lost_inode_table_gives_way_to_an_older_one(void **state)
{
	struct rig *r = *state;
	struct link two[2];
	struct device a, b;
	struct result s;
	char *got;

	planted(&a, r);
	f_link(&a, "tiny", "tiny too");
	ok(device_sync(&a));
	newest(&a, two);
	break_block(&a, &two[1]);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_int_equal(s.sequence, 2);
	assert_non_null(strstr(s.report, "an older one takes its place"));
	got = tree_text(&b);
	assert_non_null(strstr(got, "/other name: ino"));
	assert_non_null(strstr(got, "/d/small: ino"));
	/* Whose second name is younger than the table: it is said. */
	assert_null(strstr(got, "/tiny"));
	assert_non_null(strstr(
		s.report,
		"left out  /tiny: its row in the table of hard links is lost"));
	assert_null(strstr(got, "unreadable"));
	free(got);
	free(s.report);
	device_start(&b);
	f_write(&b, "goes on", 0, "yes", 3);
	f_link(&b, "goes on", "goes on too"); /* a new table on the old one */
	ok(device_sync(&b));
	device_close(&b);
}

static void a_lost_head_piece_costs_its_changes_and_is_said(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	char *want, *got;

	planted(&a, r);
	want = tree_text(&a);
	f_write(&a, "later", 0, "later", 5);
	ok(device_sync(&a));
	remove_head_piece(&a, 2);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_int_equal(s.sequence, 1);
	assert_int_equal(s.n_lost_dirs, 0);
	assert_non_null(strstr(s.report, "commit 1 stands in for 2, which is lost"));
	got = tree_text(&b);
	same_tree(want, got);
	free(want);
	free(got);
	free(s.report);
	goes_on(&b, r);
}

static void lost_contents_are_named(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	struct result s;
	struct link l;
	char path[512];

	planted(&a, r);
	f_fill(&a, "d/gone", 0, 9 * MIB, 9);
	ok(device_sync(&a));
	l = link_at(&a, "d/gone");
	f_write(&a, "tiny", 0, "more", 4);
	ok(device_sync(&a));
	assert_int_equal(l.codec, LINK_DAGPB);
	{ /* the piece of its leaves */
		struct file_child c;
		struct file_node n;
		struct file_iter it;
		struct buf body;
		struct err e = { "" };

		buf_init(&body, SEAL_BODY_MAX);
		ok(retrieve_body(a.retrieve, &l, &body, &e));
		ok(file_node_parse(buf_slice(&body), l.codec, true, &n));
		file_iter_init(&it, &n);
		assert_int_equal(file_iter_next(&it, &c), 1);
		piece_path(&a, c.link.place.piece, path, sizeof(path));
		buf_fini(&body);
	}
	assert_int_equal(unlink(path), 0);
	device_close(&a);
	salvage_into(&b, r, "b", &s);
	assert_int_equal(s.sequence, 3);
	assert_non_null(strstr(s.report, "content   /d/gone: "));
	assert_null(strstr(s.report, "/d/big"));
	free(s.report);
	device_close(&b);
}

static void without_memory_nothing_is_called_lost(void **state)
{
	struct rig *r = *state;
	struct recover_params p = { .keys = r->keys };
	struct device a, b;
	struct result want;
	struct link l;
	unsigned n_hits = 0;
	bool hit = true;

	planted(&a, r);
	f_fill(&a, "d/new", 0, 777, 5);
	ok(device_sync(&a));
	l = link_at(&a, "d");
	break_block(&a, &l);
	break_commit(&a, 2);
	device_close(&a);
	salvage_into(&b, r, "b", &want);
	device_close(&b);
	device_look(&b, r, "c", 1);
	p.stores = b.stores;
	p.n_stores = 1;
	/* some thousands; the first of them one by one */
	for (long n = 0; hit; n += n < 60 ? 1 : 1 + n / 15) {
		struct err e = { "" };
		struct salvage s;
		int rc;

		nomem_arm(NOMEM_PROCESS, n);
		rc = salvage_find(&p, &s, &e);
		hit = nomem_disarm();
		n_hits += hit;
		if (rc == 0) {
			struct slice text = salvage_report(&s);

			assert_int_equal(s.n_faults, want.n_faults);
			assert_int_equal(text.n, strlen(want.report));
			assert_memory_equal(text.p, want.report, text.n);
		} else if (!hit || rc != -ENOMEM) {
			fail_msg("allocation %ld: %s: %s", n, err_str(rc), e.text);
		}
		salvage_fini(&s);
		assert_true(n < 1000000);
	}
	assert_true(n_hits > 60);
	free(want.report);
	device_find_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_damaged_record_is_made_anew),
		T(the_newest_record_is_made_anew_with_an_older_ones_settings),
		T(a_lost_folder_is_filled_from_its_older_version),
		T(a_lost_folder_without_a_past_is_empty_and_says_so),
		T(a_lost_shard_costs_only_what_changed_in_it),
		T(a_root_in_shards_is_filled_as_any_folder),
		T(without_an_inode_table_contents_are_found),
		T(what_was_moved_stands_where_it_is_now),
		T(a_lost_inode_table_gives_way_to_an_older_one),
		T(a_lost_head_piece_costs_its_changes_and_is_said),
		T(lost_contents_are_named),
		T(without_memory_nothing_is_called_lost),
	};

	log_level_set(LOG_LEVEL_ERROR - 1); /* damage is announced loudly */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
