#include "daemon/tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>

#define NFTW_FDS 16

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) < 0 ? -errno : 0;
}

int tree_remove(const char *path)
{
	return nftw(path, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
