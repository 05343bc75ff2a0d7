#include "dag/piece.h"

#include <errno.h>

#include "base/cursor.h"
#include "crypto/hash.h"
#include "dag/field.h"

/* clang-format off */
const uint8_t piece_header[PIECE_HEADER_SIZE] = {
	0x23,                                           /* 35 bytes follow */
	0xa2,                                           /* map of 2 */
	0x65, 'r', 'o', 'o', 't', 's',
	0x81,                                           /* list of 1 */
	0xd8, 0x2a,                                     /* tag 42: a CID */
	0x4f, 0x00,                                     /* 15 bytes, multibase 0 */
	0x01, 0x55, 0x00, 0x0a,                         /* v1 raw identity, 10 */
	'f', 'i', 'l', 'd', 'r', 'i', 'v', 'e', '/', '1',
	0x67, 'v', 'e', 'r', 's', 'i', 'o', 'n', 0x01,
};
/* clang-format on */

static const uint8_t cid_head[] = { 0x01, 0x55, 0x12, 0x20 };

uint64_t piece_section_size(uint64_t n)
{
	n += PIECE_CID_SIZE;
	return field_varint_size(n) + n;
}

size_t piece_section_head(const uint8_t digest[static PIECE_DIGEST_SIZE],
			  size_t n, uint8_t ret[static PIECE_HEAD_MAX])
{
	uint64_t v = n + PIECE_CID_SIZE;
	size_t i = 0;

	for (; v >= 0x80; v >>= 7)
		ret[i++] = (uint8_t)(v | 0x80);
	ret[i++] = (uint8_t)v;
	memcpy(ret + i, cid_head, sizeof(cid_head));
	memcpy(ret + i + sizeof(cid_head), digest, PIECE_DIGEST_SIZE);
	return i + PIECE_CID_SIZE;
}

int piece_section_parse(struct slice section,
			uint8_t ret_digest[static PIECE_DIGEST_SIZE],
			struct slice *ret_block)
{
	struct cursor c = cursor(section);
	uint64_t n = cursor_varint(&c);
	struct slice head, digest;

	if (n > PIECE_BLOCK_MAX + PIECE_CID_SIZE)
		cursor_fail(&c, -EMSGSIZE);
	if (n != c.n)
		cursor_fail(&c, -EPROTO);
	head = cursor_take(&c, sizeof(cid_head));
	digest = cursor_take(&c, PIECE_DIGEST_SIZE);
	if (cursor_ok(&c) < 0)
		return cursor_ok(&c);
	if (!slice_eq(head, slice(cid_head, sizeof(cid_head))))
		return -EPROTO;
	memcpy(ret_digest, digest.p, PIECE_DIGEST_SIZE);
	*ret_block = slice(c.p, c.n);
	return 0;
}

int piece_section_verify(struct slice section, const uint8_t *digest,
			 struct slice *ret_block)
{
	uint8_t claimed[PIECE_DIGEST_SIZE], is[HASH_SIZE];
	struct slice block = SLICE_NONE;
	int r;

	r = piece_section_parse(section, claimed, &block);
	if (r < 0)
		return r;
	sha256_once(block, is);
	if (memcmp(is, claimed, sizeof(is)) != 0 ||
	    (digest && memcmp(is, digest, sizeof(is)) != 0))
		return -EBADMSG;
	*ret_block = block;
	return 0;
}
