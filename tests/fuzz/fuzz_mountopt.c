/*
 * fuzz_mountopt.c - the string behind -o: ours, and what is left for the mount
 *
 * What both readers accept must not depend on being read once more: the rest
 * of a string contains nothing of ours.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "base/err.h"
#include "daemon/mountopt.h"
#include "fuse/opts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mountopt m, again;
	_cleanup_free_ char *text = malloc(size + 1);
	struct err e = { "" };
	unsigned long flags;
	struct opts o;
	int r;

	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	r = opts_parse(text, &o, &e);
	assert(r == 0 || (r == -EINVAL && e.text[0]) || r == -ENOMEM);
	e.text[0] = '\0';
	r = opts_parse_again(text, MS_NOATIME, &flags, &e);
	assert(r == -ENOMEM ||
	       (r < 0 ? r == -EINVAL && e.text[0] : (flags & MS_NOATIME) != 0));
	memset(&m, 0, sizeof(m));
	e.text[0] = '\0';
	r = mountopt_parse(text, &m, &e);
	assert(r == 0 || (r == -EINVAL && e.text[0]));
	assert(memchr(m.rest, 0, sizeof(m.rest)));
	if (r < 0)
		return 0;
	e.text[0] = '\0';
	r = opts_parse(m.rest, &o, &e);
	assert(r == 0 || (r == -EINVAL && e.text[0]) || r == -ENOMEM);
	if (strchr(m.rest, '\\') || strchr(text, '\\'))
		return 0; /* a comma of a value is one of the list now */
	memset(&again, 0, sizeof(again));
	r = mountopt_parse(m.rest, &again, &e);
	assert(r == 0 && strcmp(again.rest, m.rest) == 0);
	assert(!again.drive[0] && !again.passfile[0] && !again.extpass[0] &&
	       !again.snapshot[0] && !again.has_cache_size &&
	       !again.foreground && !again.verbose);
	return 0;
}
