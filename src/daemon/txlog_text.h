/*
 * txlog_text.h - the JSON of one transaction in the log, without its seal
 *
 * An object with the members of struct txlog_tx, but for its number, which is the
 * file's name; sums are decimal text, bytes "0x…" (net/json.h), states and ends the
 * integers of their enums.
 *
 * Threading: any, values.
 */
#ifndef DAEMON_TXLOG_TEXT_H
#define DAEMON_TXLOG_TEXT_H

#include "daemon/txlog.h"

/* All of `tx` but its number, appended to `to`.  -ENOMEM, -EMSGSIZE (of `to`). */
must_check int txlog_text_make(const struct txlog_tx *tx, struct buf *to);

/*
 * Into a zeroed `tx`, whose attempts are the caller's to free in any case
 * (txlog_tx_fini()).  Words that are too long are cut.  -EUCLEAN: not what
 * txlog_text_make() made; -ENOMEM.
 */
must_check int txlog_text_read(struct slice text, struct txlog_tx *tx);

#endif
