package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"earshot/protocol/classic"
	"earshot/tray/chat"
)

const (
	// forgetAtOnce bounds how long others wait while messages are deleted.
	forgetAtOnce = 500
	// forgottenKept is how long it is known which items were here once. It is
	// longer than anybody sends one again.
	forgottenKept = 90 * 24 * time.Hour
)

// Forget deletes what is older than a time: messages that the person has seen
// and of which nothing is on its way. Those that came by the secure protocol
// are not taken for new ones if they are sent again. So are drafts nobody has
// come back to. Apply sets Count, and More
// if there are others, which another Forget deletes.
type Forget struct {
	Before time.Time
	Now    time.Time
	Count  int
	More   bool
}

func (f *Forget) apply(ctx context.Context, tx *sql.Tx) (err error) {
	f.Count, f.More, err = forget(ctx, tx, f.Now, forgetAtOnce, `at < ?3 AND unread = 0`, f.Before.UnixNano())
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM drafts WHERE at < ?`, f.Before.UnixNano()); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM forgotten WHERE at < ?`, f.Now.Add(-forgottenKept).UnixNano())
	return err
}

// forget deletes up to limit messages that meet a condition, whose parameters are ?3 and
// ?4, but for those that are on their way.
func forget(ctx context.Context, tx *sql.Tx, now time.Time, limit int, condition string, args ...any) (count int, more bool, err error) {
	chosen := `SELECT id FROM messages WHERE ` + condition + ` AND ` + settled + ` ORDER BY id LIMIT ?2`
	args = append([]any{now.UnixNano(), limit}, args...)
	for _, statement := range []string{
		`INSERT OR IGNORE INTO forgotten (uid, sender_key, at)
			SELECT uid, sender_key, ?1 FROM messages WHERE uid IS NOT NULL AND sender_key <> '' AND id IN (` + chosen + `)`,
		`DELETE FROM recipients WHERE ?1 <> 0 AND message IN (` + chosen + `)`,
	} {
		if _, err := tx.ExecContext(ctx, statement, args...); err != nil {
			return 0, false, err
		}
	}
	count, err = affected(tx.ExecContext(ctx, `DELETE FROM messages WHERE ?1 <> 0 AND id IN (`+chosen+`)`, args...))
	return count, count == limit, err
}

// forgetAll deletes everything that is not on its way. To take each message out
// of the index would cost minutes where there are many: it is made anew.
func forgetAll(ctx context.Context, tx *sql.Tx, now time.Time) (count int, err error) {
	if _, err := tx.ExecContext(ctx, `DROP TRIGGER messages_text_deleted`); err != nil {
		return 0, err
	}
	if count, _, err = forget(ctx, tx, now, math.MaxInt32, `1`); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO messages_text (messages_text) VALUES ('rebuild')`); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, deletedTrigger)
	return count, err
}

// deletedTrigger is as its migration made it.
const deletedTrigger = `CREATE TRIGGER messages_text_deleted AFTER DELETE ON messages BEGIN
	INSERT INTO messages_text (messages_text, rowid, text) VALUES ('delete', old.id, old.text);
END`

// settled is the condition that nothing of a message is on its way.
const settled = `state <> 'sending'
	AND NOT EXISTS (SELECT 1 FROM items WHERE items.message = messages.id AND items.message <> 0)`

// Erase deletes what the person wants deleted on this computer, read or not: one
// message, a conversation, or everything, with what is written there and not
// sent. What is on its way stays. Apply sets
// Count, and More if there are others, which another Erase deletes; Kept is how
// many stay once there is no More, and Unread how many of whom were unread.
type Erase struct {
	What   chat.Erasure
	Now    time.Time
	Count  int
	More   bool
	Kept   int
	Unread map[string]int
}

func (e *Erase) apply(ctx context.Context, tx *sql.Tx) error {
	e.Kept, e.Unread = 0, make(map[string]int)
	condition, args := `1`, []any{}
	switch {
	case e.What.ID != 0:
		condition, args = `id = ?3`, []any{e.What.ID}
	case e.What.Peer != "":
		condition, args = `peer_key = ?3`, []any{classic.NameKey(e.What.Peer)}
	case !e.What.All:
		return errors.New("nothing is said to be erased")
	}
	if e.What.ID == 0 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM drafts WHERE ?1 OR peer_key = ?2`, e.What.All, classic.NameKey(e.What.Peer)); err != nil {
			return err
		}
	}
	// Whose count of unread ones it is, is settled at once for all of them.
	if err := e.countUnread(ctx, tx, condition, args); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE messages SET unread = 0 WHERE ?1 = ?2 AND unread = 1 AND `+condition, append([]any{1, 1}, args...)...); err != nil {
		return err
	}
	var err error
	if condition == `1` {
		e.Count, err = forgetAll(ctx, tx, e.Now)
	} else {
		e.Count, e.More, err = forget(ctx, tx, e.Now, forgetAtOnce, condition, args...)
	}
	if err != nil || e.More {
		return err
	}
	return tx.QueryRowContext(ctx, `SELECT count(*) FROM messages WHERE ?1 = ?2 AND `+condition, append([]any{1, 1}, args...)...).Scan(&e.Kept)
}

func (e *Erase) countUnread(ctx context.Context, tx *sql.Tx, condition string, args []any) error {
	rows, err := tx.QueryContext(ctx, `SELECT max(peer), count(*) FROM messages WHERE ?1 = ?2 AND unread = 1 AND `+condition+` GROUP BY peer_key`, append([]any{1, 1}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var peer string
		var n int
		if err := rows.Scan(&peer, &n); err != nil {
			return err
		}
		e.Unread[peer] = n
	}
	return rows.Err()
}

// Settle brings deletions from SQLite's journal, where what was deleted can
// still be read, into the database.
func (s *Store) Settle(ctx context.Context) error {
	if _, err := s.writer.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
