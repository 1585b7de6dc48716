package settings

import (
	"reflect"
	"time"
)

// Values are what holds: what is locked, else what the person chose, else what
// the administrator recommends, else the default. Nobody changes what it
// refers to.
type Values struct {
	Name   string // empty: the account's name
	Server string // empty: none yet
	// AwayAfter is in minutes; below 0 is never.
	AwayAfter int

	NotifyMessage, NotifyPreview, NotifyLogin, NotifyLogout, NotifyFile, NotifyKeyChange bool
	Sounds                                                                               bool

	DoNotDisturb       string // RFC 3339, or empty
	QuietHours         bool
	QuietFrom, QuietTo string // HH:MM
	QuietUrgent        bool
	People             People

	ReadReceipts, Typing bool
	HistoryDays          int    // 0 is forever
	Keyring              string // auto or off
	Language             string // a BCP 47 tag, or auto
	PortMapping          bool
	Encoding             string // one of Encodings
}

// Defaults are the values if nobody chose anything.
func Defaults() Values { return Chosen(nil).over(Policy{}) }

// AwayTime is how long the person leaves the computer alone before others see
// that; 0 is forever.
func (v *Values) AwayTime() time.Duration { return time.Duration(max(0, v.AwayAfter)) * time.Minute }

// Undisturbed is until when the person does not want to be disturbed; zero if
// that isn't set.
func (v *Values) Undisturbed() time.Time {
	until, err := time.Parse(time.RFC3339, v.DoNotDisturb)
	if err != nil {
		return time.Time{}
	}
	return until
}

// Quiet says whether only what is urgent may be told at a moment, and when that
// may be otherwise: the next moment at which to ask again, zero if never.
func (v *Values) Quiet(now time.Time) (quiet bool, next time.Time) {
	if until := v.Undisturbed(); now.Before(until) {
		quiet, next = true, until
	}
	if !v.QuietHours || v.QuietFrom == v.QuietTo {
		return quiet, next
	}
	from, to := following(now, v.QuietFrom), following(now, v.QuietTo)
	// Whichever comes first ends what is now.
	if to.Before(from) {
		if !quiet || to.After(next) {
			next = to
		}
		return true, next
	}
	if !quiet {
		next = from
	}
	return quiet, next
}

// following is the next moment after now at which the clock shows that time.
func following(now time.Time, clock string) time.Time {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		return time.Time{}
	}
	for day := 0; ; day++ {
		// By the date, for days with a change of the clock have 23 or 25 hours.
		t := time.Date(now.Year(), now.Month(), now.Day()+day, at.Hour(), at.Minute(), 0, 0, now.Location())
		if t.After(now) {
			return t
		}
	}
}

// Chosen is what a person has chosen: values by the names of their settings, as
// Check returns them.
type Chosen map[string]any

// over returns what holds of choices under a policy.
func (c Chosen) over(p Policy) Values {
	var v Values
	for i := range table {
		s := &table[i]
		if s.at == nil {
			continue
		}
		value := s.Default
		if rule, ok := p.Recommended[s.Name]; ok {
			value = rule.Value
		}
		if chosen, ok := c[s.Name]; ok {
			value = chosen
		}
		if rule, ok := p.Locked[s.Name]; ok {
			value = rule.Value
		}
		s.put(&v, value)
	}
	return v
}

// put sets its field to a value as Check returns it.
func (s *Setting) put(v *Values, value any) {
	switch to := s.at(v).(type) {
	case *bool:
		*to = value.(bool)
	case *int:
		*to = value.(int)
	case *string:
		*to = value.(string)
	case *People:
		*to = value.(People)
	}
}

// differ returns the names of the settings of which a and b have other values,
// in the order of the table.
func differ(a, b *Values) (names []string) {
	for i := range table {
		s := &table[i]
		if s.at != nil && !reflect.DeepEqual(s.at(a), s.at(b)) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Policy is what an administrator has set for the machine.
type Policy struct {
	// By is who that is, as the policy calls itself; may be empty.
	By string
	// Locked can't be changed, and Recommended holds for whoever didn't choose.
	Locked, Recommended map[string]Rule
}

// Rule is one value of a policy.
type Rule struct {
	Value any // as Check returns it
	// From is where it is written: a file with its line, or a registry key.
	From string
}
