package secure

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"earshot/p2p/punch"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

// Who asks for an introduction tells its public address with it, though it has
// to find that out first, but waits for that a moment only. Who answers doesn't
// wait.
func TestAsksOnceItKnowsItself(t *testing.T) {
	public := netip.MustParseAddr("11.0.10.10")
	for _, c := range []struct {
		name    string
		answers bool // STUN is answered
		doubt   bool // what is known may be wrong
		answer  bool
		told    bool // with the first introduction
		after   time.Duration
	}{
		{"known", true, false, false, true, 0},
		{"in doubt", true, true, false, true, 0},
		{"not to be known", false, true, false, false, introduceWithin},
		{"an answer", true, true, true, true, 0},
		{"an answer of who is not to be known", false, true, true, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := hostnet.NewSim()
				coordinator := startCoordinator(t, sim)
				coordinator.stun = stunPorts
				if c.answers {
					coordinator.seenAt(t, sim, public)
				}
				ann := newClient(t, sim, "10.0.0.2", "Ann")
				ann.online()
				if c.answers {
					time.Sleep(5 * time.Second)
				}
				synctest.Wait() // it knows whom to ask
				if c.doubt {
					ann.outside.doubt()
				}
				start := time.Now()
				ann.introduce(identity.NewKey().Public(), [punch.KeySize]byte{1}, c.answer)
				time.Sleep(3 * time.Second)
				coordinator.mu.Lock()
				all := slices.Clone(coordinator.asked)
				coordinator.mu.Unlock()
				if len(all) == 0 {
					t.Fatal("nobody was introduced")
				}
				first := all[0]
				told := slices.ContainsFunc(first.GetCandidates(), func(c *wire.Candidate) bool {
					at, err := wire.ParseAddress(c.GetAddress())
					return err == nil && c.GetKind() == wire.Candidate_KIND_REFLEXIVE && at.Addr() == public
				})
				if after := first.at.Sub(start); told != c.told || after != c.after || first.GetAnswer() != c.answer {
					t.Errorf("after %v %+v", after, first.Introduce)
				}
				if len(all) > 2 {
					t.Errorf("it said so %d times", len(all))
				}
			})
		})
	}
}
