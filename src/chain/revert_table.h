/*
 * revert_table.h - for revert.c only: the errors that contracts raise
 */
#ifndef CHAIN_REVERT_TABLE_H
#define CHAIN_REVERT_TABLE_H

#include <stdint.h>

#include "chain/revert.h"

struct revert_row {
	uint32_t selector;
	enum revert_kind kind;
	const char *signature; /* with the names of the arguments */
	const char *sentence;  /* NULL: the name and the arguments */
};

extern const struct revert_row revert_table[]; /* ends with a NULL signature */

#endif
