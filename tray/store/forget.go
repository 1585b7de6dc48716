package store

import (
	"context"
	"database/sql"
	"time"
)

const (
	// forgetAtOnce bounds how long others wait while messages are deleted.
	forgetAtOnce = 2000
	// forgottenKept is how long it is known which items were here once. It is
	// longer than anybody sends one again.
	forgottenKept = 90 * 24 * time.Hour
)

// Forget deletes what is older than a time: messages that the person has seen
// and of which nothing is on its way. Those that came by the secure protocol
// are not taken for new ones if they are sent again. Apply sets Count, and More
// if there are others, which another Forget deletes.
type Forget struct {
	Before time.Time
	Now    time.Time
	Count  int
	More   bool
}

func (f *Forget) apply(ctx context.Context, tx *sql.Tx) (err error) {
	const old = `SELECT id FROM messages WHERE at < ?1 AND unread = 0 AND state <> 'sending'
		AND NOT EXISTS (SELECT 1 FROM items WHERE items.message = messages.id AND items.message <> 0) ORDER BY id LIMIT ?2`
	before := f.Before.UnixNano()
	for _, statement := range []string{
		`INSERT OR IGNORE INTO forgotten (uid, sender_key, at)
			SELECT uid, sender_key, ?3 FROM messages WHERE uid IS NOT NULL AND sender_key <> '' AND id IN (` + old + `)`,
		`DELETE FROM recipients WHERE ?3 <> 0 AND message IN (` + old + `)`,
	} {
		if _, err := tx.ExecContext(ctx, statement, before, forgetAtOnce, f.Now.UnixNano()); err != nil {
			return err
		}
	}
	f.Count, err = affected(tx.ExecContext(ctx, `DELETE FROM messages WHERE id IN (`+old+`)`, before, forgetAtOnce))
	f.More = f.Count == forgetAtOnce
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM forgotten WHERE at < ?`, f.Now.Add(-forgottenKept).UnixNano())
	return err
}
