-- drive.db: names, inodes, extents (docs/architecture.md, the local drive directory).
-- Every page is sealed by src/db; this file is embedded at build.

-- Small persistent numbers; keys are enum state_key in internal.h.
CREATE TABLE state (
	k INTEGER PRIMARY KEY,
	v INTEGER NOT NULL
);

-- mgen, dgen: generation of the last change of attributes or name, of content.
-- The inode is dirty while max(mgen, dgen) > clean_gen.
-- min_size: smallest size since the last adopted link, seen in min_gen at last.
CREATE TABLE inode (
	ino INTEGER PRIMARY KEY,
	mode INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	gid INTEGER NOT NULL,
	nlink INTEGER NOT NULL,
	rdev INTEGER NOT NULL,
	size INTEGER NOT NULL,
	blocks INTEGER NOT NULL,
	atime INTEGER NOT NULL, atime_ns INTEGER NOT NULL,
	mtime INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
	ctime INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
	btime INTEGER NOT NULL, btime_ns INTEGER NOT NULL,
	parent INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	mgen INTEGER NOT NULL,
	dgen INTEGER NOT NULL,
	clean_gen INTEGER NOT NULL,
	min_gen INTEGER NOT NULL,
	min_size INTEGER NOT NULL,
	link_size INTEGER NOT NULL,
	link BLOB NOT NULL,
	target BLOB NOT NULL
);

-- pos: the stable place of a name in its directory, and readdir's cookie.
CREATE TABLE dentry (
	parent INTEGER NOT NULL,
	name BLOB NOT NULL,
	ino INTEGER NOT NULL,
	type INTEGER NOT NULL,
	pos INTEGER NOT NULL,
	PRIMARY KEY (parent, name)
) WITHOUT ROWID;
CREATE INDEX dentry_pos ON dentry (parent, pos);

-- n blocks from block on lie in the n slots from slot on of segment seg, sealed
-- in slot generation sgen, written in generation dgen.  seg 0: a hole over what
-- the inode's link has; with slot 1 one that fallocate has promised room, which
-- may stand behind the end of the file.
CREATE TABLE extent (
	ino INTEGER NOT NULL,
	block INTEGER NOT NULL,
	n INTEGER NOT NULL,
	seg INTEGER NOT NULL,
	slot INTEGER NOT NULL,
	sgen INTEGER NOT NULL,
	dgen INTEGER NOT NULL,
	PRIMARY KEY (ino, block)
) WITHOUT ROWID;

CREATE TABLE xattr (
	ino INTEGER NOT NULL,
	name BLOB NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (ino, name)
) WITHOUT ROWID;

-- Inodes without a name that were in use: reaped when the drive is opened.
CREATE TABLE orphan (
	ino INTEGER PRIMARY KEY
);

-- The dirty queue.
CREATE TABLE dirty (
	ino INTEGER PRIMARY KEY
);

-- Inodes of the inode table (hard links) that are gone, since generation gen.
CREATE TABLE removed (
	ino INTEGER PRIMARY KEY,
	gen INTEGER NOT NULL
);
