//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"earshot/svc/load"
)

// newcomer is one client in a process of its own: for each line "login" and
// "logout" it does so, and says how long a login took until the Welcome and
// until the whole roster, in ns. Its arguments are the coordinator's address
// and the client's index.
func newcomer(ctx context.Context, arguments []string, in io.Reader, out io.Writer) error {
	to, err1 := netip.ParseAddrPort(arguments[0])
	index, err2 := strconv.Atoi(arguments[1])
	if err1 != nil || err2 != nil {
		return fmt.Errorf("newcomer %q: this is no command for people", arguments)
	}
	n := load.NewNewcomer(to, index)
	fmt.Fprintln(out, "ready")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if lines.Text() == "logout" {
			if err := n.Logout(); err != nil {
				return err
			}
			fmt.Fprintln(out, "gone")
			continue
		}
		welcome, whole, err := n.Login(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, welcome.Nanoseconds(), whole.Nanoseconds())
	}
	return nil
}

// guest is somebody who comes and goes, with what the others are to know.
type guest interface {
	login(ctx context.Context) (whole time.Duration, err error)
	logout() error
}

// member is a guest of the crowd itself.
type member struct {
	crowd  load.Crowd
	client int
}

func (m member) login(ctx context.Context) (time.Duration, error) {
	return 0, m.crowd.Login(ctx, m.client)
}

func (m member) logout() error { return m.crowd.Logout(m.client) }

// stranger is one in its own process.
type stranger struct {
	talk   *load.Talking
	crowd  *load.Secure
	client int
}

func (s stranger) login(context.Context) (time.Duration, error) {
	s.crowd.Guest(s.client, true)
	if err := s.talk.Say("login"); err != nil {
		return 0, err
	}
	line, err := s.talk.Line()
	if err != nil {
		return 0, err
	}
	var welcome, whole int64
	if _, err := fmt.Sscanf(line, "%d %d", &welcome, &whole); err != nil {
		return 0, fmt.Errorf("%w: the newcomer says %q", load.ErrLoad, line)
	}
	return time.Duration(whole), nil
}

func (s stranger) logout() error {
	s.crowd.Guest(s.client, false)
	if err := s.talk.Say("logout"); err != nil {
		return err
	}
	_, err := s.talk.Line()
	return err
}

// guest returns one, who is new to the server.
func (r *run) guest() (guest, func(), error) {
	crowd, secure := r.crowd.(*load.Secure)
	if !secure {
		return member{r.crowd, r.n}, func() {}, nil
	}
	_, on := processors()
	client := r.n + storm
	talk, err := load.StartTalking(on, "/proc/self/exe", "newcomer", r.at.String(), strconv.Itoa(client))
	if err != nil {
		return nil, nil, err
	}
	_, err = talk.Line()
	return stranger{talk, crowd, client}, talk.Kill, err
}

// newcomers are logins and logouts after quiet, one at a time. Each is one change
// at everybody who is there.
func (r *run) newcomers(ctx context.Context) error {
	g, end, err := r.guest()
	if err != nil {
		return err
	}
	defer end()
	logins := float64(r.plan.rounds)
	sum := result{Server: r.server.name, Clients: r.n, Scenario: "newcomer", Delivered: 2 * r.plan.rounds * r.n}
	for round := range 2*r.plan.rounds + 1 {
		// A server may gather what comes at once; this is what comes alone.
		select {
		case <-time.After(time.Duration(r.n) * 100 * time.Microsecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		r.start()
		var own time.Duration
		if round%2 == 0 {
			own, err = g.login(ctx)
		} else {
			err = g.logout()
		}
		if err != nil {
			return err
		}
		out, err := r.finish(ctx, "newcomer", r.n)
		switch {
		case err != nil:
			return err
		case round == 0: // the first login claims the name, which is another thing
			continue
		case round%2 == 0:
			sum.P50, sum.P99, sum.Wall = sum.P50+out.P50/logins, sum.P99+out.P99/logins, sum.Wall+out.Wall/logins
			sum.Own += ms(own) / logins
		}
		sum.CPU += out.CPU / 2 / logins
	}
	sum.Each = 1000 * sum.CPU / float64(r.n)
	r.note(sum)
	return g.logout()
}
