/*
 * test_nomem.c - every allocation fails once, and nothing worse happens
 *
 * Each case is one whole operation of a room.  With its nth allocation failing
 * it returns -ENOMEM (or does without), frees what it had (the address sanitizer
 * sees to that), and succeeds when it is tried again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "chain/eth_tx.h"
#include "chain/foc_auth.h"
#include "crypto/keys.h"
#include "crypto/purse.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "crypto/slot.h"
#include "crypto/words.h"
#include "dag/commit.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "dag/piece_reader.h"
#include "dag/piece_writer.h"
#include "dag/profile.h"
#include "dag/publish.h"
#include "dag/sealer.h"
#include "helper/nomem.h"
#include "helper/recorder.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/loop.h"
#include "provider/head.h"
#include "provider/provider.h"

static struct secret *entropy;
static struct keys *keys;
static char root[128];

/* ---- crypto ---- */

static uint8_t text[300000];

static int seal_and_open(void *ctx)
{
	const enum seal_mode *mode = ctx;
	uint8_t key[SEAL_KEY_SIZE], digest[SEAL_DIGEST_SIZE];
	_cleanup_buf_ struct buf block, body;
	int r;

	buf_init(&block, SEAL_BLOCK_MAX);
	buf_init(&body, SEAL_BODY_MAX);
	r = seal_block(entropy, *mode, slice(text, sizeof(text)), &block, key,
		       digest);
	if (r < 0) {
		assert_int_equal(block.n, 0);
		return r;
	}
	r = seal_open(buf_slice(&block), key, digest, SEAL_BODY_MAX, &body);
	if (r < 0)
		assert_int_equal(body.n, 0);
	else
		assert_true(slice_eq(buf_slice(&body), slice(text, sizeof(text))));
	return r;
}

static void sealing_survives_no_memory(void **state)
{
	enum seal_mode modes[] = { SEAL_STORED, SEAL_ZSTD, SEAL_LEAF_ZSTD };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		assert_true(nomem_sweep(NOMEM_THREAD, 0, seal_and_open,
					&modes[i]) >= 2);
}

/* A key file's life: each step makes a new file from the one before. */
static int slots(void *ctx)
{
	_cleanup_keys_ struct keys *k = NULL;
	_cleanup_secret_ struct secret *e = NULL, *w = NULL;
	_cleanup_buf_ struct buf a, b, c, d;
	char words[WORDS_TEXT_MAX];
	struct slot_info info = { 0 };
	int r;

	(void)ctx;
	buf_init(&a, SLOT_FILE_SIZE);
	buf_init(&b, SLOT_FILE_SIZE);
	buf_init(&c, SLOT_FILE_SIZE);
	buf_init(&d, SLOT_FILE_SIZE);
	r = slot_create(entropy, slice_str("x"), &slot_cost_test, &a, NULL);
	if (r == 0)
		r = slot_add(buf_slice(&a), slice_str("x"), slice_str("y"),
			     &slot_cost_test, &b, NULL);
	if (r == 0)
		r = slot_change(buf_slice(&b), slice_str("y"), slice_str("z"),
				&slot_cost_test, &c, NULL);
	if (r == 0)
		r = slot_remove(buf_slice(&c), slice_str("x"), &d, NULL);
	if (r == 0)
		r = slot_open(buf_slice(&d), slice_str("z"), &k, NULL);
	if (r == 0)
		r = slot_open_entropy(buf_slice(&d), slice_str("z"), &e, NULL);
	if (r == 0)
		r = slot_info(buf_slice(&d), &info, NULL);
	if (r < 0)
		return r;
	assert_true(e);
	assert_int_equal(info.n_used, 1);
	words_write(e, words);
	return words_parse(slice_str(words), &w, NULL);
}

static void key_files_survive_no_memory(void **state)
{
	(void)state;
	assert_true(nomem_sweep(NOMEM_THREAD, 0, slots, NULL) >= 10);
}

/* ---- chain ---- */

