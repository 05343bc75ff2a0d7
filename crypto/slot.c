#include "crypto/slot.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/secret.h"

#define HEAD_SIZE    32
#define SLOT_SIZE    184
#define SUM_OFF      (HEAD_SIZE + SLOT_MAX * SLOT_SIZE)
#define SLOT_VERSION 1
#define ID_OFF       16

/* Offsets in a slot; slot.h has the table. */
#define OFF_PASSES   8
#define OFF_MEM      16
#define OFF_SALT     24
#define OFF_DRIVE    40
#define OFF_ENTROPY  112
#define SLOT_AD_SIZE 40 /* of the slot that the associated data covers */
#define WRAPPED_SIZE (AEAD_MARK_SIZE + SECRET_SIZE)

_Static_assert(SUM_OFF + HASH_SIZE == SLOT_FILE_SIZE, "the table in slot.h");
_Static_assert(OFF_SALT + crypto_pwhash_SALTBYTES == OFF_DRIVE, "salt");
_Static_assert(OFF_DRIVE + WRAPPED_SIZE == OFF_ENTROPY, "drive secret");
_Static_assert(OFF_ENTROPY + WRAPPED_SIZE == SLOT_SIZE, "entropy");
_Static_assert(SLOT_MEM_MIN >= crypto_pwhash_MEMLIMIT_MIN, "libsodium's bound");
_Static_assert(KEYS_DRIVE_ID_SIZE == HEAD_SIZE - ID_OFF, "drive id");

static const uint8_t magic[8] = { 'f', 'd', 'k', 'e', 'y', 's', '\r', '\n' };

const struct slot_cost slot_cost_default = { 5, 256u << 20 };
const struct slot_cost slot_cost_test = { 1, SLOT_MEM_MIN };

/* What a slot wraps, and under which label. */
enum wrap {
	WRAP_DRIVE,
	WRAP_ENTROPY
};

static const struct {
	const char *label;
	size_t off;
} wraps[] = {
	[WRAP_DRIVE] = { "slot drive", OFF_DRIVE },
	[WRAP_ENTROPY] = { "slot entropy", OFF_ENTROPY },
};

/* The file under work: a copy of its bytes, all of which are ciphertext. */
struct file {
	uint8_t p[SLOT_FILE_SIZE];
	bool damaged; /* the checksum is wrong, or a slot has no valid form */
};

static uint8_t *slot_at(struct file *f, unsigned i)
{
	assert(i < SLOT_MAX);
	return f->p + HEAD_SIZE + (size_t)i * SLOT_SIZE;
}

static bool is_used(struct file *f, unsigned i)
{
	return slot_at(f, i)[0] != 0;
}

static bool cost_is_sane(const struct slot_cost *c)
{
	return c->passes >= 1 && c->mem_bytes >= SLOT_MEM_MIN &&
	       c->mem_bytes <= SLOT_MEM_MAX &&
	       c->passes <= SLOT_WORK_MAX / c->mem_bytes;
}

static struct slot_cost cost_of(const uint8_t *s)
{
	return (struct slot_cost){ get_le64(s + OFF_PASSES), get_le64(s + OFF_MEM) };
}

/* A used slot with a cost in bounds, or a free one of zeros. */
static bool slot_is_sane(const uint8_t *s)
{
	struct slot_cost cost = cost_of(s);

	if (s[0] == 0)
		return sodium_is_zero(s, SLOT_SIZE);
	return s[0] == 1 && sodium_is_zero(s + 1, 7) && cost_is_sane(&cost);
}

static int file_load(struct slice bytes, struct file *ret, struct err *reterr)
{
	uint8_t sum[HASH_SIZE];

	if (bytes.n < HEAD_SIZE || sodium_memcmp(bytes.p, magic, sizeof(magic)) != 0)
		return err_set(reterr, -EPROTO,
			       "this is not a key file; the words can make a new one");
	if (get_le32(bytes.p + 8) != SLOT_VERSION)
		return err_set(reterr, -EPROTO,
			       "the key file has version %u, this program knows version %d: use a newer one",
			       get_le32(bytes.p + 8), SLOT_VERSION);
	if (bytes.n != SLOT_FILE_SIZE)
		return err_set(reterr, -EUCLEAN,
			       "the key file has %zu bytes instead of %d: it is damaged; the words can make a new one",
			       bytes.n, SLOT_FILE_SIZE);
	memcpy(ret->p, bytes.p, SLOT_FILE_SIZE);
	sha256_once(slice(ret->p, SUM_OFF), sum);
	ret->damaged = sodium_memcmp(sum, ret->p + SUM_OFF, HASH_SIZE) != 0 ||
		       !sodium_is_zero(ret->p + 12, 4);
	for (unsigned i = 0; i < SLOT_MAX; i++)
		if (!slot_is_sane(slot_at(ret, i)))
			ret->damaged = true;
	return 0;
}

