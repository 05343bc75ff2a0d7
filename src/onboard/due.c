#include "onboard/due.h"

#include "base/util.h"

bool due_for_room(const struct due_facts *f)
{
	bool wanted = f->wanted_ms && f->now_ms < f->wanted_ms + DUE_WANTED_MS;

	if (f->vain_ms && f->now_ms < f->vain_ms + DUE_VAIN_MS)
		return false;
	return f->room_bytes &&
	       f->dirty_bytes >= f->room_bytes / (wanted ? DUE_WANTED_PART : 2);
}

bool due_in_vain(uint64_t room_bytes, uint64_t sealed_bytes)
{
	return sealed_bytes < room_bytes / 128;
}

bool due_gives_way(const struct due_stand *s)
{
	return s->few_answer && s->now_ms >= s->moved_ms &&
	       s->now_ms - s->moved_ms >= DUE_QUIET_MS &&
	       s->kept_bytes >= MAX(s->free_bytes, DUE_KEPT_MIN);
}

bool due_now(const struct due_facts *f, const struct due_rules *r)
{
	/* what was dirty before the last commit is in that */
	uint64_t oldest = MAX(f->dirty_since_ms, f->taken_ms);

	if (oldest && f->now_ms >= oldest && f->now_ms - oldest >= r->max_age_ms)
		return true;
	if (f->dirty_bytes >= r->dirty_bytes || due_for_room(f))
		return true;
	if (f->cost_ms && f->now_ms < f->ended_ms + DUE_PAUSE * f->cost_ms)
		return false;
	return f->now_ms >= f->changed_ms && f->now_ms - f->changed_ms >= r->idle_ms;
}
