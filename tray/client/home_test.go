package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"earshot/tray/chat"
	"earshot/tray/localapi"
)

func (h *home) say(to, text string) chat.Message {
	h.w.t.Helper()
	return h.draft(chat.Draft{To: to, Text: text})
}

func (h *home) draft(d chat.Draft) chat.Message {
	h.w.t.Helper()
	m, err := h.engine.Send(h.w.t.Context(), d, false)
	if err != nil {
		h.w.t.Fatalf("%s to %s: %v", h.name, d.To, err)
	}
	return m
}

// history is a conversation at a home.
func (h *home) history(peer string) []chat.Message {
	h.w.t.Helper()
	list, err := h.engine.History(h.w.t.Context(), peer, 0, 1000)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return list
}

// texts are those that came from others, or that were sent.
func (h *home) texts(peer string, received bool) (texts []string) {
	h.w.t.Helper()
	for _, m := range h.history(peer) {
		if (m.State == chat.Received) == received {
			texts = append(texts, m.Text)
		}
	}
	return texts
}

func (h *home) message(id int64) chat.Message {
	h.w.t.Helper()
	for _, m := range h.history("") {
		if m.ID == id {
			return m
		}
	}
	h.w.t.Fatalf("%s has no message %d", h.name, id)
	return chat.Message{}
}

// reached waits for a message to be in a state.
func (h *home) reached(id int64, state chat.State) chat.Message {
	h.w.t.Helper()
	h.w.until(fmt.Sprint("message ", id, " of ", h.name, " is ", state), func() bool { return h.message(id).State == state })
	return h.message(id)
}

// arrived waits for a text in a conversation.
func (h *home) arrived(peer, text string) chat.Message {
	h.w.t.Helper()
	var found chat.Message
	h.w.until(fmt.Sprintf("%q at %s", text, h.name), func() bool {
		for _, m := range h.history(peer) {
			if m.Text == text {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func (h *home) sees(name string) chat.Person {
	for _, p := range h.engine.Roster() {
		if p.Name == name {
			return p
		}
	}
	return chat.Person{}
}

// notices collects what a home's person is told, until the engine ends.
type notices struct {
	mu   sync.Mutex
	list []string
}

func (h *home) notices() *notices {
	n := new(notices)
	sub := h.engine.Subscribe(localapi.Watcher)
	go func() {
		defer sub.Close()
		for {
			e, err := sub.Next(context.Background())
			if errors.Is(err, io.EOF) {
				return
			}
			if e.Type == chat.EventNotice {
				n.mu.Lock()
				n.list = append(n.list, e.Notice)
				n.mu.Unlock()
			}
		}
	}()
	return n
}

func (n *notices) has(part string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.list, func(s string) bool { return strings.Contains(s, part) })
}
