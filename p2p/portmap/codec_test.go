package portmap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

var someNonce = nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes are those of RFC 6887's figures 2 to 4, 9 and 10.
func TestPCPBytes(t *testing.T) {
	request := mapRequest{hostAt, someNonce, 40123, 40124, time.Hour}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"announce": {appendAnnounce(nil, hostAt), `02 00 0000 00000000  0000000000000000 0000ffff c0a8010a`},
		"map": {request.append(nil), `02 01 0000 00000e10  0000000000000000 0000ffff c0a8010a
			0102030405060708090a0b0c  11 000000 9cbb 9cbc  0000000000000000 0000ffff 00000000`},
		"unmap": {mapRequest{client: hostAt, nonce: someNonce, internal: 40123}.append(nil), `02 01 0000 00000000  0000000000000000 0000ffff c0a8010a
			0102030405060708090a0b0c  11 000000 9cbb 0000  0000000000000000 0000ffff 00000000`},
	} {
		if want := unhex(t, c.want); !bytes.Equal(c.got, want) {
			t.Errorf("%s: % x instead of % x", name, c.got, want)
		}
	}
}

const (
	goodHeader = `02 81 00 00 00000708 00003039  000000000000000000000000 `
	goodMap    = `0102030405060708090a0b0c  11 000000 9cbb 9cbd  0000000000000000 0000ffff 0b000a0a `
)

func TestPCPAnswers(t *testing.T) {
	good := answer{opcode: pcpMap, lifetime: 30 * time.Minute, nonce: someNonce, protocol: pcpUDP, internal: 40123, external: netip.MustParseAddrPort("11.0.10.10:40125")}
	refused := good
	refused.result = 8
	for _, c := range []struct {
		in   string
		want answer
		err  error
	}{
		{goodHeader + goodMap, good, nil},
		{goodHeader + goodMap + `03 00 0000`, good, nil}, // an option that nobody asked for
		{strings.Replace(goodHeader, "00 00 00", "00 08 00", 1) + goodMap, refused, nil},
		{`02 80 00 00 00000000 00003039 000000000000000000000000`, answer{opcode: pcpAnnounce}, nil},
		{`02 80 00 00 00000000 00003039 0000000000000000000000`, answer{}, errNotPCP},
		{goodHeader, answer{}, errNotPCP},
		{goodHeader + goodMap[:len(goodMap)-3], answer{}, errNotPCP},
		{goodHeader + goodMap + `03`, answer{}, errNotPCP},
		{goodHeader + goodMap + strings.Repeat(`00`, pcpMaxSize), answer{}, errNotPCP},
		{`02 01 00 00 00000708 00003039  000000000000000000000000` + goodMap, answer{}, errNotPCP}, // a request
		{``, answer{}, errNotPCP},
		{`0280`, answer{}, errNotPCP},
		{`00 80 0001 00003039`, answer{}, errPCPVersion}, // NAT-PMP, RFC 6886 3.5
		{`00 80 0000 00003039 0b000a0a`, answer{}, errPCPVersion},
		{`01 81 00 01 00000000 00003039 000000000000000000000000`, answer{}, errPCPVersion},
	} {
		got, err := parseAnswer(unhex(t, c.in))
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s: %+v, %v instead of %+v, %v", c.in, got, err, c.want, c.err)
		}
	}
	request := mapRequest{hostAt, someNonce, 40123, 40124, time.Hour}
	if !good.fits(request) {
		t.Error("an answer doesn't fit its question")
	}
	for name, change := range map[string]func(*answer){
		"nonce": func(a *answer) { a.nonce[11]++ }, "protocol": func(a *answer) { a.protocol = 6 },
		"port": func(a *answer) { a.internal++ }, "opcode": func(a *answer) { a.opcode = 2 },
	} {
		other := good
		change(&other)
		if other.fits(request) {
			t.Errorf("an answer with another %s fits", name)
		}
	}
}

// Whatever a router answers has a meaning.
func TestPCPResults(t *testing.T) {
	for result := range 256 {
		err := answer{result: byte(result)}.err()
		want := ErrRefused
		switch result {
		case 7:
			want = ErrNoExternal
		case 12:
			want = ErrDoubleNAT
		case pcpSuccess:
			want = ""
		}
		if got := ReasonOf(err); got != want || (err == nil) != (result == 0) {
			t.Errorf("result %d is %v", result, err)
		}
	}
}

func TestSearchRequest(t *testing.T) {
	want := "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n" +
		"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
	if got := string(searchRequest(igds[1])); got != want {
		t.Errorf("%q", got)
	}
}

