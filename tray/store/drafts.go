package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"earshot/protocol/classic"
	"earshot/tray/chat"
)

// SetDraft keeps what is being written to somebody in the place of what was
// kept before. One without a text is forgotten.
type SetDraft struct {
	Draft chat.Draft
	At    time.Time
}

func (d SetDraft) apply(ctx context.Context, tx *sql.Tx) error {
	key := classic.NameKey(d.Draft.To)
	if d.Draft.Text == "" {
		_, err := tx.ExecContext(ctx, `DELETE FROM drafts WHERE peer_key = ?`, key)
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO drafts (peer_key, text, reply_to, urgent, at) VALUES (?, ?, ?, ?, ?)`,
		key, d.Draft.Text, d.Draft.ReplyTo, d.Draft.Urgent, d.At.UnixNano())
	return err
}

// Draft returns what SetDraft has kept for a peer; a Draft without a text if
// there is nothing.
func (s *Store) Draft(ctx context.Context, peer string) (chat.Draft, error) {
	d := chat.Draft{To: peer}
	err := s.reader.QueryRowContext(ctx, `SELECT text, reply_to, urgent FROM drafts WHERE peer_key = ?`, classic.NameKey(peer)).
		Scan(&d.Text, &d.ReplyTo, &d.Urgent)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return d, fmt.Errorf("store: %w", err)
	}
	return d, nil
}
