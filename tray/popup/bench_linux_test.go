package popup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebitengine/purego"

	"earshot/installer/bed"
	"earshot/tray/chat"
	"earshot/tray/desktoptest"
	"earshot/tray/localapi"
	"earshot/tray/profile"
)

const (
	// What a click may cost: until the person can type, in 19 of 20 cases, and
	// while the window is open.
	readyLimit    = 250 * time.Millisecond
	residentLimit = 40 << 10 // kB
	// From so many clicks on there is a 95th percentile.
	enoughClicks = 20
)

// BenchmarkPopup is a click on a person in the menu: the window process is
// started as the engine starts it, asks an engine of 200 people for a
// conversation of 50 messages, and is ready when its first frame is drawn and
// its entry has the keyboard. The floor is a process that shows a window with an
// empty text field by the same library, loaded the same way.
func BenchmarkPopup(b *testing.B) {
	d := desktoptest.Start(b, desktoptest.Options{})
	d.Await("the window manager", func() bool {
		return strings.Contains(d.Run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "window id")
	})
	program := filepath.Join(b.TempDir(), "earshot")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "./tray/earshot")
	build.Dir, build.Env = bed.ModuleRoot(b), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := serveEngine(b, d)

	var popups, floors measured
	for b.Loop() {
		popups.add(click(b, d, exec.Command(program, "popup", "--profile", dir, "--language", "en", "--", "Ann")))
		floors.add(click(b, d, exec.Command(self), floorVariable+"=1", "GDK_GL=disable"))
	}
	b.ReportMetric(0, "ns/op")
	popups.report(b, "")
	floors.report(b, "floor-")
	if most := popups.percentile(95); len(popups.took) >= enoughClicks && most > readyLimit {
		b.Errorf("19 of 20 clicks are answered in %v, the limit is %v", most, readyLimit)
	}
	if popups.memory.resident > residentLimit {
		b.Errorf("the window process takes %d kB, the limit is %d", popups.memory.resident, residentLimit)
	}
}

// memory is what a process has of it, in kB.
type memory struct{ resident, own int }

// measured is what clicks have cost; of the memory it is the most.
type measured struct {
	took          []time.Duration
	ready, memory memory
}

func (m *measured) add(took time.Duration, ready, settled memory) {
	more := func(a, b memory) memory { return memory{max(a.resident, b.resident), max(a.own, b.own)} }
	m.took, m.ready, m.memory = append(m.took, took), more(m.ready, ready), more(m.memory, settled)
}

// percentile returns the p-th percentile, rounded up to one that was measured.
func (m *measured) percentile(p int) time.Duration {
	sorted := slices.Sorted(slices.Values(m.took))
	return sorted[(len(sorted)*p+99)/100-1]
}

func (m *measured) report(b *testing.B, prefix string) {
	for _, p := range []int{50, 95} {
		b.ReportMetric(float64(m.percentile(p).Microseconds())/1000, fmt.Sprintf("%sp%d-ms", prefix, p))
	}
	for name, kB := range map[string]int{
		"RSS-MB": m.memory.resident, "own-MB": m.memory.own, "ready-RSS-MB": m.ready.resident,
	} {
		b.ReportMetric(float64(kB)/1024, prefix+name)
	}
}

// click runs a program until its window can be typed into, and returns how long
// that took and its memory then and once it has settled.
func click(b *testing.B, d *desktoptest.Desktop, cmd *exec.Cmd, env ...string) (took time.Duration, atOnce, settled memory) {
	b.Helper()
	cmd.Env = append(append(d.Env(), TraceVariable+"=1"), env...)
	trace, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var said []string
	frame, ready := false, false
	for lines := bufio.NewScanner(trace); !frame || !ready; {
		if !lines.Scan() {
			b.Fatalf("the window did not come up: %s", strings.Join(said, "\n"))
		}
		said = append(said, lines.Text())
		frame = frame || strings.Contains(lines.Text(), "first frame")
		ready = ready || strings.Contains(lines.Text(), "ready for typing")
	}
	took = time.Since(begun)
	p := popupProcess{t: b, cmd: cmd}
	atOnce.resident, atOnce.own = p.memory()
	const settles = 2500 * time.Millisecond // it has given back what only its start needed
	<-time.After(settles)
	settled.resident, settled.own = p.memory()
	return took, atOnce, settled
}

