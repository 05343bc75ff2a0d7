#include "crypto/piece_cid.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/commp.h"

static const uint8_t prefix_v1[] = { 0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20 };
static const uint8_t prefix_v2[] = { 0x01, 0x55, 0x91, 0x20 };
static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void piece_cid_v1(const struct commp_sum *sum, struct piece_cid *ret)
{
	struct piece_cid c = { .n = sizeof(prefix_v1) + COMMP_SIZE };

	memcpy(c.bytes, prefix_v1, sizeof(prefix_v1));
	memcpy(c.bytes + sizeof(prefix_v1), sum->root, COMMP_SIZE);
	*ret = c;
}

void piece_cid_v2(const struct commp_sum *sum, struct piece_cid *ret)
{
	struct piece_cid c = { .n = sizeof(prefix_v2) + 1 };
	uint64_t v = sum->padding;

	memcpy(c.bytes, prefix_v2, sizeof(prefix_v2));
	for (; v >= 0x80; v >>= 7)
		c.bytes[c.n++] = (uint8_t)(v | 0x80);
	c.bytes[c.n++] = (uint8_t)v;
	c.bytes[c.n++] = sum->height;
	memcpy(c.bytes + c.n, sum->root, COMMP_SIZE);
	c.n += COMMP_SIZE;
	c.bytes[sizeof(prefix_v2)] = (uint8_t)(c.n - sizeof(prefix_v2) - 1);
	*ret = c;
}

int piece_cid_parse(struct slice bytes, struct commp_sum *ret)
{
	struct cursor c = cursor(bytes);
	struct commp_sum sum = { .raw_size = 0 };
	struct slice prefix = cursor_take(&c, sizeof(prefix_v2));
	size_t n = cursor_u8(&c);
	uint64_t room;

	if (!slice_eq(prefix, slice(prefix_v2, sizeof(prefix_v2))))
		cursor_fail(&c, -EPROTO);
	if (n != c.n)
		cursor_fail(&c, -EPROTO);
	sum.padding = cursor_varint(&c);
	sum.height = cursor_u8(&c);
	cursor_copy(&c, sum.root, COMMP_SIZE);
	if (cursor_done(&c) < 0 || sum.height < COMMP_HEIGHT_MIN ||
	    sum.height > COMMP_HEIGHT_MAX || sum.root[COMMP_SIZE - 1] & 0xc0)
		return -EPROTO;
	room = 127ull << (sum.height - COMMP_HEIGHT_MIN);
	if (sum.padding > room)
		return -EPROTO;
	sum.raw_size = room - sum.padding;
	*ret = sum;
	return 0;
}

void piece_cid_text(const struct piece_cid *c, char ret[static PIECE_CID_TEXT_MAX])
{
	uint32_t bits = 0;
	unsigned n_bits = 0;
	char *o = ret;

	*o++ = 'b';
	for (size_t i = 0; i < c->n; i++) {
		bits = bits << 8 | c->bytes[i];
		n_bits += 8;
		while (n_bits >= 5) {
			n_bits -= 5;
			*o++ = alphabet[bits >> n_bits & 31];
		}
	}
	if (n_bits)
		*o++ = alphabet[bits << (5 - n_bits) & 31];
	*o = '\0';
}

static int digit(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= '2' && c <= '7')
		return c - '2' + 26;
	return -EPROTO;
}

int piece_cid_from_text(struct slice text, struct piece_cid *ret)
{
	struct piece_cid c = { .n = 0 };
	struct commp_sum sum;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	if (text.n < 2 || text.n >= PIECE_CID_TEXT_MAX || text.p[0] != 'b')
		return -EPROTO;
	for (size_t i = 1; i < text.n; i++) {
		int v = digit(text.p[i]);

		if (v < 0)
			return v;
		bits = bits << 5 | (uint32_t)v;
		n_bits += 5;
		if (n_bits >= 8) {
			n_bits -= 8;
			if (c.n == PIECE_CID_MAX)
				return -EPROTO;
			c.bytes[c.n++] = (uint8_t)(bits >> n_bits);
		}
	}
	/* Less than a digit is left over, and it is zero: one text for one CID. */
	if (n_bits >= 5 || bits & ((1u << n_bits) - 1))
		return -EPROTO;
	if (piece_cid_parse(piece_cid_slice(&c), &sum) < 0)
		return -EPROTO;
	*ret = c;
	return 0;
}
