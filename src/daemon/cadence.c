#include "daemon/cadence.h"

#include "chain/money.h"
#include "daemon/config.h"
#include "daemon/paystore.h"

#define FREE_IDLE_MS 30000
#define FREE_AGE_MS  600000

void cadence_of(const struct config *c, const struct view_price_list *prices,
		struct cadence *ret)
{
	unsigned copies = paystore_copies(c);
	uint64_t idle = FREE_IDLE_MS, age = FREE_AGE_MS;

	if (copies) {
		age = prices ? money_commit_ms(prices, c->budget, copies) :
			       MONEY_COMMIT_MAX_MS;
		idle = age;
	}
	*ret = (struct cadence){
		.idle_ms = c->onboard_idle == CONFIG_AUTO ? idle : c->onboard_idle,
		.age_ms = c->onboard_age == CONFIG_AUTO ? age : c->onboard_age,
		.paid = copies > 0,
		.by_budget = copies && (c->onboard_idle == CONFIG_AUTO ||
					c->onboard_age == CONFIG_AUTO),
	};
}
