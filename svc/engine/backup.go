package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

// A backup is one line,
//
//	earshot backup 1 LENGTH SHA256
//
// and behind it LENGTH bytes of JSON with that SHA-256.
const backupMagic = "earshot backup"

const (
	backupVersion = 1
	maxBackup     = 1 << 30
)

type backup struct {
	Created  time.Time         `json:"created"`
	Key      string            `json:"key"` // PEM
	Accounts []accountRecord   `json:"accounts"`
	Invites  map[string]invite `json:"invites"`
}

// Backup writes everything that the engine holds, as it is at one moment, while
// it goes on working, or when it can't write any more. The coordinator's secret key is part of it: whoever has
// the backup can pose as the coordinator.
func (e *Engine) Backup(ctx context.Context, w io.Writer) error {
	e.writing.Lock()
	if err := e.writable(ctx); err != nil && !errors.Is(err, ErrStore) {
		e.writing.Unlock()
		return err
	}
	b := backup{Created: e.orNow(time.Time{}), Key: string(e.key.MarshalPEM()), Invites: maps.Clone(e.contents.invites)}
	for _, key := range slices.SortedFunc(maps.Keys(e.contents.accounts), strings.Compare) {
		b.Accounts = append(b.Accounts, e.contents.accounts[key].record())
	}
	e.writing.Unlock()

	_, err := w.Write(b.encode())
	return err
}

func (b backup) encode() []byte {
	body := marshal(b)
	return fmt.Appendf(nil, "%s %d %d %x\n%s", backupMagic, backupVersion, len(body), sha256.Sum256(body), body)
}

// decodeBackup reads and checks a whole backup. Errors belong to ErrBackup.
func decodeBackup(text []byte) (b backup, c contents, key identity.Key, err error) {
	fail := func(why error) (backup, contents, identity.Key, error) {
		return b, c, key, fmt.Errorf("%w (%w)", ErrBackup, why)
	}
	line, body, _ := bytes.Cut(text, []byte("\n"))
	var version, length int
	var sum []byte
	if _, err := fmt.Sscanf(string(line), backupMagic+" %d %d %x", &version, &length, &sum); err != nil {
		return fail(errors.New("it does not begin as one"))
	}
	if version != backupVersion {
		return fail(fmt.Errorf("it is of version %d, and this earshotd reads version %d", version, backupVersion))
	}
	if length != len(body) {
		return fail(fmt.Errorf("it has %d bytes instead of %d", len(body), length))
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return fail(errors.New("its checksum is wrong"))
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return fail(err)
	}
	if key, err = identity.ParseKey([]byte(b.Key)); err != nil {
		return fail(err)
	}
	if b.Invites == nil {
		b.Invites = map[string]invite{}
	}
	if c, err = read(b.Accounts, b.Invites); err != nil {
		return fail(err)
	}
	return b, c, key, nil
}

// Restore replaces everything that the engine holds by what a backup has,
// invitations and the coordinator's key too, and calls OnChange for each
// account that is another one then. It happens as a whole or not at all: if it
// is cut short, by a power cut say, the next Open finishes it. What is no
// backup is ErrBackup and changes nothing.
func (e *Engine) Restore(ctx context.Context, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxBackup))
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrBackup, err)
	}
	b, after, key, err := decodeBackup(text)
	if err != nil {
		return err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := e.writable(ctx); err != nil {
		return err
	}
	// From here on it is decided.
	if err := replaceFile(e.file(restoreName), text); err != nil {
		e.failed = err
		return err
	}
	if err := e.apply(context.WithoutCancel(ctx), b); err != nil {
		e.failed = err
		return err
	}
	before := e.contents
	e.reading.Lock()
	e.contents, e.key = after, key
	e.reading.Unlock()
	e.announce(before, after)
	return nil
}

// finishRestore applies a backup that had been decided on when the process
// ended.
func (e *Engine) finishRestore(ctx context.Context) error {
	if !exists(e.file(restoreName)) {
		return nil
	}
	text, err := os.ReadFile(e.file(restoreName))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b, _, key, err := decodeBackup(text)
	if err != nil {
		return fmt.Errorf("%w: a restore was cut short, and what is left to do in %s can't be read", ErrDamaged, restoreName)
	}
	e.key = key
	return e.apply(ctx, b)
}

// apply makes the store hold what a backup has. It can be done again after it
// was cut short anywhere.
func (e *Engine) apply(ctx context.Context, b backup) error {
	accounts, invites := map[string][]byte{}, map[string][]byte{}
	for _, r := range b.Accounts {
		accounts[recordKey(classic.NameKey(r.Name))] = marshal(r)
	}
	for key, i := range b.Invites {
		invites[key] = marshal(i)
	}
	if err := e.store.accounts.replace(ctx, accounts); err != nil {
		return err
	}
	if err := e.store.invites.replace(ctx, invites); err != nil {
		return err
	}
	if err := e.seal.set(e.store.at()); err != nil {
		return err
	}
	if err := replaceFile(e.file(keyName), []byte(b.Key)); err != nil {
		return err
	}
	return removeFile(e.file(restoreName))
}

// replace makes the table hold exactly these records.
func (t *table) replace(ctx context.Context, records map[string][]byte) error {
	for _, key := range slices.Sorted(maps.Keys(t.entries)) {
		if records[key] == nil && t.entries[key].data != nil {
			if err := t.put(ctx, key, nil); err != nil {
				return err
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if !bytes.Equal(t.entries[key].data, records[key]) {
			if err := t.put(ctx, key, records[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// announce calls OnChange for each account that is another one. Those that are
// gone come first, because their devices may be in others now.
func (e *Engine) announce(before, after contents) {
	for _, key := range slices.Sorted(maps.Keys(before.accounts)) {
		if _, still := after.accounts[key]; !still {
			e.changes.add(before.accounts[key], Account{})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(after.accounts)) {
		was, is := before.accounts[key], after.accounts[key]
		if !was.same(is) {
			e.changes.add(was, is)
		}
	}
}
