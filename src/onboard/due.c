#include "onboard/due.h"

#include "base/util.h"

bool due_now(const struct due_facts *f, const struct due_rules *r)
{
	/* what was dirty before the last commit is in that */
	uint64_t oldest = MAX(f->dirty_since_ms, f->taken_ms);

	if (oldest && f->now_ms >= oldest && f->now_ms - oldest >= r->max_age_ms)
		return true;
	if (f->dirty_bytes >= r->dirty_bytes)
		return true;
	if (f->cost_ms && f->now_ms < f->ended_ms + DUE_PAUSE * f->cost_ms)
		return false;
	return f->now_ms >= f->changed_ms && f->now_ms - f->changed_ms >= r->idle_ms;
}
