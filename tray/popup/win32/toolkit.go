//go:build windows

package win32

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"

	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

// Toolkit implements ui.Toolkit. Post may be called from any goroutine, all
// else on the thread of Run.
type Toolkit struct {
	p *i18n.Printer
	// door is an invisible window that wakes the loop: messages to a window,
	// unlike those to a thread, arrive while the person moves or sizes one.
	door     hwnd
	instance handle
	rich     string // the rich edit's class
	theme    theme
	windows  map[hwnd]view
	entries  map[hwnd]*window // by entry field

	posts ui.Queue
}

// view is a window of either kind, as messages see it.
type view interface {
	base() *window
	layout()
	command(id, code uintptr)
	// keys are the keys that the model wants to know of.
	keys() map[uintptr]ui.Key
	draw(item *drawItem)
	attached(what ui.Attachment)
}

// problem is an error that reads as a sentence in the person's language.
type problem struct {
	sentence string
	cause    error
}

func (e *problem) Error() string { return e.sentence }
func (e *problem) Unwrap() error { return e.cause }

// The posted messages of our own.
const (
	msgPosted = wmApp + iota
	msgDestroy
	msgReady
)

const (
	className = "EarshotWindow"
	doorName  = "EarshotDoor"
)

// New loads the rich edit control. A process makes one Toolkit.
func New(p *i18n.Printer) (*Toolkit, error) {
	t := &Toolkit{p: p, theme: newTheme(), windows: make(map[hwnd]view), entries: make(map[hwnd]*window)}
	if _, err := windows.LoadLibraryEx("msftedit.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32); err == nil {
		t.rich = "RICHEDIT50W"
		return t, nil
	}
	if _, err := windows.LoadLibraryEx("riched20.dll", 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32); err != nil {
		return nil, &problem{p.T("PopupNoToolkit"), err}
	}
	t.rich = "RichEdit20W"
	return t, nil
}

// current is the process's running Toolkit: window procedures get no data of
// ours. It is set and read on the thread of Run.
var current *Toolkit

var procedures = sync.OnceValue(func() (p struct{ window, entry uintptr }) {
	p.window = windows.NewCallback(windowProc)
	p.entry = windows.NewCallback(entryProc)
	return p
})

// Run implements ui.Toolkit.
func (t *Toolkit) Run(ctx context.Context, started func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if setDPIAwareness.Find() == nil {
		const perMonitorV2 = ^uintptr(3) // -4
		setDPIAwareness.Call(perMonitorV2)
	}
	current = t
	defer func() { current = nil }()
	if err := t.open(); err != nil {
		return &problem{t.p.T("PopupNoToolkit"), err}
	}
	started()

	t.posts.Open(t.wake)
	stop := context.AfterFunc(ctx, func() { t.Post(func() {}) })
	defer stop()
	err := t.loop(ctx)

	t.posts.End()
	for top, v := range t.windows {
		v.base().closed = true
		destroyWindow.Call(top)
	}
	destroyWindow.Call(t.door)
	return err
}

func (t *Toolkit) open() error {
	t.instance, _, _ = getModuleHandle.Call(0)
	const arrow = 32512 // IDC_ARROW
	cursor, _, _ := loadCursor.Call(0, arrow)
	// They last as long as the process.
	icon, small := appIcon(smLargeIcon), appIcon(smSmallIcon)
	for _, name := range []string{className, doorName} {
		class := windowClass{
			proc: procedures().window, instance: t.instance, cursor: cursor,
			icon: icon, smallIcon: small, background: t.theme.backBrush, name: str(name),
		}
		class.size = uint32(unsafe.Sizeof(class))
		if atom, _, err := registerClass.Call(uintptr(unsafe.Pointer(&class))); atom == 0 &&
			!errors.Is(err, windows.ERROR_CLASS_ALREADY_EXISTS) {
			return fmt.Errorf("win32: registering a window class: %w", err)
		}
	}
	const messageOnly = ^uintptr(2) // HWND_MESSAGE, -3
	var err error
	t.door, err = t.create(doorName, "", 0, 0, messageOnly, 0)
	return err
}

// create makes a window or a control.
func (t *Toolkit) create(class, text string, style, extended uint32, parent hwnd, id uintptr) (hwnd, error) {
	const anywhere = 0x80000000 // CW_USEDEFAULT
	x := uintptr(anywhere)
	if style&wsChild != 0 {
		x = 0
	}
	w, _, err := createWindow.Call(uintptr(extended), uintptr(unsafe.Pointer(str(class))),
		uintptr(unsafe.Pointer(str(text))), uintptr(style), x, 0, 100, 100, parent, id, t.instance, 0)
	if w == 0 {
		return 0, fmt.Errorf("win32: making a %s: %w", class, err)
	}
	return w, nil
}

func (t *Toolkit) loop(ctx context.Context) error {
	var m message
	for ctx.Err() == nil {
		switch answer, _, err := getMessage.Call(uintptr(unsafe.Pointer(&m)), 0, 0, 0); int32(answer) {
		case -1:
			return &problem{t.p.T("PopupNoToolkit"), fmt.Errorf("win32: reading messages: %w", err)}
		case 0:
			return nil
		}
		if t.key(&m) {
			continue
		}
		translateMessage.Call(uintptr(unsafe.Pointer(&m)))
		dispatchMessage.Call(uintptr(unsafe.Pointer(&m)))
	}
	return nil
}

// Post implements ui.Toolkit.
func (t *Toolkit) Post(f func()) { t.posts.Post(f) }

func (t *Toolkit) wake() { postMessage.Call(t.door, msgPosted, 0, 0) }

var _ ui.Toolkit = (*Toolkit)(nil)
