package settings

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// File is where choices are kept.
type File interface {
	// Load returns what is chosen; a file that isn't there is empty.
	Load() (Chosen, error)
	// Save replaces it in one step.
	Save(Chosen) error
}

// Outside is a switch that the operating system keeps.
type Outside interface {
	Status() (bool, error)
	Set(on bool) error
}

// ErrLocked is the family of changes that a policy forbids; what wraps it is a
// *LockedError.
var ErrLocked = errors.New("the setting is locked")

// LockedError is a setting that the administrator has locked.
type LockedError struct {
	Name, By, From string
}

// Error is a sentence in English.
func (e *LockedError) Error() string { return e.problem().Error() }

// Unwrap makes it an ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

func (e *LockedError) problem() *Problem {
	if e.By != "" {
		return problem("SettingsLockedBy", "By", e.By, "From", e.From)
	}
	return problem("SettingsLocked", "From", e.From)
}

// Live are the settings of a running program. All methods may be called from
// any goroutine.
type Live struct {
	file    File
	outside map[string]Outside
	now     func() time.Time

	writing chan struct{} // has room for whoever changes the file

	mu     sync.Mutex
	policy Policy
	chosen Chosen
	values *Values
	hooks  map[int]func(names []string)
	hookID int
}

// Open reads the settings. An error is the file's. outside are the settings
// that the operating system keeps; those that are missing can't be set.
func Open(file File, policy Policy, outside map[string]Outside) (*Live, error) {
	chosen, err := file.Load()
	if err != nil {
		return nil, err
	}
	l := &Live{
		file: file, policy: policy, outside: outside, now: time.Now,
		writing: make(chan struct{}, 1), chosen: chosen, hooks: make(map[int]func([]string)),
	}
	l.values = new(chosen.over(policy))
	return l, nil
}

// Values returns what holds now. Nobody changes it; after a change there is
// another.
func (l *Live) Values() *Values {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.values
}

// OnChange has f called after each change, with the names of the settings whose
// values are others now. The calls come one at a time, and f must not change
// settings itself. stop ends it; one call may still be under way.
func (l *Live) OnChange(f func(names []string)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.hookID
	l.hookID++
	l.hooks[id] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.hooks, id)
	}
}

// Set changes a setting, or one thing about one person: people.NAME.login. When
// it returns nil the change is on the disk and everyone is told. Errors are
// *Problem, *LockedError, or the file's.
func (l *Live) Set(ctx context.Context, name string, value any) error {
	return l.change(ctx, name, func(chosen Chosen) (any, *Problem) {
		if person, aspect, ok := personal(name); ok {
			people, _ := chosen["people"].(People)
			return people.changed(person, aspect, value)
		}
		s, ok := Find(name)
		if !ok {
			return nil, problem("SettingsUnknown", "Name", name)
		}
		return s.Check(value, l.now())
	})
}

// Reset takes a choice back; people.NAME is all about one person. Without a name it takes all back but the name and
// the coordinator, without which nobody would know where the person went.
func (l *Live) Reset(ctx context.Context, name string) error {
	if name == "" {
		return l.update(ctx, func(chosen Chosen) error {
			maps.DeleteFunc(chosen, func(key string, _ any) bool { return key != "name" && key != "server" })
			return nil
		})
	}
	return l.change(ctx, name, func(chosen Chosen) (any, *Problem) {
		people, _ := chosen["people"].(People)
		if person, aspect, ok := personal(name); ok && slices.Contains(aspects, aspect) {
			return people.changed(person, aspect, string(AsUsual))
		}
		if person, ok := strings.CutPrefix(name, "people."); ok {
			return people.without(person), nil
		}
		if s, _ := Find(name); s.Outside {
			return s.Default, nil
		}
		return nil, nil
	})
}

// changed is with as a value of any type.
func (p People) changed(person, aspect string, value any) (any, *Problem) {
	changed, wrong := p.with(person, aspect, value)
	if wrong != nil {
		return nil, wrong
	}
	return changed, nil
}

