//go:build windows

package win32

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// hwnd and handle are handles of windows and of other things.
type (
	hwnd   = uintptr
	handle = uintptr
)

var (
	user32   = windows.NewLazySystemDLL("user32.dll")
	gdi32    = windows.NewLazySystemDLL("gdi32.dll")
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	imm32    = windows.NewLazySystemDLL("imm32.dll")
	shell32  = windows.NewLazySystemDLL("shell32.dll")

	getModuleHandle = kernel32.NewProc("GetModuleHandleW")

	shellExecute = shell32.NewProc("ShellExecuteW")
	dragAccept   = shell32.NewProc("DragAcceptFiles")
	dragFinish   = shell32.NewProc("DragFinish")

	registerClass      = user32.NewProc("RegisterClassExW")
	createWindow       = user32.NewProc("CreateWindowExW")
	destroyWindow      = user32.NewProc("DestroyWindow")
	defWindowProc      = user32.NewProc("DefWindowProcW")
	callWindowProc     = user32.NewProc("CallWindowProcW")
	setWindowLong      = user32.NewProc("SetWindowLongPtrW")
	showWindow         = user32.NewProc("ShowWindow")
	updateWindow       = user32.NewProc("UpdateWindow")
	enableWindow       = user32.NewProc("EnableWindow")
	isZoomed           = user32.NewProc("IsZoomed")
	hasFormat          = user32.NewProc("IsClipboardFormatAvailable")
	getWindowRect      = user32.NewProc("GetWindowRect")
	isIconic           = user32.NewProc("IsIconic")
	setForeground      = user32.NewProc("SetForegroundWindow")
	setFocus           = user32.NewProc("SetFocus")
	getFocus           = user32.NewProc("GetFocus")
	setWindowText      = user32.NewProc("SetWindowTextW")
	getWindowText      = user32.NewProc("GetWindowTextW")
	getWindowTextLen   = user32.NewProc("GetWindowTextLengthW")
	setWindowPos       = user32.NewProc("SetWindowPos")
	moveWindow         = user32.NewProc("MoveWindow")
	getClientRect      = user32.NewProc("GetClientRect")
	getCursorPos       = user32.NewProc("GetCursorPos")
	monitorFromPoint   = user32.NewProc("MonitorFromPoint")
	getMonitorInfo     = user32.NewProc("GetMonitorInfoW")
	adjustWindowRect   = user32.NewProc("AdjustWindowRectEx")
	sendMessage        = user32.NewProc("SendMessageW")
	postMessage        = user32.NewProc("PostMessageW")
	getMessage         = user32.NewProc("GetMessageW")
	translateMessage   = user32.NewProc("TranslateMessage")
	dispatchMessage    = user32.NewProc("DispatchMessageW")
	getKeyState        = user32.NewProc("GetKeyState")
	getNextTabItem     = user32.NewProc("GetNextDlgTabItem")
	getAncestor        = user32.NewProc("GetAncestor")
	invalidateRect     = user32.NewProc("InvalidateRect")
	getDC              = user32.NewProc("GetDC")
	releaseDC          = user32.NewProc("ReleaseDC")
	drawText           = user32.NewProc("DrawTextW")
	getScrollInfo      = user32.NewProc("GetScrollInfo")
	fillRect           = user32.NewProc("FillRect")
	getSysColor        = user32.NewProc("GetSysColor")
	screenToClient     = user32.NewProc("ScreenToClient")
	clientToScreen     = user32.NewProc("ClientToScreen")
	createPopupMenu    = user32.NewProc("CreatePopupMenu")
	destroyMenu        = user32.NewProc("DestroyMenu")
	appendMenu         = user32.NewProc("AppendMenuW")
	trackPopupMenu     = user32.NewProc("TrackPopupMenu")
	getSysColorBrush   = user32.NewProc("GetSysColorBrush")
	hideCaret          = user32.NewProc("HideCaret")
	showCaret          = user32.NewProc("ShowCaret")
	loadCursor         = user32.NewProc("LoadCursorW")
	createIcon         = user32.NewProc("CreateIconFromResourceEx")
	getSystemMetrics   = user32.NewProc("GetSystemMetrics")
	systemParameters   = user32.NewProc("SystemParametersInfoW")
	setDPIAwareness    = user32.NewProc("SetProcessDpiAwarenessContext")
	dpiForWindow       = user32.NewProc("GetDpiForWindow")
	createFontIndirect = gdi32.NewProc("CreateFontIndirectW")
	deleteObject       = gdi32.NewProc("DeleteObject")
	selectObject       = gdi32.NewProc("SelectObject")
	setTextColor       = gdi32.NewProc("SetTextColor")
	setBkMode          = gdi32.NewProc("SetBkMode")
	getDeviceCaps      = gdi32.NewProc("GetDeviceCaps")

	immGetContext     = imm32.NewProc("ImmGetContext")
	immReleaseContext = imm32.NewProc("ImmReleaseContext")
	immGetComposition = imm32.NewProc("ImmGetCompositionStringW")
)

type point struct{ x, y int32 }

type rect struct{ left, top, right, bottom int32 }

type message struct {
	window  hwnd
	message uint32
	wparam  uintptr
	lparam  uintptr
	time    uint32
	at      point
	_       uint32
}

type windowClass struct {
	size, style          uint32
	proc                 uintptr
	classExtra, winExtra int32
	instance, icon       handle
	cursor, background   handle
	menu, name           *uint16
	smallIcon            handle
}

