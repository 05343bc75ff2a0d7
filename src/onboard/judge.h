/*
 * judge.h - is this store still worth its place?
 *
 * Storage providers prove what they hold, or do not.  From what was seen of one
 * follows what is to be done; nothing else decides it.
 *
 *   nobody chosen yet                                    fine
 *   the data set is gone, or its service ends            replace
 *   more than one proof missing, for over a period       replace
 *   not reachable for `away_s` of asking                 replace
 *   a piece came back wrong, or not at all, over `wrong` times   replace
 *   any of these a little, or not paid by us             warn
 *
 * Who was not paid is not replaced for not proving or not answering: the next one
 * would not be paid either.
 *
 * Threading: any; pure.
 */
#ifndef ONBOARD_JUDGE_H
#define ONBOARD_JUDGE_H

#include <stdint.h>

#include "provider/provider.h"

#define JUDGE_TEXT_MAX 224 /* bytes with NUL */

struct judge_facts {
	struct provider_proof proof; /* the last answer to PROOF */
	uint64_t now_s;              /* seconds since 1970 */
	uint64_t away_s; /* for which it was asked again and again, in vain */
	uint32_t wrong;  /* times that a piece came back wrong, or not at all */
};

struct judge_rules {
	uint64_t away_s;
	uint32_t wrong;
};

enum judge_verdict {
	JUDGE_FINE = 1,
	JUDGE_WARN = 2,
	JUDGE_REPLACE = 3,
	JUDGE_NX
};

/* `why`: a sentence without an end, "" if it is fine. */
enum judge_verdict judge_store(const struct judge_facts *f,
			       const struct judge_rules *r,
			       char why[static JUDGE_TEXT_MAX]);

#endif