func TestParseLocation(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string // empty for none
	}{
		{string(found(igds[0], "http://192.168.1.1:5000/desc.xml")), "http://192.168.1.1:5000/desc.xml"},
		{string(found(igds[1], "http://192.168.1.1/")), "http://192.168.1.1/"},
		{"HTTP/1.1 200 OK\r\nst: " + igds[1] + "\r\nlocation: http://192.168.1.1/x\r\n\r\n", "http://192.168.1.1/x"},
		{string(found(igds[1], "http://192.168.1.2:5000/desc.xml")), ""},
		{string(found(igds[1], "http://router.example/desc.xml")), ""},
		{string(found(igds[1], "http://[::ffff:192.168.1.1]/desc.xml")), ""},
		{string(found(igds[1], "https://192.168.1.1/desc.xml")), ""},
		{string(found(igds[1], "file://192.168.1.1/etc/passwd")), ""},
		{string(found(igds[1], "http://192.168.1.1@11.0.0.1/desc.xml")), ""},
		{string(found(igds[1], "http://a:b@192.168.1.1/desc.xml")), ""},
		{string(found(igds[1], "/desc.xml")), ""},
		{string(found(igds[1], "")), ""},
		{string(found(igds[1], "http://192.168.1.1:99999/")), "http://192.168.1.1:99999/"}, // where nobody is
		{string(found(igds[1], "http://192.168.1.1/"+strings.Repeat("a", maxURL))), ""},
		{string(found("urn:schemas-upnp-org:device:MediaServer:1", "http://192.168.1.1/")), ""},
		{"HTTP/1.1 404 Not Found\r\nST: " + igds[1] + "\r\nLocation: http://192.168.1.1/\r\n\r\n", ""},
		{"NOTIFY * HTTP/1.1\r\nNT: " + igds[1] + "\r\nLocation: http://192.168.1.1/\r\n\r\n", ""},
		{string(found(igds[1], "http://192.168.1.1/")) + strings.Repeat("x", maxSSDP), ""},
		{"", ""},
	} {
		got, ok := parseLocation([]byte(c.in), routerAt)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("%q: %v, %v", c.in, got, ok)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		external string
		d        time.Duration
		want     Reason
	}{
		{"11.0.10.10:40123", time.Hour, ""},
		{"11.0.10.11:40123", time.Hour, ""}, // the coordinator decides
		{"100.64.1.1:40123", time.Hour, ErrDoubleNAT},
		{"172.31.0.1:40123", time.Hour, ErrDoubleNAT},
		{"169.254.1.1:40123", time.Hour, ErrDoubleNAT},
		{"127.0.0.1:40123", time.Hour, ErrDoubleNAT},
		{"224.0.0.1:40123", time.Hour, ErrDoubleNAT},
		{"255.255.255.255:40123", time.Hour, ErrDoubleNAT},
		{"0.0.0.0:40123", time.Hour, ErrNoExternal},
		{"[::]:40123", time.Hour, ErrNoExternal},
		{"[2a11::1]:40123", time.Hour, ErrNoExternal},
		{"11.0.10.10:0", time.Hour, ErrBadAnswer},
		{"11.0.10.10:40123", 0, ErrBadAnswer},
	} {
		if err := judge(grant{netip.MustParseAddrPort(c.external), c.d}, publicAt); ReasonOf(err) != c.want {
			t.Errorf("%s for %v: %v", c.external, c.d, err)
		}
	}
	if err := judge(grant{}, publicAt); ReasonOf(err) != ErrBadAnswer {
		t.Errorf("nothing: %v", err)
	}
}

// Whatever a router promises, it is not asked all the time, nor never again.
func TestWhenToAsk(t *testing.T) {
	for _, left := range []time.Duration{-time.Hour, 0, time.Second, time.Minute, time.Hour, 1000 * time.Hour, 1<<32*time.Second - 1} {
		if d := renewal(left); d < shortest || d > longest/2 {
			t.Errorf("with %v left it is renewed after %v", left, d)
		}
	}
	for n := 1; n < 100; n++ {
		if d := retry(n); d < retryFirst || d > retryLast || n > 1 && d < retry(n-1) {
			t.Errorf("after %d failures it is tried again after %v", n, d)
		}
	}
}

// Every reason is a sentence, and what is added doesn't change it.
func TestReasons(t *testing.T) {
	for r, sentence := range sentences {
		if !strings.HasSuffix(sentence, ".") || ReasonOf(because(r, "for %w", ErrRefused)) != r {
			t.Errorf("%s: %q", r, sentence)
		}
	}
	if ReasonOf(nil) != "" || ReasonOf(errors.New("?")) != "" {
		t.Error("there is a reason for nothing")
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(unhex(f, goodHeader+goodMap))
	f.Add(unhex(f, `00 80 0001 00003039`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil {
			return
		}
		if len(b) < pcpHeader || len(b) > pcpMaxSize || a.lifetime < 0 {
			t.Fatalf("%+v is read from %d bytes", a, len(b))
		}
		again := mapRequest{hostAt, a.nonce, a.internal, a.external.Port(), a.lifetime}.append(nil)
		if a.opcode == pcpMap && a.protocol == pcpUDP && !bytes.Equal(again[24:44], append(bytes.Clone(b[24:37]), append(make([]byte, 3), b[40:44]...)...)) {
			t.Fatalf("%+v is not % x", a, b)
		}
		_ = a.err()
		_ = judge(grant{a.external, a.lifetime}, publicAt)
	})
}

func FuzzParseLocation(f *testing.F) {
	f.Add(found(igds[0], "http://192.168.1.1:5000/desc.xml"))
	f.Add(found(igds[1], "http://192.168.1.1@11.0.0.1/"))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, ok := parseLocation(b, routerAt)
		if ok && (u.Hostname() != "192.168.1.1" || u.Scheme != "http" || len(u.String()) > 4*maxURL) {
			t.Fatalf("%v", u)
		}
	})
}

// What a description says is read without harm; whom it leads to is decided by
// onGateway, for every request.
func FuzzDescription(f *testing.F) {
	location, err := url.Parse("http://192.168.1.1:5000/desc.xml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(strings.Replace(strings.Replace(page, "%s", "urn:schemas-upnp-org:service:WANIPConnection:1", 1), "%s", "/c", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := parseDescription(bytes.NewReader(b), location)
		if err != nil {
			return
		}
		if n := len(services(root, location, new(upnp).client(place{routerAt, hostAt}))); n > maxServices {
			t.Fatalf("%d services", n)
		}
	})
}
