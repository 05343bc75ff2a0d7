/*
 * abi.h - what contracts are told and what they answer: the contract ABI
 *
 * Spec: https://docs.soliditylang.org/en/latest/abi-spec.html (0.8).
 * Everything is words of 32 bytes.  What has a fixed size stands in the head of
 * its tuple or array; in place of the rest stands the offset, from the head's
 * start, of where it follows in the tail.
 *
 * Writing: values are put in the order of the signature; the offsets come by
 * themselves, and a tuple is inlined if nothing in it moved to a tail.
 *
 *	_cleanup_abi_out_ struct abi_out o = { 0 };
 *
 *	abi_out_init(&o, 4096);
 *	abi_put_selector(&o, call_selector(CALL_…));
 *	abi_put_address(&o, payer);
 *	abi_begin_array(&o);               string[]
 *	abi_put_string(&o, slice_str("source"));
 *	abi_end(&o);
 *	r = abi_out_done(&o, &calldata);
 *
 * Reading: a struct abi_in walks the head of one tuple or array; the error is
 * sticky and common to all that were opened from one answer.
 *
 *	struct abi_doc doc;
 *	struct abi_in in = abi_open(&doc, answer), list;
 *	size_t n;
 *
 *	list = abi_get_array(&in, 1, &n);  uint256[]
 *	for (size_t i = 0; i < n; i++)
 *		id[i] = abi_get_u64(&list);
 *	r = abi_close(&doc);
 *
 * The reader is strict.  Paddings are zero, a bool is 0 or 1, an address has 20
 * bytes, and at abi_close() as many bytes were read as the answer has; so many
 * offsets that point at one place cannot make work, and a contract whose answer
 * grew a field is noticed rather than misread.
 *
 * Threading: a writer or reader belongs to one thread.  Errors: -EPROTO for
 * what is read; -EMSGSIZE, -ENOMEM for what is written.
 */
#ifndef CHAIN_ABI_H
#define CHAIN_ABI_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

#define ABI_WORD      32 /* bytes */
#define ABI_DEPTH_MAX 8  /* tuples and arrays in one another, the outer too */

/* --- writing --- */

struct abi_frame {
	struct buf head;
	struct buf tail;
	struct buf moved; /* u32 LE: where the head holds an offset */
	size_t n;         /* members so far */
	bool array;
};

struct abi_out {
	/* private to abi.c */
	struct buf out;
	struct abi_frame frame[ABI_DEPTH_MAX];
	unsigned depth; /* frames that are open */
	int err;
};

/* `max` bounds the whole of it, in bytes. */
void abi_out_init(struct abi_out *o, size_t max);
void abi_out_fini(struct abi_out *o);

/* Four bytes before the arguments; first of all, or not at all. */
void abi_put_selector(struct abi_out *o, uint32_t selector);

void abi_put_u256(struct abi_out *o, struct u256 v);
void abi_put_u64(struct abi_out *o, uint64_t v);
void abi_put_bool(struct abi_out *o, bool v);
void abi_put_address(struct abi_out *o, struct address a);
void abi_put_bytes32(struct abi_out *o, const uint8_t b[static ABI_WORD]);
void abi_put_bytes(struct abi_out *o, struct slice s);  /* bytes */
void abi_put_string(struct abi_out *o, struct slice s); /* string, UTF-8 */

void abi_begin_array(struct abi_out *o); /* T[]; its length is counted */
void abi_begin_tuple(struct abi_out *o); /* (…), and T[n] */
void abi_end(struct abi_out *o);         /* of either */

/*
 * The bytes, borrowed from `o` until abi_out_fini(), or the first error.
 * Everything that was begun has been ended.
 */
must_check int abi_out_done(struct abi_out *o, struct slice *ret);

#define _cleanup_abi_out_ _cleanup_(abi_out_fini)

/* --- reading --- */

struct abi_doc {
	struct slice data;
	size_t left; /* bytes that nobody read yet */
	int err;
};

struct abi_in {
	struct abi_doc *doc;
	size_t base; /* offsets count from here */
	size_t at;   /* of the next member */
	unsigned depth;
};

/* The members of the outermost tuple: arguments, or results. */
struct abi_in abi_open(struct abi_doc *doc, struct slice data);

/* 0 after an error, as all below. */
struct u256 abi_get_u256(struct abi_in *in);
uint64_t abi_get_u64(struct abi_in *in);        /* larger: -EPROTO */
uint64_t abi_get_u64_capped(struct abi_in *in); /* larger: UINT64_MAX */
uint8_t abi_get_u8(struct abi_in *in);
bool abi_get_bool(struct abi_in *in);
struct address abi_get_address(struct abi_in *in);
void abi_get_bytes32(struct abi_in *in, uint8_t ret[static ABI_WORD]);
struct slice abi_get_bytes(struct abi_in *in);  /* borrows from the answer */
struct slice abi_get_string(struct abi_in *in); /* likewise; may hold any byte */

/*
 * A tuple with something of variable size in it: its members.  One without
 * needs no call: its members follow in place.
 */
struct abi_in abi_get_tuple(struct abi_in *in);

/*
 * T[], where the head of a T is `words` long (1 for what has an offset).  The
 * answer holds `*ret_n` heads, or it is an error and 0.
 */
struct abi_in abi_get_array(struct abi_in *in, size_t words, size_t *ret_n);

/* Record a failure of the caller's own checks. */
void abi_fail(struct abi_in *in, int err);

/* 0, the first error, or -EPROTO if something was not read. */
must_check int abi_close(const struct abi_doc *doc);

#endif
