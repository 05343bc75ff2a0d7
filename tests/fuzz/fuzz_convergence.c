/*
 * fuzz_convergence.c - the kept convergence secret, as a ledger might give it
 *
 * The input is first the value itself, then the epoch of an honest one and what
 * of it is changed.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/wrap.h"
#include "helper/recorder.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "tests/fuzz/zerokeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FORGET_EVERY 64

static struct recorder *rec;
static struct ledger *ledger;

static void prepare(const struct keys *k)
{
	struct ledger_params p = { .key = keys_secret(k, KEYS_DB), .create = true };
	struct err e = { "" };
	int r;

	r = recorder_new(&rec);
	assert(r == 0);
	p.io = recorder_io(rec);
	r = ledger_open(&p, &ledger, &e);
	assert(r == 0);
}

static int get(struct slice value, const struct keys *k, uint32_t *epoch)
{
	_cleanup_secret_ struct secret *got = NULL;
	int r;

	r = ledger_set(ledger, LEDGER_CONVERGENCE, value);
	assert(r == 0);
	return ledger_convergence(ledger, k, &got, epoch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct keys *k = zero_keys();
	uint8_t kept[4 + WRAP_SIZE], ad[15] = "convergence";
	static unsigned n_runs;
	uint32_t epoch = 0;
	int r;

	if (!ledger)
		prepare(k);
	if (n_runs++ % FORGET_EVERY == 0) {
		r = recorder_forget(rec);
		assert(r == 0);
	}
	if (size > 4096)
		return 0;
	r = get(slice(data, size), k, &epoch);
	assert(size == sizeof(kept) ? r == -EBADMSG :
				      r == -EUCLEAN || r == -EMSGSIZE);
	if (size < 4)
		return 0;
	memcpy(kept, data, 4);
	memcpy(ad + 11, data, 4);
	wrap_seal(keys_secret(k, KEYS_COMMIT), slice(ad, sizeof(ad)),
		  keys_secret(k, KEYS_HEAD), kept + 4);
	r = get(slice(kept, sizeof(kept)), k, &epoch);
	assert(r == 0 && epoch == get_le32(data));
	if (size < 6 || !data[5])
		return 0;
	kept[data[4] % sizeof(kept)] ^= data[5];
	r = get(slice(kept, sizeof(kept)), k, &epoch);
	assert(r == -EBADMSG);
	return 0;
}
