package kernelnat

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"earshot/protocol/hostnet"
)

// TestGuard loses everything between two hosts: one end of a guarded connection
// waits, the other one has said something that is not acknowledged.
func TestGuard(t *testing.T) {
	inBoth(t, "easy", "easy", func(l lab) {
		const within = 3 * time.Second
		pair := func() (near, far net.Conn) {
			near, far = l.pair()
			for _, c := range []net.Conn{near, far} {
				if !hostnet.Guard(c, within) {
					l.Error("it can't be guarded")
				}
			}
			return near, far
		}
		waits, alsoWaits := pair()
		speaks, hears := pair()

		// A connection that lives stays, although nobody says anything.
		_ = waits.SetReadDeadline(time.Now().Add(within + time.Second))
		if _, err := waits.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			l.Errorf("a connection on which nothing is said: %v", err)
		}
		l.cut()
		began := time.Now()
		if _, err := io.WriteString(speaks, "anybody there?"); err != nil {
			l.Error(err)
		}
		var reading sync.WaitGroup
		for what, c := range map[string]net.Conn{"waits": waits, "waits at the other end": alsoWaits, "speaks": speaks, "hears": hears} {
			reading.Go(func() {
				_ = c.SetReadDeadline(began.Add(4 * within))
				if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					l.Errorf("the end that %s was told %v after %v", what, err, time.Since(began))
				}
				// What was heard last may have been heard before the cut.
				if took := time.Since(began); took > 2*within {
					l.Errorf("the end that %s was told after %v", what, took)
				}
			})
		}
		reading.Wait()
	})
}
