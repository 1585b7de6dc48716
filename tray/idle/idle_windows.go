package idle

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	user32           = windows.NewLazySystemDLL("user32.dll")
	getLastInputInfo = user32.NewProc("GetLastInputInfo")
	kernel32         = windows.NewLazySystemDLL("kernel32.dll")
	getTickCount     = kernel32.NewProc("GetTickCount")
)

func open(context.Context) (source, error) {
	for _, proc := range []*windows.LazyProc{getLastInputInfo, getTickCount} {
		if err := proc.Find(); err != nil {
			return nil, err
		}
	}
	return session{}, nil
}

// session is the one that this process is in.
type session struct{}

// lastInputInfo is LASTINPUTINFO.
type lastInputInfo struct{ size, tick uint32 }

func (session) idle(context.Context) (time.Duration, error) {
	info := lastInputInfo{size: uint32(unsafe.Sizeof(lastInputInfo{}))}
	if ok, _, err := getLastInputInfo.Call(uintptr(unsafe.Pointer(&info))); ok == 0 {
		return 0, fmt.Errorf("GetLastInputInfo: %w", err)
	}
	now, _, _ := getTickCount.Call()
	// Both count milliseconds since the start, and wrap after 49.7 days.
	return time.Duration(uint32(now)-info.tick) * time.Millisecond, nil
}

func (session) close() {}
