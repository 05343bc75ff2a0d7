/*
 * fuzz_hamt.c - directory nodes; the first byte chooses sealed (bit 7) and the
 * level (the rest).  Every entry that is listed is found, and nothing else.
 */
#include <assert.h>

#include "dag/dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shards that are found without the way to them are asked where they stand. */
static void ask_way(const struct dir_node *n, struct slice name, struct slice in)
{
	struct dir_way w = { .from = 0 };

	assert(dir_way_leads_to(&w, n, name) || n->fanout);
	w.depth = MIN(n->level, DIR_WAY_MAX);
	w.from = (unsigned)(in.n % (w.depth + 1));
	for (unsigned i = 0; i < w.depth && i < in.n; i++)
		w.at[i] = in.p[i];
	if (w.from == w.depth)
		assert(dir_way_leads_to(&w, n, name) || !n->fanout);
	else
		(void)dir_way_leads_to(&w, n, name); /* ends */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dir_item e, found;
	struct slice target;
	struct dir_node n;
	struct dir_iter it;
	unsigned count = 0;
	struct slice in;
	bool sealed;
	int r;

	if (!size)
		return 0;
	sealed = data[0] >> 7;
	in = slice(data + 1, size - 1);
	if (symlink_parse(in, sealed, &target) == 0)
		assert(target.n > 0 && !memchr(target.p, 0, target.n));
	if (dir_node_parse(in, sealed, data[0] & 0x7f, &n) < 0)
		return 0;
	dir_iter_init(&it, &n);
	while ((r = dir_next(&it, &e)) > 0) {
		count++;
		if (e.is_subshard)
			continue;
		assert(dir_name_valid(e.name));
		if (count > 64)
			continue; /* looking up is linear */
		assert(dir_node_find(&n, e.name, &found) == 1);
		assert(slice_eq(found.name, e.name));
		ask_way(&n, e.name, in);
	}
	assert(r == 0 && count == n.node.pb.n_links);
	r = dir_node_find(&n, slice_str("no/such"), &found);
	assert(r == 0 || (r == 1 && found.is_subshard));
	return 0;
}
