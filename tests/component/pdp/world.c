#include "tests/component/pdp/world.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "chain/amount.h"
#include "chain/pay.h"
#include "chain/sender.h"
#include "chain/session_key.h"
#include "chain/token.h"
#include "crypto/commp.h"
#include "crypto/secret.h"
#include "dag/piece_writer.h"
#include "net/waiter.h"

#define PATIENCE_MS 120000 /* who needs as long hangs */
#define LANDED_EPOCHS \
 5 /* then provider and endpoints all say that an add landed */

/* ---- notes ---- */

static struct note *note_of(struct notes *n, const char *key)
{
	for (size_t i = 0; i < NOTES_MAX; i++)
		if (strcmp(n->list[i].key, key) == 0)
			return &n->list[i];
	return NULL;
}

/* May this change be made?  Once dead, none is. */
static bool lives(struct notes *n, bool *ret_last) REQUIRES(&n->lock)
{
	*ret_last = false;
	if (n->dead)
		return false;
	if (n->die >= 0 && n->changes++ == (unsigned)n->die) {
		n->dead = true;
		*ret_last = n->die_after;
		return n->die_after;
	}
	return true;
}

static int notes_get(void *ctx, const char *key, struct buf *ret)
{
	struct notes *n = ctx;
	struct note *t;
	int r = -ENOENT;

	lock_take(&n->lock);
	t = note_of(n, key);
	if (t)
		r = buf_append(ret, buf_slice(&t->value));
	lock_drop(&n->lock);
	return r;
}

static int notes_set(void *ctx, const char *key, struct slice value)
{
	struct notes *n = ctx;
	struct note *t;
	bool last;
	int r = -EIO;

	assert_true(strlen(key) < PROVIDER_NOTE_KEY_MAX);
	assert_true(value.n <= PROVIDER_NOTE_MAX);
	lock_take(&n->lock);
	if (lives(n, &last)) {
		t = note_of(n, key);
		if (!t)
			t = note_of(n, "");
		assert_non_null(t);
		text_copy(t->key, sizeof(t->key), key);
		buf_fini(&t->value);
		buf_init(&t->value, PROVIDER_NOTE_MAX);
		r = buf_append(&t->value, value);
		if (last)
			r = -EIO;
	}
	lock_drop(&n->lock);
	return r;
}

static int notes_drop(void *ctx, const char *key)
{
	struct notes *n = ctx;
	struct note *t;
	bool last;
	int r = -EIO;

	lock_take(&n->lock);
	if (lives(n, &last)) {
		t = note_of(n, key);
		if (t)
			t->key[0] = '\0';
		r = last ? -EIO : 0;
	}
	lock_drop(&n->lock);
	return r;
}

static int notes_each(void *ctx, const char *prefix,
		      int (*cb)(void *cb_ctx, const char *key, struct slice value),
		      void *cb_ctx)
{
	struct notes *n = ctx;
	char key[PROVIDER_NOTE_KEY_MAX];
	int r = 0;

	for (size_t i = 0; i < NOTES_MAX && r == 0; i++) {
		struct buf copy;
		bool found;

		buf_init(&copy, PROVIDER_NOTE_MAX);
		lock_take(&n->lock);
		found = n->list[i].key[0] &&
			strncmp(n->list[i].key, prefix, strlen(prefix)) == 0;
		text_copy(key, sizeof(key), n->list[i].key);
		if (found)
			r = buf_append(&copy, buf_slice(&n->list[i].value));
		lock_drop(&n->lock);
		if (found && r == 0)
			r = cb(cb_ctx, key, buf_slice(&copy));
		buf_fini(&copy);
	}
	return r;
}

static int notes_spent(void *ctx, const struct provider_spend *s)
{
	struct notes *n = ctx;
	bool last, known = false;
	int r = -EIO;

	lock_take(&n->lock);
	if (lives(n, &last)) {
		for (size_t i = 0; i < n->n_spends; i++)
			known |= memcmp(n->spends[i].ref, s->ref,
					sizeof(s->ref)) == 0;
		assert_true(n->n_spends < SPENDS_MAX);
		if (!known)
			n->spends[n->n_spends++] = *s;
		r = last ? -EIO : 0;
	}
	lock_drop(&n->lock);
	return r;
}

static void notes_init(struct notes *n)
{
	*n = (struct notes){ .die = -1,
			     .ops = { notes_get, notes_set, notes_drop,
				      notes_each, notes_spent, NULL } };
	n->ops.ctx = n;
	lock_init(&n->lock);
}

