// Package config is the coordinator's configuration: one TOML file, over which
// the environment goes, over which flags go.
package config

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"earshot/svc/coordinator"
	"earshot/svc/engine"
)

// Example is a file with every key, its explanation and its default.
//
//go:embed earshotd.example.toml
var Example string

// ErrConfig is the family of configurations that can't be used. The texts are
// sentences that say where the mistake is and what to write.
var ErrConfig = errors.New("the configuration can't be used")

// Config is what the file says. A zero value is the default.
type Config struct {
	Listen          string   `toml:"listen"`
	WebListen       string   `toml:"web_listen"`
	Data            string   `toml:"data"`
	MetricsListen   string   `toml:"metrics_listen"`
	LogLevel        string   `toml:"log_level"`
	Secure          bool     `toml:"secure"`
	Registration    string   `toml:"registration"`
	PublicHost      string   `toml:"public_host"`
	Certificate     string   `toml:"certificate"`
	CertificateKey  string   `toml:"certificate_key"`
	TrustedNetworks []string `toml:"trusted_networks"`
	Limits          Limits   `toml:"limits"`
}

// Limits bound what one address, and everyone together, can ask for.
type Limits struct {
	MaxUsers               int `toml:"max_users"`
	MaxUsersPerAddress     int `toml:"max_users_per_address"`
	LoginsPerSecond        int `toml:"logins_per_second"`
	DatagramsPerSecond     int `toml:"datagrams_per_second"`
	GroupMessagesPerSecond int `toml:"group_messages_per_second"`
}

// DefaultMetricsListen serves health and metrics if the configuration names no
// address.
const DefaultMetricsListen = "127.0.0.1:13276"

// Defaults returns what holds where nothing is said.
func Defaults() Config {
	return Config{
		Listen:        ":" + strconv.Itoa(coordinator.DefaultPort),
		Data:          defaultData(),
		MetricsListen: DefaultMetricsListen,
		LogLevel:      "info",
		Secure:        true,
		Registration:  string(engine.PolicyOpen),
		Limits: Limits{
			MaxUsers: 10_000, MaxUsersPerAddress: 1024,
			LoginsPerSecond: 100, DatagramsPerSecond: 2000, GroupMessagesPerSecond: 5,
		},
	}
}

// defaultData is the system's place for a service's state, or the account's.
func defaultData() string {
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" { // systemd's
		first, _, _ := strings.Cut(dir, ":")
		return first
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "Earshot")
	}
	if os.Geteuid() == 0 {
		return "/var/lib/earshotd"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "earshotd")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "earshotd-data"
	}
	return filepath.Join(home, ".local", "state", "earshotd")
}

// Load reads a file over the defaults; without a name it is the defaults. The
// environment then goes over both.
func Load(file string, getenv func(string) string) (Config, error) {
	c := Defaults()
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return c, fmt.Errorf("%w: %s can't be read: %w", ErrConfig, file, cause(err))
		}
		if err := c.parse(file, string(text)); err != nil {
			return c, err
		}
	}
	return c, c.environment(getenv)
}

// parse reads TOML. A mistake is named by file and line.
func (c *Config) parse(file, text string) error {
	decoder := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields()
	err := decoder.Decode(c)
	if err == nil {
		return nil
	}
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("%w: %s, line %d: there is no key %q; `earshotd example` prints all keys",
			ErrConfig, file, line, strings.Join(first.Key(), "."))
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		if key := strings.Join(wrong.Key(), "."); strings.Contains(wrong.Error(), "cannot decode") {
			return fmt.Errorf("%w: %s, line %d: the value of %s is of the wrong kind (a text stands in quotes, a number or true and false do not); `earshotd example` shows each key with one",
				ErrConfig, file, line, key)
		}
		return fmt.Errorf("%w: %s, line %d: %s", ErrConfig, file, line, strings.TrimPrefix(wrong.Error(), "toml: "))
	}
	return fmt.Errorf("%w: %s: %w", ErrConfig, file, err)
}

// environment takes EARSHOT_… variables, named as the keys in capitals.
func (c *Config) environment(getenv func(string) string) error {
	for name, to := range map[string]*string{
		"LISTEN": &c.Listen, "WEB_LISTEN": &c.WebListen, "DATA": &c.Data, "METRICS_LISTEN": &c.MetricsListen, "LOG_LEVEL": &c.LogLevel,
		"REGISTRATION": &c.Registration, "PUBLIC_HOST": &c.PublicHost,
		"CERTIFICATE": &c.Certificate, "CERTIFICATE_KEY": &c.CertificateKey,
	} {
		if v := getenv("EARSHOT_" + name); v != "" {
			*to = v
		}
	}
	if v := getenv("EARSHOT_SECURE"); v != "" {
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%w: the environment's EARSHOT_SECURE is %q; write true or false", ErrConfig, v)
		}
		c.Secure = on
	}
	if v := getenv("EARSHOT_TRUSTED_NETWORKS"); v != "" {
		c.TrustedNetworks = strings.Split(v, ",")
	}
	for name, to := range map[string]*int{
		"MAX_USERS": &c.Limits.MaxUsers, "MAX_USERS_PER_ADDRESS": &c.Limits.MaxUsersPerAddress,
		"LOGINS_PER_SECOND": &c.Limits.LoginsPerSecond, "DATAGRAMS_PER_SECOND": &c.Limits.DatagramsPerSecond,
		"GROUP_MESSAGES_PER_SECOND": &c.Limits.GroupMessagesPerSecond,
	} {
		v := getenv("EARSHOT_" + name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%w: the environment's EARSHOT_%s is %q; write a number", ErrConfig, name, v)
		}
		*to = n
	}
	return nil
}

