//go:build windows

package win32

import (
	"unsafe"

	"earshot/icons"
)

// The system's sizes of icons, as GetSystemMetrics counts its answers: those of
// the task switcher and those of title bars.
const (
	smLargeIcon = 11 // SM_CXICON
	smSmallIcon = 49 // SM_CXSMICON
)

// appIcon makes Earshot's icon in one of the system's sizes. It is 0 if the
// system makes none, and then windows have the system's plain one.
func appIcon(metric uintptr) handle {
	size, _, _ := getSystemMetrics.Call(metric)
	picture := icons.AppPNG(pictureFor(int(size)))
	const isIcon, version = 1, 0x00030000
	icon, _, _ := createIcon.Call(uintptr(unsafe.Pointer(&picture[0])), uintptr(len(picture)), isIcon, version, size, size, 0)
	return icon
}

// pictureFor is the smallest picture that need not be enlarged to a size.
func pictureFor(size int) int {
	for _, have := range icons.Sizes {
		if have >= size {
			return have
		}
	}
	return icons.Sizes[len(icons.Sizes)-1]
}
