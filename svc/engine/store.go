package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// store is JetStream in this process, and the two tables in it.
type store struct {
	server            *server.Server
	conn              *nats.Conn
	accounts, invites *table
}

// Limits of JetStream's own. It would work them out from the computer's memory
// and disk otherwise, and refuse to write where there is little.
const (
	maxStoreBytes  = 4 << 30
	maxMemoryBytes = 64 << 20
	startTime      = 30 * time.Second
)

// openStore starts JetStream on a directory and opens the tables, which must
// reach as far as was answered.
func openStore(ctx context.Context, dir string, answered positions, log *slog.Logger) (s *store, err error) {
	s = new(store)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	s.server, err = server.NewServer(&server.Options{
		ServerName: "earshotd",
		DontListen: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
		JetStreamMaxStore: maxStoreBytes, JetStreamMaxMemory: maxMemoryBytes,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrStore, err)
	}
	s.server.SetLoggerV2(natsLog{log}, false, false, false)
	s.server.Start()
	if !s.server.ReadyForConnections(startTime) || !s.server.JetStreamEnabled() {
		return s, fmt.Errorf("%w: the store in %s can't be opened; the log says why", ErrDamaged, dir)
	}
	s.conn, err = nats.Connect("", nats.InProcessServer(s.server), nats.NoReconnect())
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrStore, err)
	}
	js, err := jetstream.New(s.conn)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrStore, err)
	}
	if s.accounts, err = openTable(ctx, js, "accounts", answered.accounts); err != nil {
		return s, err
	}
	s.invites, err = openTable(ctx, js, "invites", answered.invites)
	return s, err
}

func (s *store) close() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
}

// at is how far the tables reach.
func (s *store) at() positions { return positions{s.accounts.last, s.invites.last} }

// contents reads what is in the tables.
func (s *store) contents() (contents, error) {
	var accounts []accountRecord
	for key, e := range s.accounts.entries {
		if e.data == nil {
			continue
		}
		var r accountRecord
		if err := json.Unmarshal(e.data, &r); err != nil {
			return contents{}, fmt.Errorf("%w: the account %s: %w", ErrDamaged, key, err)
		}
		accounts = append(accounts, r)
	}
	invites := map[string]invite{}
	for key, e := range s.invites.entries {
		if e.data == nil {
			continue
		}
		var i invite
		if err := json.Unmarshal(e.data, &i); err != nil {
			return contents{}, fmt.Errorf("%w: the invitation %s: %w", ErrDamaged, key, err)
		}
		invites[key] = i
	}
	c, err := read(accounts, invites)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return c, nil
}

// natsLog passes on what the server says of itself. What is normal there is of
// no interest to whoever runs a coordinator.
type natsLog struct{ log *slog.Logger }

func (l natsLog) say(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "the store says", "text", fmt.Sprintf(format, v...))
	}
}

func (l natsLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l natsLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l natsLog) Errorf(format string, v ...any)  { l.say(slog.LevelWarn, format, v) }
func (l natsLog) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l natsLog) Debugf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l natsLog) Tracef(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
