package policy

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"earshot/tray/settings"
)

// key is where group policies of Earshot are, for the machine and for the user.
// Its values are locked; those of its subkey Recommended can be changed.
const key = `Software\Policies\Earshot`

// load reads the machine's registry, then the user's, then the file under
// ProgramData: what comes first holds.
func load() (settings.Policy, error) {
	var all settings.Policy
	for _, root := range []struct {
		key  registry.Key
		name string
	}{{registry.LOCAL_MACHINE, "HKLM"}, {registry.CURRENT_USER, "HKCU"}} {
		p, err := readRegistry(root.key, key, root.name+`\`+key)
		if err != nil {
			return settings.Policy{}, err
		}
		all = merge(all, p)
	}
	// Not by the environment, which the user may change.
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		return settings.Policy{}, fmt.Errorf("the policy can't be found: %w", err)
	}
	file, err := readFile(filepath.Join(data, "Earshot", "policy.toml"))
	if err != nil {
		return settings.Policy{}, err
	}
	return merge(all, file), nil
}

func readRegistry(root registry.Key, path, name string) (settings.Policy, error) {
	var p settings.Policy
	var err error
	if p.Locked, p.By, err = readKey(root, path, name, true); err != nil {
		return settings.Policy{}, err
	}
	p.Recommended, _, err = readKey(root, path+`\Recommended`, name+`\Recommended`, false)
	return p, err
}

func readKey(root registry.Key, path, name string, locked bool) (rules map[string]settings.Rule, by string, err error) {
	k, err := registry.OpenKey(root, path, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("the policy in %s can't be read: %w", name, err)
	}
	defer k.Close()
	values, err := k.ReadValueNames(0)
	if err != nil {
		return nil, "", fmt.Errorf("the policy in %s can't be read: %w", name, err)
	}
	slices.Sort(values)
	rules = make(map[string]settings.Rule)
	for _, value := range values {
		from := name + `\` + value
		content, err := read(k, value)
		if err != nil {
			return nil, "", fmt.Errorf("the policy %s can't be read: %w", from, err)
		}
		// The registry's names have no case.
		setting := strings.ToLower(value)
		if text, isText := content.(string); locked && setting == "managed_by" && isText {
			by = text
			continue
		}
		if wrong := settings.Permit(setting, locked); wrong != nil {
			return nil, "", &settings.PlaceError{Place: from, Problem: wrong}
		}
		s, _ := settings.Find(setting)
		checked, wrong := s.Check(content, time.Now())
		if wrong != nil {
			return nil, "", &settings.PlaceError{Place: from, Problem: wrong}
		}
		rules[setting] = settings.Rule{Value: checked, From: from}
	}
	return rules, by, nil
}

// read returns a value as a string or a number; of another type it is nil, which
// no setting takes.
func read(k registry.Key, value string) (any, error) {
	_, kind, err := k.GetValue(value, nil)
	if err != nil {
		return nil, err
	}
	switch kind {
	case registry.SZ, registry.EXPAND_SZ:
		text, _, err := k.GetStringValue(value)
		return text, err
	case registry.DWORD, registry.QWORD:
		n, _, err := k.GetIntegerValue(value)
		if kind == registry.DWORD {
			return int64(int32(n)), err // -1 is never
		}
		return int64(n), err
	}
	return nil, nil
}
