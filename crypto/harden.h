/*
 * harden.h - keep other processes and core files away from the keys
 *
 * Guarded memory (secret.h) keeps keys out of swap; this keeps plaintext and
 * everything else of the process out of core files, and other processes of the
 * same user from reading its memory with ptrace(2) or /proc/PID/mem.
 *
 * Afterwards /proc/self belongs to root, as after a setuid program: what needs
 * /proc/self/fd of an ordinary user is done before.  exec(2) undoes the ptrace
 * part, fork(2) does not.
 */
#ifndef CRYPTO_HARDEN_H
#define CRYPTO_HARDEN_H

#include "base/util.h"

/* Once, by the daemon, before it opens a key file.  -errno. */
must_check int process_harden(void);

#endif
