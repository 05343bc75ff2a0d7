#include "daemon/recovery.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "daemon/recovery_impl.h"
#include "dag/commit.h"
#include "net/fan.h"
#include "net/loop.h"
#include "provider/pdp.h"

#define SILENCE_MS     10000 /* a person waits */
#define HURRY_MS       2000  /* the same, and the other stores may do */
#define PAUSE_MS       50
#define NET_SILENCE_MS 30000 /* more than an endpoint that hangs takes */

void recovery_say(const struct recovery *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!r->warn)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	r->warn(text);
}

/* ---- the places ---- */

static struct holder *holder_add(struct recovery *r, size_t store)
{
	struct holder *p = &r->places[r->n];

	*p = (struct holder){ .store = store, .row = RECOVERY_NO_ROW };
	return p;
}

/* The drive's own limit, if it is shorter than a person's. */
static unsigned silence_of(const struct recovery *r)
{
	uint64_t own = r->config->store_timeout;

	return own ? (unsigned)MIN(own, (uint64_t)SILENCE_MS) : SILENCE_MS;
}

static int open_folder(struct recovery *r, size_t i, struct err *reterr)
{
	struct provider_params pp = { .url = r->config->stores[i],
				      .loop = r->loop,
				      .silence_ms = silence_of(r) };
	struct holder *p = holder_add(r, i);
	int rc;

	rc = provider_new(&pp, &p->provider, reterr);
	if (rc < 0)
		return rc;
	text_copy(p->name, sizeof(p->name), pp.url);
	r->providers[r->n++] = p->provider;
	return 0;
}

static void on_endpoint(void *ctx, const char *endpoint, const char *why)
{
	const struct recovery *r = ctx;

	recovery_say(r, "%s cannot be counted on: %s", endpoint, why);
}

static int open_set(struct recovery *r, size_t store, size_t set, struct err *reterr)
{
	struct netstores *net = r->nets[store];
	const struct pdp_set *s = netstores_set(net, set);
	struct holder *p = holder_add(r, store);
	int rc;

	rc = netstores_open(net, set, &p->provider, reterr);
	if (rc < 0)
		return rc;
	p->net = net;
	p->set = set;
	(void)snprintf(p->name, sizeof(p->name), "%s (data set %llu at %.160s)",
		       provider_name(p->provider),
		       (unsigned long long)s->slot.data_set,
		       s->slot.name[0] ? s->slot.name :
					 "a provider without a name"); /* fits */
	if (s->why[0])
		err_set(&p->err, -EREMOTEIO,
			"its provider cannot be reached: %s", s->why);
	r->providers[r->n++] = p->provider;
	return 0;
}

static bool is_network(const struct recovery *r, size_t i)
{
	return netstores_is(r->config->stores[i]);
}

/* Data sets that one network may take of the places. */
static size_t share_of(const struct recovery *r)
{
	size_t n_folders = 0, n_nets = 0;

	for (size_t i = 0; i < r->config->n_stores; i++) {
		n_nets += is_network(r, i);
		n_folders += !is_network(r, i);
	}
	return n_nets && n_folders < RECOVER_STORES_MAX ?
		       (RECOVER_STORES_MAX - n_folders) / n_nets :
		       0;
}

static int open_network(struct recovery *r, size_t i, struct err *reterr)
{
	struct netstores_find f = { .max = share_of(r), .warn = on_endpoint, .ctx = r };
	int rc;

	rc = netstores_find(r->nets[i], &f, reterr);
	for (size_t k = 0; k < f.n && rc == 0; k++)
		rc = open_set(r, i, k, reterr);
	if (rc == 0 && f.n_left)
		recovery_say(r, "%s: %zu more data sets of this drive are not looked at: those are that hold least",
			     r->config->stores[i], f.n_left);
	return rc;
}

/*
 * A network that cannot be asked is no reason to give up as long as there is another
 * store; one whose endpoints contradict each other is.
 */
