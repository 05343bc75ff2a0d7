/*
 * fuzz_commit.c - commit bodies that the drive's own key has sealed
 *
 * The input is sealed first: random bytes would stop at the AEAD.  A body that
 * is well formed still has to carry a wrapped secret, which no fuzzer makes; so
 * the input's field 17, if it has one, is replaced by an honest wrap.
 */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/record.h"
#include "crypto/secret.h"
#include "crypto/wrap.h"
#include "dag/commit.h"
#include "dag/field.h"
#include "dag/piece_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keys *keys;
static struct secret *convergence;

static void prepare(void)
{
	static const uint8_t zeros[SECRET_SIZE];
	_cleanup_secret_ struct secret *entropy = NULL;
	int r;

	r = secret_init_library();
	assert(r == 0);
	r = secret_new(zeros, &entropy);
	assert(r == 0);
	r = keys_from_entropy(entropy, &keys);
	assert(r == 0);
	r = secret_new(zeros, &convergence);
	assert(r == 0);
}

/* The input with an honest field 17, where the input has it. */
static void rewrap(struct slice in, struct buf *out)
{
	struct field_reader r = field_reader(in, UINT64_MAX);
	uint8_t wrapped[WRAP_SIZE], ad[15] = "convergence";
	uint64_t epoch = 0;
	struct field f;
	int e = 0;

	while (e == 0 && field_next(&r, &f)) {
		if (f.num == 16)
			epoch = f.v;
		if (f.num == 17 && f.wire == FIELD_BYTES) {
			put_le32(ad + 11, (uint32_t)epoch);
			wrap_seal(keys_secret(keys, KEYS_COMMIT),
				  slice(ad, sizeof(ad)), convergence, wrapped);
			f.bytes = slice(wrapped, sizeof(wrapped));
		}
		e = f.wire == FIELD_VARINT ? field_put_num(out, f.num, f.v) :
					     field_put_bytes(out, f.num, f.bytes);
	}
	/* What follows a wrong form stays wrong. */
	if (e == 0)
		e = buf_append(out, slice(r.c.p, r.c.n));
	assert(e == 0);
}

/* As the section of a piece, whose trailer speaks of this commit or of another. */
static void from_piece(struct slice record, const struct commit_info *info)
{
	struct trailer t = { .sequence = info->sequence };
	_cleanup_commit_ struct commit *c = NULL, *other = NULL;
	_cleanup_buf_ struct buf section = { 0 };
	uint8_t head[PIECE_HEAD_MAX];
	size_t n;
	int r;

	sha256_once(record, t.commit.digest);
	buf_init(&section, record.n + sizeof(head));
	n = piece_section_head(t.commit.digest, record.n, head);
	r = buf_append(&section, slice(head, n));
	if (r == 0)
		r = buf_append(&section, record);
	assert(r == 0);
	t.commit.len = (uint32_t)section.n;
	r = piece_commit_parse(buf_slice(&section), &t, keys, &c);
	assert(r == (t.sequence ? 0 : -ENOENT));
	t.sequence++;
	r = piece_commit_parse(buf_slice(&section), &t, keys, &other);
	assert(t.sequence == 0 ? r == -ENOENT : r == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct record_kind kind = { "commit", 1 };
	_cleanup_commit_ struct commit *c = NULL;
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct buf body, b, again;
	int r;

	if (!keys)
		prepare();
	if (size > 16384)
		return 0;
	buf_init(&body, 1 << 20);
	buf_init(&b, 2 << 20);
	buf_init(&again, 2 << 20);
	rewrap(slice(data, size), &body);
	r = record_seal(keys_secret(keys, KEYS_COMMIT), &kind,
			keys_drive_id(keys), buf_slice(&body), &b);
	assert(r == 0);
	if (commit_open(buf_slice(&b), keys, &c) == 0) {
		assert(commit_info(c)->n_pieces <= body.n / 40);
		r = commit_seal(commit_info(c), commit_convergence(c), keys,
				&again, digest);
		assert(r == 0);
		assert(again.n <= b.n); /* unknown fields are not repeated */
		from_piece(buf_slice(&b), commit_info(c));
	}
	buf_fini(&body);
	buf_fini(&b);
	buf_fini(&again);
	return 0;
}