// serveEngine serves an engine at the socket of a profile, whose directory it
// returns.
func serveEngine(b *testing.B, d *desktoptest.Desktop) string {
	b.Helper()
	b.Setenv("XDG_RUNTIME_DIR", d.Runtime) // where sockets are, for the programs of the desktop too
	p, err := profile.Open(filepath.Join(d.Home, "profile"))
	if err != nil {
		b.Fatal(err)
	}
	listener, err := localapi.Listen(p.Socket())
	if err != nil {
		b.Fatal(err)
	}
	engine := busyEngine{}
	for i := range 200 {
		engine.people = append(engine.people, chat.Person{Name: fmt.Sprintf("Person %d", i), Online: i%2 == 0})
	}
	engine.people = append(engine.people, chat.Person{Name: "Ann", Online: true})
	for i := range 50 {
		m := chat.Message{ID: int64(i + 1), Peer: "Ann", Sender: "Ann", At: time.Now(), State: chat.Received, Text: "A sentence of usual length, 你好，世界."}
		if i%3 == 0 {
			m.Sender, m.State = "me", chat.Sent
		}
		engine.history = append(engine.history, m)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- localapi.Serve(ctx, listener, engine) }()
	b.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return p.Dir()
}

// busyEngine is an engine of many people, in which nothing happens.
type busyEngine struct {
	localapi.Engine // what a window that opens has no business with panics
	people          []chat.Person
	history         []chat.Message
}

func (e busyEngine) History(context.Context, string, int64, int) ([]chat.Message, error) {
	return e.history, nil
}
func (e busyEngine) Draft(_ context.Context, peer string) (chat.Draft, error) {
	return chat.Draft{To: peer}, nil
}
func (e busyEngine) Subscribe(localapi.Role) localapi.Subscription {
	return &busySubscription{engine: e}
}

type busySubscription struct {
	engine busyEngine
	told   bool
}

func (s *busySubscription) Next(ctx context.Context) (chat.Event, error) {
	if s.told {
		<-ctx.Done()
		return chat.Event{}, io.EOF
	}
	s.told = true
	status := online
	return chat.Event{Type: chat.EventSnapshot, Status: &status, Roster: s.engine.people}, nil
}

func (s *busySubscription) Close() {}

// floorVariable makes the test binary the program of the floor.
const floorVariable = "EARSHOT_TEST_FLOOR"

// runFloor shows a window with a text field, and says when it can be typed into.
func runFloor() {
	type ptr = uintptr
	var (
		initGTK    func(argc, argv ptr) int32
		windowNew  func(kind int32) ptr
		viewNew    func() ptr
		add        func(container, child ptr)
		size       func(window ptr, width, height int32)
		realize    func(widget ptr)
		clock      func(widget ptr) ptr
		focus      func(widget ptr)
		showAll    func(widget ptr)
		gdkWindow  func(widget ptr) ptr
		serverTime func(window ptr) uint32
		present    func(window ptr, time uint32)
		connect    func(object ptr, signal string, f, data, notify ptr, flags int32) uint64
		run        func()
	)
	gtkCalls(map[string]any{
		"gtk_init_check": &initGTK, "gtk_window_new": &windowNew, "gtk_text_view_new": &viewNew, "gtk_container_add": &add,
		"gtk_window_set_default_size": &size, "gtk_widget_realize": &realize, "gtk_widget_get_frame_clock": &clock,
		"gtk_widget_grab_focus": &focus, "gtk_widget_show_all": &showAll, "gtk_widget_get_window": &gdkWindow,
		"gdk_x11_get_server_time": &serverTime, "gtk_window_present_with_time": &present,
		"g_signal_connect_data": &connect, "gtk_main": &run,
	})
	if initGTK(0, 0) == 0 {
		panic("no display")
	}
	window, view := windowNew(0), viewNew()
	size(window, 420, 520)
	add(window, view)
	showAll(view)
	realize(window)
	say := func(what string) ptr {
		said := false
		return purego.NewCallback(func(_, _, _ ptr) int32 {
			if !said {
				said = true
				fmt.Fprintln(os.Stderr, what)
			}
			return 0
		})
	}
	connect(clock(window), "after-paint", say("first frame"), 0, 0, 0)
	connect(view, "focus-in-event", say("ready for typing"), 0, 0, 0)
	focus(view)
	present(window, serverTime(gdkWindow(window)))
	run()
}
