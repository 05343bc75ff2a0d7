#include "common.h"

#include <string.h>

static struct secret *the_key;

int set_up_key(void **state)
{
	static const uint8_t bytes[SECRET_SIZE] = { 9, 9 };

	(void)state;
	log_level_set(LOG_LEVEL_ERROR);
	if (secret_init_library() < 0)
		return -1;
	return secret_new(bytes, &the_key);
}

int tear_down_key(void **state)
{
	(void)state;
	secret_free(the_key);
	return 0;
}

const struct secret *test_key(void)
{
	return the_key;
}

struct recorder *new_disk(void)
{
	struct recorder *rec = NULL;

	assert_int_equal(recorder_new(&rec), 0);
	return rec;
}

int try_open(struct recorder *rec, bool create, struct ledger **ret)
{
	struct ledger_params p = { .io = recorder_io(rec),
				   .nodes_max = NODES_MAX,
				   .key = the_key,
				   .drive_id = TEST_DRIVE_ID,
				   .create = create };

	return ledger_open(&p, ret, NULL);
}

struct ledger *open_ledger(struct recorder *rec)
{
	struct ledger *l = NULL;

	assert_int_equal(try_open(rec, true, &l), 0);
	return l;
}

struct ledger *new_ledger(struct recorder *rec, uint32_t writer)
{
	struct ledger *l = open_ledger(rec);

	assert_int_equal(ledger_set_u64(l, LEDGER_WRITER, writer), 0);
	return l;
}

struct ledger *reopen(struct recorder *rec, struct ledger *l)
{
	ledger_close(l);
	l = NULL;
	assert_int_equal(try_open(rec, false, &l), 0);
	return l;
}

struct piece_cid test_cid(uint8_t seed)
{
	struct piece_cid c = { .n = 39 };

	memset(c.bytes, seed, c.n);
	return c;
}

struct ledger_block test_block(uint32_t n)
{
	struct ledger_block b = { .off = 36 + n * 1000ul,
				  .len = 900 + n,
				  .node = n % 2 };

	memset(b.digest, 0xd1, sizeof(b.digest));
	put_le32(b.digest, n);
	memset(b.key, 0x4e, sizeof(b.key));
	put_le32(b.key, n);
	return b;
}

uint64_t add_ready(struct ledger *l, uint32_t first, uint32_t n)
{
	struct ledger_block blocks[64];
	struct piece_cid cid = test_cid((uint8_t)first);
	uint64_t ordinal = 0;

	assert_true(n <= ARRAY_LEN(blocks));
	for (uint32_t i = 0; i < n; i++)
		blocks[i] = test_block(first + i);
	assert_int_equal(ledger_piece_begin(l, PIECE_DATA, 77, &ordinal), 0);
	assert_int_equal(ledger_piece_ready(l, ordinal, &cid, 5000, blocks, n), 0);
	return ordinal;
}

static int note_ordinal(void *ctx, const struct ledger_piece *p)
{
	struct ordinals *o = ctx;

	assert_true(o->n < ARRAY_LEN(o->v));
	o->v[o->n++] = p->ordinal;
	return 0;
}

struct ordinals pieces_in(struct ledger *l, enum ledger_piece_state state)
{
	struct ordinals o = { .n = 0 };

	assert_int_equal(ledger_pieces(l, state, note_ordinal, &o), 0);
	return o;
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->rec = new_disk();
	f->l = new_ledger(f->rec, HIGH_WRITER);
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	ledger_close(f->l);
	recorder_free(f->rec);
	free(f);
	return 0;
}

void again(struct fixture *f)
{
	f->l = reopen(f->rec, f->l);
}
