/* test_heap.c - properties of the heap of the program */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

#define THREADS 8

static pthread_barrier_t all_have;

/* Its block is freed when each of the others has one. */
static void *holds(void *arg)
{
	void *p = malloc(4000);
	int r = pthread_barrier_wait(&all_have);

	assert_non_null(p);
	assert_true(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	free(p);
	return arg;
}

static unsigned arenas(void)
{
	char *text = NULL;
	size_t size = 0;
	unsigned n = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(malloc_info(0, f), 0);
	assert_int_equal(fclose(f), 0);
	for (const char *p = text; (p = strstr(p, "<heap nr=")); p++)
		n++;
	free(text);
	return n;
}

static void threads_share_the_arenas(void **state)
{
	pthread_t id[THREADS];

	(void)state;
	assert_int_equal(pthread_barrier_init(&all_have, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, holds, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(id[i], NULL), 0);
	assert_int_equal(pthread_barrier_destroy(&all_have), 0);
	assert_in_range(arenas(), 0, HEAP_ARENAS); /* none under a sanitizer */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_the_arenas),
	};

	heap_settle();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
