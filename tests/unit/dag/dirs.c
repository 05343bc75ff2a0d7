#include "dirs.h"

#include "base/err.h"
#include "dag/file.h"
#include "vectors.h"

void dirs_begin(struct dirs *f, const struct dag_profile *p)
{
	f->p = *p;
	plain_sealer_init(&f->s, &f->p, NULL, NULL);
	assert_int_equal(dir_builder_new(&f->p, &f->s.sealer, &f->b), 0);
}

struct dag_root dirs_file_root(struct dirs *f, struct slice content)
{
	struct file_builder *b;
	struct dag_root root;

	assert_int_equal(file_builder_new(&f->p, &f->s.sealer, &b), 0);
	if (content.n)
		assert_int_equal(file_builder_add(b, content), 0);
	assert_int_equal(file_builder_finish(b, &root), 0);
	file_builder_free(b);
	return root;
}

void dirs_add(struct dirs *f, struct slice name, struct slice content)
{
	struct dag_root root = dirs_file_root(f, content);

	assert_int_equal(
		dir_builder_add(f->b, name, &root.link, root.tsize, SLICE_NONE), 0);
}

void dirs_add_str(struct dirs *f, const char *name, const char *content)
{
	dirs_add(f, slice_str(name), slice_str(content));
}

void dirs_add_root(struct dirs *f, const char *name, const struct dag_root *root)
{
	assert_int_equal(dir_builder_add(f->b, slice_str(name), &root->link,
					 root->tsize, SLICE_NONE),
			 0);
}

struct dag_root dirs_finish(struct dirs *f)
{
	struct dag_root root;
	struct err e = { 0 };

	if (dir_builder_finish(f->b, &root, &e) != 0)
		fail_msg("finish: %s", e.text);
	dir_builder_free(f->b);
	f->b = NULL;
	return root;
}
