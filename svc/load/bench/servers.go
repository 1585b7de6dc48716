//go:build linux

package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"earshot/protocol/identity"
	"earshot/svc/load"
)

// server is something to measure.
type server struct {
	name string
	ours bool
	// program is what must be installed.
	program string
	// command returns the arguments with which it listens there, after it has
	// written its configuration into dir.
	command func(dir string, at netip.AddrPort) ([]string, error)
	crowd   func(to netip.AddrPort, n int) load.Crowd
	// floor is the network, "tcp" or "udp", of a server that is none; it has
	// neither command nor crowd.
	floor string

	dir        string
	processors []int
}

// servers are all that can be measured.
func servers(earshotd, dir string, on []int) []server {
	all := []server{
		{name: "floor", ours: true, program: "/proc/self/exe", floor: "tcp"},
		{name: "floor-udp", ours: true, program: "/proc/self/exe", floor: "udp"},
		{name: "secure", ours: true, program: earshotd, command: earshotdCommand,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewSecure(to, n) }},
		{name: "classic", ours: true, program: earshotd, command: earshotdCommand,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewClassic(to, n) }},
		{name: "ngircd", program: "ngircd", command: ngircd,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewIRC(to, n) }},
		{name: "inspircd", program: "inspircd", command: inspircd,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewIRC(to, n) }},
		{name: "inspircd-tls", program: "inspircd", command: inspircdTLS,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewSecureIRC(to, n) }},
		{name: "mosquitto", program: "mosquitto", command: mosquitto,
			crowd: func(to netip.AddrPort, n int) load.Crowd { return load.NewMQTT(to, n) }},
	}
	for i := range all {
		all[i].dir, all[i].processors = filepath.Join(dir, all[i].name), on
	}
	return all
}

// missing says why a server can't be measured; it is empty if it can.
func (s server) missing() string {
	if _, err := s.path(); err != nil {
		return fmt.Sprintf("%s is not installed", s.program)
	}
	return ""
}

// path finds the program where an administrator has it, too.
func (s server) path() (string, error) {
	path, err := exec.LookPath(s.program)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", s.program))
	}
	return path, err
}

// start starts the server and returns when it listens. What it keeps from one
// start to the next is in dir.
func (s server) start(ctx context.Context, at netip.AddrPort) (*load.Process, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	path, err := s.path()
	if err != nil {
		return nil, err
	}
	arguments, err := s.command(s.dir, at)
	if err != nil {
		return nil, err
	}
	p, err := load.Start(s.processors, path, arguments...)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", at.String())
		if err == nil {
			return p, conn.Close()
		}
		select {
		case <-tick.C:
		case <-p.Ended():
			return nil, fmt.Errorf("%s has ended: %s", s.name, strings.TrimSpace(p.Output()))
		case <-ctx.Done():
			p.Kill()
			return nil, fmt.Errorf("%s does not listen: %s", s.name, strings.TrimSpace(p.Output()))
		}
	}
}

// freePorts finds a port that is free with the two behind it, for UDP and TCP.
func freePorts() (netip.AddrPort, error) {
	host := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for port := uint16(21000); port < 30000; port += 10 {
		if free(host, port) && free(host, port+1) && free(host, port+2) {
			return netip.AddrPortFrom(host, port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: no port is free", load.ErrLoad)
}

func free(host netip.Addr, port uint16) bool {
	at := netip.AddrPortFrom(host, port)
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	return u.Close() == nil
}

// configured writes a configuration and returns its name.
func configured(dir, text string) (string, error) {
	file := filepath.Join(dir, "configuration")
	return file, os.WriteFile(file, []byte(text), 0o600)
}

func earshotdCommand(dir string, at netip.AddrPort) ([]string, error) {
	file, err := configured(dir, fmt.Sprintf(`listen = "%v"
data = "%s"
metrics_listen = "127.0.0.1:%d"
log_level = "error"
[limits]
max_users = 20100
`, at, filepath.Join(dir, "data"), at.Port()+metricsPort))
	return []string{"run", "--config", file}, err
}

func ngircd(dir string, at netip.AddrPort) ([]string, error) {
	file, err := configured(dir, fmt.Sprintf(`[Global]
Name = irc.example.net
Info = load
Listen = %v
Ports = %d
MotdPhrase = hello
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
SyslogFacility = local7
[Channel]
Name = #all
`, at.Addr(), at.Port()))
	return []string{"--nodaemon", "--config", file}, err
}

func inspircd(dir string, at netip.AddrPort) ([]string, error) {
	return inspircdWith(dir, at, "", "")
}

// inspircdTLS has a key of the kind that a coordinator has. Its handshakes are a
// little less work, since nobody shows it a certificate.
func inspircdTLS(dir string, at netip.AddrPort) ([]string, error) {
	key := identity.NewKey()
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Certificate().Certificate[0]}), key.MarshalPEM()...)
	file := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(file, both, 0o600); err != nil {
		return nil, err
	}
	return inspircdWith(dir, at, ` sslprofile="tls"`, fmt.Sprintf(`<module name="ssl_gnutls">
<sslprofile name="tls" provider="gnutls" certfile="%s" keyfile="%s" requestclientcert="no">
`, file, file))
}

func inspircdWith(dir string, at netip.AddrPort, bind, more string) ([]string, error) {
	file, err := configured(dir, fmt.Sprintf(`<server name="irc.example.net" description="load" network="load">
<admin name="load" nick="load" email="load@example.net">
<bind address="%v" port="%d" type="clients"%s>
%s<connect allow="*" timeout="600" pingfreq="600" hardsendq="100M" softsendq="10M" recvq="64K" threshold="1000" commandrate="1000000" fakelag="off"
 globalmax="100000" localmax="100000" maxchans="10" useident="no" resolvehostnames="no" limit="100000" maxconnwarn="off">
<performance softlimit="19900" somaxconn="4096" quietbursts="yes">
<pid file="%s">
<log method="file" type="*" level="default" target="%s">
`, at.Addr(), at.Port(), bind, more, filepath.Join(dir, "pid"), filepath.Join(dir, "log")))
	return []string{"--nofork", "--runasroot", "--config", file}, err
}

func mosquitto(dir string, at netip.AddrPort) ([]string, error) {
	file, err := configured(dir, fmt.Sprintf(`listener %d %v
allow_anonymous true
user root
persistence false
max_queued_messages 0
max_connections -1
log_type error
`, at.Port(), at.Addr()))
	return []string{"-c", file}, err
}
