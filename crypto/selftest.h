/*
 * selftest.h - known answers, before anything is written with these libraries
 *
 * A cipher library that a distribution built wrongly, or a processor whose
 * special instructions do not do what they should, would write a drive that no
 * other machine can read.  The daemon asks once at its start; it takes less
 * than a millisecond.
 */
#ifndef CRYPTO_SELFTEST_H
#define CRYPTO_SELFTEST_H

#include "base/util.h"

struct err;

/* -EIO and the name of what gave a wrong answer; -ENOMEM. */
must_check int crypto_selftest(struct err *reterr);

#endif
