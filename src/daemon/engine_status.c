/* engine_status.c - what is known of the stores, and what is wrong */
#include "daemon/engine_impl.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "cache/cache.h"
#include "daemon/engine_proof.h"
#include "daemon/units.h"
#include "ledger/ledger.h"
#include "onboard/onboard.h"
#include "provider/provider.h"
#include "retrieve/retrieve.h"

#define SILENT_MS 3000 /* a store is said not to answer after so long */

static void status_store(struct engine *e, size_t i, struct engine_store *ret)
{
	struct ledger_store *row = malloc(sizeof(*row));
	const char *state = "not asked yet";
	uint64_t silence;

	text_copy(ret->url, sizeof(ret->url), e->urls[i]);
	if (row && ledger_store_get(e->ledger, e->ids[i], row) == 0) {
		if (row->error[0])
			state = "away";
		else if (row->seen)
			state = "ok";
		text_copy(ret->error, sizeof(ret->error), row->error);
	}
	silence = provider_silence_ms(e->providers[i]);
	if (silence >= SILENT_MS) {
		state = "not answering";
		(void)snprintf(ret->error, sizeof(ret->error),
			       "%.128s has not answered for %" PRIu64 " s",
			       provider_name(e->providers[i]), silence / 1000); /* fits */
	}
	text_copy(ret->state, sizeof(ret->state), state);
	if (ledger_store_sums(e->ledger, e->ids[i], &ret->held) < 0)
		text_copy(ret->error, sizeof(ret->error),
			  "the ledger cannot be read");
	engine_proof(e->ledger, e->ids[i], ret);
	free(row);
}

static void status_error(struct engine_status *s, const char *text)
{
	if (!text[0] || s->n_errors == ENGINE_ERRORS_MAX)
		return;
	for (size_t i = 0; i < s->n_errors; i++)
		if (strcmp(s->errors[i], text) == 0)
			return;
	text_copy(s->errors[s->n_errors++], ENGINE_TEXT_MAX, text);
}

static int on_lost_file(void *ctx, const struct ledger_lost_file *f)
{
	*(struct ledger_lost_file *)ctx = *f;
	return 1; /* one as an example */
}

/* Bytes that are nowhere any more: of which file, and of how many. */
static void status_lost_files(struct engine *e, struct engine_status *ret)
{
	struct ledger_lost_file *f = calloc(1, sizeof(*f));
	char text[ENGINE_TEXT_MAX], size[UNITS_TEXT_MAX];
	uint64_t files = 0, bytes = 0;
	const char *path;

	if (!f || ledger_lost_count(e->ledger, &files, &bytes) < 0 || !files ||
	    ledger_lost_files(e->ledger, on_lost_file, f) != 1) {
		free(f);
		return;
	}
	path = f->path[0] ? f->path : "a file without a known name";
	units_say_size(bytes, size);
	if (files > 1)
		(void)snprintf(text, sizeof(text),
			       "%s of %" PRIu64
			       " files are lost for good; fildrive verify names them all; one is %.*s",
			       size, files, ENGINE_TEXT_MAX / 2, path); /* fits */
	else
		(void)snprintf(text, sizeof(text),
			       "%s%s%.*s %s lost for good; the file can only be removed or written anew",
			       bytes ? size : "", bytes ? " of " : "",
			       ENGINE_TEXT_MAX / 2, path,
			       bytes ? "are" : "is"); /* fits */
	status_error(ret, text);
	free(f);
}

static int on_lost_piece(void *ctx, const struct ledger_piece *p)
{
	if (!p->live)
		return 0;
	piece_cid_text(&p->cid, ctx);
	return 1; /* likewise */
}

static void status_lost_pieces(struct engine *e, struct engine_status *ret)
{
	char text[ENGINE_TEXT_MAX], cid[PIECE_CID_TEXT_MAX] = "";
	uint64_t lost = 0;

	if (ledger_lost(e->ledger, &lost) < 0 || !lost)
		return;
	best_effort(ledger_pieces(e->ledger, LEDGER_PIECE_LOST, on_lost_piece,
				  cid)); /* then it is not named */
	(void)snprintf(text, sizeof(text),
		       "%" PRIu64
		       " %s whole at no store%s%s: files in %s may not be readable; fildrive verify --all names them",
		       lost, units_noun(lost, "piece is", "pieces are"),
		       cid[0] ? ", " : "", cid,
		       units_noun(lost, "it", "them")); /* fits */
	status_error(ret, text);
}

/* Reads that failed, of what is still needed and may fail again. */
static void status_failed(struct engine *e, struct cache *cache,
			  struct engine_status *ret)
{
	struct retrieve_failed *v = calloc(RETRIEVE_FAILED_MAX, sizeof(*v));
	size_t n = v ? retrieve_failed(e->retrieve, v) : 0;

	for (size_t i = n; i-- > 0;) {
		const struct retrieve_failed *f = &v[i];

		if (f->wrong && !cache_hangs_on(cache, f->ino, f->off,
						slice(f->link, f->n_link)))
			retrieve_forget(e->retrieve, f->id);
		else
			status_error(ret, f->error);
	}
	free(v);
}

void engine_status(struct engine *e, struct cache *cache, struct engine_status *ret)
{
	struct onboard *o = engine_onboard(e);
	struct ledger_sums sums = { 0 };
	struct retrieve_stats rs;
	struct err left = { "" };
	struct onboard_stats os = { .phase = ONBOARD_IDLE };

	retrieve_stats(e->retrieve, &rs);
	if (o)
		onboard_stats(o, &os);
	ret->fetched_bytes = rs.bytes_fetched;
	ret->commit_sequence = os.sequence;
	ret->commit_time = (int64_t)os.sequence_time;
	ret->fenced = os.phase == ONBOARD_STOPPED;
	if (ledger_sums(e->ledger, &sums) == 0) {
		ret->queued_pieces = sums.queued_pieces;
		ret->queued_bytes = sums.queued_bytes;
	}
	ret->uploading_pieces = os.uploading_pieces;
	ret->uploading_bytes = os.uploading_bytes;
	ret->n_stores = e->n_stores;
	for (size_t i = 0; i < e->n_stores; i++) {
		status_store(e, i, &ret->stores[i]);
		status_error(ret, ret->stores[i].error);
		status_error(ret, ret->stores[i].proof.warning);
		status_error(ret, ret->stores[i].proof.refused);
	}
	if (!ret->fenced)
		status_error(ret, os.why);
	if (o && onboard_left(o, &left))
		status_error(ret, left.text);
	status_error(ret, os.went_back);
	/* before what may fill the list alone */
	status_lost_files(e, ret);
	status_lost_pieces(e, ret);
	status_failed(e, cache, ret);
}
