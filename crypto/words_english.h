/*
 * words_english.h - the English list of BIP-39 (internal to words.c and tests)
 *
 * Sorted, lower case, 3 to 8 letters, and no two share their first four.
 * SHA-256 of the words with a line feed behind each:
 * 2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda
 */
#ifndef CRYPTO_WORDS_ENGLISH_H
#define CRYPTO_WORDS_ENGLISH_H

#include "crypto/words.h"

extern const char words_english[WORDS_LIST_N][9];

#endif
