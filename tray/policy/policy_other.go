//go:build !windows

package policy

import "earshot/tray/settings"

// systemFile is where the policy is. It is a variable for the linker of test
// programs; nothing at run time changes it, or a policy would be a suggestion.
var systemFile = "/etc/earshot/policy.toml"

func load() (settings.Policy, error) { return readFile(systemFile) }
