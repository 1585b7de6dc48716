package main

import (
	"os"
	"os/exec"

	"golang.org/x/sys/windows"
)

// attachParent is ATTACH_PARENT_PROCESS.
const attachParent = ^uintptr(0)

// attachConsole is kernel32's AttachConsole, which x/sys lacks.
var attachConsole = windows.NewLazySystemDLL("kernel32.dll").NewProc("AttachConsole")

// openConsole has a command read from and print on the console that it was
// started from. A program for the desktop, which this is so that no console
// window opens with it, gets that only by asking. What is redirected stays so.
func (c *command) openConsole() {
	in, out, errOut := usable(windows.STD_INPUT_HANDLE), usable(windows.STD_OUTPUT_HANDLE), usable(windows.STD_ERROR_HANDLE)
	if in && out && errOut {
		return
	}
	// It fails if there is a console already, which is then the one to open,
	// and if nothing that has a console started the program.
	_, _, _ = attachConsole.Call(attachParent)
	if !in {
		if console, err := os.OpenFile("CONIN$", os.O_RDWR, 0); err == nil {
			c.in = console
		}
	}
	if out && errOut {
		return
	}
	console, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return
	}
	if !out {
		c.out = console
	}
	if !errOut {
		c.errOut = console
	}
}

// usable says whether a standard handle leads anywhere.
func usable(which uint32) bool {
	handle, err := windows.GetStdHandle(which)
	if err != nil || handle == 0 {
		return false
	}
	_, err = windows.GetFileType(handle)
	return err == nil
}

// alert shows why the client did not start, if that can't be read on a console:
// who has double-clicked the program would see nothing at all.
func (c *command) alert(sentence string) {
	if file, ok := c.errOut.(*os.File); !ok || file != os.Stderr || usable(windows.STD_ERROR_HANDLE) {
		return
	}
	text, err := windows.UTF16PtrFromString(sentence)
	if err != nil {
		return
	}
	title := windows.StringToUTF16Ptr("Earshot")
	_, _ = windows.MessageBox(0, text, title, windows.MB_OK|windows.MB_ICONERROR|windows.MB_SETFOREGROUND)
}

// withoutConsole has a process that is started get no console window, also when
// the program was built as one for the console.
func withoutConsole(cmd *exec.Cmd) {
	// Not HideWindow, which Windows would apply to the popup's first window.
	cmd.SysProcAttr = &windows.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW}
}
