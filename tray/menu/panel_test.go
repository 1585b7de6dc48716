//go:build linux

package menu

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
	"earshot/tray/i18n"
)

// These make this program the tray of an office, for a tray has to have the
// main goroutine, and only once: of how many people, and in which language. A
// line on its standard input has so many of them come and go each second.
const (
	childPeople   = "EARSHOT_TEST_TRAY"
	childLanguage = "EARSHOT_TEST_TRAY_LANGUAGE"
)

func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(childPeople))
	if err != nil {
		goleak.VerifyTestMain(m)
		return
	}
	o := spoken{officeOf(n, os.Getenv(childLanguage))}
	o.events <- chat.Event{Type: chat.EventSnapshot}
	go o.storm(os.Stdin)
	if err := Run(context.Background(), o, i18n.New(os.Getenv(childLanguage)), Options{}); err != nil {
		panic(err)
	}
}

// names are enough for a small office; a larger one numbers them.
var names = map[string][]string{
	"en":      {"Ann", "Bo", "Carla Rossi", "Deniz", "Emeka Obi", "Françoise", "Grace", "Hiro", "Ines", "Jonas"},
	"zh-Hans": {"王小明", "李娜", "陈伟", "欧阳静", "Bo Larsen", "赵磊", "孙悦", "周杰", "吴芳", "郑强"},
}

var departmentNames = map[string][]string{
	"en":      {"Engineering", "Sales", "Finance", "Research and Development", "Support", "Legal"},
	"zh-Hans": {"研发部", "销售部", "财务部", "人力资源部", "技术支持", "法务部"},
}

// officeOf is an office of n people, as it is on an ordinary morning.
func officeOf(n int, language string) *office {
	called, departments := names[language], departmentNames[language]
	o := newOffice()
	o.status.Name, o.status.Secure = called[0], true
	for i := 1; i <= n; i++ {
		p := chat.Person{
			Name: called[i%len(called)], Online: i%5 != 4, Secure: true, Trust: chat.TrustPinned,
			Presence: []chat.Presence{chat.Available, chat.Available, chat.Away, chat.Available, chat.Busy}[i%5],
		}
		if i >= len(called) {
			p.Name += " " + strconv.Itoa(i)
		}
		if n > smallOffice {
			p.Department = departments[i%len(departments)]
			p.Favourite = i%(n/5) == 3
		}
		switch {
		case i%(n/2+1) == 1:
			p.Unread, p.LastMessage = 1+i%3, time.Now()
		case i%(n/4+1) == 2:
			p.LastMessage, p.Verified = time.Now().Add(-time.Duration(i)*time.Hour), true
		}
		p.Online = p.Online || p.LastMessage.IsZero() && n > smallOffice
		o.status.Unread += p.Unread
		o.roster = append(o.roster, p)
	}
	return o
}

// storm has somebody come or go so many times a second as the first line says.
func (o spoken) storm(orders io.Reader) {
	lines := bufio.NewScanner(orders)
	if !lines.Scan() {
		return
	}
	rate, err := strconv.Atoi(lines.Text())
	if err != nil {
		panic(err)
	}
	i := 0
	for range time.Tick(time.Second / time.Duration(rate)) {
		i += 7919 // a prime: everybody has a turn
		o.change(func() {
			p := &o.roster[i%len(o.roster)]
			p.Online = !p.Online
		})
	}
}

// spoken is an office that says what the menu does.
type spoken struct{ *office }

func (o spoken) SetStatus(ctx context.Context, own chat.OwnStatus) error {
	fmt.Println(own.Presence)
	return o.office.SetStatus(ctx, own)
}

func (o spoken) Compose(_ context.Context, peer string) error {
	fmt.Println("to", peer)
	return nil
}

func (o spoken) SetSetting(_ context.Context, name string, value any) error {
	fmt.Println(name, value)
	o.change(func() { o.status.Quiet, o.status.QuietUntil = true, time.Now().Add(time.Hour) })
	return nil
}

// child is that tray on a desktop.
type child struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	lines  *bufio.Scanner
}

