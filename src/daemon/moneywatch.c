#include "daemon/moneywatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "chain/amount.h"
#include "chain/cost.h"
#include "chain/foc.h"
#include "chain/money.h"
#include "daemon/cadence.h"
#include "daemon/chainlink.h"
#include "daemon/drive.h"
#include "daemon/orders.h"
#include "daemon/paystore.h"
#include "daemon/wallet.h"

#define READ_MS    600000 /* between two looks */
#define WAITING_MS 30000  /* likewise while funds are awaited */
#define DEVNET_MS  1000   /* likewise on a devnet */
#define POKE_MS    5000   /* a look that is older is repeated for who asks */
#define SEND_MS    300000 /* a standing order is waited for so long at a time */

/* Days of runway that warn, the worst first. */
static const uint64_t levels[] = { 3, 7, 30 };

struct seen {
	bool known; /* the rest was read at `time` */
	int64_t time;
	struct foc_purse purse;
	struct u256 month;
	uint64_t days; /* MONEY_NO_END: nothing is paid */
	uint64_t session_until;
	struct orders_wait orders;
	struct cadence pace;
	char error[256]; /* of the last look; empty: it went well */
};

struct moneywatch {
	struct moneywatch_params p;
	struct network_url url;
	struct chainlink *link;
	struct orders_stop *stop_orders;
	pthread_t thread;
	bool started;
	unsigned said_level; /* the thread's: what the log was told */
	bool said_session;

	struct lock lock;
	struct cond cond;
	bool stopping;    /* lock: lock */
	bool poked;       /* lock: lock */
	struct seen seen; /* lock: lock */
};

/* ---- one look ---- */

static int look_at(struct moneywatch *m, struct seen *s, struct err *e)
{
	struct foc *f = chainlink_foc(m->link);
	const struct config *c = &m->p.drive->config;
	struct view_price_list prices;
	uint64_t create = 0, add = 0;
	int r;

	r = foc_prices(f, &prices, e);
	if (r == 0) {
		cadence_of(c, &prices, &s->pace);
		m->p.paced(m->p.ctx, &s->pace);
		r = foc_purse(f, &s->purse, e);
	}
	if (r == 0)
		r = orders_run(m->p.drive, m->p.drive->keys, f, &s->purse,
			       SEND_MS, m->stop_orders, &s->orders, e);
	if (r == -ENOTUNIQ) { /* a command is at it: next time */
		e->text[0] = '\0';
		r = 0;
	}
	if (r == 0 && s->orders.sent)
		r = foc_purse(f, &s->purse, e);
	if (r == 0 && !address_is_none(c->signer))
		r = foc_session(f, c->signer, &create, &add, e);
	if (r == 0)
		r = cost_month(s->purse.account.lockup_rate, &s->month);
	if (r < 0)
		return err_set(e, r, "%s", err_str(r));
	s->session_until = MIN(create, add);
	s->days = money_runway_days(&s->purse.account, s->purse.epoch);
	s->known = true;
	s->time = (int64_t)time(NULL);
	return 0;
}

static unsigned level_of(const struct seen *s)
{
	for (unsigned i = 0; i < ARRAY_LEN(levels); i++)
		if (s->days < levels[i])
			return (unsigned)ARRAY_LEN(levels) - i;
	return 0;
}

static bool session_ends(const struct seen *s)
{
	return s->session_until &&
	       s->session_until < (uint64_t)time(NULL) + WALLET_RENEW_S;
}

/* Once for each level that is reached. */
static void say_in_log(struct moneywatch *m, const struct seen *s)
{
	unsigned level = level_of(s);

	if (level > m->said_level)
		log_warn("the deposit that pays for this drive lasts %" PRIu64
			 " days: fildrive wallet fund",
			 s->days);
	m->said_level = level;
	if (session_ends(s) && !m->said_session)
		log_warn("the session key of this drive ends soon: fildrive wallet session renew");
	m->said_session = session_ends(s);
}

static bool funds_are_awaited(const struct seen *s)
{
	return !s->known || s->orders.armed || s->orders.sent ||
	       u256_is_zero(s->purse.account.funds) || s->error[0];
}

