package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"earshot/svc/admin"
	"earshot/svc/config"
)

// question is a command line for the running coordinator.
type question struct {
	words []string // what is neither a flag nor a flag's value
	data  string
	// What only some commands take.
	expires time.Duration
	host    string
	json    bool

	*admin.Client
	out io.Writer
}

// timeFormat is how a person reads when something was or will be.
const timeFormat = "2006-01-02 15:04"

// asking makes a command of something that is asked of the running coordinator.
// words names what must be given besides flags.
func asking(name string, words []string, do func(context.Context, *question) error, flags ...string) func([]string, io.Writer) error {
	return func(args []string, stdout io.Writer) error {
		q, err := parseQuestion(name, args, flags)
		if err != nil {
			return err
		}
		if len(q.words) != len(words) {
			return fmt.Errorf("%w: this is written `%s`", errUsage, strings.Join(append([]string{"earshotd", name}, words...), " "))
		}
		q.out, q.Client = stdout, admin.Dial(q.data)
		defer q.Close()
		err = do(context.Background(), q)
		if errors.Is(err, admin.ErrNotRunning) {
			return fmt.Errorf("no earshotd runs with the data directory %s; `earshotd start` starts the service, and --data names another directory", q.data)
		}
		return err
	}
}

func parseQuestion(name string, args, allowed []string) (*question, error) {
	q := new(question)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", os.Getenv("EARSHOT_CONFIG"), "")
	data := flags.String("data", "", "")
	for _, f := range allowed {
		switch f {
		case "expires":
			flags.DurationVar(&q.expires, f, 24*time.Hour, "")
		case "host":
			flags.StringVar(&q.host, f, "", "")
		case "json":
			flags.BoolVar(&q.json, f, false, "")
		}
	}
	// Flags may be before, between and behind the words.
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, errHelp
			}
			return nil, fmt.Errorf("%w: %s does not understand this: %w", errUsage, name, err)
		}
		if flags.NArg() == 0 {
			break
		}
		q.words, rest = append(q.words, flags.Arg(0)), flags.Args()[1:]
	}
	c, err := config.Load(*file, os.Getenv)
	if err != nil {
		return nil, err
	}
	q.data = cmp.Or(*data, c.Data)
	return q, nil
}

// users are the commands behind "user".
var users = map[string]func([]string, io.Writer) error{
	"list":          asking("user list", nil, listUsers, "json"),
	"show":          asking("user show", []string{"NAME"}, showUser, "json"),
	"approve":       asking("user approve", []string{"NAME"}, approveUser),
	"reset":         asking("user reset", []string{"NAME"}, resetUser),
	"remove":        asking("user remove", []string{"NAME"}, removeUser),
	"invite":        asking("user invite", []string{"NAME"}, invite, "expires", "host"),
	"remove-device": asking("user remove-device", []string{"NAME", "ID"}, removeDevice),
}

func userCommand(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		if slices.Contains([]string{"-h", "--help", "-help"}, args[0]) {
			return errHelp
		}
		if do, ok := users[args[0]]; ok {
			return do(args[1:], stdout)
		}
	}
	return fmt.Errorf("%w: behind user comes list, show, approve, reset, remove, invite or remove-device", errUsage)
}

func link(ctx context.Context, q *question) error {
	text, err := q.Link(ctx, q.host)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(q.out, text)
	return err
}

// invite is "invite", and "user invite NAME".
func invite(ctx context.Context, q *question) error {
	wanted := admin.InviteRequest{Host: q.host, Lifetime: q.expires}
	if len(q.words) > 0 {
		wanted.Name = q.words[0]
	}
	invitation, err := q.Invite(ctx, wanted)
	if err != nil {
		return err
	}
	fmt.Fprintln(q.out, invitation.Link)
	switch until := invitation.Expires.Local().Format(timeFormat); {
	case invitation.Expires.IsZero():
		fmt.Fprintln(q.out, "Everybody may use it: registration is open.")
	case wanted.Name != "":
		fmt.Fprintf(q.out, "It lets one device in as %s, until %s.\n", wanted.Name, until)
	default:
		fmt.Fprintf(q.out, "It lets one person in, until %s.\n", until)
	}
	return nil
}

