//go:build !linux && !windows && !darwin

package hostnet

import "context"

// Watch can't.
func (portable) Watch(context.Context, func(Change)) error { return ErrWatch }
