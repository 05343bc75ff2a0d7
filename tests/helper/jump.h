/*
 * jump.h - a program whose monotonic clock a test sets forward
 *
 * As if the process had been stopped for that long, wherever its threads are just
 * then.  Link jump.c itself into the program (test_jump), so that its libraries see
 * that clock too.  A thread that waits until a time of the clock does not see it:
 * for those there is tests/fs/clock.c.
 */
#ifndef TESTS_HELPER_JUMP_H
#define TESTS_HELPER_JUMP_H

#define JUMP_DAY 86400u

void jump_s(unsigned seconds);

#endif
