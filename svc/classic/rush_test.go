package classic

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"earshot/svc/rush"
)

// Who comes in a rush has everybody who came in it on the list, and hears of
// nobody twice; who was there before hears of each, once.
func TestListAfterTheRush(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.join(1, "Ann")
		want := []string{"Ann"}
		var sockets []*socket
		var lists []net.Conn
		for i := range 3 * rush.Logins {
			name := fmt.Sprint("user ", i)
			s := l.socket(2 + i)
			l.send(2+i, "login,"+name+","+s.at.String())
			sockets, lists, want = append(sockets, s), append(lists, l.fetch(2+i, mainPort+1)), append(want, name)
		}
		late := lists[rush.Logins:]
		for _, c := range late {
			_ = c.SetReadDeadline(time.Now().Add(time.Nanosecond))
			if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("somebody has %d bytes of a list in the middle of the rush: %v", n, err)
			}
		}
		l.settle(2 * rush.Gap)
		for i, c := range late {
			if got := l.readList(c); !slices.Equal(got, want) {
				t.Fatalf("number %d of the rush has %d people on the list, of %d: %q", i, len(got), len(want), got)
			}
			c.Close()
		}
		l.settle(time.Second)
		for i, s := range sockets[rush.Logins:] {
			if got := slices.DeleteFunc(s.received(), notLogin); len(got) != 0 {
				t.Errorf("number %d of the rush is told of who stands on the list: %q", i, got)
			}
		}
		heard := slices.DeleteFunc(ann.received(), notLogin)
		slices.Sort(heard)
		if n := len(slices.Compact(slices.Clone(heard))); n != len(sockets) || n != len(heard) {
			t.Errorf("Ann heard of %d people, of %d, in %d messages", n, len(sockets), len(heard))
		}
	})
}

// One who leaves before the list is written is not on it, and one who comes
// afterwards is told of.
func TestChangesDuringTheRush(t *testing.T) {
	inLAN(t, func(l *lan) {
		gone := l.join(1, "Gone")
		for i := range rush.Logins {
			l.join(100+i, fmt.Sprint("user ", i))
		}
		for i := range rush.Logins {
			s := l.socket(200 + i)
			l.send(200+i, fmt.Sprintf("login,more %d,%v", i, s.at))
			l.fetch(200+i, mainPort+1).Close()
		}
		bo := l.socket(2)
		l.send(2, "login,Bo,"+bo.at.String())
		c := l.fetch(2, mainPort+1)
		l.send(1, "logout,Gone,"+gone.at.String())
		l.settle(2 * rush.Gap)
		names := l.readList(c)
		if slices.Contains(names, "Gone") || !slices.Contains(names, "Bo") {
			t.Errorf("the list of after the rush is %q", names)
		}
		l.join(3, "Cho")
		c.Close()
		l.settle(time.Second)
		var logins, logouts []string
		for _, m := range bo.received() {
			if strings.HasPrefix(m, "logout,") {
				logouts = append(logouts, m)
			} else if !notLogin(m) {
				logins = append(logins, m)
			}
		}
		if len(logins) != 1 || !strings.HasPrefix(logins[0], "login,Cho,") || len(logouts) != 0 {
			t.Errorf("Bo heard of the logins %q and the logouts %q", logins, logouts)
		}
	})
}

func notLogin(s string) bool { return !strings.HasPrefix(s, "login,") }

// readList reads the names on a list of raw text.
func (l *lan) readList(c net.Conn) []string {
	l.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	var text strings.Builder
	buf := make([]byte, 32<<10)
	for !strings.HasSuffix(text.String(), "end") {
		n, err := c.Read(buf)
		if err != nil {
			l.Fatalf("the list ends after %q: %v", text.String(), err)
		}
		text.Write(buf[:n])
	}
	var names []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(text.String(), "end"), ";") {
		if name, _, ok := strings.Cut(entry, ","); ok {
			names = append(names, name)
		}
	}
	return names
}
