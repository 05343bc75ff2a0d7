#include "daemon/txlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/aead.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "daemon/drive.h"
#include "net/json.h"

#define NAME_MAX_ 32
#define AD_MAX    64
#define VALUES    64 /* of one file's JSON */

struct txlog {
	struct io *io;
	struct secret *key;
	uint8_t drive_id[KEYS_DRIVE_ID_SIZE];
	int lock_fd;
	struct list txs; /* struct txlog_tx, by number */
	uint64_t next;
};

static void tx_free(struct txlog_tx *tx)
{
	for (unsigned i = 0; i < tx->n_raw; i++)
		buf_fini(&tx->raw[i]);
	free(tx);
}

/* ---- a file ---- */

static void name_of(uint64_t intent, char ret[static NAME_MAX_])
{
	(void)snprintf(ret, NAME_MAX_, TXLOG_DIR "/%016" PRIx64, intent); /* fits */
}

static struct slice ad_of(const struct txlog *l, const char *name,
			  uint8_t room[static AD_MAX])
{
	size_t n = strlen(name);

	memcpy(room, l->drive_id, sizeof(l->drive_id));
	memcpy(room + sizeof(l->drive_id), name, n);
	return slice(room, sizeof(l->drive_id) + n);
}

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

static json_t *sum_json(struct u256 v)
{
	char text[U256_TEXT_MAX];

	u256_text(v, text);
	return json_string(text);
}

static json_t *bytes_json(struct slice s)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, 2 * ETH_TX_MAX + 16);
	return json_put_hex(&b, s) < 0 || buf_u8(&b, 0) < 0 ?
		       NULL :
		       json_string((const char *)b.p);
}

static json_t *raw_json(const struct txlog_tx *tx)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (unsigned i = 0; r == 0 && i < tx->n_raw; i++)
		r = json_array_append_new(a, bytes_json(buf_slice(&tx->raw[i])));
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static json_t *tx_json(const struct txlog_tx *tx)
{
	const struct sender_outcome *out = &tx->outcome;
	json_t *o = json_object();
	int r = o ? 0 : -1;

	r |= put(o, "time", json_integer((json_int_t)tx->time));
	r |= put(o, "state", json_integer(tx->state));
	r |= put(o, "what", json_string(tx->what));
	r |= put(o, "text", json_string(tx->text));
	r |= put(o, "amount", sum_json(tx->amount));
	r |= put(o, "needs_fil", sum_json(tx->needs_fil));
	r |= put(o, "told", json_boolean(tx->told));
	r |= put(o, "raw", raw_json(tx));
	r |= put(o, "end", json_integer(out->end));
	r |= put(o, "hash", bytes_json(slice(out->hash, sizeof(out->hash))));
	r |= put(o, "block", json_integer((json_int_t)out->block));
	r |= put(o, "fee", sum_json(out->fee));
	r |= put(o, "why", json_string(out->err.text));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

static int get_u64(const json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return -EUCLEAN;
	*ret = (uint64_t)n;
	return 0;
}

static int get_sum(const json_t *o, const char *key, struct u256 *ret)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && u256_from_text(slice_str(s), ret) == 0 ? 0 : -EUCLEAN;
}

static int get_text(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s)
		return -EUCLEAN;
	text_copy(ret, size, s);
	return 0;
}

static int get_raw(const json_t *o, struct txlog_tx *tx)
{
	const json_t *a = json_object_get(o, "raw");
	int r = json_is_array(a) && json_array_size(a) <= SENDER_ATTEMPTS_MAX ?
			0 :
			-EUCLEAN;

	for (size_t i = 0; r == 0 && i < json_array_size(a); i++) {
		buf_init(&tx->raw[i], ETH_TX_MAX);
		tx->n_raw++;
		r = json_hex_bytes(json_array_get(a, i), &tx->raw[i]);
	}
	return r;
}

