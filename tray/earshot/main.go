// Command earshot is the client: a background process in the system tray, and
// the commands that speak to it from a terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"earshot/tray/i18n"
	"earshot/tray/localapi"
	"earshot/tray/profile"
	"earshot/tray/settings"
)

// version is set by the linker.
var version = "development"

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func init() {
	// Some desktops serve a tray icon or a window only from the thread that
	// the process began with: main keeps it.
	runtime.LockOSThread()
}

func main() {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as by nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	c := &command{ctx: ctx, stop: stop, in: os.Stdin, out: os.Stdout, errOut: os.Stderr}
	code := c.run(os.Args[1:])
	stop()
	os.Exit(code)
}

// command is one start of the program.
type command struct {
	ctx         context.Context
	stop        func() // ends ctx
	in          io.Reader
	out, errOut io.Writer

	opts    options
	p       *i18n.Printer
	profile profile.Profile
	saved   settings.Chosen // what the profile holds
	live    *settings.Live  // with the policy, for those commands that set or run
	client  *localapi.Client
}

// usageError is wrong usage: a sentence.
type usageError string

func (e usageError) Error() string { return string(e) }

// verb is a command: what runs it, how many words it takes, and which flags it
// knows apart from the common ones.
type verb struct {
	run      func(c *command) error
	min, max int // words; max below 0 is any number
	flags    string
	bare     bool // needs no profile
	sets     bool // has to do with what is set, and so with the policy
	prints   bool // is for a terminal, to whose end and Ctrl+C it belongs
}

func verbs() map[string]verb {
	return map[string]verb{
		"run":     {run: (*command).start, flags: "headless join", sets: true},
		"roster":  {run: (*command).roster, flags: "json", prints: true},
		"send":    {run: (*command).send, min: 1, max: -1, flags: "everyone department reply urgent", prints: true},
		"watch":   {run: (*command).watch, flags: "json", prints: true},
		"compose": {run: (*command).compose, max: 1, prints: true},
		"history": {run: (*command).history, max: 1, flags: "json limit search export delete all id page", prints: true},
		"status":  {run: (*command).status, flags: "json", prints: true},

		"edit":       {run: (*command).edit, min: 2, max: -1, prints: true},
		"delete":     {run: (*command).delete, min: 1, max: 1, prints: true},
		"ack":        {run: (*command).acknowledge, min: 1, max: 1, prints: true},
		"recipients": {run: (*command).recipients, min: 1, max: 1, flags: "json", prints: true},
		"presence":   {run: (*command).presence, max: -1, flags: "display department json", prints: true},
		"safety":     {run: (*command).safety, min: 1, max: 1, flags: "json", prints: true},
		"trust":      {run: (*command).trust, min: 2, max: 2, prints: true},
		"devices":    {run: (*command).devices, max: 2, flags: "json", prints: true},

		"doctor":    {run: (*command).doctor, max: -1, flags: "json bundle", prints: true, sets: true},
		"quit":      {run: (*command).quit, prints: true},
		"settings":  {run: (*command).settings, max: 3, flags: "json", prints: true, sets: true},
		"autostart": {run: (*command).autostart, min: 1, max: 1, prints: true, sets: true},
		"popup":     {run: (*command).popup, max: 1}, // started by the engine
		"version":   {run: (*command).version, bare: true, prints: true},
		"help":      {run: (*command).help, max: -1, bare: true, prints: true},
	}
}

func (c *command) run(args []string) int {
	c.p = i18n.New("auto")
	err := c.dispatch(args)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errUnwell) {
		return exitFailed
	}
	c.openConsole() // unless the command has
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(c.errOut, "earshot: %s\n%s\n", usage, c.p.T("CliSeeHelp"))
		c.alert(string(usage))
		return exitUsage
	}
	sentence := c.explain(err)
	fmt.Fprintf(c.errOut, "earshot: %s\n", sentence)
	c.alert(sentence)
	return exitFailed
}

func (c *command) dispatch(args []string) error {
	words, err := c.opts.parse(args, c.p)
	if c.opts.language != "" {
		c.p = i18n.New(c.opts.language)
	}
	if err != nil {
		return err
	}
	if c.opts.help {
		c.openConsole()
		return c.help()
	}
	name := "run"
	if len(words) > 0 {
		name, words = words[0], words[1:]
	}
	v, ok := verbs()[name]
	if !ok {
		return usageError(c.p.T("CliUnknownCommand", "Command", clean(name)))
	}
	if err := c.opts.check(name, v, words, c.p); err != nil {
		return err
	}
	c.opts.words = words
	if v.prints || c.opts.headless {
		c.openConsole()
	}
	if v.bare {
		return v.run(c)
	}
	if c.profile, err = profile.Open(c.opts.profile); err != nil {
		return err
	}
	if c.saved, err = c.profile.Load(); err != nil {
		return err
	}
	if tag, ok := c.saved["language"].(string); ok && c.opts.language == "" {
		c.p = i18n.New(tag)
	}
	if v.sets {
		if err := c.openSettings(); err != nil {
			return err
		}
	}
	c.client = localapi.Dial(c.profile.Socket())
	defer c.client.Close()
	return v.run(c)
}

// explain turns an error into a sentence in the person's language.
func (c *command) explain(err error) string {
	if sentence, ok := settings.Explain(err, c.p); ok {
		return clean(sentence)
	}
	switch {
	case errors.Is(err, profile.ErrDeviceKey):
		return c.p.T("CliDeviceKey", "Reason", clean(strings.TrimPrefix(err.Error(), profile.ErrDeviceKey.Error()+": ")))
	case errors.Is(err, localapi.ErrNotRunning):
		return c.p.T("CliNotRunning")
	case errors.Is(err, localapi.ErrLost):
		return c.p.T("CliLost")
	case errors.Is(err, context.Canceled):
		return c.p.T("CliInterrupted")
	}
	return clean(err.Error())
}

func (c *command) version() error {
	_, err := fmt.Fprintln(c.out, "earshot", version)
	return err
}

func (c *command) help() error {
	_, err := fmt.Fprintln(c.out, c.p.T("CliHelp"))
	return err
}
