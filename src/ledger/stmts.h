/* stmts.h - every statement of ledger.db, prepared once at open */
#ifndef LEDGER_STMTS_H
#define LEDGER_STMTS_H

/* clang-format off */
#define PIECE_COLS "ordinal, cid, size, kind, state, outbox, seq, live, created, indexed"
/* Here, or at a store that gave it back verified. */
#define PIECE_SAFE "(p.outbox = 1 OR EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = p.ordinal AND x.state = 3 AND s.retired = 0))"
/* At a store that is said to have it, read back or not. */
#define PIECE_SOMEWHERE "EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = p.ordinal AND x.state IN (2, 3, 6) AND s.retired = 0)"
#define PIECE_COLS_C "c.ordinal, c.cid, c.size, c.kind, c.state, c.outbox, c.seq, c.live, c.created, c.indexed"
#define PLACE_COLS "p.piece, p.store, p.state, p.attempts, p.next_try, p.error"

/* Before the tables are there: are they? */
#define LEDGER_SQL_MADE "SELECT 1 FROM sqlite_master WHERE name = 'state'"

/* From format 1: states that it did not know, and what heads are found by. */
#define LEDGER_SQL_UPGRADE \
 "CREATE TABLE piece_2 (ordinal INTEGER PRIMARY KEY, cid BLOB, size INTEGER NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1, 2))," \
 " state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5, 6)), outbox INTEGER NOT NULL, seq INTEGER NOT NULL, live INTEGER NOT NULL," \
 " created INTEGER NOT NULL, indexed INTEGER NOT NULL);" \
 "INSERT INTO piece_2 SELECT ordinal, cid, size, kind, state, outbox, seq, live, created," \
 " ordinal IN (SELECT DISTINCT piece FROM block) FROM piece;" \
 "DROP TABLE piece;" \
 "ALTER TABLE piece_2 RENAME TO piece;" \
 "CREATE INDEX piece_state ON piece (state);" \
 "CREATE TABLE placement_2 (piece INTEGER NOT NULL, store INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5, 6, 7))," \
 " attempts INTEGER NOT NULL, next_try INTEGER NOT NULL, error BLOB NOT NULL, PRIMARY KEY (piece, store)) WITHOUT ROWID;" \
 "INSERT INTO placement_2 SELECT piece, store, state, attempts, next_try, error FROM placement;" \
 "DROP TABLE placement;" \
 "ALTER TABLE placement_2 RENAME TO placement;" \
 "CREATE INDEX placement_due ON placement (state, next_try);" \
 "CREATE INDEX head_state ON head (state, seq);" \
 "CREATE INDEX head_kept ON head (seq) WHERE length(body) > 0;" \
 "CREATE TABLE lost (ino INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, path BLOB NOT NULL);" \
 "CREATE TABLE note (store INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (store, key)) WITHOUT ROWID;" \
 "CREATE TABLE spend (id INTEGER PRIMARY KEY, ref BLOB NOT NULL UNIQUE, time INTEGER NOT NULL, store INTEGER NOT NULL, amount BLOB NOT NULL, text BLOB NOT NULL);"

