/*
 * stmts.h - every statement on drive.db
 *
 * Prepared once at open, on the main connection (STMTS) and on the connection of
 * a snapshot (SNAP_STMTS).  No SQL stands elsewhere but in schema.sql.
 */
#ifndef CACHE_STMTS_H
#define CACHE_STMTS_H

#include "db/db.h"

/* Column order of INODE_COLS; inode.c and snap.c read them by these places. */
#define INODE_COLS                                                    \
 "ino, mode, uid, gid, nlink, rdev, size, blocks, atime, atime_ns, "  \
 "mtime, mtime_ns, ctime, ctime_ns, btime, btime_ns, parent, flags, " \
 "mgen, dgen, clean_gen, min_gen, min_size, link_size, link, target"

#define EXTENT_COLS "block, n, seg, slot, sgen, dgen"

/* The rows of ?1 that overlap [?2, ?3), and the one before them. */
#define EXTENT_BEGIN                                                       \
 "SELECT " EXTENT_COLS " FROM extent WHERE ino = ?1 AND block >= "         \
 "ifnull((SELECT max(block) FROM extent WHERE ino = ?1 AND block <= ?2), " \
 "?2)"
#define EXTENT_OVERLAP EXTENT_BEGIN " AND block < ?3 ORDER BY block"
#define EXTENT_FROM    EXTENT_BEGIN " ORDER BY block"

/* Of a drive of any format, before its other statements can be prepared. */
#define SQL_FORMAT_VERSION "SELECT v FROM state WHERE k = 1"

/* The map of slots: older programs have not made the table. */
#define SQL_SLOTMAP_GET   "SELECT seg, n_slots, named FROM slotmap"
#define SQL_SLOTMAP_PUT   "INSERT INTO slotmap VALUES (?1, ?2, ?3)"
#define SQL_SLOTMAP_CLEAR "DELETE FROM slotmap"

/* clang-format off */
#define STMTS(STMT) \
 STMT(state_get, "SELECT k, v FROM state") \
 STMT(page_count, "SELECT page_count FROM pragma_page_count()") \
 STMT(state_put, "INSERT OR REPLACE INTO state VALUES (?1, ?2)") \
 STMT(inode_get, "SELECT " INODE_COLS " FROM inode WHERE ino = ?1") \
 STMT(inode_put, "INSERT OR REPLACE INTO inode (" INODE_COLS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, " \
	"?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)") \
 STMT(inode_del, "DELETE FROM inode WHERE ino = ?1") \
 STMT(inode_count, "SELECT count(*) FROM inode") \
 STMT(counts_absent, "SELECT EXISTS (SELECT 1 FROM inode WHERE mode & 61440 = 16384 AND flags & 2 = 0 AND nlink > 0) " \
	"OR EXISTS (SELECT 1 FROM dentry d WHERE NOT EXISTS (SELECT 1 FROM inode i WHERE i.ino = d.ino))") \
 STMT(counts_sum, "SELECT count(*), ifnull(sum(b >> 32), 0), ifnull(sum(b & 4294967295), 0) FROM " \
	"(SELECT CASE WHEN mode & 61440 = 32768 THEN size ELSE 0 END AS b FROM inode WHERE nlink > 0)") \
 STMT(dentry_get, "SELECT ino, type, pos FROM dentry WHERE parent = ?1 AND name = ?2") \
 STMT(dentry_add, "INSERT INTO dentry (parent, name, ino, type, pos) VALUES (?1, ?2, ?3, ?4, ?5)") \
 STMT(dentry_del, "DELETE FROM dentry WHERE parent = ?1 AND name = ?2") \
 STMT(dentry_fetched, "INSERT OR REPLACE INTO dentry (parent, name, ino, type, pos) VALUES (?1, ?2, ?3, ?4, ?5)") \
 STMT(dentry_clear, "DELETE FROM dentry WHERE parent = ?1 AND name IN (SELECT name FROM dentry WHERE parent = ?1 LIMIT ?2)") \
 STMT(dentry_move, "UPDATE OR REPLACE dentry SET parent = ?3, name = ?4, " \
  "pos = CASE parent WHEN ?3 THEN pos ELSE ?5 END WHERE parent = ?1 AND name = ?2") \
 STMT(dentry_set, "UPDATE dentry SET ino = ?3, type = ?4 WHERE parent = ?1 AND name = ?2") \
 STMT(dentry_list, "SELECT name, ino, type, pos FROM dentry WHERE parent = ?1 AND pos > ?2 ORDER BY pos LIMIT 4096") \
 STMT(dentry_any, "SELECT 1 FROM dentry WHERE parent = ?1 LIMIT 1") \
 STMT(extent_overlap, EXTENT_OVERLAP) \
 STMT(extent_from, EXTENT_FROM " LIMIT ?3") \
 STMT(extent_put, "INSERT OR REPLACE INTO extent (ino, " EXTENT_COLS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)") \
 STMT(extent_del, "DELETE FROM extent WHERE ino = ?1 AND block >= ?2 AND block < ?3") \
 STMT(extent_scan, "SELECT ino, " EXTENT_COLS " FROM extent WHERE (ino, block) > (?1, ?2) ORDER BY ino, block LIMIT 4096") \
 STMT(extent_slots, "SELECT seg, slot, n FROM extent") \
 STMT(extent_dirty, "SELECT e.block, e.n, e.seg, e.dgen, i.clean_gen, i.link_size FROM (SELECT ino FROM dirty UNION SELECT ino FROM orphan) d " \
	"JOIN inode i ON i.ino = d.ino JOIN extent e ON e.ino = d.ino") \
 STMT(xattr_get, "SELECT value FROM xattr WHERE ino = ?1 AND name = ?2") \
 STMT(xattr_put, "INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?1, ?2, ?3)") \
 STMT(xattr_del, "DELETE FROM xattr WHERE ino = ?1 AND name = ?2") \
 STMT(xattr_list, "SELECT name FROM xattr WHERE ino = ?1 ORDER BY name") \
 STMT(xattr_others, "SELECT count(*), coalesce(sum(length(name) + length(value)), 0) FROM xattr WHERE ino = ?1 AND name <> ?2") \
 STMT(xattr_clear, "DELETE FROM xattr WHERE ino = ?1") \
 STMT(orphan_add, "INSERT OR REPLACE INTO orphan VALUES (?1)") \
 STMT(orphan_del, "DELETE FROM orphan WHERE ino = ?1") \
 STMT(orphan_next, "SELECT ino FROM orphan WHERE ino > ?1 ORDER BY ino LIMIT 1") \
 STMT(dirty_add, "INSERT OR REPLACE INTO dirty VALUES (?1)") \
 STMT(dirty_del, "DELETE FROM dirty WHERE ino = ?1") \
 STMT(dirty_count, "SELECT count(*) FROM dirty") \
 STMT(removed_add, "INSERT OR REPLACE INTO removed VALUES (?1, ?2)") \
 STMT(removed_del, "DELETE FROM removed WHERE gen <= ?1") \
 STMT(logged_put, "INSERT OR REPLACE INTO logged VALUES (?1, ?2, ?3, ?4)") \
 STMT(logged_del, "DELETE FROM logged WHERE id = ?1") \
 STMT(logged_list, "SELECT id, ino, block, text FROM logged ORDER BY id")

