// Package store keeps the messages of a profile in SQLite: the history, and
// with it the outbox, which is nothing but the person's own messages that are
// still in the state Sending.
//
// What a method has returned for is on the disk: it survives a crash of the
// program and, as far as the disk keeps its promises, a power loss.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"earshot/protocol/classic"
	"earshot/tray/chat"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// ErrNewer is a database that a newer Earshot has changed.
var ErrNewer = errors.New("the message history was written by a newer version of Earshot; install that version again, or move the file away")

// Store is an open database. It may be used from any goroutine; changes are
// made one at a time, over one connection, while any number of others read.
type Store struct {
	writer *sql.DB // limited to one connection
	reader *sql.DB
}

// Open opens the database file, or makes it, readable for the account only,
// and brings its tables up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	// SQLite would make the file with the usual mode, and its companions take
	// the mode of the file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := new(Store)
	if s.writer, err = sql.Open("sqlite", source(path, "rwc")); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writer); err != nil {
		s.writer.Close()
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if s.reader, err = sql.Open("sqlite", source(path, "ro")); err != nil {
		s.writer.Close()
		return nil, fmt.Errorf("store: %w", err)
	}
	s.reader.SetMaxOpenConns(4)
	return s, nil
}

// source names the database for the driver, with what holds for every
// connection. FULL makes a commit wait for the disk.
func source(path, mode string) string {
	query := url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
	}
	if mode == "ro" {
		query.Del("_txlock")
		query["_pragma"] = []string{"busy_timeout(5000)", "query_only(1)"}
	}
	slashed := filepath.ToSlash(path)
	if slashed[0] != '/' {
		slashed = "/" + slashed // C:/… on Windows
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}).String()
}

// Close ends all use of the database.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

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
	CREATE INDEX messages_outbox ON messages (id) WHERE state = 'sending';`,
}

func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return ErrNewer
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("to version %d: %w", version+1, err)
		}
		// A pragma takes no parameters.
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Change is something to be written: *Add, Mark or Read.
type Change interface {
	apply(ctx context.Context, tx *sql.Tx) error
}

// Add stores a new message. Apply sets Message.ID.
type Add struct{ Message chat.Message }

// Mark changes the state of a message of the person's own.
type Mark struct {
	ID      int64
	State   chat.State
	Problem string
}

// Read marks everything from a peer as read.
type Read struct{ Peer string }

// Apply makes all changes or none, in their order. Many changes at once cost
// one wait for the disk.
func (s *Store) Apply(ctx context.Context, changes ...Change) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer tx.Rollback()
	for _, c := range changes {
		if err := c.apply(ctx, tx); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func (a *Add) apply(ctx context.Context, tx *sql.Tx) error {
	m := &a.Message
	return tx.QueryRowContext(ctx,
		`INSERT INTO messages (peer, peer_key, sender, text, at, state, problem, unread, doubtful)
		 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		m.Peer, classic.NameKey(m.Peer), m.Sender, m.Text, m.At.UnixNano(), string(m.State), m.Problem, m.Unread, m.Doubtful,
	).Scan(&m.ID)
}

func (m Mark) apply(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE messages SET state = ?, problem = ? WHERE id = ?`, string(m.State), m.Problem, m.ID)
	return err
}

func (r Read) apply(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE messages SET unread = 0 WHERE peer_key = ? AND unread = 1`, classic.NameKey(r.Peer))
	return err
}

// Conversation is one peer's messages in short.
type Conversation struct {
	// Peer is the name as the newest message spells it.
	Peer   string
	Unread int
	// Last is when the newest message was sent or received.
	Last time.Time
}

// Conversations returns the limit conversations with the newest messages,
// newest first, and all that hold unread ones.
func (s *Store) Conversations(ctx context.Context, limit int) ([]Conversation, error) {
	rows, err := s.reader.QueryContext(ctx,
		`WITH newest AS (SELECT max(id) AS id, sum(unread) AS unread FROM messages GROUP BY peer_key)
		 SELECT m.peer, newest.unread, m.at FROM newest JOIN messages m ON m.id = newest.id
		 ORDER BY newest.unread > 0 DESC, m.id DESC`)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer rows.Close()
	var list []Conversation
	for rows.Next() {
		var c Conversation
		var at int64
		if err := rows.Scan(&c.Peer, &c.Unread, &at); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		if c.Unread == 0 && len(list) >= limit {
			break
		}
		c.Last = time.Unix(0, at)
		list = append(list, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return list, nil
}

// Outbox returns the messages that are on their way or wait, oldest first.
func (s *Store) Outbox(ctx context.Context) ([]chat.Message, error) {
	return s.messages(ctx, `WHERE state = 'sending' ORDER BY id`)
}

// Message returns one message, and sql.ErrNoRows if there is none of that ID.
func (s *Store) Message(ctx context.Context, id int64) (chat.Message, error) {
	list, err := s.messages(ctx, `WHERE id = ?`, id)
	if err != nil {
		return chat.Message{}, err
	}
	if len(list) == 0 {
		return chat.Message{}, fmt.Errorf("store: message %d: %w", id, sql.ErrNoRows)
	}
	return list[0], nil
}

// History returns the last limit messages with peer, or of all if peer is
// empty, with an ID below before unless that is 0, oldest first.
func (s *Store) History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	where, args := "WHERE 1", []any{}
	if peer != "" {
		where, args = where+" AND peer_key = ?", append(args, classic.NameKey(peer))
	}
	if before > 0 {
		where, args = where+" AND id < ?", append(args, before)
	}
	list, err := s.messages(ctx, where+" ORDER BY id DESC LIMIT ?", append(args, limit)...)
	slices.Reverse(list)
	return list, err
}

func (s *Store) messages(ctx context.Context, where string, args ...any) ([]chat.Message, error) {
	rows, err := s.reader.QueryContext(ctx,
		`SELECT id, peer, sender, text, at, state, problem, unread, doubtful FROM messages `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer rows.Close()
	var list []chat.Message
	for rows.Next() {
		var m chat.Message
		var at int64
		if err := rows.Scan(&m.ID, &m.Peer, &m.Sender, &m.Text, &at, &m.State, &m.Problem, &m.Unread, &m.Doubtful); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		m.At = time.Unix(0, at)
		list = append(list, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return list, nil
}
