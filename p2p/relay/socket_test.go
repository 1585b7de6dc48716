package relay

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"earshot/protocol/identity"
)

func TestAddr(t *testing.T) {
	one, two := identity.NewKey().Public(), identity.NewKey().Public()
	if (Addr{one}) == (Addr{two}) || (Addr{one}).String() == (Addr{two}).String() || (Addr{one}).String() == (Addr{}).String() {
		t.Error("devices have one address")
	}
	var a, b net.Addr = Addr{one}, New(Config{}).Addr(one)
	if a != b || a.String() != b.String() || a.Network() != "relay" {
		t.Error("a device has two addresses")
	}
}

// wants reads, and wants an error of package net's shape.
func wants(t *testing.T, c net.PacketConn, target error) {
	t.Helper()
	_, _, err := c.ReadFrom(make([]byte, 10))
	if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, target) {
		t.Fatalf("got %v, want %v", err, target)
	}
	nerr, ok := errors.AsType[net.Error](err)
	if timeout := errors.Is(target, os.ErrDeadlineExceeded); !ok || nerr.Timeout() != timeout {
		t.Fatalf("%v: timeout %v", err, nerr.Timeout())
	}
}

func TestReadDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := New(Config{})
		c := client.socket
		begin := time.Now()
		set := func(d time.Duration) {
			t.Helper()
			if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
				t.Fatal(err)
			}
		}
		set(time.Minute)
		wants(t, c, os.ErrDeadlineExceeded)
		if time.Since(begin) != time.Minute {
			t.Fatalf("after %v", time.Since(begin))
		}
		wants(t, c, os.ErrDeadlineExceeded) // it has still passed

		// A deadline can be moved while somebody reads, both ways, and be taken
		// away.
		set(time.Hour)
		woken := make(chan error, 1)
		read := func() {
			_, _, err := c.ReadFrom(make([]byte, 10))
			woken <- err
		}
		go read()
		synctest.Wait()
		set(2 * time.Hour)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if len(woken) != 0 {
			t.Fatal("a deadline that was moved has passed")
		}
		set(0)
		if err := <-woken; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		go read()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(woken) != 0 {
			t.Fatal("there was no deadline")
		}
		c.put(Addr{identity.NewKey().Public()}, []byte("at last"))
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
		c.put(near, []byte("waits"))
		set(-time.Second)
		wants(t, c, os.ErrDeadlineExceeded) // before what has arrived

		set(time.Hour) // and closing wakes
		if n, _, err := c.ReadFrom(make([]byte, 10)); err != nil || n != len("waits") {
			t.Fatal(n, err)
		}
		go read()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-woken; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestClosed(t *testing.T) {
	c := New(Config{}).PacketConn()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wants(t, c, net.ErrClosed)
	_, werr := c.WriteTo([]byte("x"), Addr{})
	for _, err := range []error{werr, c.Close(), c.SetDeadline(time.Now()), c.SetReadDeadline(time.Now()), c.SetWriteDeadline(time.Now())} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	c.(*socket).put(near, []byte("late"))
}

func TestWriteTo(t *testing.T) {
	c := New(Config{}).PacketConn()
	to := Addr{identity.NewKey().Public()}
	if n, err := c.WriteTo(make([]byte, 1500), to); n != 1500 || err != nil {
		t.Errorf("without a connection: %d, %v", n, err)
	}
	if _, err := c.WriteTo(make([]byte, 1501), to); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("too large: %v", err)
	}
	if _, err := c.WriteTo([]byte("x"), &net.UDPAddr{}); !errors.Is(err, errAddr) {
		t.Errorf("elsewhere: %v", err)
	}
	if err := c.SetWriteDeadline(time.Now().Add(-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteTo([]byte("x"), to); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("late: %v", err)
	}
}

func TestShortBuffer(t *testing.T) {
	c := New(Config{}).socket
	c.put(near, []byte("12345"))
	c.put(near, []byte("678"))
	buf := make([]byte, 4)
	for _, want := range []string{"1234", "678"} {
		if n, _, err := c.ReadFrom(buf); err != nil || string(buf[:n]) != want {
			t.Errorf("read %q, %v", buf[:n], err)
		}
	}
}

// What is sent and what arrives costs no memory.
func TestSocketDoesNotAllocate(t *testing.T) {
	client := New(Config{})
	device := identity.NewKey().Public()
	client.Open(device)
	b := make([]byte, 1280)
	to, c := client.Addr(device), client.PacketConn()
	round := func() {
		for range 10 {
			client.deliver(device, b)
			if _, err := c.WriteTo(b, to); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			if _, _, err := c.ReadFrom(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n > 1 { // the collector may empty the pool meanwhile
		t.Errorf("10 packets allocate %v times", n)
	}
}