/* From the words to an authorization and a transaction that is read back. */
static int sign(void *ctx)
{
	static const struct eip712_entry entry = { { (const uint8_t *)"k", 1 },
						   { (const uint8_t *)"v", 1 } };
	const struct eip712_piece piece = { slice(text, 39), &entry, 1 };
	const struct foc_auth_create create = { .entries = &entry, .n_entries = 1 };
	const struct foc_auth_add add = { .pieces = &piece, .n_pieces = 1 };
	_cleanup_purse_ struct purse *purse = NULL;
	_cleanup_secret_ struct secret *key = NULL;
	_cleanup_buf_ struct buf extra = { 0 };
	_cleanup_buf_ struct buf raw = { 0 };
	struct eth_tx tx = { .chain_id = 314 }, back;
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct foc_auth auth = { 0 };
	struct address owner, from;
	int r;

	(void)ctx;
	buf_init(&extra, FOC_AUTH_CREATE_MAX + FOC_AUTH_ADD_MAX);
	buf_init(&raw, ETH_TX_MAX);
	r = purse_from_entropy(entropy, &purse);
	if (r == 0)
		r = purse_key(purse, PURSE_OWNER, &key);
	if (r == 0)
		r = address_of_key(key, &owner);
	if (r < 0)
		return r;
	auth.key = key;
	r = foc_auth_create_and_add(&auth, &create, &add, &extra, NULL);
	if (r < 0) {
		assert_int_equal(extra.n, 0);
		return r;
	}
	tx.data = buf_slice(&extra);
	r = eth_tx_sign(&tx, key, &raw, hash);
	if (r < 0) {
		assert_int_equal(raw.n, 0);
		return r;
	}
	r = eth_tx_parse(buf_slice(&raw), &back, &from);
	if (r == 0)
		assert_true(address_eq(owner, from));
	return r;
}

static void signing_survives_no_memory(void **state)
{
	(void)state;
	assert_true(nomem_sweep(NOMEM_THREAD, 0, sign, NULL) >= 20);
}

/* ---- dag ---- */

static int count_block(void *ctx, const struct cid *cid, struct slice block)
{
	(void)cid;
	(void)block;
	++*(unsigned *)ctx;
	return 0;
}

static int build(void *ctx)
{
	struct dag_profile small = dag_profile_v1_2025;
	_cleanup_file_builder_ struct file_builder *f = NULL;
	_cleanup_dir_builder_ struct dir_builder *d = NULL;
	struct plain_sealer s;
	struct dag_root file, dir;
	unsigned n_blocks = 0;
	char name[64];
	int r;

	(void)ctx;
	small.chunk_bytes = 1000;
	small.file_links = 4;
	small.dir_basic_max = 1024; /* so that it is sharded */
	plain_sealer_init(&s, &small, count_block, &n_blocks);
	r = file_builder_new(&small, &s.sealer, &f);
	for (unsigned i = 0; i < 30 && r == 0; i++)
		r = file_builder_add(f, slice(text + i, 1000));
	if (r == 0)
		r = file_builder_add_hole(f, 5000);
	if (r == 0)
		r = file_builder_finish(f, &file);
	if (r == 0)
		r = dir_builder_new(&small, &s.sealer, &d);
	for (unsigned i = 0; i < 60 && r == 0; i++) {
		(void)snprintf(name, sizeof(name), "entry number %u", i);
		r = dir_builder_add(d, slice_str(name), &file.link, file.tsize,
				    SLICE_NONE);
	}
	return r == 0 ? dir_builder_finish(d, &dir, NULL) : r;
}

static void builders_survive_no_memory(void **state)
{
	(void)state;
	assert_true(nomem_sweep(NOMEM_THREAD, 0, build, NULL) >= 10);
}

static int publish(void *ctx)
{
	const struct publish_opts opts = { 0 };
	struct publish_stats stats;
	struct err e = { "" };
	char tree[256], car[256];
	struct cid cid;
	int fd, r;

	(void)ctx;
	(void)snprintf(tree, sizeof(tree), "%s/tree", root);
	(void)snprintf(car, sizeof(car), "%s/out.car", root);
	fd = open(car, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	r = publish_path(tree, &opts, fd, &cid, &stats, &e);
	(void)close(fd);
	if (r == 0)
		assert_true(stats.files == 3 && stats.dirs == 2);
	return r;
}

static void put_file(const char *name, size_t n)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void publishing_survives_no_memory(void **state)
{
	char path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/tree", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/tree/sub", root);
	assert_int_equal(mkdir(path, 0700), 0);
	put_file("tree/a", 5);
	put_file("tree/sub/b", sizeof(text));
	put_file("tree/sub/c", 0);
	assert_true(nomem_sweep(NOMEM_THREAD, 0, publish, NULL) >= 10);
}

