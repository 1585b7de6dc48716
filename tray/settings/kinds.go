package settings

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	peer "earshot/p2p/classic"
	"earshot/protocol/classic"
	"earshot/protocol/identity"
	"earshot/tray/i18n"
)

// Kind is what values of a setting look like.
type Kind string

const (
	// Switch is a bool: on or off.
	Switch Kind = "switch"
	// Number is an int.
	Number Kind = "number"
	// Choice is one of a few strings.
	Choice Kind = "choice"
	// Text is a string.
	Text Kind = "text"
	// Clock is a time of the day as HH:MM, a string.
	Clock Kind = "clock"
	// Until is a moment that passes, as RFC 3339, or empty: a string. A length
	// of time, such as 2h, is taken for the moment at its end.
	Until Kind = "until"
	// Folk is People.
	Folk Kind = "people"
)

// Problem is why a value can't be. Its text is a sentence.
type Problem struct {
	id   string
	args []any
}

func problem(id string, args ...any) *Problem { return &Problem{id, args} }

var english = sync.OnceValue(func() *i18n.Printer { return i18n.New("en") })

// Error is the sentence in English.
func (p *Problem) Error() string { return p.In(english()) }

// In is the sentence in a language.
func (p *Problem) In(printer *i18n.Printer) string { return printer.T(p.id, p.args...) }

// Check returns a value as a setting has it: a bool, an int, a string or
// People. It takes what TOML, JSON, the registry and the command line give.
func (s *Setting) Check(value any, now time.Time) (any, *Problem) {
	switch value := value.(type) {
	case string:
		if s.Kind != Folk {
			return s.parse(value, now)
		}
	case bool:
		if s.Kind == Switch {
			return value, nil
		}
	case float64: // JSON's only number
		if value == math.Trunc(value) && math.Abs(value) < 1<<31 {
			return s.number(int64(value))
		}
	case int64:
		return s.number(value)
	case int:
		return s.number(int64(value))
	case People:
		if s.Kind == Folk {
			return value.check()
		}
	case map[string]any:
		if s.Kind == Folk {
			return parsePeople(value)
		}
	}
	return nil, s.wrong()
}

// number takes a number; a registry has no other switches than 0 and 1.
func (s *Setting) number(n int64) (any, *Problem) {
	switch {
	case s.Kind == Switch && (n == 0 || n == 1):
		return n == 1, nil
	case s.Kind != Number:
		return nil, s.wrong()
	case slices.ContainsFunc(s.Words, func(w Word) bool { return int64(w.Value) == n }):
		return int(n), nil
	case n < int64(s.Min) || n > int64(s.Max):
		return nil, s.wrong()
	}
	return int(n), nil
}

// parse reads a value as people write it.
func (s *Setting) parse(text string, now time.Time) (any, *Problem) {
	switch s.Kind {
	case Switch:
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "on", "true", "yes", "1":
			return true, nil
		case "off", "false", "no", "0":
			return false, nil
		}
	case Number:
		text = strings.TrimSpace(text)
		for _, w := range s.Words {
			if strings.EqualFold(text, w.Word) {
				return w.Value, nil
			}
		}
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return s.number(n)
		}
	case Choice:
		if slices.Contains(s.values(), text) {
			return text, nil
		}
	case Text:
		return s.text(text)
	case Clock:
		for _, layout := range []string{"15:04", "15:04:05"} {
			if at, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
				return at.Format("15:04"), nil
			}
		}
	case Until:
		if until, ok := parseUntil(strings.TrimSpace(text), now); ok {
			return until, nil
		}
	}
	return nil, s.wrong()
}

func (s *Setting) text(text string) (any, *Problem) {
	text = strings.TrimSpace(text)
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return nil, problem("SettingsWrongText")
	case s.check != nil && text != "" && text != s.Default:
		if wrong := s.check(text); wrong != nil {
			return nil, wrong
		}
	}
	if utf8.RuneCountInString(text) > s.Max {
		return nil, problem("SettingsWrongLength", "Limit", s.Max)
	}
	if text == "" {
		return s.Default, nil
	}
	return text, nil
}

// longestUntil is how far ahead one may wish for quiet.
const longestUntil = 366 * 24 * time.Hour

func parseUntil(text string, now time.Time) (until string, ok bool) {
	if text == "" || strings.EqualFold(text, "off") {
		return "", true
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		// What a browser's field for a date and a time gives.
		at, err = time.ParseInLocation("2006-01-02T15:04", text, now.Location())
	}
	if err != nil {
		length, err := time.ParseDuration(text)
		if err != nil || length <= 0 || length > longestUntil {
			return "", false
		}
		at = now.Add(length)
	}
	if at.Sub(now) > longestUntil {
		return "", false
	}
	return at.Format(time.RFC3339), true
}

// wrong says what the values of a setting look like.
func (s *Setting) wrong() *Problem {
	switch s.Kind {
	case Switch:
		return problem("SettingsWrongSwitch")
	case Number:
		if len(s.Words) > 0 {
			return problem("SettingsWrongNumberOr", "Min", s.Min, "Max", s.Max, "Word", s.Words[0].Word)
		}
		return problem("SettingsWrongNumber", "Min", s.Min, "Max", s.Max)
	case Choice:
		return problem("SettingsWrongChoice", "Known", strings.Join(s.values(), ", "))
	case Clock:
		return problem("SettingsWrongClock")
	case Until:
		return problem("SettingsWrongUntil")
	case Folk:
		return problem("SettingsWrongPeople")
	}
	return problem("SettingsWrongText")
}

// form says in a file what may be written.
func (s *Setting) form() string {
	switch s.Kind {
	case Switch:
		return "Write true or false."
	case Until:
		return "Write the date and time of its end."
	case Text:
		if len(s.Choices) > 0 {
			return "Such as " + strings.Join(s.values(), ", ") + "."
		}
		return ""
	}
	return s.wrong().Error()
}

// Text is a value as people write it, and as parse reads it.
func (s *Setting) Text(value any) string {
	switch value := value.(type) {
	case bool:
		if value {
			return "on"
		}
		return "off"
	case int:
		for _, w := range s.Words {
			if w.Value == value {
				return w.Word
			}
		}
		return strconv.Itoa(value)
	case string:
		return value
	case People:
		return value.String()
	}
	return ""
}

func checkName(name string) *Problem {
	err := classic.ValidateName(name)
	switch {
	case errors.Is(err, classic.ErrNameLong):
		return problem("SettingsNameLong")
	case errors.Is(err, classic.ErrNameComma):
		return problem("SettingsNameComma")
	case err != nil:
		return problem("SettingsNameControl")
	}
	return nil
}

func checkLanguage(tag string) *Problem {
	if _, err := language.Parse(tag); err != nil {
		return problem("SettingsWrongLanguage")
	}
	return nil
}

func checkServer(server string) *Problem {
	if identity.IsLink(server) {
		if _, err := identity.ParseLink(server); err != nil {
			return problem("SettingsWrongLink")
		}
		return nil
	}
	if _, _, err := peer.SplitServer(server); err != nil {
		return problem("SettingsWrongServer")
	}
	return nil
}
