package control

import (
	"net/netip"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"earshot/protocol/wire"
	"earshot/svc/roster"
)

// FuzzRequests has what clients ask for read: whatever is let through can be
// put on a roster, and shown.
func FuzzRequests(f *testing.F) {
	candidates := []*wire.Candidate{{Kind: wire.Candidate_KIND_HOST, Address: wire.Address(netip.MustParseAddrPort("[2001:db8::1]:9"))}}
	says := &wire.Status{Presence: wire.Presence_PRESENCE_AWAY, Text: "午饭", DisplayName: "Ann A.", Department: "R&D"}
	hello := (&client{name: "Ann"}).hello()
	hello.Status, hello.Candidates = says, candidates
	hello.Classic = &wire.Classic{Endpoint: wire.Address(netip.MustParseAddrPort("10.0.0.7:5000")), Encoding: wire.Encoding_ENCODING_GB18030}
	for _, m := range []*wire.ToCoordinator{
		{Body: &wire.ToCoordinator_Hello{Hello: hello}}, status(says),
		{Body: &wire.ToCoordinator_SetCandidates{SetCandidates: &wire.SetCandidates{Candidates: candidates}}},
		{Body: &wire.ToCoordinator_Introduce{Introduce: &wire.Introduce{Device: make([]byte, 32), Candidates: candidates}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	from := netip.MustParseAddr("10.0.0.7")
	s := &Server{cfg: Config{TrustedNetworks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(wire.ToCoordinator)
		if proto.Unmarshal(b, m) != nil {
			return
		}
		c := &session{server: s, from: from}
		var status roster.Status
		var err error
		switch body := m.Body.(type) {
		case *wire.ToCoordinator_Hello:
			status, err = s.check(c, body.Hello)
		case *wire.ToCoordinator_SetStatus:
			status, err = parseStatus(body.SetStatus.GetStatus())
		case *wire.ToCoordinator_SetCandidates:
			c.candidates, err = parseCandidates(body.SetCandidates.GetCandidates())
		case *wire.ToCoordinator_Introduce:
			c.candidates, err = parseCandidates(body.Introduce.GetCandidates())
		}
		if err != nil {
			if why := explain(err); why.code == errInternal.code || why.sentence == "" {
				t.Errorf("%v is refused with %q", m, why.sentence)
			}
			return
		}
		user := roster.User{
			Name: "Ann", Endpoint: c.endpoint, Encoding: c.encoding,
			Secure: &roster.Secure{Status: status, Devices: []roster.Device{{Online: true, Candidates: c.candidates}}},
		}
		r := roster.New()
		_, at := r.Snapshot()
		if _, _, err := r.Add(user); err != nil {
			t.Fatal(err)
		}
		frame, _, err := r.Frames(at)
		if err != nil || len(frame) > 4+wire.MaxToClient {
			t.Errorf("a change has %d bytes, %v", len(frame), err)
		}
		if len(c.candidates) > maxCandidates || !utf8.ValidString(status.Text) || len(status.Text) > maxStatusText {
			t.Errorf("%v was let through", m)
		}
	})
}
