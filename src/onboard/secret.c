#include "onboard/secret.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/keys.h"
#include "crypto/wrap.h"
#include "ledger/ledger.h"
#include "onboard/onboard.h"

#define KEPT_SIZE (4 + WRAP_SIZE)
#define AD_LABEL  "convergence"
#define AD_SIZE   (sizeof(AD_LABEL) - 1 + 4)

static struct slice wrap_ad(uint32_t epoch, uint8_t ad[static AD_SIZE])
{
	memcpy(ad, AD_LABEL, sizeof(AD_LABEL) - 1);
	put_le32(ad + sizeof(AD_LABEL) - 1, epoch);
	return slice(ad, AD_SIZE);
}

int onboard_convergence(struct ledger *l, const struct keys *k,
			struct secret **ret, uint32_t *ret_epoch)
{
	uint8_t ad[AD_SIZE], wrapped[WRAP_SIZE];
	_cleanup_buf_ struct buf b;
	struct cursor c;
	uint32_t epoch;
	int r;

	buf_init(&b, KEPT_SIZE);
	r = ledger_get(l, LEDGER_CONVERGENCE, &b);
	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	c = cursor(buf_slice(&b));
	epoch = cursor_le32(&c);
	cursor_copy(&c, wrapped, sizeof(wrapped));
	if (cursor_done(&c) < 0)
		return -EUCLEAN;
	if (ret_epoch)
		*ret_epoch = epoch;
	return wrap_open(keys_secret(k, KEYS_COMMIT), wrap_ad(epoch, ad),
			 wrapped, ret);
}

int onboard_init_ledger(struct ledger *l, const struct keys *k,
			const struct secret *convergence, uint32_t epoch,
			uint32_t writer)
{
	uint8_t ad[AD_SIZE], kept[KEPT_SIZE];
	int r;

	put_le32(kept, epoch);
	wrap_seal(keys_secret(k, KEYS_COMMIT), wrap_ad(epoch, ad), convergence,
		  kept + 4);
	r = ledger_set(l, LEDGER_CONVERGENCE, slice(kept, sizeof(kept)));
	return r < 0 ? r : ledger_set_u64(l, LEDGER_WRITER, writer);
}
