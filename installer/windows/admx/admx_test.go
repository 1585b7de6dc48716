package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"earshot/tray/settings"
)

// Everything that the template names is there in both languages, every setting that
// a policy can have is in it, and what it writes into the registry is taken.
func TestTemplate(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "earshot.admx"))
	if err != nil {
		t.Fatal(err)
	}
	var d definitions
	if err := xml.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	categories := map[string]bool{}
	for _, c := range d.Categories {
		categories[c.Name] = true
	}
	seen := map[string]bool{}
	for _, p := range d.Policies {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if !categories[p.Parent.Ref] {
			t.Errorf("%s is in %q, which there isn't", p.Name, p.Parent.Ref)
		}
		taken(t, p)
	}
	for _, s := range settings.All() {
		if want := settings.Permit(s.Name, true) == nil; seen[s.Name] != want {
			t.Errorf("%s can be locked: %v, and in the template: %v", s.Name, want, seen[s.Name])
		}
		if want := settings.Permit(s.Name, false) == nil; seen["R_"+s.Name] != want {
			t.Errorf("%s can be recommended: %v, and in the template: %v", s.Name, want, seen["R_"+s.Name])
		}
	}
	for folder := range languages {
		translated(t, filepath.Join(dir, folder, "earshot.adml"), raw)
	}
}

// taken tries the values that a policy writes.
func taken(t *testing.T, p policy) {
	t.Helper()
	var name string
	var values []string
	switch {
	case p.Name == managedBy:
		return
	case p.Enabled != nil:
		name, values = p.Value, []string{p.Enabled.String, p.Disabled.String}
	case p.Elements.Enum != nil:
		name = p.Elements.Enum.Value
		for _, i := range p.Elements.Enum.Items {
			values = append(values, i.Value.String)
		}
	default:
		name = p.Elements.Text.Value
	}
	s, ok := settings.Find(name)
	if !ok {
		t.Fatalf("%s sets %q, which there isn't", p.Name, name)
	}
	for _, v := range values {
		if _, wrong := s.Check(v, time.Now()); wrong != nil {
			t.Errorf("%s writes %q: %v", p.Name, v, wrong)
		}
	}
}

var named = regexp.MustCompile(`\$\((string|presentation)\.([^)]+)\)`)

func translated(t *testing.T, file string, template []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f resourcesFile
	if err := xml.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, s := range f.Strings {
		if has["string"+s.ID] || s.Text == "" {
			t.Errorf("%s: %s is %q, or there twice", file, s.ID, s.Text)
		}
		has["string"+s.ID] = true
	}
	for _, p := range f.Presentations {
		has["presentation"+p.ID] = true
	}
	for _, match := range named.FindAllSubmatch(template, -1) {
		if !has[string(match[1])+string(match[2])] {
			t.Errorf("%s has no %s %s", file, match[1], match[2])
		}
	}
}
