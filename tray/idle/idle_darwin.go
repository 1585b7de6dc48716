package idle

import (
	"context"
	"errors"
)

// open has nothing: the tray isn't built for macOS yet.
func open(context.Context) (source, error) { return nil, errors.New("not on macOS yet") }
