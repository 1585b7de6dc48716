// Package policy reads what an administrator has set for everybody on the
// machine: a TOML file, or, on Windows, the registry's policies too. What can't
// be understood is an error, since a policy that is half ignored is worse than
// none.
package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"earshot/tray/settings"
)

// maxFile is how long a policy file may be, in bytes.
const maxFile = 1 << 20

// Load returns the machine's policy; there may be none. What is wrong with its
// content is a *settings.FileError that names the place.
func Load() (settings.Policy, error) { return load() }

// readFile reads a policy file; one that isn't there is empty.
func readFile(path string) (settings.Policy, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings.Policy{}, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFile) {
		err = fmt.Errorf("%s is no file of at most %d bytes", path, maxFile)
	}
	if err != nil {
		return settings.Policy{}, fmt.Errorf("the policy can't be read: %w", err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return settings.Policy{}, fmt.Errorf("the policy can't be read: %w", err)
	}
	return settings.DecodePolicy(path, content)
}

// merge adds to p what is only in weaker.
func merge(p, weaker settings.Policy) settings.Policy {
	if p.By == "" {
		p.By = weaker.By
	}
	p.Locked, p.Recommended = join(p.Locked, weaker.Locked), join(p.Recommended, weaker.Recommended)
	return p
}

func join(rules, weaker map[string]settings.Rule) map[string]settings.Rule {
	all := maps.Clone(weaker)
	if all == nil {
		all = make(map[string]settings.Rule, len(rules))
	}
	maps.Copy(all, rules)
	return all
}
