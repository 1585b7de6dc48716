package main

import (
	"cmp"
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

	wire "earshot/protocol/classic"
)

// network returns the way to the coordinator: by the secure protocol where the
// coordinator speaks it, and by the classic one where it never did.
//
// What is made is of the settings as they are then; the name is never empty.
func (c *command) network(key identity.Key, log *slog.Logger) (*dual.Transport, error) {
	if _, err := c.login(key, log); err != nil {
		return nil, err // nobody can repair that but who starts it
	}
	var now *login // that of the transport made last
	return dual.New(dual.Config{
		Secure: func() (p2p.Transport, error) {
			l, err := c.login(key, log)
			if err != nil {
				return nil, err
			}
			now = l
			return secure.New(l.secure)
		},
		Classic: func() (p2p.Transport, error) { return classic.New(now.classic) },
		Secured: func() bool {
			_, met := now.secure.Pins.Load()
			return met || now.isLink
		},
	}), nil
}

// login is what one login at a coordinator needs.
type login struct {
	secure  secure.Config
	classic classic.Config
	isLink  bool
}

func (c *command) login(key identity.Key, log *slog.Logger) (*login, error) {
	s := c.live.Values()
	link, isLink, err := c.coordinator(s.Server)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(s.Name, accountName())
	address := net.JoinHostPort(link.Host, strconv.Itoa(int(link.Port)))
	pins, err := c.profile.Pins(address)
	if err != nil {
		return nil, err
	}
	config := secure.Config{
		Net: hostnet.OS, Host: link.Host, Port: link.Port, Fingerprint: link.Fingerprint, Pins: pins,
		Key: key, Name: name, Label: deviceLabel(), Program: "earshot " + version, Invite: link.Invite, Log: log,
	}
	if s.PortMapping {
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
	return &login{
		secure: config, isLink: isLink,
		classic: classic.Config{Net: hostnet.OS, Server: address, Name: name, Encoding: encoding, Log: log},
	}, nil
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
