//go:build linux

package installer

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"earshot/installer/bed"
)

// TestWineUnits runs the tests of what is different on Windows on wine: files
// and their locks, named pipes, the registry, and the database on them.
//
// It proves that this code does on wine's kernel what it does on Linux'. It
// does not prove access rights, which wine hardly has, that a pipe's name can't
// be taken twice, which wine allows, nor that a file outlives a power cut.
func TestWineUnits(t *testing.T) {
	w := bed.NewWine(t)
	for _, pkg := range []string{"tray/profile", "tray/store", "tray/localapi", "tray/client", "tray/autostart"} {
		w.Test("./" + pkg)
	}
	// Wine's sockets bind foreign addresses, say nothing of closed ports, and
	// can't be guarded, which must leave them as they are.
	w.Test("./protocol/hostnet", "-test.run=TestWatch|TestWriteTTL|TestGuardTakes")
}

// TestWineService has earshotd.exe be a service under wine, from install to
// uninstall: registered, started by wine's service manager, answering over the
// loopback's UDP and TCP, stopped, and gone.
//
// The program is built with other versions of some functions of Go's own
// packages and of golang.org/x/sys (see bed.Wine.BuildService), so it is not the
// one that is shipped, whose refusal to be a service outside of session 0 is
// right on Windows. And wine has no service recovery, no delayed start, no
// account LocalService with less rights, no firewall and no event log: none of
// them is proven by this.
func TestWineService(t *testing.T) {
	w := bed.NewWine(t)
	exe := w.BuildService("./svc/earshotd")
	w.Persist()
	t.Cleanup(func() {
		if t.Failed() { // the registry is that of the next test, too
			w.Does(exe, "uninstall")
		}
	})
	does := func(args ...string) string {
		t.Helper()
		printed, ok := w.Does(exe, args...)
		if !ok {
			t.Fatalf("earshotd %s: %s", strings.Join(args, " "), printed)
		}
		t.Logf("earshotd %s: %s", strings.Join(args, " "), printed)
		return printed
	}
	server := freePorts(t)
	does("install", "--listen", server.String(), "--data", bed.Path(t.TempDir()), "--metrics-listen", "off")
	does("start")
	does("status")
	wantTextbookLogin(t, server)
	does("stop")
	lists := netip.AddrPortFrom(server.Addr(), server.Port()+1)
	if conn, err := net.Dial("tcp", lists.String()); err == nil {
		conn.Close()
		t.Error("the service is stopped and still answers")
	}
	if printed, ok := w.Does(exe, "status"); ok {
		t.Errorf("the status of a stopped service is a success: %s", printed)
	}
	does("uninstall")
	if printed, ok := w.Does(exe, "start"); ok {
		t.Errorf("a service that is not there was started: %s", printed)
	}
}

// freePorts returns an address on the loopback whose port and the two after it
// are free.
func freePorts(t *testing.T) netip.AddrPort {
	t.Helper()
	for port := uint16(31000); port < 32000; port += 3 {
		first := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
		free := true
		for p := port; p < port+3; p++ {
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(first.Addr(), p)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return first
		}
	}
	t.Fatal("no three free ports in a row")
	return netip.AddrPort{}
}

// wantTextbookLogin logs in as a textbook client does: by UDP, and the list
// by TCP from the port that is named in the answer.
func wantTextbookLogin(t *testing.T, server netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	me := conn.LocalAddr().String()
	if _, err := conn.WriteToUDPAddrPort([]byte("login,ann,"+me), server); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal("no answer to the login: ", err)
	}
	port, ok := strings.CutPrefix(string(answer[:n]), "Accept,")
	if !ok {
		t.Fatalf("the login is answered %q", answer[:n])
	}
	list, err := net.Dial("tcp", net.JoinHostPort(server.Addr().String(), port))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	if err := list.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	want := "ann," + me + ";end"
	roster := make([]byte, len(want))
	if n, err := io.ReadFull(list, roster); err != nil || string(roster) != want {
		t.Errorf("the list is %q, %v, not %q", roster[:n], err, want)
	}
}
