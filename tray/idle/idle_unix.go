//go:build !windows && !darwin

package idle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/screensaver"
	"github.com/jezek/xgb/xproto"

	"earshot/tray/sessionbus"
)

// open returns the first source that answers. What an X server knows of a
// Wayland session is only what its own windows are told, so there the desktop
// is asked.
func open(ctx context.Context) (source, error) {
	sources := []func(context.Context) (source, error){openX, openMutter, openLogind}
	if os.Getenv("WAYLAND_DISPLAY") != "" {
		sources = sources[1:]
	}
	var all error
	for _, open := range sources {
		s, err := open(ctx)
		if err == nil {
			if _, err = s.idle(ctx); err == nil {
				return s, nil
			}
			s.close()
		}
		all = errors.Join(all, err)
	}
	return nil, all
}

// x is the X server's screen saver extension, which counts whether or not a
// screen saver is used.
type x struct {
	conn *xgb.Conn
	root xproto.Drawable
}

func openX(context.Context) (source, error) {
	if os.Getenv("DISPLAY") == "" {
		return nil, errors.New("there is no X display")
	}
	xgb.Logger.SetOutput(io.Discard) // whatever happens to a connection, its next question says
	conn, err := xgb.NewConn()
	if err != nil {
		return nil, fmt.Errorf("the X server: %w", err)
	}
	if err := screensaver.Init(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the X server: %w", err)
	}
	return &x{conn, xproto.Drawable(xproto.Setup(conn).DefaultScreen(conn).Root)}, nil
}

func (s *x) idle(ctx context.Context) (time.Duration, error) {
	// While another program has grabbed the server, it answers nobody.
	defer context.AfterFunc(ctx, s.conn.Close)()
	info, err := screensaver.QueryInfo(s.conn, s.root).Reply()
	if err != nil {
		return 0, fmt.Errorf("the X server: %w", err)
	}
	return time.Duration(info.MsSinceUserInput) * time.Millisecond, nil
}

func (s *x) close() { s.conn.Close() }

// mutter is GNOME's compositor.
type mutter struct{ bus *dbus.Conn }

func openMutter(ctx context.Context) (source, error) {
	bus, err := sessionbus.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("the session's bus: %w", err)
	}
	return mutter{bus}, nil
}

func (s mutter) idle(ctx context.Context) (time.Duration, error) {
	var ms uint64
	err := s.bus.Object("org.gnome.Mutter.IdleMonitor", "/org/gnome/Mutter/IdleMonitor/Core").
		CallWithContext(ctx, "org.gnome.Mutter.IdleMonitor.GetIdletime", dbus.FlagNoAutoStart).Store(&ms)
	if err != nil {
		return 0, fmt.Errorf("the desktop: %w", err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (s mutter) close() { s.bus.Close() }

// forever is the time of somebody who has locked the screen, and so has gone.
const forever = time.Duration(math.MaxInt64)

// logind is told by desktops when they think that nobody is there, which is
// later than nobody is, and when the screen is locked.
type logind struct{ bus *dbus.Conn }

func openLogind(ctx context.Context) (source, error) {
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("the system's bus: %w", err)
	}
	return logind{bus}, nil
}

func (s logind) idle(ctx context.Context) (time.Duration, error) {
	session := s.bus.Object("org.freedesktop.login1", "/org/freedesktop/login1/session/auto")
	var properties map[string]dbus.Variant
	err := session.CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", dbus.FlagNoAutoStart,
		"org.freedesktop.login1.Session").Store(&properties)
	if err != nil {
		return 0, fmt.Errorf("logind: %w", err)
	}
	hint, known := properties["IdleHint"].Value().(bool)
	locked, _ := properties["LockedHint"].Value().(bool)
	since, _ := properties["IdleSinceHint"].Value().(uint64)
	switch {
	case locked:
		return forever, nil
	case !known:
		return 0, errors.New("logind does not say whether the session is idle")
	case !hint:
		return 0, nil
	}
	return max(0, time.Since(time.UnixMicro(int64(since)))), nil
}

func (s logind) close() { s.bus.Close() }
