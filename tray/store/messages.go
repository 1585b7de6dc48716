package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/tray/chat"
)

// Add stores a new message, and with it who is to get it and the item on its
// way to them. Apply sets Message as it reads back, and the Item's ID.
type Add struct {
	Message chat.Message
	// UID is zero for what came by the classic protocol. A message whose UID
	// its sender's account has used before is not stored again: Apply sets
	// Duplicate.
	UID       p2p.ItemID
	Duplicate bool
	// ReplyTo is the item that a received message answers, if there is such a
	// message in the same conversation or of the person's own; it replaces
	// Message.ReplyTo.
	ReplyTo p2p.ItemID
	// Recipients are set on a message of the person's own.
	Recipients []chat.Recipient
	// Item is nil unless the message is to be sent.
	Item       *Item
	Deliveries []Delivery
}

// Read marks what came from a peer, up to a message, as read. Apply sets Count,
// which is how many were unread.
type Read struct {
	Peer  string
	UpTo  int64
	Count int
}

// ReadItems marks items of a conversation as read that another device of the
// account has shown. Apply sets Count.
type ReadItems struct {
	Peer  string
	Of    []p2p.ItemID
	Count int
}

// Edit gives a message a new text, unless a newer edit is there already. Apply
// sets Changed if it did.
type Edit struct {
	Author string // whose message it must be; empty for the own account
	Of     p2p.ItemID
	Text   string
	At     time.Time

	Changed *chat.Message
}

// Delete takes a message back, and what is on its way of it. Apply sets Changed
// if there was such a message, and Unread if nobody had read it.
type Delete struct {
	Author  string // as in Edit
	Of      p2p.ItemID
	Changed *chat.Message
	Unread  bool
}

// Acknowledged marks a received message as answered. Apply sets Changed.
type Acknowledged struct {
	Of      p2p.ItemID
	Peer    string // whose message it is, or in whose conversation
	Changed *chat.Message
}