static void notes_fini(struct notes *n)
{
	for (size_t i = 0; i < NOTES_MAX; i++)
		buf_fini(&n->list[i].value);
	lock_fini(&n->lock);
}

void world_forget(struct world *w, unsigned slot)
{
	notes_fini(&w->notes[slot]);
	notes_init(&w->notes[slot]);
}

unsigned world_notes(struct world *w, unsigned slot, const char *prefix)
{
	struct notes *n = &w->notes[slot];
	unsigned count = 0;

	lock_take(&n->lock);
	for (size_t i = 0; i < NOTES_MAX; i++)
		count += n->list[i].key[0] &&
			 strncmp(n->list[i].key, prefix, strlen(prefix)) == 0;
	lock_drop(&n->lock);
	return count;
}

/* ---- the devnet ---- */

static const char *said(struct world *w, const char *name)
{
	const char *text = json_string_value(json_object_get(w->said, name));

	assert_non_null(text);
	return text;
}

void world_admin(struct world *w, const char *path, const char *json)
{
	char url[160];

	(void)snprintf(url, sizeof(url), "%s/%s", said(w, "admin"), path);
	rig_post(&w->rig, url, json);
}

static void on_got(struct http_req *req, int status)
{
	waiter_over(req->ctx, status);
}

json_t *world_get(struct world *w, const char *path)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct waiter done;
	char url[160];
	struct http_req req = { .method = HTTP_GET,
				.url = url,
				.ret_body = &body,
				.ctx = &done,
				.done = on_got };
	json_t *v = NULL;

	(void)snprintf(url, sizeof(url), "%s/%s", said(w, "admin"), path);
	buf_init(&body, 8u << 20);
	waiter_init(&done);
	assert_int_equal(waiter_fini(&done, http_start(w->rig.http, &req)), 0);
	assert_int_equal(json_read(buf_slice(&body), 1000000, &v), 0);
	return v;
}

unsigned world_count(struct world *w, const char *kind)
{
	_cleanup_json_ json_t *books = world_get(w, "ledger");
	const json_t *line;
	unsigned n = 0;
	size_t i;

	json_array_foreach(json_object_get(books, "entries"), i, line)
	{
		n += strcmp(json_string_value(json_object_get(line, "kind")),
			    kind) == 0;
	}
	assert_true(json_is_true(json_object_get(books, "balanced")));
	return n;
}

unsigned world_count_adds(struct world *w, const struct piece_cid *cid)
{
	_cleanup_json_ json_t *books = world_get(w, "ledger");
	_cleanup_buf_ struct buf hex = { 0 };
	const json_t *line, *piece;
	unsigned n = 0;
	size_t i, k;

	buf_init(&hex, 256);
	assert_int_equal(json_put_hex(&hex, piece_cid_slice(cid)), 0);
	assert_int_equal(buf_u8(&hex, 0), 0);
	json_array_foreach(json_object_get(books, "entries"), i, line)
	{
		json_array_foreach(json_object_get(line, "pieces"), k, piece)
		{
			n += strcmp(json_string_value(piece),
				    (const char *)hex.p) == 0;
		}
	}
	return n;
}

/* ---- the wallet ---- */

static int sign_tx(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	struct world *w = ctx;
	uint8_t hash[ETH_TX_HASH_SIZE];

	return eth_tx_sign(tx, w->owner, ret_raw, hash);
}

static int persist(void *ctx, const struct sender_row *row)
{
	(void)ctx;
	(void)row;
	return 0;
}

static int settled(void *ctx, uint64_t intent, const struct sender_outcome *o)
{
	(void)ctx;
	(void)intent;
	(void)o;
	return 0;
}

static struct sender *sender_of(struct world *w)
{
	struct sender_params p = { .rpc = foc_rpc(w->foc),
				   .chain_id = w->url.net.chain_id,
				   .from = w->payer,
				   .max_fee = U256_MAX,
				   .max_cost = U256_MAX,
				   .confirmations = 2,
				   .poll_ms = 30,
				   .ctx = w,
				   .sign = sign_tx,
				   .persist = persist,
				   .settled = settled };
	struct sender *s = NULL;
	struct err e = { 0 };

	assert_int_equal(sender_new(&p, NULL, 0, &s, &e), 0);
	return s;
}

