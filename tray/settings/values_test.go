package settings_test

import (
	"strings"
	"testing"
	"time"

	"earshot/tray/settings"
)

func TestQuiet(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		t.Helper()
		if text == "" {
			return time.Time{}
		}
		when, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, test := range []struct {
		now, until string
		hours      string // from-to
		quiet      bool
		next       string
	}{
		{"2026-11-23 12:00", "", "", false, ""},
		{"2026-11-23 12:00", "2026-11-23 14:00", "", true, "2026-11-23 14:00"},
		{"2026-11-23 14:00", "2026-11-23 14:00", "", false, ""},
		{"2026-11-23 12:00", "", "22:00-07:00", false, "2026-11-23 22:00"},
		{"2026-11-23 22:00", "", "22:00-07:00", true, "2026-11-24 07:00"},
		{"2026-11-23 06:59", "", "22:00-07:00", true, "2026-11-23 07:00"},
		{"2026-11-23 07:00", "", "22:00-07:00", false, "2026-11-23 22:00"},
		{"2026-11-23 12:30", "", "12:00-13:00", true, "2026-11-23 13:00"},
		{"2026-11-23 13:00", "", "12:00-13:00", false, "2026-11-24 12:00"},
		{"2026-11-23 12:30", "", "12:00-12:00", false, ""},
		{"2026-11-23 23:00", "2026-11-24 09:00", "22:00-07:00", true, "2026-11-24 09:00"},
		{"2026-11-23 23:00", "2026-11-23 23:30", "22:00-07:00", true, "2026-11-24 07:00"},
		{"2026-11-23 12:00", "2026-11-23 14:00", "22:00-07:00", true, "2026-11-23 14:00"},
		// The clock goes back that night, and on in March.
		{"2026-10-24 23:00", "", "22:00-07:00", true, "2026-10-25 07:00"},
		{"2026-03-28 23:00", "", "02:30-07:00", false, "2026-03-29 02:30"},
	} {
		v := settings.Defaults()
		if test.hours != "" {
			v.QuietHours = true
			v.QuietFrom, v.QuietTo, _ = strings.Cut(test.hours, "-")
		}
		if test.until != "" {
			v.DoNotDisturb = at(test.until).Format(time.RFC3339)
		}
		quiet, next := v.Quiet(at(test.now))
		if quiet != test.quiet || !next.Equal(at(test.next)) {
			t.Errorf("%+v: %v until %v", test, quiet, next)
		}
	}
}
