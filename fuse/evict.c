#include "fuse/evict.h"

#include <linux/fuse.h>
#include <string.h>

#include "fuse/op.h"

void evict_begin(struct evict *e)
{
	atomic_store(&e->begun, true);
}

/* What brings nothing into the kernel's memory, or carries changes out of it. */
static bool is_harmless(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_INIT:
	case FUSE_WRITE:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_DESTROY: return true;
	default: return false;
	}
}

bool evict_refuses(struct evict *e, int fd, const uint8_t *p, size_t n)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = -ENOTCONN };
	struct fuse_in_header in;

	if (!atomic_load_explicit(&e->begun, memory_order_relaxed) || n < sizeof(in))
		return false;
	memcpy(&in, p, sizeof(in));
	if (is_harmless(in.opcode))
		return false;
	out.unique = in.unique;
	best_effort(write(fd, &out, sizeof(out))); /* or it has gone meanwhile */
	return true;
}

/* Every name at once would be too many bytes; so many between two looks. */
#define NAMES_AT_ONCE 256

struct names {
	char v[NAMES_AT_ONCE][CACHE_NAME_MAX + 1];
	size_t n;
	uint64_t pos;
};

static int on_name(void *ctx, struct slice name, const struct cache_attr *attr,
		   uint64_t pos)
{
	struct names *to = ctx;

	(void)attr;
	if (to->n == NAMES_AT_ONCE)
		return 1;
	memcpy(to->v[to->n], name.p, name.n);
	to->v[to->n++][name.n] = '\0';
	to->pos = pos;
	return 0;
}

/*
 * The names in the root, and with each of them all below it.  Those that the
 * kernel does not know are -ENOENT.
 */
static int drop_names(struct fuse_session *se, struct cache *c)
{
	struct names *names = calloc(1, sizeof(*names));
	struct cache_op who = { 0 };
	int r = names ? 0 : -ENOMEM;

	while (r == 0) {
		names->n = 0;
		r = cache_readdir(c, &who, CACHE_ROOT_INO, names->pos, on_name,
				  names);
		if (r < 0 || names->n == 0)
			break; /* -EINPROGRESS: nobody has looked into it yet */
		r = 0;
		for (size_t i = 0; i < names->n && r == 0; i++) {
			r = fuse_lowlevel_notify_inval_entry(se, CACHE_ROOT_INO,
							     names->v[i],
							     strlen(names->v[i]));
			if (r == -ENOENT || r == -ENOTDIR)
				r = 0;
		}
	}
	free(names);
	return r == -EINPROGRESS ? 0 : MIN(r, 0);
}

static int drop_pages(struct fuse_session *se, struct cache *c)
{
	_cleanup_free_ uint64_t *inos = NULL;
	size_t n = 0;
	int r = cache_referenced(c, &inos, &n), first = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		int q = fuse_lowlevel_notify_inval_inode(se, inos[i], 0, 0);

		if (q < 0 && q != -ENOENT && first == 0)
			first = q; /* the others go all the same */
	}
	return r < 0 ? r : first;
}

int evict_all(struct fuse_session *se, struct cache *c)
{
	int names = drop_names(se, c), pages = drop_pages(se, c);

	return names < 0 ? names : pages;
}