static void send(struct world *w, struct sender *s, struct address to,
		 const struct buf *data)
{
	static uint64_t intent = 1;
	struct sender_tx tx = { .intent = intent++,
				.to = to,
				.data = buf_slice(data),
				.deadline_ms = PATIENCE_MS };

	(void)w;
	if (sender_run(s, &tx) != 0)
		fail_msg("%s", tx.err.text);
}

void world_pay(struct world *w, const char *usdfc)
{
	struct u256 amount = U256_ZERO;
	struct pay_allow allow = { .rate_allowance = U256_MAX,
				   .lockup_allowance = U256_MAX,
				   .max_lockup_period = u256(86400) };
	char who[ADDRESS_TEXT_MAX], json[200];
	struct contracts_known k;
	struct sender *s;
	struct err e = { 0 };
	struct buf data;

	assert_int_equal(amount_parse(slice_str(usdfc), "USDFC", &amount, &e), 0);
	address_text(w->payer, who);
	(void)snprintf(json, sizeof(json),
		       "{\"address\":\"%s\",\"fil\":\"10\",\"usdfc\":\"%s\"}",
		       who, usdfc);
	world_admin(w, "fund", json);
	assert_int_equal(foc_contracts(w->foc, &k, &e), 0);
	allow.operator= k.fwss;
	s = sender_of(w);
	buf_init(&data, 2048);
	assert_int_equal(token_approve(k.pay, amount, &data), 0);
	send(w, s, k.usdfc, &data);
	buf_reset(&data);
	assert_int_equal(pay_deposit(k.usdfc, w->payer, amount, &data), 0);
	send(w, s, k.pay, &data);
	buf_reset(&data);
	assert_int_equal(pay_set_operator_approval(k.usdfc, true, &allow, &data), 0);
	send(w, s, k.pay, &data);
	buf_fini(&data);
	sender_free(s);
}

void world_login(struct world *w)
{
	static const enum eip712_type types[2] = { EIP712_CREATE_DATA_SET,
						   EIP712_ADD_PIECES };
	struct contracts_known k;
	struct sender *s;
	struct err e = { 0 };
	struct buf data;

	assert_int_equal(foc_contracts(w->foc, &k, &e), 0);
	s = sender_of(w);
	buf_init(&data, 2048);
	assert_int_equal(session_key_login(w->signer, (uint64_t)time(NULL) + 86400,
					   types, 2, slice_str("fildrive"), &data),
			 0);
	send(w, s, k.sessions, &data);
	buf_fini(&data);
	sender_free(s);
}

/* ---- slots ---- */

struct on_loop {
	struct loop_task task;
	int (*f)(void *ctx);
	void *ctx;
	struct waiter w;
};

static void run_on_loop(struct loop_task *t)
{
	struct on_loop *o = container_of(t, struct on_loop, task);

	waiter_over(&o->w, o->f(o->ctx));
}

int world_on_loop(struct world *w, int (*f)(void *ctx), void *ctx)
{
	struct on_loop o = { .task = { .run = run_on_loop }, .f = f, .ctx = ctx };

	waiter_init(&o.w);
	loop_post(w->rig.loop, &o.task);
	return waiter_fini(&o.w, 0);
}

static int make_foc(void *ctx)
{
	struct world *w = ctx;
	struct foc_params p = { .loop = w->rig.loop,
				.http = w->rig.http,
				.url = &w->url,
				.payer = w->payer };

	return foc_new(&p, &w->foc, NULL);
}

static void connect_chain(struct world *w)
{
	assert_int_equal(world_on_loop(w, make_foc, w), 0);
	assert_int_equal(pdp_group_new(&w->group), 0);
}

void world_start(struct world *w, unsigned slot)
{
	struct pdp_params pp = { .http = w->rig.http,
				 .slot = slot,
				 .session = w->session,
				 .drive_id = keys_drive_id(w->keys),
				 .budget = w->budget,
				 .local = true,
				 .poll_ms = 30 };
	struct provider_params p = { .url = w->url_text,
				     .loop = w->rig.loop,
				     .create = true,
				     .notes = &w->notes[slot].ops,
				     .pdp = &pp };
	struct err e = { 0 };

	if (!w->foc)
		connect_chain(w);
	pp.foc = w->foc;
	pp.group = w->group;
	w->notes[slot].die = -1;
	w->notes[slot].dead = false;
	if (provider_new(&p, &w->p[slot], &e) != 0)
		fail_msg("%s", e.text);
}

