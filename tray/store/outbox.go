package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"earshot/p2p"
	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/tray/chat"
)

// Kind is what sort of body an item has.
type Kind string

const (
	KindText        Kind = "text"
	KindEdit        Kind = "edit"
	KindDelete      Kind = "delete"
	KindSeen        Kind = "seen"
	KindAcknowledge Kind = "acknowledge"
)

// Item is something on its way to people or to their devices. It is kept until
// the last of its deliveries has ended.
type Item struct {
	// ID orders items.
	ID   int64
	UID  p2p.ItemID
	At   time.Time
	Kind Kind
	// Message is the one that the item is, or changes; 0 for none.
	Message int64
	// Peer is whose conversation it belongs to.
	Peer string
	// Targets are the items that it is about; of a text, the one that it
	// answers.
	Targets []p2p.ItemID
	// Text is that of the message as it is now, or of the edit.
	Text     string
	Urgent   bool
	Audience p2p.Audience
}

// Delivery is an item on its way to one device.
type Delivery struct {
	Item int64
	// Person is empty for a device of the own account.
	Person string
	// Device is zero if the item goes by the classic protocol, or if it is not
	// known yet how it goes.
	Device identity.PublicKey
}

// Queue stores an item that is no message, unless it goes nowhere. Apply sets
// its ID.
type Queue struct {
	Item       *Item
	Deliveries []Delivery
}

// Done ends a delivery. Apply sets Changed if a message is another for that.
type Done struct {
	Delivery
	// Message is what the item is, or 0 if it is no message.
	Message int64
	// State is what that comes to for the person: Sent, Delivered, Failed, or
	// empty if it says nothing. Failed counts only if no other device of the
	// person can still get it.
	State   chat.State
	Problem string
	Changed *chat.Message
}

// Reach says that a person has read messages of the person's own, or has
// acknowledged one. It changes those that were sent to that person; Apply sets
// Changed to them.
type Reach struct {
	Person       string
	Of           []p2p.ItemID
	Acknowledged bool
	Changed      []chat.Message
}

// Route changes how an item goes.
type Route struct {
	Item      int64
	Drop, Add []Delivery
	// Recipients are added to Message, and Audience is the item's from now on,
	// if there are any.
	Message    int64
	Recipients []chat.Recipient
	Audience   p2p.Audience
}

// Requeue sends a message again that failed for all or some.
type Requeue struct {
	// Message is nil if nothing of it had failed.
	Message    *chat.Message
	ID         int64
	Item       *Item
	Deliveries []Delivery
}

func (q *Queue) apply(ctx context.Context, tx *sql.Tx) error {
	if len(q.Deliveries) == 0 {
		return nil
	}
	return addItem(ctx, tx, q.Item, q.Deliveries)
}

func addItem(ctx context.Context, tx *sql.Tx, i *Item, to []Delivery) error {
	var targets []byte
	for _, t := range i.Targets {
		targets = append(targets, t[:]...)
	}
	text := i.Text
	if i.Kind == KindText {
		text, targets = "", nil // the message has them
	}
	if targets == nil {
		targets = []byte{}
	}
	err := tx.QueryRowContext(ctx,
		`INSERT INTO items (uid, at, kind, message, peer, targets, text, audience) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		i.UID[:], i.At.UnixNano(), string(i.Kind), i.Message, i.Peer, targets, text, audienceText(i.Audience),
	).Scan(&i.ID)
	if err != nil {
		return err
	}
	for n := range to {
		to[n].Item = i.ID
	}
	return addDeliveries(ctx, tx, to)
}

func addDeliveries(ctx context.Context, tx *sql.Tx, to []Delivery) error {
	for _, d := range to {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO deliveries (item, person_key, person, device) VALUES (?, ?, ?, ?)`,
			d.Item, classic.NameKey(d.Person), d.Person, deviceBytes(d.Device))
		if err != nil {
			return err
		}
	}
	return nil
}

