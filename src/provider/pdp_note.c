/* pdp_note.c - what a slot remembers: its provider, and every add under way */
#include <errno.h>
#include <stdio.h>

#include "provider/pdp_impl.h"

#define VALUES_MAX 256

void pdp_add_init(struct pdp_add *a)
{
	*a = (struct pdp_add){ .state = PDP_ADD_SIGNED };
	buf_init(&a->extra, PROVIDER_NOTE_MAX / 4);
}

void pdp_add_fini(struct pdp_add *a)
{
	buf_fini(&a->extra);
}

void pdp_add_freep(struct pdp_add **a)
{
	if (*a)
		pdp_add_fini(*a);
	free(*a);
}

/* ---- writing ---- */

static int put_number(json_t *o, const char *name, uint64_t v)
{
	/* Decimal text: jansson's integers are signed. */
	struct u256 big = u256(v);
	char text[U256_TEXT_MAX];

	u256_text(big, text);
	return json_object_set_new(o, name, json_string(text));
}

static int put_u256(json_t *o, const char *name, struct u256 v)
{
	char text[U256_TEXT_MAX];

	u256_text(v, text);
	return json_object_set_new(o, name, json_string(text));
}

static int put_hex(json_t *o, const char *name, struct slice s)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, 2 * s.n + 3);
	if (json_put_hex(&b, s) < 0)
		return -1;
	return json_object_set_new(o, name, json_stringn((const char *)b.p, b.n));
}

static int put_text(json_t *o, const char *name, const char *text)
{
	return json_object_set_new(o, name, json_string(text));
}

static int save(struct pdp *d, const char *key, json_t *o)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_COMPACT);

	if (!text)
		return -ENOMEM;
	return d->notes.set(d->notes.ctx, key, slice_str(text));
}

static void add_key(struct u256 nonce, char ret[static PROVIDER_NOTE_KEY_MAX])
{
	uint8_t be[U256_SIZE];
	int at = snprintf(ret, PROVIDER_NOTE_KEY_MAX, "%s", PDP_NOTE_ADD);

	u256_to_be(nonce, be);
	for (size_t i = 0; i < sizeof(be); i++)
		at += snprintf(ret + at, PROVIDER_NOTE_KEY_MAX - (size_t)at,
			       "%02x", be[i]); /* fits */
}

int pdp_add_save(struct pdp *d, const struct pdp_add *a)
{
	_cleanup_json_ json_t *o = json_object();
	char key[PROVIDER_NOTE_KEY_MAX], text[PIECE_CID_TEXT_MAX];
	json_t *cids = json_array();
	int bad = 0;

	for (size_t i = 0; i < a->n; i++) {
		piece_cid_text(&a->cids[i], text);
		bad |= json_array_append_new(cids, json_string(text));
	}
	bad |= json_object_set_new(o, "cids", cids);
	bad |= put_number(o, "state", a->state);
	bad |= put_u256(o, "nonce", a->nonce);
	bad |= put_number(o, "create", a->create);
	bad |= put_number(o, "refused", a->refused);
	bad |= put_number(o, "provider", a->provider);
	bad |= put_number(o, "dataSet", a->data_set);
	bad |= put_u256(o, "client", a->client);
	bad |= put_u256(o, "amount", a->amount);
	bad |= put_number(o, "time", a->time);
	bad |= put_number(o, "posted", a->posted);
	bad |= put_number(o, "landed", a->landed);
	bad |= put_number(o, "next", a->next);
	bad |= put_number(o, "tries", a->tries);
	bad |= put_hex(o, "extra", buf_slice(&a->extra));
	if (a->has_tx)
		bad |= put_hex(o, "tx", slice(a->tx, sizeof(a->tx)));
	if (bad)
		return -ENOMEM;
	add_key(a->nonce, key);
	return save(d, key, o);
}

int pdp_add_drop(struct pdp *d, const struct pdp_add *a)
{
	char key[PROVIDER_NOTE_KEY_MAX];

	add_key(a->nonce, key);
	return d->notes.drop(d->notes.ctx, key);
}

int pdp_slot_save(struct pdp *d, const struct pdp_slot *s)
{
	_cleanup_json_ json_t *o = json_object();
	int bad = 0;

	bad |= put_number(o, "provider", s->provider);
	bad |= put_hex(o, "payee", slice(s->payee.b, ADDRESS_SIZE));
	bad |= put_number(o, "dataSet", s->data_set);
	bad |= put_u256(o, "client", s->client);
	bad |= put_number(o, "min", s->min);
	bad |= put_number(o, "max", s->max);
	bad |= put_number(o, "since", s->since);
	bad |= put_number(o, "seen", s->seen);
	bad |= put_text(o, "url", s->url);
	bad |= put_text(o, "name", s->name);
	bad |= put_text(o, "location", s->location);
	return bad ? -ENOMEM : save(d, PDP_NOTE_SLOT, o);
}

/* ---- reading: the ledger is ours, yet a bad disk is an error, not a crash ---- */

static bool get_u256(const json_t *o, const char *name, struct u256 *ret)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text && u256_from_text(slice_str(text), ret) == 0;
}

