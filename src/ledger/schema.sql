-- ledger.db: what left, or is to leave, this device.  ledger.h explains the
-- states; test_ledger.c compares the CHECK lists with the enums.

CREATE TABLE state (
	k INTEGER PRIMARY KEY,
	v BLOB NOT NULL
);

CREATE TABLE store (
	id INTEGER PRIMARY KEY,
	url BLOB NOT NULL UNIQUE,
	ident BLOB,               -- what tells it from others; once attached
	retired INTEGER NOT NULL, -- no longer in the configuration
	seen INTEGER NOT NULL,    -- seconds; last answer
	error BLOB NOT NULL       -- why the last try failed; empty: it did not
);

CREATE TABLE piece (
	ordinal INTEGER PRIMARY KEY,
	cid BLOB,                 -- piece CID v2, binary; from READY on
	size INTEGER NOT NULL,    -- bytes
	kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
	state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5, 6)),
	outbox INTEGER NOT NULL,  -- the file is in outbox/
	seq INTEGER NOT NULL,     -- the commit that lists it; 0: none yet
	live INTEGER NOT NULL,    -- bytes that the newest commit still needs
	created INTEGER NOT NULL, -- seconds
	indexed INTEGER NOT NULL  -- its blocks are in table block
);
CREATE INDEX piece_state ON piece (state);

CREATE TABLE placement (
	piece INTEGER NOT NULL,
	store INTEGER NOT NULL,
	state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5, 6, 7)),
	attempts INTEGER NOT NULL,
	next_try INTEGER NOT NULL, -- seconds
	error BLOB NOT NULL,
	PRIMARY KEY (piece, store)
) WITHOUT ROWID;
CREATE INDEX placement_due ON placement (state, next_try);

CREATE TABLE block (
	digest BLOB PRIMARY KEY,   -- sha2-256 of the sealed block
	piece INTEGER NOT NULL,
	off INTEGER NOT NULL,      -- of the CAR section
	len INTEGER NOT NULL,
	kind INTEGER NOT NULL,     -- 0 leaf, 1 node
	key BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE node (
	digest BLOB PRIMARY KEY,
	used INTEGER NOT NULL,     -- counts up with each use
	body BLOB NOT NULL         -- opened
) WITHOUT ROWID;
CREATE INDEX node_used ON node (used);

CREATE TABLE head (
	seq INTEGER PRIMARY KEY,
	state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
	time INTEGER NOT NULL,     -- seconds
	piece INTEGER NOT NULL,    -- the head piece
	hash BLOB NOT NULL,        -- of the sealed commit
	body BLOB NOT NULL         -- what the writer needs of it (onboard/); empty:
	                           -- thinned out, its piece is still known
);
CREATE INDEX head_state ON head (state, seq);
CREATE INDEX head_kept ON head (seq) WHERE length(body) > 0;

-- Files of which a part is nowhere any more.
CREATE TABLE lost (
	ino INTEGER PRIMARY KEY,
	bytes INTEGER NOT NULL,
	path BLOB NOT NULL        -- from the root; empty: not known
);

-- Counts for gen up to LEDGER_ADOPT_GEN; what is above was not finished.
CREATE TABLE adopt (
	gen INTEGER NOT NULL,
	ino INTEGER NOT NULL,
	size INTEGER NOT NULL,
	link BLOB NOT NULL,
	PRIMARY KEY (gen, ino)
) WITHOUT ROWID;

-- What a provider has to remember (provider.h).
CREATE TABLE note (
	store INTEGER NOT NULL,
	key BLOB NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (store, key)
) WITHOUT ROWID;

-- What was paid, each once.
CREATE TABLE spend (
	id INTEGER PRIMARY KEY,
	ref BLOB NOT NULL UNIQUE, -- what was paid for: a nonce, a hash
	time INTEGER NOT NULL,    -- seconds
	store INTEGER NOT NULL,   -- 0: of no store
	amount BLOB NOT NULL,     -- units of the token, 32 bytes, big-endian
	text BLOB NOT NULL        -- for people
);
