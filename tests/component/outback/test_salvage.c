/* test_salvage.c - drives whose metadata is damaged at every store */
#include "wreck.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/seal.h"
#include "dag/dir.h"
#include "helper/nomem.h"
#include "retrieve/salvage.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

static void a_damaged_record_is_made_anew(void **state)
{
	struct scene t;

	scene_planted(&t, state);
	t.want = tree_text(&t.a);
	break_commit(&t.a, 1);
	scene_salvage(&t);
	assert_true(t.s.rebuilt);
	assert_int_equal(t.s.sequence, 1);
	assert_int_equal(t.s.n_faults, 0);
	assert_non_null(strstr(t.s.report, "the record of commit 1 is lost"));
	same_tree(t.want, t.got);
	assert_non_null(strstr(t.got, "/lost+found/report.txt:"));
	scene_end(&t);
}

static void the_newest_record_is_made_anew_with_an_older_ones_settings(void **state)
{
	struct scene t;

	scene_planted(&t, state);
	f_write(&t.a, "d/sub/new", 0, "new", 3);
	ok(device_sync(&t.a));
	t.want = tree_text(&t.a);
	break_commit(&t.a, 2);
	scene_salvage(&t);
	assert_true(t.s.rebuilt);
	assert_int_equal(t.s.sequence, 2);
	assert_int_equal(t.s.n_faults, 0);
	assert_int_equal(t.s.n_retained, 1); /* the first can still be mounted */
	same_tree(t.want, t.got);
	scene_end(&t);
}

static void a_lost_folder_is_filled_from_its_older_version(void **state)
{
	struct scene t;
	struct link l;
	char *old, *x, *y;

	scene_planted(&t, state);
	old = tree_text(&t.a);
	f_fill(&t.a, "d/new", 0, 777, 5);
	f_write(&t.a, "tiny", 0, "TINY", 4);
	ok(device_sync(&t.a));
	t.want = tree_text(&t.a);
	l = link_at(&t.a, "d");
	break_block(&t.a, &l);
	scene_salvage(&t);
	assert_false(t.s.rebuilt);
	assert_int_equal(t.s.sequence, 2);
	assert_int_equal(t.s.n_lost_dirs, 1);
	assert_non_null(strstr(
		t.s.report, "replaced  /d: the folder is lost; what commit 1 "));
	/* Below d it is the first commit, all else is the second. */
	x = text_lines(old, "/d/", true);
	y = text_lines(t.got, "/d/", true);
	tree_same(x, y);
	free(x);
	free(y);
	x = text_lines(t.want, "/d/", false);
	y = text_lines(t.got, "/d/", false);
	same_tree(x, y);
	free(x);
	free(y);
	/* What only the lost folder named is a file without a name. */
	assert_non_null(strstr(t.s.report, "777 bytes, whose name is lost"));
	free(old);
	scene_end(&t);
}

static void a_lost_folder_without_a_past_is_empty_and_says_so(void **state)
{
	struct scene t;
	struct link l;
	char *x, *y, *found;
	const char *sum;

	scene_planted(&t, state);
	t.want = tree_text(&t.a);
	l = link_at(&t.a, "d");
	break_block(&t.a, &l);
	scene_salvage(&t);
	assert_non_null(strstr(t.s.report, "emptied   /d: "));
	assert_int_equal(t.s.n_lost_dirs, 1);
	x = text_lines(t.got, "/d/", true);
	assert_non_null(strstr(x, "/d/THIS FOLDER WAS LOST.txt:"));
	assert_ptr_equal(strchr(x, '\n')[1] ? x : NULL, NULL);
	free(x);
	x = text_lines(t.want, "/d/", false);
	y = text_lines(t.got, "/d/", false);
	x[strcspn(x, "\n")] = y[strcspn(y, "\n")] = '\n';
	assert_non_null(strstr(y, "/tiny:"));
	assert_non_null(strstr(y, "/other name:")); /* by the inode table */
	free(x);
	free(y);
	/* The three mebibytes are there, byte for byte, without their name;
	 * d/sub is, too. */
	found = text_lines(t.got, "/lost+found/", true);
	sum = strstr(strstr(t.want, "/d/big:"), "bytes ");
	x = strndup(sum, strcspn(sum, "\n"));
	x[strlen(x) - strlen(strstr(x, " holes"))] = '\0';
	assert_non_null(strstr(found, x));
	assert_non_null(strstr(found, "/deep: ino"));
	free(x);
	free(found);
	scene_end(&t);
}

