package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"earshot/protocol/classic"
	"earshot/protocol/identity"
)

// Config is what an engine needs.
type Config struct {
	// Dir is the data directory, which must be there. The engine's files are
	// in the directory "engine" in it.
	Dir string
	// Log is for what the administrator may want to know; nil logs nothing.
	Log *slog.Logger
	// OnChange, if set, is called after each change of an account that is
	// durable: one call at a time, in the order of the changes, from a
	// goroutine of the engine's. The zero Account is one that isn't there. It
	// may call everything but Close. A change of Key comes before the calls
	// for the accounts of the same Restore, and has none of its own.
	OnChange func(before, after Account)
}

// Engine keeps accounts, invitations and the coordinator's key. All methods may
// be called from any goroutine.
//
// Who writes holds writing, and is alone with everything else here; what is
// read by others is changed under reading too, and never while something is
// written to the disk. ticketing guards seeds.
type Engine struct {
	cfg  Config
	dir  string
	now  func() time.Time
	lock *os.File

	writing sync.Mutex
	store   *store
	seal    *seal
	failed  error // why nothing can be written any more

	reading  sync.RWMutex
	contents contents
	key      identity.Key

	changes  changes
	delivery sync.WaitGroup

	ticketing sync.Mutex
	seeds     seeds
}

// The files in the engine's directory, next to JetStream's.
const (
	lockName    = "lock"
	keyName     = "coordinator.pem"
	sealName    = "seal"
	ticketsName = "tickets"
	restoreName = "restore"
)

