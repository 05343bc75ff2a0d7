/* test_ledger_heads.c - heads, what they adopt, and their bodies */
#include "common.h"

#include <string.h>

#include "ledger/head_info.h"

struct heads {
	struct ledger_head v[8];
	char body[8][16];
	size_t n;
};

static int note_head(void *ctx, const struct ledger_head *h)
{
	struct heads *s = ctx;

	s->v[s->n] = *h;
	assert_true(h->body.n < sizeof(s->body[0]));
	if (h->body.n)
		memcpy(s->body[s->n], h->body.p, h->body.n);
	s->n++;
	return 0;
}

struct adopts {
	uint64_t gen[16], ino[16];
	size_t n;
};

static int note_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	struct adopts *s = ctx;

	assert_true(s->n < ARRAY_LEN(s->gen));
	assert_true(a->size == a->ino * 10);
	assert_true(slice_eq(a->link, slice_str("link")));
	s->gen[s->n] = gen;
	s->ino[s->n++] = a->ino;
	return 0;
}

static void a_head_comes_with_its_pieces_and_adoptions(void **state)
{
	struct fixture *f = *state;
	uint64_t o[2] = { add_ready(f->l, 1, 1), add_ready(f->l, 2, 1) };
	struct ledger_adopt a[] = { { 5, 50, slice_str("link") },
				    { 4, 40, slice_str("link") } };
	struct ledger_head h = { .seq = 1,
				 .state = LEDGER_BUILT,
				 .time = 123,
				 .piece = o[1],
				 .body = slice_str("body") };
	struct adopts adopts = { .n = 0 };
	struct heads heads = { .n = 0 };
	struct ledger_piece p;
	uint64_t newest = 9;

	memset(h.hash, 0x66, sizeof(h.hash));
	assert_int_equal(ledger_newest_head(f->l, &newest), 0);
	assert_int_equal(newest, 0);
	assert_int_equal(ledger_head_get(f->l, 1, note_head, &heads), -ENOENT);
	assert_int_equal(ledger_head_add(f->l, &h, o, 2, 7, a, 2), 0);
	h.seq = 2;
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 8, a, 1), 0);
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 8, a, 1), 0); /* again */
	assert_int_equal(ledger_head_set(f->l, 1, LEDGER_CLAIMED), 0);
	assert_int_equal(ledger_head_set(f->l, 2, LEDGER_SUPERSEDED), 0);
	again(f);
	assert_int_equal(ledger_newest_head(f->l, &newest), 0);
	assert_int_equal(newest, 2);
	assert_int_equal(ledger_heads(f->l, note_head, &heads), 0);
	assert_int_equal(ledger_head_get(f->l, 2, note_head, &heads), 0);
	assert_int_equal(heads.n, 3);
	assert_true(heads.v[0].seq == 1 && heads.v[1].seq == 2 &&
		    heads.v[2].seq == 2);
	assert_true(heads.v[0].state == LEDGER_CLAIMED &&
		    heads.v[1].state == LEDGER_SUPERSEDED);
	assert_true(heads.v[0].time == 123 && heads.v[0].piece == o[1]);
	assert_memory_equal(heads.v[0].hash, h.hash, sizeof(h.hash));
	assert_string_equal(heads.body[0], "body");
	assert_int_equal(ledger_piece_get(f->l, o[0], &p), 0);
	assert_int_equal(p.seq, 1);
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_int_equal(adopts.n, 3);
	assert_true(adopts.gen[0] == 7 && adopts.ino[0] == 4 && adopts.gen[1] == 7 &&
		    adopts.ino[1] == 5 && adopts.gen[2] == 8);
	assert_int_equal(ledger_adopted(f->l, 7), 0);
	again(f);
	adopts.n = 0;
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_true(adopts.n == 1 && adopts.gen[0] == 8);
	assert_int_equal(ledger_adopted(f->l, 100), 0);
	adopts.n = 0;
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_int_equal(adopts.n, 0);
}

static void a_head_waits_for_all_that_its_commits_list_and_for_its_own(void **state)
{
	struct fixture *f = *state;
	uint64_t own = add_ready(f->l, 1, 1), data = add_ready(f->l, 2, 1),
		 before = add_ready(f->l, 3, 1), later = add_ready(f->l, 4, 1);
	const uint64_t waits[] = { own, data, before };
	struct ledger_head h = { .seq = 2, .state = LEDGER_BUILT, .piece = own },
			   got;
	bool complete;

	assert_int_equal(ledger_piece_listed(f->l, before, 1), 0);
	assert_int_equal(ledger_head_add(f->l, &h, &data, 1, 0, NULL, 0), 0);
	h = (struct ledger_head){ .seq = 3, .state = LEDGER_BUILT, .piece = later };
	assert_int_equal(ledger_head_add(f->l, &h, &later, 1, 0, NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		for (size_t k = 0; k < ARRAY_LEN(waits); k++)
			assert_int_equal(ledger_piece_set(f->l, waits[k],
							  k == i ? LEDGER_READY :
								   LEDGER_HELD,
							  false),
					 0);
		complete = true;
		assert_int_equal(ledger_head_next(f->l, &got, &complete), 0);
		assert_int_equal(got.seq, 2);
		assert_false(complete);
	}
	assert_int_equal(ledger_piece_set(f->l, before, LEDGER_HELD, false), 0);
	assert_int_equal(ledger_head_next(f->l, &got, &complete), 0);
	assert_true(got.seq == 2 && complete);
}

static void a_head_info_reads_back_and_refuses_what_is_cut(void **state)
{
	struct head_info h = { .root_attr = slice_str("attr"),
			       .device = slice_str("laptop") },
			 got;
	_cleanup_buf_ struct buf b;

	(void)state;
	h.root = (struct link){ .kind = LINK_SEALED,
				.codec = LINK_DAGPB,
				.place = { 5, 36, 100 } };
	h.catalogue = h.root;
	h.catalogue.place.piece = 6;
	buf_init(&b, 1024);
	assert_int_equal(head_info_encode(&h, &b), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), 0);
	assert_true(link_same(&got.root, &h.root));
	assert_int_equal(got.inode_table.kind, LINK_NONE);
	assert_int_equal(got.catalogue.place.piece, 6);
	assert_true(slice_eq(got.root_attr, h.root_attr));
	assert_true(slice_eq(got.device, h.device));
	assert_int_equal(got.n_inodes, 0);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(head_info_decode(slice(b.p, n), &got), -EPROTO);
	assert_int_equal(buf_u8(&b, 0), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
	assert_int_equal(buf_u8(&b, 7), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
}

static void a_head_info_has_what_the_commit_counted(void **state)
{
	struct head_info h = { .device = slice_str("laptop"),
			       .n_inodes = 1000,
			       .n_bytes = 1ull << 40 },
			 got;
	_cleanup_buf_ struct buf b;
	size_t plain = 0;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(head_info_encode(&h, &b), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), 0);
	assert_int_equal(got.n_inodes, 1000);
	assert_true(got.n_bytes == 1ull << 40);
	for (size_t n = 0; n < b.n; n++) {
		if (head_info_decode(slice(b.p, n), &got) < 0)
			continue;
		plain++; /* as if it had not been counted */
		assert_int_equal(got.n_inodes, 0);
	}
	assert_int_equal(plain, 1);
	assert_int_equal(buf_u8(&b, 0), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_head_comes_with_its_pieces_and_adoptions),
		CASE(a_head_waits_for_all_that_its_commits_list_and_for_its_own),
		cmocka_unit_test(a_head_info_reads_back_and_refuses_what_is_cut),
		cmocka_unit_test(a_head_info_has_what_the_commit_counted),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
