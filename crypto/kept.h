/*
 * kept.h - what a thread keeps between two calls into crypto/ (internal)
 *
 * Contexts of libcrypto and libzstd that cost more to make than to use, and the
 * bytes into which blocks are opened.  Each thread makes its own on first use;
 * they go when it ends.  No key is ever left in one of them.
 */
#ifndef CRYPTO_KEPT_H
#define CRYPTO_KEPT_H

#include "base/util.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;
struct evp_cipher_st;
struct evp_mac_st;
struct evp_md_ctx_st;

/* Each is NULL if there is no memory for it. */
struct evp_md_ctx_st *kept_sha256(void); /* initialised for SHA-256 */
struct ZSTD_CCtx_s *kept_zstd_c(void);
struct ZSTD_DCtx_s *kept_zstd_d(void);
uint8_t *kept_scratch(void); /* KEPT_SCRATCH_SIZE bytes */

#define KEPT_SCRATCH_SIZE (2u << 20)

/* Algorithms that are looked up once a process; NULL if libcrypto lacks them. */
const struct evp_cipher_st *kept_chacha20_poly1305(void);
struct evp_mac_st *kept_blake2b_mac(void);

#endif
