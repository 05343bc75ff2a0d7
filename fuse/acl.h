/*
 * acl.h - POSIX ACLs as the kernel passes them in extended attributes
 *
 * With FUSE_POSIX_ACL the kernel checks permissions and leaves the rest to us:
 * what a new inode inherits, what chmod does to an access ACL, and what setting
 * an access ACL does to the mode.  These are the pure functions for that, after
 * POSIX.1e draft 17 and the rules of Linux' fs/posix_acl.c.
 *
 * Value of system.posix_acl_access and system.posix_acl_default (all numbers
 * little-endian; linux/posix_acl_xattr.h):
 *
 *   offset  size  field
 *   0       4     version, 2
 *   4 + 8i  2     tag: 1 user::, 2 user:id, 4 group::, 8 group:id, 16 mask::,
 *                 32 other::
 *   6 + 8i  2     permissions, 0 to 7
 *   8 + 8i  4     id of the tags 2 and 8, else ignored (written as ~0)
 *
 * Entries stand in the order of their tags; user::, group:: and other:: exactly
 * once, mask:: at most once, and exactly once if a named entry is there.
 *
 * Pure: no allocation, any thread.
 */
#ifndef FUSE_ACL_H
#define FUSE_ACL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

#define ACL_ENTRIES_MAX 512
#define ACL_BYTES_MAX   (4 + 8 * ACL_ENTRIES_MAX)

enum acl_tag {
	ACL_USER_OBJ = 1,
	ACL_USER = 2,
	ACL_GROUP_OBJ = 4,
	ACL_GROUP = 8,
	ACL_MASK = 16,
	ACL_OTHER = 32,
};

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

struct acl {
	unsigned n;
	struct acl_entry e[ACL_ENTRIES_MAX];
};

/* -EINVAL for anything but the form above, -E2BIG past ACL_ENTRIES_MAX. */
must_check int acl_parse(struct slice value, struct acl *ret);

/* Bytes written to dst. */
size_t acl_encode(const struct acl *a, uint8_t dst[static ACL_BYTES_MAX]);

/*
 * The permission bits of `mode` that the ACL stands for; other bits stay.  True
 * if the mode says it all, that is, no ACL needs to be kept.
 */
bool acl_to_mode(const struct acl *a, uint32_t *mode);

/* chmod: bring an access ACL in line with the permission bits of `mode`. */
void acl_chmod(struct acl *a, uint32_t mode);

/*
 * Creation: turn the parent's default ACL into the access ACL of a new inode
 * whose creator asked for `mode` (umask not applied), and the mode into what the
 * ACL leaves of it.  True if the new inode needs no access ACL.
 */
bool acl_inherit(struct acl *a, uint32_t *mode);

#endif
