package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// stateName is the file that says by which version of the state everything else
// in the directory is written: a number and a line's end.
const stateName = "state"

// stateVersion is the one that this program writes. Each one before it has its
// migration.
const stateVersion = 1

// ErrNewer is a directory that a later version of earshotd has written to.
var ErrNewer = fmt.Errorf("%w: newer state", ErrEngine)

// migrations lead from a version to the next one: the first is from that which
// had no number yet, and differs in nothing else. Each is done whole before the
// number changes, and may be done again if it was interrupted.
var migrations = [stateVersion]migration{
	func(string) error { return nil },
}

// migration brings a directory to the next version.
type migration func(dir string) error

// migrate brings a directory to the version behind the last migration, before
// anything in it is read.
func migrate(path, dir string, migrations []migration) error {
	newest := len(migrations)
	version := 0
	switch text, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%w (%w)", ErrStore, err)
	default:
		if version, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || version < 0 {
			return fmt.Errorf("%w: %s, which says how everything else is written, can't be read", ErrDamaged, path)
		}
	}
	if version > newest {
		return fmt.Errorf("%w: a later earshotd has written %s (version %d, and this one reads up to %d); install that one again, "+
			"or name another directory with --data and restore a backup of this version there", ErrNewer, dir, version, newest)
	}
	for ; version < newest; version++ {
		if err := migrations[version](dir); err != nil {
			return err
		}
		if err := replaceFile(path, fmt.Appendln(nil, version+1)); err != nil {
			return err
		}
	}
	return nil
}
