/* stmts.h - every statement of ledger.db, prepared once at open */
#ifndef LEDGER_STMTS_H
#define LEDGER_STMTS_H

/* clang-format off */
#define PIECE_COLS "ordinal, cid, size, kind, state, outbox, seq, live, created"
/* Here, or at a store that gave it back verified. */
#define PIECE_SAFE "(p.outbox = 1 OR EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = p.ordinal AND x.state = 3 AND s.retired = 0))"
#define PLACE_COLS "p.piece, p.store, p.state, p.attempts, p.next_try, p.error"

/* Before the tables are there: are they? */
#define LEDGER_SQL_MADE "SELECT 1 FROM sqlite_master WHERE name = 'state'"

#define LEDGER_STMTS(STMT) \
 STMT(state_get, "SELECT v FROM state WHERE k = ?1") \
 STMT(state_set, "INSERT OR REPLACE INTO state (k, v) VALUES (?1, ?2)") \
 STMT(store_retire_all, "UPDATE store SET retired = 1") \
 STMT(store_find, "SELECT id FROM store WHERE url = ?1") \
 STMT(store_add, "INSERT INTO store (url, retired, seen, error) VALUES (?1, 0, 0, x'')") \
 STMT(store_back, "UPDATE store SET retired = 0 WHERE id = ?1") \
 STMT(store_get, "SELECT url, ident, retired, seen, error FROM store WHERE id = ?1") \
 STMT(store_ident, "UPDATE store SET ident = ?2 WHERE id = ?1") \
 STMT(store_seen, "UPDATE store SET seen = ?2, error = x'' WHERE id = ?1") \
 STMT(store_error, "UPDATE store SET error = ?2 WHERE id = ?1") \
 STMT(piece_add, "INSERT INTO piece (" PIECE_COLS ") VALUES (?1, NULL, 0, ?2, 1, 1, 0, 0, ?3)") \
 STMT(piece_ready, "UPDATE piece SET cid = ?2, size = ?3, live = ?3, state = 2 WHERE ordinal = ?1 AND state IN (1, 2)") \
 STMT(piece_learn, "INSERT OR IGNORE INTO piece (" PIECE_COLS ") VALUES (?1, ?2, ?3, ?4, 3, 0, ?5, ?6, ?7)") \
 STMT(piece_drop, "DELETE FROM piece WHERE ordinal = ?1") \
 STMT(piece_get, "SELECT " PIECE_COLS " FROM piece WHERE ordinal = ?1") \
 STMT(piece_set, "UPDATE piece SET state = ?2, outbox = ?3 WHERE ordinal = ?1") \
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
 STMT(node_oldest, "SELECT digest, length(body) FROM node ORDER BY used LIMIT 1") \
 STMT(node_del, "DELETE FROM node WHERE digest = ?1") \
 STMT(place_set, "INSERT OR REPLACE INTO placement (piece, store, state, attempts, next_try, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
 STMT(place_get, "SELECT " PLACE_COLS " FROM placement p WHERE p.piece = ?1 AND p.store = ?2") \
 STMT(place_del, "DELETE FROM placement WHERE piece = ?1 AND store = ?2") \
 STMT(place_of, "SELECT " PLACE_COLS " FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = ?1 AND s.retired = 0 ORDER BY p.store") \
 STMT(place_copies, "SELECT count(*) FROM placement p JOIN store s ON s.id = p.store WHERE p.piece = ?1 AND p.state = 3 AND s.retired = 0") \
 STMT(sums, "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(outbox), 0), coalesce(sum(outbox * size), 0), coalesce(sum(state = 2), 0), coalesce(sum((state = 2) * size), 0) FROM piece WHERE state IN (2, 3)") \
 STMT(lost, "SELECT count(*) FROM piece p WHERE p.state IN (2, 3) AND p.outbox = 0 AND NOT EXISTS (SELECT 1 FROM placement x JOIN store s ON s.id = x.store WHERE x.piece = p.ordinal AND x.state IN (2, 3) AND s.retired = 0)") \
 STMT(store_sums, "SELECT count(*), coalesce(sum(c.size), 0) FROM placement p JOIN piece c ON c.ordinal = p.piece WHERE p.store = ?1 AND p.state = 3") \
 STMT(head_add, "INSERT OR REPLACE INTO head (seq, state, time, piece, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)") \
 STMT(head_set, "UPDATE head SET state = ?2 WHERE seq = ?1") \
 STMT(head_get, "SELECT seq, state, time, piece, hash, body FROM head WHERE seq = ?1") \
 STMT(head_all, "SELECT seq, state, time, piece, hash, body FROM head ORDER BY seq") \
 STMT(head_newest, "SELECT coalesce(max(seq), 0) FROM head") \
 STMT(adopt_add, "INSERT OR REPLACE INTO adopt (gen, ino, size, link) VALUES (?1, ?2, ?3, ?4)") \
 STMT(adopt_all, "SELECT gen, ino, size, link FROM adopt ORDER BY gen, ino") \
 STMT(adopt_del, "DELETE FROM adopt WHERE gen <= ?1")
/* clang-format on */

#endif
