// Command register is one half of a test: it registers people at a coordinator,
// so many at a time, and prints the name of each who was let in, as soon as that
// is known.
//
//	register ADDRESS PEOPLE
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/protocol/wire"
)

const atOnce = 16

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: register ADDRESS PEOPLE")
		os.Exit(2)
	}
	to, err := netip.ParseAddrPort(os.Args[1])
	people, err2 := strconv.Atoi(os.Args[2])
	if err := errors.Join(err, err2); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var working sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		working.Go(func() {
			for i := range next {
				name := fmt.Sprintf("person-%04d", i)
				if err := register(to, name); err != nil {
					fmt.Fprintln(os.Stderr, name, err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(name + "\n") // a line is one write
			}
		})
	}
	for i := range people {
		next <- i
	}
	close(next)
	working.Wait()
}

// register returns once the coordinator has let somebody in.
func register(to netip.AddrPort, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	raw, err := hostnet.OS.Dial(ctx, to)
	if err != nil {
		return err
	}
	conn := tls.Client(raw, identity.ClientTLS(identity.NewKey().Certificate(), identity.ALPNControl, nil))
	defer conn.Close()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	hello := &wire.Hello{VersionMin: 1, VersionMax: 1, Name: name, Program: "register", DeviceLabel: "test"}
	if _, err := conn.Write(wire.Append(nil, &wire.ToCoordinator{Body: &wire.ToCoordinator_Hello{Hello: hello}})); err != nil {
		return err
	}
	var answer wire.ToClient
	if err := wire.Read(conn, wire.MaxToClient, &answer); err != nil {
		return err
	}
	if answer.GetWelcome() == nil {
		return errors.New(answer.GetRefused().GetSentence())
	}
	return nil
}
