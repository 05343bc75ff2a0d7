/*
 * fuzz.h - what a fuzz target defines
 *
 * A target is one file, fuzz_<what>.c, that defines LLVMFuzzerTestOneInput and
 * hands the bytes to one parser.  Its seeds stand in corpus/<what>/, one input
 * a file, named after what is in it (should-fail-... for what must be refused).
 * The build finds targets by their names.
 *
 * A target returns 0, always; what it finds wrong it reports by crashing:
 * assert(3) for a broken property, the sanitizers for the rest.  It must be
 * deterministic and free what it allocates.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