static int tx_read(const json_t *o, struct txlog_tx *tx)
{
	struct sender_outcome *out = &tx->outcome;
	uint64_t state = 0, end = 0;
	int r = 0;

	r |= get_u64(o, "time", INT64_MAX, &tx->time);
	r |= get_u64(o, "state", TXLOG_OVER, &state);
	r |= get_text(o, "what", tx->what, sizeof(tx->what));
	r |= get_text(o, "text", tx->text, sizeof(tx->text));
	r |= get_sum(o, "amount", &tx->amount);
	r |= get_sum(o, "needs_fil", &tx->needs_fil);
	r |= get_raw(o, tx);
	r |= get_u64(o, "end", SENDER_DISPLACED, &end);
	r |= get_u64(o, "block", INT64_MAX, &out->block);
	r |= json_hex_fixed(json_object_get(o, "hash"), out->hash,
			    sizeof(out->hash));
	r |= get_sum(o, "fee", &out->fee);
	r |= get_text(o, "why", out->err.text, sizeof(out->err.text));
	if (r)
		return -EUCLEAN;
	tx->state = (enum txlog_state)state;
	out->end = (enum sender_end)end;
	tx->told = json_is_true(json_object_get(o, "told"));
	return 0;
}

static int tx_load(struct txlog *l, const char *name, struct txlog_tx *tx)
{
	_cleanup_buf_ struct buf file = { 0 };
	_cleanup_json_ json_t *o = NULL;
	uint8_t room[AD_MAX];
	struct slice text;
	int r;

	buf_init(&file, TXLOG_FILE_MAX);
	r = io_slurp(l->io, name, &file);
	if (r < 0)
		return r;
	if (file.n < AEAD_MARK_SIZE)
		return -EUCLEAN;
	text = slice(file.p + AEAD_MARK_SIZE, file.n - AEAD_MARK_SIZE);
	if (aead_open(l->key, ad_of(l, name, room), text, file.p,
		      file.p + AEAD_MARK_SIZE) < 0)
		return -EUCLEAN;
	r = json_read(text, VALUES, &o);
	if (r < 0)
		return r == -ENOMEM ? r : -EUCLEAN;
	return tx_read(o, tx);
}

int txlog_write(struct txlog *l, const struct txlog_tx *tx)
{
	_cleanup_json_ json_t *o = tx_json(tx);
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf file = { 0 };
	uint8_t room[AD_MAX], *p = NULL;
	char name[NAME_MAX_];
	int r;

	text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	if (!text)
		return -ENOMEM;
	name_of(tx->intent, name);
	buf_init(&file, TXLOG_FILE_MAX);
	r = buf_grow(&file, AEAD_MARK_SIZE + strlen(text), &p);
	if (r < 0)
		return r;
	aead_seal(l->key, ad_of(l, name, room), slice_str(text),
		  p + AEAD_MARK_SIZE, p);
	return io_replace(l->io, TXLOG_DIR, name, buf_slice(&file));
}

/* ---- the list ---- */

static void insert(struct txlog *l, struct txlog_tx *tx)
{
	list_foreach(n, &l->txs) {
		if (container_of(n, struct txlog_tx, node)->intent < tx->intent)
			continue;
		list_push(n, &tx->node); /* before it */
		return;
	}
	list_push(&l->txs, &tx->node);
}

struct found {
	struct txlog *l;
	struct err *err;
};

static int on_name(void *ctx, const char *name)
{
	struct found *f = ctx;
	struct txlog_tx *tx;
	char path[NAME_MAX_], *end;
	uint64_t intent;
	int r;

	if (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16)
		return 0; /* what io_replace() left half done */
	intent = strtoull(name, &end, 16);
	tx = calloc(1, sizeof(*tx));
	if (!tx)
		return -ENOMEM;
	tx->intent = intent;
	name_of(intent, path);
	r = tx_load(f->l, path, tx);
	if (r < 0) {
		tx_free(tx);
		return err_set(f->err, r,
			       "%s in the drive directory, which a transaction was written down in: %s",
			       path, err_str(r));
	}
	insert(f->l, tx);
	f->l->next = MAX(f->l->next, intent + 1);
	return 0;
}

static int take_lock(const struct drive *d, struct txlog *l, struct err *reterr)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/" TXLOG_DIR, d->dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	l->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (l->lock_fd < 0)
		return err_set(reterr, -errno, "%.160s: %s", path, err_str(errno));
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(reterr, -ENOTUNIQ,
		       "another process sends from this wallet right now; try again when it is through");
}

int txlog_open(const struct drive *d, const struct keys *k, struct txlog **ret,
	       struct err *reterr)
{
	_cleanup_txlog_ struct txlog *l = calloc(1, sizeof(*l));
	struct found f = { .err = reterr };
	int r;

