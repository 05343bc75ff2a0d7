/*
 * dirs.h - a directory under construction, its entries plain files
 *
 * Nothing is stored; failures end the test.
 */
#ifndef TESTS_DAG_DIRS_H
#define TESTS_DAG_DIRS_H

#include "base/slice.h"
#include "dag/dir.h"
#include "dag/profile.h"
#include "dag/sealer.h"

struct dirs {
	struct dag_profile p;
	struct plain_sealer s;
	struct dir_builder *b;
};

void dirs_begin(struct dirs *f, const struct dag_profile *p);

/* The DAG of one file, with the profile of f. */
struct dag_root dirs_file_root(struct dirs *f, struct slice content);

void dirs_add(struct dirs *f, struct slice name, struct slice content);
void dirs_add_str(struct dirs *f, const char *name, const char *content);
void dirs_add_root(struct dirs *f, const char *name, const struct dag_root *root);

struct dag_root dirs_finish(struct dirs *f); /* and the end of it */

#endif
