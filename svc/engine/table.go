package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// table is a bucket of JetStream and what is in it. One goroutine uses it at a
// time.
//
// A record is
//
//	1 | sum of the bucket's other records, 32 bytes | data
//
// where the sum is the exclusive or of the SHA-256 of all records' keys and
// data, and a record without data is a deleted one. So the latest record of a
// bucket says what must be there besides it, and a bucket from which anything
// else is missing, or in which something is changed, is found out. That the
// latest record itself is missing is for the seal to say.
type table struct {
	name    string
	kv      jetstream.KeyValue
	entries map[string]entry
	sum     [sha256.Size]byte
	last    uint64 // the latest record's sequence
}

type entry struct {
	data     []byte // nil for a deleted one
	revision uint64
}

const (
	recordVersion = 1
	recordHeader  = 1 + sha256.Size
	// What a disk may take for writing a record, and for reading one.
	writeTime = 15 * time.Second
	readTime  = 5 * time.Second
)

// openTable opens a bucket, or makes it if nothing was ever answered from it.
func openTable(ctx context.Context, js jetstream.JetStream, name string, answered uint64) (*table, error) {
	kv, err := js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if answered > 0 {
			return nil, fmt.Errorf("%w: there is no list of %s any more", ErrDamaged, name)
		}
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Storage: jetstream.FileStorage})
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrStore, name, err)
	}
	t := &table{name: name, kv: kv, entries: map[string]entry{}}
	if err := t.load(ctx); err != nil {
		return nil, err
	}
	if t.last < answered {
		return nil, fmt.Errorf("%w: the list of %s ends at change %d, and %d had been made", ErrDamaged, name, t.last, answered)
	}
	return t, t.forgetDeleted(ctx, js)
}

// load reads and checks all records.
func (t *table) load(ctx context.Context) error {
	watcher, err := t.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrStore, t.name, err)
	}
	defer func() { _ = watcher.Stop() }() // it only ends with the connection otherwise
	var others [sha256.Size]byte
	late := time.NewTimer(readTime)
	defer late.Stop()
	for {
		var record jetstream.KeyValueEntry
		select {
		case record = <-watcher.Updates():
			late.Reset(readTime)
		case <-late.C:
			// NATS waits for ever for a record that it can't read.
			return fmt.Errorf("%w: something in the list of %s can't be read", ErrDamaged, t.name)
		case <-ctx.Done():
			return ctx.Err()
		}
		if record == nil {
			break // that was all
		}
		value := record.Value()
		if len(value) < recordHeader || value[0] != recordVersion || record.Operation() != jetstream.KeyValuePut {
			return fmt.Errorf("%w: a record in the list of %s is of an unknown kind", ErrDamaged, t.name)
		}
		e := entry{revision: record.Revision()}
		if len(value) > recordHeader {
			e.data = bytes.Clone(value[recordHeader:])
			t.add(record.Key(), e.data)
		}
		t.entries[record.Key()] = e
		if e.revision > t.last {
			t.last = e.revision
			copy(others[:], value[1:])
			if e.data != nil {
				d := digest(record.Key(), e.data)
				subtle.XORBytes(others[:], others[:], d[:])
			}
		}
	}
	if others != t.sum {
		return fmt.Errorf("%w: records are missing from the list of %s, or have changed", ErrDamaged, t.name)
	}
	return nil
}

// add takes a record's digest into the sum, or out of it again.
func (t *table) add(key string, data []byte) {
	if data != nil {
		d := digest(key, data)
		subtle.XORBytes(t.sum[:], t.sum[:], d[:])
	}
}

func digest(key string, data []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(key+"\x00"), data...))
}

// forgetDeleted gives the room of deleted records back. They count for nothing,
// except the latest, which has the sum.
func (t *table) forgetDeleted(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, "KV_"+t.name)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrStore, t.name, err)
	}
	for key, e := range t.entries {
		if e.data != nil || e.revision == t.last {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+t.name+"."+key)); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrStore, t.name, err)
		}
		delete(t.entries, key)
	}
	return nil
}

// put writes data under key, or deletes key if data is nil, and returns when
// that is on the disk. It is compare-and-set: whatever else may write to the
// bucket, nothing is overwritten unseen. After an error the table must not be
// used any more.
func (t *table) put(ctx context.Context, key string, data []byte) error {
	old := t.entries[key]
	t.add(key, old.data)
	value := append(append([]byte{recordVersion}, t.sum[:]...), data...)
	t.add(key, data)
	// Who asked may go; then the outcome must be known all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	revision, err := t.kv.Update(ctx, key, value, old.revision)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrStore, err)
	}
	t.entries[key] = entry{data, revision}
	t.last = revision
	return nil
}
