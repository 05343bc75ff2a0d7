/*
 * newer_commit.c - what a fildrive of the future might publish
 *
 *   newer_commit URL WORDS_FILE MIN_READER MIN_WRITER
 *
 * Repeats the newest commit of a drive as the next one, with the real keys, but
 * for the versions that it asks for, and claims its head.  Another device did
 * it, in its own words: "future".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/words.h"
#include "dag/commit.h"
#include "dag/piece_writer.h"
#include "net/loop.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "retrieve/recover.h"
#include "tool.h"

#define PIECE_NAME "piece"

static struct provider *store_of(const char *url, struct loop *loop)
{
	const struct provider_params params = { .url = url, .loop = loop };
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	struct provider *p;
	struct err e = { "" };

	must(provider_new(&params, &p, &e), url, &e);
	must(provider_call(p, &req), url, &req.err);
	return p;
}

/* The piece with the commit, in the current directory. */
static struct piece_cid write_piece(struct io *io, const struct keys *k,
				    const struct recover_found *f,
				    const struct commit_info *info,
				    uint64_t *ret_size)
{
	const struct secret *convergence = commit_convergence(f->commit);
	struct trailer_head previous = { f->sequence, f->trailer.piece, { 0 }, f->head };
	struct piece_spec spec = { .piece = piece_ordinal(info->writer, 1),
				   .kind = PIECE_META,
				   .keys = k,
				   .convergence = convergence };
	uint8_t digest[PIECE_DIGEST_SIZE];
	_cleanup_buf_ struct buf record = { 0 };
	_cleanup_piece_writer_ struct piece_writer *w = NULL;
	_cleanup_io_file_ struct io_file *file = NULL;
	struct piece_result res;

	memcpy(previous.commit, f->commit_hash, sizeof(previous.commit));
	buf_init(&record, COMMIT_RECORD_MAX);
	must(commit_seal(info, convergence, k, &record, digest), "the commit", NULL);
	spec.commit_max = record.n;
	must(io_open(io, PIECE_NAME, O_RDWR | O_CREAT | O_TRUNC, &file),
	     "the piece", NULL);
	must(piece_writer_new(file, &spec, &w), "the piece", NULL);
	must(piece_writer_commit(w, buf_slice(&record), digest, info->sequence),
	     "the piece", NULL);
	must(piece_writer_finish(w, info->time.s, &previous, &res), "the piece",
	     NULL);
	*ret_size = res.raw_size;
	return res.cid;
}

static void publish(struct provider *p, const struct keys *k,
		    const struct recover_found *f, const struct commit_info *info)
{
	struct provider_req put = { .verb = PROVIDER_PUT, .src_name = PIECE_NAME };
	struct err e = { "" };
	struct io *io;

	must(io_dir_new(".", &io), "the current directory", NULL);
	put.cid = write_piece(io, k, f, info, &put.size);
	put.src = io;
	must(provider_call(p, &put), "put", &put.err);
	must(head_claim(p, k, info->sequence, &put.cid, &e), "claim", &e);
	io_free(io);
}

int main(int argc, char **argv)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct commit_piece head = { 0 };
	struct recover_params rp = { .n_stores = 1 };
	struct commit_info info;
	struct provider *store;
	struct err e = { "" };
	struct loop *loop;
	struct keys *k;

	if (argc != 5)
		return 2;
	must(secret_init_library(), "libsodium", NULL);
	k = keys_of(argv[2]);
	must(loop_new(&loop), "loop", NULL);
	must(loop_start(loop), "loop", NULL);
	store = store_of(argv[1], loop);
	rp.keys = k;
	rp.stores = &store;
	must(recover_find(&rp, &f, &e), "the newest commit", &e);

	info = *commit_info(f->commit);
	info.min_reader = (uint32_t)strtoul(argv[3], NULL, 10);
	info.min_writer = (uint32_t)strtoul(argv[4], NULL, 10);
	info.sequence++;
	info.writer = info.writer % PIECE_WRITER_MAX + 1;
	info.device = slice_str("future");
	memcpy(info.parent, f->commit_hash, sizeof(info.parent));
	head = (struct commit_piece){ .ordinal = f->trailer.piece,
				      .cid = f->head,
				      .kind = f->trailer.kind };
	info.pieces = &head;
	info.n_pieces = 1;
	info.piece_next = 2;
	publish(store, k, f, &info);

	provider_free(store);
	loop_stop(loop);
	loop_free(loop);
	keys_free(k);
	return 0;
}