void world_stop(struct world *w, unsigned slot)
{
	if (w->p[slot]) {
		provider_stop(w->p[slot]);
		assert_true(provider_settle(w->p[slot], PATIENCE_MS));
		assert_true(provider_free(w->p[slot]));
	}
	w->p[slot] = NULL;
}

void world_halt(struct world *w)
{
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		world_stop(w, i);
	pdp_group_free(w->group);
	foc_free(w->foc);
	w->group = NULL;
	w->foc = NULL;
}

uint64_t world_provider(struct world *w, unsigned slot)
{
	struct pdp_status s;

	pdp_status(w->p[slot], &s);
	assert_true(s.chosen);
	return s.provider;
}

void world_new_drive(struct world *w)
{
	struct secret *s = NULL;
	struct err e = { 0 };

	world_halt(w);
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		world_forget(w, i);
	keys_free(w->keys);
	assert_int_equal(secret_new_random(&s), 0);
	assert_int_equal(keys_from_entropy(s, &w->keys), 0);
	secret_free(s);
	world_start(w, 0);
	if (world_attach(w, 0, &e) != 0)
		fail_msg("%s", e.text);
}

/* ---- verbs ---- */

int world_attach(struct world *w, unsigned slot, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	int r = provider_call(w->p[slot], &req);

	if (e)
		*e = req.err;
	return r;
}

int world_put(struct world *w, unsigned slot, const char *name,
	      const struct piece_cid *cid, struct err *e)
{
	struct provider_req req = {
		.verb = PROVIDER_PUT, .cid = *cid, .src = w->io, .src_name = name
	};
	struct commp_sum sum;
	int r;

	assert_int_equal(piece_cid_parse(piece_cid_slice(cid), &sum), 0);
	req.size = sum.raw_size;
	r = provider_call(w->p[slot], &req);
	if (e)
		*e = req.err;
	return r;
}

int world_commit(struct world *w, unsigned slot, const struct piece_cid *cids,
		 size_t n, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_COMMIT,
				    .cids = cids,
				    .n_cids = n };
	int r = provider_call(w->p[slot], &req);

	if (e)
		*e = req.err;
	return r;
}

struct keeping {
	struct world *w;
	unsigned slot;
	const struct piece_cid *cid;
	struct err err;
	int status;
	atomic_bool over;
};

static void *keep(void *arg)
{
	struct keeping *k = arg;

	k->status = world_commit(k->w, k->slot, k->cid, 1, &k->err);
	atomic_store(&k->over, true);
	return NULL;
}

int world_commit_standing(struct world *w, unsigned slot,
			  const struct piece_cid *cid, struct err *e)
{
	struct keeping k = { .w = w, .slot = slot, .cid = cid };
	unsigned more = LANDED_EPOCHS;
	pthread_t thread;

	world_admin(w, "chain", "{\"epochMs\":0}");
	assert_int_equal(pthread_create(&thread, NULL, keep, &k), 0);
	while (!atomic_load(&k.over)) {
		if (world_count_adds(w, cid) == 0 || (more && more--))
			world_admin(w, "advance", "{\"epochs\":1}");
		(void)poll(NULL, 0, 10);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	*e = k.err;
	return k.status;
}

int world_verify(struct world *w, unsigned slot, const char *name,
		 const struct piece_cid *cid, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_VERIFY,
				    .cid = *cid,
				    .src = name ? w->io : NULL,
				    .src_name = name };
	int r = provider_call(w->p[slot], &req);

	if (e)
		*e = req.err;
	return r;
}

struct piece_cid world_piece(struct world *w, size_t n, char ret_name[static 32])
{
	_cleanup_free_ uint8_t *bytes = malloc(n);
	_cleanup_commp_ struct commp *c = NULL;
	struct io_file *f = NULL;
	struct piece_cid cid;
	struct commp_sum sum;

