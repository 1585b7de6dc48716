package popup

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"earshot/tray/desktoptest"
)

// reader is a screen reader's view of a desktop: the accessibility bus.
type reader struct {
	t    *testing.T
	d    *desktoptest.Desktop
	conn *dbus.Conn
	said chan string // announcements
}

// accessible has a program tell the accessibility bus about itself.
const accessible = "NO_AT_BRIDGE=0"

// newReader starts the desktop's accessibility bus and listens there.
func newReader(t *testing.T, d *desktoptest.Desktop) *reader {
	t.Helper()
	var address string
	err := d.Conn().Object("org.a11y.Bus", "/org/a11y/bus").Call("org.a11y.Bus.GetAddress", 0).Store(&address)
	if err != nil {
		t.Fatalf("there is no accessibility bus: %v", err)
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &reader{t: t, d: d, conn: conn, said: make(chan string, 100)}
	signals := make(chan *dbus.Signal, 100)
	conn.Signal(signals)
	go func() {
		for s := range signals { // closed with the connection
			if s.Name == "org.a11y.atspi.Event.Object.Announcement" && len(s.Body) > 3 {
				r.said <- fmt.Sprint(s.Body[3].(dbus.Variant).Value())
			}
		}
	}()
	if err := conn.AddMatchSignal(dbus.WithMatchInterface("org.a11y.atspi.Event.Object")); err != nil {
		t.Fatal(err)
	}
	// Programs tell only of what somebody wants to hear.
	if err := conn.Object("org.a11y.atspi.Registry", "/org/a11y/atspi/registry").Call(
		"org.a11y.atspi.Registry.RegisterEvent", 0, "object:announcement", []string{}, "").Err; err != nil {
		t.Fatal(err)
	}
	return r
}

// node is an element as a screen reader sees it.
type node struct {
	role, name string
	states     uint64
	object     dbus.BusObject
	children   []node
}

// Bits of AtspiStateType.
const (
	stateChecked   = 4
	stateEnabled   = 8
	stateFocusable = 11
	stateFocused   = 12
	stateShowing   = 25
)

func (n node) is(state int) bool { return n.states&(1<<state) != 0 }

type reference struct {
	Bus  string
	Path dbus.ObjectPath
}

// read reads an element and all below it that is on the screen.
func (r *reader) read(at reference) (node, bool) {
	const accessible = "org.a11y.atspi.Accessible."
	n := node{object: r.conn.Object(at.Bus, at.Path)}
	var states []uint32
	var children []reference
	if err := n.object.Call(accessible+"GetState", 0).Store(&states); err != nil || len(states) != 2 {
		return node{}, false // it is gone
	}
	n.states = uint64(states[0]) | uint64(states[1])<<32
	name, err := n.object.GetProperty(accessible + "Name")
	if err != nil {
		return node{}, false
	}
	n.name, _ = name.Value().(string)
	if n.object.Call(accessible+"GetRoleName", 0).Store(&n.role) != nil ||
		n.object.Call(accessible+"GetChildren", 0).Store(&children) != nil {
		return node{}, false
	}
	for _, child := range children {
		c, ok := r.read(child)
		// GTK 3 takes a viewport that is scrolled for one that is not in sight.
		if ok && (c.is(stateShowing) || c.role == "application" || c.role == "viewport") {
			n.children = append(n.children, c)
		}
	}
	return n, true
}

// window waits for the window of that title and what else is awaited in it.
func (r *reader) window(title, what string, holds func(window node) bool) node {
	r.t.Helper()
	var found node
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		root, _ := r.read(reference{"org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"})
		for _, n := range root.all() {
			if n.role == "frame" && n.name == title {
				found = n
			}
		}
		if found.role != "" && holds(found) {
			return found
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %s is not to be seen in\n%s", title, what, root)
		}
	}
}

// all returns an element and all below it.
func (n node) all() []node {
	list := []node{n}
	for _, c := range n.children {
		list = append(list, c.all()...)
	}
	return list
}

// find returns the first element of that role and name.
func (n node) find(role, name string) (node, bool) {
	all := n.all()
	i := slices.IndexFunc(all, func(n node) bool { return n.role == role && n.name == name })
	if i < 0 {
		return node{}, false
	}
	return all[i], true
}

// focused is the element with the keyboard.
func (n node) focused() string {
	for _, c := range n.all() {
		if c.is(stateFocused) && c.role != "frame" {
			return c.role + " " + c.name
		}
	}
	return ""
}

// String is the tree, an element a line.
func (n node) String() string {
	var b strings.Builder
	var write func(n node, indent string)
	write = func(n node, indent string) {
		fmt.Fprintf(&b, "%s%s %q %x\n", indent, n.role, n.name, n.states)
		for _, c := range n.children {
			write(c, indent+"  ")
		}
	}
	write(n, "")
	return b.String()
}

// hear waits for an announcement.
func (r *reader) hear(want string) {
	r.t.Helper()
	var heard []string
	for deadline := time.After(patience); ; {
		select {
		case got := <-r.said:
			if got == want {
				return
			}
			heard = append(heard, got)
		case <-deadline:
			r.t.Fatalf("a screen reader says %q, and never %q", heard, want)
		}
	}
}
