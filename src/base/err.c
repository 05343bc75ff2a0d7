#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->text[0])
		return code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap); /* cut is fine */
	va_end(ap);
	return code;
}

/* Where our meaning is narrower than libc's, say ours. */
static const struct {
	int code;
	const char *text;
} err_texts[] = {
	{ EBADMSG, "authentication failed: the bytes were changed" },
	{ EUCLEAN, "the drive directory is inconsistent" },
	{ EPROTO, "malformed record or answer" },
	{ ENOKEY, "the drive is locked" },
	{ EKEYREJECTED, "wrong passphrase" },
	{ EMSGSIZE, "larger than the allowed maximum" },
	{ ECANCELED, "cancelled" },
	{ ETIMEDOUT, "deadline passed" },
	{ EREMOTEIO, "no store could serve the data" },
	{ ESTALE, "superseded by another device" },
	{ ENOTUNIQ, "the drive is in use by another process" },
};

const char *err_str(int code)
{
	int e = code < 0 ? -code : code;
	const char *text;

	for (size_t i = 0; i < ARRAY_LEN(err_texts); i++)
		if (err_texts[i].code == e)
			return err_texts[i].text;
	text = strerrordesc_np(e);
	return text ? text : "unknown error";
}
