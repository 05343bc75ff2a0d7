#include "fuse/opts.h"

#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#include "base/err.h"

#define OPTION_MAX 512 /* bytes, terminated */

struct flag {
	const char *name;
	unsigned long set, clear;
};

#define ATIMES (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

static const struct flag flags[] = {
	{ "ro", MS_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY },
	{ "suid", 0, MS_NOSUID },
	{ "nosuid", MS_NOSUID, 0 },
	{ "dev", 0, MS_NODEV },
	{ "nodev", MS_NODEV, 0 },
	{ "exec", 0, MS_NOEXEC },
	{ "noexec", MS_NOEXEC, 0 },
	{ "diratime", 0, MS_NODIRATIME },
	{ "nodiratime", MS_NODIRATIME, 0 },
	{ "sync", MS_SYNCHRONOUS, 0 },
	{ "async", 0, MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC, 0 },
	{ "noatime", MS_NOATIME, ATIMES },
	{ "atime", MS_RELATIME, ATIMES },
	{ "relatime", MS_RELATIME, ATIMES },
	{ "strictatime", MS_STRICTATIME, ATIMES },
};

/* Taken and without effect here. */
static const char *const ignored[] = {
	"default_permissions",
	"defaults",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"_netdev",
	"nofail",
	"",
};

/* With a value: what mount(8) repeats from /proc/mounts for a remount. */
static const char *const repeated[] = { "user_id", "group_id", "rootmode",
					"blksize", "fd" };

struct token {
	char name[OPTION_MAX];
	const char *value; /* after '='; NULL without one */
};

/* The next option; false at the end.  *over: longer than OPTION_MAX. */
static bool next(const char **at, struct token *t, bool *over)
{
	size_t n = 0;
	char *eq;

	if (!**at)
		return false;
	for (; **at && **at != ','; (*at)++) {
		if (**at == '\\' && (*at)[1])
			(*at)++;
		if (n < OPTION_MAX - 1)
			t->name[n++] = **at;
		else
			*over = true;
	}
	if (**at == ',')
		(*at)++;
	t->name[n] = '\0';
	t->value = NULL;
	eq = strchr(t->name, '=');
	if (eq) {
		*eq = '\0';
		t->value = eq + 1;
	}
	return true;
}

static bool take_flag(struct opts *o, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (strcmp(flags[i].name, name) != 0)
			continue;
		o->flags = (o->flags & ~flags[i].clear) | flags[i].set;
		return true;
	}
	return false;
}

static bool take_word(struct opts *o, const char *name)
{
	if (strcmp(name, "allow_other") == 0)
		o->allow_other = true;
	else if (strcmp(name, "allow_root") == 0)
		o->allow_root = true;
	else if (strcmp(name, "writeback_cache") == 0)
		o->writeback_cache = true;
	else if (strcmp(name, "debug") == 0)
		o->debug = true;
	else
		return false;
	return true;
}

static bool is_ignored(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		if (strcmp(ignored[i], name) == 0)
			return true;
	return strncmp(name, "x-", 2) == 0;
}

static int take_name(char dst[static OPTS_NAME_MAX], const struct token *t,
		     struct err *reterr)
{
	size_t n = strlen(t->value);

	if (n == 0 || n >= OPTS_NAME_MAX)
		return err_set(reterr, -EINVAL, "option %s: must have 1 to %d bytes",
			       t->name, OPTS_NAME_MAX - 1);
	memcpy(dst, t->value, n + 1);
	return 0;
}

static int take_max_read(struct opts *o, const char *value, struct err *reterr)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(value, &end, 10);
	if (errno || *end || end == value || *value == '-' || v < 4096 ||
	    v > 1u << 20)
		return err_set(reterr, -EINVAL,
			       "option max_read=%.32s: must be 4096 to 1048576",
			       value);
	o->max_read = (unsigned)v;
	return 0;
}

static int take(struct opts *o, const struct token *t, struct err *reterr)
{
	if (t->value && strcmp(t->name, "fsname") == 0)
		return take_name(o->fsname, t, reterr);
	if (t->value && strcmp(t->name, "subtype") == 0)
		return take_name(o->subtype, t, reterr);
	if (t->value && strcmp(t->name, "max_read") == 0)
		return take_max_read(o, t->value, reterr);
	if (strncmp(t->name, "x-", 2) == 0)
		return 0;
	if (!t->value && (take_flag(o, t->name) || take_word(o, t->name) ||
			  is_ignored(t->name)))
		return 0;
	return err_set(reterr, -EINVAL, "unknown mount option: %.100s%s%.100s",
		       t->name, t->value ? "=" : "", t->value ? t->value : "");
}

static bool is_repeated(const struct token *t)
{
	for (size_t i = 0; i < ARRAY_LEN(repeated) && t->value; i++)
		if (strcmp(repeated[i], t->name) == 0)
			return true;
	return false;
}

static int parse(const char *text, unsigned long now, bool again,
		 struct opts *ret, struct err *reterr)
{
	struct opts o = { .flags = now, .subtype = "fildrive" };
	const char *at = text ? text : "";
	bool over = false;
	struct token t;

	while (next(&at, &t, &over)) {
		int r;

		if (over)
			return err_set(reterr, -EINVAL,
				       "mount option too long: %.60s…", t.name);
		if (again && is_repeated(&t))
			continue;
		r = take(&o, &t, reterr);
		if (r < 0)
			return r;
	}
	if (o.allow_other && o.allow_root)
		return err_set(reterr, -EINVAL,
			       "allow_other and allow_root exclude each other");
	*ret = o;
	return 0;
}

int opts_parse(const char *text, struct opts *ret, struct err *reterr)
{
	return parse(text, MS_NOSUID | MS_NODEV | MS_NOATIME, false, ret, reterr);
}

int opts_parse_again(const char *text, unsigned long now, unsigned long *ret,
		     struct err *reterr)
{
	const unsigned long fixed = ATIMES | MS_NODIRATIME;
	struct opts o = { .flags = now };
	int r = parse(text, now, true, &o, reterr);

	if (r < 0)
		return r;
	if ((o.flags ^ now) & fixed)
		return err_set(reterr, -EINVAL,
			       "noatime, relatime and strictatime are chosen when a drive is mounted; unmount it first");
	*ret = o.flags;
	return 0;
}
