/*
 * fuzz_piece_cid.c - piece CIDs from listings and file names, binary and text
 *
 * What is accepted must have exactly the form that we write.
 */
#include <assert.h>

#include "crypto/commp.h"
#include "crypto/piece_cid.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[PIECE_CID_TEXT_MAX];
	struct piece_cid cid, again;
	struct commp_sum sum;

	if (piece_cid_parse(slice(p, n), &sum) == 0) {
		piece_cid_v2(&sum, &cid);
		assert(slice_eq(piece_cid_slice(&cid), slice(p, n)));
		piece_cid_text(&cid, text);
		assert(piece_cid_from_text(slice_str(text), &again) == 0);
		assert(piece_cid_eq(&cid, &again));
	}
	if (piece_cid_from_text(slice(p, n), &cid) == 0) {
		piece_cid_text(&cid, text);
		assert(slice_eq(slice_str(text), slice(p, n)));
	}
	return 0;
}
