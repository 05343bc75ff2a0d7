-- The table of references (cache/slots.c) as a clean end left it: a row for each
-- segment that has named slots.  A program that does not know of it leaves it as it
-- is; what it is worth then is said in cache/slotmap.c.
-- named: {varint slots that nobody names, varint n, varint names of each of n}.
CREATE TABLE IF NOT EXISTS slotmap (
	seg INTEGER PRIMARY KEY,
	n_slots INTEGER NOT NULL,
	named BLOB NOT NULL
);
