/*
 * words.h - 24 recovery words for 256 bits (BIP-39, English list)
 *
 * 256 bits and the first 8 bits of their SHA-256 are cut into 24 numbers of 11
 * bits, most significant first; each is a word of the list.
 * Spec: https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki
 * Vectors: tests/vectors/bip39/.
 *
 * The words are as secret as the entropy.  The caller wipes the text that it
 * gave or got, shows it to a person only, and never logs it.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_WORDS_H
#define CRYPTO_WORDS_H

#include "base/slice.h"
#include "base/util.h"

struct err;
struct secret;

#define WORDS_N      24u
#define WORDS_LIST_N 2048
#define WORDS_TEXT_MAX \
 (WORDS_N * 9u)              /* words of up to 8 letters, a space, NUL */
#define WORDS_INPUT_MAX 4096 /* bytes that words_parse() looks at */

/* 24 words with one space between them, NUL-terminated. */
void words_write(const struct secret *entropy, char ret[static WORDS_TEXT_MAX]);

/*
 * What a person typed: any case, any white space or line breaks between the
 * words, list numbers such as "3." or "3)" before them; four letters are enough
 * where a word has them (they are unique in the list).
 *
 * -EINVAL with the position, never the word, in `reterr`: not a word of the
 *         list, not 24 of them, or the checksum is wrong
 * -ENOMEM
 */
must_check int words_parse(struct slice text, struct secret **ret,
			   struct err *reterr);

#endif
