package autostart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

func (e Entry) file() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("autostart: %w", err)
	}
	return filepath.Join(home, "Library", "LaunchAgents", e.ID+".plist"), nil
}

// On makes the program start at login.
func (e Entry) On() error {
	file, err := e.file()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + `<plist version="1.0"><dict><key>Label</key>`)
	value := func(s string) {
		b.WriteString("<string>")
		_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes everything
		b.WriteString("</string>")
	}
	value(e.ID)
	b.WriteString("<key>ProgramArguments</key><array>")
	for _, word := range append([]string{e.Program}, e.Args...) {
		value(word)
	}
	b.WriteString("</array><key>RunAtLoad</key><true/></dict></plist>\n")
	return write(file, 0o755, b.Bytes())
}

// Status says whether the program starts at login.
func (e Entry) Status() (bool, error) {
	file, err := e.file()
	if err != nil {
		return false, err
	}
	_, err = os.Stat(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("autostart: %w", err)
	}
	return err == nil, nil
}