/* ---- records and pieces ---- */

static struct commit_info some_commit(const struct commit_piece *pieces, size_t n)
{
	return (struct commit_info){ .min_reader = 1,
				     .min_writer = 1,
				     .sequence = 1,
				     .writer = 3,
				     .device = slice_str("test"),
				     .root = { .kind = LINK_IDENTITY,
					       .codec = LINK_DAGPB,
					       .n_inline = 4,
					       .bytes = { 10, 2, 8, 1 } },
				     .root_attr = { .ino = 1, .mode = S_IFDIR | 0700 },
				     .ino_next = 100,
				     .piece_next = 10,
				     .epoch = 1,
				     .pieces = pieces,
				     .n_pieces = n,
				     .compress = COMMIT_COMPRESS_NODES,
				     .copies = 1 };
}

static int commit_codec(void *ctx)
{
	struct commit_info i = some_commit(NULL, 0);
	_cleanup_commit_ struct commit *c = NULL;
	_cleanup_buf_ struct buf b;
	uint8_t digest[32];
	int r;

	(void)ctx;
	buf_init(&b, COMMIT_RECORD_MAX);
	r = commit_seal(&i, entropy, keys, &b, digest);
	if (r < 0) {
		assert_int_equal(b.n, 0);
		return r;
	}
	return commit_open(buf_slice(&b), keys, &c);
}

static void commits_survive_no_memory(void **state)
{
	(void)state;
	assert_true(nomem_sweep(NOMEM_THREAD, 0, commit_codec, NULL) >= 4);
}

static int read_index(struct slice all, const struct trailer *t)
{
	_cleanup_piece_index_ struct piece_index *x = NULL;
	struct xindex_view view;
	struct place at;
	int r;

	r = piece_index_new(t, PIECE_LEAVES, &x);
	while (r == 0 && piece_index_want(x, &at))
		r = piece_index_feed(x, slice(all.p + at.off, at.len));
	return r == 0 ? piece_index_view(x, &view) : r;
}

static int write_piece(struct io_file *f)
{
	const struct piece_spec spec = { .piece = piece_ordinal(3, 1),
					 .kind = PIECE_DATA,
					 .size_min = PIECE_SIZE_MIN,
					 .commit_max = 4096,
					 .keys = keys,
					 .convergence = entropy };
	_cleanup_piece_writer_ struct piece_writer *w = NULL;
	_cleanup_buf_ struct buf block, record;
	struct piece_block b = { .kind = XINDEX_LEAF, .codec = LINK_RAW };
	const struct trailer_head none = { 0 };
	struct commit_info info = some_commit(NULL, 0);
	struct piece_result res;
	struct place at;
	uint8_t digest[32];
	int r;

	buf_init(&block, SEAL_BLOCK_MAX);
	buf_init(&record, COMMIT_RECORD_MAX);
	r = piece_writer_new(f, &spec, &w);
	for (unsigned i = 0; i < 40 && r == 0; i++) {
		buf_reset(&block);
		r = seal_block(entropy, SEAL_STORED, slice(text + i, 500 + i),
			       &block, b.key, b.digest);
		b.block = buf_slice(&block);
		if (r == 0)
			r = piece_writer_add(w, &b, &at);
	}
	if (r == 0)
		r = commit_seal(&info, entropy, keys, &record, digest);
	if (r == 0)
		r = piece_writer_commit(w, buf_slice(&record), digest, 1);
	return r == 0 ? piece_writer_finish(w, 1, &none, &res) : r;
}

