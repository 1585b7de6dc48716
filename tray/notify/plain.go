package notify

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/gen2brain/beeep"

	"earshot/icons"
)

const appName = "Earshot"

// plain shows notes through beeep, which every desktop understands and which
// can neither replace nor withdraw, nor tell of clicks. Calls are made one at a
// time: on Windows each takes a tenth of a second.
type plain struct{ icon string }

var setAppName = sync.OnceFunc(func() { beeep.AppName = appName })

func newPlain() *plain {
	setAppName()
	return &plain{icon: iconFile()}
}

func (s *plain) show(n note) error {
	if n.silent {
		return nil
	}
	if runtime.GOOS == "windows" {
		n.title, n.body = harmless.Replace(n.title), harmless.Replace(n.body)
	}
	return beeep.Notify(n.title, n.body, s.icon)
}

func (s *plain) withdraw(string)        {}
func (s *plain) answers() <-chan answer { return nil }
func (s *plain) close()                 {}

// Say shows one sentence, at once, in the plainest way.
func Say(sentence string) error { return newPlain().show(note{title: appName, body: sentence}) }

// iconFile puts the icon where the desktop's notification service can read it:
// what beeep writes itself is gone before some of them look. It is empty if
// there is no place for it.
func iconFile() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "earshot")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	file := filepath.Join(dir, "icon.png")
	picture := icons.AppPNG(64)
	if have, err := os.ReadFile(file); err == nil && string(have) == string(picture) {
		return file
	}
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		return ""
	}
	return file
}
