#include "fuse/wire.h"

#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

#include "fuse/op.h"

#define WANTED \
 (FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT | FUSE_PARALLEL_DIROPS)

#define HEAVY_BYTES (64u << 10)

_Static_assert(sizeof(struct fuse_in_header) == 40, "linux/fuse.h");
_Static_assert(offsetof(struct fuse_init_out, flags) == 12, "linux/fuse.h");

#define HEAD sizeof(struct fuse_in_header)

/* An argument struct right after the header; false if it is cut short. */
#define get(dst, p, n) get_arg(dst, sizeof(*(dst)), p, n)
static bool get_arg(void *dst, size_t size, const uint8_t *p, size_t n)
{
	if (n < HEAD + size)
		return false;
	memcpy(dst, p + HEAD, size);
	return true;
}

static void see_init(struct wire *w, uint64_t unique, const uint8_t *p, size_t n)
{
	/* Without the trailing fields in older kernels. */
	uint32_t head[4]; /* major, minor, max_readahead, flags */

	if (!get(&head, p, n))
		return;
	w->offered = head[3];
	w->init_unique = unique;
}

static void put_head(uint8_t *p, uint32_t opcode, size_t n)
{
	struct fuse_in_header h;

	memcpy(&h, p, sizeof(h));
	h.opcode = opcode;
	h.len = (uint32_t)n;
	memcpy(p, &h, sizeof(h));
}

static size_t cut_setxattr(uint8_t *p, size_t n, struct wire_kind *ret)
{
	const size_t gone = sizeof(struct fuse_setxattr_in) -
			    FUSE_COMPAT_SETXATTR_IN_SIZE;
	uint8_t *to = p + HEAD + FUSE_COMPAT_SETXATTR_IN_SIZE;
	struct fuse_setxattr_in in;

	if (!get(&in, p, n))
		return n;
	if (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
		ret->flags |= OP_KILL_SGID;
	memmove(to, to + gone, n - (size_t)(to + gone - p));
	n -= gone;
	put_head(p, FUSE_SETXATTR, n);
	return n;
}

static size_t cut_statx(uint8_t *p, size_t n, struct wire_kind *ret)
{
	/* struct fuse_statx_in; what is not as long has another form */
	if (n != HEAD + sizeof(struct fuse_getattr_in) + 8)
		return n;
	n -= 8;
	put_head(p, FUSE_GETATTR, n);
	ret->flags |= OP_STATX;
	return n;
}

static void see_write(const uint8_t *p, size_t n, struct wire_kind *ret)
{
	struct fuse_write_in in;

	if (!get(&in, p, n))
		return;
	if (in.write_flags & FUSE_WRITE_KILL_SUIDGID)
		ret->flags |= OP_KILL_SUID;
	ret->heavy = in.size >= HEAVY_BYTES;
}

static bool is_change(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_SETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_WRITE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE: return true;
	default: return false;
	}
}

size_t wire_request(struct wire *w, uint8_t *p, size_t n, struct wire_kind *ret)
{
	struct fuse_setattr_in setattr;
	struct fuse_in_header h;
	struct fuse_read_in rd;

	*ret = (struct wire_kind){ 0 };
	if (n < sizeof(h))
		return n;
	memcpy(&h, p, sizeof(h));
	ret->unique = h.unique;
	ret->changes = is_change(h.opcode);
	switch (h.opcode) {
	case FUSE_INIT: see_init(w, h.unique, p, n); break;
	case FUSE_SETATTR:
		if (get(&setattr, p, n) && setattr.valid & FATTR_KILL_SUIDGID)
			ret->flags |= OP_KILL_SUID;
		break;
	case FUSE_WRITE: see_write(p, n, ret); break;
	case FUSE_READ:
		ret->heavy = get(&rd, p, n) && rd.size >= HEAVY_BYTES;
		break;
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE: ret->heavy = true; break;
	case FUSE_SETXATTR:
		if (w->setxattr_ext)
			n = cut_setxattr(p, n, ret);
		break;
	case FUSE_TMPFILE:
		put_head(p, FUSE_CREATE, n);
		ret->flags |= OP_TMPFILE;
		break;
	case WIRE_STATX: n = cut_statx(p, n, ret); break;
	default: break;
	}
	return n;
}

void wire_reply(struct wire *w, const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base;
	struct fuse_init_out *init;

	if (atomic_load_explicit(&w->answered, memory_order_relaxed))
		return;
	if (count != 2 || out->unique != w->init_unique || out->error ||
	    iov[1].iov_len < sizeof(*init))
		return;
	init = iov[1].iov_base;
	init->flags |= w->offered & WANTED;
	w->setxattr_ext = init->flags & FUSE_SETXATTR_EXT;
	atomic_store(&w->answered, true);
}
