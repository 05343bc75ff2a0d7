#include "daemon/owner.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "chain/eth_tx.h"
#include "crypto/keys.h"
#include "crypto/purse.h"
#include "crypto/secret.h"
#include "crypto/slot.h"
#include "crypto/wrap.h"
#include "daemon/drive.h"
#include "daemon/passphrase.h"

#define LABEL "imported wallet"

void owner_fini(struct owner *o)
{
	secret_free(o->entropy);
	secret_free(o->key);
	secret_free(o->remover);
	keys_free(o->keys);
	*o = (struct owner){ .key = NULL };
}

int owner_from_entropy(const struct secret *entropy, struct owner *ret)
{
	_cleanup_purse_ struct purse *purse = NULL;
	_cleanup_owner_ struct owner o = { .key = NULL };
	int r;

	r = purse_from_entropy(entropy, &purse);
	if (r == 0)
		r = purse_key(purse, PURSE_OWNER, &o.key);
	if (r == 0)
		r = purse_key(purse, PURSE_REMOVER, &o.remover);
	if (r == 0)
		r = keys_from_entropy(entropy, &o.keys);
	if (r == 0)
		r = address_of_key(o.key, &o.address);
	if (r < 0)
		return r;
	*ret = o;
	o = (struct owner){ .key = NULL };
	return 0;
}

/* The words' entropy; asked for again if a person mistyped the passphrase. */
static int open_entropy(const struct cli *cli, const struct drive *d,
			struct secret **ret, struct err *reterr)
{
	struct passphrase_from from = { .prompt = "Passphrase" };
	int tries, r;

	r = passphrase_from_cli(cli, "passfile", "extpass", &from, reterr);
	tries = r == 0 && passphrase_asks(&from) ? PASSPHRASE_TRIES : 1;
	while (r == 0) {
		_cleanup_passphrase_ struct passphrase *p = NULL;

		r = passphrase_read(&from, &p, reterr);
		if (r < 0)
			return r;
		r = slot_open_entropy(buf_slice(&d->keys_file),
				      passphrase_slice(p), ret, reterr);
		if (r != -EKEYREJECTED || --tries == 0)
			return r;
		(void)fprintf(stderr, "Wrong passphrase, try again.\n");
		reterr->text[0] = '\0';
		r = 0;
	}
	return r;
}

static struct slice ad_of(const struct keys *k)
{
	return slice(keys_drive_id(k), KEYS_DRIVE_ID_SIZE);
}

/* In the place of the words' key, if one was imported. */
static int open_imported(struct owner *o, const struct drive *d, struct err *reterr)
{
	_cleanup_secret_ struct secret *under = NULL, *key = NULL;
	_cleanup_buf_ struct buf file = { 0 };
	int r;

	buf_init(&file, WRAP_SIZE);
	r = io_slurp(d->io, OWNER_KEY_FILE, &file);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && file.n != WRAP_SIZE)
		r = -EUCLEAN;
	if (r == 0)
		r = secret_derive(o->entropy, LABEL, &under);
	if (r == 0)
		r = wrap_open(under, ad_of(o->keys), file.p, &key);
	if (r == 0)
		r = address_of_key(key, &o->address);
	if (r < 0)
		return err_set(reterr, r == -EBADMSG ? -EUCLEAN : r,
			       "the imported key (" OWNER_KEY_FILE
			       " in the drive directory): %s",
			       err_str(r));
	secret_free(o->key);
	o->key = steal(&key);
	o->imported = true;
	return 0;
}

int owner_open_any(const struct cli *cli, struct drive *d, struct owner *ret,
		   struct err *reterr)
{
	_cleanup_owner_ struct owner o = { .key = NULL };
	_cleanup_secret_ struct secret *entropy = NULL;
	int r;

	r = open_entropy(cli, d, &entropy, reterr);
	if (r == 0)
		r = owner_from_entropy(entropy, &o);
	if (r < 0)
		return r;
	o.entropy = steal(&entropy);
	r = open_imported(&o, d, reterr);
	if (r < 0)
		return r;
	*ret = o;
	o = (struct owner){ .key = NULL };
	return 0;
}

int owner_open(const struct cli *cli, struct drive *d, struct owner *ret,
	       struct err *reterr)
{
	_cleanup_owner_ struct owner o = { .key = NULL };
	char a[ADDRESS_TEXT_MAX], b[ADDRESS_TEXT_MAX];
	int r;

	r = owner_open_any(cli, d, &o, reterr);
	if (r < 0)
		return r;
	if (!address_is_none(d->config.payer) &&
	    !address_eq(d->config.payer, o.address)) {
		address_text(d->config.payer, a);
		address_text(o.address, b);
		return err_set(reterr, -EUCLEAN,
			       "the config names %s as payer, and this drive's key is that of %s: fildrive wallet import",
			       a, b);
	}
	*ret = o;
	o = (struct owner){ .key = NULL };
	return 0;
}

int owner_sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	const struct owner *o = ctx;
	uint8_t hash[ETH_TX_HASH_SIZE];

	return eth_tx_sign(tx, o->key, ret_raw, hash);
}

/* The words' key again, in memory. */
static int own_key(struct owner *o)
{
	_cleanup_owner_ struct owner fresh = { .key = NULL };
	int r = owner_from_entropy(o->entropy, &fresh);

	if (r < 0)
		return r;
	fresh.entropy = steal(&o->entropy);
	owner_fini(o);
	*o = fresh;
	fresh = (struct owner){ .key = NULL };
	return 0;
}

int owner_import(struct owner *o, struct drive *d,
		 const struct secret *imported, struct err *reterr)
{
	_cleanup_secret_ struct secret *under = NULL;
	uint8_t wrapped[WRAP_SIZE];
	int r;

	if (!imported) {
		r = io_unlink(d->io, OWNER_KEY_FILE);
		if (r == 0)
			r = io_syncdir(d->io, ".");
		return r < 0 && r != -ENOENT ? r : own_key(o);
	}
	r = secret_derive(o->entropy, LABEL, &under);
	if (r < 0)
		return r;
	wrap_seal(under, ad_of(o->keys), imported, wrapped);
	r = io_replace(d->io, ".", OWNER_KEY_FILE, slice(wrapped, sizeof(wrapped)));
	return r < 0 ? r : open_imported(o, d, reterr);
}