func listUsers(ctx context.Context, q *question) error {
	all, err := q.Users(ctx)
	if err != nil || q.json {
		return printJSON(q.out, all, err)
	}
	if len(all) == 0 {
		fmt.Fprintln(q.out, "Nobody has registered yet.")
		return nil
	}
	table := tabwriter.NewWriter(q.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tDEVICES\tSINCE\tNAME") // the name is last: nobody knows how wide it is
	for _, u := range all {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", u.State, len(u.Devices), u.Created.Local().Format(timeFormat), u.Name)
	}
	return table.Flush()
}

func printJSON(w io.Writer, what any, err error) error {
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(what)
}

func showUser(ctx context.Context, q *question) error {
	u, err := q.User(ctx, q.words[0])
	if err != nil || q.json {
		return printJSON(q.out, u, err)
	}
	fmt.Fprintf(q.out, "%s is registered since %s.", u.Name, u.Created.Local().Format(timeFormat))
	switch u.State {
	case admin.Pending:
		fmt.Fprint(q.out, " The registration waits for `earshotd user approve`.")
	case admin.Reset:
		fmt.Fprint(q.out, " There is no device; `earshotd user invite` makes a link for one.")
	case admin.Active:
	}
	fmt.Fprintln(q.out)
	for _, d := range u.Devices {
		fmt.Fprintf(q.out, "  %s  since %s  %s\n", d.ID, d.Added.Local().Format(timeFormat), printable(d.Label))
		for _, by := range d.EndorsedBy {
			fmt.Fprintf(q.out, "    let in by %s\n", by)
		}
	}
	for _, id := range u.Removed {
		fmt.Fprintf(q.out, "  %s  removed\n", id)
	}
	return nil
}

// printable keeps what a device calls itself from playing with the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

func approveUser(ctx context.Context, q *question) error {
	u, err := q.Approve(ctx, q.words[0])
	if err == nil {
		fmt.Fprintf(q.out, "%s is approved and can log in.\n", u.Name)
	}
	return err
}

func resetUser(ctx context.Context, q *question) error {
	u, err := q.Reset(ctx, q.words[0])
	if err == nil {
		fmt.Fprintf(q.out, "%s has no devices any more. The name is kept: `earshotd user invite` makes a link for the next device.\n", u.Name)
	}
	return err
}

func removeUser(ctx context.Context, q *question) error {
	u, err := q.User(ctx, q.words[0])
	if err == nil {
		err = q.Remove(ctx, q.words[0])
	}
	if err == nil {
		fmt.Fprintf(q.out, "%s is removed, and the name is free.\n", u.Name)
	}
	return err
}

func removeDevice(ctx context.Context, q *question) error {
	u, err := q.RemoveDevice(ctx, q.words[0], q.words[1])
	if err == nil {
		fmt.Fprintf(q.out, "The device is removed; %s has %s.\n", u.Name, number(len(u.Devices), "device"))
	}
	return err
}

func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// backup writes a backup beside the file first, so that one that fails leaves
// what was there.
func backup(ctx context.Context, q *question) (err error) {
	file := q.words[0]
	fail := func(err error) error {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			return fmt.Errorf("the backup can't be written: %w", err)
		}
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*") // mode 0600
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = q.Backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fail(err)
	}
	if err = os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("the backup can't be written: %w", err)
	}
	fmt.Fprintf(q.out, "The backup is in %s. Keep it secret: whoever has it can pose as this coordinator.\n", file)
	return nil
}

func restore(ctx context.Context, q *question) error {
	f, err := os.Open(q.words[0])
	if err != nil {
		return fmt.Errorf("the backup can't be read: %w", err)
	}
	defer f.Close()
	restored, err := q.Restore(ctx, f)
	if err != nil {
		return err
	}
	fmt.Fprintf(q.out, "Restored: the coordinator has %s now, and whatever was changed after the backup is gone.\n", number(restored.Users, "user"))
	if restored.Link != "" {
		fmt.Fprintf(q.out, "The coordinator's link is %s\n", restored.Link)
	}
	return nil
}