static int piece(void *ctx)
{
	struct io *io = ctx;
	_cleanup_io_file_ struct io_file *f = NULL;
	_cleanup_buf_ struct buf all;
	struct trailer t;
	int r;

	buf_init(&all, 1u << 20);
	r = io_open(io, "piece", O_RDWR | O_CREAT, &f);
	if (r == 0)
		r = write_piece(f);
	if (r == 0)
		r = io_slurp(io, "piece", &all);
	if (r == 0)
		r = piece_tail_parse(buf_slice(&all), all.n, keys, &t);
	return r == 0 ? read_index(buf_slice(&all), &t) : r;
}

static struct io *folder(const char *name)
{
	struct io *io = NULL;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(io_dir_new(path, &io), 0);
	return io;
}

static void pieces_survive_no_memory(void **state)
{
	struct io *io = folder("pieces");

	(void)state;
	assert_true(nomem_sweep(NOMEM_THREAD, 0, piece, io) >= 10);
	io_free(io);
}

/* ---- ledger ---- */

static int see_piece(void *ctx, const struct ledger_piece *p)
{
	(void)p;
	++*(unsigned *)ctx;
	return 0;
}

static int see_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	(void)gen;
	*(uint64_t *)ctx = a->ino;
	return 0;
}

/* Opens, does something of everything, and closes. */
static int ledger_life(void *ctx)
{
	static const char *const urls[] = { "dir:///a", "dir:///b" };
	struct ledger_params p = { .io = ctx, .key = keys_secret(keys, KEYS_DB) };
	_cleanup_secret_ struct secret *convergence = NULL;
	const struct ledger_block block = { .off = 36, .len = 900 };
	struct ledger_head head = { .state = LEDGER_BUILT, .time = 1 };
	const struct ledger_adopt adopt = { 7, 8, slice_str("link") };
	struct ledger_placement at = { .state = LEDGER_PLANNED };
	struct piece_cid cid = { .n = 39 };
	struct ledger *l = NULL;
	uint64_t ids[2] = { 0 }, ordinal = 0, seq = 0, other;
	struct ledger_block found;
	unsigned n = 0;
	int r;

	memcpy(p.drive_id, keys_drive_id(keys), sizeof(p.drive_id));
	r = ledger_open(&p, &l, NULL);
	if (r == 0)
		r = ledger_convergence(l, keys, &convergence, NULL);
	if (r == 0)
		r = ledger_stores_set(l, urls, 2, ids);
	if (r == 0)
		r = ledger_piece_begin(l, PIECE_DATA, 1, &ordinal);
	if (r == 0)
		r = ledger_piece_ready(l, ordinal, &cid, 5000, &block, 1);
	at.piece = ordinal;
	at.store = ids[0];
	if (r == 0)
		r = ledger_placement_set(l, &at);
	if (r == 0)
		r = ledger_node_put(l, block.digest, slice_str("node"));
	if (r == 0)
		r = ledger_newest_head(l, &seq);
	r = r == -ENOENT ? 0 : r;
	head.seq = seq + 1;
	head.piece = ordinal;
	head.body = slice_str("body");
	if (r == 0)
		r = ledger_head_add(l, &head, &ordinal, 1, seq + 1, &adopt, 1);
	if (r == 0)
		r = ledger_adopts(l, see_adopt, &other);
	if (r == 0)
		r = ledger_adopted(l, seq + 1);
	if (r == 0)
		r = ledger_pieces(l, LEDGER_READY, see_piece, &n);
	if (r == 0)
		r = ledger_block_link(l, block.digest, &found, &other);
	if (r == 0)
		assert_true(n > 0);
	ledger_close(l);
	return r;
}

static void the_ledger_survives_no_memory(void **state)
{
	struct io *io = folder("ledger");

	(void)state;
	assert_int_equal(ledger_format(io, keys, entropy, 1, NULL), 0);
	assert_true(nomem_sweep(NOMEM_THREAD, 0, ledger_life, io) >= 5);
	io_free(io);
}

/* ---- a store ---- */

static struct piece_cid the_cid;
static uint64_t the_size;

/* Attach, put, get, verify, list, a head; the store is new each time. */
static int found(struct provider_req *req, const struct piece_cid *cid, uint64_t size)
{
	(void)cid;
	(void)size;
	++*(unsigned *)req->ctx;
	return 0;
}

struct store_case {
	struct io *io;
	struct loop *loop;
	char url[256];
	unsigned n;
};

