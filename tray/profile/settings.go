package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Settings is what a person may choose, as settings.toml holds it. What is
// empty is not chosen.
type Settings struct {
	// Server is the coordinator: HOST, HOST:PORT or its link.
	Server string `toml:"server,omitempty" comment:"The coordinator: HOST, HOST:PORT or its link, earshot://HOST/#FINGERPRINT."`
	// Name is the person's name on the roster.
	Name string `toml:"name,omitempty" comment:"Your name on the roster; without it, your account's name."`
	// Language is a BCP 47 tag, or "auto".
	Language string `toml:"language,omitempty" comment:"Language of the windows and texts: en, zh-Hans or auto."`
	// Encoding is what is spoken to the coordinator, or "auto".
	Encoding string `toml:"encoding,omitempty" comment:"Encoding spoken to the coordinator: auto, utf-16le, utf-8 or gb18030."`
	// ReadReceipts says whether others learn what the person has read: "on",
	// which is the default, or "off".
	ReadReceipts string `toml:"read_receipts,omitempty" comment:"Whether others see that you have read their messages: on or off."`
	// AwayAfter is after how many minutes without keyboard or mouse the person
	// is away; 0 is the default, and below 0 is never.
	AwayAfter int `toml:"away_after,omitempty" comment:"Minutes without keyboard or mouse until you are away; -1 is never."`
	// Keyring says whether the device's key is kept in the system's keyring:
	// "auto", which is the default, or "off".
	Keyring string `toml:"keyring,omitempty" comment:"Whether your key is kept in the system's keyring where there is one: auto or off."`
	// PortMapping says whether the router may be asked to open a port: "on",
	// which is the default, or "off".
	PortMapping string `toml:"port_mapping,omitempty" comment:"Whether your router is asked to open a port, so that others reach you directly more often: on or off."`
}

// DefaultAwayAfter is what an AwayAfter of 0 means, in minutes.
const DefaultAwayAfter = 10

// SendsReceipts says whether others learn what the person has read.
func (s Settings) SendsReceipts() bool { return s.ReadReceipts != "off" }

// MapsPort says whether the router is asked to open a port.
func (s Settings) MapsPort() bool { return s.PortMapping != "off" }

// AwayTime is how long the person leaves the computer alone before others see
// that; 0 is forever.
func (s Settings) AwayTime() time.Duration {
	minutes := cmp.Or(s.AwayAfter, DefaultAwayAfter)
	return time.Duration(max(0, minutes)) * time.Minute
}

// Encodings are the values that Settings.Encoding may have.
var Encodings = []string{"auto", "utf-16le", "utf-8", "gb18030"}

// SettingsError is a settings file that can't be used.
type SettingsError struct {
	File string
	Line int // counted from 1
	// Key is set if the line has a key that Earshot doesn't know.
	Key string
	// Reason says what is wrong with the line otherwise.
	Reason string
}

// Error is a sentence that names the file and the line.
func (e *SettingsError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("%s, line %d: there is no setting called %q. Correct or remove the line.", e.File, e.Line, e.Key)
	}
	return fmt.Sprintf("%s, line %d: %s. Correct the line.", e.File, e.Line, e.Reason)
}

// Load reads the settings; a file that doesn't exist is empty. What is wrong
// with its content is a *SettingsError.
func (p Profile) Load() (Settings, error) {
	var s Settings
	b, err := os.ReadFile(p.Settings())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("profile: %w", err)
	}
	err = toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&s)
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return Settings{}, &SettingsError{File: p.Settings(), Line: line, Key: strings.Join(first.Key(), ".")}
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return Settings{}, &SettingsError{File: p.Settings(), Line: line, Reason: strings.TrimPrefix(wrong.Error(), "toml: ")}
	}
	if err != nil {
		return Settings{}, fmt.Errorf("profile: %s: %w", p.Settings(), err)
	}
	return s, nil
}

// Save replaces the settings file.
func (p Profile) Save(s Settings) error {
	b, err := toml.Marshal(s)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return p.replace(p.Settings(), b)
}
