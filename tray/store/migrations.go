package store

// migrations lead from one version of the tables (PRAGMA user_version) to the
// next. What is released is never changed, only appended to.
var migrations = []string{
	`CREATE TABLE messages (
		id       INTEGER PRIMARY KEY AUTOINCREMENT,
		peer     TEXT NOT NULL,    -- whose conversation it is, as it was spelt
		peer_key TEXT NOT NULL,    -- the name's folded form, which is unique
		sender   TEXT NOT NULL,
		text     TEXT NOT NULL,
		at       INTEGER NOT NULL, -- nanoseconds since 1970
		state    TEXT NOT NULL,
		problem  TEXT NOT NULL DEFAULT '',
		unread   INTEGER NOT NULL DEFAULT 0,
		doubtful INTEGER NOT NULL DEFAULT 0
	) STRICT;
	CREATE INDEX messages_of_peer ON messages (peer_key, id);
	CREATE INDEX messages_unread ON messages (peer_key) WHERE unread = 1;
	CREATE INDEX messages_outbox ON messages (id) WHERE state = 'sending';`, // What came before has no item ID, except for what still waits, which may go
	// to devices now.
	`ALTER TABLE messages ADD COLUMN uid BLOB;                                -- 16 bytes
	ALTER TABLE messages ADD COLUMN sender_key TEXT NOT NULL DEFAULT '';      -- '' is the own account
	ALTER TABLE messages ADD COLUMN reply_to INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE messages ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;        -- when, by the sender's clock, or 0
	ALTER TABLE messages ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE messages ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE messages ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE messages ADD COLUMN secure INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE messages ADD COLUMN audience TEXT NOT NULL DEFAULT '';        -- a phrase
	CREATE UNIQUE INDEX messages_uid ON messages (uid, sender_key) WHERE uid IS NOT NULL;
	DROP INDEX messages_outbox;
	CREATE TABLE recipients (
		message      INTEGER NOT NULL,
		person_key   TEXT NOT NULL,
		person       TEXT NOT NULL,
		state        TEXT NOT NULL,
		acknowledged INTEGER NOT NULL DEFAULT 0,
		problem      TEXT NOT NULL DEFAULT '',
		PRIMARY KEY (message, person_key)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE items (
		id       INTEGER PRIMARY KEY AUTOINCREMENT, -- their order
		uid      BLOB NOT NULL,
		at       INTEGER NOT NULL,
		kind     TEXT NOT NULL,
		message  INTEGER NOT NULL DEFAULT 0,        -- that it is or changes
		peer     TEXT NOT NULL,                     -- whose conversation it belongs to
		targets  BLOB NOT NULL DEFAULT x'',         -- item IDs, one behind the other
		text     TEXT NOT NULL DEFAULT '',
		audience TEXT NOT NULL DEFAULT ''           -- JSON
	) STRICT;
	CREATE INDEX items_of_message ON items (message) WHERE message <> 0;
	CREATE TABLE deliveries (
		item       INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
		person_key TEXT NOT NULL, -- '' is the own account
		person     TEXT NOT NULL,
		device     BLOB NOT NULL, -- empty: by the classic protocol, or not known yet
		PRIMARY KEY (item, person_key, device)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE people (
		person_key TEXT PRIMARY KEY,
		name       TEXT NOT NULL,
		verified   INTEGER NOT NULL,
		classic    INTEGER NOT NULL  -- accepted although once seen secure
	) STRICT, WITHOUT ROWID;
	CREATE TABLE pins (
		person_key TEXT NOT NULL,
		device     BLOB NOT NULL,
		label      TEXT NOT NULL,
		first_seen INTEGER NOT NULL,
		removed    INTEGER NOT NULL,
		PRIMARY KEY (person_key, device)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE own_status (
		id         INTEGER PRIMARY KEY CHECK (id = 1),
		presence   TEXT NOT NULL,
		text       TEXT NOT NULL,
		display    TEXT NOT NULL,
		department TEXT NOT NULL
	) STRICT;
	UPDATE messages SET uid = randomblob(16) WHERE state = 'sending';
	INSERT INTO items (uid, at, kind, message, peer)
		SELECT uid, at, 'text', id, peer FROM messages WHERE state = 'sending' ORDER BY id;
	INSERT INTO recipients (message, person_key, person, state)
		SELECT id, peer_key, peer, 'sending' FROM messages WHERE state = 'sending' AND peer_key <> ',everyone';
	INSERT INTO deliveries (item, person_key, person, device)
		SELECT i.id, m.peer_key, m.peer, x'' FROM items i JOIN messages m ON m.id = i.message;`,
	// What is being written and has not been sent.
	`CREATE TABLE drafts (
		peer_key TEXT PRIMARY KEY,
		text     TEXT NOT NULL,
		reply_to INTEGER NOT NULL,
		urgent   INTEGER NOT NULL,
		at       INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;`,
	// Items of messages that were deleted for their age.
	`CREATE TABLE forgotten (
		uid        BLOB NOT NULL,
		sender_key TEXT NOT NULL,
		at         INTEGER NOT NULL, -- of the deletion
		PRIMARY KEY (uid, sender_key)
	) STRICT, WITHOUT ROWID;`,
	// Every three characters that follow each other, so that Chinese, too, is found
	// by any part of it. secure-delete leaves nothing of what is deleted in the index.
	`CREATE VIRTUAL TABLE messages_text USING fts5 (text, content = 'messages', content_rowid = 'id', tokenize = 'trigram');
	INSERT INTO messages_text (messages_text, rank) VALUES ('secure-delete', 1);
	INSERT INTO messages_text (messages_text) VALUES ('rebuild');
	CREATE TRIGGER messages_text_added AFTER INSERT ON messages BEGIN
		INSERT INTO messages_text (rowid, text) VALUES (new.id, new.text);
	END;
	CREATE TRIGGER messages_text_deleted AFTER DELETE ON messages BEGIN
		INSERT INTO messages_text (messages_text, rowid, text) VALUES ('delete', old.id, old.text);
	END;
	CREATE TRIGGER messages_text_changed AFTER UPDATE OF text ON messages BEGIN
		INSERT INTO messages_text (messages_text, rowid, text) VALUES ('delete', old.id, old.text);
		INSERT INTO messages_text (rowid, text) VALUES (new.id, new.text);
	END;`,
}
