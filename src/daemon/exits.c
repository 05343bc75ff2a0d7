#include "daemon/exits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

static const struct {
	int err;
	enum exits code;
} exits_map[] = {
	{ EKEYREJECTED, EXITS_PASSWORD }, { ENOKEY, EXITS_PASSWORD },
	{ ENOTUNIQ, EXITS_LOCKED },       { EREMOTEIO, EXITS_OFFLINE },
	{ ETIMEDOUT, EXITS_OFFLINE },     { ENOSPC, EXITS_DISK_FULL },
	{ EDQUOT, EXITS_DISK_FULL },      { EBADMSG, EXITS_INTEGRITY },
	{ EUCLEAN, EXITS_INTEGRITY },     { ESTALE, EXITS_INTEGRITY },
	{ EPROTO, EXITS_INTEGRITY },
};

enum exits exits_of(int err)
{
	int e = err < 0 ? -err : err;

	if (e == 0)
		return EXITS_OK;
	for (size_t i = 0; i < ARRAY_LEN(exits_map); i++)
		if (exits_map[i].err == e)
			return exits_map[i].code;
	return EXITS_GENERIC;
}

int exits_say(int code, const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout); /* keeps the order of lines; checked at the end */
	(void)fputs("fildrive: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap); /* nowhere else to say it */
	va_end(ap);
	(void)fputc('\n', stderr);
	return code;
}

int exits_err(int err, const struct err *reason, const char *doing)
{
	if (reason && reason->text[0])
		return exits_say((int)exits_of(err), "%s", reason->text);
	return exits_say((int)exits_of(err), "%s: %s", doing, err_str(err));
}

void exits_out(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vprintf(fmt, ap); /* main() looks at ferror(stdout) */
	va_end(ap);
}

void exits_store(FILE *to, const char *url)
{
	const char *slot = strrchr(url, '#');

	if (strncmp(url, "filecoin://", strlen("filecoin://")) != 0)
		(void)fputs(url, to); /* main() looks at ferror(stdout) */
	else
		(void)fprintf(to, "%.*s%s", (int)strcspn(url, "?#"), url,
			      slot ? slot : "");
}
