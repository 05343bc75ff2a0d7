-- What drives of format 1 lack; a new drive gets it behind schema.sql.

-- Blocks that are durable here before they have slots (cache/logged.c): the first
-- bytes of a block, and behind them zeros.  They stand over what extent says.
CREATE TABLE logged (
	id INTEGER PRIMARY KEY,
	ino INTEGER NOT NULL,
	block INTEGER NOT NULL,
	text BLOB NOT NULL
);

INSERT OR REPLACE INTO state VALUES (1, 2);
