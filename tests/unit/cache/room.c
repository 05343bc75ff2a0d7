/* room.c - see room.h */
#include "room.h"

#include <time.h>

uint8_t room_bytes[MIB];

int room_new(void **state)
{
	pattern(room_bytes, MIB, 0, 1);
	return world_new(state);
}

int put_slowly(struct drive *d, uint64_t ino, uint64_t off, size_t n, unsigned *waits)
{
	struct cache_op op = { 0 };
	int r;

	while ((r = cache_write(d->c, &op, ino, off, slice(room_bytes, n), 0)) ==
	       -EINPROGRESS) {
		/* or for the rest of a block that was evicted */
		if (waits)
			*waits += op.miss.kind == CACHE_MISS_ROOM;
		r = fetch_wait(d, &op, 0);
		if (r < 0)
			return r;
	}
	return r;
}

uint64_t du(struct drive *d)
{
	return recorder_used_by(d->rec, "data/");
}

void nap(void)
{
	const struct timespec t = { .tv_nsec = 2000000 };

	(void)nanosleep(&t, NULL);
}

void until_counted(struct drive *d)
{
	uint64_t account = 0, disk = 1;

	for (int k = 0; k < NAPS_MAX && account != disk; k++) {
		nap();
		account = stats(d).disk_bytes;
		disk = du(d);
	}
	assert_int_equal(account, disk);
}
