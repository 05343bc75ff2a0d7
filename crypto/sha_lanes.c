#include "crypto/sha_lanes.h"

#include <stdbool.h>

#include "crypto/shani.h"

#if defined(__x86_64__)

# include <cpuid.h>

# define BLOCK ((size_t)64)

/* One message under way: its whole blocks, then the one or two of its end. */
struct lane {
	struct shani state;
	const uint8_t *p;
	size_t n_blocks;
	size_t n_end; /* blocks at `end` that come behind these */
	size_t message;
	bool busy;
	uint8_t end[2 * BLOCK];
};

SHANI static void lane_begin(struct lane *l, size_t message, struct slice s)
{
	size_t rest = s.n % BLOCK;
	uint64_t bits = (uint64_t)s.n * 8;

	l->state = shani_start();
	l->message = message;
	l->busy = true;
	l->p = s.p;
	l->n_blocks = s.n / BLOCK;
	l->n_end = rest < BLOCK - 8 ? 1 : 2;
	memset(l->end, 0, sizeof(l->end));
	if (rest)
		memcpy(l->end, s.p + s.n - rest, rest);
	l->end[rest] = 0x80;
	for (size_t i = 0; i < 8; i++)
		l->end[l->n_end * BLOCK - 1 - i] = (uint8_t)(bits >> 8 * i);
}

/* The next blocks of a busy lane; false: there are none, it is over. */
static bool lane_has_blocks(struct lane *l)
{
	if (!l->n_blocks) {
		l->p = l->end;
		l->n_blocks = l->n_end;
		l->n_end = 0;
	}
	return l->n_blocks > 0;
}

/* n blocks of each. */
SHANI static void run(struct lane lanes[static SHANI_LANES], size_t n)
{
	struct shani a = lanes[0].state, b = lanes[1].state;
	const uint8_t *pa = lanes[0].p, *pb = lanes[1].p;

	for (size_t i = 0; i < n; i++)
		shani_two(&a, &b, pa + BLOCK * i, pb + BLOCK * i);
	lanes[0].state = a;
	lanes[1].state = b;
	for (size_t j = 0; j < SHANI_LANES; j++) {
		lanes[j].p += BLOCK * n;
		lanes[j].n_blocks -= n;
	}
}

SHANI static void shani(const struct slice *v, size_t n,
			uint8_t (*ret)[SHA_LANES_DIGEST])
{
	struct lane lanes[SHANI_LANES];
	size_t next = 0;

	for (size_t j = 0; j < SHANI_LANES; j++)
		lanes[j].busy = false;
	for (;;) {
		struct lane *busy = NULL;
		size_t n_blocks = SIZE_MAX;

		for (size_t j = 0; j < SHANI_LANES; j++) {
			struct lane *l = &lanes[j];

			if (l->busy && !lane_has_blocks(l)) {
				shani_store(ret[l->message], l->state);
				l->busy = false;
			}
			if (!l->busy && next < n) {
				lane_begin(l, next, v[next]);
				next++;
				(void)lane_has_blocks(l); /* it has an end */
			}
			if (!l->busy)
				continue;
			n_blocks = MIN(n_blocks, l->n_blocks);
			busy = l;
		}
		if (!busy)
			return;
		/* Lanes without a message do what another does; both say the same. */
		for (size_t j = 0; j < SHANI_LANES; j++)
			if (!lanes[j].busy)
				lanes[j] = *busy;
		run(lanes, n_blocks);
	}
}

bool shani_here(void)
{
	const unsigned need = 1u << 19 | 1u << 9; /* SSE4.1, SSSE3 */
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & need) == need &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

sha_lanes_fn sha_lanes_shani(void)
{
	return shani_here() ? shani : NULL;
}

#else

sha_lanes_fn sha_lanes_shani(void)
{
	return NULL;
}

#endif
