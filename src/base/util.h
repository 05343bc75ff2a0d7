/*
 * util.h - the few macros that every room uses
 *
 * must_check   the caller has to look at the result
 * best_effort  swallows a result that must_check guards
 * _cleanup_(f) f(&var) runs when the variable goes out of scope; the variable
 *              is initialised on its declaration line
 * steal(&p)    hands p to the caller and leaves NULL behind
 * container_of the struct that embeds a member, from the member's address
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define must_check        __attribute__((warn_unused_result))
#define _cleanup_(f)      __attribute__((cleanup(f)))
#define printf_like(a, b) __attribute__((format(printf, a, b)))
#define _fallthrough_     __attribute__((fallthrough))
#define _unused_          __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) \
 ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * Swallow a result on purpose; why stands in a comment beside it.  (gcc does not
 * let a cast to void silence must_check.)
 */
#define best_effort(call)   \
 ({                         \
__typeof__(call) best_effort_ = (call); \
(void)best_effort_;                     \
 })

#define steal(pp)                         \
 (                                        \
	 {                                \
__typeof__(pp) steal_pp_ = (pp);              \
__typeof__(*steal_pp_) steal_p_ = *steal_pp_; \
*steal_pp_ = NULL;                            \
steal_p_;                                     \
	 })

/* For _cleanup_: free(3) of what the variable points to. */
static inline void freep(void *pp)
{
	free(*(void **)pp);
}

/* For _cleanup_: close(2), which is a no-op for -1. */
static inline void closep(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* read side or already synced */
}

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

static inline uint64_t align_up(uint64_t v, uint64_t a)
{
	return (v + a - 1) / a * a;
}

static inline uint64_t align_down(uint64_t v, uint64_t a)
{
	return v / a * a;
}

/* Copy human text, cut to fit; always terminated. */
static inline void text_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);

	n = MIN(n, size - 1);
	memcpy(dst, src, n);
	dst[n] = '\0';
}

/* Little-endian stores and loads for the on-disk tables. */
static inline void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t get_le32(const uint8_t *p)
{
	uint32_t v = 0;

	for (int i = 3; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

#endif
