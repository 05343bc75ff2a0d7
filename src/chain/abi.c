#include "chain/abi.h"

#include <assert.h>
#include <errno.h>

#include "base/cursor.h"

/* --- writing --- */

static struct abi_frame *top(struct abi_out *o)
{
	assert(o->depth > 0);
	return &o->frame[o->depth - 1];
}

static void note(struct abi_out *o, int r)
{
	if (r < 0 && !o->err)
		o->err = r;
}

static void frame_init(struct abi_frame *f, size_t max, bool array)
{
	*f = (struct abi_frame){ .array = array };
	buf_init(&f->head, max);
	buf_init(&f->tail, max);
	buf_init(&f->moved, max);
}

static void frame_fini(struct abi_frame *f)
{
	buf_fini(&f->head);
	buf_fini(&f->tail);
	buf_fini(&f->moved);
}

void abi_out_init(struct abi_out *o, size_t max)
{
	*o = (struct abi_out){ .depth = 1 };
	buf_init(&o->out, max);
	frame_init(&o->frame[0], max, false);
}

void abi_out_fini(struct abi_out *o)
{
	buf_fini(&o->out);
	for (size_t i = 0; i < ABI_DEPTH_MAX; i++)
		frame_fini(&o->frame[i]);
}

void abi_put_selector(struct abi_out *o, uint32_t selector)
{
	const uint8_t be[4] = {
		(uint8_t)(selector >> 24),
		(uint8_t)(selector >> 16),
		(uint8_t)(selector >> 8),
		(uint8_t)selector,
	};

	assert(o->out.n == 0 && o->depth == 1 && o->frame[0].n == 0);
	note(o, buf_append(&o->out, slice(be, sizeof(be))));
}

static int put_word(struct buf *b, struct u256 v)
{
	uint8_t word[ABI_WORD];

	u256_to_be(v, word);
	return buf_append(b, slice(word, sizeof(word)));
}

void abi_put_u256(struct abi_out *o, struct u256 v)
{
	struct abi_frame *f = top(o);

	f->n++;
	note(o, put_word(&f->head, v));
}

void abi_put_u64(struct abi_out *o, uint64_t v)
{
	abi_put_u256(o, u256(v));
}

void abi_put_bool(struct abi_out *o, bool v)
{
	abi_put_u64(o, v ? 1 : 0);
}

void abi_put_address(struct abi_out *o, struct address a)
{
	uint8_t word[ABI_WORD] = { 0 };

	memcpy(word + ABI_WORD - ADDRESS_SIZE, a.b, ADDRESS_SIZE);
	abi_put_bytes32(o, word);
}

void abi_put_bytes32(struct abi_out *o, const uint8_t b[static ABI_WORD])
{
	struct abi_frame *f = top(o);

	f->n++;
	note(o, buf_append(&f->head, slice(b, ABI_WORD)));
}

/*
 * A member of `f` that stands in its tail, where the caller appends it next.
 * The head's length is not known before its end, which adds it to the offset.
 */
static int put_offset(struct abi_frame *f)
{
	int r;

	f->n++;
	r = buf_le32(&f->moved, (uint32_t)f->head.n);
	if (r < 0)
		return r;
	return put_word(&f->head, u256(f->tail.n));
}

static int put_padded(struct buf *b, struct slice s)
{
	size_t rest = s.n % ABI_WORD;
	uint8_t *padding;
	int r;

	r = put_word(b, u256(s.n));
	if (r == 0)
		r = buf_append(b, s);
	if (r == 0 && rest) {
		r = buf_grow(b, ABI_WORD - rest, &padding);
		if (r == 0)
			memset(padding, 0, ABI_WORD - rest);
	}
	return r;
}

void abi_put_bytes(struct abi_out *o, struct slice s)
{
	struct abi_frame *f = top(o);

	note(o, put_offset(f));
	note(o, put_padded(&f->tail, s));
}

void abi_put_string(struct abi_out *o, struct slice s)
{
	abi_put_bytes(o, s);
}

static void begin(struct abi_out *o, bool array)
{
	assert(o->depth < ABI_DEPTH_MAX);
	frame_init(&o->frame[o->depth++], o->out.max, array);
}

void abi_begin_array(struct abi_out *o)
{
	begin(o, true);
}

void abi_begin_tuple(struct abi_out *o)
{
	begin(o, false);
}

/* Head, with its offsets made final, and tail. */
static int append_frame(struct buf *b, struct abi_frame *f)
{
	struct cursor moved = cursor(buf_slice(&f->moved));
	int r;

	while (moved.n) {
		uint8_t *word = f->head.p + cursor_le32(&moved);

		u256_to_be(u256(u256_from_be(word).w[0] + f->head.n), word);
	}
	r = buf_append(b, buf_slice(&f->head));
	return r < 0 ? r : buf_append(b, buf_slice(&f->tail));
}

void abi_end(struct abi_out *o)
{
	struct abi_frame *f = top(o), *up;

	assert(o->depth > 1);
	o->depth--;
	up = top(o);
	if (!o->err) {
		if (!f->array && !f->moved.n) {
			/* All of fixed size: one member, in place. */
			up->n++;
			note(o, buf_append(&up->head, buf_slice(&f->head)));
		} else {
			note(o, put_offset(up));
			if (f->array)
				note(o, put_word(&up->tail, u256(f->n)));
			note(o, append_frame(&up->tail, f));
		}
	}
	frame_fini(f);
}

