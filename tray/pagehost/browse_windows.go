package pagehost

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// Browse opens an address in the person's browser.
func Browse(url string) error {
	verb, err := windows.UTF16PtrFromString("open")
	if err != nil {
		return err
	}
	address, err := windows.UTF16PtrFromString(url)
	if err != nil {
		return err
	}
	if err := windows.ShellExecute(0, verb, address, nil, nil, windows.SW_SHOWNORMAL); err != nil {
		return fmt.Errorf("the browser does not open: %w", err)
	}
	return nil
}
