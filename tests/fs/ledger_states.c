/*
 * ledger_states.c - in which states a drive that is not mounted has left its ledger
 *
 *   ledger_states DRIVE_DIRECTORY WORDS_FILE
 *
 * A line a row: what it is of, and its state by name; how many of them the reader
 * counts.  Adds are the notes of slots on a network (provider/pdp.h).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "crypto/words.h"
#include "ledger/ledger.h"
#include "net/json.h"
#include "tool.h"

#define STORES_MAX 64
#define VALUES_MAX 256

static const char *const pieces[LEDGER_PIECE_NX] = {
	"", "BUILDING", "READY", "HELD", "CONDEMNED", "REMOVED", "LOST",
};
static const char *const placements[LEDGER_PLACEMENT_NX] = {
	"",     "PLANNED",  "STORED", "VERIFIED",
	"LOST", "REMOVING", "LISTED", "PARKED",
};
static const char *const heads[LEDGER_HEAD_NX] = {
	"",
	"BUILT",
	"CLAIMED",
	"SUPERSEDED",
};
static const char *const adds[] = { "", "SIGNED", "SENT", "LANDED", "DEAD" };

static void say(const char *what, const char *const *names, size_t n, uint64_t state)
{
	const char *name = state < n ? names[state] : NULL;

	must(name ? 0 : -EUCLEAN, what, NULL);
	if (name)
		(void)printf("%s %s\n", what, name);
}

static int on_placement(void *ctx, const struct ledger_placement *p)
{
	(void)ctx;
	say("placement", placements, ARRAY_LEN(placements), p->state);
	return 0;
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	say("piece", pieces, ARRAY_LEN(pieces), p->state);
	return ledger_placements(ctx, p->ordinal, on_placement, NULL);
}

static int on_head(void *ctx, const struct ledger_head *h)
{
	(void)ctx;
	say("head", heads, ARRAY_LEN(heads), h->state);
	return 0;
}

static int on_add(void *ctx, const char *key, struct slice value)
{
	_cleanup_json_ json_t *o = NULL;
	const char *state;

	(void)ctx;
	must(json_read(value, VALUES_MAX, &o), key, NULL);
	state = json_string_value(json_object_get(o, "state"));
	say("add", adds, ARRAY_LEN(adds), state ? strtoul(state, NULL, 10) : 99);
	return 0;
}

int main(int argc, char **argv)
{
	struct ledger_params lp = { .io = NULL };
	struct ledger *l = NULL;
	struct err e = { "" };
	struct io *io = NULL;
	struct keys *k;

	if (argc != 3)
		return 2;
	must(secret_init_library(), "libsodium", NULL);
	k = keys_of(argv[2]);
	must(io_dir_new(argv[1], &io), argv[1], NULL);
	lp.io = io;
	lp.key = keys_secret(k, KEYS_DB);
	memcpy(lp.drive_id, keys_drive_id(k), sizeof(lp.drive_id));
	must(ledger_open(&lp, &l, &e), "ledger.db", &e);
	must(ledger_pieces(l, 0, on_piece, l), "pieces", NULL);
	must(ledger_heads(l, on_head, NULL), "heads", NULL);
	for (uint64_t store = 1; store < STORES_MAX; store++)
		must(ledger_notes(l, store, "add/", on_add, NULL), "notes", NULL);
	ledger_close(l);
	io_free(io);
	keys_free(k);
	return 0;
}
