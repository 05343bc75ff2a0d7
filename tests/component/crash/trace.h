/*
 * trace.h - what a program did to a file system, done again to a drive
 *
 * A trace is text, a line a call, paths from the root without a slash before
 * them and without blanks:
 *
 *   mkdir PATH | create PATH | write PATH OFFSET SIZE | truncate PATH SIZE |
 *   rename OLD NEW | link OLD NEW | unlink PATH | rmdir PATH | sync PATH
 *
 * It holds no bytes: those of a write follow from the number of its line, so that
 * any two differ.  traces/record.py writes traces.
 *
 * Beside the drive a model of the same tree is kept.  trace_hash() tells the
 * model's state in one number, trace_drive_hash() that of a drive: of all paths,
 * kinds, sizes, numbers of links and bytes.
 */
#ifndef CRASH_TRACE_H
#define CRASH_TRACE_H

#include "fakedag.h"

struct trace;

/* Of traces/`name`.trace; failures end the test. */
struct trace *trace_new(const char *name);
void trace_free(struct trace *t);
size_t trace_length(const struct trace *t);

/* Line k, from 0 on; all are done in order.  True if it was a sync. */
bool trace_do(struct trace *t, size_t k, struct drive *d);

uint64_t trace_hash(struct trace *t);
uint64_t trace_drive_hash(struct drive *d);

#endif
