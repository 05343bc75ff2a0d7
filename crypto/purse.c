#include "crypto/purse.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>

#include "base/err.h"
#include "crypto/bip32.h"
#include "crypto/secp.h"
#include "crypto/secret.h"
#include "crypto/words.h"

#define SEED_SIZE    64
#define ROUNDS       2048
#define SENTENCE_MAX 1024 /* bytes */

/* m/44'/60'/0'/0 */
struct purse {
	struct bip32 *node;
};

static void sodium_freep(void *pp)
{
	sodium_free(*(void **)pp); /* wipes; NULL is fine */
}

#define _cleanup_guarded_ _cleanup_(sodium_freep)

static int seed_of(struct slice words, struct slice passphrase,
		   uint8_t ret[static SEED_SIZE])
{
	static const char label[] = "mnemonic";
	_cleanup_guarded_ uint8_t *salt = NULL;
	size_t n = sizeof(label) - 1;

	if (words.n > SENTENCE_MAX || passphrase.n > SENTENCE_MAX)
		return -EINVAL;
	salt = sodium_malloc(n + passphrase.n);
	if (!salt)
		return -ENOMEM;
	memcpy(salt, label, n);
	if (passphrase.n)
		memcpy(salt + n, passphrase.p, passphrase.n);
	if (PKCS5_PBKDF2_HMAC((const char *)words.p, (int)words.n, salt,
			      (int)(n + passphrase.n), ROUNDS, EVP_sha512(),
			      SEED_SIZE, ret) != 1)
		return -EIO;
	return 0;
}

int purse_from_sentence(struct slice words, struct slice passphrase,
			struct purse **ret)
{
	static const uint32_t path[] = { 44 | BIP32_HARD, 60 | BIP32_HARD,
					 0 | BIP32_HARD, 0 };
	_cleanup_guarded_ uint8_t *seed = sodium_malloc(SEED_SIZE);
	_cleanup_purse_ struct purse *p = calloc(1, sizeof(*p));
	_cleanup_bip32_ struct bip32 *root = NULL;
	int r;

	if (!seed || !p)
		return -ENOMEM;
	r = seed_of(words, passphrase, seed);
	if (r == 0)
		r = bip32_root(seed, SEED_SIZE, &root);
	if (r == 0)
		r = bip32_descend(root, path, ARRAY_LEN(path), &p->node);
	if (r < 0)
		return r;
	*ret = steal(&p);
	return 0;
}

int purse_from_entropy(const struct secret *entropy, struct purse **ret)
{
	_cleanup_guarded_ char *text = sodium_malloc(WORDS_TEXT_MAX);

	if (!text)
		return -ENOMEM;
	words_write(entropy, text);
	return purse_from_sentence(slice_str(text), SLICE_NONE, ret);
}

void purse_free(struct purse *p)
{
	if (!p)
		return;
	bip32_free(p->node);
	free(p);
}

int purse_key(const struct purse *p, enum purse_use use, struct secret **ret)
{
	_cleanup_bip32_ struct bip32 *node = NULL;
	int r;

	assert(use < PURSE_NX);
	r = bip32_child(p->node, (uint32_t)use, &node);
	return r < 0 ? r : bip32_key(node, ret);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct slice trim(struct slice s)
{
	while (s.n && is_blank(s.p[0]))
		s = slice(s.p + 1, s.n - 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	if (s.n >= 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x')
		s = slice(s.p + 2, s.n - 2);
	return s;
}

int purse_import(struct slice text, struct secret **ret, struct err *reterr)
{
	_cleanup_guarded_ uint8_t *bytes = sodium_malloc(SECRET_SIZE);
	_cleanup_secret_ struct secret *key = NULL;
	struct slice digits = trim(text);
	size_t n = 0;
	int r;

	if (!bytes)
		return -ENOMEM;
	if (digits.n != (size_t)2 * SECRET_SIZE)
		return err_set(reterr, -EINVAL,
			       "a private key has 64 hexadecimal digits, this has %zu characters",
			       digits.n);
	if (sodium_hex2bin(bytes, SECRET_SIZE, (const char *)digits.p, digits.n,
			   NULL, &n, NULL) != 0 ||
	    n != SECRET_SIZE)
		return err_set(reterr, -EINVAL,
			       "a private key has hexadecimal digits only");
	r = secret_new(bytes, &key);
	if (r < 0)
		return r;
	if (!secp_is_key(key))
		return err_set(reterr, -EINVAL,
			       "this number is no private key of secp256k1");
	*ret = steal(&key);
	return 0;
}

void purse_export(const struct secret *key, char ret[static PURSE_TEXT_MAX])
{
	ret[0] = '0';
	ret[1] = 'x';
	(void)sodium_bin2hex(ret + 2, PURSE_TEXT_MAX - 2, secret_bytes(key),
			     SECRET_SIZE); /* fits */
}
