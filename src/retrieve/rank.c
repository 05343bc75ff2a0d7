#include "retrieve/rank.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define SMALL_BYTES    (64u << 10)  /* an answer that shows the latency */
#define LARGE_BYTES    (256u << 10) /* one that shows the rate */
#define FADE_US        60000000ull  /* unheard of: half as slow each minute */
#define FADE_MAX       10
#define FAIL_FIRST_US  10000000ull /* asked last after a failure; doubles */
#define FAIL_SHIFT_MAX 5
#define WRONG_US       600000000ull
#define LATE_UNIT      16
#define LATE_FEW       8 /* answers before their spread says something */
#define LATE_DEFAULT   (3 * LATE_UNIT)
#define LATE_LEAST     (3 * LATE_UNIT / 2)
#define LATE_MOST      (4 * LATE_UNIT)
#define UNKNOWN_US     1000000ull
#define GAP_DEFAULT    (64u << 10)

static uint64_t average(uint64_t old, uint64_t now)
{
	return MAX(old ? (old * 3 + now) / 4 : now, 1);
}

static uint64_t transfer_us(const struct rank *k, uint64_t n)
{
	return k->rate ? n * 1000000 / k->rate : 0;
}

void rank_queue(struct rank *k, uint64_t n)
{
	k->queued_bytes += n;
}

void rank_unqueue(struct rank *k, uint64_t n)
{
	k->queued_bytes -= MIN(n, k->queued_bytes);
}

void rank_begin(struct rank *k, uint64_t now, uint64_t n, struct rank_mark *ret)
{
	rank_unqueue(k, n);
	*ret = (struct rank_mark){ .began_us = now,
				   .expect_us = k->latency_us +
						transfer_us(k, k->flight_bytes + n),
				   .n = n,
				   .flight_bytes = k->flight_bytes,
				   .total_bytes = k->total_bytes };
	k->flight_bytes += n;
}

static void note_late(struct rank *k, const struct rank_mark *m, uint64_t took)
{
	uint64_t ratio;

	if (!m->expect_us)
		return;
	ratio = took * LATE_UNIT / m->expect_us;
	k->late[k->n_late++ % RANK_SAMPLES] = (uint8_t)MIN(ratio, UINT8_MAX);
	if (k->n_late == 2 * RANK_SAMPLES) /* a full ring stays one */
		k->n_late = RANK_SAMPLES;
}

static void note_speed(struct rank *k, const struct rank_mark *m, uint64_t took,
		       uint64_t got)
{
	uint64_t all, moving;

	/* Behind much else a small answer shows the link, not the latency. */
	if (got <= SMALL_BYTES && m->flight_bytes <= LARGE_BYTES)
		k->latency_us = average(k->latency_us, took);
	else if (!k->latency_us || took < k->latency_us)
		k->latency_us = MAX(took / (k->latency_us ? 1 : 2), 1);
	if (got < LARGE_BYTES)
		return;
	/* All that came from the store meanwhile came over the same link. */
	all = MAX(k->total_bytes - m->total_bytes, got);
	moving = took > k->latency_us + took / 8 ? took - k->latency_us : took / 8;
	k->rate = average(k->rate, all * 1000000 / MAX(moving, 1));
}

void rank_end(struct rank *k, const struct rank_mark *m, uint64_t now,
	      int status, uint64_t got)
{
	uint64_t took = now > m->began_us ? now - m->began_us : 1;

	k->flight_bytes -= MIN(m->n, k->flight_bytes);
	if (status == -ECANCELED) {
		/* It lost a race: it is at least as slow as that. */
		if (m->expect_us && took > m->expect_us) {
			k->latency_us += (took - m->expect_us) / 4;
			k->heard_us = now;
		}
		return;
	}
	if (status < 0 && status != -ENOENT) {
		k->failures++;
		k->failed_us = now;
		return;
	}
	k->failures = 0;
	k->total_bytes += got;
	note_late(k, m, took);
	note_speed(k, m, took, got);
	k->heard_us = now;
}

void rank_wrong(struct rank *k, uint64_t now)
{
	k->failures++;
	k->failed_us = now;
	k->wrong_us = now;
}

uint64_t rank_expect_us(const struct rank *k, uint64_t now, uint64_t n)
{
	uint64_t idle = now > k->heard_us ? (now - k->heard_us) / FADE_US : 0;

	uint64_t n_before = k->queued_bytes + k->flight_bytes;

	return (k->latency_us + transfer_us(k, n_before + n)) >>
	       MIN(idle, FADE_MAX);
}

/* 0: nothing to say against it, 1: it failed lately, 2: it lied lately. */
static unsigned badness(const struct rank *k, uint64_t now)
{
	unsigned shift = MIN(k->failures ? k->failures - 1 : 0, FAIL_SHIFT_MAX);

	if (k->wrong_us && now - k->wrong_us < WRONG_US)
		return 2;
	return k->failures && now - k->failed_us < FAIL_FIRST_US << shift;
}

bool rank_is_bad(const struct rank *k, uint64_t now)
{
	return badness(k, now) > 0;
}

int rank_cmp(const struct rank *a, const struct rank *b, uint64_t now, uint64_t n)
{
	unsigned x = badness(a, now), y = badness(b, now);
	uint64_t t = rank_expect_us(a, now, n), u = rank_expect_us(b, now, n);

	if (x != y)
		return x < y ? -1 : 1;
	if (x && a->failures != b->failures)
		return a->failures < b->failures ? -1 : 1;
	return t < u ? -1 : t > u;
}

uint64_t rank_late_us(const struct rank *k, uint64_t now, uint64_t n)
{
	unsigned have = MIN(k->n_late, RANK_SAMPLES), above = 0, at;
	uint64_t expect = rank_expect_us(k, now, n);
	unsigned count[UINT8_MAX + 1] = { 0 };

	if (!expect)
		return UNKNOWN_US;
	at = LATE_DEFAULT;
	if (have >= LATE_FEW) {
		for (unsigned i = 0; i < have; i++)
			count[k->late[i]]++;
		for (at = UINT8_MAX; at > 0; at--) {
			above += count[at];
			if (above * 20 > have)
				break;
		}
		at = MIN(MAX(at + 1, LATE_LEAST), LATE_MOST);
	}
	return MIN(MAX(expect * at / LATE_UNIT, RANK_LATE_MIN_US), RANK_LATE_MAX_US);
}

static uint64_t in_one_latency(const struct rank *k)
{
	return MIN(k->latency_us, 10000000) * MIN(k->rate, 1ull << 33) / 1000000;
}

uint64_t rank_gap(const struct rank *k)
{
	if (!k->latency_us || !k->rate)
		return GAP_DEFAULT;
	return MIN(MAX(in_one_latency(k) / 4, RANK_GAP_MIN), RANK_GAP_MAX);
}

uint64_t rank_range(const struct rank *k)
{
	if (!k->latency_us || !k->rate)
		return RANK_RANGE_MAX;
	return MIN(MAX(in_one_latency(k) * 4, RANK_RANGE_MIN), RANK_RANGE_MAX);
}
