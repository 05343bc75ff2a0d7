/* nextcommit.c */
#include "nextcommit.h"

#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
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

void next_commit_begin(struct next_commit *n, const char *url, const char *words_file)
{
	struct recover_params rp = { .n_stores = 1 };
	struct recover_found *f;
	struct err e = { "" };

	*n = (struct next_commit){ .keys = NULL };
	must(secret_init_library(), "libsodium", NULL);
	n->keys = keys_of(words_file);
	must(loop_new(&n->loop), "loop", NULL);
	must(loop_start(n->loop), "loop", NULL);
	n->store = store_of(url, n->loop);
	rp.keys = n->keys;
	rp.stores = &n->store;
	must(recover_find(&rp, &n->found, &e), "the newest commit", &e);

	f = n->found;
	n->convergence = commit_convergence(f->commit);
	n->info = *commit_info(f->commit);
	n->info.sequence++;
	n->info.writer = n->info.writer % PIECE_WRITER_MAX + 1;
	n->info.device = slice_str("future");
	memcpy(n->info.parent, f->commit_hash, sizeof(n->info.parent));
	n->head = (struct commit_piece){ .ordinal = f->trailer.piece,
					 .cid = f->head,
					 .kind = f->trailer.kind };
	n->info.pieces = &n->head;
	n->info.n_pieces = 1;
	n->info.piece_next = 2;
}

static struct piece_cid write_piece(struct next_commit *n, struct io *io,
				    void (*blocks)(struct next_commit *n,
						   struct piece_writer *w,
						   void *ctx),
				    void *ctx, uint64_t *ret_size)
{
	const struct recover_found *f = n->found;
	struct trailer_head previous = { f->sequence, f->trailer.piece, { 0 }, f->head };
	struct piece_spec spec = { .piece = piece_ordinal(n->info.writer, 1),
				   .kind = PIECE_META,
				   .commit_max = COMMIT_RECORD_MAX,
				   .keys = n->keys,
				   .convergence = n->convergence };
	uint8_t digest[PIECE_DIGEST_SIZE];
	_cleanup_buf_ struct buf record = { 0 };
	_cleanup_piece_writer_ struct piece_writer *w = NULL;
	_cleanup_io_file_ struct io_file *file = NULL;
	struct piece_result res;

	memcpy(previous.commit, f->commit_hash, sizeof(previous.commit));
	must(io_open(io, PIECE_NAME, O_RDWR | O_CREAT | O_TRUNC, &file),
	     "the piece", NULL);
	must(piece_writer_new(file, &spec, &w), "the piece", NULL);
	if (blocks)
		blocks(n, w, ctx);
	buf_init(&record, COMMIT_RECORD_MAX);
	must(commit_seal(&n->info, n->convergence, n->keys, &record, digest),
	     "the commit", NULL);
	must(piece_writer_commit(w, buf_slice(&record), digest, n->info.sequence),
	     "the piece", NULL);
	must(piece_writer_finish(w, n->info.time.s, &previous, &res),
	     "the piece", NULL);
	*ret_size = res.raw_size;
	return res.cid;
}

void next_commit_publish(struct next_commit *n,
			 void (*blocks)(struct next_commit *n,
					struct piece_writer *w, void *ctx),
			 void *ctx)
{
	struct provider_req req = { .verb = PROVIDER_PUT, .src_name = PIECE_NAME };
	struct err e = { "" };
	struct io *io;

	must(io_dir_new(".", &io), "the current directory", NULL);
	req.cid = write_piece(n, io, blocks, ctx, &req.size);
	req.src = io;
	must(provider_call(n->store, &req), "put", &req.err);
	must(head_claim(n->store, n->keys, n->info.sequence, &req.cid, &e),
	     "claim", &e);
	io_free(io);
}

void next_commit_end(struct next_commit *n)
{
	recover_found_free(n->found);
	provider_free(n->store);
	loop_stop(n->loop);
	loop_free(n->loop);
	keys_free(n->keys);
}
