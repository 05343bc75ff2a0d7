#include "onboard/judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define DAY_S  86400u /* a period, if the provider does not say */
#define HOUR_S 3600u

static enum judge_verdict say(enum judge_verdict v, char *why, const char *fmt,
			      ...) printf_like(3, 4);

static enum judge_verdict say(enum judge_verdict v, char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, JUDGE_TEXT_MAX, fmt, ap); /* cut is fine */
	va_end(ap);
	return v;
}

/* Proofs that did not come. */
static enum judge_verdict of_proofs(const struct judge_facts *f, char *why)
{
	const struct provider_proof *p = &f->proof;
	uint64_t period = p->period_s ? p->period_s : DAY_S;
	/* a clock that was set back accuses nobody */
	uint64_t late = p->missing_s && f->now_s > p->missing_s ?
				f->now_s - p->missing_s :
				0;
	bool faulted = p->state == PROVIDER_PROOF_FAULTED;

	if (!faulted && p->state != PROVIDER_PROOF_LATE)
		return JUDGE_FINE;
	if (p->unpaid)
		return say(JUDGE_WARN, why,
			   "%s proves nothing since it has not been paid", p->name);
	if (faulted && late > period)
		return say(JUDGE_REPLACE, why,
			   "%s has not proven data set %" PRIu64 " for %" PRIu64
			   " h",
			   p->name, p->set, (late + period) / HOUR_S);
	return say(JUDGE_WARN, why, "%s is late with the proof of data set %" PRIu64,
		   p->name, p->set);
}

static enum judge_verdict of_wrong(const struct judge_facts *f,
				   enum judge_verdict v, char *why)
{
	if (f->wrong == 1)
		return say(v, why, "%s gave a piece back wrong, or not at all",
			   f->proof.name);
	return say(v, why,
		   "%s gave pieces back wrong, or not at all, %" PRIu32 " times",
		   f->proof.name, f->wrong);
}

enum judge_verdict judge_store(const struct judge_facts *f,
			       const struct judge_rules *r,
			       char why[static JUDGE_TEXT_MAX])
{
	const struct provider_proof *p = &f->proof;
	enum judge_verdict v;

	why[0] = '\0';
	if (!p->provider && !p->set)
		return JUDGE_FINE;
	if (p->state == PROVIDER_PROOF_GONE)
		return say(JUDGE_REPLACE, why,
			   "data set %" PRIu64 " at %s is gone", p->set, p->name);
	if (p->state == PROVIDER_PROOF_ENDED)
		return say(JUDGE_REPLACE, why,
			   "the service of data set %" PRIu64 " at %s has ended",
			   p->set, p->name);
	if (f->wrong > r->wrong)
		return of_wrong(f, JUDGE_REPLACE, why);
	if (f->away_s >= r->away_s && !p->unpaid)
		return say(JUDGE_REPLACE, why,
			   "%s has not been reachable for %" PRIu64 " h",
			   p->name, f->away_s / HOUR_S);
	v = of_proofs(f, why);
	return v != JUDGE_FINE || !f->wrong ? v : of_wrong(f, JUDGE_WARN, why);
}