#define LEDGER_STMTS(STMT) \
 STMT(state_get, "SELECT v FROM state WHERE k = ?1") \
 STMT(state_set, "INSERT OR REPLACE INTO state (k, v) VALUES (?1, ?2)") \
 STMT(store_retire_all, "UPDATE store SET retired = retired + 1") \
 STMT(store_find, "SELECT id FROM store WHERE url = ?1") \
 STMT(store_add, "INSERT INTO store (url, retired, seen, error) VALUES (?1, 0, 0, x'')") \
 STMT(store_unread, "UPDATE placement SET state = 6 WHERE store = ?1 AND state = 3 AND (SELECT retired FROM store WHERE id = ?1) > 1") \
 STMT(store_unsure, "UPDATE placement SET state = 6 WHERE store = ?1 AND state IN (2, 3)") \
 STMT(store_back, "UPDATE store SET retired = 0 WHERE id = ?1") \
 STMT(store_gone, "UPDATE store SET retired = 1 WHERE retired > 1") \
 STMT(store_get, "SELECT url, ident, retired, seen, error FROM store WHERE id = ?1") \
 STMT(store_ident, "UPDATE store SET ident = ?2 WHERE id = ?1") \
 STMT(store_seen, "UPDATE store SET seen = ?2, error = x'' WHERE id = ?1") \
 STMT(store_error, "UPDATE store SET error = ?2 WHERE id = ?1") \
 STMT(store_reset, "UPDATE store SET ident = NULL, seen = 0, error = x'' WHERE id = ?1") \
 STMT(store_empty, "DELETE FROM placement WHERE store = ?1") \
 STMT(piece_add, "INSERT INTO piece (" PIECE_COLS ") VALUES (?1, NULL, 0, ?2, 1, 1, 0, 0, ?3, 1)") \
 STMT(piece_ready, "UPDATE piece SET cid = ?2, size = ?3, live = ?3, state = 2 WHERE ordinal = ?1 AND state IN (1, 2)") \
 STMT(piece_learn, "INSERT OR IGNORE INTO piece (" PIECE_COLS ") VALUES (?1, ?2, ?3, ?4, 3, 0, ?5, ?6, ?7, 0)") \
 STMT(piece_drop, "DELETE FROM piece WHERE ordinal = ?1") \
 STMT(piece_get, "SELECT " PIECE_COLS " FROM piece WHERE ordinal = ?1") \
 STMT(piece_set, "UPDATE piece SET state = ?2, outbox = ?3 WHERE ordinal = ?1") \
 STMT(piece_indexed, "UPDATE piece SET indexed = 1 WHERE ordinal = ?1") \
 STMT(piece_listed, "UPDATE piece SET seq = CASE seq WHEN 0 THEN ?2 ELSE min(seq, ?2) END WHERE ordinal = ?1") \
 STMT(piece_all, "SELECT " PIECE_COLS " FROM piece WHERE ordinal > ?1 ORDER BY ordinal LIMIT 1") \
 STMT(piece_in, "SELECT " PIECE_COLS " FROM piece WHERE ordinal > ?1 AND state = ?2 ORDER BY ordinal LIMIT 1") \
 STMT(block_add, "INSERT OR IGNORE INTO block (digest, piece, off, len, kind, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
 STMT(block_replace, "UPDATE block SET piece = ?2, off = ?3, len = ?4 WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM piece p WHERE p.ordinal = block.piece AND p.state IN (2, 3) AND " PIECE_SAFE ")") \
 STMT(block_get, "SELECT b.piece, b.off, b.len, b.kind, b.key FROM block b JOIN piece p ON p.ordinal = b.piece WHERE b.digest = ?1 AND p.state IN (2, 3)") \
 STMT(block_link, "SELECT b.piece, b.off, b.len, b.kind, b.key FROM block b JOIN piece p ON p.ordinal = b.piece WHERE b.digest = ?1 AND p.state IN (2, 3) AND " PIECE_SAFE) \
 STMT(node_get, "SELECT body, used FROM node WHERE digest = ?1") \
 STMT(node_put, "INSERT OR REPLACE INTO node (digest, used, body) VALUES (?1, ?2, ?3)") \
 STMT(node_use, "UPDATE node SET used = ?2 WHERE digest = ?1") \
 STMT(node_size, "SELECT coalesce(sum(length(body)), 0), coalesce(max(used), 0), count(*) FROM node") \
 STMT(node_newest, "SELECT coalesce(max(used), 0) FROM node") \
 STMT(node_oldest, "SELECT digest, length(body) FROM node ORDER BY used LIMIT 1") \
 STMT(node_del, "DELETE FROM node WHERE digest = ?1") \
 STMT(place_set, "INSERT OR REPLACE INTO placement (piece, store, state, attempts, next_try, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
 STMT(place_get, "SELECT " PLACE_COLS " FROM placement p WHERE p.piece = ?1 AND p.store = ?2") \
 STMT(place_doubt, "UPDATE placement SET state = 2, next_try = 0, error = ?3 WHERE piece = ?1 AND store = ?2 AND state IN (3, 6)") \
 STMT(place_del, "DELETE FROM placement WHERE piece = ?1 AND store = ?2") \
 STMT(place_of, "SELECT " PLACE_COLS " FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = ?1 AND s.retired = 0 ORDER BY p.store") \
 STMT(place_parked, "SELECT p.piece, c.cid, EXISTS (SELECT 1 FROM head h WHERE h.piece = p.piece AND h.state = 1) FROM placement p INDEXED BY placement_due JOIN piece c ON c.ordinal = p.piece WHERE p.piece > ?1 AND p.store = ?2 AND p.state = 7 AND c.state IN (2, 3) ORDER BY p.piece LIMIT 1") \
 STMT(head_of, "SELECT 1 FROM head WHERE piece = ?1 AND state = 1 LIMIT 1") \
 STMT(place_copies, "SELECT count(*) FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = ?1 AND p.state = 3 AND s.retired = 0") \
 STMT(sums, "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(outbox), 0), coalesce(sum(outbox * size), 0), coalesce(sum(state = 2), 0), coalesce(sum((state = 2) * size), 0) FROM piece WHERE state IN (2, 3)") \
 STMT(lost, "SELECT count(*) FROM piece p WHERE (p.state IN (2, 3) AND p.outbox = 0 AND NOT " PIECE_SOMEWHERE ") OR (p.state = 6 AND p.live > 0)") \
 STMT(lose, "UPDATE piece SET state = 6 WHERE ordinal = ?1 AND state IN (2, 3) AND (outbox = 0 OR ?2) AND NOT EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = ?1 AND x.state IN (2, 3, 6) AND s.retired = 0)") \
 STMT(lose_heads, "SELECT coalesce(min(h.seq), 0) FROM head h, piece p WHERE p.ordinal = ?1 AND h.state = 1 AND (h.piece = ?1 OR (p.seq > 0 AND h.seq >= p.seq))") \
 STMT(heads_drop, "DELETE FROM head WHERE state = 1 AND seq >= ?1") \
 STMT(pieces_unlist, "UPDATE piece SET seq = 0 WHERE seq >= ?1") \
 STMT(block_lost, "SELECT 1 FROM block b JOIN piece p ON p.ordinal = b.piece WHERE b.digest = ?1 AND p.state = 6") \
 STMT(lost_clear, "DELETE FROM lost") \
 STMT(lost_add, "INSERT OR REPLACE INTO lost (ino, bytes, path) VALUES (?1, ?2, ?3)") \
 STMT(lost_get, "SELECT ino, bytes, path FROM lost WHERE ino > ?1 ORDER BY ino LIMIT 1") \
 STMT(lost_count, "SELECT count(*), coalesce(sum(bytes), 0) FROM lost") \
 STMT(lost_dead, "UPDATE piece SET live = 0 WHERE state = 6") \
 STMT(lost_live, "UPDATE piece SET live = size WHERE ordinal = ?1 AND state = 6") \
 STMT(lost_any, "SELECT 1 FROM piece WHERE state = 6 LIMIT 1") \
 STMT(condemn, "UPDATE piece SET state = 4, live = 0 WHERE ordinal = ?1 AND state = 3 AND outbox = 0 AND seq > 0") \
 STMT(condemn_lost, "UPDATE piece SET state = 4, live = 1 WHERE ordinal = ?1 AND state = 6 AND outbox = 0 AND live = 0 AND EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = ?1 AND s.retired = 0)") \
 STMT(spare, "UPDATE piece SET state = CASE live WHEN 0 THEN 3 ELSE 6 END, live = size WHERE ordinal = ?1 AND state = 4") \
 STMT(spare_places, "UPDATE placement SET state = CASE (SELECT state FROM piece WHERE ordinal = ?1) WHEN 3 THEN 6 ELSE 4 END WHERE piece = ?1 AND state = 5") \
 STMT(place_dead, "SELECT " PIECE_COLS_C " FROM piece c JOIN placement p ON p.piece = c.ordinal AND p.store = ?2 WHERE c.ordinal > ?1 AND c.state IN (4, 5) ORDER BY c.ordinal LIMIT 1") \
 STMT(piece_gone, "UPDATE piece SET state = 5 WHERE ordinal = ?1 AND state = 4 AND NOT EXISTS (SELECT 1 FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = ?1 AND s.retired = 0)") \
 STMT(dead_sums, "SELECT count(*), coalesce(sum(c.size), 0) FROM piece c WHERE c.state IN (4, 5) AND EXISTS (SELECT 1 FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = c.ordinal AND s.retired = 0)") \
 STMT(dead_at, "SELECT count(*), coalesce(sum(c.size), 0) FROM piece c JOIN placement p ON p.piece = c.ordinal AND p.store = ?1 WHERE c.state IN (4, 5)") \
 STMT(blocks_to, "SELECT max(digest) FROM (SELECT digest FROM block WHERE digest > ?1 ORDER BY digest LIMIT 4096)") \
 STMT(blocks_dead, "SELECT 1 FROM block WHERE digest > ?1 AND digest <= ?2 AND piece IN (SELECT ordinal FROM piece WHERE state = 5) LIMIT 1") \
 STMT(blocks_drop, "DELETE FROM block WHERE digest > ?1 AND digest <= ?2 AND piece IN (SELECT ordinal FROM piece WHERE state = 5)") \
 STMT(store_sums, "SELECT count(*) FILTER (WHERE p.state = 3), coalesce(sum(c.size) FILTER (WHERE p.state = 3), 0), count(*) FILTER (WHERE p.state <> 3), coalesce(sum(c.size) FILTER (WHERE p.state <> 3), 0) FROM placement p JOIN piece c ON c.ordinal = p.piece WHERE p.store = ?1 AND p.state IN (2, 3, 6)") \
 STMT(head_add, "INSERT OR REPLACE INTO head (seq, state, time, piece, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
 STMT(head_set, "UPDATE head SET state = ?2 WHERE seq = ?1") \
 STMT(head_get, "SELECT seq, state, time, piece, hash, body FROM head WHERE seq = ?1") \
 STMT(head_kept, "SELECT seq, state, time, piece, hash, body FROM head WHERE length(body) > 0 ORDER BY seq") \
 STMT(head_built, "SELECT seq, state, time, piece, hash, x'' FROM head WHERE state = 1 ORDER BY seq LIMIT 1") \
 STMT(head_wants, "SELECT 1 FROM piece WHERE state = 2 AND ((seq > 0 AND seq <= ?1) OR ordinal = ?2) LIMIT 1") \
 STMT(head_claimed, "SELECT coalesce(max(seq), 0) FROM head WHERE state = 2") \
 STMT(head_by_cid, "SELECT head.seq FROM head JOIN piece ON piece.ordinal = head.piece WHERE piece.cid = ?1") \
 STMT(head_thin, "UPDATE head SET body = x'' WHERE seq = ?1 AND state = 2") \
 STMT(head_newest, "SELECT coalesce(max(seq), 0) FROM head") \
 STMT(note_get, "SELECT value FROM note WHERE store = ?1 AND key = ?2") \
 STMT(note_set, "INSERT OR REPLACE INTO note (store, key, value) VALUES (?1, ?2, ?3)") \
 STMT(note_drop, "DELETE FROM note WHERE store = ?1 AND key = ?2") \
 STMT(note_next, "SELECT key, value FROM note WHERE store = ?1 AND key > ?2 ORDER BY key LIMIT 1") \
 STMT(spend_add, "INSERT OR IGNORE INTO spend (ref, time, store, amount, text) VALUES (?1, ?2, ?3, ?4, ?5)") \
 STMT(spend_next, "SELECT id, ref, time, store, amount, text FROM spend WHERE id > ?1 ORDER BY id LIMIT 1") \
 STMT(adopt_add, "INSERT OR REPLACE INTO adopt (gen, ino, size, link) VALUES (?1, ?2, ?3, ?4)") \
 STMT(adopt_get, "SELECT link FROM adopt WHERE gen = ?1 AND ino = ?2") \
 STMT(adopt_all, "SELECT gen, ino, size, link FROM adopt WHERE (gen, ino) > (?1, ?2) AND gen <= ?3 ORDER BY gen, ino LIMIT 256") \
 STMT(adopt_del, "DELETE FROM adopt WHERE (gen, ino) IN (SELECT gen, ino FROM adopt WHERE gen <= ?1 LIMIT 1024)") \
 STMT(adopt_stale, "DELETE FROM adopt WHERE (gen, ino) IN (SELECT gen, ino FROM adopt WHERE gen > ?1 LIMIT 1024)")
/* clang-format on */

#endif