// Open opens the engine of a data directory, which is made on the first run,
// with a key of the coordinator. One that another process has is ErrInUse, one
// from which something is missing ErrDamaged, and one that a later version has
// written ErrNewer.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, dir: filepath.Join(cfg.Dir, "engine"), now: time.Now}
	if err := e.open(ctx); err != nil {
		e.release()
		if errors.Is(err, ErrDamaged) {
			err = fmt.Errorf("%w; move %s away, start earshotd, and restore the latest backup with `earshotd restore FILE`", err, e.dir)
		}
		return nil, err
	}
	e.changes.init()
	e.delivery.Go(func() { e.changes.deliver(cfg.OnChange) })
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	if err := private(e.dir); err != nil {
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	var err error
	if e.lock, err = os.OpenFile(e.file(lockName), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	if err := lockFile(e.lock); err != nil {
		if errors.Is(err, ErrInUse) {
			return fmt.Errorf("%w %s; stop that one, or name another directory with --data", err, e.cfg.Dir)
		}
		return err
	}
	if err := migrate(e.file(stateName), e.dir, migrations[:]); err != nil {
		return err
	}
	if err := e.firstRun(); err != nil {
		return err
	}
	text, err := os.ReadFile(e.file(keyName))
	if err != nil {
		return fmt.Errorf("%w: the coordinator's key: %w", ErrDamaged, err)
	}
	if e.key, err = identity.ParseKey(text); err != nil {
		return fmt.Errorf("%w: the coordinator's key in %s: %w", ErrDamaged, keyName, err)
	}
	if e.seal, err = openSeal(e.file(sealName)); err != nil {
		return err
	}
	if e.store, err = openStore(ctx, e.dir, e.seal.at, e.cfg.Log); err != nil {
		return err
	}
	if err := e.finishRestore(ctx); err != nil {
		return err
	}
	if e.contents, err = e.store.contents(); err != nil {
		return err
	}
	if e.store.at() != e.seal.at {
		// Something was written and, by its end, not answered.
		return e.seal.set(e.store.at())
	}
	return nil
}

// firstRun makes what must be there from then on. The seal is last, so that a
// first run that is cut short is made up for; without a seal there can be no
// store, because what it held would not be missed.
func (e *Engine) firstRun() error {
	if exists(e.file(sealName)) {
		return nil
	}
	if exists(e.file("jetstream")) {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, e.file(sealName))
	}
	if !exists(e.file(keyName)) {
		if err := replaceFile(e.file(keyName), identity.NewKey().MarshalPEM()); err != nil {
			return err
		}
	}
	if err := syncDir(e.cfg.Dir); err != nil {
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	return createSeal(e.file(sealName))
}

func (e *Engine) file(name string) string { return filepath.Join(e.dir, name) }

// Close ends the engine: everything that was answered is on the disk anyhow,
// and OnChange has been called for all of it when Close returns.
func (e *Engine) Close() error {
	e.writing.Lock()
	again := errors.Is(e.failed, ErrClosed)
	e.failed = ErrClosed
	e.writing.Unlock()
	if again {
		return nil
	}
	e.changes.end()
	e.delivery.Wait()
	e.release()
	return nil
}

// release gives everything back that open took.
func (e *Engine) release() {
	if e.store != nil {
		e.store.close()
	}
	if e.seal != nil {
		e.seal.file.Close()
	}
	if e.lock != nil {
		e.lock.Close()
	}
}

// Err is nil as long as the engine can write. After that it can only be read,
// until it is opened anew.
func (e *Engine) Err() error {
	e.writing.Lock()
	defer e.writing.Unlock()
	return e.failed
}

// Key returns the coordinator's own key, made on the first run. A Restore
// changes it to the backup's.
func (e *Engine) Key() identity.Key {
	e.reading.RLock()
	defer e.reading.RUnlock()
	return e.key
}

// Lookup returns the account of a name, however it is spelled
// (classic.NameKey).
func (e *Engine) Lookup(name string) (Account, bool) {
	e.reading.RLock()
	defer e.reading.RUnlock()
	a, ok := e.contents.accounts[classic.NameKey(name)]
	return a, ok
}

// OwnerOf returns the account to which a device belongs.
func (e *Engine) OwnerOf(device identity.PublicKey) (Account, bool) {
	e.reading.RLock()
	defer e.reading.RUnlock()
	key, ok := e.contents.owners[device]
	return e.contents.accounts[key], ok
}

// Accounts returns all accounts in the order of their names' keys.
func (e *Engine) Accounts() []Account {
	e.reading.RLock()
	defer e.reading.RUnlock()
	var all []Account
	for _, key := range slices.SortedFunc(maps.Keys(e.contents.accounts), strings.Compare) {
		all = append(all, e.contents.accounts[key])
	}
	return all
}

// putAccount makes a change of an account durable, and known. The caller holds
// writing.
func (e *Engine) putAccount(ctx context.Context, key string, after Account) error {
	var data []byte
	if after.Name != "" {
		data = marshal(after.record())
	}
	if err := e.put(ctx, e.store.accounts, recordKey(key), data); err != nil {
		return err
	}
	before := e.contents.accounts[key]
	e.reading.Lock()
	e.contents.set(key, after)
	e.reading.Unlock()
	e.changes.add(before, after)
	return nil
}

// putInvite makes a change of an invitation durable; nil deletes it. The caller
// holds writing.
func (e *Engine) putInvite(ctx context.Context, key string, after *invite) error {
	var data []byte
	if after != nil {
		data = marshal(after)
	}
	if err := e.put(ctx, e.store.invites, key, data); err != nil {
		return err
	}
	if after == nil {
		delete(e.contents.invites, key)
	} else {
		e.contents.invites[key] = *after
	}
	return nil
}

// put writes one record, and that it has been written. The outcome of a write
// that fails is open until the store is read again, so it is the last one.
func (e *Engine) put(ctx context.Context, t *table, key string, data []byte) error {
	err := t.put(ctx, key, data)
	if err == nil {
		err = e.seal.set(e.store.at())
	}
	if err != nil {
		e.failed = err
	}
	return err
}

// writable begins something that writes: it is nil unless ctx or the engine has
// come to its end. The caller holds writing.
func (e *Engine) writable(ctx context.Context) error {
	if e.failed != nil {
		return e.failed
	}
	return ctx.Err()
}
