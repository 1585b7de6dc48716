package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"earshot/tray/chat"
)

// patience is how long the demonstration waits for one step.
const patience = 20 * time.Second

// actor is one client and the events that `earshot watch` prints of it.
type actor struct {
	stage        *stage
	name, server string
	process      *process
	events       chan chat.Event
}

// start starts the client and returns when it is online.
func (a *actor) start(ctx context.Context, flags ...string) error {
	args := append([]string{"run", "--profile", a.profile(), "--server", a.server, "--name", a.name}, flags...)
	if err := a.stage.start("earshot", args...); err != nil {
		return err
	}
	a.process = a.stage.processes[len(a.stage.processes)-1]
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if err := a.watch(); err == nil {
			break
		}
		select {
		case <-a.process.ended:
			return fmt.Errorf("the client %s ended at once", a.name)
		case <-ctx.Done():
			return fmt.Errorf("the client %s does not answer", a.name)
		case <-time.After(50 * time.Millisecond): // its socket is not there yet
		}
	}
	return a.awaitEvent(ctx, a.name+" to come online", func(e chat.Event) bool {
		return e.Status != nil && e.Status.Connection == chat.Online
	})
}

func (a *actor) profile() string { return filepath.Join(a.stage.dir, a.name) }

// watch starts `earshot watch --json`, which ends with the client.
func (a *actor) watch() error {
	cmd := exec.Command(a.stage.program("earshot"), "watch", "--json", "--profile", a.profile())
	cmd.SysProcAttr = ownGroup()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	if _, err := lines.Peek(1); err != nil {
		return cmd.Wait()
	}
	a.events = make(chan chat.Event, 256)
	go func() {
		defer close(a.events)
		defer func() { _ = cmd.Wait() }()
		for decoder := json.NewDecoder(lines); ; {
			var e chat.Event
			if err := decoder.Decode(&e); err != nil {
				return
			}
			a.events <- e
		}
	}()
	return nil
}

func (a *actor) awaitEvent(ctx context.Context, what string, ok func(chat.Event) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case e, more := <-a.events:
			if !more {
				return fmt.Errorf("the client %s ended while waiting for %s", a.name, what)
			}
			if ok(e) {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
}

// await waits for an event of a kind about a person, and for a message with
// this text.
func (a *actor) await(ctx context.Context, kind, person, text string) error {
	return a.awaitEvent(ctx, kind+" of "+person, func(e chat.Event) bool {
		if string(e.Type) != kind {
			return false
		}
		if e.Message != nil {
			return e.Message.Sender == person && e.Message.Text == text
		}
		return e.Person != nil && e.Person.Name == person
	})
}

// command runs a command of the client's and returns what it prints.
func (a *actor) command(ctx context.Context, args ...string) (string, error) {
	args = append([]string{args[0], "--profile", a.profile()}, args[1:]...)
	var errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, a.stage.program("earshot"), args...)
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("earshot %s: %s", args[0], strings.TrimSpace(errOut.String()))
	}
	return string(out), nil
}

// answer sends back whatever arrives, until the client ends.
func (a *actor) answer(ctx context.Context) {
	for e := range a.events {
		if e.Type == chat.EventMessage && e.Message.State == chat.Received && e.Message.Peer != chat.Everyone {
			if _, err := a.command(ctx, "send", e.Message.Sender, "You said: "+e.Message.Text); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "demo: echo could not answer:", err)
			}
		}
	}
}

// show prints what happens until the client or the demonstration ends.
func (a *actor) show(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, more := <-a.events:
			if !more {
				return nil
			}
			switch {
			case e.Type == chat.EventMessage && e.Message.State == chat.Received:
				fmt.Printf("%s → you: %s\n", e.Message.Sender, e.Message.Text)
			case e.Type == chat.EventMessage:
				fmt.Printf("You → %s: %s\n", e.Message.Peer, e.Message.Text)
			case e.Type == chat.EventLogin:
				fmt.Printf("  %s came online.\n", e.Person.Name)
			case e.Type == chat.EventLogout:
				fmt.Printf("  %s went offline.\n", e.Person.Name)
			}
		}
	}
}

// chat sends what is typed and shows what comes back.
func (a *actor) chat(ctx context.Context, to string) error {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel() // end of input ends the demonstration
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if text := strings.TrimSpace(lines.Text()); text != "" {
				if _, err := a.command(ctx, "send", to, text); err != nil && ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "demo:", err)
				}
			}
		}
	}()
	return a.show(ctx)
}

func (a *actor) stop() error { return a.process.end() }

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
