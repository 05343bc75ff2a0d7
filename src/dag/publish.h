/*
 * publish.h - plain UnixFS of a file or folder, as one CARv1
 *
 * What the command `publish PATH` does: CIDs equal those of any other tool that
 * follows the profile, metadata is left out, and nothing is encrypted.
 *
 * Symbolic links are kept as links, also PATH itself.  Fifos, sockets and
 * devices have no UnixFS form: below a folder they are counted and skipped, as
 * PATH they are refused.  Folders are not followed across their symlinks, so
 * there are no loops.
 *
 * Blocks stand in post-order (children before parents, the root last), each CID
 * once; the header, of fixed size, is written when the root is known.  If
 * publish fails the CAR's content is undefined.
 *
 * Memory: up to 86 bytes a distinct block (128 while the set grows), the entries
 * of the folders from the root to where the walk is (dir.h), and one chunk.
 *
 * Threading: blocking; call from a worker or the command line.
 */
#ifndef DAG_PUBLISH_H
#define DAG_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct cid;
struct dag_profile;
struct err;

#define PUBLISH_DEPTH_MAX 512 /* folders in folders */

struct publish_opts {
	const struct dag_profile *profile; /* NULL: unixfs-v1-2025 */
	bool hidden; /* take names below PATH that begin with a dot */
};

struct publish_stats {
	uint64_t files, dirs, symlinks, skipped; /* skipped: special files */
	uint64_t content_bytes;
	uint64_t blocks, car_bytes; /* distinct blocks */
};

/*
 * Write the CAR to `car_fd`, a regular file open for writing, from offset 0;
 * it is truncated to its length, not synced.
 *
 * -EINVAL    PATH is a special file
 * -ENOTSUP   names that UnixFS cannot hold in one directory (named in reterr)
 * -EBUSY     a file changed while it was read
 * -ELOOP     over PUBLISH_DEPTH_MAX folders deep
 * and what open, read and pwrite return; reterr names the path.
 */
must_check int publish_path(const char *path, const struct publish_opts *opts,
			    int car_fd, struct cid *ret_root,
			    struct publish_stats *ret_stats, struct err *reterr);

#endif
