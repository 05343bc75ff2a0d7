#include "crypto/selftest.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/commp.h"
#include "crypto/hash_many.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

/* The answers are those of other implementations: see tests/vectors/. */

/* Byte i is i mod 251. */
static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i % 251);
}

static bool is(const uint8_t got[static HASH_SIZE], const char *want)
{
	char hex[2 * HASH_SIZE + 1];

	(void)sodium_bin2hex(hex, sizeof(hex), got, HASH_SIZE); /* it fits */
	return strcmp(hex, want) == 0;
}

static int secret_of(uint8_t byte, struct secret **ret)
{
	uint8_t bytes[SECRET_SIZE];

	memset(bytes, byte, sizeof(bytes));
	return secret_new(bytes, ret);
}

/* One alone, and several beside each other. */
static int test_sha256(void)
{
	const struct slice v[] = { slice_str("abc"), slice_str("abc"),
				   slice_str("abc") };
	uint8_t d[1 + ARRAY_LEN(v)][HASH_SIZE];

	sha256_once(v[0], d[0]);
	sha256_many(v, ARRAY_LEN(v), d + 1);
	for (size_t i = 0; i < ARRAY_LEN(d); i++)
		if (!is(d[i], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
			return -EIO;
	return 0;
}

/* A short message and a long one: two libraries; and both beside each other. */
static int test_blake2b(void)
{
	static const struct {
		size_t n;
		const char *want;
	} v[] = {
		{ 100, "b3f2c7e48535aafd4c707923bdb0993e134507f7d80c40365db5d339a09905cd" },
		{ 5000, "8fbb8975f4d9f014119265816ad065fe86740ac86f9d630345a2cabb18531816" },
	};
	_cleanup_secret_ struct secret *key = NULL;
	uint8_t p[5000], d[HASH_SIZE], both[2][HASH_SIZE];
	struct slice parts[ARRAY_LEN(v)];
	int r;

	_Static_assert(ARRAY_LEN(both) == ARRAY_LEN(v), "one for each");
	r = secret_of(0x5e, &key);
	if (r < 0)
		return r;
	fill(p, sizeof(p));
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		parts[i] = slice(p, v[i].n);
		r = hash_keyed(key, &parts[i], 1, d);
		if (r < 0)
			return r;
		if (!is(d, v[i].want))
			return -EIO;
	}
	r = hash_keyed_many(key, parts, ARRAY_LEN(v), both);
	for (size_t i = 0; i < ARRAY_LEN(v) && r == 0; i++)
		r = is(both[i], v[i].want) ? 0 : -EIO;
	return r;
}

static int test_seal(void)
{
	_cleanup_secret_ struct secret *convergence = NULL;
	_cleanup_buf_ struct buf block = { 0 }, body = { 0 };
	uint8_t p[8], key[SEAL_KEY_SIZE], digest[SEAL_DIGEST_SIZE];
	int r;

	buf_init(&block, SEAL_BLOCK_MAX);
	buf_init(&body, sizeof(p));
	r = secret_of(0xff, &convergence);
	if (r < 0)
		return r;
	fill(p, sizeof(p));
	r = seal_block(convergence, SEAL_STORED, slice(p, sizeof(p)), &block,
		       key, digest);
	if (r < 0)
		return r;
	if (!is(key, "421c5d25c8ff1044d05196bd016738caa5eb43e46ba199267712f407ed451af8") ||
	    !is(digest,
		"ea56ce0ed704d6434cefaece4e15acf990e74de0cc525c3cd6a20b334a600ecf"))
		return -EIO;
	r = seal_open(buf_slice(&block), key, digest, sizeof(p), &body);
	if (r < 0)
		return r;
	if (!slice_eq(buf_slice(&body), slice(p, sizeof(p))))
		return -EIO;

	/* What was changed must not open, whatever its digest. */
	block.p[20] ^= 1;
	sha256_once(buf_slice(&block), digest);
	buf_reset(&body);
	r = seal_open(buf_slice(&block), key, digest, sizeof(p), &body);
	return r == -EBADMSG ? 0 : -EIO;
}

/* draft-irtf-cfrg-xchacha-03, A.3.1: "Ladies and Gentlemen of the class..." */
static int test_aead(void)
{
	static const char text[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
	static const uint8_t ad[] = { 0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1,
				      0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7 };
	static const char sealed_hex[] =
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
		"2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		"21f9664c97637da9768812f615c68b13b52e";
	static const char mark_hex[] = "404142434445464748494a4b4c4d4e4f5051525354555657"
				       "c0875924c1c7987947deafd8780acf49";
	_cleanup_secret_ struct secret *key = NULL;
	uint8_t bytes[SECRET_SIZE], sealed[sizeof(text)], mark[AEAD_MARK_SIZE];
	size_t n = 0, n_mark = 0;
	struct slice s;
	int r;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(0x80 + i);
	r = secret_new(bytes, &key);
	if (r < 0)
		return r;
	if (sodium_hex2bin(sealed, sizeof(sealed), sealed_hex,
			   strlen(sealed_hex), NULL, &n, NULL) != 0 ||
	    sodium_hex2bin(mark, sizeof(mark), mark_hex, strlen(mark_hex), NULL,
			   &n_mark, NULL) != 0)
		return -EIO;
	s = slice(sealed, n);
	r = aead_open(key, slice(ad, sizeof(ad)), s, mark, sealed);
	if (r < 0 || !slice_eq(s, slice_str(text)))
		return -EIO;
	aead_seal(key, slice_str("ad"), s, sealed, mark);
	if (slice_eq(s, slice_str(text)))
		return -EIO;
	return aead_open(key, slice_str("da"), s, mark, sealed) == -EBADMSG ?
		       0 :
		       -EIO;
}

static int test_commp(void)
{
	_cleanup_commp_ struct commp *c = NULL;
	uint8_t p[1000];
	struct commp_sum sum;
	int r;

	r = commp_new(&c);
	if (r < 0)
		return r;
	fill(p, sizeof(p));
	commp_update(c, slice(p, sizeof(p)));
	commp_final(c, &sum);
	return is(sum.root,
		  "95580a65d1dc378fe5ec2574128fe18059c8c94674cc0a84226d4d1588d61d37") ?
		       0 :
		       -EIO;
}

int crypto_selftest(struct err *reterr)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} tests[] = {
		{ "SHA-256", test_sha256 },
		{ "BLAKE2b", test_blake2b },
		{ "ChaCha20-Poly1305", test_seal },
		{ "XChaCha20-Poly1305", test_aead },
		{ "the piece commitment", test_commp },
	};
	int r;

	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		r = tests[i].run();
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			return err_set(reterr, -EIO,
				       "%s gives wrong answers on this machine: nothing was touched",
				       tests[i].name);
	}
	return 0;
}
