#include "net/http_upload.h"

#include <assert.h>
#include <errno.h>

#include "base/io.h"
#include "net/work.h"

#define UPLOAD_CHUNK (256u << 10) /* bytes */

enum chunk_state {
	CHUNK_FREE,
	CHUNK_READING, /* a worker's */
	CHUNK_FULL
};

struct chunk {
	struct work_item work;
	struct http_upload *up;
	enum chunk_state state;
	uint64_t at; /* in the file */
	size_t n, pos;
	int status;
	uint8_t bytes[UPLOAD_CHUNK];
};

struct http_upload {
	struct work *work;
	struct io_file *f;
	uint64_t next, end; /* to be read: offsets in the file */
	void (*ready)(void *ctx);
	void *ctx;
	unsigned take; /* the chunk to take from */
	struct chunk chunks[2];
};

static void chunk_read(struct work_item *w)
{
	struct chunk *c = container_of(w, struct chunk, work);
	int64_t n = io_pread(c->up->f, c->bytes, c->n, c->at);

	c->status = n < 0 ? (int)n : (size_t)n < c->n ? -EUCLEAN : 0;
}

static void chunk_done(struct work_item *w)
{
	struct chunk *c = container_of(w, struct chunk, work);

	c->state = CHUNK_FULL;
	c->up->ready(c->up->ctx);
}

static void fill(struct http_upload *u, struct chunk *c)
{
	uint64_t left = u->end - u->next;

	if (c->state != CHUNK_FREE || !left)
		return;
	c->state = CHUNK_READING;
	c->at = u->next;
	c->n = MIN(left, sizeof(c->bytes));
	c->pos = 0;
	u->next += c->n;
	work_submit(u->work, &c->work);
}

int http_upload_new(struct work *work, struct io_file *f, uint64_t off, uint64_t n,
		    void (*ready)(void *ctx), void *ctx, struct http_upload **ret)
{
	struct http_upload *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->work = work;
	u->f = f;
	u->next = off;
	u->end = off + n;
	u->ready = ready;
	u->ctx = ctx;
	for (unsigned i = 0; i < ARRAY_LEN(u->chunks); i++) {
		u->chunks[i].up = u;
		u->chunks[i].work.run = chunk_read;
		u->chunks[i].work.done = chunk_done;
	}
	*ret = u;
	return 0;
}

int64_t http_upload_take(struct http_upload *u, void *dst, size_t n)
{
	struct chunk *c = &u->chunks[u->take];

	if (c->state == CHUNK_FREE && u->next == u->end)
		return 0;
	/* In the order of the file: the one that is taken from goes first. */
	fill(u, c);
	fill(u, &u->chunks[!u->take]);
	if (c->state == CHUNK_READING)
		return -EAGAIN;
	if (c->status < 0)
		return c->status;
	n = MIN(n, c->n - c->pos);
	memcpy(dst, c->bytes + c->pos, n);
	c->pos += n;
	if (c->pos == c->n) {
		c->state = CHUNK_FREE;
		u->take = !u->take;
		fill(u, c);
	}
	return (int64_t)n;
}

bool http_upload_busy(const struct http_upload *u)
{
	return u && (u->chunks[0].state == CHUNK_READING ||
		     u->chunks[1].state == CHUNK_READING);
}

void http_upload_free(struct http_upload *u)
{
	assert(!http_upload_busy(u));
	free(u);
}
