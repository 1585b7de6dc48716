package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"earshot/protocol/identity"
	"earshot/svc/config"
	"earshot/svc/coordinator"
	"earshot/svc/engine"
	"earshot/svc/osservice"
)

// commands take what follows their name.
var commands map[string]func(args []string, stdout io.Writer) error

func init() {
	commands = map[string]func([]string, io.Writer) error{
		"run": runCommand, "check": check, "install": install, "example": example,
		"version":   printVersion,
		"start":     verb(osservice.Start, "earshotd has started."),
		"stop":      verb(osservice.Stop, "earshotd has stopped."),
		"restart":   verb(osservice.Restart, "earshotd has restarted."),
		"uninstall": uninstall,
		"status":    status,
		"link":      asking("link", nil, link, "host"),
		"invite":    asking("invite", nil, invite, "expires", "host"),
		"user":      userCommand,
		"reload":    asking("reload", nil, reload),
		"backup":    asking("backup", []string{"FILE"}, backup),
		"restore":   asking("restore", []string{"FILE"}, restore),
	}
}

// parsed is a configuration and where it came from.
type parsed struct {
	config.Config
	file string
	// What it comes to, once it has been validated.
	coordinator coordinator.Config
	metrics     netip.AddrPort // not valid if they are off
	level       slog.Level
	policy      engine.Policy
	// arguments are the flags that were given, as a service's command line
	// repeats them.
	arguments []string
	elsewhere []string // keys whose values are not the file's
}

// parse reads flags, environment and file.
func parse(name string, args []string) (parsed, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", os.Getenv("EARSHOT_CONFIG"), "")
	given := map[string]*string{
		"listen": flags.String("listen", "", ""), "data": flags.String("data", "", ""),
		"web-listen": flags.String("web-listen", "", ""), "metrics-listen": flags.String("metrics-listen", "", ""), "log-level": flags.String("log-level", "", ""),
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return parsed{}, errHelp
		}
		return parsed{}, fmt.Errorf("%w: %s does not understand this: %w", errUsage, name, err)
	}
	if flags.NArg() > 0 {
		return parsed{}, fmt.Errorf("%w: %s takes flags only, and %q is none", errUsage, name, flags.Arg(0))
	}
	p := parsed{file: *file}
	var err error
	if p.Config, err = config.Load(p.file, os.Getenv); err != nil {
		return p, err
	}
	for flagName, to := range map[string]*string{
		"listen": &p.Listen, "web-listen": &p.WebListen, "data": &p.Data, "metrics-listen": &p.MetricsListen, "log-level": &p.LogLevel,
	} {
		if v := *given[flagName]; v != "" {
			*to = v
		}
	}
	flags.Visit(func(f *flag.Flag) {
		value := f.Value.String()
		if value != "" {
			p.elsewhere = append(p.elsewhere, strings.ReplaceAll(f.Name, "-", "_"))
		}
		if f.Name == "data" { // a service starts elsewhere
			value = absolute(value)
		}
		if f.Name != "config" {
			p.arguments = append(p.arguments, "--"+f.Name, value)
		}
	})
	if p.file != "" { // the environment may have named it, which a service doesn't see
		p.file = absolute(p.file)
		p.arguments = append(p.arguments, "--config", p.file)
	}
	for _, e := range os.Environ() {
		if name, value, _ := strings.Cut(e, "="); value != "" {
			p.elsewhere = append(p.elsewhere, strings.ToLower(strings.TrimPrefix(name, "EARSHOT_")))
		}
	}
	return p, p.located(p.validate())
}

// located is an error with the line of the file that it is about, if it is about
// one.
func (p *parsed) located(err error) error {
	if err == nil || p.file == "" {
		return err
	}
	return config.Locate(p.file, err, p.elsewhere...)
}

func absolute(path string) string {
	if path == "" {
		return ""
	}
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path // the working directory is gone
}

// validate checks what can be checked without opening anything.
func (p *parsed) validate() (err error) {
	if p.coordinator, err = p.Coordinator(); err != nil {
		return err
	}
	if p.metrics, err = p.Metrics(); err != nil {
		return err
	}
	if p.level, err = p.Level(); err != nil {
		return err
	}
	if p.policy, err = p.Policy(); err != nil {
		return err
	}
	if _, err := p.Link("", "localhost", identity.ID{}); err != nil {
		return err
	}
	return p.CheckCertificate()
}

func check(args []string, stdout io.Writer) error {
	p, err := parse("check", args)
	if err != nil {
		return err
	}
	if err := p.located(p.PrepareData()); err != nil {
		return err
	}
	where := "the defaults"
	if p.file != "" {
		where = p.file
	}
	listen, web := p.coordinator.Listen, "no WebSocket"
	if at := p.coordinator.WebListen; at.IsValid() {
		web = fmt.Sprintf("a WebSocket on %v", at)
	}
	fmt.Fprintf(stdout, "The configuration is right (%s): it listens on %v, and on TCP ports %d and %d for the classic lists; %s; registration is %q; data in %s.\n",
		where, listen, listen.Port()+1, listen.Port()+2, web, p.policy, p.Data)
	return nil
}