static int open_places(struct recovery *r, struct err *reterr)
{
	struct err first = { "" };
	int rc, status = 0;

	for (size_t i = 0; i < r->config->n_stores; i++) {
		struct err e = { "" };

		rc = is_network(r, i) ? open_network(r, i, &e) :
					open_folder(r, i, &e);
		if (rc < 0 && (!is_network(r, i) || rc == -EBADMSG || rc == -ENOMEM))
			return err_set(reterr, rc, "%s", e.text);
		if (rc < 0) {
			recovery_say(r, "%s", e.text);
			r->n_skipped += rc != -ENOENT;
		}
		if (rc < 0 && status == 0) {
			first = e;
			status = rc;
		}
	}
	return r->n ? 0 : err_set(reterr, status, "%s", first.text);
}

/*
 * A published head was claimed at more than half of the stores, so half of them
 * have one that knows the newest: for a folder that hangs nobody waits long then.
 * Whether they have all that it takes is seen later.
 */
static void hurry(struct recovery *r) REQUIRES(&r->lock)
{
	if (!r->hurry || r->n_answered < r->n - r->n / 2)
		return;
	for (size_t i = 0; i < r->n; i++) {
		struct holder *p = &r->places[i];

		if (p->over || p->hurried || p->net)
			continue;
		p->hurried = true;
		provider_patience(p->provider, MIN(HURRY_MS, silence_of(r)));
	}
}

static int attach(void *ctx, size_t i)
{
	struct recovery *r = ctx;
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	struct holder *p = &r->places[i];
	int rc = provider_call(r->providers[i], &req);

	lock_take(&r->lock);
	p->over = true;
	r->n_answered += rc == 0;
	hurry(r);
	lock_drop(&r->lock);
	return rc < 0 ? err_set(&p->err, rc, "%s", req.err.text) : 0;
}

static bool was_given_up(const struct holder *p)
{
	return p->hurried && p->err.text[0];
}

/* The others did not do: it is waited for after all.  1: one more answers.  What is
 * counted is pauses: in time in which we stood nobody has waited. */
static int wait_for_all(struct recovery *r)
{
	unsigned waited_ms = 0;
	int n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct holder *p = &r->places[i];
		struct provider_req req = { .verb = PROVIDER_ATTACH };

		if (!was_given_up(p))
			continue;
		recovery_say(r, "%s has something that the other stores do not have: waiting for it",
			     p->name);
		p->hurried = false;
		for (; provider_silence_ms(p->provider) && waited_ms < silence_of(r);
		     waited_ms += PAUSE_MS)
			(void)poll(NULL, 0, PAUSE_MS); /* a pause */
		provider_patience(p->provider, silence_of(r));
		if (provider_silence_ms(p->provider) ||
		    provider_call(p->provider, &req) < 0)
			continue;
		p->err.text[0] = '\0';
		n++;
	}
	return n > 0;
}

static int attach_all(struct recovery *r, struct err *reterr)
{
	best_effort(fan_out(r->n, RECOVER_STORES_MAX, attach, r)); /* one will do */
	for (size_t i = 0; i < r->n; i++)
		if (!r->places[i].err.text[0])
			return 0;
	return err_set(reterr, -EREMOTEIO, "%s", r->places[0].err.text);
}

/* The chains' clients; before the loop runs. */
static int make_nets(struct recovery *r, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; i < r->config->n_stores && rc == 0; i++) {
		const struct netstores_params p = {
			.loop = r->loop,
			.url = r->config->stores[i],
			.payer = r->config->payer,
			.drive_id = keys_drive_id(r->keys),
			.down_rate = r->config->down_rate,
			.silence_ms = NET_SILENCE_MS,
		};

		if (is_network(r, i))
			rc = netstores_new(&p, &r->nets[i], reterr);
	}
	return rc;
}

