#include "daemon/stores.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "chain/network.h"
#include "daemon/config.h"
#include "daemon/paystore.h"

#define DIR_SCHEME "dir://"

/*
 * The real path of a folder that may still have to be made: that of its parent,
 * which exists, and the last name.
 */
static int real_path(const char *path, char **ret)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_free_ char *parent = NULL;
	size_t n;
	char *last;

	if (!copy)
		return -ENOMEM;
	*ret = realpath(copy, NULL);
	if (*ret)
		return 0;
	if (errno != ENOENT)
		return -errno;
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	last = strrchr(copy, '/');
	if (!last || strcmp(last, "/..") == 0 || strcmp(last, "/.") == 0)
		return -ENOENT;
	*last++ = '\0';
	parent = realpath(copy[0] ? copy : "/", NULL);
	if (!parent)
		return -errno;
	if (asprintf(ret, "%s/%s", parent[1] ? parent : "", last) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

/* Is `path` the folder `dir`, or in it?  Both are real paths. */
static bool inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int check_dir(const char *url, const char *drive_dir, char **ret_real,
		     struct err *reterr)
{
	_cleanup_free_ char *drive = NULL;
	const char *path = url + strlen(DIR_SCHEME);
	struct stat st;
	int r;

	if (path[0] != '/')
		return err_set(reterr, -EINVAL,
			       "store %.128s: write it with three slashes: dir:///absolute/path",
			       url);
	r = real_path(path, ret_real);
	if (r < 0)
		return err_set(reterr, r, "store %.128s: %s", url, err_str(r));
	r = real_path(drive_dir, &drive);
	if (r == -ENOENT) {
		drive = strdup(drive_dir);
		r = drive ? 0 : -ENOMEM;
	}
	if (r < 0)
		return err_set(reterr, r, "%.128s: %s", drive_dir, err_str(r));
	if (inside(*ret_real, drive) || inside(drive, *ret_real))
		return err_set(reterr, -EINVAL,
			       "store %.128s: a store may not be in the drive directory, nor around it",
			       url);
	if (stat(*ret_real, &st) < 0) {
		if (errno != ENOENT)
			return err_set(reterr, -errno, "store %.128s: %s", url,
				       err_str(errno));
		if (mkdir(*ret_real, 0777) < 0)
			return err_set(reterr, -errno, "store %.128s: %s", url,
				       err_str(errno));
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(reterr, -ENOTDIR, "store %.128s: not a folder", url);
	if (faccessat(AT_FDCWD, *ret_real, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return err_set(reterr, -errno, "store %.128s: %s", url,
			       err_str(errno));
	return 0;
}

int stores_check(const struct config *c, const char *drive_dir, struct err *reterr)
{
	char *real[CONFIG_STORES_MAX] = { NULL };
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < c->n_stores; i++) {
		const char *url = c->stores[i];

		if (paystore_is(url)) {
			_cleanup_network_url_ struct network_url u = { .copies = 0 };

			r = network_url_parse(url, &u, reterr);
			continue;
		}
		if (strncmp(url, DIR_SCHEME, strlen(DIR_SCHEME)) != 0) {
			r = err_set(reterr, -EINVAL,
				    "store %.128s: unknown kind; this version knows dir:///absolute/path and filecoin://",
				    url);
			break;
		}
		r = check_dir(url, drive_dir, &real[i], reterr);
		assert(r < 0 || real[i]);
		for (uint64_t j = 0; r == 0 && j < i; j++)
			if (real[j] && strcmp(real[i], real[j]) == 0)
				r = err_set(reterr, -EINVAL,
					    "stores %.96s and %.96s are one folder: copies in it are no copies",
					    c->stores[j], url);
	}
	for (size_t i = 0; i < CONFIG_STORES_MAX; i++)
		free(real[i]);
	return r;
}
