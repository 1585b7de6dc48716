// Package store keeps the messages of a profile in SQLite: the history, the
// outbox with what is on its way to each device, and whose devices are known.
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
// connection. FULL makes a commit wait for the disk; secure_delete overwrites
// what is deleted.
func source(path, mode string) string {
	query := url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "secure_delete(1)"},
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

// Change is something to be written. What a change finds out is in its fields
// after Apply.
type Change interface {
	apply(ctx context.Context, tx *sql.Tx) error
}

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
