/* fuzz_curio.c - answers of a storage provider; the first byte says to what */
#include <assert.h>
#include <string.h>

#include "crypto/commp.h"
#include "provider/curio_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct piece_cid piece(uint8_t seed)
{
	struct commp_sum sum = { .raw_size = 1000, .height = 5, .root = { seed } };
	struct piece_cid cid;

	piece_cid_v2(&sum, &cid);
	return cid;
}

static void a_transaction(struct slice in, bool created)
{
	const char *why = NULL;
	struct curio_tx t;
	int r = curio_read_tx(in, created, &t, &why);

	assert(r == 0 || r == -EPROTO);
	assert(r == 0 || why);
	assert(t.n_ids <= CURIO_BATCH_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct piece_cid a = piece(1), b = piece(2);
	struct curio_pull pulls[2] = { { .cid = &a }, { .cid = &b } };
	uint8_t hash[CURIO_HASH_SIZE];
	const char *why = NULL;
	struct slice in;
	int r;

	if (size == 0)
		return 0;
	in = slice(data + 1, size - 1);
	switch (data[0] % 5) {
	case 0: a_transaction(in, true); return 0;
	case 1: a_transaction(in, false); return 0;
	case 2: r = curio_read_pull(in, pulls, 2, &why); break;
	case 3: r = curio_read_cid(in, &a, &why); break;
	default: r = curio_read_hash(in, hash, &why);
	}
	assert(r == 0 || (r == -EPROTO && why));
	return 0;
}