// Coordinator returns what the coordinator is to be told, or a sentence on what
// is wrong.
func (c Config) Coordinator() (coordinator.Config, error) {
	listen, err := ParseListen(c.Listen)
	if err != nil {
		return coordinator.Config{}, err
	}
	webListen, err := c.Web()
	if err != nil {
		return coordinator.Config{}, err
	}
	out := coordinator.Config{Listen: listen, WebListen: webListen, Limits: coordinator.Limits{
		MaxUsers: c.Limits.MaxUsers, MaxUsersPerAddress: c.Limits.MaxUsersPerAddress,
		LoginsPerSecondPerAddress:        c.Limits.LoginsPerSecond,
		DatagramsPerSecondPerAddress:     c.Limits.DatagramsPerSecond,
		GroupMessagesPerSecondPerAddress: c.Limits.GroupMessagesPerSecond,
	}}
	if err := c.Limits.check(); err != nil {
		return out, err
	}
	for _, text := range c.TrustedNetworks {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return out, fmt.Errorf("%w: trusted_networks holds %q; write networks such as \"192.168.0.0/16\"", ErrConfig, text)
		}
		out.TrustedNetworks = append(out.TrustedNetworks, prefix.Masked())
	}
	// What is left to say belongs to the coordinator.
	if _, err := coordinator.New(out); err != nil {
		return out, fmt.Errorf("%w: %s", ErrConfig, strings.TrimPrefix(err.Error(), coordinator.ErrConfig.Error()+": "))
	}
	return out, nil
}

// check refuses what no limit can be, by the name of the key.
func (l Limits) check() error {
	for _, limit := range []struct {
		key   string
		value int
	}{
		{"max_users", l.MaxUsers}, {"max_users_per_address", l.MaxUsersPerAddress},
		{"logins_per_second", l.LoginsPerSecond}, {"datagrams_per_second", l.DatagramsPerSecond},
		{"group_messages_per_second", l.GroupMessagesPerSecond},
	} {
		if limit.value <= 0 {
			return fmt.Errorf("%w: limits.%s is %d; write a number above 0", ErrConfig, limit.key, limit.value)
		}
	}
	return nil
}

// ParseListen reads HOST:PORT, HOST or :PORT. Without a host it is all of the
// computer's addresses, without a port the default.
func ParseListen(text string) (netip.AddrPort, error) {
	return parseListen("listen", text, coordinator.DefaultPort)
}

// Web returns where the WebSocket is served; it is not valid if it isn't.
func (c Config) Web() (netip.AddrPort, error) {
	if c.WebListen == "" || c.WebListen == "off" {
		return netip.AddrPort{}, nil
	}
	if !c.Secure {
		return netip.AddrPort{}, fmt.Errorf("%w: web_listen is %q, and there is nothing to serve there, because secure is false; write secure = true, or web_listen = \"\"",
			ErrConfig, c.WebListen)
	}
	return parseListen("web_listen", c.WebListen, coordinator.DefaultWebPort)
}

func parseListen(key, text string, port int) (netip.AddrPort, error) {
	host, portText := text, strconv.Itoa(port)
	if _, err := netip.ParseAddr(text); err != nil && strings.Contains(text, ":") {
		var err error
		if host, portText, err = net.SplitHostPort(text); err != nil {
			return netip.AddrPort{}, listenError(key, text, port)
		}
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 {
		return netip.AddrPort{}, listenError(key, text, port)
	}
	if host == "" {
		return netip.AddrPortFrom(unspecified(), uint16(n)), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
	}
	addrs, err := net.LookupIP(host)
	if err != nil || len(addrs) == 0 {
		return netip.AddrPort{}, fmt.Errorf("%w: %s names the host %q, which could not be looked up; write one of this computer's addresses", ErrConfig, key, host)
	}
	addr, _ := netip.AddrFromSlice(addrs[0])
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

func listenError(key, text string, port int) error {
	return fmt.Errorf("%w: %s is %q; write HOST:PORT, such as \":%d\" or \"192.168.1.10:%d\"", ErrConfig, key, text, port, port)
}

// unspecified is all addresses: IPv6 and IPv4 where the system has both.
func unspecified() netip.Addr {
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return netip.IPv4Unspecified()
	}
	probe.Close()
	return netip.IPv6Unspecified()
}

// Metrics returns the address for health and metrics; it is not valid if they
// are off. Only a loopback address will do: what is served there is for this
// computer's administrator.
func (c Config) Metrics() (netip.AddrPort, error) {
	if c.MetricsListen == "" || c.MetricsListen == "off" {
		return netip.AddrPort{}, nil
	}
	at, err := netip.ParseAddrPort(c.MetricsListen)
	if err != nil || !at.Addr().IsLoopback() {
		return at, fmt.Errorf("%w: metrics_listen is %q; write a loopback address and a port, such as %q, or \"off\"",
			ErrConfig, c.MetricsListen, DefaultMetricsListen)
	}
	return at, nil
}

// Level returns the log level.
func (c Config) Level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return level, fmt.Errorf("%w: log_level is %q; write debug, info, warn or error", ErrConfig, c.LogLevel)
	}
	return level, nil
}

// PrepareData makes the data directory and sees that it can be written.
func (c Config) PrepareData() error {
	err := os.MkdirAll(c.Data, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(c.Data, ".probe-*"); err == nil {
			probe.Close()
			err = os.Remove(probe.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("%w: data is to be in %s, which can't be written (%w); let this account write there, or name another directory, with --data for example", ErrConfig, c.Data, cause(err))
	}
	return nil
}

// cause is err without the operation and the path that the text around it
// names.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
