/*
 * log.h - one line an event, to stderr or syslog
 *
 * The layer that first sees an error from outside logs it once, with the
 * numbers; upper layers only return it.  Never a key, a word or a passphrase.
 * Thread-safe.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/util.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Global on purpose, with the level: the one thing that has no owner. */
void log_level_set(enum log_level level);
void log_to_syslog(const char *ident); /* from now on; ident must stay valid */

void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

/* Logs "text: what the errno means" and returns `code`. */
int log_err(int code, const char *fmt, ...) printf_like(2, 3);

#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
