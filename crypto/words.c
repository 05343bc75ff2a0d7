#include "crypto/words.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/words_english.h"

#define BITS_A_WORD    11
#define LETTERS_MAX    8
#define LETTERS_UNIQUE 4

_Static_assert(WORDS_N *BITS_A_WORD == SECRET_SIZE * 8 + 8,
	       "24 words are the entropy and 8 bits of checksum");

/* Entropy and checksum: 33 bytes. */
static void add_checksum(uint8_t bits[static SECRET_SIZE + 1])
{
	uint8_t digest[HASH_SIZE];

	sha256_once(slice(bits, SECRET_SIZE), digest);
	bits[SECRET_SIZE] = digest[0];
	sodium_memzero(digest, sizeof(digest));
}

void words_write(const struct secret *entropy, char ret[static WORDS_TEXT_MAX])
{
	uint8_t bits[SECRET_SIZE + 1];
	size_t n = 0;

	memcpy(bits, secret_bytes(entropy), SECRET_SIZE);
	add_checksum(bits);
	for (size_t i = 0; i < WORDS_N; i++) {
		size_t index = 0, len;

		for (size_t b = i * BITS_A_WORD; b < (i + 1) * BITS_A_WORD; b++)
			index = index << 1 | (bits[b / 8] >> (7 - b % 8) & 1u);
		len = strlen(words_english[index]);
		if (i)
			ret[n++] = ' ';
		memcpy(ret + n, words_english[index], len);
		n += len;
	}
	ret[n] = '\0';
	sodium_memzero(bits, sizeof(bits));
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == ',' || c == ';';
}

static bool is_numbering(uint8_t c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == ')' || c == ':';
}

/*
 * The next word of `*text` in lower case; its length, 0 at the end.  A word that
 * is too long keeps LETTERS_MAX + 1 letters, which match nothing.
 */
static size_t next_word(struct slice *text, char ret[static LETTERS_MAX + 2])
{
	size_t n = 0;

	while (text->n && (is_space(*text->p) || is_numbering(*text->p)))
		*text = slice(text->p + 1, text->n - 1);
	while (text->n && !is_space(*text->p)) {
		uint8_t c = *text->p;

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (c < 'a' || c > 'z')
			c = '?'; /* stands in no word; NUL would end one */
		if (n <= LETTERS_MAX)
			ret[n++] = (char)c;
		*text = slice(text->p + 1, text->n - 1);
	}
	ret[n] = '\0';
	return n;
}

/* The word's number, or -ENOENT. */
static int look_up(const char *word, size_t n)
{
	if (n > LETTERS_MAX)
		return -ENOENT;
	for (int i = 0; i < WORDS_LIST_N; i++) {
		const char *w = words_english[i];

		if (strncmp(w, word, n) == 0 && (!w[n] || n >= LETTERS_UNIQUE))
			return i;
	}
	return -ENOENT;
}

/* Fill `bits` (zeroed) with the numbers of 24 words. */
static int read_words(struct slice text, uint8_t bits[static SECRET_SIZE + 1],
		      struct err *reterr)
{
	char word[LETTERS_MAX + 2];
	unsigned i;
	size_t n;
	int r = 0;

	for (i = 0; (n = next_word(&text, word)) > 0; i++) {
		int index = look_up(word, n);

		if (index < 0) {
			r = err_set(reterr, -EINVAL,
				    "word %u is not one of the list: check its spelling",
				    i + 1);
			break;
		}
		if (i >= WORDS_N)
			continue;
		for (unsigned b = 0; b < BITS_A_WORD; b++) {
			size_t at = i * BITS_A_WORD + b;

			if (index >> (BITS_A_WORD - 1 - b) & 1)
				bits[at / 8] |= (uint8_t)(0x80 >> at % 8);
		}
	}
	sodium_memzero(word, sizeof(word));
	if (r < 0)
		return r;
	if (i != WORDS_N)
		return err_set(reterr, -EINVAL,
			       "%u recovery words are needed, found %u",
			       WORDS_N, i);
	return 0;
}

int words_parse(struct slice text, struct secret **ret, struct err *reterr)
{
	uint8_t bits[SECRET_SIZE + 1] = { 0 };
	uint8_t given;
	int r;

	if (text.n > WORDS_INPUT_MAX)
		return err_set(reterr, -EINVAL,
			       "these are more than %u recovery words", WORDS_N);
	r = read_words(text, bits, reterr);
	if (r == 0) {
		given = bits[SECRET_SIZE];
		add_checksum(bits);
		if (given != bits[SECRET_SIZE])
			r = err_set(reterr, -EINVAL,
				    "the words do not fit together: one is wrong, or two are swapped");
	}
	if (r == 0)
		r = secret_new(bits, ret);
	sodium_memzero(bits, sizeof(bits));
	return r;
}
