package localhttp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"earshot/protocol/hostnet"
	"earshot/protocol/hostnet/localhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("lost")

type number struct {
	N int `json:"n"`
}

// serve runs a service on a simulated host and returns a client of it.
func serve(t *testing.T) (*localhttp.Client, context.CancelFunc) {
	t.Helper()
	host := hostnet.NewSim().Host(netip.MustParseAddr("10.0.0.1"))
	at := netip.MustParseAddrPort("10.0.0.1:80")
	listener, err := host.Listen(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	s := &localhttp.Service{
		Mux: http.NewServeMux(), MaxBody: 100, Statuses: map[string]int{"odd": http.StatusConflict},
		Unclear: func(cause error) string { return "unclear: " + cause.Error() },
	}
	localhttp.Post(s, "/twice", func(_ *http.Request, in *number) (any, error) {
		if in.N%2 != 0 {
			return nil, &localhttp.Error{Code: "odd", Text: "only even numbers"}
		}
		return number{2 * in.N}, nil
	})
	s.Get("/fails", func(*http.Request) (any, error) { return nil, errors.New("the disk is full") })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- localhttp.Serve(ctx, ctx, listener, s.Mux) }()
	c := localhttp.NewClient(func(ctx context.Context) (net.Conn, error) { return host.Dial(ctx, at) },
		func(error) error { return errLost })
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c, cancel
}

func TestAnswersAndErrors(t *testing.T) {
	c, _ := serve(t)
	var out number
	if err := c.Do(t.Context(), "POST", "/twice", number{4}, &out); err != nil || out.N != 8 {
		t.Errorf("got %+v, %v", out, err)
	}
	for name, test := range map[string]struct {
		method, path string
		in           any
		code, text   string
	}{
		"refused":       {"POST", "/twice", number{3}, "odd", "only even numbers"},
		"unknown field": {"POST", "/twice", map[string]int{"m": 1}, localhttp.CodeBadRequest, "unclear: "},
		"no body":       {"POST", "/twice", nil, localhttp.CodeBadRequest, "unclear: "},
		"too long":      {"POST", "/twice", map[string]string{"n": strings.Repeat("1", 200)}, localhttp.CodeBadRequest, "unclear: "},
		"failed":        {"GET", "/fails", nil, localhttp.CodeFailed, "the disk is full"},
	} {
		err := c.Do(t.Context(), test.method, test.path, test.in, &out)
		e, ok := errors.AsType[*localhttp.Error](err)
		if !ok || e.Code != test.code || !strings.HasPrefix(e.Text, test.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Do(t.Context(), "GET", "/nothing", nil, nil); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("what nobody serves: %v", err)
	}
}

// An answer that doesn't come is the caller's own error, and so is the end of
// the caller's patience.
func TestLost(t *testing.T) {
	c, stop := serve(t)
	if err := c.Do(t.Context(), "POST", "/twice", number{2}, nil); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Do(over, "POST", "/twice", number{2}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	stop()
	for {
		err := c.Do(t.Context(), "POST", "/twice", number{2}, nil)
		if err == nil {
			continue // it is ending
		}
		if !errors.Is(err, errLost) && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		return
	}
}
