package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/tray/chat"
)

// Known is what is remembered of a person who was seen secure.
type Known struct {
	Name string // empty for the own account
	// Verified says that the safety number was compared.
	Verified bool
	// Classic says that the classic protocol was accepted for this person
	// nevertheless.
	Classic bool
	// Pins are sorted by their keys.
	Pins []Pin
}

// Pin is a device that was trusted once.
type Pin struct {
	Device    identity.PublicKey
	Label     string
	FirstSeen time.Time
	// Removed says that it was taken off the account since.
	Removed bool
}

// Remember replaces what is remembered of a person.
type Remember struct{ Known }

// SetOwn remembers what the person says of itself.
type SetOwn struct{ Own chat.OwnStatus }

func (r Remember) apply(ctx context.Context, tx *sql.Tx) error {
	key := classic.NameKey(r.Name)
	_, err := tx.ExecContext(ctx, `INSERT INTO people (person_key, name, verified, classic) VALUES (?, ?, ?, ?)
		ON CONFLICT (person_key) DO UPDATE SET name = excluded.name, verified = excluded.verified, classic = excluded.classic`,
		key, r.Name, r.Verified, r.Classic)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM pins WHERE person_key = ?`, key); err != nil {
		return err
	}
	for _, p := range r.Pins {
		_, err := tx.ExecContext(ctx, `INSERT INTO pins (person_key, device, label, first_seen, removed) VALUES (?, ?, ?, ?, ?)`,
			key, p.Device[:], p.Label, p.FirstSeen.UnixNano(), p.Removed)
		if err != nil {
			return err
		}
	}
	return nil
}

func (o SetOwn) apply(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO own_status (id, presence, text, display, department) VALUES (1, ?, ?, ?, ?)`,
		string(o.Own.Presence), o.Own.Text, o.Own.Display, o.Own.Department)
	return err
}

// People returns everyone who is remembered.
func (s *Store) People(ctx context.Context) ([]Known, error) {
	var list []Known
	at := make(map[string]int)
	err := each(ctx, s.reader, `SELECT person_key, name, verified, classic FROM people ORDER BY person_key`, func(scan func(...any) error) error {
		var key string
		var k Known
		if err := scan(&key, &k.Name, &k.Verified, &k.Classic); err != nil {
			return err
		}
		at[key] = len(list)
		list = append(list, k)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, s.reader, `SELECT person_key, device, label, first_seen, removed FROM pins ORDER BY person_key, device`, func(scan func(...any) error) error {
		var key string
		var device []byte
		var p Pin
		var first int64
		if err := scan(&key, &device, &p.Label, &first, &p.Removed); err != nil {
			return err
		}
		p.FirstSeen = time.Unix(0, first)
		if p.Device, err = identity.ParsePublicKey(device); err != nil {
			return err
		}
		if i, ok := at[key]; ok {
			list[i].Pins = append(list[i].Pins, p)
		}
		return nil
	})
	return list, err
}

// Own returns what SetOwn has remembered, if anything.
func (s *Store) Own(ctx context.Context) (own chat.OwnStatus, ok bool, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT presence, text, display, department FROM own_status`).
		Scan(&own.Presence, &own.Text, &own.Display, &own.Department)
	if errors.Is(err, sql.ErrNoRows) {
		return own, false, nil
	}
	if err != nil {
		return own, false, fmt.Errorf("store: %w", err)
	}
	return own, true, nil
}
