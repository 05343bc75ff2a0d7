/* daemon_status.c - the answer to `status` (I10: nothing that was not checked) */
#include "daemon/daemon_impl.h"

#include <limits.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "daemon/drive.h"
#include "daemon/engine.h"
#include "daemon/moneywatch.h"
#include "daemon/swap.h"
#include "fuse/session.h"
#include "net/json.h"

/* json_object_set_new() with the sticky error of jansson: NULL values fail. */
static int add(json_t *o, const char *key, json_t *value)
{
	return json_object_set_new(o, key, value);
}

static json_t *num(uint64_t v)
{
	return json_integer((json_int_t)MIN(v, (uint64_t)INT64_MAX));
}

static json_t *cache_json(const struct cache_stats *s)
{
	json_t *o = json_object();
	uint64_t now = monotonic_ms();
	uint64_t age = s->dirty_since_ms && now > s->dirty_since_ms ?
			       (now - s->dirty_since_ms) / 1000 :
			       0;
	int r = add(o, "dirty_bytes", num(s->dirty_bytes));

	r |= add(o, "dirty_inodes", num(s->dirty_inodes));
	r |= add(o, "dirty_seconds", num(age));
	r |= add(o, "used_bytes", num(s->used_bytes));
	r |= add(o, "clean_bytes", num(s->clean_bytes));
	r |= add(o, "max_bytes", s->max_bytes ? num(s->max_bytes) : json_null());
	r |= add(o, "inodes", num(s->inodes));
	r |= add(o, "commits", num(s->commits));
	r |= add(o, "failed", json_boolean(s->failed));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* The whole drive, be it here or not; null: an old commit had not counted it. */
static json_t *content(const struct cache_counts *c)
{
	return c->inodes ? json_pack("{s:I, s:I}", "inodes", (json_int_t)c->inodes,
				     "bytes", (json_int_t)c->bytes) :
			   json_null();
}

static json_t *pair(uint64_t pieces, uint64_t bytes)
{
	return json_pack("{s:I, s:I}", "pieces", (json_int_t)pieces, "bytes",
			 (json_int_t)bytes);
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_text(text) : json_null();
}

static json_t *time_or_null(uint64_t t)
{
	return t ? num(t) : json_null();
}

static json_t *proof_json(const struct engine_proof *p)
{
	json_t *o = json_object();
	int r = add(o, "state", json_string(p->state));

	r |= add(o, "name", text_or_null(p->name));
	r |= add(o, "provider", num(p->provider));
	r |= add(o, "data_set", p->set ? num(p->set) : json_null());
	r |= add(o, "asked", time_or_null(p->asked));
	r |= add(o, "last", time_or_null(p->last));
	r |= add(o, "deadline", time_or_null(p->deadline));
	r |= add(o, "says", text_or_null(p->text));
	r |= add(o, "warning", text_or_null(p->warning));
	r |= add(o, "not_replaced", text_or_null(p->refused));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *given_json(const struct engine_store *s)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (size_t i = 0; r == 0 && i < s->n_given; i++) {
		const struct engine_given *g = &s->given[i];
		json_t *o = json_object();

		r = add(o, "name", text_or_null(g->name));
		r |= add(o, "provider", num(g->provider));
		r |= add(o, "data_set", g->set ? num(g->set) : json_null());
		r |= add(o, "time", num(g->time));
		r |= add(o, "why", json_text(g->why));
		r |= json_array_append_new(a, o);
	}
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static json_t *stores_of_engine(const struct engine_status *s)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (size_t i = 0; r == 0 && i < s->n_stores; i++) {
		const struct engine_store *e = &s->stores[i];
		json_t *o = pair(e->held.pieces, e->held.bytes);

		r = add(o, "unread",
			pair(e->held.unread_pieces, e->held.unread_bytes));
		r |= add(o, "url", json_text(e->url));
		r |= add(o, "state", json_string(e->state));
		r |= add(o, "error",
			 e->error[0] ? json_text(e->error) : json_null());
		if (e->proof.state[0])
			r |= add(o, "proof", proof_json(&e->proof));
		if (e->n_given)
			r |= add(o, "given_up", given_json(e));
		r |= json_array_append_new(a, o);
	}
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

/* Without an engine nothing is known of them but their names. */
static json_t *stores_of_config(const struct config *c)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (uint64_t i = 0; r == 0 && i < c->n_stores; i++)
		r = json_array_append_new(a, json_pack("{s:o, s:s}", "url",
						       json_text(c->stores[i]),
						       "state", "not used"));
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static int add_engine(json_t *o, json_t *errors, const struct engine_status *s)
{
	int r = add(o, "queued", pair(s->queued_pieces, s->queued_bytes));

	r |= add(o, "uploading", pair(s->uploading_pieces, s->uploading_bytes));
	r |= add(o, "bytes_fetched", num(s->fetched_bytes));
	r |= add(o, "stores", stores_of_engine(s));
	r |= add(o, "fenced", json_boolean(s->fenced));
	r |= add(o, "last_commit",
		 s->commit_sequence ? json_pack("{s:I, s:I}", "sequence",
						(json_int_t)s->commit_sequence,
						"time", (json_int_t)s->commit_time) :
				      json_null());
	if (s->fenced)
		r |= json_array_append_new(
			errors,
			json_string("another device works on this drive: no more commits from here"));
	for (size_t i = 0; r == 0 && i < s->n_errors; i++)
		r = json_array_append_new(errors, json_text(s->errors[i]));
	return r;
}

static int add_local_only(json_t *o, const struct config *c)
{
	int r = add(o, "queued", json_null());

	r |= add(o, "uploading", json_null());
	r |= add(o, "bytes_fetched", json_integer(0));
	r |= add(o, "stores", stores_of_config(c));
	r |= add(o, "fenced", json_false());
	return r | add(o, "last_commit", json_null());
}

static int add_session(json_t *o, struct session *session)
{
	struct session_stats s;

	session_stats(session, &s);
	return add(o, "requests",
		   json_pack("{s:I, s:I, s:I, s:I}", "total", (json_int_t)s.requests,
			     "waiting", (json_int_t)s.parked, "waiting_bytes",
			     (json_int_t)s.parked_bytes, "timed_out",
			     (json_int_t)s.timeouts));
}

/* What `umount` compares, where JSON cannot hold it. */
static int add_mountpoint_bytes(json_t *o, const char *path)
{
	_cleanup_buf_ struct buf hex = { 0 };
	json_t *text = json_string(path);

	json_decref(text);
	if (text)
		return 0;
	buf_init(&hex, 2 * PATH_MAX + 2);
	if (json_put_hex(&hex, slice_str(path)) < 0)
		return -1;
	return add(o, "mountpoint_bytes", json_stringn((const char *)hex.p, hex.n));
}

bool daemon_warn_swap(struct daemon *d, struct err *ret)
{
	char areas[128];

	if (swap_plain("", areas, sizeof(areas)) <= 0)
		return false; /* what cannot be told is not warned of */
	err_set(ret, 0,
		"swap on %s is not encrypted: what you read and write%s may be left there",
		areas,
		keys_locked(d->p->drive->keys) < 0 ?
			", and keys, since memory cannot be locked (ulimit -l)," :
			"");
	return true;
}

/* What was met on the disk and did not open. */
static int add_damage(json_t *errors, json_t *warnings, const struct cache_stats *s)
{
	char text[160];
	int r = 0;

	(void)snprintf(text, sizeof(text),
		       "%llu blocks were damaged on the disk, and fetched again: is the disk failing?",
		       (unsigned long long)s->healed_blocks);
	if (s->healed_blocks)
		r = json_array_append_new(warnings, json_string(text));
	if (s->damaged_blocks)
		r |= json_array_append_new(
			errors,
			json_string("what no store has yet is damaged on the disk, and reading it gives an I/O error: unmount, fildrive fsck names it"));
	return r;
}

json_t *daemon_status(struct daemon *d, const struct engine_status *engine)
{
	const struct drive *drive = d->p->drive;
	struct cache_stats cs;
	json_t *o = json_object(), *errors = json_array();
	json_t *warnings = json_array();
	struct err swap = { "" };
	bool mounted;
	int r = 0;

	cache_stats(d->cache, &cs);
	lock_take(&d->lock);
	mounted = d->mounted;
	lock_drop(&d->lock);
	r |= add(o, "drive", json_string(drive->name));
	r |= add(o, "directory", json_text(drive->dir));
	r |= add(o, "mounted", json_boolean(mounted && !d->ending));
	r |= add(o, "mountpoint", json_text(d->p->mountpoint));
	r |= add_mountpoint_bytes(o, d->p->mountpoint);
	r |= add(o, "read_only", json_boolean(d->p->read_only));
	r |= add(o, "pid", json_integer(getpid()));
	r |= add(o, "since", json_integer(d->since));
	r |= add(o, "copies", num(drive->config.copies));
	r |= add(o, "content", content(&cs.drive));
	r |= add(o, "cache", cache_json(&cs));
	if (cs.failed)
		r |= json_array_append_new(errors, json_text(cs.why));
	r |= add_damage(errors, warnings, &cs);
	r |= engine ? add_engine(o, errors, engine) :
		      add_local_only(o, &drive->config);
	if (mounted && !d->ending)
		r |= add_session(o, d->session);
	if (d->watch) {
		moneywatch_poke(d->watch);
		r |= add(o, "wallet", moneywatch_json(d->watch, warnings));
	}
	if (daemon_warn_swap(d, &swap))
		r |= json_array_append_new(warnings, json_text(swap.text));
	r |= add(o, "warnings", warnings);
	r |= add(o, "errors", json_incref(errors));
	json_decref(errors);
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}