static void a_lost_shard_costs_only_what_changed_in_it(void **state)
{
	struct scene t;
	struct link l;
	size_t had, has;

	scene_new(&t, state);
	f_mkdir(&t.a, "m");
	plant_many(&t.a, "m", 0, 1500);
	ok(device_sync(&t.a));
	plant_many(&t.a, "m", 1500, 1800);
	ok(device_sync(&t.a));
	t.got = tree_text(&t.a);
	had = text_count(t.got, "/m/an entry");
	assert_int_equal(had, 1800);
	free(t.got);
	l = link_at(&t.a, "m");
	l = subshard(&t.a, &l);
	break_block(&t.a, &l);
	scene_salvage(&t);
	assert_int_equal(t.s.n_lost_dirs, 1);
	assert_non_null(strstr(t.s.report,
			       "replaced  /m: a part of the folder is lost"));
	has = text_count(t.got, "/m/an entry");
	/* All of the first commit, and nearly all that was new. */
	assert_true(has >= 1780 && has < 1800);
	for (unsigned i = 0; i < 1500; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "name is long %u:", i);
		assert_int_equal(text_count(t.got, name), 1);
	}
	scene_end(&t);
}

static void a_root_in_shards_is_filled_as_any_folder(void **state)
{
	struct link two[2], l;
	struct scene t;

	scene_new(&t, state);
	plant_many(&t.a, "", 0, 1500);
	ok(device_sync(&t.a));
	plant_many(&t.a, "", 1500, 1800);
	ok(device_sync(&t.a));
	newest_links(&t.a, two);
	l = subshard(&t.a, &two[0]);
	break_block(&t.a, &l);
	scene_salvage(&t);
	assert_int_equal(t.s.sequence, 2);
	assert_int_equal(t.s.n_lost_dirs, 1);
	assert_non_null(strstr(
		t.s.report,
		"replaced  /: a part of the folder is lost; what commit 1 "));
	assert_true(text_count(t.got, "/an entry") >= 1780);
	for (unsigned i = 0; i < 1500; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "name is long %u:", i);
		assert_int_equal(text_count(t.got, name), 1);
	}
	scene_end(&t);
}

static void without_an_inode_table_contents_are_found(void **state)
{
	struct link two[2];
	struct scene t;

	scene_planted(&t, state);
	newest_links(&t.a, two);
	break_block(&t.a, &two[1]);
	scene_salvage(&t);
	assert_non_null(strstr(t.s.report, "the table of hard links is lost: "));
	assert_non_null(strstr(t.s.report, "left out  /d/small: "));
	assert_non_null(strstr(t.s.report, "left out  /other name: "));
	assert_non_null(strstr(t.s.report, ": 3000 bytes, whose name is lost"));
	assert_null(strstr(t.got, "unreadable"));
	scene_end(&t);
}