func install(args []string, stdout io.Writer) error {
	args, firewall, err := takeFirewall(args)
	if err != nil {
		return err
	}
	p, err := parse("install", args)
	if err != nil {
		return err
	}
	before, err := osservice.Status()
	if err != nil {
		return err
	}
	if err := osservice.Install(append([]string{"run"}, p.arguments...), osservice.Needs{
		Config: p.file, Data: p.Data, DefaultData: config.Defaults().Data,
	}); err != nil {
		return err
	}
	if firewall {
		if err := osservice.Firewall(true); err != nil {
			fmt.Fprintf(stdout, "The firewall was not told: %v. Let UDP and TCP port %d and the next two in yourself.\n", err, p.coordinator.Listen.Port())
		}
	}
	text := installed(before.Running, osservice.InstallRestarts, os.Environ())
	if remark := osservice.Remark(); remark != "" {
		text += remark + "\n"
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// takeFirewall takes --firewall, which is install's alone and not the service's, out of
// a command line.
func takeFirewall(args []string) (rest []string, on bool, err error) {
	on = true
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		if name != "--firewall" && name != "-firewall" {
			rest = append(rest, args[i])
			continue
		}
		if !given && i+1 < len(args) {
			i++
			value = args[i]
		}
		switch value {
		case "on", "off":
			on = value == "on"
		default:
			return nil, false, fmt.Errorf("%w: --firewall is on or off", errUsage)
		}
	}
	return rest, on, nil
}

// installed says what has happened and what is left to do. restarted: this
// system's installing starts a running service anew.
func installed(running, restarted bool, environment []string) string {
	text := "earshotd is installed as a service and starts with the computer. "
	switch {
	case running && restarted:
		text += "It was running, and runs again with this installation.\n"
	case running:
		text += "It is running as it was installed before; `earshotd restart` makes the running one use this installation.\n"
	default:
		text += "`earshotd start` starts it now.\n"
	}
	var unseen []string
	for _, e := range environment {
		if name, value, _ := strings.Cut(e, "="); strings.HasPrefix(name, "EARSHOT_") && name != "EARSHOT_CONFIG" && value != "" {
			unseen = append(unseen, name)
		}
	}
	if len(unseen) > 0 {
		slices.Sort(unseen)
		text += "The service does not see this terminal's " + strings.Join(unseen, ", ") + "; write it into the configuration file.\n"
	}
	return text
}

func example(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: example takes nothing", errUsage)
	}
	_, err := io.WriteString(stdout, config.Example)
	return err
}

// verb makes a command of something that is done to the service.
func verb(do func() error, done string) func([]string, io.Writer) error {
	return func(args []string, stdout io.Writer) error {
		if len(args) > 0 {
			return fmt.Errorf("%w: this command takes nothing, and got %q", errUsage, args[0])
		}
		if err := do(); err != nil {
			return err
		}
		fmt.Fprintln(stdout, done)
		return nil
	}
}

// uninstall removes the service, and its data if that is said.
func uninstall(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("uninstall", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	purge := flags.Bool("purge", false, "")
	data := flags.String("data", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *data != "" && !*purge {
		return fmt.Errorf("%w: this is written `earshotd uninstall` or `earshotd uninstall --purge [--data DIR]`", errUsage)
	}
	if err := osservice.Uninstall(); err != nil {
		return err
	}
	_ = osservice.Firewall(false) // a rule for a program that is gone harms nobody
	if !*purge {
		_, err := fmt.Fprintln(stdout, "earshotd is no service any more. Its data is where it was.")
		return err
	}
	dir := cmp.Or(*data, config.Defaults().Data)
	if err := deleteData(dir); err != nil {
		return fmt.Errorf("earshotd is no service any more, and its data is still there: %w", err)
	}
	if err := osservice.Purge(); err != nil {
		return fmt.Errorf("earshotd is no service any more, its data in %s is deleted, and its account or its log is still there: %w", dir, err)
	}
	_, err := fmt.Fprintf(stdout, "earshotd is no service any more, and its data in %s is deleted.\n", dir)
	return err
}

// deleteData removes a data directory, and where it leads to if it is a link, as
// systemd makes one. What isn't one of earshotd's is left alone.
func deleteData(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(real, "engine")); err != nil {
		return fmt.Errorf("%s is no data directory of earshotd", dir)
	}
	if err := os.RemoveAll(real); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// status succeeds only if the service runs, so that scripts may ask.
func status(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: status takes nothing, and got %q", errUsage, args[0])
	}
	state, err := osservice.Status()
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, state)
	if !state.Running {
		return errors.New("the service does not run; `earshotd start` starts it if it is installed")
	}
	return nil
}