func startChild(t testing.TB, d *desktoptest.Desktop, people int, language string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(d.Env(), fmt.Sprint(childPeople, "=", people), childLanguage+"="+language)
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, said := io.Pipe()
	cmd.Stdout = said
	t.Cleanup(func() { out.Close() })
	d.LaunchCmd(cmd)
	return &child{cmd, orders, bufio.NewScanner(out)}
}

// said fails the test unless the child has said that line.
func (c *child) said(t *testing.T, want string) {
	t.Helper()
	if !c.lines.Scan() || c.lines.Text() != want {
		t.Fatalf("the engine was told %q, not %q", c.lines.Text(), want)
	}
}

// openMenu opens the menu, once everything is on it.
func openMenu(t testing.TB, d *desktoptest.Desktop, o *office, language string) []image.Point {
	t.Helper()
	want := visible(o, language, slotPresence)
	rows := d.OpenTrayMenu()
	d.Await(fmt.Sprint("a menu of ", want, " rows"), func() bool {
		if len(rows) != want {
			d.Key("Escape")
			rows = d.OpenTrayMenu()
		}
		return len(rows) == want
	})
	return rows
}

// On a real panel, the own row opens the presences, of which one is chosen,
// and the people below are where they were.
func TestPresenceOnPanel(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{Panel: true})
	c, o := startChild(t, d, 2, "en"), officeOf(2, "en")
	for _, choice := range []struct {
		row      int
		presence chat.Presence
	}{{2, chat.Busy}, {0, chat.Available}} {
		openMenu(t, d, o, "en")
		d.Key("Down", "Right") // to oneself, and into the submenu
		for range choice.row {
			d.Key("Down")
		}
		d.Screenshot("menu-presence-" + string(choice.presence))
		d.Key("Return")
		c.said(t, string(choice.presence))
	}
	rows := openMenu(t, d, o, "en")
	d.Click(rows[1])
	c.said(t, "to Bo")
}

// On a real panel, one asks for an hour without disturbance, and sees until
// when that is; Message several opens Find for that.
func TestQuietOnPanel(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{Panel: true})
	c, o := startChild(t, d, 2, "en"), officeOf(2, "en")
	rows := openMenu(t, d, o, "en")
	d.Click(rows[4])
	c.said(t, "to "+chat.FindSeveral)
	openMenu(t, d, o, "en")
	d.Key("Down", "Down", "Down", "Down", "Down", "Down", "Right", "Down")
	d.Screenshot("menu-quiet-lengths")
	d.Key("Return")
	c.said(t, "do_not_disturb 1h")
	openMenu(t, d, o, "en")
	d.Screenshot("menu-quiet")
}

// How the menu looks: to a few, to many and to a company, in both languages, on
// light and on dark.
func TestMenuLooks(t *testing.T) {
	for _, theme := range []string{"Adwaita", "Adwaita:dark"} {
		for language := range names {
			t.Run(theme+" "+language, func(t *testing.T) {
				d := desktoptest.Start(t, desktoptest.Options{Panel: true, Screen: "800x1000", Theme: theme})
				for _, n := range []int{5, 200, 2000} {
					c, o := startChild(t, d, n, language), officeOf(n, language)
					rows := openMenu(t, d, o, language)
					name := fmt.Sprintf("menu-%d-%s-%s", n, language, map[bool]string{true: "dark", false: "light"}[theme != "Adwaita"])
					if n > smallOffice {
						d.Click(rows[visible(o, language, slotGroups)]) // the first department
						d.Await("the submenu", func() bool { return len(d.WindowsOf("[Ww]rapper-2.0")) > 2 })
					}
					d.Screenshot(name)
					d.Key("Escape", "Escape")
					if err := c.cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
					d.Await("the icon to be gone", func() bool { return len(d.TrayItems()) == 0 })
				}
			})
		}
	}
}

// visible counts the rows of an office's menu that are above a slot.
func visible(o *office, language string, end int) (n int) {
	for slot, r := range rows(i18n.New(language), o.status, o.roster, time.Now()) {
		if slot < end && r.title != "" {
			n++
		}
	}
	return n
}
