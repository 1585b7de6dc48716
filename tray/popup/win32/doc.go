// Package win32 shows the popup's windows with Windows' own controls, in pure
// Go: user32, gdi32 and the rich edit control, without resources or cgo. It
// implements ui.Toolkit. On other systems the package is empty.
//
// The messages are one read-only rich edit, so that text can be selected
// across messages and screen readers know it; the entry is a plain EDIT, in
// which every input method of the system works. There are no bubbles: own
// messages stand at the right, others' at the left. As a text has no buttons,
// one button below the messages sends the first failed message again.
package win32