static void what_was_moved_stands_where_it_is_now(void **state)
{
	struct scene t;
	struct link l;

	scene_new(&t, state);
	f_mkdir(&t.a, "from");
	f_mkdir(&t.a, "from/inner");
	f_mkdir(&t.a, "from/dir");
	f_mkdir(&t.a, "to");
	f_fill(&t.a, "from/file", 0, 3000, 1);
	f_fill(&t.a, "from/inner/file", 0, 3000, 2);
	f_fill(&t.a, "from/dir/in it", 0, 3000, 3);
	f_fill(&t.a, "from/stays", 0, 3000, 4);
	ok(device_sync(&t.a));
	f_rename(&t.a, "from/file", "to/file");
	f_rename(&t.a, "from/inner/file", "to/inner file");
	f_rename(&t.a, "from/dir", "to/dir");
	f_write(&t.a, "from/new", 0, "new", 3);
	ok(device_sync(&t.a));
	l = link_at(&t.a, "from");
	break_block(&t.a, &l);
	scene_salvage(&t);
	assert_non_null(strstr(t.got, "/from/stays:"));
	assert_non_null(strstr(t.got, "/from/inner:"));
	assert_non_null(strstr(t.got, "/to/file:"));
	assert_non_null(strstr(t.got, "/to/inner file:"));
	assert_non_null(strstr(t.got, "/to/dir/in it:"));
	assert_null(strstr(t.got, "/from/file:"));
	assert_null(strstr(t.got, "/from/inner/file:"));
	assert_null(strstr(t.got, "/from/dir:"));
	assert_non_null(strstr(
		t.s.report, "left out  /from/inner/file: it stands elsewhere now"));
	scene_end(&t);
}

static void a_lost_inode_table_gives_way_to_an_older_one(void **state)
{
	struct link two[2];
	struct scene t;

	scene_planted(&t, state);
	f_link(&t.a, "tiny", "tiny too");
	ok(device_sync(&t.a));
	newest_links(&t.a, two);
	break_block(&t.a, &two[1]);
	scene_salvage(&t);
	assert_int_equal(t.s.sequence, 2);
	assert_non_null(strstr(t.s.report, "an older one takes its place"));
	assert_non_null(strstr(t.got, "/other name: ino"));
	assert_non_null(strstr(t.got, "/d/small: ino"));
	/* Whose second name is younger than the table: it is said. */
	assert_null(strstr(t.got, "/tiny"));
	assert_non_null(strstr(
		t.s.report,
		"left out  /tiny: its row in the table of hard links is lost"));
	assert_null(strstr(t.got, "unreadable"));
	scene_free(&t);
	device_start(&t.b);
	f_write(&t.b, "goes on", 0, "yes", 3);
	f_link(&t.b, "goes on", "goes on too"); /* a new table on the old one */
	ok(device_sync(&t.b));
	device_close(&t.b);
}

static void a_lost_head_piece_costs_its_changes_and_is_said(void **state)
{
	struct scene t;

	scene_planted(&t, state);
	t.want = tree_text(&t.a);
	f_write(&t.a, "later", 0, "later", 5);
	ok(device_sync(&t.a));
	remove_head_piece(&t.a, 2);
	scene_salvage(&t);
	assert_int_equal(t.s.sequence, 1);
	assert_int_equal(t.s.n_lost_dirs, 0);
	assert_non_null(
		strstr(t.s.report, "commit 1 stands in for 2, which is lost"));
	same_tree(t.want, t.got);
	scene_end(&t);
}

static void lost_contents_are_named(void **state)
{
	struct scene t;
	struct link l;
	char path[512];

	scene_planted(&t, state);
	f_fill(&t.a, "d/gone", 0, 9 * MIB, 9);
	ok(device_sync(&t.a));
	l = link_at(&t.a, "d/gone");
	f_write(&t.a, "tiny", 0, "more", 4);
	ok(device_sync(&t.a));
	assert_int_equal(l.codec, LINK_DAGPB);
	{ /* the piece of its leaves */
		struct file_child c;
		struct file_node n;
		struct file_iter it;
		struct buf body;
		struct err e = { "" };

		buf_init(&body, SEAL_BODY_MAX);
		ok(retrieve_body(t.a.retrieve, &l, &body, &e));
		ok(file_node_parse(buf_slice(&body), l.codec, true, &n));
		file_iter_init(&it, &n);
		assert_int_equal(file_iter_next(&it, &c), 1);
		piece_path(&t.a, c.link.place.piece, path, sizeof(path));
		buf_fini(&body);
	}
	assert_int_equal(unlink(path), 0);
	scene_salvage(&t);
	assert_int_equal(t.s.sequence, 3);
	assert_non_null(strstr(t.s.report, "content   /d/gone: "));
	assert_null(strstr(t.s.report, "/d/big"));
	scene_free(&t);
	device_close(&t.b);
}

