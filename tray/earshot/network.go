package main

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"earshot/p2p"
	"earshot/p2p/classic"
	"earshot/p2p/dual"
	"earshot/p2p/portmap"
	"earshot/p2p/secure"
	"earshot/protocol/hostnet"
	"earshot/protocol/identity"
	"earshot/tray/profile"

	wire "earshot/protocol/classic"
)

// network returns the way to the coordinator: by the secure protocol where the
// coordinator speaks it, and by the classic one where it never did.
func (c *command) network(s profile.Settings, key identity.Key, log *slog.Logger) (p2p.Transport, error) {
	link, isLink, err := c.coordinator(s.Server)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(link.Host, strconv.Itoa(int(link.Port)))
	pins, err := c.profile.Pins(address)
	if err != nil {
		return nil, err
	}
	config := secure.Config{
		Net: hostnet.OS, Host: link.Host, Port: link.Port, Fingerprint: link.Fingerprint, Pins: pins,
		Key: key, Name: s.Name, Label: deviceLabel(), Program: "earshot " + version, Invite: link.Invite, Log: log,
	}
	if s.MapsPort() {
		config.MapPort = func(p portmap.Config) secure.Mapper { return portmap.New(p) }
	}
	if c.opts.join != "" {
		code, err := identity.ParseJoinCode(c.opts.join)
		if err != nil {
			return nil, errors.New(c.p.T("CliWrongJoinCode"))
		}
		config.Join = &code
	}
	encoding, _ := wire.ParseEncoding(s.Encoding) // auto is the zero value
	return dual.New(dual.Config{
		Secure: func() (p2p.Transport, error) { return secure.New(config) },
		Classic: func() (p2p.Transport, error) {
			return classic.New(classic.Config{Net: hostnet.OS, Server: address, Name: s.Name, Encoding: encoding, Log: log})
		},
		Secured: func() bool {
			_, met := pins.Load()
			return met || isLink
		},
	}), nil
}

// coordinator reads the address of a coordinator: HOST, HOST:PORT or a link.
func (c *command) coordinator(server string) (link identity.Link, isLink bool, err error) {
	if identity.IsLink(server) {
		link, err = identity.ParseLink(server)
		if err != nil {
			err = errors.New(c.p.T("CliWrongLink", "Link", clean(server)))
		}
		return link, true, err
	}
	link.Host, link.Port, err = classic.SplitServer(server)
	if err != nil {
		return link, false, errors.New(c.p.T("CliWrongServer", "Server", clean(server)))
	}
	return link, false, nil
}

// serverName is a coordinator as a person reads it: without what only programs
// need of a link, which may be an invitation.
func (c *command) serverName(server string) string {
	link, isLink, err := c.coordinator(server)
	switch {
	case err != nil || !isLink:
		return server
	case link.Port == identity.DefaultPort:
		return link.Host
	}
	return net.JoinHostPort(link.Host, strconv.Itoa(int(link.Port)))
}

// deviceLabel is what this computer is called among a person's devices.
func deviceLabel() string {
	name, err := os.Hostname()
	if _, notIP := netip.ParseAddr(name); err != nil || name == "" || notIP == nil {
		return "earshot"
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}
