#include "daemon/tree.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_fts(FTS **fts)
{
	if (*fts)
		(void)fts_close(*fts); /* read only: nothing can be lost */
}

/*
 * Only a folder's device says whether something else is mounted there: on
 * overlayfs files have another one than the folder that they are in.
 */
int tree_remove(const char *path)
{
	_cleanup_free_ char *top = strdup(path);
	_cleanup_(close_fts) FTS *fts = NULL;
	char *const tops[] = { top, NULL };
	FTSENT *e;

	if (!top)
		return -ENOMEM;

	fts = fts_open(tops, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	if (!fts)
		return -errno;

	for (errno = 0; (e = fts_read(fts)); errno = 0) {
		if (e->fts_info == FTS_D)
			continue; /* behind what is in it */
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
		    e->fts_info == FTS_NS)
			return -e->fts_errno;
		if (remove(e->fts_accpath) < 0)
			return -errno;
	}
	return -errno;
}
