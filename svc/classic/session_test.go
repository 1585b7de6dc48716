package classic

import (
	"testing"
	"time"

	"earshot/protocol/classic/classictest"
)

// Everybody sees everybody come and go, whatever the dialect.
func TestComingAndGoing(t *testing.T) {
	inLAN(t, func(l *lan) {
		ann := l.login(1, "Ann", classictest.DotNet)
		bo := l.login(2, "波", classictest.UTF8Port)
		cho := l.login(3, "周", classictest.GBPort, classictest.HoldConnection())
		for _, c := range []*classictest.Client{ann, bo, cho} {
			l.names(time.Second, c, "Ann", "波", "周")
		}
		if err := bo.Logout(l.Context()); err != nil {
			l.Fatal(err)
		}
		l.names(time.Second, ann, "Ann", "周")
		l.names(time.Second, cho, "Ann", "周")
		for _, c := range []*classictest.Client{ann, cho} {
			if err := c.Died(); err != nil {
				l.Errorf("%s: %v", c.Name(), err)
			}
		}
	})
}
