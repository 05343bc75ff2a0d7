/*
 * fuzz_heads.c - the search for the newest head, in a store that answers as it likes
 *
 * What it answers to the names of heads 1 to NAMES is in the input, and so are the
 * pieces that it lists, whose trailers are authentic:
 *
 *   offset  size  field
 *   0       1     flags: see below
 *   1       1     what the caller knows: this number …
 *   2       1     … shifted left by so many bits
 *   3       2     the newest head of an honest register, LE, modulo NAMES
 *   5       1     n, lies
 *   6       3 n   each: the head (LE), and the kind of lie
 *   ...           pieces: sequence and previous sequence, each 8 bytes LE
 *
 * The search ends after so many questions, and an honest register is read aright.
 * Threads are not to be had here: what asks beside each other asks in turn.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/commp.h"
#include "crypto/hash.h"
#include "crypto/record.h"
#include "dag/piece.h"
#include "dag/trailer.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/zerokeys.h"

#define NAMES       2048u /* heads whose names the store can tell apart */
#define NETWORK     314
#define PIECE_BYTES 10000
#define PIECES_MAX  24
#define LIES_MAX    16
#define NO_STACK    (1ull << 46) /* bytes; more than there are */
#define HEADER      6
#define ASKED_MAX \
 12000 /* 18 searches of 16 names in 1 + 4 + 16 rounds, twice */

enum flag {
	ON_NETWORK = 1,
	ENDLESS = 2, /* every other name is claimed, too */
	LATE = 4,    /* the register begins in its middle */
};

enum lie {
	LIE_NONE_THERE,
	LIE_GONE,
	LIE_AWAY,
	LIE_GARBAGE,
	LIE_OTHER,
	LIE_CHANGED,
	LIE_EMPTY,
	LIE_NX
};

struct liar {
	struct provider provider;
	const uint8_t *lies, *pieces;
	size_t n_lies, n_pieces;
	uint64_t begin, end;
	bool endless;
	unsigned n_asked;
};

static uint8_t names[2][NAMES + 1][KEYS_HEAD_NAME_SIZE];
static uint16_t by_name[2][65536]; /* from the first two bytes of a name on: its head */

static void prepare(void)
{
	pthread_attr_t attr;
	int r;

	for (unsigned net = 0; net < 2; net++)
		for (unsigned h = 1; h <= NAMES; h++) {
			uint8_t *p = names[net][h];
			uint16_t at;

			r = keys_head_name(zero_keys(), net ? NETWORK : 0, h, p);
			assert(r == 0);
			at = (uint16_t)(p[0] | p[1] << 8);
			while (by_name[net][at])
				at++;
			by_name[net][at] = (uint16_t)h;
		}
	r = pthread_attr_init(&attr);
	if (r == 0)
		r = pthread_attr_setstacksize(&attr, NO_STACK);
	if (r == 0)
		r = pthread_setattr_default_np(&attr);
	assert(r == 0);
	(void)pthread_attr_destroy(&attr); /* cannot fail */
}

static struct piece_cid piece(uint64_t n)
{
	struct commp_sum sum = { .height = 9 };
	struct piece_cid cid;

	put_le64(sum.root, n);
	piece_cid_v2(&sum, &cid);
	return cid;
}

/* 0 for a name that the table does not hold. */
static uint64_t head_of(bool network, const uint8_t *name)
{
	uint16_t at = (uint16_t)(name[0] | name[1] << 8), h;

	while ((h = by_name[network][at])) {
		if (memcmp(names[network][h], name, KEYS_HEAD_NAME_SIZE) == 0)
			break;
		at++;
	}
	return h;
}

static int put_head(struct liar *l, uint64_t h, enum lie lie, struct buf *b)
{
	static const struct record_kind kind = { "head", 1 };
	struct piece_cid cid = piece(lie == LIE_OTHER ? h / 2 : h);
	int r;

	if (lie == LIE_EMPTY)
		return 0;
	if (lie == LIE_GARBAGE)
		return buf_append(b, slice(l->pieces, l->n_pieces * 16));
	if (l->provider.network)
		r = buf_append(b, piece_cid_slice(&cid));
	else
		r = record_seal(keys_secret(zero_keys(), KEYS_HEAD_SEAL), &kind,
				keys_drive_id(zero_keys()),
				piece_cid_slice(&cid), b);
	if (r == 0 && lie == LIE_CHANGED)
		b->p[b->n / 2] ^= 1;
	return r;
}

static int answer_head(struct liar *l, struct provider_req *req)
{
	uint64_t h = head_of(l->provider.network != 0, req->head_name);
	enum lie lie = LIE_NX;

	for (size_t i = 0; i < l->n_lies && h; i++)
		if ((l->lies[3 * i] | l->lies[3 * i + 1] << 8) == (int)h)
			lie = (enum lie)(l->lies[3 * i + 2] % LIE_NX);
	if (lie == LIE_NX && (h ? h < l->begin || h > l->end : !l->endless))
		lie = LIE_NONE_THERE;
	switch (lie) {
	case LIE_NONE_THERE: return -ENOENT;
	case LIE_GONE: return -ENODATA;
	case LIE_AWAY: return -EREMOTEIO;
	case LIE_GARBAGE:
	case LIE_OTHER:
	case LIE_CHANGED:
	case LIE_EMPTY:
	case LIE_NX: break;
	}
	return put_head(l, h, lie, req->ret_head);
}

