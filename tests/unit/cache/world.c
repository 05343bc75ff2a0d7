#include "world.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int world_new(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	drive_new(&w->d);
	w->f = fakedag_new();
	w->d.p.source = fakedag_source(w->f);
	*state = w;
	return 0;
}

int world_free(void **state)
{
	struct world *w = *state;

	drive_free(&w->d);
	fakedag_free(w->f);
	free(w);
	return 0;
}

void world_drive(const struct world *w, struct drive *d)
{
	assert_int_equal(recorder_new(&d->rec), 0);
	assert_int_equal(secret_new_random(&d->key), 0);
	d->p = w->d.p;
	d->p.io = recorder_io(d->rec);
	d->p.key = d->key;
}

struct cache_stats stats(struct drive *d)
{
	struct cache_stats s;

	cache_stats(d->c, &s);
	return s;
}

void read_back(struct drive *d, uint64_t ino, size_t n, const uint8_t *want)
{
	struct cache_op op = { 0 };
	uint8_t *p = malloc(n + 1);
	size_t got = 0;
	int r;

	assert_non_null(p);
	while ((r = cache_read(d->c, &op, ino, 0, p, n + 1, &got)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	assert_int_equal(got, n);
	assert_memory_equal(p, want, n);
	free(p);
}

void be_stopped(int ms)
{
	pid_t other = fork();

	assert_true(other >= 0);
	if (other == 0) {
		(void)kill(getppid(), SIGSTOP);
		(void)poll(NULL, 0, ms);
		(void)kill(getppid(), SIGCONT);
		_exit(0);
	}
	assert_int_equal(waitpid(other, NULL, 0), other);
	(void)poll(NULL, 0, 300); /* whose time is over is told now */
}
