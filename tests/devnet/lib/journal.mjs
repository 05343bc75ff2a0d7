/*
 * journal.mjs - state that can be taken back
 *
 * Everything a contract keeps is in a Table.  Each change is noted in the one
 * Journal of the chain with both directions, so that a call that reverts leaves
 * no trace, an eth_call leaves none at all, and the state of an earlier epoch
 * can be looked at and left again.
 *
 * Values in a record are never changed in place: a list is replaced by a new
 * one.
 */
export class Journal {
	entries = [];

	record(undo, redo) {
		this.entries.push({ undo, redo });
	}

	mark() {
		return this.entries.length;
	}

	/** Take back what was done since the mark. */
	rollback(mark) {
		while (this.entries.length > mark)
			this.entries.pop().undo();
	}

	/** What was done since the last call; afterwards it stands for good. */
	take() {
		const done = this.entries;
		this.entries = [];
		return done;
	}
}

export class Table {
	/** `fresh` makes the record that a key has before it is first written. */
	constructor(journal, fresh = () => undefined) {
		this.journal = journal;
		this.fresh = fresh;
		this.rows = new Map();
	}

	has(key) {
		return this.rows.has(String(key));
	}

	/** The value to read; of a record, nobody writes into it. */
	get(key) {
		const row = this.rows.get(String(key));
		return row === undefined ? this.fresh() : row;
	}

	set(key, value) {
		const { rows } = this;
		const k = String(key);
		const had = rows.has(k);
		const old = rows.get(k);
		const put = () => rows.set(k, value);

		this.journal.record(() => had ? rows.set(k, old) : rows.delete(k), put);
		put();
	}

	delete(key) {
		const { rows } = this;
		const k = String(key);
		if (!rows.has(k))
			return;
		const old = rows.get(k);
		this.journal.record(() => rows.set(k, old), () => rows.delete(k));
		rows.delete(k);
	}

	/** The record to write to: assignments to its members are journaled. */
	ref(key) {
		const k = String(key);
		if (!this.rows.has(k))
			this.set(k, this.fresh());
		const { journal } = this;
		return new Proxy(this.rows.get(k), {
			set(row, name, value) {
				const old = row[name];
				journal.record(() => { row[name] = old; },
					() => { row[name] = value; });
				row[name] = value;
				return true;
			},
		});
	}

	keys() {
		return [...this.rows.keys()];
	}

	values() {
		return [...this.rows.values()];
	}
}
