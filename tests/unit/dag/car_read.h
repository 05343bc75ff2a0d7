/*
 * car_read.h - the CARs that we write, as another program reads them
 *
 * The drive itself finds blocks by their places and parses no CAR.  What is in
 * memory is read; blocks borrow from the cursor's bytes and are not verified
 * against their CIDs.  -EPROTO: another form, -EMSGSIZE: over a maximum.
 */
#ifndef TESTS_DAG_CAR_READ_H
#define TESTS_DAG_CAR_READ_H

#include "base/cursor.h"
#include "base/slice.h"
#include "base/util.h"
#include "dag/cid.h"

struct car_section;

struct car_header {
	uint32_t n_roots;
	struct cid root; /* the first; valid if n_roots > 0 */
};

must_check int car_read_header(struct cursor *c, struct car_header *ret);

/* 1 and a section; 0 at the end.  ret_sect->off is left 0. */
must_check int car_read_section(struct cursor *c, struct cid *ret_cid,
				struct slice *ret_block,
				struct car_section *ret_sect);

#endif