/*
 * What was found damaged may be any slot but the one that was just opened or
 * written: as long as there are others the file does not become whole by a new sum.
 */
static int file_store(struct file *f, struct buf *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOT_MAX; i++)
		n += !sodium_is_zero(slot_at(f, i), SLOT_SIZE);
	sha256_once(slice(f->p, SUM_OFF), f->p + SUM_OFF);
	if (f->damaged && n > 1)
		f->p[SUM_OFF] ^= 1;
	return buf_append(ret, slice(f->p, SLOT_FILE_SIZE));
}

static int check_passphrase(struct slice p, struct err *reterr)
{
	if (p.n == 0)
		return err_set(reterr, -EINVAL, "the passphrase is empty");
	if (p.n > SLOT_PASSPHRASE_MAX)
		return err_set(reterr, -EINVAL,
			       "the passphrase is longer than %d bytes",
			       SLOT_PASSPHRASE_MAX);
	return 0;
}

/* Argon2id: the key that one passphrase makes of one slot's salt and cost. */
static int stretch(const uint8_t *s, struct slice passphrase,
		   struct secret **ret, struct err *reterr)
{
	struct slot_cost cost = cost_of(s);
	uint8_t key[SECRET_SIZE];
	int r;

	r = crypto_pwhash(key, sizeof(key), (const char *)passphrase.p,
			  passphrase.n, s + OFF_SALT, cost.passes,
			  (size_t)cost.mem_bytes, crypto_pwhash_ALG_ARGON2ID13);
	if (r != 0)
		return err_set(reterr, -ENOMEM,
			       "not enough memory to try the passphrase: %llu MiB are needed",
			       (unsigned long long)(cost.mem_bytes >> 20));
	r = secret_new(key, ret);
	sodium_memzero(key, sizeof(key));
	return r;
}

static void write_ad(struct file *f, unsigned i,
		     uint8_t ad[static HEAD_SIZE + SLOT_AD_SIZE + 1])
{
	memcpy(ad, f->p, HEAD_SIZE);
	memcpy(ad + HEAD_SIZE, slot_at(f, i), SLOT_AD_SIZE);
	ad[HEAD_SIZE + SLOT_AD_SIZE] = (uint8_t)i;
}

static int wrap(struct file *f, unsigned i, const struct secret *stretched,
		enum wrap what, const struct secret *content)
{
	uint8_t ad[HEAD_SIZE + SLOT_AD_SIZE + 1];
	uint8_t *mark = slot_at(f, i) + wraps[what].off;
	_cleanup_secret_ struct secret *key = NULL;
	int r;

	r = secret_derive(stretched, wraps[what].label, &key);
	if (r < 0)
		return r;
	write_ad(f, i, ad);
	aead_seal(key, slice(ad, sizeof(ad)),
		  slice(secret_bytes(content), SECRET_SIZE),
		  mark + AEAD_MARK_SIZE, mark);
	return 0;
}

static int unwrap(struct file *f, unsigned i, const struct secret *stretched,
		  enum wrap what, struct secret **ret)
{
	uint8_t ad[HEAD_SIZE + SLOT_AD_SIZE + 1];
	const uint8_t *mark = slot_at(f, i) + wraps[what].off;
	_cleanup_secret_ struct secret *key = NULL;
	uint8_t text[SECRET_SIZE];
	int r;

	r = secret_derive(stretched, wraps[what].label, &key);
	if (r < 0)
		return r;
	write_ad(f, i, ad);
	r = aead_open(key, slice(ad, sizeof(ad)),
		      slice(mark + AEAD_MARK_SIZE, SECRET_SIZE), mark, text);
	if (r == 0)
		r = secret_new(text, ret);
	sodium_memzero(text, sizeof(text));
	return r;
}

/*
 * The slot whose `what` the passphrase opens: its number, with the content in
 * `*ret`.  -EKEYREJECTED or -EUCLEAN if there is none.
 */
static int find(struct file *f, struct slice passphrase, enum wrap what,
		struct secret **ret, struct err *reterr)
{
	int r;