func addRecipients(ctx context.Context, tx *sql.Tx, id int64, to []chat.Recipient) error {
	for _, r := range to {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO recipients (message, person_key, person, state, problem) VALUES (?, ?, ?, ?, ?)`,
			id, classic.NameKey(r.Name), r.Name, string(r.State), r.Problem)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Done) apply(ctx context.Context, tx *sql.Tx) error {
	d.Changed = nil
	key := classic.NameKey(d.Person)
	if err := dropDelivery(ctx, tx, d.Delivery); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM items WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE item = ?1)`, d.Item); err != nil {
		return err
	}
	if d.Message == 0 || d.State == "" || d.Person == "" {
		return nil
	}
	if key == chat.Everyone {
		var err error
		d.Changed, err = change(ctx, tx, `UPDATE messages SET state = ?, problem = ? WHERE id = ? RETURNING id`, string(d.State), d.Problem, d.Message)
		return err
	}
	// Nothing takes a message back to where it was before.
	n, err := affected(tx.ExecContext(ctx,
		`UPDATE recipients SET state = ?1, problem = ?2 WHERE message = ?3 AND person_key = ?4
		 AND CASE ?1 WHEN 'failed' THEN state = 'sending' AND NOT EXISTS (SELECT 1 FROM deliveries WHERE item = ?5 AND person_key = ?4)
			ELSE state IN ('sending', 'failed') OR state = 'sent' AND ?1 = 'delivered' END`,
		string(d.State), d.Problem, d.Message, key, d.Item))
	if err != nil || n == 0 {
		return err
	}
	// What went to one person by the classic protocol could be read on the way.
	_, err = tx.ExecContext(ctx, `UPDATE messages SET secure = (
			SELECT sum(state = 'sent') = 0 AND sum(state IN ('delivered', 'read')) > 0 FROM recipients WHERE message = ?1)
		WHERE id = ?1`, d.Message)
	if err != nil {
		return err
	}
	d.Changed, err = summarized(ctx, tx, d.Message)
	return err
}

func dropDelivery(ctx context.Context, tx *sql.Tx, d Delivery) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE item = ? AND person_key = ? AND device = ?`,
		d.Item, classic.NameKey(d.Person), deviceBytes(d.Device))
	return err
}

func (r *Reach) apply(ctx context.Context, tx *sql.Tx) error {
	r.Changed = nil
	for _, of := range r.Of {
		var id int64
		err := tx.QueryRowContext(ctx,
			`UPDATE recipients SET state = 'read', problem = '', acknowledged = max(acknowledged, ?1)
			 WHERE message = (SELECT id FROM messages WHERE uid = ?2 AND sender_key = '') AND person_key = ?3
			 AND (state <> 'read' OR acknowledged < ?1) RETURNING message`,
			r.Acknowledged, of[:], classic.NameKey(r.Person)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		m, err := summarized(ctx, tx, id)
		if err != nil {
			return err
		}
		r.Changed = append(r.Changed, *m)
	}
	return nil
}

// summarize works a message's state out of those of its recipients: it is that
// of the one who is furthest behind, and failed only if it failed for all.
func summarize(ctx context.Context, tx *sql.Tx, id int64) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE messages SET (state, problem, acknowledged) = (
			SELECT CASE
				WHEN sum(state = 'sending') > 0 THEN 'sending'
				WHEN sum(state <> 'failed') = 0 THEN 'failed'
				WHEN sum(state = 'sent') > 0 THEN 'sent'
				WHEN sum(state = 'delivered') > 0 THEN 'delivered'
				WHEN sum(state = 'read') > 0 THEN 'read'
				ELSE 'sent' END,
			CASE WHEN sum(state <> 'failed') = 0 THEN max(problem) ELSE '' END,
			coalesce(min(acknowledged), 0)
			FROM recipients WHERE message = ?1)
		 WHERE id = ?1`, id)
	return err
}

func summarized(ctx context.Context, tx *sql.Tx, id int64) (*chat.Message, error) {
	if err := summarize(ctx, tx, id); err != nil {
		return nil, err
	}
	m, err := message(ctx, tx, id)
	return &m, err
}

