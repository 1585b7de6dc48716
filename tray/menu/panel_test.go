//go:build linux

package menu

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"earshot/tray/chat"
	"earshot/tray/desktoptest"
)

// child makes this program the tray of an office, for a tray has to have the
// main goroutine, and only once.
const child = "EARSHOT_TEST_TRAY"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	o := spoken{newOffice("Ann", "Bo")}
	o.status.Secure = true
	o.roster[0].Trust, o.roster[0].Secure, o.roster[0].Presence = chat.TrustPinned, true, chat.Away
	o.events <- chat.Event{Type: chat.EventSnapshot}
	if err := Run(context.Background(), o, english, Options{}); err != nil {
		panic(err)
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

// On a real panel, the own row opens the presences, of which one is chosen,
// and the people below are where they were.
func TestPresenceOnPanel(t *testing.T) {
	d := desktoptest.Start(t, desktoptest.Options{Panel: true})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(d.Env(), child+"=1")
	out, said := io.Pipe()
	cmd.Stdout = said
	defer out.Close()
	d.LaunchCmd(cmd)
	lines := bufio.NewScanner(out)
	for _, choice := range []struct {
		row      int
		presence chat.Presence
	}{{2, chat.Busy}, {0, chat.Available}} {
		rows := d.OpenTrayMenu()
		if len(rows) != 8 {
			d.Screenshot("failed-presence")
			t.Fatalf("the menu has %d rows: oneself, two people, Find, History, Settings, Diagnose and Quit are eight", len(rows))
		}
		d.Key("Down", "Right") // to oneself, and into the submenu
		for range choice.row {
			d.Key("Down")
		}
		d.Screenshot("menu-presence-" + string(choice.presence))
		d.Key("Return")
		if !lines.Scan() || lines.Text() != string(choice.presence) {
			t.Fatalf("the engine was told %q, not %q", lines.Text(), choice.presence)
		}
	}
	rows := d.OpenTrayMenu()
	d.Screenshot("menu-people")
	d.Click(rows[1])
	if !lines.Scan() || lines.Text() != "to Ann" {
		t.Errorf("a click on Ann says %q", lines.Text())
	}
}
