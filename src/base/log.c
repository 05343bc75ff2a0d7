#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>

#include "base/err.h"

#define LOG_LINE_MAX 1024 /* bytes; longer lines are cut */

static _Atomic(int) log_level = LOG_LEVEL_INFO;
static atomic_bool log_syslog;

void log_level_set(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

void log_to_syslog(const char *ident)
{
	openlog(ident, LOG_PID, LOG_DAEMON);
	atomic_store(&log_syslog, true);
}

static void log_write(enum log_level level, const char *line)
{
	static const int prio[] = { LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
	static const char *const word[] = { "error: ", "warning: ", "", "" };

	if (atomic_load(&log_syslog))
		syslog(prio[level], "%s", line);
	else
		(void)fprintf(stderr, "fildrive: %s%s\n", word[level], line);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	if ((int)level > atomic_load(&log_level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap); /* cut is fine */
	va_end(ap);
	log_write(level, line);
}

int log_err(int code, const char *fmt, ...)
{
	char text[LOG_LINE_MAX - 128];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	log_line(LOG_LEVEL_ERROR, "%s: %s", text, err_str(code));
	return code;
}
