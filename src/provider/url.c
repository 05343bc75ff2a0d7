/* url.c - store URLs: what a person may write, and its one canonical form */
#include "provider/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "chain/network.h"

#define DIR_SCHEME      "dir:"
#define FILECOIN_SCHEME "filecoin://"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* %xx to bytes, in place; false for a bad escape or a NUL. */
static bool unescape(char *s)
{
	char *to = s;
	int hi, lo;

	for (; *s; s++, to++) {
		if (*s != '%') {
			*to = *s;
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || (hi == 0 && lo == 0))
			return false;
		*to = (char)(hi * 16 + lo);
		s += 2;
	}
	*to = '\0';
	return true;
}

/* No "." or ".." on the way, no double or trailing slash. */
static bool tidy(char *path)
{
	char *to = path;
	size_t n;

	for (char *s = path; *s;) {
		s += strspn(s, "/");
		n = strcspn(s, "/");
		if ((n == 1 && s[0] == '.') ||
		    (n == 2 && s[0] == '.' && s[1] == '.'))
			return false;
		if (n == 0)
			break;
		*to++ = '/';
		memmove(to, s, n);
		to += n;
		s += n;
	}
	*to = '\0';
	return to != path;
}

int url_dir_path(const char *url, char **ret, struct err *reterr)
{
	_cleanup_free_ char *path = NULL;
	const char *s = url;

	if (strncmp(s, DIR_SCHEME, strlen(DIR_SCHEME)) != 0)
		return err_set(reterr, -EINVAL,
			       "store %s: only dir:///absolute/path and filecoin://network are known",
			       url);
	s += strlen(DIR_SCHEME);
	if (strncmp(s, "//", 2) == 0)
		s += 2;
	if (s[0] != '/')
		return err_set(reterr, -EINVAL,
			       "store %s: write dir:/// and an absolute path", url);
	path = strdup(s);
	if (!path)
		return -ENOMEM;
	if (!unescape(path) || !tidy(path))
		return err_set(reterr, -EINVAL,
			       "store %s: not a path (\"..\", bad %% escape, or the root folder)",
			       url);
	*ret = steal(&path);
	return 0;
}

bool url_is_filecoin(const char *url)
{
	return strncmp(url, FILECOIN_SCHEME, strlen(FILECOIN_SCHEME)) == 0;
}

static int check_filecoin(const char *url, char **ret, struct err *reterr)
{
	_cleanup_network_url_ struct network_url u = { 0 };
	int r;

	r = network_url_parse(url, &u, reterr);
	return r < 0 ? r : network_url_canonical(&u, ret);
}

int provider_url_check(const char *url, char **ret, struct err *reterr)
{
	static const char hex[] = "0123456789abcdef";
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *out = NULL;
	char *to;
	int r;

	if (strlen(url) > PROVIDER_URL_MAX)
		return err_set(reterr, -EINVAL, "a store's URL is too long");
	if (url_is_filecoin(url))
		return check_filecoin(url, ret, reterr);
	r = url_dir_path(url, &path, reterr);
	if (r < 0)
		return r;
	assert(path); /* or r said why not */
	out = malloc(strlen("dir://") + 3 * strlen(path) + 1);
	if (!out)
		return -ENOMEM;
	memcpy(out, "dir://", strlen("dir://"));
	to = out + strlen("dir://");
	for (const char *s = path; *s; s++) {
		if ((unsigned char)*s > ' ' && *s != '%' && *s != 0x7f) {
			*to++ = *s;
			continue;
		}
		*to++ = '%';
		*to++ = hex[(unsigned char)*s >> 4];
		*to++ = hex[(unsigned char)*s & 15];
	}
	*to = '\0';
	if (to - out > PROVIDER_URL_MAX) /* escapes made it longer */
		return err_set(reterr, -EINVAL, "a store's URL is too long");
	*ret = steal(&out);
	return 0;
}