// progress counts the recipients of a message; nil if there are none.
func progress(ctx context.Context, q querier, id int64) (*chat.Progress, error) {
	rows, err := q.QueryContext(ctx,
		`SELECT count(*), coalesce(sum(state IN ('delivered', 'read')), 0), coalesce(sum(state = 'read'), 0),
			coalesce(sum(acknowledged), 0), coalesce(sum(state = 'failed'), 0) FROM recipients WHERE message = ?`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var p chat.Progress
	for rows.Next() {
		if err := rows.Scan(&p.Total, &p.Delivered, &p.Read, &p.Acknowledged, &p.Failed); err != nil {
			return nil, err
		}
	}
	if err := rows.Err(); err != nil || p.Total == 0 {
		return nil, err
	}
	return &p, nil
}

func (r *Route) apply(ctx context.Context, tx *sql.Tx) error {
	if len(r.Recipients) > 0 {
		if err := addRecipients(ctx, tx, r.Message, r.Recipients); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE items SET audience = ? WHERE id = ?`, audienceText(r.Audience), r.Item); err != nil {
			return err
		}
	}
	if err := addDeliveries(ctx, tx, r.Add); err != nil {
		return err
	}
	for _, d := range r.Drop {
		if err := dropDelivery(ctx, tx, d); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM items WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE item = ?1)`, r.Item)
	return err
}

func (r *Requeue) apply(ctx context.Context, tx *sql.Tx) error {
	r.Message = nil
	for _, statement := range []string{
		`UPDATE recipients SET state = 'sending', problem = '' WHERE message = ? AND state = 'failed'`,
		`UPDATE messages SET state = 'sending', problem = '' WHERE id = ?`,
	} {
		if _, err := tx.ExecContext(ctx, statement, r.ID); err != nil {
			return err
		}
	}
	// What failed before there were item IDs gets one, and its recipient.
	if _, err := tx.ExecContext(ctx, `UPDATE messages SET uid = ? WHERE id = ? AND uid IS NULL`, r.Item.UID[:], r.ID); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO recipients (message, person_key, person, state)
		SELECT id, peer_key, peer, 'sending' FROM messages WHERE id = ? AND peer_key NOT LIKE ',%'`, r.ID)
	if err != nil {
		return err
	}
	if err := addItem(ctx, tx, r.Item, r.Deliveries); err != nil {
		return err
	}
	m, err := message(ctx, tx, r.ID)
	r.Message = &m
	return err
}

// Recipients returns who gets a message of the person's own, by name.
func (s *Store) Recipients(ctx context.Context, id int64) ([]chat.Recipient, error) {
	rows, err := s.reader.QueryContext(ctx,
		`SELECT person, state, acknowledged, problem FROM recipients WHERE message = ? ORDER BY person_key`, id)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer rows.Close()
	var list []chat.Recipient
	for rows.Next() {
		var r chat.Recipient
		if err := rows.Scan(&r.Name, &r.State, &r.Acknowledged, &r.Problem); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return list, nil
}

// Outbox is what is on its way or waits.
type Outbox struct {
	// Items are in their order.
	Items []*Item
	// Deliveries are in the order of their items.
	Deliveries []Delivery
	// Undelivered are the people whom a message has not reached yet, by name
	// key, for each message.
	Undelivered map[int64]map[string]bool
}

// Outbox returns everything that is not delivered.
func (s *Store) Outbox(ctx context.Context) (o Outbox, err error) {
	if o.Items, err = s.items(ctx); err != nil {
		return o, fmt.Errorf("store: %w", err)
	}
	err = each(ctx, s.reader, `SELECT item, person, device FROM deliveries ORDER BY item`, func(scan func(...any) error) error {
		var d Delivery
		var device []byte
		if err := scan(&d.Item, &d.Person, &device); err != nil {
			return err
		}
		copy(d.Device[:], device)
		o.Deliveries = append(o.Deliveries, d)
		return nil
	})
	if err != nil {
		return o, err
	}
	o.Undelivered = make(map[int64]map[string]bool)
	err = each(ctx, s.reader,
		`SELECT r.message, r.person_key FROM recipients r JOIN items i ON i.message = r.message
		 WHERE i.kind = 'text' AND r.state = 'sending'`, func(scan func(...any) error) error {
			var id int64
			var key string
			if err := scan(&id, &key); err != nil {
				return err
			}
			if o.Undelivered[id] == nil {
				o.Undelivered[id] = make(map[string]bool)
			}
			o.Undelivered[id][key] = true
			return nil
		})
	return o, err
}

func (s *Store) items(ctx context.Context) (list []*Item, err error) {
	err = each(ctx, s.reader,
		`SELECT i.id, i.uid, i.at, i.kind, i.message, i.peer, i.targets, i.audience,
			CASE i.kind WHEN 'text' THEN m.text ELSE i.text END, coalesce(m.urgent, 0),
			(SELECT q.uid FROM messages q WHERE q.id = m.reply_to)
		 FROM items i LEFT JOIN messages m ON m.id = i.message ORDER BY i.id`, func(scan func(...any) error) error {
			i := new(Item)
			var uid, targets, answered []byte
			var at int64
			var audience string
			if err := scan(&i.ID, &uid, &at, &i.Kind, &i.Message, &i.Peer, &targets, &audience, &i.Text, &i.Urgent, &answered); err != nil {
				return err
			}
			copy(i.UID[:], uid)
			i.At = time.Unix(0, at)
			if i.Kind == KindText {
				targets = answered
			}
			for ; len(targets) >= len(p2p.ItemID{}); targets = targets[len(p2p.ItemID{}):] {
				i.Targets = append(i.Targets, p2p.ItemID(targets[:len(p2p.ItemID{})]))
			}
			if audience != "" {
				if err := json.Unmarshal([]byte(audience), &i.Audience); err != nil {
					return err
				}
			}
			list = append(list, i)
			return nil
		})
	return list, err
}

// each calls row for every row of a query.
func each(ctx context.Context, q querier, query string, row func(scan func(...any) error) error, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func audienceText(a p2p.Audience) string {
	if a.Kind == p2p.Direct {
		return ""
	}
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // a number, texts and a list of them can always be marshalled
	}
	return string(b)
}

// deviceBytes is a key as the database holds it: nothing for the zero key.
func deviceBytes(k identity.PublicKey) []byte {
	if k == (identity.PublicKey{}) {
		return []byte{}
	}
	return k[:]
}
