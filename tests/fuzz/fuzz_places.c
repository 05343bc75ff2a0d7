/*
 * fuzz_places.c - runs of places in a sealed node
 *
 * A whole node is a narrow door (fuzz_unixfs), so this one builds a file node
 * of n links around the runs: byte 0 of the input is n, the rest is x_places.
 */
#include <assert.h>

#include "base/buf.h"
#include "dag/field.h"
#include "dag/profile.h"
#include "dag/unixfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_links(struct buf *b, unsigned n)
{
	static const uint8_t cid[36] = { 1, 0x55, 0x12, 32 };
	const struct dagpb_link l = { .hash = slice(cid, sizeof(cid)), .tsize = 1 };
	int r;

	for (unsigned i = 0; i < n; i++) {
		r = dagpb_put_link(b, &l);
		assert(r == 0);
	}
}

static void put_data(struct buf *b, unsigned n, struct slice runs)
{
	uint8_t keys[255 * LINK_KEY_SIZE] = { 0 };
	struct buf d;
	int r;

	buf_init(&d, 1u << 20);
	r = field_put_num(&d, 1, UNIXFS_FILE);
	if (r == 0)
		r = field_put_num(&d, 3, n);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = field_put_num(&d, 4, 1);
	if (r == 0)
		r = field_put_bytes(&d, 1201, slice(keys, n * LINK_KEY_SIZE));
	if (r == 0)
		r = field_put_bytes(&d, 1202, runs);
	if (r == 0)
		r = dagpb_put_data(b, buf_slice(&d));
	assert(r == 0);
	buf_fini(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unixfs_child all[255], c;
	unsigned n = size ? data[0] : 0;
	struct unixfs_node node, back;
	struct unixfs_iter it;
	size_t need = 0;
	struct buf b, e;
	int r;

	if (n == 0 || size > 65536)
		return 0;
	buf_init(&b, 1u << 20);
	buf_init(&e, 1u << 20);
	put_links(&b, n);
	put_data(&b, n, slice(data + 1, size - 1));
	if (unixfs_node_parse(buf_slice(&b), true, &node) < 0)
		goto out;
	unixfs_iter_init(&it, &node);
	for (unsigned i = 0; i < n; i++) {
		r = unixfs_next(&it, &all[i]);
		assert(r == 1);
		if (!all[i].link.place.piece)
			assert(!all[i].link.place.off && !all[i].link.place.len);
	}
	assert(unixfs_next(&it, &c) == 0);
	r = unixfs_places_size(all, n, &need);
	assert(r == 0);
	r = unixfs_node_encode(&dag_profile_sealed, &node.fs, all, n, &e);
	assert(r == 0);
	r = unixfs_node_parse(buf_slice(&e), true, &back);
	assert(r == 0);
	unixfs_iter_init(&it, &back);
	for (unsigned i = 0; i < n; i++) {
		r = unixfs_next(&it, &c);
		assert(r == 1);
		assert(c.link.place.piece == all[i].link.place.piece &&
		       c.link.place.off == all[i].link.place.off &&
		       c.link.place.len == all[i].link.place.len);
	}
out:
	buf_fini(&b);
	buf_fini(&e);
	return 0;
}
