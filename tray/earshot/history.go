package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"earshot/tray/chat"
	"earshot/tray/historypage"
	"earshot/tray/localapi"
	"earshot/tray/profile"
	"earshot/tray/store"
)

// historyLimit is how many messages are shown if nobody says otherwise.
const historyLimit = 50

// historian is what the command needs of localapi.Engine. Without a client that
// runs it is the profile's database.
type historian interface {
	Search(ctx context.Context, q chat.Query) ([]chat.Message, error)
	Erase(ctx context.Context, what chat.Erasure) (chat.Erased, error)
}

func (c *command) history() error {
	o := &c.opts
	q := chat.Query{Text: o.search, Limit: historyLimit}
	if len(o.words) > 0 {
		q.Peer = o.words[0]
	}
	if o.limit > 0 {
		q.Limit = o.limit
	}
	if o.page {
		return c.page("history")
	}
	from, end, err := c.historian()
	if err != nil {
		return err
	}
	defer end()
	switch {
	case o.remove:
		return c.eraseHistory(from, chat.Erasure{ID: o.id, Peer: q.Peer, All: o.all})
	case o.has("id"):
		return usageError(c.p.T("CliHistoryID"))
	case o.has("export"):
		return c.exportHistory(from, q)
	case o.all:
		format := historypage.Text
		if o.json {
			format = historypage.JSON
		}
		return historypage.Export(c.out, c.harmless(historypage.All(c.ctx, from, q)), format)
	}
	messages, err := from.Search(c.ctx, q)
	switch {
	case err != nil:
		return err
	case o.json:
		return c.printJSON(messages)
	case len(messages) == 0 && q.Text != "":
		_, err = fmt.Fprintln(c.out, c.p.T("HistoryNothingFound"))
		return err
	}
	return c.printHistory(messages, q.Peer == "")
}

// changing is how long a client takes to start, or to end, at most.
const changing = 10 * time.Second

// historian is the running client, or else the database, of which nobody else
// has hold until end.
func (c *command) historian() (from historian, end func(), err error) {
	ctx, cancel := context.WithTimeout(c.ctx, changing)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err = c.client.Ask(ctx)
		if !errors.Is(err, localapi.ErrNotRunning) {
			return c.client, func() {}, err
		}
		if _, missing := os.Stat(c.profile.History()); missing != nil {
			return nil, nil, err // it has never run
		}
		lock, busy := c.profile.Lock()
		if busy == nil {
			return c.database(lock.Release)
		}
		if !errors.Is(busy, profile.ErrInUse) {
			return nil, nil, busy
		}
		// A client is just starting, or ending.
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil, err
		}
	}
}

// database opens the history of a client that does not run.
func (c *command) database(release func() error) (from historian, end func(), err error) {
	messages, err := store.Open(c.ctx, c.profile.History())
	if err != nil {
		if errors.Is(err, store.ErrNewer) {
			err = errors.New(c.p.T("CliHistoryNewer"))
		}
		return nil, nil, errors.Join(err, release())
	}
	return stored{messages}, func() {
		_ = messages.Close() // nothing is under way
		_ = release()
	}, nil
}

// stored is the history of a client that does not run.
type stored struct{ *store.Store }

// Erase implements historian.
func (s stored) Erase(ctx context.Context, what chat.Erasure) (total chat.Erased, err error) {
	for more := true; more; {
		erase := &store.Erase{What: what, Now: time.Now()}
		if err := s.Apply(ctx, erase); err != nil {
			return total, err
		}
		total.Count, total.Kept, more = total.Count+erase.Count, erase.Kept, erase.More
	}
	return total, s.Settle(ctx)
}

func (c *command) eraseHistory(from historian, what chat.Erasure) error {
	chosen := 0
	for _, given := range []bool{what.ID != 0, what.Peer != "", what.All} {
		if given {
			chosen++
		}
	}
	if chosen != 1 || c.opts.has("search") || c.opts.has("export") {
		return usageError(c.p.T("CliHistoryDelete"))
	}
	erased, err := from.Erase(c.ctx, what)
	if err != nil {
		return err
	}
	said := c.p.T("HistoryErased", "Count", erased.Count)
	if erased.Kept > 0 {
		said += " " + c.p.T("HistoryKept", "Count", erased.Kept)
	}
	_, err = fmt.Fprintln(c.out, said)
	return err
}

// exportHistory writes what is found into a new file, for the account only. Its
// name says the format.
func (c *command) exportHistory(from historian, q chat.Query) (err error) {
	name, format := c.opts.export, historypage.Text
	if c.opts.json || strings.EqualFold(filepath.Ext(name), ".json") {
		format = historypage.JSON
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errors.New(c.p.T("CliBundleExists", "File", clean(name)))
	}
	if err != nil {
		return err
	}
	count := 0
	counted := func(yield func(chat.Message, error) bool) {
		for m, err := range historypage.All(c.ctx, from, q) {
			count++
			if !yield(m, err) {
				return
			}
		}
	}
	if err = errors.Join(historypage.Export(f, counted, format), f.Close()); err != nil {
		// Half of it must not look like the whole.
		return errors.Join(err, os.Remove(name))
	}
	_, err = fmt.Fprintln(c.out, c.p.T("CliHistoryExported", "Count", count, "File", clean(name)))
	return err
}

// harmless makes the texts of messages fit for a terminal, unless they go as
// JSON, which escapes what could do harm.
func (c *command) harmless(messages iter.Seq2[chat.Message, error]) iter.Seq2[chat.Message, error] {
	if c.opts.json || !terminal(c.out) {
		return messages
	}
	return func(yield func(chat.Message, error) bool) {
		for m, err := range messages {
			lines := strings.Split(m.Text, "\n")
			for i := range lines {
				lines[i] = clean(lines[i])
			}
			m.Text, m.Sender, m.Peer = strings.Join(lines, "\n"), clean(m.Sender), clean(m.Peer)
			if !yield(m, err) {
				return
			}
		}
	}
}

// terminal says whether somebody may read along.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