type monitorInfo struct {
	size          uint32
	monitor, work rect
	flags         uint32
}

type minMaxInfo struct {
	_, _, _, minTrack, _ point
}

type logFont struct {
	height, width, escapement, orientation, weight int32
	_                                              [8]byte
	face                                           [32]uint16
}

type nonClientMetrics struct {
	size    uint32
	_       [5]int32
	_       logFont // caption
	_       [2]int32
	_       logFont // small caption
	_       [2]int32
	_, _    logFont // menu, status
	message logFont
	_       int32
}

type drawItem struct {
	_, _, item, _, state uint32
	_                    hwnd
	dc                   handle
	box                  rect
	_                    uintptr
}

type measureItem struct {
	_, _, _, _, height uint32
	_                  uintptr
}

const (
	wsPopupFrame  = 0x00CF0000 // WS_OVERLAPPEDWINDOW
	wsClipKids    = 0x02000000
	wsChild       = 0x40000000
	wsVisible     = 0x10000000
	wsTab         = 0x00010000
	wsScroll      = 0x00200000
	wsBorder      = 0x00800000
	esMultiline   = 0x0004
	esAutoV       = 0x0040
	esAutoH       = 0x0080
	esReadOnly    = 0x0800
	esWantReturn  = 0x1000
	ssNoPrefix    = 0x0080
	ssEndEllipsis = 0x4000
	ssCenter      = 0x0001
	lbsNotify     = 0x0001
	lbsOwnerDraw  = 0x0010
	lbsStrings    = 0x0040
	lbsNoIntegral = 0x0100

	wmDestroy         = 0x0002
	wmSize            = 0x0005
	wmActivate        = 0x0006
	wmSetFocus        = 0x0007
	wmNCDestroy       = 0x0082
	wmSetRedraw       = 0x000B
	wmPaint           = 0x000F
	wmClose           = 0x0010
	wmGetMinMax       = 0x0024
	wmDrawItem        = 0x002B
	wmMeasureItem     = 0x002C
	wmSetFont         = 0x0030
	wmKeyDown         = 0x0100
	wmLeftUp          = 0x0202
	wmRightUp         = 0x0205
	vkApps            = 0x5D
	wmChar            = 0x0102
	wmStartCompose    = 0x010D
	wmEndCompose      = 0x010E
	wmCommand         = 0x0111
	wmNotify          = 0x004E
	wmColorEdit       = 0x0133
	wmColorList       = 0x0134
	wmColorButton     = 0x0135
	wmColorStatic     = 0x0138
	wmDPIChanged      = 0x02E0
	wmUser            = 0x0400
	wmSizeEnd         = 0x0232 // WM_EXITSIZEMOVE
	wmDropFiles       = 0x0233
	wmCopy            = 0x0301
	wmPaste           = 0x0302
	wmApp             = 0x8000
	enChange          = 0x0300
	emSetSel          = 0x00B1
	emReplaceSel      = 0x00C2
	emSetMargins      = 0x00D3
	bmClick           = 0x00F5
	lbAddString       = 0x0180
	lbResetContent    = 0x0184
	lbSetCurSel       = 0x0186
	lbGetCurSel       = 0x0188
	lbSetItemHeight   = 0x01A0
	lbnSelChange      = 1
	vkTab             = 0x09
	vkReturn          = 0x0D
	vkShift           = 0x10
	vkControl         = 0x11
	vkMenu            = 0x12
	vkEscape          = 0x1B
	vkBack            = 0x08
	vkPrior           = 0x21
	vkNext            = 0x22
	vkUp              = 0x26
	vkDown            = 0x28
	colorWindow       = 5
	colorWindowText   = 8
	colorHighlight    = 13
	colorHighlightTxt = 14
)

// str returns a text for Windows. A NUL within would end it early and becomes
// a space.
func str(text string) *uint16 {
	p, err := windows.UTF16PtrFromString(text)
	if err != nil {
		b := []byte(text)
		for i := range b {
			if b[i] == 0 {
				b[i] = ' '
			}
		}
		p, _ = windows.UTF16PtrFromString(string(b))
	}
	return p
}

func send(w hwnd, message uint32, wparam, lparam uintptr) uintptr {
	answer, _, _ := sendMessage.Call(w, uintptr(message), wparam, lparam)
	return answer
}

// sendText sends a message whose lparam is a text.
func sendText(w hwnd, message uint32, wparam uintptr, text string) uintptr {
	answer, _, _ := sendMessage.Call(w, uintptr(message), wparam, uintptr(unsafe.Pointer(str(text))))
	return answer
}

func setText(w hwnd, text string) {
	setWindowText.Call(w, uintptr(unsafe.Pointer(str(text))))
}

func textOf(w hwnd) string {
	n, _, _ := getWindowTextLen.Call(w)
	buffer := make([]uint16, n+1)
	getWindowText.Call(w, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	return windows.UTF16ToString(buffer)
}

func show(w hwnd, visible bool) {
	const hide, showHere = 0, 8 // SW_HIDE, SW_SHOWNA
	command := uintptr(hide)
	if visible {
		command = showHere
	}
	showWindow.Call(w, command)
}

func held(key uintptr) bool {
	state, _, _ := getKeyState.Call(key)
	return state&0x8000 != 0
}

func low(v uintptr) uintptr  { return v & 0xFFFF }
func high(v uintptr) uintptr { return v >> 16 & 0xFFFF }
