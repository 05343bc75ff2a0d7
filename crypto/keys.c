#include "crypto/keys.h"

#include <errno.h>
#include <sodium.h>

#include "crypto/hash.h"
#include "crypto/secret.h"

struct keys {
	struct secret *drive;
	struct secret *use[KEYS_NX];
	uint8_t drive_id[KEYS_DRIVE_ID_SIZE];
};

/* Fixed for ever: they are part of the format. */
static const char *const labels[KEYS_NX] = {
	[KEYS_COMMIT] = "commit", [KEYS_TRAILER] = "trailer",
	[KEYS_HEAD] = "head",     [KEYS_HEAD_SEAL] = "head seal",
	[KEYS_DB] = "local db",   [KEYS_SEGMENT] = "local segment",
};

/* The drive id is public, so it is cut from a hash, not from a subkey. */
static int make_drive_id(struct keys *k)
{
	const struct slice label = slice_str("fildrive drive id");
	uint8_t digest[HASH_SIZE];
	int r;

	r = hash_keyed(k->drive, &label, 1, digest);
	if (r < 0)
		return r;
	memcpy(k->drive_id, digest, sizeof(k->drive_id));
	return 0;
}

/* Takes ownership of `drive`, also on failure. */
static int grow(struct secret *drive, struct keys **ret)
{
	_cleanup_keys_ struct keys *k = calloc(1, sizeof(*k));
	int r;

	if (!k) {
		secret_free(drive);
		return -ENOMEM;
	}
	k->drive = drive;
	for (size_t i = 0; i < KEYS_NX; i++) {
		r = secret_derive(drive, labels[i], &k->use[i]);
		if (r < 0)
			return r;
	}
	r = make_drive_id(k);
	if (r < 0)
		return r;
	*ret = steal(&k);
	return 0;
}

int keys_from_entropy(const struct secret *entropy, struct keys **ret)
{
	struct secret *drive = NULL;
	int r;

	r = secret_derive(entropy, "drive", &drive);
	if (r < 0)
		return r;
	return grow(drive, ret);
}

int keys_from_drive_secret(const struct secret *drive, struct keys **ret)
{
	struct secret *copy = NULL;
	int r;

	r = secret_new(secret_bytes(drive), &copy);
	if (r < 0)
		return r;
	return grow(copy, ret);
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < KEYS_NX; i++)
		secret_free(k->use[i]);
	secret_free(k->drive);
	free(k);
}

int keys_locked(const struct keys *k)
{
	int r = secret_locked(k->drive);

	for (size_t i = 0; i < KEYS_NX && r == 0; i++)
		r = secret_locked(k->use[i]);
	return r;
}

const uint8_t *keys_drive_id(const struct keys *k)
{
	return k->drive_id;
}

const struct secret *keys_secret(const struct keys *k, enum keys_use use)
{
	return k->use[use];
}

const struct secret *keys_drive_secret(const struct keys *k)
{
	return k->drive;
}

int keys_head_name(const struct keys *k, uint64_t network, uint64_t sequence,
		   uint8_t ret[static KEYS_HEAD_NAME_SIZE])
{
	uint8_t message[16];
	const struct slice part = slice(message, sizeof(message));

	put_le64(message, network);
	put_le64(message + 8, sequence);
	return hash_keyed(k->use[KEYS_HEAD], &part, 1, ret);
}
