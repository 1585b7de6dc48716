//go:build windows

package win32

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	dtVCenter     = 0x0004
	dtSingleLine  = 0x0020
	dtWordBreak   = 0x0010
	dtCalcRect    = 0x0400
	dtRight       = 0x0002
	dtNoPrefix    = 0x0800
	dtEndEllipsis = 0x8000
)

// fonts are a window's fonts, for its monitor's resolution.
type fonts struct{ body, name, small handle }

func (f fonts) free() {
	for _, font := range []handle{f.body, f.name, f.small} {
		if font != 0 {
			deleteObject.Call(font)
		}
	}
}

// messageFont is the font that the person has chosen for messages, with its
// height in pixels at 96 dots per inch: Segoe UI 9 unless it was changed.
func messageFont(systemDPI int32) logFont {
	var metrics nonClientMetrics
	metrics.size = uint32(unsafe.Sizeof(metrics))
	const getMetrics = 0x29
	if ok, _, _ := systemParameters.Call(getMetrics, uintptr(metrics.size), uintptr(unsafe.Pointer(&metrics)), 0); ok == 0 {
		font := logFont{height: -12}
		face, _ := windows.UTF16FromString("Segoe UI")
		copy(font.face[:], face)
		return font
	}
	metrics.message.height = metrics.message.height * 96 / systemDPI
	return metrics.message
}

func newFonts(dpi, systemDPI int32) fonts {
	base := messageFont(systemDPI)
	sized := func(percent, weight int32) handle {
		font := base
		font.height = base.height * dpi / 96 * percent / 100
		font.weight = max(font.weight, weight)
		made, _, _ := createFontIndirect.Call(uintptr(unsafe.Pointer(&font)))
		return made
	}
	return fonts{body: sized(108, 0), name: sized(135, 600), small: sized(100, 0)}
}

// systemDPI is the resolution in which the system's metrics are given.
func systemDPI() int32 {
	const logPixelsX = 88
	dc, _, _ := getDC.Call(0)
	defer releaseDC.Call(0, dc)
	dpi, _, _ := getDeviceCaps.Call(dc, logPixelsX)
	return max(int32(dpi), 96)
}

// windowDPI is the resolution of the monitor on which a window stands.
func windowDPI(w hwnd) int32 {
	if dpiForWindow.Find() == nil {
		if dpi, _, _ := dpiForWindow.Call(w); dpi != 0 {
			return int32(dpi)
		}
	}
	return systemDPI()
}

func drawString(dc handle, text string, box *rect, format uintptr) {
	drawText.Call(dc, uintptr(unsafe.Pointer(str(text))), ^uintptr(0), uintptr(unsafe.Pointer(box)), format)
}

// measure returns how wide and high text is in font, wrapped at width if that
// is more than 0.
func (w *window) measure(font handle, text string, width int32) (wide, tall int32) {
	dc, _, _ := getDC.Call(w.top)
	defer releaseDC.Call(w.top, dc)
	old, _, _ := selectObject.Call(dc, font)
	defer selectObject.Call(dc, old)
	box := rect{right: width}
	format := uintptr(dtCalcRect | dtNoPrefix)
	if width > 0 {
		format |= dtWordBreak
	} else {
		format |= dtSingleLine
	}
	drawString(dc, text, &box, format)
	return box.right, box.bottom
}

func fillBox(dc handle, box *rect, brush handle) {
	fillRect.Call(dc, uintptr(unsafe.Pointer(box)), brush)
}
