/*
 * fuzz_unixfs.c - UnixFS nodes, plain and sealed: what is accepted walks to the
 * end, and comes back when it is encoded again
 */
#include <assert.h>

#include "base/buf.h"
#include "dag/file.h"
#include "dag/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(struct slice in, bool sealed)
{
	struct file_child c, found;
	struct file_node n;
	struct file_iter it;
	uint64_t off;
	int r;

	if (file_node_parse(in, LINK_DAGPB, sealed, &n) < 0)
		return;
	off = n.bytes.n;
	file_iter_init(&it, &n);
	while ((r = file_iter_next(&it, &c)) > 0) {
		assert(c.off == off);
		if (c.size) {
			assert(file_node_find(&n, c.off, &found) == 1);
			assert(found.off == c.off);
		}
		off += c.size;
	}
	assert(r == 0 && off == n.size);
	assert(file_node_find(&n, n.size, &found) == 0);
}

static void check_node(struct slice in, bool sealed)
{
	struct unixfs_child c, *all;
	struct unixfs_node n, back;
	struct unixfs_iter it;
	uint32_t links = 0;
	struct buf b;
	int r;

	if (unixfs_node_parse(in, sealed, &n) < 0)
		return;
	all = calloc(n.pb.n_links + 1, sizeof(*all));
	assert(all);
	unixfs_iter_init(&it, &n);
	while ((r = unixfs_next(&it, &c)) > 0) {
		if (sealed)
			assert(c.link.kind == LINK_SEALED ||
			       c.link.kind == LINK_IDENTITY);
		all[links++] = c;
	}
	assert(r == 0 && links == n.pb.n_links);
	if (sealed && n.fs.type != UNIXFS_RAW) {
		buf_init(&b, DAG_NODE_MAX);
		assert(unixfs_node_encode(&dag_profile_sealed, &n.fs, all,
					  links, &b) == 0);
		assert(unixfs_node_parse(buf_slice(&b), true, &back) == 0);
		unixfs_iter_init(&it, &back);
		for (uint32_t i = 0; i < links; i++) {
			assert(unixfs_next(&it, &c) == 1);
			assert(link_same(&c.link, &all[i].link));
			assert(c.link.place.piece == all[i].link.place.piece &&
			       c.link.place.off == all[i].link.place.off &&
			       c.link.place.len == all[i].link.place.len);
			assert(c.hole == all[i].hole && c.size == all[i].size);
			assert(slice_eq(c.attr, all[i].attr));
		}
		buf_fini(&b);
	}
	free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size);

	for (int sealed = 0; sealed < 2; sealed++) {
		check_node(in, sealed);
		check_file(in, sealed);
	}
	return 0;
}
