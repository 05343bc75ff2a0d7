#include "daemon/txlog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
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
#include "daemon/txlog_text.h"

#define NAME_MAX_ 32
#define AD_MAX    64
#define LOOK_MS   20 /* between two looks at a lock that is held */

struct txlog {
	struct io *io;
	struct secret *key;
	uint8_t drive_id[KEYS_DRIVE_ID_SIZE];
	int lock_fd;
	struct list txs; /* struct txlog_tx, by number */
	uint64_t next;
};

void txlog_tx_fini(struct txlog_tx *tx)
{
	for (unsigned i = 0; i < tx->n_raw; i++)
		buf_fini(&tx->raw[i]);
	tx->n_raw = 0;
}

static void tx_free(struct txlog_tx *tx)
{
	txlog_tx_fini(tx);
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

static int tx_load(struct txlog *l, const char *name, struct txlog_tx *tx)
{
	_cleanup_buf_ struct buf file = { 0 };
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
	return txlog_text_read(text, tx);
}

int txlog_write(struct txlog *l, const struct txlog_tx *tx)
{
	_cleanup_buf_ struct buf file = { 0 };
	uint8_t room[AD_MAX], *p = NULL;
	char name[NAME_MAX_];
	int r;

	name_of(tx->intent, name);
	buf_init(&file, TXLOG_FILE_MAX);
	r = buf_grow(&file, AEAD_MARK_SIZE, &p);
	if (r == 0)
		r = txlog_text_make(tx, &file);
	if (r < 0)
		return r;
	p = file.p + AEAD_MARK_SIZE;
	aead_seal(l->key, ad_of(l, name, room),
		  slice(p, file.n - AEAD_MARK_SIZE), p, file.p);
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

static int take_lock(const struct drive *d, struct txlog *l, unsigned wait_ms,
		     struct err *reterr)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/" TXLOG_DIR, d->dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	l->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (l->lock_fd < 0)
		return err_set(reterr, -errno, "%.160s: %s", path, err_str(errno));
	for (unsigned ms = 0;; ms += LOOK_MS) {
		if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (ms >= wait_ms)
			break;
		(void)poll(NULL, 0, LOOK_MS); /* a pause */
	}
	return err_set(reterr, -ENOTUNIQ,
		       "another process sends from this wallet right now; try again when it is through");
}

int txlog_open(const struct drive *d, const struct keys *k, unsigned wait_ms,
	       struct txlog **ret, struct err *reterr)
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
	r = take_lock(d, l, wait_ms, reterr);
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
