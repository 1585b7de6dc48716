package punch

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"
)

var testKey = [KeySize]byte([]byte("0123456789abcdef0123456789abcdef"))

// The bytes are those of an implementation in another language, which follows
// the table.
var probes = []struct {
	name  string
	lower bool
	probe Probe
	hex   string
}{
	{"ping", true, Probe{Type: Ping, Tx: Transaction{1, 2, 3, 4, 5, 6, 7, 8}},
		"1d455001b5230bfd6a3123f96e6f6e63652d6e6f6e636521b78d74f31e5d4130cf96" +
			"efb00e45948a873096094d8a0012f73463a4229e706fa0106b0cc2b03621afa08beb"},
	{"pong, IPv4", false, Probe{Type: Pong, Tx: Transaction{1, 2, 3, 4, 5, 6, 7, 8}, Seen: netip.MustParseAddrPort("203.0.113.7:13277")},
		"1d455001b5230bfd6a3123f96e6f6e63652d6e6f6e6365217a714aedb2319ab00432" +
			"e40644ab89805dbae39fcc05eb7f5572d1c1d4729ddf762511c38227f10ebeb1e1b5"},
	{"pong, IPv6", false, Probe{Type: Pong, Tx: Transaction{}, Seen: netip.MustParseAddrPort("[2001:db8::7]:1")},
		"1d455001b5230bfd6a3123f96e6f6e63652d6e6f6e6365217a714befb1359fb6033a" +
			"c407491389805dbae39f33fa207f2472e21d7cca06f7fedd4af359d52111429d02b2"},
}

var testNonce = [12]byte([]byte("nonce-nonce!"))

func TestProbeBytes(t *testing.T) {
	for _, p := range probes {
		got := NewExchange(testKey, p.lower).append(nil, p.probe, testNonce)
		if hex.EncodeToString(got) != p.hex {
			t.Errorf("%s:\n got %x\nwant %s", p.name, got, p.hex)
		}
		if len(got) != Size {
			t.Errorf("%s has %d bytes", p.name, len(got))
		}
		if got[0]&0x40 != 0 || got[0] < 4 {
			t.Errorf("%s may be taken for QUIC or STUN", p.name)
		}
		read, err := NewExchange(testKey, !p.lower).Open(got)
		if err != nil || read != p.probe {
			t.Errorf("%s: read as %+v, %v", p.name, read, err)
		}
	}
}

func TestProbesOfOthers(t *testing.T) {
	x := NewExchange(testKey, true)
	probe := NewExchange(testKey, false).Append(nil, Probe{Type: Ping})
	if _, err := x.Open(probe); err != nil {
		t.Fatal(err)
	}
	other := testKey
	other[31]++
	reflected := x.Append(nil, Probe{Type: Ping})
	cases := map[string][]byte{
		"its own": reflected, "short": probe[:Size-1], "long": append(bytes.Clone(probe), 0), "nothing": nil,
		"of another key":  NewExchange(other, false).Append(nil, Probe{Type: Ping}),
		"of unknown type": NewExchange(testKey, false).Append(nil, Probe{Type: 3}),
	}
	for i := range probe {
		changed := bytes.Clone(probe)
		changed[i] ^= 1
		cases["changed at "+hex.EncodeToString([]byte{byte(i)})] = changed
	}
	for name, b := range cases {
		if _, err := x.Open(b); !errors.Is(err, ErrProbe) {
			t.Errorf("a probe that is %s: %v", name, err)
		}
	}
}

// No two probes are alike, so nothing of one tells what is in another.
func TestProbesDiffer(t *testing.T) {
	x := NewExchange(testKey, true)
	a, b := x.Append(nil, Probe{Type: Ping}), x.Append(nil, Probe{Type: Ping})
	if bytes.Equal(a[headerSize:], b[headerSize:]) {
		t.Error("two pings have the same ciphertext")
	}
	if one, two := NewTransaction(), NewTransaction(); one == two {
		t.Error("two transactions are one")
	}
}

func FuzzProbe(f *testing.F) {
	for _, p := range probes {
		f.Add(NewExchange(testKey, p.lower).append(nil, p.probe, testNonce))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, lower := range []bool{true, false} {
			p, err := NewExchange(testKey, lower).Open(b)
			if err != nil {
				continue
			}
			again := NewExchange(testKey, !lower).append(nil, p, [12]byte(b[12:]))
			if p.Type == Ping { // its address is nobody's
				continue
			}
			if !bytes.Equal(again, b) {
				t.Errorf("%x is read as %+v, which is written %x", b, p, again)
			}
		}
	})
}
