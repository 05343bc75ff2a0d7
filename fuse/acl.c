#include "fuse/acl.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/cursor.h"

#define ACL_VERSION 2
#define ACL_NO_ID   UINT32_MAX

static uint16_t le16(struct cursor *c)
{
	unsigned lo = cursor_u8(c);

	return (uint16_t)(lo | (unsigned)cursor_u8(c) << 8);
}

static bool named(unsigned tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

/* May an entry `tag` follow an entry `last` (0: the first)? */
static bool in_order(unsigned last, unsigned tag)
{
	return tag > last || (tag == last && named(tag));
}

static bool known(unsigned tag)
{
	return tag && !(tag & (tag - 1)) && tag <= ACL_OTHER;
}

int acl_parse(struct slice value, struct acl *ret)
{
	const unsigned always = ACL_USER_OBJ | ACL_GROUP_OBJ | ACL_OTHER;
	struct cursor c = cursor(value);
	unsigned seen = 0, last = 0;

	if (cursor_le32(&c) != ACL_VERSION || c.n % 8 != 0)
		return -EINVAL;
	if (c.n / 8 > ACL_ENTRIES_MAX)
		return -E2BIG;
	ret->n = (unsigned)(c.n / 8);
	for (unsigned i = 0; i < ret->n; i++) {
		struct acl_entry *e = &ret->e[i];

		e->tag = le16(&c);
		e->perm = le16(&c);
		e->id = cursor_le32(&c);
		if (!known(e->tag) || !in_order(last, e->tag) || e->perm > 7)
			return -EINVAL;
		if (!named(e->tag))
			e->id = ACL_NO_ID;
		else if (e->id == ACL_NO_ID)
			return -EINVAL;
		last = e->tag;
		seen |= e->tag;
	}
	if (cursor_done(&c) < 0 || (seen & always) != always)
		return -EINVAL;
	if ((seen & (ACL_USER | ACL_GROUP)) && !(seen & ACL_MASK))
		return -EINVAL;
	return 0;
}

size_t acl_encode(const struct acl *a, uint8_t dst[static ACL_BYTES_MAX])
{
	put_le32(dst, ACL_VERSION);
	for (unsigned i = 0; i < a->n; i++) {
		uint8_t *p = dst + 4 + 8 * (size_t)i;

		put_le32(p, (uint32_t)a->e[i].tag | (uint32_t)a->e[i].perm << 16);
		put_le32(p + 4, a->e[i].id);
	}
	return 4 + 8 * (size_t)a->n;
}

static struct acl_entry *find(struct acl *a, enum acl_tag tag)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->e[i].tag == tag)
			return &a->e[i];
	return NULL;
}

/* The entry that the group bits of the mode show. */
static struct acl_entry *group_class(struct acl *a)
{
	struct acl_entry *mask = find(a, ACL_MASK);

	return mask ? mask : find(a, ACL_GROUP_OBJ);
}

/* More than user::, group:: and other::. */
static bool extended(const struct acl *a)
{
	return a->n > 3;
}

bool acl_to_mode(const struct acl *a, uint32_t *mode)
{
	uint32_t user = 0, group = 0, mask = 0, other = 0;
	bool has_mask = false;

	for (unsigned i = 0; i < a->n; i++) {
		const struct acl_entry *e = &a->e[i];

		if (e->tag == ACL_USER_OBJ)
			user = e->perm;
		else if (e->tag == ACL_GROUP_OBJ)
			group = e->perm;
		else if (e->tag == ACL_OTHER)
			other = e->perm;
		else if (e->tag == ACL_MASK) {
			mask = e->perm;
			has_mask = true;
		}
	}
	*mode = (*mode & ~0777u) | user << 6 | (has_mask ? mask : group) << 3 |
		other;
	return !extended(a);
}

/* Set the bits of a class, or only take away what `mode` lacks. */
static void apply(struct acl_entry *e, uint32_t mode, unsigned shift, bool limit)
{
	unsigned bits = mode >> shift & 7;

	if (e)
		e->perm = (uint16_t)(limit ? e->perm & bits : bits);
}

static void apply_all(struct acl *a, uint32_t mode, bool limit)
{
	apply(find(a, ACL_USER_OBJ), mode, 6, limit);
	apply(group_class(a), mode, 3, limit);
	apply(find(a, ACL_OTHER), mode, 0, limit);
}

void acl_chmod(struct acl *a, uint32_t mode)
{
	apply_all(a, mode, false);
}

bool acl_inherit(struct acl *a, uint32_t *mode)
{
	apply_all(a, *mode, true);
	return acl_to_mode(a, mode);
}
