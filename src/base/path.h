/*
 * path.h - where things live
 *
 * $FILDRIVE_HOME, if set, holds everything: <home>/<drive>/ and
 * <home>/<drive>.sock.  Else the drive directory is
 * $XDG_DATA_HOME/fildrive/<drive> (~/.local/share) and the control socket
 * $XDG_RUNTIME_DIR/fildrive/<drive>.sock, or in the drive directory without
 * XDG_RUNTIME_DIR.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include "base/util.h"

/* A drive's name: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot. */
must_check int path_check_name(const char *drive);

/* The results are heap strings that the caller frees.  -EINVAL, -ENOMEM. */
must_check int path_drive_dir(const char *drive, char **ret);
must_check int path_socket(const char *drive, char **ret);
/*
 * Where else the socket may be, since who asks may have another environment than
 * the daemon (a shell of ssh, cron, a system's unit): the i-th place.  -ENOENT: there
 * are no more.
 */
must_check int path_socket_elsewhere(const char *drive, unsigned i, char **ret);
must_check int path_home(char **ret); /* the folder that holds the drives */

/* mkdir -p with mode 0700. */
must_check int path_make_dirs(const char *path);

/*
 * Can nobody else put something of another name, or a link, into this folder (the
 * home of the drives, the place of a socket)?  It has to be ours or root's, and
 * others may not write to it: what is ours is mended.  -EPERM if not; -errno.
 */
must_check int path_check_private(const char *dir);

#endif
