package settings

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"earshot/tray/i18n"
)

// Item is one setting as it is shown, in a person's language.
type Item struct {
	Name  string `json:"name"`
	Group Group  `json:"group"`
	Kind  Kind   `json:"kind"`
	Label string `json:"label"`
	Help  string `json:"help"`
	// Value is what holds: a bool, a number, a string, or People.
	Value any `json:"value"`
	// Text is the value as the command line takes it, and Shown as a person
	// reads it.
	Text  string `json:"text"`
	Shown string `json:"shown"`
	// Default is what a reset would give, as Text is.
	Default string `json:"default"`
	// Chosen says that the person chose the value.
	Chosen bool `json:"chosen"`
	// Locked says that the person can't; LockedBy is the sentence about it.
	Locked   bool   `json:"locked,omitempty"`
	LockedBy string `json:"locked_by,omitempty"`
	// Missing says that it can't be set here.
	Missing bool `json:"missing,omitempty"`
	// NextStart says that a change waits for the next start.
	NextStart bool    `json:"next_start,omitempty"`
	Min       int     `json:"min,omitempty"`
	Max       int     `json:"max,omitempty"`
	Words     []Named `json:"words,omitempty"`
	Choices   []Named `json:"choices,omitempty"`
}

// Named is a value with what it is called.
type Named struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// List returns all settings in a language, in the order of the table.
func (l *Live) List(p *i18n.Printer) []Item {
	l.mu.Lock()
	chosen, values, policy := l.chosen, l.values, l.policy
	l.mu.Unlock()
	items := make([]Item, 0, len(table))
	for i := range table {
		items = append(items, l.item(&table[i], chosen, values, policy, p))
	}
	return items
}

// FromItems returns the values that a list tells of, also one that came as JSON.
func FromItems(items []Item) *Values {
	v := new(Defaults())
	for i := range items {
		s, ok := Find(items[i].Name)
		if !ok || s.at == nil {
			continue
		}
		value := items[i].Value
		if s.Kind == Folk {
			value = items[i].People()
		} else if checked, wrong := s.Check(value, time.Now()); wrong == nil {
			value = checked
		} else {
			continue // from a program that knows other values
		}
		s.put(v, value)
	}
	return v
}

// Pick returns one setting of a list, or what holds for one person in one
// thing. An error is a *Problem.
func Pick(items []Item, name string) (Item, error) {
	key := name
	person, aspect, isPerson := personal(name)
	if isPerson {
		key = "people"
	}
	i := slices.IndexFunc(items, func(item Item) bool { return item.Name == key })
	if i < 0 {
		return Item{}, problem("SettingsUnknown", "Name", name)
	}
	item := items[i]
	if !isPerson {
		return item, nil
	}
	of := item.People().Of(person)
	o := of.aspect(aspect)
	if o == nil {
		return Item{}, problem("SettingsNoSuchAspect", "Aspect", aspect)
	}
	text := string(*o)
	if *o == AsUsual {
		text = "default"
	}
	item.Name, item.Kind, item.Value, item.Text, item.Shown, item.Default = name, Choice, text, text, text, "default"
	item.Chosen = *o != AsUsual
	return item, nil
}

// People are the value of a setting of the kind Folk, also of an item that came
// as JSON.
func (i *Item) People() People {
	folk, _ := Find("people")
	if in, ok := i.Value.(map[string]any); ok {
		value, wrong := folk.Check(in, time.Time{})
		if wrong != nil {
			return nil
		}
		return value.(People)
	}
	people, _ := i.Value.(People)
	return people
}