static bool get_number(const json_t *o, const char *name, uint64_t *ret)
{
	struct u256 v;

	return get_u256(o, name, &v) && u256_to_u64(v, ret) == 0;
}

static bool get_flag(const json_t *o, const char *name, bool *ret)
{
	uint64_t v;

	if (!get_number(o, name, &v) || v > 1)
		return false;
	*ret = v;
	return true;
}

static bool get_text(const json_t *o, const char *name, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(o, name));

	if (!text || strlen(text) >= size)
		return false;
	text_copy(ret, size, text);
	return true;
}

static bool get_cids(const json_t *list, struct pdp_add *a)
{
	const char *text;

	a->n = json_array_size(list);
	if (a->n == 0 || a->n > PROVIDER_COMMIT_MAX)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		text = json_string_value(json_array_get(list, i));
		if (!text || piece_cid_from_text(slice_str(text), &a->cids[i]) < 0)
			return false;
	}
	return true;
}

static int add_read(struct slice text, struct pdp_add *ret)
{
	_cleanup_json_ json_t *o = NULL;
	uint64_t state;
	bool good;
	int r;

	r = json_read(text, VALUES_MAX, &o);
	if (r < 0)
		return r == -ENOMEM ? r : -EUCLEAN;
	good = get_number(o, "state", &state) && state >= PDP_ADD_SIGNED &&
	       state <= PDP_ADD_DEAD && get_u256(o, "nonce", &ret->nonce) &&
	       get_flag(o, "create", &ret->create) &&
	       get_flag(o, "refused", &ret->refused) &&
	       get_number(o, "provider", &ret->provider) &&
	       get_number(o, "dataSet", &ret->data_set) &&
	       get_u256(o, "client", &ret->client) &&
	       get_u256(o, "amount", &ret->amount) &&
	       get_number(o, "time", &ret->time) &&
	       get_number(o, "posted", &ret->posted) &&
	       get_number(o, "landed", &ret->landed) &&
	       get_number(o, "next", &ret->next) &&
	       get_number(o, "tries", &ret->tries) &&
	       get_cids(json_object_get(o, "cids"), ret) &&
	       json_hex_bytes(json_object_get(o, "extra"), &ret->extra) == 0;
	if (!good)
		return -EUCLEAN;
	ret->state = (enum pdp_add_state)state;
	ret->has_tx = json_object_get(o, "tx") != NULL;
	if (ret->has_tx && json_hex_fixed(json_object_get(o, "tx"), ret->tx,
					  sizeof(ret->tx)) < 0)
		return -EUCLEAN;
	return 0;
}

int pdp_add_load(struct pdp *d, struct u256 nonce, struct pdp_add *ret)
{
	char key[PROVIDER_NOTE_KEY_MAX];
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	add_key(nonce, key);
	buf_init(&b, PROVIDER_NOTE_MAX);
	r = d->notes.get(d->notes.ctx, key, &b);
	return r < 0 ? r : add_read(buf_slice(&b), ret);
}

struct walk {
	int (*cb)(void *ctx, struct pdp_add *a);
	void *ctx;
};

static int on_note(void *ctx, const char *key, struct slice value)
{
	_cleanup_pdp_add_ struct pdp_add *a = malloc(sizeof(*a));
	struct walk *w = ctx;
	int r;

	(void)key;
	if (!a)
		return -ENOMEM;
	pdp_add_init(a);
	r = add_read(value, a);
	return r < 0 ? r : w->cb(w->ctx, a);
}

int pdp_adds(struct pdp *d, int (*cb)(void *ctx, struct pdp_add *a), void *ctx)
{
	struct walk w = { cb, ctx };

	return d->notes.each(d->notes.ctx, PDP_NOTE_ADD, on_note, &w);
}

int pdp_slot_load(struct pdp *d, struct pdp_slot *ret)
{
	struct pdp_slot s = { .chosen = true, .client_known = true };
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_json_ json_t *o = NULL;
	int r;

	buf_init(&b, PROVIDER_NOTE_MAX);
	r = d->notes.get(d->notes.ctx, PDP_NOTE_SLOT, &b);
	if (r < 0)
		return r;
	r = json_read(buf_slice(&b), VALUES_MAX, &o);
	if (r < 0)
		return r == -ENOMEM ? r : -EUCLEAN;
	if (!get_number(o, "provider", &s.provider) ||
	    json_hex_fixed(json_object_get(o, "payee"), s.payee.b, ADDRESS_SIZE) < 0 ||
	    !get_number(o, "dataSet", &s.data_set) ||
	    !get_u256(o, "client", &s.client) || !get_number(o, "min", &s.min) ||
	    !get_number(o, "max", &s.max) || !get_number(o, "since", &s.since) ||
	    !get_number(o, "seen", &s.seen) ||
	    !get_text(o, "url", s.url, sizeof(s.url)) ||
	    !get_text(o, "name", s.name, sizeof(s.name)) ||
	    !get_text(o, "location", s.location, sizeof(s.location)))
		return -EUCLEAN;
	*ret = s;
	return 0;
}
