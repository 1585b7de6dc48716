package profile_test

import (
	"strings"
	"testing"
)

// otherName is another path of a directory: Windows does not tell cases apart.
func otherName(_ *testing.T, dir string) string { return strings.ToUpper(dir) }
