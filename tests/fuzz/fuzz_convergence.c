/*
 * fuzz_convergence.c - the kept convergence secret, as a ledger might give it
 *
 * The input is first the value itself, then the epoch of an honest one and what
 * of it is changed.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "ledger/convergence.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/zerokeys.h"

static int get(struct slice kept, uint32_t *epoch)
{
	_cleanup_secret_ struct secret *got = NULL;
	int r = convergence_open(kept, zero_keys(), &got, epoch);

	assert((r == 0) == (got != NULL));
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct keys *k = zero_keys();
	uint8_t kept[CONVERGENCE_SIZE];
	uint32_t epoch = 0;
	int r;

	r = get(slice(data, size), &epoch);
	assert(r == (size == sizeof(kept) ? -EBADMSG : -EUCLEAN));
	if (size < 4)
		return 0;
	convergence_seal(k, keys_secret(k, KEYS_HEAD), get_le32(data), kept);
	r = get(slice(kept, sizeof(kept)), &epoch);
	assert(r == 0 && epoch == get_le32(data));
	if (size < 6 || !data[5])
		return 0;
	kept[data[4] % sizeof(kept)] ^= data[5];
	r = get(slice(kept, sizeof(kept)), &epoch);
	assert(r == -EBADMSG);
	return 0;
}
