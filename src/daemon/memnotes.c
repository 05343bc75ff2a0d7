#include "daemon/memnotes.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/thread.h"

struct note {
	char key[PROVIDER_NOTE_KEY_MAX];
	struct buf value;
};

struct memnotes {
	struct lock lock;
	struct note list[MEMNOTES_MAX]; /* lock: lock; key empty: free */
	struct provider_notes ops;
};

static struct note *find(struct memnotes *m, const char *key)
{
	for (size_t i = 0; i < MEMNOTES_MAX; i++)
		if (strcmp(m->list[i].key, key) == 0)
			return &m->list[i];
	return NULL;
}

static int get(void *ctx, const char *key, struct buf *ret)
{
	struct memnotes *m = ctx;
	int r = -ENOENT;
	struct note *t;

	lock_take(&m->lock);
	t = key[0] ? find(m, key) : NULL;
	if (t)
		r = buf_append(ret, buf_slice(&t->value));
	lock_drop(&m->lock);
	return r;
}

static int set(void *ctx, const char *key, struct slice value)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct memnotes *m = ctx;
	struct note *t;
	int r;

	if (!key[0] || strnlen(key, PROVIDER_NOTE_KEY_MAX) == PROVIDER_NOTE_KEY_MAX)
		return -EINVAL;
	buf_init(&b, PROVIDER_NOTE_MAX);
	r = buf_append(&b, value);
	if (r < 0)
		return r;
	lock_take(&m->lock);
	t = find(m, key);
	t = t ? t : find(m, "");
	if (t) {
		text_copy(t->key, sizeof(t->key), key);
		buf_fini(&t->value);
		t->value = b;
		b = (struct buf){ 0 };
	}
	lock_drop(&m->lock);
	return t ? 0 : -ENOSPC;
}

static int drop(void *ctx, const char *key)
{
	struct memnotes *m = ctx;
	struct note *t;

	lock_take(&m->lock);
	t = key[0] ? find(m, key) : NULL;
	if (t) {
		t->key[0] = '\0';
		buf_fini(&t->value);
	}
	lock_drop(&m->lock);
	return 0;
}

/* Of note i, if its key begins so: a copy, since `cb` may change notes.  1: it does. */
static int copy_of(struct memnotes *m, size_t i, const char *prefix,
		   char key[static PROVIDER_NOTE_KEY_MAX], struct buf *ret)
{
	int r = 0;

	lock_take(&m->lock);
	if (m->list[i].key[0] &&
	    strncmp(m->list[i].key, prefix, strlen(prefix)) == 0) {
		text_copy(key, PROVIDER_NOTE_KEY_MAX, m->list[i].key);
		r = buf_append(ret, buf_slice(&m->list[i].value));
		r = r < 0 ? r : 1;
	}
	lock_drop(&m->lock);
	return r;
}

static int each(void *ctx, const char *prefix,
		int (*cb)(void *cb_ctx, const char *key, struct slice value),
		void *cb_ctx)
{
	struct memnotes *m = ctx;
	char key[PROVIDER_NOTE_KEY_MAX];
	int r = 0;

	for (size_t i = 0; i < MEMNOTES_MAX && r == 0; i++) {
		_cleanup_buf_ struct buf copy = { 0 };

		buf_init(&copy, PROVIDER_NOTE_MAX);
		r = copy_of(m, i, prefix, key, &copy);
		if (r == 1)
			r = cb(cb_ctx, key, buf_slice(&copy));
	}
	return r;
}

int memnotes_new(struct memnotes **ret)
{
	struct memnotes *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	lock_init(&m->lock);
	m->ops = (struct provider_notes){ get, set, drop, each, NULL, m };
	*ret = m;
	return 0;
}

void memnotes_free(struct memnotes *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < MEMNOTES_MAX; i++)
		buf_fini(&m->list[i].value);
	lock_fini(&m->lock);
	free(m);
}

const struct provider_notes *memnotes_ops(const struct memnotes *m)
{
	return &m->ops;
}