static int call(struct provider *p, struct provider_req req)
{
	return provider_call(p, &req);
}

static int store_life(void *ctx)
{
	struct store_case *s = ctx;
	_cleanup_provider_ struct provider *p = NULL;
	struct provider_params params = { .url = s->url,
					  .loop = s->loop,
					  .create = true };
	struct piece_cid head = { 0 };
	struct err e = { "" };
	uint8_t back[1000];
	unsigned n = 0;
	int r;

	r = provider_new(&params, &p, &e);
	if (r == 0)
		r = call(p, (struct provider_req){ .verb = PROVIDER_ATTACH });
	if (r == 0)
		r = call(p, (struct provider_req){ .verb = PROVIDER_PUT,
						   .cid = the_cid,
						   .src = s->io,
						   .src_name = "piece",
						   .size = the_size,
						   .replace = true });
	if (r == 0)
		r = call(p, (struct provider_req){ .verb = PROVIDER_VERIFY,
						   .cid = the_cid });
	if (r == 0)
		r = call(p, (struct provider_req){ .verb = PROVIDER_GET,
						   .cid = the_cid,
						   .n = sizeof(back),
						   .dst = back });
	if (r == 0)
		r = call(p, (struct provider_req){ .verb = PROVIDER_LIST,
						   .found = found,
						   .ctx = &n });
	if (r == 0)
		r = head_claim(p, keys, 1, &the_cid, &e);
	if (r == 0)
		r = head_read(p, keys, 1, &head, &e);
	if (r == 0)
		assert_true(n == 1 && piece_cid_eq(&head, &the_cid));
	return r;
}

static void a_store_survives_no_memory(void **state)
{
	const struct piece_spec spec = { .piece = piece_ordinal(3, 1),
					 .kind = PIECE_DATA,
					 .size_min = 5000,
					 .keys = keys,
					 .convergence = entropy };
	const struct trailer_head none = { 0 };
	struct store_case s = { .io = folder("src") };
	struct piece_writer *w = NULL;
	struct piece_result res;
	struct io_file *f = NULL;

	(void)state;
	assert_int_equal(io_open(s.io, "piece", O_RDWR | O_CREAT, &f), 0);
	assert_int_equal(piece_writer_new(f, &spec, &w), 0);
	assert_int_equal(piece_writer_finish(w, 1, &none, &res), 0);
	piece_writer_free(w);
	io_close(f);
	the_cid = res.cid;
	the_size = res.raw_size;
	(void)snprintf(s.url, sizeof(s.url), "dir://%s/store", root);
	assert_int_equal(mkdir(s.url + strlen("dir://"), 0700), 0);
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_start(s.loop), 0);
	assert_true(nomem_sweep(NOMEM_PROCESS, 0, store_life, &s) >= 5);
	loop_stop(s.loop);
	loop_free(s.loop);
	io_free(s.io);
}

/* ---- life ---- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int set_up(void **state)
{
	static const uint8_t bytes[SECRET_SIZE] = { 1, 2, 3 };
	const char *tmp = getenv("TMPDIR");

	(void)state;
	log_level_set(LOG_LEVEL_ERROR - 1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i % 251 ^ i >> 10);
	(void)snprintf(root, sizeof(root), "%.64s/fildrive-nomem-XXXXXX",
		       tmp ? tmp : "/tmp");
	if (!mkdtemp(root) || secret_init_library() < 0 ||
	    secret_new(bytes, &entropy) < 0)
		return -1;
	return keys_from_entropy(entropy, &keys);
}

static int tear_down(void **state)
{
	(void)state;
	keys_free(keys);
	secret_free(entropy);
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealing_survives_no_memory),
		cmocka_unit_test(key_files_survive_no_memory),
		cmocka_unit_test(signing_survives_no_memory),
		cmocka_unit_test(builders_survive_no_memory),
		cmocka_unit_test(publishing_survives_no_memory),
		cmocka_unit_test(commits_survive_no_memory),
		cmocka_unit_test(pieces_survive_no_memory),
		cmocka_unit_test(the_ledger_survives_no_memory),
		cmocka_unit_test(a_store_survives_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
