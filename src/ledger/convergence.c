#include "ledger/convergence.h"

#include <errno.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "crypto/keys.h"
#include "ledger/ledger.h"

#define AD_LABEL "convergence"
#define AD_SIZE  (sizeof(AD_LABEL) - 1 + 4)

static struct slice wrap_ad(uint32_t epoch, uint8_t ad[static AD_SIZE])
{
	memcpy(ad, AD_LABEL, sizeof(AD_LABEL) - 1);
	put_le32(ad + sizeof(AD_LABEL) - 1, epoch);
	return slice(ad, AD_SIZE);
}

int convergence_open(struct slice kept, const struct keys *k,
		     struct secret **ret, uint32_t *ret_epoch)
{
	uint8_t ad[AD_SIZE], wrapped[WRAP_SIZE];
	struct cursor c = cursor(kept);
	uint32_t epoch = cursor_le32(&c);

	cursor_copy(&c, wrapped, sizeof(wrapped));
	if (cursor_done(&c) < 0)
		return -EUCLEAN;
	if (ret_epoch)
		*ret_epoch = epoch;
	return wrap_open(keys_secret(k, KEYS_COMMIT), wrap_ad(epoch, ad),
			 wrapped, ret);
}

void convergence_seal(const struct keys *k, const struct secret *convergence,
		      uint32_t epoch, uint8_t ret[static CONVERGENCE_SIZE])
{
	uint8_t ad[AD_SIZE];

	put_le32(ret, epoch);
	wrap_seal(keys_secret(k, KEYS_COMMIT), wrap_ad(epoch, ad), convergence,
		  ret + 4);
}

int ledger_convergence(struct ledger *l, const struct keys *k,
		       struct secret **ret, uint32_t *ret_epoch)
{
	_cleanup_buf_ struct buf b = { .max = CONVERGENCE_SIZE };
	int r = ledger_get(l, LEDGER_CONVERGENCE, &b);

	if (r < 0)
		return r == -ENOENT ? -EUCLEAN : r;
	return convergence_open(buf_slice(&b), k, ret, ret_epoch);
}

static int convergence_set(struct ledger *l, const struct keys *k,
			   const struct secret *convergence, uint32_t epoch)
{
	uint8_t kept[CONVERGENCE_SIZE];

	convergence_seal(k, convergence, epoch, kept);
	return ledger_set(l, LEDGER_CONVERGENCE, slice(kept, sizeof(kept)));
}

/* 1 to PIECE_WRITER_MAX: two devices of a drive draw different ones. */
static int writer_draw(uint32_t *ret)
{
	do {
		if (getrandom(ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
			return -EIO;
		*ret &= PIECE_WRITER_MAX;
	} while (*ret == 0);
	return 0;
}

int ledger_format(struct io *io, const struct keys *k,
		  const struct secret *convergence, uint32_t epoch,
		  struct err *reterr)
{
	struct ledger_params p = { .io = io,
				   .key = keys_secret(k, KEYS_DB),
				   .create = true };
	struct ledger *l = NULL;
	uint32_t writer;
	int r;

	memcpy(p.drive_id, keys_drive_id(k), sizeof(p.drive_id));
	r = writer_draw(&writer);
	if (r == 0)
		r = ledger_open(&p, &l, reterr);
	if (r == 0)
		r = ledger_set_u64(l, LEDGER_WRITER, writer);
	if (r == 0)
		r = convergence_set(l, k, convergence, epoch);
	ledger_close(l);
	return r < 0 ? err_set(reterr, r, "ledger.db: %s", err_str(r)) : 0;
}