/* Recover alone goes by whole commits: what a mount needs has to be there. */
static void a_commit_without_its_root_or_inodes_is_refused(void **state)
{
	struct rig *r = *state;
	struct link two[2];

	for (size_t i = 0; i < 2; i++) {
		struct recover_found *found = NULL;
		struct err e = { "" };
		struct device a, b;

		device_init(&a, r, "a", 1, 1);
		device_start(&a);
		plant_many(&a, "", 0, 4);
		f_write(&a, "f", 0, "f", 1);
		f_link(&a, "f", "g");
		ok(device_sync(&a));
		newest_links(&a, two);
		break_block(&a, &two[i]);
		device_close(&a);
		assert_int_equal(device_find(&b, r, "b", 1, 0, &found, &e),
				 -EBADMSG);
		assert_true(e.text[0]);
		recover_found_free(found);
		device_find_end(&b);
		rig_remove(r, "a");
		rig_remove(r, "b");
		rig_remove(r, "s0");
	}
}

/* Root, inode table, or the very end of the head piece: at the first of two stores. */
static void what_the_first_store_has_damaged_another_gives(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 3; i++) {
		struct recover_found *found = NULL;
		struct err e = { "" };
		struct device a, b;
		struct link two[2];
		char *want;

		device_init(&a, r, "a", 2, 2);
		device_start(&a);
		plant_many(&a, "", 0, 4);
		f_write(&a, "f", 0, "f", 1);
		f_link(&a, "f", "g");
		ok(device_sync(&a));
		newest_links(&a, two);
		if (i < 2)
			break_block(&a, &two[i]);
		else
			break_end(&a, two[0].place.piece);
		want = tree_text(&a);
		device_close(&a);
		if (device_find(&b, r, "b", 2, 0, &found, &e) < 0)
			fail_msg("%s", e.text);
		recover_found_free(found);
		device_find_end(&b);
		rig_remove(r, "b");
		recovers_as(r, "b", 2, want);
		free(want);
		rig_remove(r, "a");
		rig_remove(r, "b");
		rig_remove(r, "s0");
		rig_remove(r, "s1");
	}
}

static void without_memory_nothing_is_called_lost(void **state)
{
	struct recover_params p = { .n_stores = 1 };
	struct device *b;
	struct scene t;
	struct link l;
	unsigned n_hits = 0;
	bool hit = true;

	scene_planted(&t, state);
	f_fill(&t.a, "d/new", 0, 777, 5);
	ok(device_sync(&t.a));
	l = link_at(&t.a, "d");
	break_block(&t.a, &l);
	break_commit(&t.a, 2);
	scene_salvage(&t);
	b = &t.b;
	device_close(b);
	device_look(b, t.r, "c", 1);
	p.keys = t.r->keys;
	p.stores = b->stores;
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

			assert_int_equal(s.n_faults, t.s.n_faults);
			assert_int_equal(text.n, strlen(t.s.report));
			assert_memory_equal(text.p, t.s.report, text.n);
		} else if (!hit || rc != -ENOMEM) {
			fail_msg("allocation %ld: %s: %s", n, err_str(rc), e.text);
		}
		salvage_fini(&s);
		assert_true(n < 1000000);
	}
	assert_true(n_hits > 60);
	scene_free(&t);
	device_find_end(b);
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
		T(a_commit_without_its_root_or_inodes_is_refused),
		T(what_the_first_store_has_damaged_another_gives),
		T(without_memory_nothing_is_called_lost),
	};

	log_level_set(LOG_LEVEL_ERROR - 1); /* damage is announced loudly */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
