package doctor

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"earshot/tray/i18n"
	"earshot/tray/settings"
)

// maxLog is how much of a log is in a bundle, its end, in bytes.
const maxLog = 1 << 20

// private are the settings that are left out of a bundle: a coordinator's link
// may hold an invitation.
var private = []string{"server", "people"}

// Bundle writes a ZIP file for whoever helps: the report in English, what is set
// but for the coordinator's link and single people, and the ends of the logs.
// There are neither messages nor keys among that: the logs have never had any.
func Bundle(w io.Writer, r Report, items []settings.Item, logs ...string) error {
	z := zip.NewWriter(w)
	add := func(name string, text []byte) error {
		f, err := z.Create(name)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return err
	}
	report, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	set := make(map[string]any)
	for _, item := range items {
		if !hidden(item.Name) {
			set[item.Name] = item.Value
		}
	}
	chosen, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{"report.txt", []byte(r.Text(i18n.New("en")))}, {"report.json", report}, {"settings.json", chosen}} {
		if err := add(file.name, file.text); err != nil {
			return err
		}
	}
	for _, log := range logs {
		text, err := tail(log)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := add(filepath.Base(log), text); err != nil {
			return err
		}
	}
	return z.Close()
}

func hidden(name string) bool {
	for _, p := range private {
		if name == p || strings.HasPrefix(name, p+".") {
			return true
		}
	}
	return false
}

// tail returns the last whole lines of a file.
func tail(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(info.Size()-maxLog, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, from, maxLog))
	if from > 0 {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	return text, err
}
