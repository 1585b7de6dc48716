package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Settings is what a person may choose, as settings.toml holds it. What is
// empty is not chosen.
type Settings struct {
	// Server is the coordinator, HOST or HOST:PORT.
	Server string `toml:"server,omitempty" comment:"The coordinator: HOST or HOST:PORT."`
	// Name is the person's name on the roster.
	Name string `toml:"name,omitempty" comment:"Your name on the roster; without it, your account's name."`
	// Language is a BCP 47 tag, or "auto".
	Language string `toml:"language,omitempty" comment:"Language of the windows and texts: en, zh-Hans or auto."`
	// Encoding is what is spoken to the coordinator, or "auto".
	Encoding string `toml:"encoding,omitempty" comment:"Encoding spoken to the coordinator: auto, utf-16le, utf-8 or gb18030."`
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

// Save replaces the settings file in one step: a crash leaves the old or the
// new one.
func (p Profile) Save(s Settings) (err error) {
	b, err := toml.Marshal(s)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	f, err := os.CreateTemp(p.dir, "settings-*.toml") // mode 0600
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("profile: %w", err)
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), p.Settings()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(p.Settings()))
}
