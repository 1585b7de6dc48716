//go:build linux

package e2e

import (
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"earshot/tray/desktoptest"
)

// An office as a newcomer sees it, in both languages: the pictures of the
// readme are taken here.
func TestLooks(t *testing.T) {
	for _, look := range []struct {
		language, own string
		people        []string
		lines         []string // by turns from the first of the people and to it
	}{
		{"en", "Ann", []string{"Bo", "Carla", "Deniz", "Emeka", "Françoise"},
			[]string{"Are you joining us for lunch? 🍜", "Yes – in ten minutes.", "Great! The draft is on the share:\nplans/autumn.", "Thanks! I'll read it first."}},
		{"zh-Hans", "安", []string{"王小明", "李娜", "陈伟", "欧阳静"},
			[]string{"中午一起吃饭吗？🍜", "好，十分钟后到。", "方案放在共享盘的“秋季计划”里了。", "谢谢，我先看一下！"}},
	} {
		t.Run(look.language, func(t *testing.T) {
			c := startCoordinator(t)
			d := desktoptest.Start(t, desktoptest.Options{Panel: true, Notifier: desktoptest.Dunst})
			me := startTray(t, c, d, look.own, "--language", look.language)
			var people []*client
			for _, name := range look.people {
				people = append(people, startClient(t, c, name, "auto"))
				me.waitOnline(t, name, true)
			}
			friend := people[0]
			friend.waitOnline(t, me.name, true)
			for i, line := range look.lines {
				if i%2 == 0 {
					friend.must(t, "send", me.name, line)
					me.waitMessage(t, friend.name, line)
				} else {
					me.must(t, "send", friend.name, line)
				}
			}
			people[1].must(t, "send", me.name, "!")
			me.waitMessage(t, people[1].name, "!")
			// The menu is drawn at most once a second.
			rows := d.OpenTrayMenu()
			d.Await("everybody on the menu", func() bool {
				if len(rows) < len(people)+8 {
					d.Key("Escape")
					rows = d.OpenTrayMenu()
				}
				return len(rows) >= len(people)+8
			})
			crop(t, d.Screen(), image.Rect(0, 0, 260, rows[len(rows)-1].Y+24), "look-menu-"+look.language)
			d.Key("Escape")
			d.Run(earshot, "compose", "--profile", me.profile, friend.name)
			window := d.AwaitWindow(friend.name)
			d.Await("the conversation", func() bool { return friend.read(t, me) })
			crop(t, d.Screen(), inside(t, d, window), "look-popup-"+look.language)
		})
	}
}

// read says whether other has seen all that k wrote.
func (k *client) read(t *testing.T, other *client) bool {
	t.Helper()
	for _, p := range other.roster(t) {
		if p.Name == k.name {
			return p.Unread == 0
		}
	}
	return false
}

// inside is where a window's content is on the screen. xdotool counts a window
// manager's frame twice.
func inside(t *testing.T, d *desktoptest.Desktop, window string) image.Rectangle {
	t.Helper()
	var x, y, width, height int
	for line := range strings.Lines(d.Run("xwininfo", "-id", window)) {
		for label, to := range map[string]*int{
			"Absolute upper-left X:": &x, "Absolute upper-left Y:": &y, "Width:": &width, "Height:": &height,
		} {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), label); ok {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				*to = n
			}
		}
	}
	return image.Rect(x, y, x+width, y+height)
}

// crop saves a part of the screen among the artefacts.
func crop(t *testing.T, screen image.Image, area image.Rectangle, name string) {
	t.Helper()
	picture := image.NewRGBA(image.Rectangle{Max: area.Size()})
	draw.Draw(picture, picture.Bounds(), screen, area.Min, draw.Src)
	file, err := os.Create(filepath.Join(desktoptest.Artifacts(t), name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, picture); err != nil {
		t.Fatal(err)
	}
}
