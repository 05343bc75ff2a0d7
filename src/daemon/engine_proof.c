#include "daemon/engine_proof.h"

#include "daemon/engine.h"
#include "onboard/watch.h"

static const char *const states[PROVIDER_PROOF_NX] = {
	[PROVIDER_PROOF_NONE] = "nothing to prove yet",
	[PROVIDER_PROOF_GOOD] = "proven",
	[PROVIDER_PROOF_LATE] = "late",
	[PROVIDER_PROOF_FAULTED] = "faulted",
	[PROVIDER_PROOF_ENDED] = "ended",
	[PROVIDER_PROOF_GONE] = "gone",
};

static int on_given(void *ctx, const struct watch_given *g)
{
	struct engine_store *s = ctx;
	struct engine_given *to;

	/* of many, the newest are shown */
	if (s->n_given == ENGINE_GIVEN_MAX)
		memmove(s->given, s->given + 1,
			(ENGINE_GIVEN_MAX - 1) * sizeof(s->given[0]));
	else
		s->n_given++;
	to = &s->given[s->n_given - 1];
	*to = (struct engine_given){ .provider = g->provider,
				     .set = g->set,
				     .time = g->time_s };
	text_copy(to->name, sizeof(to->name), g->name);
	text_copy(to->why, sizeof(to->why), g->why);
	return 0;
}

void engine_proof(struct ledger *l, uint64_t store, struct engine_store *ret)
{
	struct engine_proof *p = &ret->proof;
	struct watch w;

	if (watch_read(l, store, &w) == 0 && w.proof.state) {
		*p = (struct engine_proof){ .asked = w.asked_s,
					    .provider = w.proof.provider,
					    .set = w.proof.set,
					    .last = w.proof.last_s,
					    .deadline = w.proof.deadline_s };
		text_copy(p->state, sizeof(p->state), states[w.proof.state]);
		text_copy(p->name, sizeof(p->name), w.proof.name);
		text_copy(p->text, sizeof(p->text), w.proof.text);
		text_copy(p->warning, sizeof(p->warning), w.why);
		text_copy(p->refused, sizeof(p->refused), w.refused);
	}
	if (watch_given(l, store, on_given, ret) < 0)
		ret->n_given = 0; /* the ledger cannot be read: said elsewhere */
}
