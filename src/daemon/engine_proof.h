/*
 * engine_proof.h - what status says of the proofs of one store
 *
 * From the notes that the shipper keeps (onboard/watch.h): known too while nothing
 * is onboarded, and as old as it says.
 *
 * Threading: any but the loop's (the ledger waits for the disk).
 */
#ifndef DAEMON_ENGINE_PROOF_H
#define DAEMON_ENGINE_PROOF_H

#include <stdint.h>

struct engine_store;
struct ledger;

/* Fills ret->proof and ret->given; what is not known stays zero. */
void engine_proof(struct ledger *l, uint64_t store, struct engine_store *ret);

#endif
