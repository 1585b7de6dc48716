package settings

import (
	"maps"
	"slices"
	"strings"

	"earshot/protocol/classic"
)

// Override is what holds for one person instead of what holds for all.
type Override string

const (
	// AsUsual is no override.
	AsUsual Override = ""
	// Always tells, and Never doesn't.
	Always Override = "on"
	Never  Override = "off"
	// Once tells of the next coming, and of no other.
	Once Override = "once"
)

// Person is what holds for one person.
type Person struct {
	Login   Override `json:"login,omitempty"`
	Logout  Override `json:"logout,omitempty"`
	Message Override `json:"message,omitempty"`
	// Favourite is Always for one of the few near the top of the menu.
	Favourite Override `json:"favourite,omitempty"`
}

// People are the persons for whom something else holds, by their names as they
// were written. Nobody changes one.
type People map[string]Person

// maxPeople is for how many something else may hold.
const maxPeople = 1000

// aspects are what can be set for one person.
var aspects = []string{"favourite", "login", "logout", "message"}

// Of returns what holds for somebody, however the name is written.
func (p People) Of(name string) Person {
	if len(p) == 0 {
		return Person{}
	}
	if exact, ok := p[name]; ok {
		return exact
	}
	return p[p.find(name)]
}

// find returns the name as it is written here, or as it was given.
func (p People) find(name string) string {
	k := classic.NameKey(name)
	for written := range p {
		if classic.NameKey(written) == k {
			return written
		}
	}
	return name
}

func (p *Person) aspect(aspect string) *Override {
	switch aspect {
	case "login":
		return &p.Login
	case "logout":
		return &p.Logout
	case "message":
		return &p.Message
	case "favourite":
		return &p.Favourite
	}
	return nil
}

// parseOverride reads what one thing shall be for one person.
func parseOverride(aspect string, value any) (Override, *Problem) {
	if aspect == "favourite" {
		return parseFavourite(value)
	}
	switch value := value.(type) {
	case bool:
		if value {
			return Always, nil
		}
		return Never, nil
	case string:
		switch o := Override(strings.ToLower(strings.TrimSpace(value))); o {
		case "default":
			return AsUsual, nil
		case AsUsual, Always, Never:
			return o, nil
		case Once:
			if aspect == "login" {
				return o, nil
			}
		}
	}
	if aspect == "login" {
		return "", problem("SettingsWrongOverrideLogin")
	}
	return "", problem("SettingsWrongOverride")
}

// parseFavourite reads whether somebody is a favourite. Nobody is as usual.
func parseFavourite(value any) (Override, *Problem) {
	if text, ok := value.(string); ok {
		value = strings.ToLower(strings.TrimSpace(text))
	}
	switch value {
	case true, string(Always):
		return Always, nil
	case false, string(Never), string(AsUsual), "default":
		return AsUsual, nil
	}
	return "", problem("SettingsWrongFavourite")
}

// with returns p with one override changed.
func (p People) with(name, aspect string, value any) (People, *Problem) {
	if err := classic.ValidateName(name); err != nil {
		return nil, problem("SettingsNoSuchName", "Name", name)
	}
	var person Person
	written := p.find(name)
	person = p[written]
	to := person.aspect(aspect)
	if to == nil {
		return nil, problem("SettingsNoSuchAspect", "Aspect", aspect)
	}
	override, wrong := parseOverride(aspect, value)
	if wrong != nil {
		return nil, wrong
	}
	*to = override
	changed := maps.Clone(p)
	if changed == nil {
		changed = make(People)
	}
	if person == (Person{}) {
		delete(changed, written)
	} else {
		changed[written] = person
	}
	return changed.check()
}

// without returns p without anything about one person.
func (p People) without(name string) People {
	changed := maps.Clone(p)
	delete(changed, p.find(name))
	return changed
}

func (p People) check() (People, *Problem) {
	if len(p) > maxPeople {
		return nil, problem("SettingsTooManyPeople", "Limit", maxPeople)
	}
	seen := make(map[string]string, len(p))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		person := p[name]
		for _, aspect := range aspects {
			if _, wrong := parseOverride(aspect, string(*person.aspect(aspect))); wrong != nil {
				return nil, wrong
			}
		}
		k := classic.NameKey(name)
		if classic.ValidateName(name) != nil {
			return nil, problem("SettingsNoSuchName", "Name", name)
		}
		if other, twice := seen[k]; twice {
			return nil, problem("SettingsPersonTwice", "Name", name, "Other", other)
		}
		seen[k] = name
	}
	if len(p) == 0 {
		return nil, nil
	}
	return p, nil
}

// parsePeople reads {"Ann": {"login": "once"}}.
func parsePeople(in map[string]any) (any, *Problem) {
	people := make(People, len(in))
	for _, name := range slices.Sorted(maps.Keys(in)) {
		fields, ok := in[name].(map[string]any)
		if !ok {
			return nil, problem("SettingsWrongPeople")
		}
		var person Person
		for _, aspect := range slices.Sorted(maps.Keys(fields)) {
			to := person.aspect(aspect)
			if to == nil {
				return nil, problem("SettingsNoSuchAspect", "Aspect", aspect)
			}
			var wrong *Problem
			if *to, wrong = parseOverride(aspect, fields[aspect]); wrong != nil {
				return nil, wrong
			}
		}
		people[name] = person
	}
	checked, wrong := people.check()
	if wrong != nil {
		return nil, wrong
	}
	return checked, nil
}

// String is one line for a terminal.
func (p People) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		person := p[name]
		for _, aspect := range aspects {
			if o := *person.aspect(aspect); o != AsUsual {
				parts = append(parts, name+"."+aspect+"="+string(o))
			}
		}
	}
	return strings.Join(parts, ", ")
}
