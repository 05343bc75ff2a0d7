/*
 * fuzz_acl.c - POSIX ACLs from a setxattr: what is accepted has one form, and
 * chmod and inheritance keep it one
 */
#include <assert.h>

#include "fuse/acl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct acl again;

static void check(const struct acl *a)
{
	uint8_t back[ACL_BYTES_MAX];
	size_t n = acl_encode(a, back);
	int r;

	assert(n == 4 + 8 * (size_t)a->n);
	r = acl_parse(slice(back, n), &again);
	assert(r == 0 && again.n == a->n);
	for (unsigned i = 0; i < a->n; i++)
		assert(again.e[i].tag == a->e[i].tag &&
		       again.e[i].perm == a->e[i].perm &&
		       again.e[i].id == a->e[i].id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acl a, b;
	uint32_t mode = 0100000, asked;
	bool plain;

	if (acl_parse(slice(data, size), &a) < 0)
		return 0;
	assert(a.n >= 3 && a.n <= ACL_ENTRIES_MAX);
	check(&a);
	plain = acl_to_mode(&a, &mode);
	assert(plain == (a.n == 3) && (mode & ~0777u) == 0100000);
	for (uint32_t bits = 0; bits <= 0777; bits += 0111 + bits % 5) {
		b = a;
		acl_chmod(&b, bits);
		check(&b);
		mode = 0;
		plain = acl_to_mode(&b, &mode);
		assert(plain == (a.n == 3) && mode == bits);
		b = a;
		asked = bits;
		plain = acl_inherit(&b, &asked);
		assert(plain == (a.n == 3));
		check(&b);
		assert((asked & ~bits) == 0); /* only ever less */
	}
	return 0;
}