// Adopt puts another policy in the place of the one that holds.
func (l *Live) Adopt(ctx context.Context, p Policy) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	l.mu.Lock()
	if reflect.DeepEqual(p, l.policy) {
		l.mu.Unlock()
		return nil
	}
	values := new(l.chosen.over(p))
	names := differ(l.values, values)
	for name := range p.Locked {
		if s, ok := Find(name); ok && s.Outside {
			names = append(names, name)
		}
	}
	l.policy, l.values = p, values
	l.mu.Unlock()
	if len(names) > 0 {
		l.tell(names)
	}
	return l.Enforce()
}

// rules returns the policy that holds.
func (l *Live) rules() Policy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.policy
}

// change puts a value, or nil for none, in the place of a setting's.
func (l *Live) change(ctx context.Context, name string, to func(Chosen) (any, *Problem)) error {
	key := name
	if strings.HasPrefix(name, "people.") {
		key = "people"
	}
	s, ok := Find(key)
	if !ok {
		return problem("SettingsUnknown", "Name", name)
	}
	policy := l.rules()
	if rule, locked := policy.Locked[key]; locked {
		return &LockedError{Name: key, By: policy.By, From: rule.From}
	}
	if s.Outside {
		return l.setOutside(ctx, s, to)
	}
	return l.update(ctx, func(chosen Chosen) error {
		value, wrong := to(chosen)
		if wrong != nil {
			return wrong
		}
		if people, none := value.(People); value == nil || none && len(people) == 0 {
			delete(chosen, key)
		} else {
			chosen[key] = value
		}
		return nil
	})
}

func (l *Live) setOutside(ctx context.Context, s *Setting, to func(Chosen) (any, *Problem)) error {
	value, wrong := to(nil)
	if wrong != nil {
		return wrong
	}
	system := l.outside[s.Name]
	if system == nil {
		return problem("SettingsNotHere")
	}
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	if err := system.Set(value.(bool)); err != nil {
		return err
	}
	l.tell([]string{s.Name})
	return nil
}

// enter waits until nobody else changes anything. It is no mutex, for the disk
// may take its time.
func (l *Live) enter(ctx context.Context) error {
	select {
	case l.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Live) leave() { <-l.writing }

// update changes the file as it is now, so that what somebody wrote into it
// meanwhile is not lost.
func (l *Live) update(ctx context.Context, edit func(Chosen) error) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	chosen, err := l.file.Load()
	if err != nil {
		return err
	}
	before := maps.Clone(chosen)
	if err := edit(chosen); err != nil {
		return err
	}
	if !reflect.DeepEqual(before, chosen) {
		if err := l.file.Save(chosen); err != nil {
			return fmt.Errorf("settings: %w", err)
		}
	}
	l.mu.Lock()
	values := new(chosen.over(l.policy))
	names := differ(l.values, values)
	l.chosen, l.values = chosen, values
	l.mu.Unlock()
	if len(names) > 0 {
		l.tell(names)
	}
	return nil
}

func (l *Live) tell(names []string) {
	l.mu.Lock()
	var hooks []func([]string)
	for _, id := range slices.Sorted(maps.Keys(l.hooks)) {
		hooks = append(hooks, l.hooks[id])
	}
	l.mu.Unlock()
	for _, f := range hooks {
		f(names)
	}
}

// Enforce brings what the operating system keeps into the state that the policy
// wants. It is called at the start, and by Adopt.
func (l *Live) Enforce() error {
	policy := l.rules()
	var errs []error
	for i := range table {
		s := &table[i]
		rule, locked := policy.Locked[s.Name]
		system := l.outside[s.Name]
		if !s.Outside || !locked || system == nil {
			continue
		}
		on, err := system.Status()
		if err == nil && on != rule.Value.(bool) {
			err = system.Set(rule.Value.(bool))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
