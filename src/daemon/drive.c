#include "daemon/drive.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "crypto/keys.h"
#include "crypto/slot.h"
#include "daemon/passphrase.h"

static int no_such_drive(const char *name, const char *dir, struct err *reterr)
{
	return err_set(reterr, -ENOENT,
		       "no drive '%.64s' (looked for %.100s); make one: fildrive init --drive %.64s --store URL",
		       name, dir, name);
}

int drive_check_home(struct err *reterr)
{
	_cleanup_free_ char *home = NULL;
	int r = path_home(&home);

	if (r == 0)
		r = path_check_private(home);
	if (r == -EPERM)
		return err_set(reterr, r,
			       "%.160s, the folder of the drives, belongs to somebody else or may be written by others, who could put another drive there; give the drives a folder of their own (FILDRIVE_HOME)",
			       home);
	return r < 0 ? err_set(reterr, r, "%.160s: %s", home ? home : "$HOME",
			       err_str(r)) :
		       0;
}

static int read_config(struct drive *d, struct err *reterr)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = io_slurp(d->io, CONFIG_FILE, &text);
	if (r == -ENOENT)
		return err_set(reterr, r,
			       "%.160s is no drive directory: it has no config",
			       d->dir);
	if (r < 0)
		return err_set(reterr, r, "%.160s/config: %s", d->dir, err_str(r));
	return config_parse(buf_slice(&text), &d->config, reterr);
}

int drive_reread_keys(struct drive *d, struct err *reterr)
{
	int r;

	buf_reset(&d->keys_file);
	r = io_slurp(d->io, DRIVE_KEYS_FILE, &d->keys_file);
	return r < 0 ? err_set(reterr, r, "%.160s/keys: %s", d->dir, err_str(r)) : 0;
}

int drive_open(const char *name, struct drive **ret, struct err *reterr)
{
	_cleanup_drive_ struct drive *d = calloc(1, sizeof(*d));
	struct stat st;
	int r;

	if (!d)
		return -ENOMEM;
	d->lock_fd = -1;
	buf_init(&d->keys_file, SLOT_FILE_SIZE);
	r = path_drive_dir(name, &d->dir);
	if (r == -EINVAL)
		return err_set(reterr, r,
			       "'%.64s' is no name for a drive: 1 to 64 of A-Z a-z 0-9 . _ -",
			       name);
	if (r < 0)
		return r;
	d->name = strdup(name);
	if (!d->name)
		return -ENOMEM;
	if (stat(d->dir, &st) < 0 && errno == ENOENT)
		return no_such_drive(name, d->dir, reterr);
	r = drive_check_home(reterr);
	if (r < 0)
		return r;
	r = io_dir_new(d->dir, &d->io);
	if (r < 0)
		return err_set(reterr, r, "%.160s: %s", d->dir, err_str(r));
	r = read_config(d, reterr);
	if (r < 0)
		return r;
	r = drive_reread_keys(d, reterr);
	if (r < 0)
		return r;
	*ret = steal(&d);
	return 0;
}

void drive_close(struct drive *d)
{
	if (!d)
		return;
	keys_free(d->keys);
	buf_fini(&d->keys_file);
	io_free(d->io);
	if (d->lock_fd >= 0)
		(void)close(d->lock_fd); /* and the lock is gone */
	free(d->dir);
	free(d->name);
	free(d);
}

void drive_leave(struct drive *d)
{
	if (!d)
		return;
	keys_free(d->keys);
	d->keys = NULL;
	if (d->lock_fd >= 0)
		(void)close(d->lock_fd); /* and the lock is gone */
	d->lock_fd = -1;
}

/* ---- keys ---- */

int drive_unlock(struct drive *d, const struct passphrase_from *from,
		 struct passphrase **ret_used, struct err *reterr)
{
	int tries = passphrase_asks(from) ? PASSPHRASE_TRIES : 1;
	int r;

	for (;;) {
		_cleanup_passphrase_ struct passphrase *p = NULL;

		r = passphrase_read(from, &p, reterr);
		if (r < 0)
			return r;
		r = slot_open(buf_slice(&d->keys_file), passphrase_slice(p),
			      &d->keys, reterr);
		if (r == 0 && ret_used)
			*ret_used = steal(&p);
		if (r != -EKEYREJECTED || --tries == 0)
			return r;
		(void)fprintf(stderr, "Wrong passphrase, try again.\n");
		if (reterr)
			reterr->text[0] = '\0';
	}
}

void drive_cache_params(const struct drive *d, struct cache_params *ret)
{
	*ret = (struct cache_params){
		.io = d->io,
		.key = keys_secret(d->keys, KEYS_DB),
		.segment_key = keys_secret(d->keys, KEYS_SEGMENT),
		.max_bytes = d->config.cache_size,
		.reserve_free_bytes = d->config.reserve_free,
		.outbox_floor_bytes = 2 * DRIVE_PIECE_TARGET,
		.commit_interval_ms = (unsigned)d->config.commit_interval,
		.full_timeout_ms = (unsigned)d->config.full_timeout,
	};
	memcpy(ret->drive_id, keys_drive_id(d->keys), sizeof(ret->drive_id));
}

int drive_replace_keys(struct drive *d, struct slice file)
{
	return io_replace(d->io, ".", DRIVE_KEYS_FILE, file);
}

int drive_replace_config(struct drive *d, const struct config *c)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = config_write(c, &text);
	if (r < 0)
		return r;
	return io_replace(d->io, ".", CONFIG_FILE, buf_slice(&text));
}