func (l *Live) item(s *Setting, chosen Chosen, values *Values, policy Policy, p *i18n.Printer) Item {
	item := Item{
		Name: s.Name, Group: s.Group, Kind: s.Kind, Label: p.T(s.Label), Help: p.T(s.Help),
		Default: s.Text(s.Default), NextStart: s.NextStart,
	}
	if rule, ok := policy.Recommended[s.Name]; ok {
		item.Default = s.Text(rule.Value)
	}
	if s.Kind == Number || s.Kind == Text {
		item.Min, item.Max = s.Min, s.Max
	}
	for _, w := range s.Words {
		item.Words = append(item.Words, Named{w.Word, p.T(w.Label)})
	}
	for _, c := range s.Choices {
		item.Choices = append(item.Choices, Named{c.Value, c.label(p)})
	}
	if s.Name == "language" {
		item.Choices = append(item.Choices, droppedIn(s.values())...)
	}
	rule, locked := policy.Locked[s.Name]
	if locked {
		item.Locked = true
		item.LockedBy = (&LockedError{Name: s.Name, By: policy.By, From: rule.From}).problem().In(p)
	}
	switch {
	case s.at != nil:
		item.Value = deref(s.at(values))
		_, item.Chosen = chosen[s.Name]
		item.Chosen = item.Chosen && !locked
	case l.outside[s.Name] == nil:
		item.Value, item.Missing = s.Default, true
	default:
		on, err := l.outside[s.Name].Status()
		item.Value, item.Missing = on, err != nil
		item.Chosen = on != s.Default && !locked
	}
	item.Text = s.Text(item.Value)
	item.Shown = s.shown(item.Value, p)
	return item
}

func (o Option) label(p *i18n.Printer) string {
	if o.Label == "" {
		return o.Value
	}
	return p.T(o.Label)
}

func deref(at any) any {
	switch at := at.(type) {
	case *bool:
		return *at
	case *int:
		return *at
	case *string:
		return *at
	case *People:
		return *at
	}
	return nil
}

// shown is a value as a person reads it.
func (s *Setting) shown(value any, p *i18n.Printer) string {
	switch value := value.(type) {
	case bool:
		if value {
			return p.T("SettingsOn")
		}
		return p.T("SettingsOff")
	case int:
		for _, w := range s.Words {
			if w.Value == value {
				return p.T(w.Label)
			}
		}
		return strconv.Itoa(value)
	case string:
		for _, c := range s.Choices {
			if c.Value == value {
				return c.label(p)
			}
		}
		if s.Kind == Until {
			until, err := time.Parse(time.RFC3339, value)
			if err != nil || !until.After(time.Now()) {
				return p.T("SettingsOff")
			}
			return until.Local().Format("2006-01-02 15:04")
		}
		return value
	case People:
		return value.String()
	}
	return ""
}

// droppedIn are the languages of folders that were added, as they call
// themselves, or by their tags.
func droppedIn(known []string) (more []Named) {
	const name = "SettingsLanguageName"
	for _, tag := range i18n.Languages() {
		if slices.Contains(known, tag) {
			continue
		}
		called := i18n.New(tag).T(name)
		if called == english().T(name) {
			called = tag
		}
		more = append(more, Named{tag, called})
	}
	return more
}

// Explain is an error of this package as a sentence in a language; ok is false
// for any other error.
func Explain(err error, p *i18n.Printer) (sentence string, ok bool) {
	if wrong, is := errors.AsType[*FileError](err); is {
		switch {
		case wrong.Key != "":
			return p.T("SettingsFileKey", "File", wrong.File, "Line", wrong.Line, "Key", wrong.Key), true
		case wrong.Problem != nil:
			return p.T("SettingsFileValue", "File", wrong.File, "Line", wrong.Line, "Problem", wrong.Problem.In(p)), true
		}
		return p.T("SettingsFileWrong", "File", wrong.File, "Line", wrong.Line, "Reason", wrong.Reason), true
	}
	if wrong, is := errors.AsType[*PlaceError](err); is {
		return p.T("SettingsPlace", "Place", wrong.Place, "Problem", wrong.Problem.In(p)), true
	}
	if locked, is := errors.AsType[*LockedError](err); is {
		return locked.problem().In(p), true
	}
	if wrong, is := errors.AsType[*Problem](err); is {
		return wrong.In(p), true
	}
	return "", false
}
