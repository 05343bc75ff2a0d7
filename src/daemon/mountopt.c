#include "daemon/mountopt.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "cache/cache.h"
#include "daemon/units.h"

#define AT(f) offsetof(struct mountopt, f)

struct place {
	const char *name;
	size_t off;
};

static const struct place texts[] = {
	{ "drive", AT(drive) },
	{ "passfile", AT(passfile) },
	{ "extpass", AT(extpass) },
	{ "snapshot", AT(snapshot) },
};

static const struct place flags[] = {
	{ "foreground", AT(foreground) },
	{ "verbose", AT(verbose) },
	{ "remount", AT(remount) },
};

/* For mount(8) and systemd alone; "x-…" and "X-…" besides. */
static const char *const dropped[] = {
	"defaults", "auto",    "noauto",  "user",    "nouser",
	"users",    "nousers", "owner",   "noowner", "group",
	"nogroup",  "nofail",  "_netdev", "comment",
};

static bool is_dropped(const char *name, size_t n)
{
	if (n == 0 || strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		if (strlen(dropped[i]) == n && strncmp(dropped[i], name, n) == 0)
			return true;
	return false;
}

static int hand_on(struct mountopt *m, const char *word, struct err *reterr)
{
	size_t have = strlen(m->rest), n = strlen(word);

	if (have + n + 2 > sizeof(m->rest))
		return err_set(reterr, -EINVAL, "too many mount options");
	if (have)
		m->rest[have++] = ',';
	memcpy(m->rest + have, word, n + 1);
	return 0;
}

static int with_value(struct mountopt *m, const char *word, size_t n_name,
		      const char *value, struct err *reterr)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (strlen(texts[i].name) != n_name ||
		    strncmp(texts[i].name, word, n_name) != 0)
			continue;
		if (!value[0])
			return err_set(reterr, -EINVAL,
				       "mount option %s needs a value",
				       texts[i].name);
		memcpy((char *)m + texts[i].off, value, strlen(value) + 1);
		return 0;
	}
	if (n_name != strlen("cache_size") ||
	    strncmp(word, "cache_size", n_name) != 0)
		return hand_on(m, word, reterr);
	if (units_parse_size(value, &m->cache_size) < 0)
		return err_set(reterr, -EINVAL,
			       "mount option cache_size=%.64s: not a size such as 20G",
			       value);
	m->has_cache_size = true;
	return cache_size_check(m->cache_size, 0, reterr);
}

static int one(struct mountopt *m, const char *word, struct err *reterr)
{
	size_t n_name = strcspn(word, "=");

	if (is_dropped(word, n_name))
		return 0;
	if (word[n_name])
		return with_value(m, word, n_name, word + n_name + 1, reterr);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(flags[i].name, word) != 0)
			continue;
		*(bool *)((char *)m + flags[i].off) = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].name, word) == 0)
			return err_set(reterr, -EINVAL,
				       "mount option %s needs a value", word);
	return hand_on(m, word, reterr);
}

int mountopt_parse(const char *text, struct mountopt *ret, struct err *reterr)
{
	char word[MOUNTOPT_VALUE_MAX];
	size_t n = 0;
	int r;

	for (;; text++) {
		bool escaped = text[0] == '\\' &&
			       (text[1] == ',' || text[1] == '\\');

		if (!escaped && (*text == ',' || *text == '\0')) {
			word[n] = '\0';
			r = one(ret, word, reterr);
			if (r < 0 || *text == '\0')
				return r;
			n = 0;
			continue;
		}
		if (n + 1 == sizeof(word))
			return err_set(reterr, -EINVAL,
				       "a mount option is too long");
		text += escaped;
		word[n++] = *text;
	}
}
