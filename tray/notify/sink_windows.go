package notify

import (
	"context"
	"log/slog"

	"git.sr.ht/~jackmordaunt/go-toast/wintoast"

	"earshot/tray/i18n"
)

// activator is the class by which Windows calls back what is clicked. It is
// Earshot's own.
const activator = "{6B1F1F0E-3C0B-4B57-9C53-0E2C7D1B9A64}"

// toasts shows notes as Windows' toasts, with buttons and a line for a reply.
// They can't be replaced or taken back: the library doesn't know how, and
// COM that nobody has tried is worse than two notes.
type toasts struct {
	plain  *plain // if Windows takes none
	p      *i18n.Printer
	log    *slog.Logger
	broken bool
	clicks chan answer
}

func newSink(_ context.Context, p *i18n.Printer, log *slog.Logger) sink {
	s := &toasts{plain: newPlain(), p: p, log: log, clicks: make(chan answer, 8)}
	wintoast.SetActivationCallback(func(_, arguments string, data []wintoast.UserData) {
		written := ""
		for _, d := range data {
			if d.Key == replyLine {
				written = d.Value
			}
		}
		if a, ok := toastAnswer(arguments, written); ok {
			select {
			case s.clicks <- a:
			default: // eight are being carried out
			}
		}
	})
	err := wintoast.SetAppData(wintoast.AppData{AppID: appName, GUID: activator, IconPath: s.plain.icon})
	if err != nil {
		s.fail(err)
	}
	return s
}

// fail has what follows go the plain way.
func (s *toasts) fail(err error) {
	s.broken = true
	s.log.Warn("notifications go the plain way", "reason", err)
}

func (s *toasts) show(n note) error {
	if n.silent {
		return nil // what is on the screen can't be changed
	}
	if !s.broken {
		text, err := toastXML(n, s.p)
		if err == nil {
			err = wintoast.Push(text)
		}
		if err == nil {
			return nil
		}
		s.fail(err)
	}
	return s.plain.show(n)
}

func (s *toasts) withdraw(string)        {}
func (s *toasts) answers() <-chan answer { return s.clicks }
func (s *toasts) close()                 {}
