/*
 * rank.h - how fast a store is, and which of several is asked first
 *
 * A store is two moving averages, learned from what it answers: how long an answer
 * takes that is small (latency), and how many bytes a second come from it with all
 * that is under way together (rate).  What a range will take is
 *
 *     latency + (bytes asked for before + its own) / rate
 *
 * and the store for which this is least is asked.  So two stores that are equally
 * good share the load, and a fast one that is busy gives way to a slower one.
 *
 * A store that is not heard of is believed to be better from minute to minute, until
 * it is asked again: a slow one is not slow for ever.  One that failed is asked last
 * for some seconds, one that gave wrong bytes for ten minutes.
 *
 * Threading: values; the caller has a lock.  Times are microseconds of a monotonic
 * clock that never says 0.
 */
#ifndef RETRIEVE_RANK_H
#define RETRIEVE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANK_SAMPLES 64 /* answers of which the slowest are known */

struct rank {
	uint64_t latency_us;        /* 0: not known */
	uint64_t rate;              /* bytes a second; 0: not known */
	uint64_t heard_us;          /* the last answer */
	unsigned failures;          /* in a row */
	uint64_t failed_us;         /* the last of them */
	uint64_t wrong_us;          /* last wrong bytes; 0: never */
	uint64_t queued_bytes;      /* wanted, and not asked for yet */
	uint64_t flight_bytes;      /* asked for, and not come yet */
	uint64_t total_bytes;       /* that ever came */
	uint8_t late[RANK_SAMPLES]; /* time taken ÷ expected, in sixteenths */
	unsigned n_late;
};

/* One range that is under way. */
struct rank_mark {
	uint64_t began_us, expect_us, n;
	uint64_t flight_bytes, total_bytes; /* of the store, when it began */
};

/* n bytes wait for their turn at the store; or do not any more. */
void rank_queue(struct rank *k, uint64_t n);
void rank_unqueue(struct rank *k, uint64_t n);

/* Of those n bytes are asked for now. */
void rank_begin(struct rank *k, uint64_t now, uint64_t n, struct rank_mark *ret);

/*
 * It is over.  `status` 0 and what came, or an error; -ENOENT is an answer, too, and
 * -ECANCELED says at least how long there was none.
 */
void rank_end(struct rank *k, const struct rank_mark *m, uint64_t now,
	      int status, uint64_t got);

/* It gave bytes that did not verify. */
void rank_wrong(struct rank *k, uint64_t now);

/* Until n more bytes are here, microseconds; 0: it was never heard of. */
uint64_t rank_expect_us(const struct rank *k, uint64_t now, uint64_t n);

/* Which of two is asked first for n bytes: < 0: a. */
int rank_cmp(const struct rank *a, const struct rank *b, uint64_t now, uint64_t n);

/* Did it fail or lie lately? */
bool rank_is_bad(const struct rank *k, uint64_t now);

/*
 * After how long a range of n bytes is late, and another store is worth a second
 * request: the slowest twentieth of its own answers (while there are few, three
 * times what is expected), never under RANK_LATE_MIN_US.
 */
#define RANK_LATE_MIN_US 25000
#define RANK_LATE_MAX_US 5000000
uint64_t rank_late_us(const struct rank *k, uint64_t now, uint64_t n);

/*
 * How many bytes are worth reading for nothing to save a request, and how many are
 * asked for at once: a quarter and four times what comes in one latency, in bounds.
 */
#define RANK_GAP_MIN   (16u << 10)
#define RANK_GAP_MAX   (512u << 10)
#define RANK_RANGE_MIN (1u << 20)
#define RANK_RANGE_MAX (4u << 20)
uint64_t rank_gap(const struct rank *k);
uint64_t rank_range(const struct rank *k);

#endif
