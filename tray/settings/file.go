package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// FileError is a settings or policy file that can't be used.
type FileError struct {
	File string
	Line int // counted from 1
	// Key is set if the line has a key that Earshot doesn't know.
	Key string
	// Problem is what is wrong with a value otherwise, and Reason with how the
	// file is written.
	Problem *Problem
	Reason  string
}

// Error is a sentence that names the file and the line.
func (e *FileError) Error() string {
	switch {
	case e.Key != "":
		return fmt.Sprintf("%s, line %d: there is no setting called %q. Correct or remove the line.", e.File, e.Line, e.Key)
	case e.Problem != nil:
		return fmt.Sprintf("%s, line %d: %s", e.File, e.Line, e.Problem.Error())
	}
	return fmt.Sprintf("%s, line %d: %s. Correct the line.", e.File, e.Line, e.Reason)
}

// Unwrap is the problem, if there is one.
func (e *FileError) Unwrap() error {
	if e.Problem == nil {
		return nil
	}
	return e.Problem
}

// PlaceError is a policy outside of a file that can't be used.
type PlaceError struct {
	Place string // such as a key of the registry
	*Problem
}

// Error is a sentence that names the place.
func (e *PlaceError) Error() string { return e.Place + ": " + e.Problem.Error() }

// Unwrap is the problem.
func (e *PlaceError) Unwrap() error { return e.Problem }

// Decode reads a settings file. What is wrong with it is a *FileError that
// calls it by name.
func Decode(name string, content []byte) (Chosen, error) {
	all, lines, err := parseFile(name, content)
	if err != nil {
		return nil, err
	}
	return decode(name, "", all, lines)
}

// decode reads the values of one table of a file; under is its path.
func decode(name, under string, all map[string]any, lines map[string]int) (Chosen, error) {
	chosen := make(Chosen, len(all))
	for _, key := range byLine(all, under, lines) {
		line := lines[under+key]
		s, ok := Find(key)
		if !ok || s.Outside && under == "" {
			return nil, &FileError{File: name, Line: line, Key: key}
		}
		value := all[key]
		if n, isNumber := value.(int64); isNumber && key == "away_after" && n <= 0 {
			// The first versions took 0 for the default, and all below for never.
			if n == 0 {
				continue
			}
			value = int64(-1)
		}
		value, wrong := s.Check(value, time.Now())
		if wrong != nil {
			return nil, &FileError{File: name, Line: line, Problem: wrong}
		}
		chosen[key] = value
	}
	return chosen, nil
}

// byLine returns the keys of a table in the order in which they stand there, so
// that the first mistake is the one that is told.
func byLine(all map[string]any, under string, lines map[string]int) []string {
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if n := lines[under+a] - lines[under+b]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
}

// separator stands between the keys of a path; no key of ours holds it.
const separator = "\x00"

// parseFile reads TOML, and tells the line of each key by its path.
func parseFile(name string, content []byte) (all map[string]any, lines map[string]int, err error) {
	err = toml.Unmarshal(content, &all)
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return nil, nil, &FileError{File: name, Line: max(1, line), Reason: strings.TrimPrefix(wrong.Error(), "toml: ")}
	}
	if err != nil {
		return nil, nil, &FileError{File: name, Line: 1, Reason: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	lines = make(map[string]int)
	var p unstable.Parser
	p.Reset(content)
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		path, line := "", 0
		for keys := e.Key(); keys.Next(); {
			node := keys.Node()
			if line == 0 {
				line = p.Shape(node.Raw).Start.Line
			}
			path += string(node.Data) + separator
			first := strings.TrimSuffix(path, separator)
			if e.Kind == unstable.KeyValue {
				first = table + first
			}
			if _, known := lines[first]; !known {
				lines[first] = line
			}
		}
		if e.Kind != unstable.KeyValue {
			table = path
		}
	}
	return all, lines, nil
}

// Encode writes a settings file: what is chosen, in the order of the table, each
// under what it means.
func Encode(c Chosen) []byte {
	var b strings.Builder
	b.WriteString("# Earshot's settings: those that differ from the defaults. “earshot settings” lists all.\n" +
		"# What is changed here by hand takes effect when Earshot starts the next time.\n")
	for i := range table {
		s := &table[i]
		value, ok := c[s.Name]
		if !ok || s.Outside || s.Kind == Folk {
			continue
		}
		fmt.Fprintf(&b, "\n# %s\n%s = %s\n", strings.TrimSpace(english().T(s.Help)+" "+s.form()), s.Name, tomlValue(value))
	}
	people, _ := c["people"].(People)
	for _, name := range slices.Sorted(maps.Keys(people)) {
		person := people[name]
		fmt.Fprintf(&b, "\n[people.%s]\n", tomlString(name))
		for _, aspect := range aspects {
			if o := *person.aspect(aspect); o != AsUsual {
				fmt.Fprintf(&b, "%s = %s\n", aspect, tomlString(string(o)))
			}
		}
	}
	return []byte(b.String())
}

func tomlValue(value any) string {
	switch value := value.(type) {
	case bool:
		return strconv.FormatBool(value)
	case int:
		return strconv.Itoa(value)
	case string:
		return tomlString(value)
	}
	panic(fmt.Sprintf("settings: a value of type %T", value))
}

// tomlString is a basic string; it is a quoted key as well.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// DecodePolicy reads a policy file:
//
//	managed_by = "IT of Example Ltd."
//
//	[locked]          # nobody can change these
//	server = "earshot://chat.example.com/#…"
//
//	[recommended]     # hold for whoever chose nothing else
//	away_after = 5
func DecodePolicy(name string, content []byte) (Policy, error) {
	all, lines, err := parseFile(name, content)
	if err != nil {
		return Policy{}, err
	}
	var p Policy
	for _, key := range byLine(all, "", lines) {
		values, isTable := all[key].(map[string]any)
		switch {
		case key == "managed_by":
			text, isText := all[key].(string)
			if !isText {
				return Policy{}, &FileError{File: name, Line: lines[key], Problem: problem("SettingsWrongText")}
			}
			p.By = text
			continue
		case key != "locked" && key != "recommended":
			return Policy{}, &FileError{File: name, Line: lines[key], Key: key}
		case !isTable:
			return Policy{}, &FileError{File: name, Line: lines[key], Problem: problem("SettingsPolicyTable", "Table", key)}
		}
		rules, err := p.decode(name, key, values, lines)
		if err != nil {
			return Policy{}, err
		}
		if key == "locked" {
			p.Locked = rules
		} else {
			p.Recommended = rules
		}
	}
	return p, nil
}

func (p *Policy) decode(name, table string, values map[string]any, lines map[string]int) (map[string]Rule, error) {
	under := table + separator
	chosen, err := decode(name, under, values, lines)
	if err != nil {
		return nil, err
	}
	rules := make(map[string]Rule, len(chosen))
	for _, key := range byLine(values, under, lines) {
		if wrong := Permit(key, table == "locked"); wrong != nil {
			return nil, &FileError{File: name, Line: lines[under+key], Problem: wrong}
		}
		if value, ok := chosen[key]; ok {
			rules[key] = Rule{Value: value, From: name + ":" + strconv.Itoa(lines[under+key])}
		}
	}
	return rules, nil
}

// Permit says why a policy can't have a setting, or nil.
func Permit(name string, locked bool) *Problem {
	s, ok := Find(name)
	switch {
	case !ok:
		return problem("SettingsUnknown", "Name", name)
	case s.Personal:
		return problem("SettingsPersonal", "Name", name)
	case s.Outside && !locked:
		return problem("SettingsLockOnly", "Name", name)
	}
	return nil
}
