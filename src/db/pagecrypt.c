#include "db/pagecrypt.h"

#include <assert.h>
#include <string.h>

#define AD_FIXED 40

void pagecrypt_init(struct pagecrypt *pc, const struct db_params *p)
{
	static const uint8_t magic[8] = { 'f', 'i', 'l', 'd', 'b', 0, 0, 1 };
	size_t n = strlen(p->name);

	assert(n <= DB_NAME_MAX);
	pc->key = p->key;
	memset(pc->ad, 0, sizeof(pc->ad));
	memcpy(pc->ad, magic, sizeof(magic));
	memcpy(pc->ad + 16, p->drive_id, DB_DRIVE_ID_SIZE);
	memcpy(pc->ad + AD_FIXED, p->name, n);
	pc->n_ad = AD_FIXED + n;
}

static struct slice ad_of(struct pagecrypt *pc, enum page_kind kind, uint64_t pos)
{
	put_le64(pc->ad + 8, kind);
	put_le64(pc->ad + 32, pos);
	return slice(pc->ad, pc->n_ad);
}

void pagecrypt_seal(struct pagecrypt *pc, enum page_kind kind, uint64_t pos,
		    const uint8_t *text, size_t n, uint8_t *disk)
{
	aead_seal(pc->key, ad_of(pc, kind, pos), slice(text, n), disk, disk + n);
}

int pagecrypt_open(struct pagecrypt *pc, enum page_kind kind, uint64_t pos,
		   size_t n, uint8_t *disk)
{
	int r = aead_open(pc->key, ad_of(pc, kind, pos), slice(disk, n),
			  disk + n, disk);

	memset(disk + n, 0, AEAD_MARK_SIZE);
	return r;
}

bool pagecrypt_tail_is_zero(const uint8_t page[static DB_PAGE_SIZE])
{
	uint8_t any = 0;

	for (size_t i = PAGE_TEXT; i < DB_PAGE_SIZE; i++)
		any |= page[i];
	return any == 0;
}