#define SNAP_STMTS(STMT) \
 STMT(snap_inode, "SELECT " INODE_COLS " FROM inode WHERE ino = ?1") \
 STMT(snap_dirty, "SELECT ino FROM dirty ORDER BY ino") \
 STMT(snap_children, "SELECT name, type, ino, pos FROM dentry WHERE parent = ?1 ORDER BY name") \
 STMT(snap_child_at, "SELECT name, type, ino, pos FROM dentry INDEXED BY dentry_pos WHERE parent = ?1 AND pos = ?2") \
 STMT(snap_xattrs, "SELECT name, value FROM xattr WHERE ino = ?1 ORDER BY name") \
 STMT(snap_shared, "SELECT ino FROM inode WHERE flags & 1 ORDER BY ino") \
 STMT(snap_removed, "SELECT ino FROM removed ORDER BY ino") \
 STMT(snap_extents, EXTENT_OVERLAP) \
 STMT(snap_linked, "SELECT ino FROM inode WHERE length(link) > 0 ORDER BY ino") \
 STMT(snap_unseen, "SELECT 1 FROM inode WHERE (mode & 61440) = 16384 AND nlink > 0 AND length(link) > 0 AND (flags & 2) = 0 " \
	"UNION ALL SELECT 1 FROM dentry d WHERE NOT EXISTS (SELECT 1 FROM inode i WHERE i.ino = d.ino) LIMIT 1") \
 STMT(snap_xattr_sets, "SELECT ino FROM xattr GROUP BY ino HAVING sum(length(name) + length(value)) >= ?1") \
 STMT(snap_name_in, "SELECT parent, name FROM dentry WHERE parent = ?1 AND ino = ?2 LIMIT 1") \
 STMT(snap_name_any, "SELECT parent, name FROM dentry WHERE ino = ?1 LIMIT 1") \
 STMT(snap_unlinked, "SELECT DISTINCT parent FROM dentry WHERE ino IN (SELECT ino FROM dirty JOIN inode USING (ino) WHERE flags & 1 AND coalesce(length(link), 0) = 0)") \
 STMT(snap_touch, "SELECT count(*) FROM state")
/* clang-format on */

enum {
	STMTS(DB_STMT_ENUM) N_STMTS
};
enum {
	SNAP_STMTS(DB_STMT_ENUM) N_SNAP_STMTS
};

#endif
