/*
 * wreck.h - damage by hand, and what salvage makes of it
 *
 * A scene is a drive "a" with one store, of which something is broken, and the
 * drive "b" that was salvaged from what is left.
 */
#ifndef OUTBACK_WRECK_H
#define OUTBACK_WRECK_H

#include "rig.h"

struct result {
	uint64_t sequence, n_faults, n_lost_dirs, n_retained;
	bool rebuilt;
	char *report; /* heap */
};

struct scene {
	struct rig *r;
	struct device a, b;
	struct result s;
	char *want, *got; /* tree_text(); NULL, or heap */
};

void scene_new(struct scene *t, void **state); /* an empty drive, started */
/* One of everything, with its first commit. */
void scene_planted(struct scene *t, void **state);
void scene_salvage(struct scene *t); /* ends a; b and its tree as `got` */
void scene_free(struct scene *t);    /* texts; not the drives */
void scene_end(struct scene *t);     /* b goes on, see goes_on(); frees */

void piece_path(struct device *d, uint64_t ordinal, char *ret, size_t size);

/* The block of a link becomes unreadable. */
void break_block(struct device *d, const struct link *l);

void break_end(struct device *d, uint64_t ordinal); /* of a piece: its trailer */

void break_commit(struct device *d, uint64_t sequence);

void remove_head_piece(struct device *d, uint64_t sequence);

/* Root and inode table of the newest commit. */
void newest_links(struct device *d, struct link two[static 2]);

/* The link of a path in the newest commit. */
struct link link_at(struct device *d, const char *path);

void salvage_into(struct device *b, struct rig *r, const char *name,
		  struct result *ret);

/* Lines of one path and below, or of all others. */
char *text_lines(const char *text, const char *path, bool below);

/* The same but for lost+found, and for the root's own times. */
void same_tree(const char *want, const char *got);

/* What was salvaged can be worked on, published, and recovered anew. */
void goes_on(struct device *b, struct rig *r);

void plant_many(struct device *d, const char *dir, unsigned from, unsigned to);

/* A sub-shard of a sharded directory; where the new commit has its own. */
struct link subshard(struct device *d, const struct link *dir);

size_t text_count(const char *text, const char *what);

#endif
