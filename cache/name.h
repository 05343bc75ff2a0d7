/*
 * name.h - what name.c and rename.c share; all under c->lock
 */
#ifndef CACHE_NAME_H
#define CACHE_NAME_H

#include "cache/internal.h"

struct dentry {
	uint64_t ino;
	uint32_t type; /* S_IFMT bits */
	uint64_t pos;
};

/* A directory whose names are here; -EINPROGRESS if they are not. */
must_check int name_get_dir(struct cache *c, struct cache_op *op, uint64_t ino,
			    struct inode **ret);

/* -ENOENT */
must_check int name_get_dentry(struct cache *c, uint64_t parent,
			       struct slice name, struct dentry *ret);

/* At position c->next_pos, which the caller moves on.  -EEXIST */
must_check int name_add_dentry(struct cache *c, uint64_t parent,
			       struct slice name, const struct inode *i);

/* The inode of a name; a hard link of the DAG may not be here yet. */
must_check int name_get_named(struct cache *c, struct cache_op *op,
			      uint64_t ino, struct inode **ret);

/* Take back what name_make_inode() made. */
void name_drop_new(struct cache *c, struct inode *i);

/* A new inode in memory, with one reference to come; no name yet. */
must_check int name_make_inode(struct cache *c, const struct cache_new *n,
			       struct inode **ret);

/* A name of i is gone.  Cannot fail: what is left over is reaped later. */
void name_lost_name(struct cache *c, struct inode *i, struct timespec now);

/* -ENOTEMPTY, or -EINPROGRESS */
must_check int name_is_empty(struct cache *c, struct cache_op *op, struct inode *i);

#endif
