//go:build !windows && !darwin

package autostart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func (e Entry) file() (string, error) {
	config, err := os.UserConfigDir() // XDG_CONFIG_HOME or ~/.config
	if err != nil {
		return "", fmt.Errorf("autostart: %w", err)
	}
	return filepath.Join(config, "autostart", e.ID+".desktop"), nil
}

// On makes the program start at login.
func (e Entry) On() error {
	file, err := e.file()
	if err != nil {
		return err
	}
	return write(file, 0o700, []byte(e.desktop()))
}

// Status says whether the program starts at login. An entry that a desktop's
// settings have switched off counts as off.
func (e Entry) Status() (bool, error) {
	file, err := e.file()
	if err != nil {
		return false, err
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("autostart: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		switch strings.ReplaceAll(strings.TrimSpace(line), " ", "") {
		case "Hidden=true", "X-GNOME-Autostart-enabled=false":
			return false, nil
		}
	}
	return true, nil
}

// desktop is the entry as the Desktop Entry Specification 1.5 has it.
func (e Entry) desktop() string {
	words := []string{quote(e.Program)}
	for _, a := range e.Args {
		words = append(words, quote(a))
	}
	return "[Desktop Entry]\nType=Application\nName=Earshot\nComment=Instant messages\nComment[zh_CN]=即时消息\n" +
		"Exec=" + escapeString(strings.Join(words, " ")) + "\nIcon=earshot\nTerminal=false\nX-GNOME-Autostart-enabled=true\n"
}

// quote is a word of Exec: in double quotes, within which a backslash goes
// before ", `, $ and \, and a percent sign is doubled.
func quote(word string) string {
	word = strings.NewReplacer(`"`, `\"`, "`", "\\`", `$`, `\$`, `\`, `\\`, `%`, `%%`).Replace(word)
	return `"` + word + `"`
}

// escapeString is the escaping of every value, which is undone before Exec's
// own quoting is.
func escapeString(value string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(value)
}
