/*
 * fuzz_seal.c - what a malicious holder of the keys can put into a block
 *
 * The input is a payload.  It is encrypted and named correctly, so that the
 * parser behind the authentication is reached; whatever opens must be within
 * the cap.  The same bytes are also tried as a block and as a record.
 */
#include <assert.h>
#include <errno.h>
#include <sodium.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/record.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void open_block(struct slice block, const uint8_t *key)
{
	_cleanup_buf_ struct buf body;
	uint8_t digest[SEAL_DIGEST_SIZE];
	const size_t max = 1u << 20;
	int r;

	buf_init(&body, max);
	sha256_once(block, digest);
	r = seal_open(block, key, digest, max, &body);
	assert(r == 0 || body.n == 0);
	assert(body.n <= max);
	assert(r == 0 || r == -EBADMSG || r == -EPROTO || r == -EMSGSIZE ||
	       r == -ENOMEM);
}

static void open_record(struct slice s)
{
	static const struct record_kind kind = { "fuzz", 1 };
	static const uint8_t id[RECORD_DRIVE_ID], bytes[SECRET_SIZE];
	_cleanup_secret_ struct secret *key = NULL;
	_cleanup_buf_ struct buf body;

	buf_init(&body, 1u << 20);
	if (secret_new(bytes, &key) < 0)
		return;
	assert(record_open(key, &kind, id, s, &body) < 0);
	assert(body.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const uint8_t key[SEAL_KEY_SIZE], nonce[12];
	unsigned long long len;
	uint8_t *block;

	if (n > SEAL_BLOCK_MAX || secret_init_library() < 0)
		return 0;
	block = malloc(n + SEAL_TAG_SIZE);
	if (!block)
		return 0;
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(
		block, &len, p, n, NULL, 0, NULL, nonce, key); /* cannot fail */
	open_block(slice(block, (size_t)len), key);
	open_block(slice(p, n), key);
	open_record(slice(p, n));
	free(block);
	return 0;
}