int abi_out_done(struct abi_out *o, struct slice *ret)
{
	assert(o->depth == 1);
	if (!o->err)
		note(o, append_frame(&o->out, &o->frame[0]));
	frame_fini(&o->frame[0]);
	if (o->err)
		return o->err;
	*ret = buf_slice(&o->out);
	return 0;
}

/* --- reading --- */

struct abi_in abi_open(struct abi_doc *doc, struct slice data)
{
	*doc = (struct abi_doc){ data, data.n, 0 };
	return (struct abi_in){ doc, 0, 0, 1 };
}

void abi_fail(struct abi_in *in, int err)
{
	if (!in->doc->err)
		in->doc->err = err;
}

/* `n` bytes at `at`, which have not been read before; empty after an error. */
static struct slice take(struct abi_in *in, size_t at, size_t n)
{
	struct abi_doc *d = in->doc;

	if (d->err)
		return SLICE_NONE;
	if (at > d->data.n || n > d->data.n - at || n > d->left) {
		abi_fail(in, -EPROTO);
		return SLICE_NONE;
	}
	d->left -= n;
	return slice(d->data.p + at, n);
}

static const uint8_t *next_word(struct abi_in *in)
{
	static const uint8_t zeros[ABI_WORD];
	struct slice s = take(in, in->at, ABI_WORD);

	if (s.n != ABI_WORD)
		return zeros;
	in->at += ABI_WORD;
	return s.p;
}

struct u256 abi_get_u256(struct abi_in *in)
{
	return u256_from_be(next_word(in));
}

uint64_t abi_get_u64(struct abi_in *in)
{
	struct u256 v = abi_get_u256(in);

	if (!u256_fits_u64(v)) {
		abi_fail(in, -EPROTO);
		return 0;
	}
	return v.w[0];
}

uint64_t abi_get_u64_capped(struct abi_in *in)
{
	return u256_cap_u64(abi_get_u256(in));
}

uint8_t abi_get_u8(struct abi_in *in)
{
	uint64_t v = abi_get_u64(in);

	if (v > UINT8_MAX) {
		abi_fail(in, -EPROTO);
		return 0;
	}
	return (uint8_t)v;
}

bool abi_get_bool(struct abi_in *in)
{
	uint64_t v = abi_get_u64(in);

	if (v > 1)
		abi_fail(in, -EPROTO);
	return v == 1;
}

static bool all_zero(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i])
			return false;
	return true;
}

struct address abi_get_address(struct abi_in *in)
{
	const uint8_t *word = next_word(in);
	struct address a;

	if (!all_zero(slice(word, ABI_WORD - ADDRESS_SIZE))) {
		abi_fail(in, -EPROTO);
		return ADDRESS_NONE;
	}
	memcpy(a.b, word + ABI_WORD - ADDRESS_SIZE, ADDRESS_SIZE);
	return a;
}

void abi_get_bytes32(struct abi_in *in, uint8_t ret[static ABI_WORD])
{
	memcpy(ret, next_word(in), ABI_WORD);
}

/* What the offset that stands next points to; its words read as a new head. */
static struct abi_in follow(struct abi_in *in)
{
	size_t base = in->base;
	uint64_t off = abi_get_u64(in);
	struct abi_in to = { in->doc, 0, 0, in->depth + 1 };

	if (to.depth > ABI_DEPTH_MAX || off > in->doc->data.n - base) {
		abi_fail(in, -EPROTO);
		return to;
	}
	to.base = base + (size_t)off;
	to.at = to.base;
	return to;
}

struct slice abi_get_bytes(struct abi_in *in)
{
	struct abi_in to = follow(in);
	uint64_t n = abi_get_u64(&to);
	struct slice all;

	if (n > in->doc->data.n) {
		abi_fail(in, -EPROTO);
		return SLICE_NONE;
	}
	all = take(&to, to.at, (size_t)align_up(n, ABI_WORD));
	if (in->doc->err)
		return SLICE_NONE;
	if (!all_zero(slice(all.p + n, all.n - (size_t)n))) {
		abi_fail(in, -EPROTO);
		return SLICE_NONE;
	}
	return slice(all.p, (size_t)n);
}

struct slice abi_get_string(struct abi_in *in)
{
	return abi_get_bytes(in);
}

struct abi_in abi_get_tuple(struct abi_in *in)
{
	return follow(in);
}

struct abi_in abi_get_array(struct abi_in *in, size_t words, size_t *ret_n)
{
	struct abi_in to = follow(in);
	uint64_t n = abi_get_u64(&to);

	assert(words > 0);
	*ret_n = 0;
	to.base = to.at;
	if (in->doc->err)
		return to;
	if (n > in->doc->left / ABI_WORD / words) {
		abi_fail(in, -EPROTO);
		return to;
	}
	*ret_n = (size_t)n;
	return to;
}

int abi_close(const struct abi_doc *doc)
{
	if (doc->err)
		return doc->err;
	return doc->left ? -EPROTO : 0;
}
