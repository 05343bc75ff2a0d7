/*
 * tree.h - a folder and all below it goes
 *
 * Never through a symlink, never into another mount.  Threading: any.
 */
#ifndef DAEMON_TREE_H
#define DAEMON_TREE_H

#include "base/util.h"

/* -errno of what could not be read or removed first: the rest is still there. */
must_check int tree_remove(const char *path);

#endif