/* What slots waited for may be there. */
static bool has_more(const struct seen *now, const struct seen *before)
{
	return before->known && u256_cmp(now->purse.account.available,
					 before->purse.account.available) > 0;
}

static void *watch(void *arg)
{
	struct moneywatch *m = arg;
	bool devnet = strcmp(m->url.net.name, "devnet") == 0;

	lock_take(&m->lock);
	while (!m->stopping) {
		struct seen s = m->seen;
		struct err e = { "" };
		uint64_t until, earliest;

		lock_drop(&m->lock);
		if (look_at(m, &s, &e) == 0) {
			say_in_log(m, &s);
			if (has_more(&s, &m->seen))
				m->p.funded(m->p.ctx);
		}
		text_copy(s.error, sizeof(s.error), e.text);
		lock_take(&m->lock);
		m->seen = s;
		m->poked = false;
		earliest = monotonic_ms() + (devnet ? DEVNET_MS : POKE_MS);
		until = monotonic_ms() + (devnet                ? DEVNET_MS :
					  funds_are_awaited(&s) ? WAITING_MS :
								  READ_MS);
		while (!m->stopping && monotonic_ms() < until &&
		       !(m->poked && monotonic_ms() >= earliest))
			(void)cond_wait_until_ms(&m->cond, &m->lock,
						 m->poked ? earliest : until); /* the loop looks */
	}
	lock_drop(&m->lock);
	return NULL;
}

/* ---- life ---- */

int moneywatch_new(const struct moneywatch_params *p, struct moneywatch **ret,
		   struct err *reterr)
{
	struct chainlink_params cp = { .payer = p->drive->config.payer,
				       .loop = p->loop };
	struct moneywatch *m;
	int r;