static int begin(const struct config *c, const struct keys *k, bool hurry_up,
		 recovery_warn warn, struct recovery **ret, struct err *reterr)
{
	struct recovery *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	*ret = r;
	r->config = c;
	r->keys = k;
	r->warn = warn;
	r->hurry = hurry_up;
	lock_init(&r->lock);
	rc = loop_new(&r->loop);
	if (rc == 0)
		rc = make_nets(r, reterr);
	if (rc == 0)
		rc = loop_start(r->loop);
	r->looping = rc == 0;
	if (rc == 0)
		rc = open_places(r, reterr);
	return rc < 0 ? rc : attach_all(r, reterr);
}

int recovery_open(const struct config *c, const struct keys *k, uint64_t before,
		  recovery_warn warn, struct recovery **ret, struct err *reterr)
{
	struct recover_params p = { .keys = k, .before = before };
	int rc = begin(c, k, true, warn, ret, reterr);
	struct recovery *r = *ret;

	if (rc < 0)
		return rc;
	p.stores = r->providers;
	p.n_stores = r->n;
	rc = recover_find(&p, &r->found, reterr);
	if (rc == -ENOMEM || (rc == 0 && !r->found->n_missing) || !wait_for_all(r))
		return rc;
	recover_found_free(r->found);
	r->found = NULL;
	reterr->text[0] = '\0';
	return recover_find(&p, &r->found, reterr);
}

int recovery_salvage(const struct config *c, const struct keys *k,
		     recovery_warn warn, struct recovery **ret, struct err *reterr)
{
	struct recover_params p = { .keys = k };
	int rc = begin(c, k, false, warn, ret, reterr);

	if (rc < 0)
		return rc;
	p.stores = (*ret)->providers;
	p.n_stores = (*ret)->n;
	rc = salvage_find(&p, &(*ret)->salvage, reterr);
	(*ret)->found = (*ret)->salvage.found;
	return rc;
}

const struct salvage *recovery_salvaged(const struct recovery *r)
{
	return &r->salvage;
}

const struct recover_found *recovery_found(const struct recovery *r)
{
	return r ? r->found : NULL;
}

bool recovery_partial(const struct recovery *r)
{
	for (size_t i = 0; r && i < r->n; i++)
		if (r->places[i].err.text[0])
			return true;
	return r && r->n_skipped;
}

const char *recovery_place(const struct recovery *r, size_t i)
{
	return r->places[i].name;
}

const char *recovery_place_error(const struct recovery *r, size_t i)
{
	return r->places[i].err.text;
}

int recovery_may_write(const struct recovery *r, struct err *reterr)
{
	int rc = commit_may_write(commit_info(r->found->commit));

	return rc < 0 ? err_set(reterr, rc,
				"a newer fildrive has written this drive, and only one as new may go on writing: update this program") :
			0;
}

/* ---- the end ---- */

/* False: a thread hangs in a store. */
static bool close_all(struct recovery *r)
{
	bool left = false;

	if (!r)
		return true;
	if (r->found != r->salvage.found)
		recover_found_free(r->found);
	salvage_fini(&r->salvage);
	for (size_t i = 0; i < r->n; i++)
		left |= !provider_free(r->providers[i]);
	for (size_t i = 0; i < r->n_rows; i++)
		free(r->rows[i].url);
	/* A thread that comes back uses what is shared, and posts to the loop. */
	for (size_t i = 0; i < CONFIG_STORES_MAX && !left; i++)
		netstores_shut(r->nets[i]);
	if (r->looping)
		loop_stop(r->loop);
	for (size_t i = 0; i < CONFIG_STORES_MAX && !left; i++)
		netstores_free(r->nets[i]);
	if (!left)
		loop_free(r->loop);
	lock_fini(&r->lock);
	free(r);
	return !left;
}

void recovery_close(struct recovery *r, bool *ret_left)
{
	*ret_left |= !close_all(r);
}

int recovery_leave(struct recovery *r, int status)
{
	if (!close_all(r)) {
		(void)fflush(NULL); /* nobody reads what is left */
		_exit(status);
	}
	return status;
}