	assert_non_null(bytes);
	for (size_t at = 0; at < n; at += 256)
		assert_true(getrandom(bytes + at, MIN(256, n - at), 0) > 0);
	(void)snprintf(ret_name, 32, "piece-%u", w->n_pieces++);
	assert_int_equal(io_open(w->io, ret_name, O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(io_pwrite(f, bytes, n, 0), 0);
	io_close(f);
	assert_int_equal(commp_new(&c), 0);
	commp_update(c, slice(bytes, n));
	commp_final(c, &sum);
	piece_cid_v2(&sum, &cid);
	return cid;
}

struct piece_cid world_head_piece(struct world *w, uint64_t seq,
				  char ret_name[static 32])
{
	struct piece_spec spec = { .piece = 100 + seq,
				   .kind = PIECE_META,
				   .commit_max = 512,
				   .size_min = 127,
				   .keys = w->keys };
	uint8_t record[300] = { 0 }, digest[PIECE_DIGEST_SIZE] = { 1 };
	_cleanup_piece_writer_ struct piece_writer *pw = NULL;
	const struct trailer_head previous = { .sequence = 0 };
	struct secret *convergence = NULL;
	struct piece_result res;
	struct io_file *f = NULL;

	assert_int_equal(secret_new_random(&convergence), 0);
	spec.convergence = convergence;
	(void)snprintf(ret_name, 32, "piece-%u", w->n_pieces++);
	assert_int_equal(io_open(w->io, ret_name, O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(piece_writer_new(f, &spec, &pw), 0);
	assert_int_equal(piece_writer_commit(pw, slice(record, sizeof(record)),
					     digest, seq),
			 0);
	assert_int_equal(piece_writer_finish(pw, 1, &previous, &res), 0);
	io_close(f);
	secret_free(convergence);
	return res.cid;
}

struct piece_cid world_store(struct world *w, unsigned slot, size_t n)
{
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = world_piece(w, n, name);
	if (world_put(w, slot, name, &cid, &e) != 0 ||
	    world_commit(w, slot, &cid, 1, &e) != 0)
		fail_msg("%s", e.text);
	return cid;
}

/* ---- all of it ---- */

static char *url_of(struct world *w)
{
	const json_t *rpc = json_object_get(w->said, "rpc");
	char *url = NULL;

	assert_true(asprintf(&url, "filecoin://devnet?fwss=%s&endorsements=%s&rpc=%s&rpc=%s&copies=2",
			     said(w, "fwss"), said(w, "endorsements"),
			     json_string_value(json_array_get(rpc, 0)),
			     json_string_value(json_array_get(rpc, 1))) > 0);
	return url;
}

int world_open(void **state)
{
	static const char *const argv[] = { "node",       DEVNET,
					    "--json",     "--until-eof",
					    "--epoch-ms", "50",
					    NULL };
	struct world *w = calloc(1, sizeof(*w));
	struct secret *entropy = NULL;
	uint8_t key[SECRET_SIZE];
	struct err e = { 0 };

	assert_non_null(w);
	log_level_set(LOG_LEVEL_ERROR);
	rig_open(&w->rig, argv);
	assert_int_equal(json_read(slice_str(w->rig.server.line), 1000, &w->said),
			 0);
	w->url_text = url_of(w);
	assert_int_equal(network_url_parse(w->url_text, &w->url, &e), 0);
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(secret_new_random(&entropy), 0);
	assert_int_equal(keys_from_entropy(entropy, &w->keys), 0);
	secret_free(entropy);
	assert_int_equal(getrandom(key, sizeof(key), 0), sizeof(key));
	key[0] &= 0x7f;
	assert_int_equal(secret_new(key, &w->owner), 0);
	key[0] ^= 1;
	assert_int_equal(secret_new(key, &w->session), 0);
	assert_int_equal(address_of_key(w->owner, &w->payer), 0);
	assert_int_equal(address_of_key(w->session, &w->signer), 0);
	assert_int_equal(amount_parse(slice_str("10"), "USDFC", &w->budget, &e), 0);
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		notes_init(&w->notes[i]);
	(void)snprintf(w->root, sizeof(w->root), "/tmp/fildrive-pdp-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(io_dir_new(w->root, &w->io), 0);
	connect_chain(w);
	*state = w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int world_close(void **state)
{
	struct world *w = *state;

	world_halt(w);
	rig_close(&w->rig);
	network_url_fini(&w->url);
	free(w->url_text);
	json_decref(w->said);
	secret_free(w->owner);
	secret_free(w->session);
	keys_free(w->keys);
	io_free(w->io);
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		notes_fini(&w->notes[i]);
	assert_int_equal(nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(w);
	return 0;
}

int world_of_two(void **state)
{
	struct world *w;
	struct err e = { 0 };
	int r = world_open(state);

	w = *state;
	world_pay(w, "50");
	world_login(w);
	for (unsigned i = 0; i < 2; i++) {
		world_start(w, i);
		if (world_attach(w, i, &e) != 0)
			fail_msg("%s", e.text);
	}
	return r;
}