	if (!paystore_copies(&p->drive->config) || address_is_none(cp.payer))
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->p = *p;
	lock_init(&m->lock);
	cond_init(&m->cond);
	cadence_of(&p->drive->config, NULL, &m->seen.pace);
	r = paystore_find(&p->drive->config, &m->url, reterr);
	cp.url = &m->url;
	if (r == 0)
		r = chainlink_open(&cp, &m->link, reterr);
	if (r == 0)
		r = orders_stop_new(chainlink_foc(m->link), &m->stop_orders);
	if (r < 0) {
		moneywatch_stop(m);
		moneywatch_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

int moneywatch_start(struct moneywatch *m)
{
	int r;

	if (!m)
		return 0;
	r = pthread_create(&m->thread, NULL, watch, m);
	m->started = r == 0;
	return -r;
}

void moneywatch_stop(struct moneywatch *m)
{
	if (!m)
		return;
	lock_take(&m->lock);
	m->stopping = true;
	cond_wake_all(&m->cond);
	lock_drop(&m->lock);
	chainlink_halt(m->link);
	if (m->stop_orders)
		orders_stop(m->stop_orders);
	if (m->started)
		(void)pthread_join(m->thread, NULL); /* it is ours, and joinable */
	m->started = false;
	chainlink_shut(m->link);
}

void moneywatch_free(struct moneywatch *m)
{
	if (!m)
		return;
	orders_stop_free(m->stop_orders);
	chainlink_free(m->link);
	network_url_fini(&m->url);
	cond_fini(&m->cond);
	lock_fini(&m->lock);
	free(m);
}

void moneywatch_poke(struct moneywatch *m)
{
	if (!m)
		return;
	lock_take(&m->lock);
	m->poked = true;
	cond_wake_all(&m->cond);
	lock_drop(&m->lock);
}

/* ---- status ---- */

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

static json_t *sum_json(struct u256 v)
{
	char text[AMOUNT_TEXT_MAX];

	amount_text(v, text);
	return json_string(text);
}

/* What has to arrive still; empty: nothing is waited for. */
static void waiting_text(const struct moneywatch *m, const struct seen *s,
			 char *ret, size_t size)
{
	const struct wallet coin = { .url = m->url };
	struct u256 fil = u256_sub_capped(s->orders.need_fil, s->purse.fil);
	struct u256 usdfc = u256_sub_capped(s->orders.need_usdfc, s->purse.usdfc);
	char who[ADDRESS_TEXT_MAX];

	ret[0] = '\0';
	address_text(m->p.drive->config.payer, who);
	if (!s->known)
		return;
	if (s->orders.sent)
		(void)snprintf(ret, size, "the deposit is on its way"); /* fits */
	else if (s->orders.armed && s->orders.stale)
		(void)snprintf(
			ret, size,
			"what init has signed is void: fildrive wallet fund AMOUNT"); /* fits */
	else if (s->orders.armed && u256_is_zero(fil))
		(void)snprintf(ret, size, "waiting for funds: send %s to %s",
			       wallet_usdfc(usdfc, true).text, who); /* cut is fine */
	else if (s->orders.armed && u256_is_zero(usdfc))
		(void)snprintf(ret, size, "waiting for funds: send %s to %s",
			       wallet_fil(&coin, fil, true).text, who); /* cut is fine */
	else if (s->orders.armed)
		(void)snprintf(ret, size, "waiting for funds: send %s and %s to %s",
			       wallet_usdfc(usdfc, true).text,
			       wallet_fil(&coin, fil, true).text, who); /* cut is fine */
	else if (u256_is_zero(s->purse.account.funds) && u256_is_zero(s->purse.usdfc))
		(void)snprintf(ret, size,
			       "nothing is deposited: send USDFC, and some %s for gas, to %s; then fildrive wallet fund AMOUNT",
			       m->url.net.coin, who); /* cut is fine */
	else if (u256_is_zero(s->purse.account.funds))
		(void)snprintf(ret, size,
			       "nothing is deposited: fildrive wallet fund AMOUNT"); /* fits */
}

static int warn(json_t *warnings, const char *fmt, ...) printf_like(2, 3);
static int warn(json_t *warnings, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	return json_array_append_new(warnings, json_string(text));
}

static int add_warnings(const struct seen *s, const char *waiting, json_t *w)
{
	int r = 0;

	if (waiting[0])
		r |= warn(w, "%s", waiting);
	if (s->known && level_of(s))
		r |= warn(w,
			  "the deposit lasts %" PRIu64
			  " days: then providers may drop the data: fildrive wallet fund AMOUNT",
			  s->days);
	if (s->known && session_ends(s))
		r |= warn(w, "the session key ends soon, or has ended: fildrive wallet session renew");
	if (s->error[0])
		r |= warn(w, "the wallet could not be looked at: %s", s->error);
	return r;
}

json_t *moneywatch_json(struct moneywatch *m, json_t *warnings)
{
	const struct config *c = &m->p.drive->config;
	char who[ADDRESS_TEXT_MAX], waiting[320];
	json_t *o = json_object();
	struct seen s;
	int r = o ? 0 : -1;

	lock_take(&m->lock);
	s = m->seen;
	lock_drop(&m->lock);
	waiting_text(m, &s, waiting, sizeof(waiting));
	address_text(c->payer, who);
	r |= put(o, "network", json_string(m->url.net.name));
	r |= put(o, "address", json_string(who));
	r |= put(o, "read", s.known ? json_integer(s.time) : json_null());
	r |= put(o, "commit_seconds",
		 json_integer((json_int_t)(s.pace.age_ms / 1000)));
	r |= put(o, "waiting", waiting[0] ? json_string(waiting) : json_null());
	r |= put(o, "budget", sum_json(c->budget));
	if (s.known) {
		r |= put(o, "fil", sum_json(s.purse.fil));
		r |= put(o, "usdfc", sum_json(s.purse.usdfc));
		r |= put(o, "deposit", sum_json(s.purse.account.funds));
		r |= put(o, "month", sum_json(s.month));
		r |= put(o, "runway_days",
			 s.days == MONEY_NO_END ? json_null() :
						  json_integer((json_int_t)s.days));
		r |= put(o, "session_until",
			 s.session_until ?
				 json_integer((json_int_t)s.session_until) :
				 json_null());
		r |= put(o, "need_fil", sum_json(s.orders.need_fil));
		r |= put(o, "need_usdfc", sum_json(s.orders.need_usdfc));
	}
	r |= add_warnings(&s, waiting, warnings);
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}
