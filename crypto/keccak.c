#include "crypto/keccak.h"

#define LANES  25
#define ROUNDS 24

static const uint64_t round_constant[ROUNDS] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a,
	0x8000000080008000, 0x000000000000808b, 0x0000000080000001,
	0x8000000080008081, 0x8000000000008009, 0x000000000000008a,
	0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
	0x8000000000008003, 0x8000000000008002, 0x8000000000000080,
	0x000000000000800a, 0x800000008000000a, 0x8000000080008081,
	0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

/* The walk of rho and pi: where each lane goes, and by how much it turns. */
static const uint8_t walk[LANES - 1][2] = {
	{ 10, 1 },  { 7, 3 },   { 11, 6 },  { 17, 10 }, { 18, 15 }, { 3, 21 },
	{ 5, 28 },  { 16, 36 }, { 8, 45 },  { 21, 55 }, { 24, 2 },  { 4, 14 },
	{ 15, 27 }, { 23, 41 }, { 19, 56 }, { 13, 8 },  { 12, 25 }, { 2, 43 },
	{ 20, 62 }, { 14, 18 }, { 22, 39 }, { 9, 61 },  { 6, 20 },  { 1, 44 },
};

/* By 1 to 63 bits. */
static uint64_t rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void theta(uint64_t a[static LANES])
{
	uint64_t parity[7]; /* the first and the last once more around them */

	for (int x = 0; x < 5; x++)
		parity[x + 1] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	parity[0] = parity[5];
	parity[6] = parity[1];
	for (int x = 0; x < 5; x++) {
		uint64_t d = parity[x] ^ rotate(parity[x + 2], 1);

		a[x] ^= d;
		a[x + 5] ^= d;
		a[x + 10] ^= d;
		a[x + 15] ^= d;
		a[x + 20] ^= d;
	}
}

static void rho_pi(uint64_t a[static LANES])
{
	uint64_t carried = a[1];

	for (int i = 0; i < LANES - 1; i++) {
		uint64_t next = a[walk[i][0]];

		a[walk[i][0]] = rotate(carried, walk[i][1]);
		carried = next;
	}
}

static void chi(uint64_t a[static LANES])
{
	for (int y = 0; y < LANES; y += 5) {
		uint64_t first = a[y], second = a[y + 1];

		a[y] ^= ~a[y + 1] & a[y + 2];
		a[y + 1] ^= ~a[y + 2] & a[y + 3];
		a[y + 2] ^= ~a[y + 3] & a[y + 4];
		a[y + 3] ^= ~a[y + 4] & first;
		a[y + 4] ^= ~first & second;
	}
}

static void permute(uint64_t a[static LANES])
{
	for (int i = 0; i < ROUNDS; i++) {
		theta(a);
		rho_pi(a);
		chi(a);
		a[0] ^= round_constant[i];
	}
}

static void absorb(struct keccak *k, uint8_t byte)
{
	k->lane[k->n / 8] ^= (uint64_t)byte << (8 * (k->n % 8));
	if (++k->n == KECCAK_RATE) {
		permute(k->lane);
		k->n = 0;
	}
}

void keccak_init(struct keccak *k)
{
	*k = (struct keccak){ { 0 }, 0 };
}

void keccak_update(struct keccak *k, struct slice s)
{
	size_t i = 0;

	while (i < s.n) {
		if (k->n || s.n - i < KECCAK_RATE) {
			absorb(k, s.p[i++]);
			continue;
		}
		for (size_t l = 0; l < KECCAK_RATE / 8; l++)
			k->lane[l] ^= get_le64(s.p + i + 8 * l);
		permute(k->lane);
		i += KECCAK_RATE;
	}
}

void keccak_final(struct keccak *k, uint8_t ret[static KECCAK_SIZE])
{
	k->lane[k->n / 8] ^= (uint64_t)0x01 << (8 * (k->n % 8));
	k->lane[KECCAK_RATE / 8 - 1] ^= (uint64_t)0x80 << 56;
	permute(k->lane);
	for (size_t i = 0; i < KECCAK_SIZE / 8; i++)
		put_le64(ret + 8 * i, k->lane[i]);
}

void keccak_once(struct slice s, uint8_t ret[static KECCAK_SIZE])
{
	struct keccak k;

	keccak_init(&k);
	keccak_update(&k, s);
	keccak_final(&k, ret);
}