func (a *Add) apply(ctx context.Context, tx *sql.Tx) error {
	m := &a.Message
	a.Duplicate = false
	author := ""
	if m.State == chat.Received {
		author = classic.NameKey(m.Sender)
	}
	if a.ReplyTo != (p2p.ItemID{}) {
		m.ReplyTo = 0
		err := tx.QueryRowContext(ctx, `SELECT id FROM messages WHERE uid = ? AND (sender_key = '' OR peer_key = ?)`,
			a.ReplyTo[:], classic.NameKey(m.Peer)).Scan(&m.ReplyTo)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	var uid []byte // NULL
	if a.UID != (p2p.ItemID{}) {
		uid = a.UID[:]
	}
	if author != "" && uid != nil {
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM forgotten WHERE uid = ? AND sender_key = ?)`, uid, author).Scan(&a.Duplicate); err != nil || a.Duplicate {
			return err
		}
	}
	var id int64
	err := tx.QueryRowContext(ctx,
		`INSERT INTO messages (peer, peer_key, sender, sender_key, uid, text, at, state, problem, unread, doubtful,
			reply_to, urgent, secure, audience)
		 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		 ON CONFLICT (uid, sender_key) WHERE uid IS NOT NULL DO NOTHING RETURNING id`,
		m.Peer, classic.NameKey(m.Peer), m.Sender, author, uid, m.Text, m.At.UnixNano(), string(m.State), m.Problem,
		m.Unread, m.Doubtful, m.ReplyTo, m.Urgent, m.Secure, m.Audience,
	).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		a.Duplicate = true
		return nil
	}
	if err != nil {
		return err
	}
	if err := addRecipients(ctx, tx, id, a.Recipients); err != nil {
		return err
	}
	if a.Item != nil {
		a.Item.Message = id
		if err := addItem(ctx, tx, a.Item, a.Deliveries); err != nil {
			return err
		}
	}
	*m, err = message(ctx, tx, id)
	return err
}

func (r *Read) apply(ctx context.Context, tx *sql.Tx) (err error) {
	r.Count, err = affected(tx.ExecContext(ctx, `UPDATE messages SET unread = 0 WHERE peer_key = ? AND unread = 1 AND id <= ?`,
		classic.NameKey(r.Peer), r.UpTo))
	return err
}

func (r *ReadItems) apply(ctx context.Context, tx *sql.Tx) error {
	r.Count = 0
	for _, of := range r.Of {
		n, err := affected(tx.ExecContext(ctx, `UPDATE messages SET unread = 0 WHERE uid = ? AND peer_key = ? AND unread = 1`,
			of[:], classic.NameKey(r.Peer)))
		if err != nil {
			return err
		}
		r.Count += n
	}
	return nil
}

func (e *Edit) apply(ctx context.Context, tx *sql.Tx) error {
	var err error
	e.Changed, err = change(ctx, tx,
		`UPDATE messages SET text = ?, edited = ? WHERE uid = ? AND sender_key = ? AND edited < ? AND deleted = 0 RETURNING id`,
		e.Text, e.At.UnixNano(), e.Of[:], classic.NameKey(e.Author), e.At.UnixNano())
	return err
}

func (d *Delete) apply(ctx context.Context, tx *sql.Tx) error {
	d.Changed, d.Unread = nil, false
	var id int64
	err := tx.QueryRowContext(ctx, `SELECT id, unread FROM messages WHERE uid = ? AND sender_key = ? AND deleted = 0`,
		d.Of[:], classic.NameKey(d.Author)).Scan(&id, &d.Unread)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`UPDATE messages SET text = '', deleted = 1, unread = 0 WHERE id = ?`,
		`DELETE FROM items WHERE message = ? AND kind <> 'delete'`,
		// Who has nothing yet won't get anything.
		`DELETE FROM recipients WHERE message = ? AND state IN ('sending', 'failed')`,
	} {
		if _, err := tx.ExecContext(ctx, statement, id); err != nil {
			return err
		}
	}
	if d.Author == "" {
		if err := summarize(ctx, tx, id); err != nil {
			return err
		}
	}
	m, err := message(ctx, tx, id)
	d.Changed = &m
	return err
}

func (a *Acknowledged) apply(ctx context.Context, tx *sql.Tx) error {
	var err error
	a.Changed, err = change(ctx, tx,
		`UPDATE messages SET acknowledged = 1
		 WHERE uid = ? AND (sender_key = ? OR peer_key = ?) AND state = 'received' AND acknowledged = 0 RETURNING id`,
		a.Of[:], classic.NameKey(a.Peer), classic.NameKey(a.Peer))
	return err
}

// change runs a statement that returns the ID of the message that it changed,
// if it did.
func change(ctx context.Context, tx *sql.Tx, statement string, args ...any) (*chat.Message, error) {
	var id int64
	err := tx.QueryRowContext(ctx, statement, args...).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := message(ctx, tx, id)
	return &m, err
}

func affected(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
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

// Row is a message and what nobody needs to see of it.
type Row struct {
	chat.Message
	UID p2p.ItemID // zero for what came by the classic protocol
}

// Message returns one message, and sql.ErrNoRows if there is none of that ID.
func (s *Store) Message(ctx context.Context, id int64) (Row, error) {
	list, err := messages(ctx, s.reader, `WHERE m.id = ?`, id)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Row{}, fmt.Errorf("store: message %d: %w", id, err)
	}
	return list[0], nil
}

// Unread returns the unread messages of a peer, oldest first.
func (s *Store) Unread(ctx context.Context, peer string) ([]Row, error) {
	list, err := messages(ctx, s.reader, `WHERE m.peer_key = ? AND m.unread = 1 ORDER BY m.id`, classic.NameKey(peer))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return list, nil
}

// History returns the last limit messages with peer, or of all if peer is
// empty, with an ID below before unless that is 0, oldest first.
func (s *Store) History(ctx context.Context, peer string, before int64, limit int) ([]chat.Message, error) {
	where, args := "WHERE 1", []any{}
	if peer != "" {
		where, args = where+" AND m.peer_key = ?", append(args, classic.NameKey(peer))
	}
	if before > 0 {
		where, args = where+" AND m.id < ?", append(args, before)
	}
	rows, err := messages(ctx, s.reader, where+" ORDER BY m.id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	list := make([]chat.Message, 0, len(rows))
	for _, r := range slices.Backward(rows) {
		list = append(list, r.Message)
	}
	return list, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func message(ctx context.Context, q querier, id int64) (chat.Message, error) {
	list, err := messages(ctx, q, `WHERE m.id = ?`, id)
	if err != nil {
		return chat.Message{}, err
	}
	if len(list) == 0 {
		return chat.Message{}, sql.ErrNoRows
	}
	return list[0].Message, nil
}

// quoted is how many characters of an answered message are shown.
const quoted = 160

func messages(ctx context.Context, q querier, where string, args ...any) ([]Row, error) {
	rows, err := q.QueryContext(ctx,
		`SELECT m.id, m.uid, m.peer, m.sender, m.text, m.at, m.state, m.problem, m.unread, m.doubtful, m.reply_to,
			coalesce((SELECT substr(q.text, 1, `+fmt.Sprint(quoted)+`) FROM messages q WHERE q.id = m.reply_to), ''),
			m.edited, m.deleted, m.urgent, m.acknowledged, m.secure, m.audience
		 FROM messages m `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		var r Row
		var at, edited int64
		var uid []byte
		m := &r.Message
		if err := rows.Scan(&m.ID, &uid, &m.Peer, &m.Sender, &m.Text, &at, &m.State, &m.Problem, &m.Unread, &m.Doubtful, &m.ReplyTo,
			&m.Quote, &edited, &m.Deleted, &m.Urgent, &m.Acknowledged, &m.Secure, &m.Audience); err != nil {
			return nil, err
		}
		m.At, m.Edited = time.Unix(0, at), edited != 0 && !m.Deleted
		copy(r.UID[:], uid)
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close() // a transaction has one connection
	for i := range list {
		m := &list[i].Message
		if !strings.HasPrefix(m.Peer, ",") || m.State == chat.Received {
			continue
		}
		if m.Progress, err = progress(ctx, q, m.ID); err != nil {
			return nil, err
		}
	}
	return list, nil
}