	r = check_passphrase(passphrase, reterr);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < SLOT_MAX; i++) {
		_cleanup_secret_ struct secret *stretched = NULL;

		if (!is_used(f, i) || !slot_is_sane(slot_at(f, i)))
			continue;
		r = stretch(slot_at(f, i), passphrase, &stretched, reterr);
		if (r < 0)
			return r;
		r = unwrap(f, i, stretched, what, ret);
		if (r == 0)
			return (int)i;
		if (r != -EBADMSG)
			return r;
	}
	if (f->damaged)
		return err_set(reterr, -EUCLEAN,
			       "the key file is damaged, and the passphrase opens nothing of it; the words can make a new one");
	return err_set(reterr, -EKEYREJECTED, "wrong passphrase");
}

/* Fill slot i.  The caller has checked the cost. */
static int fill(struct file *f, unsigned i, const struct secret *entropy,
		struct slice passphrase, const struct slot_cost *cost,
		struct err *reterr)
{
	_cleanup_secret_ struct secret *stretched = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	uint8_t *s = slot_at(f, i);
	int r;

	r = keys_from_entropy(entropy, &keys);
	if (r < 0)
		return r;
	if (sodium_memcmp(keys_drive_id(keys), f->p + ID_OFF, KEYS_DRIVE_ID_SIZE) != 0)
		return err_set(reterr, -EUCLEAN,
			       "the key file holds the words of another drive");
	memset(s, 0, SLOT_SIZE);
	s[0] = 1;
	put_le64(s + OFF_PASSES, cost->passes);
	put_le64(s + OFF_MEM, cost->mem_bytes);
	randombytes_buf(s + OFF_SALT, crypto_pwhash_SALTBYTES);
	r = stretch(s, passphrase, &stretched, reterr);
	if (r < 0)
		return r;
	r = wrap(f, i, stretched, WRAP_DRIVE, keys_drive_secret(keys));
	if (r < 0)
		return r;
	return wrap(f, i, stretched, WRAP_ENTROPY, entropy);
}

static int check_new(struct slice passphrase, const struct slot_cost *cost,
		     struct err *reterr)
{
	if (!cost_is_sane(cost))
		return err_set(reterr, -EINVAL,
			       "the passphrase's cost is out of bounds");
	return check_passphrase(passphrase, reterr);
}

/* Two slots for one passphrase would make slot_remove() a false promise.  `but`: a
 * slot that it may open, -1: none. */
static int refuse_known(struct file *f, struct slice passphrase, int but,
			struct err *reterr)
{
	_cleanup_secret_ struct secret *ignored = NULL;
	int r;

	r = find(f, passphrase, WRAP_DRIVE, &ignored, NULL);
	if (r >= 0 && r != but)
		return err_set(reterr, -EEXIST,
			       "this passphrase opens the drive already");
	return r >= 0 || r == -EKEYREJECTED || r == -EUCLEAN ? 0 : r;
}

static uint64_t work_of(const struct slot_cost *c)
{
	return c->passes * c->mem_bytes; /* of sane ones: no overflow */
}

int slot_create(const struct secret *entropy, struct slice passphrase,
		const struct slot_cost *cost, struct buf *ret_file,
		struct err *reterr)
{
	_cleanup_keys_ struct keys *keys = NULL;
	struct file f = { .damaged = false };
	int r;

	r = check_new(passphrase, cost, reterr);
	if (r < 0)
		return r;
	r = keys_from_entropy(entropy, &keys);
	if (r < 0)
		return r;
	memcpy(f.p, magic, sizeof(magic));
	put_le32(f.p + 8, SLOT_VERSION);
	memcpy(f.p + ID_OFF, keys_drive_id(keys), KEYS_DRIVE_ID_SIZE);
	r = fill(&f, 0, entropy, passphrase, cost, reterr);
	if (r < 0)
		return r;
	return file_store(&f, ret_file);
}

int slot_open(struct slice file, struct slice passphrase, struct keys **ret,
	      struct err *reterr)
{
	_cleanup_secret_ struct secret *drive = NULL;
	_cleanup_keys_ struct keys *keys = NULL;
	struct file f = { .damaged = false };
	int r;

	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	r = find(&f, passphrase, WRAP_DRIVE, &drive, reterr);
	if (r < 0)
		return r;
	r = keys_from_drive_secret(drive, &keys);
	if (r < 0)
		return r;
	if (sodium_memcmp(keys_drive_id(keys), f.p + ID_OFF, KEYS_DRIVE_ID_SIZE) != 0)
		return err_set(reterr, -EUCLEAN,
			       "the key file opens another drive than it names");
	*ret = steal(&keys);
	return 0;
}

