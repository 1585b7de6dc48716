// Package classic is the coordinator's side of the classic protocol: logins
// over UDP, the lists over TCP, and telling everybody who came and who left.
package classic

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"earshot/protocol/hostnet"
	"earshot/svc/limit"
	"earshot/svc/roster"
	"earshot/svc/rush"
)

// ErrConfig is the family of settings that can't be used.
var ErrConfig = errors.New("this setting can't be used")

// Limits bound what anybody can make the coordinator hold or do. A zero is the
// default.
type Limits struct {
	// MaxUsers is how many may be online or about to be. Default 10,000.
	MaxUsers int
	// MaxUsersPerAddress is the same for one IP address (for IPv6: one /64).
	// Behind a NAT a whole office has one. Default 1,024.
	MaxUsersPerAddress int
	// LoginsPerSecondPerAddress bounds logins, questions about them, and the
	// answers to both; four seconds' worth may come at once. Default 100.
	LoginsPerSecondPerAddress int
	// DatagramsPerSecondPerAddress bounds datagrams of any kind; two seconds'
	// worth may come at once. Default 2,000.
	DatagramsPerSecondPerAddress int
	// GroupMessagesPerSecondPerAddress bounds messages to everyone, each of
	// which costs as many datagrams as there are users. Default 5; four
	// seconds' worth may come at once.
	GroupMessagesPerSecondPerAddress int
}

// WithDefaults returns the limits with every zero replaced. A negative limit
// is an error of ErrConfig.
func (l Limits) WithDefaults() (Limits, error) {
	return l, limit.SetDefaults(ErrConfig,
		limit.Default{Name: "MaxUsers", Value: &l.MaxUsers, Fallback: 10_000},
		limit.Default{Name: "MaxUsersPerAddress", Value: &l.MaxUsersPerAddress, Fallback: 1024},
		limit.Default{Name: "LoginsPerSecondPerAddress", Value: &l.LoginsPerSecondPerAddress, Fallback: 100},
		limit.Default{Name: "DatagramsPerSecondPerAddress", Value: &l.DatagramsPerSecondPerAddress, Fallback: 2000},
		limit.Default{Name: "GroupMessagesPerSecondPerAddress", Value: &l.GroupMessagesPerSecondPerAddress, Fallback: 5},
	)
}

// Times of the protocol, as a reader of the roster experiences them.
const (
	// pendingTime is how long a login waits for its list connection.
	pendingTime = 10 * time.Second
	// probeEvery is the time between two probes of a user.
	probeEvery = 2 * time.Second
	// silentTime is after how long a user who has echoed and does no more is
	// gone.
	silentTime = 45 * time.Second
	// unreachableTime is after how long of errors that say so a user is gone.
	unreachableTime = 30 * time.Second
	// reachableAgain is how long no such error must have come for the next to
	// be the first again: a kernel reports only some of what it can't send.
	reachableAgain = 10 * time.Second
	// leaseTime is how long a list connection must be kept for its loss to
	// mean something: longer than a busy computer takes to read a long list.
	leaseTime = 10 * time.Second
	// dueTime is how long those who logged in together have to connect for
	// their list.
	dueTime = 2 * time.Second
	// holdTime is how long changes wait for a newcomer who may still be
	// reading the list: one that overtakes the list would be lost.
	holdTime = 300 * time.Millisecond
	// listTime is how long writing a list may take.
	listTime = 10 * time.Second
	// farewellTime bounds the end.
	farewellTime = 4 * time.Second
)

// Config is what a Server stands on. The server owns the sockets once Run is
// called, and closes them.
type Config struct {
	// Packet receives logins.
	Packet net.PacketConn
	// RawList and DotNetList serve the list in their framing.
	RawList, DotNetList net.Listener
	// Net opens the sockets from which users are written to.
	Net hostnet.Net
	// Roster is where users are put; nobody else puts classic ones there.
	Roster *roster.Roster
	// Rush is told of logins, and says when they come first. It is that of all
	// servers of the roster; nil is one of this server's own.
	Rush *rush.Rush
	// Held says whether a name belongs to an account, whose devices come by the
	// secure protocol; nil is that none does. It must not wait.
	Held func(name string) bool
	// Group is told of every message to everyone that was let through, for
	// those who are not reached by datagrams; nil is nobody. It must not wait.
	Group func(sender, text string)
	// Other is asked about every datagram that is within the rate, and takes
	// those of another protocol; nil takes none. It must not keep them.
	Other func(datagram []byte, from netip.AddrPort, now time.Time) bool
	// TrustedNetworks are those from which a login may claim an endpoint of
	// another IP address than its own.
	TrustedNetworks []netip.Prefix
	Limits          Limits
	Log             *slog.Logger
	// Metrics registers the collectors; nil registers none.
	Metrics prometheus.Registerer
}
