//go:build linux

package desktoptest

import (
	"encoding/json"
	"strconv"
)

// Bubble is a notification that dunst has shown and put away.
type Bubble struct {
	ID                       int
	App, Summary, Body, Icon string
}

// Bubbles is the number of notifications that dunst shows now.
func (d *Desktop) Bubbles() int {
	d.t.Helper()
	n, err := strconv.Atoi(d.Run("dunstctl", "count", "displayed"))
	if err != nil {
		d.t.Fatalf("dunst does not count: %v", err)
	}
	return n
}

// ClickBubble does what a click on dunst's topmost notification does.
func (d *Desktop) ClickBubble() {
	d.t.Helper()
	d.Run("dunstctl", "action", "0")
}

// CloseBubbles puts all notifications away and returns everything that dunst
// has shown so far, newest first. A notification that was replaced is there
// once, with its last text.
func (d *Desktop) CloseBubbles() []Bubble {
	d.t.Helper()
	d.Run("dunstctl", "close-all")
	d.Await("no notification on the screen", func() bool { return d.Bubbles() == 0 })
	type text struct {
		Data string `json:"data"`
	}
	var history struct {
		Data [][]struct {
			ID struct {
				Data int `json:"data"`
			} `json:"id"`
			App     text `json:"appname"`
			Summary text `json:"summary"`
			Body    text `json:"body"`
			Icon    text `json:"icon_path"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(d.Run("dunstctl", "history")), &history); err != nil {
		d.t.Fatalf("dunst's history can't be read: %v", err)
	}
	var bubbles []Bubble
	for _, group := range history.Data {
		for _, b := range group {
			bubbles = append(bubbles, Bubble{b.ID.Data, b.App.Data, b.Summary.Data, b.Body.Data, b.Icon.Data})
		}
	}
	return bubbles
}
