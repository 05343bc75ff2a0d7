/*
 * revert.h - why a contract refused, as a sentence
 *
 * A call that reverts leaves bytes behind: four that name the error, and its
 * arguments.  Known are all errors of the eight contracts, Error(string) and
 * Panic(uint256) of Solidity.  Frequent ones say what a person can do about it;
 * the kind says what a program can.
 *
 * The bytes come from strangers.  The text is printable, one line, and cut to
 * fit.  What is not understood is a sentence too: nothing here fails.
 *
 * Threading: stateless.
 */
#ifndef CHAIN_REVERT_H
#define CHAIN_REVERT_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

enum revert_kind {
	REVERT_OTHER,     /* a program cannot help */
	REVERT_FUNDS,     /* the deposit is too small */
	REVERT_ALLOWANCE, /* over what the payer allowed, or not allowed at all */
	REVERT_SIGNATURE, /* nobody whom the payer trusts signed (now) */
	REVERT_USED,      /* the number was used: clientNonces tells for what */
	REVERT_ENDED,     /* the data set is terminated, or gone */
	REVERT_LATER,     /* may pass in a while */
};

struct revert {
	enum revert_kind kind;
	char name[64]; /* "InsufficientLockupFunds", "Error", "Panic"; or empty */
	char text[256];
};

/* Of the bytes of an answer. */
void revert_read(struct slice data, struct revert *ret);

/*
 * Of the text that a node or a provider wrapped around it: "… revert
 * reason=[…], vm error=[0x…]".  False, and a general sentence, if it holds none.
 */
bool revert_read_text(struct slice text, struct revert *ret);

#endif
