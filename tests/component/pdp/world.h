/*
 * world.h - a devnet, a wallet, and slots of a drive whose notes outlive them
 *
 * A slot is a provider made on notes that the test keeps.  Dropping it and making it
 * anew is what a restart is; `die` makes that a kill: from the n-th change of a note
 * on nothing is written any more, before or after that change.
 */
#ifndef TESTS_COMPONENT_PDP_WORLD_H
#define TESTS_COMPONENT_PDP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "chain/foc.h"
#include "crypto/keys.h"
#include "provider/pdp.h"
#include "provider/provider.h"
#include "tests/component/chain/rig.h"

#define WORLD_SLOTS 3
#define NOTES_MAX   64
#define SPENDS_MAX  128

struct note {
	char key[PROVIDER_NOTE_KEY_MAX];
	struct buf value;
};

struct notes {
	struct lock lock;
	struct note list[NOTES_MAX]; /* key empty: free */
	struct provider_spend spends[SPENDS_MAX];
	size_t n_spends;
	struct provider_notes ops;

	/* A kill at the n-th change; -1: none. */
	int die;
	bool die_after; /* that change is still written */
	bool dead;
	unsigned changes;
};

struct world {
	struct rig rig;
	json_t *said; /* what the devnet printed */
	struct network_url url;
	char *url_text;
	struct foc *foc;
	struct secret *owner, *session;
	struct address payer, signer;
	struct keys *keys;
	struct pdp_group *group;
	struct notes notes[WORLD_SLOTS];
	struct provider *p[WORLD_SLOTS];
	struct u256 budget;
	char root[128];
	struct io *io;
	unsigned n_pieces;
};

int world_open(void **state);
int world_of_two(void **state); /* and two providers attached, paid for */
int world_close(void **state);

void world_admin(struct world *w, const char *path, const char *json);
json_t *world_get(struct world *w, const char *path);

/* What is for the loop's thread only. */
int world_on_loop(struct world *w, int (*f)(void *ctx), void *ctx);

/* Money, allowances and the session key, by transactions of the owner. */
void world_pay(struct world *w, const char *usdfc);
void world_login(struct world *w);

void world_start(struct world *w, unsigned slot);
void world_stop(struct world *w, unsigned slot); /* the notes stay */
/* All slots down, their group and connection too, as a process ends. */
void world_halt(struct world *w);
void world_forget(struct world *w, unsigned slot); /* the notes go */

/* A file with new bytes, and its CID. */
struct piece_cid world_piece(struct world *w, size_t n, char ret_name[static 32]);

/* Another drive of the wallet, with slot 0; the old one's slots and notes are gone. */
void world_new_drive(struct world *w);

int world_attach(struct world *w, unsigned slot, struct err *e);
int world_put(struct world *w, unsigned slot, const char *name,
	      const struct piece_cid *cid, struct err *e);
int world_commit(struct world *w, unsigned slot, const struct piece_cid *cids,
		 size_t n, struct err *e);
/*
 * The same of one piece, and time passes by our hand: as few epochs as it takes, and
 * none afterwards, however slow this machine is.
 */
int world_commit_standing(struct world *w, unsigned slot,
			  const struct piece_cid *cid, struct err *e);
int world_verify(struct world *w, unsigned slot, const char *name,
		 const struct piece_cid *cid, struct err *e);

/* The like, with the trailer of a commit of the drive. */
struct piece_cid world_head_piece(struct world *w, uint64_t seq,
				  char ret_name[static 32]);

/* Put and committed; asserts. */
struct piece_cid world_store(struct world *w, unsigned slot, size_t n);

/* By the devnet's books: lines of this kind; of adds that have this piece. */
unsigned world_count(struct world *w, const char *kind);
unsigned world_count_adds(struct world *w, const struct piece_cid *cid);

unsigned world_notes(struct world *w, unsigned slot, const char *prefix);
uint64_t world_provider(struct world *w, unsigned slot);

#endif