/* The last bytes of listed piece i. */
static void answer_tail(struct liar *l, size_t i, struct provider_req *req)
{
	struct trailer t = { .piece = piece_ordinal(1, i + 1),
			     .raw_size = PIECE_BYTES,
			     .kind = PIECE_META,
			     .sequence = get_le64(l->pieces + 16 * i),
			     .commit = { .off = PIECE_HEADER_SIZE, .len = 400 } };
	_cleanup_buf_ struct buf b = { 0 };
	uint8_t digest[PIECE_DIGEST_SIZE], head[PIECE_HEAD_MAX];
	size_t n;

	t.previous.sequence = get_le64(l->pieces + 16 * i + 8);
	if (t.previous.sequence) {
		t.previous.piece = piece_ordinal(1, 1);
		t.previous.cid = piece(t.previous.sequence);
	}
	if (!t.sequence)
		t.commit = (struct trailer_record){ .len = 0 };
	buf_init(&b, TRAILER_RECORD_SIZE);
	if (trailer_seal(&t, zero_keys(), &b) < 0)
		return; /* none of that form exists */
	sha256_once(buf_slice(&b), digest);
	n = piece_section_head(digest, b.n, head);
	assert(n + b.n == TRAILER_SECTION_SIZE && req->n >= TRAILER_SECTION_SIZE);
	memcpy(req->dst, head, n);
	memcpy(req->dst + n, b.p, b.n);
	req->ret_n = TRAILER_SECTION_SIZE;
}

static int answer_piece(struct liar *l, struct provider_req *req)
{
	for (size_t i = 0; i < l->n_pieces; i++) {
		struct piece_cid cid = piece(i);

		if (!piece_cid_eq(&cid, &req->cid))
			continue;
		req->ret_size = PIECE_BYTES;
		if (req->verb == PROVIDER_GET)
			answer_tail(l, i, req);
		return 0;
	}
	return -ENOENT;
}

static int start(struct provider *p, struct provider_req *req)
{
	struct liar *l = container_of(p, struct liar, provider);
	int r = 0;

	l->n_asked++;
	if (req->verb == PROVIDER_HEAD)
		r = answer_head(l, req);
	else if (req->verb == PROVIDER_GET || req->verb == PROVIDER_STAT)
		r = answer_piece(l, req);
	for (size_t i = 0;
	     req->verb == PROVIDER_LIST && r == 0 && i < l->n_pieces; i++) {
		struct piece_cid cid = piece(i);

		r = req->found(req, &cid, PIECE_BYTES - i % 2);
	}
	if (r < 0)
		(void)err_set(&req->err, r, "%s", err_str(r)); /* r, as it was */
	req->done(req, r);
	return 0;
}

static const char *name(struct provider *p)
{
	(void)p;
	return "liar";
}

static const struct provider_ops ops = { .start = start, .name = name };

static void search(struct liar *l, uint64_t known)
{
	struct piece_cid got = { 0 }, want;
	struct err e = { "" };
	struct commp_sum sum;
	uint64_t h = 0;
	int r;

	r = head_newest(&l->provider, zero_keys(), known, &h, &got, &e);
	assert(l->n_asked <= ASKED_MAX);
	assert(r == 0 || r == -ENOENT || e.text[0]);
	if (r == 0)
		assert(h && piece_cid_parse(piece_cid_slice(&got), &sum) == 0);
	if (l->n_lies || l->endless || l->begin > 1 || l->n_pieces)
		return;
	if (l->end == 0) {
		assert(r == -ENOENT);
		return;
	}
	want = piece(l->end);
	assert(r == 0 && h == l->end && piece_cid_eq(&got, &want));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool prepared;
	struct liar l = { .endless = false };
	struct piece_cid first = piece(0);
	uint64_t known;
	size_t used;

	if (size < HEADER)
		return 0;
	if (!prepared)
		prepare();
	prepared = true;
	provider_init(&l.provider, &ops, 0);
	l.provider.network = data[0] & ON_NETWORK ? NETWORK : 0;
	l.endless = data[0] & ENDLESS;
	known = (uint64_t)data[1] << data[2] % 64;
	l.end = (data[3] | (unsigned)data[4] << 8) % NAMES;
	l.begin = data[0] & LATE ? l.end / 2 : 1;
	l.lies = data + HEADER;
	l.n_lies = MIN(MIN(data[5], LIES_MAX), (size - HEADER) / 3);
	used = HEADER + 3 * l.n_lies;
	l.pieces = data + used;
	l.n_pieces = MIN((size - used) / 16, PIECES_MAX);
	search(&l, known);
	best_effort(head_check(&l.provider, zero_keys(), known, &first)); /* ends */
	provider_fini(&l.provider);
	return 0;
}
