/*
 * fuzz_pdp_note.c - a note of a Filecoin slot, as a damaged ledger may give it
 *
 * The input is the note: read as the slot's and as that of an add.  What is read can be
 * written, and what was written says the same when it is read.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider/pdp_impl.h"
#include "tests/fuzz/fuzz.h"

/* The one note that there is. */
static int note_get(void *ctx, const char *key, struct buf *ret)
{
	struct buf *note = ctx;

	assert(strlen(key) < PROVIDER_NOTE_KEY_MAX);
	return buf_append(ret, buf_slice(note));
}

static int note_set(void *ctx, const char *key, struct slice value)
{
	struct buf *note = ctx;

	assert(strlen(key) < PROVIDER_NOTE_KEY_MAX);
	assert(value.n <= PROVIDER_NOTE_MAX);
	note->n = 0;
	return buf_append(note, value);
}

static int note_each(void *ctx, const char *prefix,
		     int (*cb)(void *cb_ctx, const char *key, struct slice value),
		     void *cb_ctx)
{
	struct buf *note = ctx;

	return cb(cb_ctx, prefix, buf_slice(note));
}

static int check_slot(struct pdp *d)
{
	struct pdp_slot s;
	int r = pdp_slot_load(d, &s);

	if (r < 0)
		return r;
	assert(s.chosen && s.client_known);
	assert(memchr(s.url, 0, sizeof(s.url)));
	assert(memchr(s.name, 0, sizeof(s.name)));
	assert(memchr(s.location, 0, sizeof(s.location)));
	return pdp_slot_save(d, &s);
}

static int on_add(void *ctx, struct pdp_add *a)
{
	assert(a->n > 0 && a->n <= PROVIDER_COMMIT_MAX);
	assert(a->state >= PDP_ADD_SIGNED && a->state <= PDP_ADD_DEAD);
	return pdp_add_save(ctx, a);
}

static int check_add(struct pdp *d)
{
	return pdp_adds(d, on_add, d);
}

static int check_loaded(struct pdp *d)
{
	struct pdp_add *a = malloc(sizeof(*a));
	int r;

	assert(a);
	pdp_add_init(a);
	r = pdp_add_load(d, u256(7), a);
	if (r == 0)
		r = on_add(d, a);
	pdp_add_freep(&a);
	return r;
}

static void check(int (*one)(struct pdp *d), const uint8_t *data, size_t size)
{
	struct buf note, first;
	struct pdp *d = calloc(1, sizeof(*d));
	int r;

	assert(d);
	buf_init(&note, PROVIDER_NOTE_MAX);
	buf_init(&first, PROVIDER_NOTE_MAX);
	d->notes = (struct provider_notes){
		.get = note_get, .set = note_set, .each = note_each, .ctx = &note
	};
	r = buf_append(&note, slice(data, size));
	assert(r == 0);
	r = one(d);
	assert(r == 0 || r == -EUCLEAN);
	if (r == 0) {
		r = buf_append(&first, buf_slice(&note));
		assert(r == 0);
		r = one(d);
		assert(r == 0);
		assert(slice_eq(buf_slice(&first), buf_slice(&note)));
	}
	buf_fini(&first);
	buf_fini(&note);
	free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > PROVIDER_NOTE_MAX)
		return 0;
	check(check_slot, data, size);
	check(check_add, data, size);
	check(check_loaded, data, size);
	return 0;
}
