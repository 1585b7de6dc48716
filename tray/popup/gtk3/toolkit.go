//go:build linux

package gtk3

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"

	"earshot/tray/i18n"
	"earshot/tray/popup/ui"
)

// library is GTK's name in the dynamic linker's eyes.
const library = "libgtk-3.so.0"

// ErrMissing is the error's kind where GTK is not installed.
var ErrMissing = errors.New("gtk3: GTK is not installed")

// Toolkit implements ui.Toolkit. Post may be called from any goroutine, all
// else on the thread of Run.
type Toolkit struct {
	p    *i18n.Printer
	loop ptr
	// x11 is set where windows can be placed and raised by timestamp.
	x11     bool
	windows map[ptr]*window

	posts ui.Queue
}

// problem is an error that reads as a sentence in the person's language.
type problem struct {
	sentence string
	cause    error
}

func (e *problem) Error() string { return e.sentence }
func (e *problem) Unwrap() error { return e.cause }

// New loads GTK. Where it is missing, the error belongs to ErrMissing and says
// what to install. A process makes one Toolkit.
func New(p *i18n.Printer) (*Toolkit, error) {
	if err := load(); err != nil {
		return nil, &problem{p.T("PopupNoGTK"), errors.Join(ErrMissing, err)}
	}
	return &Toolkit{p: p, windows: make(map[ptr]*window)}, nil
}

// Run implements ui.Toolkit.
func (t *Toolkit) Run(ctx context.Context, started func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The program's name becomes the windows' class and application ID, by
	// which desktops find the launcher and its icon.
	gSetPrgname("earshot")
	gSetAppName("Earshot")
	if !start() {
		return &problem{t.p.T("PopupNoDisplay"), nil}
	}
	gIconName("earshot")
	t.x11 = gX11ServerTime != nil && gTypeName(gDisplayDefault()) == "GdkX11Display"
	addStyle()
	t.loop = gMainLoopNew(0, 0)
	defer gMainLoopUnref(t.loop)
	started()

	t.posts.Open(t.wake)
	stop := context.AfterFunc(ctx, func() { t.Post(func() { gMainLoopQuit(t.loop) }) })
	defer stop()
	gMainLoopRun(t.loop)

	t.posts.End()
	for _, w := range t.windows {
		w.Close()
	}
	return nil
}

// start connects GTK to the display.
func start() bool {
	// The first program of GTK in a session would load all of OpenGL, to ask for
	// visuals that these windows don't use: 60 MB and 60 ms. What a window starts,
	// a browser above all, is to know nothing of that.
	const name = "GDK_GL"
	if os.Getenv(name) == "" {
		gSetenv(name, "disable", 1)
		defer gUnsetenv(name)
	}
	return gInitCheck(0, 0) != 0
}

// Post implements ui.Toolkit.
func (t *Toolkit) Post(f func()) { t.posts.Post(f) }

// wake has the main loop drain the posts. Its priority is below that of the
// person's input and above that of drawing.
func (t *Toolkit) wake() {
	gIdleAddFull(priorityHighIdle, callbacks().idle, handlers.add(func(ptr) bool {
		t.posts.Drain()
		return false
	}), 0)
}

// table leads from user data to Go functions.
type table struct {
	mu   sync.Mutex
	next ptr
	byID map[ptr]func(arg ptr) bool
}

var handlers = table{byID: make(map[ptr]func(ptr) bool)}

func (t *table) add(f func(arg ptr) bool) ptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	t.byID[t.next] = f
	return t.next
}

func (t *table) remove(ids ...ptr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		delete(t.byID, id)
	}
}

// call calls a function, if it is still there: a destroyed widget may have
// signals under way.
func (t *table) call(id, arg ptr) int32 {
	t.mu.Lock()
	f := t.byID[id]
	t.mu.Unlock()
	if f != nil && f(arg) {
		return 1
	}
	return 0
}

// entries are the functions that C calls. C can't give them back, so they are
// made once and serve all signals of their shape.
type entries struct {
	plain ptr // void (*)(object, data)
	with  ptr // gboolean or void (*)(object, argument, data)
	ask   ptr // gboolean (*)(object, data)
	idle  ptr // gboolean (*)(data), once
	// What is written where dragged has it: of a drag over a widget, and of its
	// data.
	drag, data ptr
	// What a clipboard answers: which targets it has, and which URIs.
	targets, uris ptr
}

// dragged is what the drag signal under way is about. It belongs to the thread
// of Run.
var dragged struct {
	context, selection ptr
	time               uint32
}

// offered is what a clipboard has just answered, likewise.
var offered struct {
	list ptr
	n    int32
}

var callbacks = sync.OnceValue(func() entries {
	return entries{
		plain: purego.NewCallback(func(_, data ptr) { handlers.call(data, 0) }),
		with:  purego.NewCallback(func(_, arg, data ptr) int32 { return handlers.call(data, arg) }),
		ask:   purego.NewCallback(func(_, data ptr) int32 { return handlers.call(data, 0) }),
		idle: purego.NewCallback(func(data ptr) int32 {
			handlers.call(data, 0)
			handlers.remove(data)
			return 0
		}),
		drag: purego.NewCallback(func(_, context, _, _, time, data ptr) int32 {
			dragged.context, dragged.time = context, uint32(time)
			return handlers.call(data, 0)
		}),
		data: purego.NewCallback(func(_, context, _, _, selection, _, time, data ptr) {
			dragged.context, dragged.selection, dragged.time = context, selection, uint32(time)
			handlers.call(data, 0)
		}),
		targets: purego.NewCallback(func(_, list, n, data ptr) {
			offered.list, offered.n = list, int32(n)
			handlers.call(data, 0)
			handlers.remove(data)
		}),
		uris: purego.NewCallback(func(_, list, data ptr) {
			offered.list, offered.n = list, 0
			handlers.call(data, 0)
			handlers.remove(data)
		}),
	}
})

var _ ui.Toolkit = (*Toolkit)(nil)