int slot_open_entropy(struct slice file, struct slice passphrase,
		      struct secret **ret, struct err *reterr)
{
	struct file f = { .damaged = false };
	int r;

	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	r = find(&f, passphrase, WRAP_ENTROPY, ret, reterr);
	return r < 0 ? r : 0;
}

int slot_add(struct slice file, struct slice passphrase, struct slice added,
	     const struct slot_cost *cost, struct buf *ret_file, struct err *reterr)
{
	_cleanup_secret_ struct secret *entropy = NULL;
	unsigned to = 0;
	struct file f = { .damaged = false };
	int r;

	r = check_new(added, cost, reterr);
	if (r < 0)
		return r;
	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	r = find(&f, passphrase, WRAP_ENTROPY, &entropy, reterr);
	if (r < 0)
		return r;
	while (to < SLOT_MAX && is_used(&f, to))
		to++;
	if (to == SLOT_MAX)
		return err_set(reterr, -ENOSPC,
			       "all %d passphrases are taken: remove one first",
			       SLOT_MAX);
	r = refuse_known(&f, added, -1, reterr);
	if (r < 0)
		return r;
	r = fill(&f, to, entropy, added, cost, reterr);
	if (r < 0)
		return r;
	return file_store(&f, ret_file);
}

int slot_change(struct slice file, struct slice passphrase,
		struct slice changed, const struct slot_cost *cost,
		struct buf *ret_file, struct err *reterr)
{
	_cleanup_secret_ struct secret *entropy = NULL;
	struct file f = { .damaged = false };
	struct slot_cost had;
	int i, r;

	r = check_new(changed, cost, reterr);
	if (r < 0)
		return r;
	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	i = find(&f, passphrase, WRAP_ENTROPY, &entropy, reterr);
	if (i < 0)
		return i;
	r = refuse_known(&f, changed, i, reterr);
	if (r < 0)
		return r;
	had = cost_of(slot_at(&f, (unsigned)i));
	if (work_of(&had) > work_of(cost))
		cost = &had; /* a change never makes it weaker */
	r = fill(&f, (unsigned)i, entropy, changed, cost, reterr);
	if (r < 0)
		return r;
	return file_store(&f, ret_file);
}

int slot_remove(struct slice file, struct slice passphrase,
		struct buf *ret_file, struct err *reterr)
{
	_cleanup_secret_ struct secret *drive = NULL;
	unsigned n_used = 0;
	struct file f = { .damaged = false };
	int i, r;

	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	i = find(&f, passphrase, WRAP_DRIVE, &drive, reterr);
	if (i < 0)
		return i;
	for (unsigned j = 0; j < SLOT_MAX; j++)
		n_used += is_used(&f, j) && slot_is_sane(slot_at(&f, j));
	if (n_used < 2)
		return err_set(reterr, -EBUSY,
			       "this is the last passphrase: change it instead");
	if (f.damaged)
		return err_set(reterr, -EUCLEAN,
			       "the key file is damaged: the other passphrases may open nothing any more, so this one stays; the words can make a new file");
	memset(slot_at(&f, (unsigned)i), 0, SLOT_SIZE);
	return file_store(&f, ret_file);
}

int slot_n_weak(struct slice file, const struct slot_cost *cost, struct err *reterr)
{
	struct file f = { .damaged = false };
	int n = 0, r;

	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < SLOT_MAX; i++) {
		struct slot_cost has = cost_of(slot_at(&f, i));

		n += is_used(&f, i) && slot_is_sane(slot_at(&f, i)) &&
		     (work_of(&has) < work_of(cost) ||
		      has.mem_bytes < cost->mem_bytes);
	}
	return n;
}

int slot_info(struct slice file, struct slot_info *ret, struct err *reterr)
{
	struct slot_info info = { .n_used = 0 };
	struct file f = { .damaged = false };
	int r;

	r = file_load(file, &f, reterr);
	if (r < 0)
		return r;
	memcpy(info.drive_id, f.p + ID_OFF, KEYS_DRIVE_ID_SIZE);
	for (unsigned i = 0; i < SLOT_MAX; i++)
		info.n_used += is_used(&f, i);
	info.damaged = f.damaged;
	*ret = info;
	return 0;
}
