/*
 * pagecrypt.h - how pages and WAL frames lie on the disk
 *
 * Everything is sealed with XChaCha20-Poly1305 under a random nonce
 * (crypto/aead.h); the mark (nonce, tag) takes the 40 bytes that SQLite keeps
 * reserved at the end of each page.  Nothing stays in the clear, page 1 and the
 * WAL's headers included: frame headers carry checksums of the plaintext.
 *
 *   database file: page n at (n - 1) * 4096
 *   offset  size  field
 *   0       4056  page, sealed
 *   4056    40    mark
 *
 *   WAL file
 *   offset  size  field
 *   0       32    SQLite's WAL header, sealed
 *   32      40    mark
 *   72      440   zeros: the header owns its sector, so a torn write leaves the
 *                 old one or the new one
 *   512     4128  frame 1
 *   4640    ...   frame n at 512 + (n - 1) * 4128
 *
 *   frame (the first three fields are sealed as one text of 4088)
 *   offset  size  field
 *   0       8     synced: frames of this log known durable when this was written
 *   8       24    SQLite's frame header
 *   32      4056  page
 *   4088    40    mark
 *
 * Associated data, little endian:
 *   0   8   "fildb\0\0\1"
 *   8   8   kind: 1 page, 2 WAL header, 3 WAL frame
 *   16  16  drive id
 *   32  8   position: page number, 0, frame number
 *   40  n   name of the database
 * so that no page can stand in another place, file or drive.  (An older version
 * of the same page in the same place is refused only in the WAL: there the
 * header's salts and the running checksum, both sealed, do that.)
 *
 * Threading: a sealer belongs to one connection.
 */
#ifndef DB_PAGECRYPT_H
#define DB_PAGECRYPT_H

#include <stdbool.h>

#include "crypto/aead.h"
#include "db/db.h"

#define PAGE_TEXT        (DB_PAGE_SIZE - AEAD_MARK_SIZE)
#define WAL_HEADER_SIZE  32u /* as SQLite sees it */
#define WAL_HEADER_SPACE 512u
#define FRAME_HEADER     24u
#define FRAME_SIZE       (FRAME_HEADER + DB_PAGE_SIZE) /* as SQLite sees it */
#define FRAME_SYNCED     8u
#define FRAME_TEXT       (FRAME_SYNCED + FRAME_HEADER + PAGE_TEXT)
#define FRAME_DISK       (FRAME_TEXT + AEAD_MARK_SIZE)

enum page_kind {
	PAGE_MAIN = 1,
	PAGE_WAL_HEADER,
	PAGE_WAL_FRAME
};

struct pagecrypt {
	const struct secret *key; /* borrowed */
	uint8_t ad[40 + DB_NAME_MAX];
	size_t n_ad;
};

void pagecrypt_init(struct pagecrypt *pc, const struct db_params *p);

/* `text` of n bytes to `disk` of n + AEAD_MARK_SIZE; may be the same memory. */
void pagecrypt_seal(struct pagecrypt *pc, enum page_kind kind, uint64_t pos,
		    const uint8_t *text, size_t n, uint8_t *disk);

/* The other way, in place; the mark is zeroed.  -EBADMSG, and all zeroed. */
must_check int pagecrypt_open(struct pagecrypt *pc, enum page_kind kind,
			      uint64_t pos, size_t n, uint8_t *disk);

/*
 * SQLite leaves the reserved bytes of a page zero; its WAL checksums cover them,
 * and we give zeros back.  Anything else there must not be lost silently.
 */
must_check bool pagecrypt_tail_is_zero(const uint8_t page[static DB_PAGE_SIZE]);

#endif
