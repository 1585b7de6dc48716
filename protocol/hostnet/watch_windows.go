package hostnet

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// settleFor is how long a row of calls may take that one change causes.
const settleFor = 100 * time.Millisecond

var (
	powrprof            = windows.NewLazySystemDLL("powrprof.dll")
	registerSuspend     = powrprof.NewProc("PowerRegisterSuspendResumeNotification")
	unregisterSuspend   = powrprof.NewProc("PowerUnregisterSuspendResumeNotification")
	onAddress, onResume = sync.OnceValue(newAddressCallback), sync.OnceValue(newResumeCallback)
)

// watchers are those that callbacks are for: Windows calls them on threads of
// its own, and callbacks can't be freed.
var watchers struct {
	mu  sync.Mutex
	all map[chan Change]struct{}
}

func announce(c Change) {
	watchers.mu.Lock()
	defer watchers.mu.Unlock()
	for news := range watchers.all {
		select {
		case news <- c:
		default: // enough are yet to be told
		}
	}
}

// newAddressCallback is a PUNICAST_IPADDRESS_CHANGE_CALLBACK.
func newAddressCallback() uintptr {
	return windows.NewCallback(func(_, _ uintptr, kind uint32) uintptr {
		const initial = 3 // MibInitialNotification
		if kind != initial {
			announce(Moved)
		}
		return 0
	})
}

// newResumeCallback is a DEVICE_NOTIFY_CALLBACK_ROUTINE.
func newResumeCallback() uintptr {
	return windows.NewCallback(func(_ uintptr, event uint32, _ uintptr) uintptr {
		const automatic, byPerson = 0x12, 7 // PBT_APMRESUMEAUTOMATIC, PBT_APMRESUMESUSPEND
		if event == automatic || event == byPerson {
			announce(Woke)
		}
		return 0
	})
}

// Watch has Windows call back for addresses and for the end of sleep. A clock
// that is set tells nobody but windows.
func (portable) Watch(ctx context.Context, changed func(Change)) error {
	news := make(chan Change, 2)
	watchers.mu.Lock()
	if watchers.all == nil {
		watchers.all = make(map[chan Change]struct{})
	}
	watchers.all[news] = struct{}{}
	watchers.mu.Unlock()
	defer func() {
		watchers.mu.Lock()
		defer watchers.mu.Unlock()
		delete(watchers.all, news)
	}()
	var addresses windows.Handle
	if err := windows.NotifyUnicastIpAddressChange(windows.AF_UNSPEC, onAddress(), nil, false, &addresses); err != nil {
		return fmt.Errorf("%w: NotifyUnicastIpAddressChange: %w", ErrWatch, err)
	}
	defer windows.CancelMibChangeNotify2(addresses)
	defer watchSleep()()
	for {
		select {
		case c := <-news:
			if c == Moved && !settle(ctx, news) {
				return nil
			}
			changed(c)
		case <-ctx.Done():
			return nil
		}
	}
}

// settle waits until one change has had all its calls. It says false when ctx
// ends.
func settle(ctx context.Context, news chan Change) bool {
	if !Pause(ctx, settleFor) {
		return false
	}
	for {
		select {
		case c := <-news:
			if c == Woke {
				announce(Woke)
				return true
			}
		default:
			return true
		}
	}
}

// watchSleep asks for calls at the end of sleep, and returns what ends them. A
// Windows without (before 8) has a look now and then instead.
func watchSleep() (stop func()) {
	// DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS
	parameters := struct{ callback, context uintptr }{callback: onResume()}
	var handle uintptr
	const asCallback = 2 // DEVICE_NOTIFY_CALLBACK
	if registerSuspend.Find() != nil || unregisterSuspend.Find() != nil {
		return func() {}
	}
	if r, _, _ := registerSuspend.Call(asCallback, uintptr(unsafe.Pointer(&parameters)), uintptr(unsafe.Pointer(&handle))); r != 0 {
		return func() {}
	}
	return func() { _, _, _ = unregisterSuspend.Call(handle) }
}
