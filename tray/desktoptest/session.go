//go:build linux

package desktoptest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/godbus/dbus/v5"
)

// startX starts an X server on a display number that is free.
func (d *Desktop) startX(size string) {
	d.t.Helper()
	if size == "" {
		size = "1280x800"
	}
	r, w, err := os.Pipe()
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", size+"x24", "-nolisten", "tcp", "-noreset")
	cmd.ExtraFiles = []*os.File{w}
	d.LaunchCmd(cmd)
	w.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		d.t.Fatalf("the X server did not come up: %v", err)
	}
	d.Display = ":" + strings.TrimSpace(line)
	d.env = append(d.env, "DISPLAY="+d.Display)
}

// startBus starts a session bus.
func (d *Desktop) startBus() {
	d.t.Helper()
	socket := filepath.Join(d.Runtime, "bus")
	d.Bus = "unix:path=" + socket
	d.Launch("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address="+d.Bus)
	d.Await("the session bus", func() bool {
		conn, err := dbus.Connect(d.Bus)
		if err == nil {
			d.conn = conn
		}
		return err == nil
	})
	d.env = append(d.env, "DBUS_SESSION_BUS_ADDRESS="+d.Bus)
}

// AwaitName waits until somebody owns a name on the session bus.
func (d *Desktop) AwaitName(name string) {
	d.t.Helper()
	d.Await(name+" on the session bus", func() bool { return d.HasName(name) })
}

// HasName says whether somebody owns a name on the session bus.
func (d *Desktop) HasName(name string) bool {
	var has bool
	err := d.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&has)
	return err == nil && has
}

// Conn is a connection to the session bus. It is closed when the test ends.
func (d *Desktop) Conn() *dbus.Conn { return d.conn }

func (d *Desktop) startNotifier(n Notifier) {
	d.t.Helper()
	switch n {
	case NoNotifier:
		return
	case Dunst:
		config := filepath.Join(d.dir, "dunstrc")
		d.write(config, dunstrc)
		d.Launch("dunst", "-conf", config)
	case Xfce:
		d.Launch(xfceNotifyd())
	}
	d.AwaitName("org.freedesktop.Notifications")
}

// StopNotifier kills the notification daemon, as a crash would.
func (d *Desktop) StopNotifier() {
	d.t.Helper()
	var pid uint32
	err := d.conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0,
		"org.freedesktop.Notifications").Store(&pid)
	if err != nil {
		d.t.Fatalf("no notification daemon to stop: %v", err)
	}
	d.kill(int(pid))
	d.Await("the end of the notification daemon", func() bool { return !d.HasName("org.freedesktop.Notifications") })
}

// StartNotifier starts a notification daemon on a desktop that has none.
func (d *Desktop) StartNotifier(n Notifier) {
	d.t.Helper()
	d.startNotifier(n)
}

// xfceNotifyd is where Debian and Ubuntu keep the daemon, which is not in PATH.
func xfceNotifyd() string {
	if found, _ := filepath.Glob("/usr/lib/*/xfce4/notifyd/xfce4-notifyd"); len(found) > 0 {
		return found[0]
	}
	return "xfce4-notifyd"
}

// startPanel starts a panel at the upper edge whose only plugin is the tray.
func (d *Desktop) startPanel() {
	d.t.Helper()
	dir := filepath.Join(d.Home, ".config", "xfce4", "xfconf", "xfce-perchannel-xml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.write(filepath.Join(dir, "xfce4-panel.xml"), panelXML)
	d.StartPanel()
}

// StartPanel starts the panel and waits until its tray takes icons. A test
// calls it only after StopPanel, or on a desktop that was started without.
func (d *Desktop) StartPanel() {
	d.t.Helper()
	if _, err := os.Stat(filepath.Join(d.Home, ".config", "xfce4")); err != nil {
		d.startPanel()
		return
	}
	d.Launch("xfce4-panel", "--disable-wm-check")
	d.AwaitName(watcher)
}

// StopPanel ends the panel and its tray.
func (d *Desktop) StopPanel() {
	d.t.Helper()
	d.Run("xfce4-panel", "--quit")
	// The tray is another process than the panel, and ends before it: a panel
	// that is started while the old one is still there leaves it to that one.
	d.Await("the end of the panel", func() bool { return !d.HasName(watcher) && !d.HasName("org.xfce.Panel") })
}

const watcher = "org.kde.StatusNotifierWatcher"

// startPinyin starts ibus and waits until libpinyin can be chosen.
func (d *Desktop) startPinyin() {
	d.t.Helper()
	d.Launch("ibus-daemon", "-x", "-r", "--panel", "disable")
	d.Await("ibus", func() bool {
		out, err := d.try("ibus", "list-engine")
		return err == nil && strings.Contains(out, "libpinyin")
	})
}

// Pinyin switches the input method to Chinese. It needs Options.Chinese and a
// focused window.
func (d *Desktop) Pinyin() {
	d.t.Helper()
	d.Await("the pinyin engine", func() bool {
		// It may fail and have set the engine all the same.
		_, _ = d.try("ibus", "engine", "libpinyin")
		out, err := d.try("ibus", "engine")
		return err == nil && out == "libpinyin"
	})
}

func (d *Desktop) write(file, text string) {
	d.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

const dunstrc = `[global]
    follow = none
    width = 340
    height = 160
    origin = top-right
    offset = 20x60
    font = Sans 11
    markup = full
    format = "<b>%s</b>\n%b"
    icon_position = left
    max_icon_size = 48
    history_length = 50
    frame_width = 2
    frame_color = "#3b82f6"
[urgency_low]
    background = "#1f2937"
    foreground = "#f9fafb"
    timeout = 0
[urgency_normal]
    background = "#1f2937"
    foreground = "#f9fafb"
    timeout = 0
`

const panelXML = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="30"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
`
