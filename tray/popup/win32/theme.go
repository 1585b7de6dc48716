//go:build windows

package win32

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

var (
	dwm              = windows.NewLazySystemDLL("dwmapi.dll")
	dwmSetAttribute  = dwm.NewProc("DwmSetWindowAttribute")
	uxtheme          = windows.NewLazySystemDLL("uxtheme.dll")
	setWindowTheme   = uxtheme.NewProc("SetWindowTheme")
	createSolidBrush = gdi32.NewProc("CreateSolidBrush")
	setBkColor       = gdi32.NewProc("SetBkColor")
)

// theme is what windows are drawn with. Colours are 0x00BBGGRR. Its brushes last
// as long as the process.
type theme struct {
	dark bool
	// back and text are the window's and the messages', field the entry's.
	back, field, text             uint32
	backBrush, fieldBrush         handle
	dim, green, red, notice, blue uint32
	highlight, highlighted        uint32
	highlightBrush                handle
}

// newTheme follows what the person has chosen for programs. Who needs high
// contrast has chosen colours, which are the system's.
func newTheme() theme {
	if darkApps() && !highContrast() {
		return darkTheme()
	}
	t := theme{dim: 0x00666666, green: 0x00477A1A, red: 0x002020B0, notice: 0x00104080, blue: 0x00905010}
	t.back, t.backBrush = systemColor(colorWindow)
	t.field, t.fieldBrush = t.back, t.backBrush
	t.text, _ = systemColor(colorWindowText)
	t.highlight, t.highlightBrush = systemColor(colorHighlight)
	t.highlighted, _ = systemColor(colorHighlightTxt)
	return t
}

func darkTheme() theme {
	t := theme{
		dark: true, back: 0x00202020, field: 0x002D2D2D, text: 0x00F2F2F2,
		dim: 0x00A8A8A8, green: 0x0078C850, red: 0x008080FF, notice: 0x0060C0FF, blue: 0x00F0B060,
		highlight: 0x00915A1F, highlighted: 0x00FFFFFF,
	}
	t.backBrush, _, _ = createSolidBrush.Call(uintptr(t.back))
	t.fieldBrush, _, _ = createSolidBrush.Call(uintptr(t.field))
	t.highlightBrush, _, _ = createSolidBrush.Call(uintptr(t.highlight))
	allowDark()
	return t
}

func systemColor(index uintptr) (color uint32, brush handle) {
	c, _, _ := getSysColor.Call(index)
	brush, _, _ = getSysColorBrush.Call(index)
	return uint32(c), brush
}

// darkApps is the person's choice, which Windows 10 and later have.
func darkApps() bool {
	key, err := registry.OpenKey(registry.CURRENT_USER, `SOFTWARE\Microsoft\Windows\CurrentVersion\Themes\Personalize`, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer key.Close()
	light, _, err := key.GetIntegerValue("AppsUseLightTheme")
	return err == nil && light == 0
}

func highContrast() bool {
	info := struct {
		size, flags uint32
		scheme      *uint16
	}{}
	info.size = uint32(unsafe.Sizeof(info))
	const get, on = 0x42, 1 // SPI_GETHIGHCONTRAST, HCF_HIGHCONTRASTON
	ok, _, _ := systemParameters.Call(get, uintptr(info.size), uintptr(unsafe.Pointer(&info)), 0)
	return ok != 0 && info.flags&on != 0
}

// allowDark has menus and scroll bars be dark, where Windows can: a call that has
// only a number (SetPreferredAppMode), since version 1809.
func allowDark() {
	const allow, number, since = 1, 135, 17763
	if windows.RtlGetVersion().BuildNumber < since || uxtheme.Load() != nil {
		return
	}
	if mode, err := windows.GetProcAddressByOrdinal(windows.Handle(uxtheme.Handle()), number); err == nil {
		_, _, _ = syscall.SyscallN(mode, allow)
	}
}

// frame gives a window's frame the theme, and control does so for what the
// system draws.
func (t *theme) frame(top hwnd) {
	if t.dark && dwmSetAttribute.Find() == nil {
		const immersiveDark = 20
		on := int32(1)
		dwmSetAttribute.Call(top, immersiveDark, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on))
	}
}

func (t *theme) control(control hwnd) {
	if t.dark && setWindowTheme.Find() == nil {
		setWindowTheme.Call(control, uintptr(unsafe.Pointer(str("DarkMode_Explorer"))), 0)
	}
}