	if (!l)
		return -ENOMEM;
	list_init(&l->txs);
	l->io = d->io;
	l->lock_fd = -1;
	l->next = 1;
	memcpy(l->drive_id, keys_drive_id(k), sizeof(l->drive_id));
	r = secret_derive(keys_drive_secret(k), "wallet log", &l->key);
	if (r < 0)
		return r;
	r = io_mkdir(l->io, TXLOG_DIR);
	if (r == 0)
		r = io_syncdir(l->io, ".");
	if (r < 0 && r != -EEXIST)
		return r;
	r = take_lock(d, l, reterr);
	if (r < 0)
		return r;
	f.l = l;
	r = io_list(l->io, TXLOG_DIR, on_name, &f);
	if (r < 0)
		return r;
	*ret = steal(&l);
	return 0;
}

void txlog_close(struct txlog *l)
{
	if (!l)
		return;
	list_foreach_safe(n, &l->txs)
		tx_free(container_of(n, struct txlog_tx, node));
	secret_free(l->key);
	if (l->lock_fd >= 0)
		(void)close(l->lock_fd); /* and the lock is gone */
	free(l);
}

struct txlog_tx *txlog_next(struct txlog *l, const struct txlog_tx *after)
{
	struct list *n = after ? after->node.next : l->txs.next;

	return n == &l->txs ? NULL : container_of(n, struct txlog_tx, node);
}

struct txlog_tx *txlog_find(struct txlog *l, uint64_t intent)
{
	for (struct txlog_tx *tx = NULL; (tx = txlog_next(l, tx));)
		if (tx->intent == intent)
			return tx;
	return NULL;
}

struct txlog_tx *txlog_in(struct txlog *l, enum txlog_state state,
			  const struct txlog_tx *after)
{
	for (struct txlog_tx *tx = txlog_next(l, after); tx; tx = txlog_next(l, tx))
		if (tx->state == state && tx->n_raw)
			return tx;
	return NULL;
}

int txlog_new(struct txlog *l, const char *what, const char *text,
	      struct u256 amount, struct txlog_tx **ret)
{
	struct txlog_tx *tx = calloc(1, sizeof(*tx));

	if (!tx)
		return -ENOMEM;
	tx->intent = l->next++;
	tx->time = (uint64_t)time(NULL);
	tx->state = TXLOG_OPEN;
	tx->amount = amount;
	text_copy(tx->what, sizeof(tx->what), what);
	text_copy(tx->text, sizeof(tx->text), text);
	list_push(&l->txs, &tx->node);
	*ret = tx;
	return 0;
}

void txlog_forget(struct txlog *l, struct txlog_tx *tx)
{
	(void)l;
	list_del(&tx->node);
	tx_free(tx);
}

int txlog_add_raw(struct txlog_tx *tx, struct slice raw)
{
	struct buf *b = &tx->raw[tx->n_raw];
	int r;

	if (tx->n_raw == SENDER_ATTEMPTS_MAX)
		return -EUCLEAN;
	buf_init(b, ETH_TX_MAX);
	r = buf_append(b, raw);
	if (r == 0)
		tx->n_raw++;
	return r;
}

int txlog_drop(struct txlog *l, struct txlog_tx *tx)
{
	char name[NAME_MAX_];
	int r;

	name_of(tx->intent, name);
	r = io_unlink(l->io, name);
	if (r == 0)
		r = io_syncdir(l->io, TXLOG_DIR);
	if (r < 0)
		return r;
	txlog_forget(l, tx);
	return 0;
}

int txlog_rows(struct txlog *l, struct sender_row **ret, size_t *ret_n)
{
	struct sender_row *rows;
	size_t n = 0;

	for (struct txlog_tx *tx = NULL; (tx = txlog_in(l, TXLOG_OPEN, tx));)
		n += tx->n_raw;
	rows = calloc(MAX(n, 1), sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	n = 0;
	for (struct txlog_tx *tx = NULL; (tx = txlog_in(l, TXLOG_OPEN, tx));)
		for (unsigned i = 0; i < tx->n_raw; i++)
			rows[n++] = (struct sender_row){ tx->intent,
							 buf_slice(&tx->raw[i]) };
	*ret = rows;
	*ret_n = n;
	return 0;
}
