package menu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"earshot/tray/desktoptest"
)

// BenchmarkPanel is what it costs the tray and the panel that people come and
// go, in hundredths of a core: nobody, which is the floor, and fifty a second. An
// iteration takes ten seconds.
func BenchmarkPanel(b *testing.B) {
	for _, people := range []int{200, 2000} {
		for _, rate := range []int{0, 50} {
			b.Run(fmt.Sprintf("people=%d/changes=%d", people, rate), func(b *testing.B) {
				d := desktoptest.Start(b, desktoptest.Options{Panel: true})
				c := startChild(b, d, people, "en")
				openMenu(b, d, officeOf(people, "en"), "en")
				d.Key("Escape")
				if rate > 0 {
					if _, err := fmt.Fprintln(c.orders, rate); err != nil {
						b.Fatal(err)
					}
				}
				second := time.NewTicker(time.Second)
				defer second.Stop()
				for range 3 { // the panel rests
					<-second.C
				}
				var tray, panel time.Duration
				for b.Loop() {
					trayBefore, panelBefore := spent(b, d, filepath.Base(os.Args[0])), spent(b, d, "systray.so")
					for range 10 {
						<-second.C
					}
					tray += spent(b, d, filepath.Base(os.Args[0])) - trayBefore
					panel += spent(b, d, "systray.so") - panelBefore
				}
				whole := float64(b.N) * 10 * float64(time.Second)
				b.ReportMetric(100*float64(tray)/whole, "tray-%")
				b.ReportMetric(100*float64(panel)/whole, "panel-%")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// spent is how much time of a core the desktop's processes of a name have had.
func spent(b *testing.B, d *desktoptest.Desktop, name string) (sum time.Duration) {
	b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs
	mark := "XDG_RUNTIME_DIR=" + d.Runtime + "\x00"
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		env, _ := os.ReadFile(dir + "/environ")
		command, _ := os.ReadFile(dir + "/cmdline")
		if !strings.Contains(string(env), mark) || !strings.Contains(string(command), name) {
			continue
		}
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it has ended
		}
		_, fields, _ := strings.Cut(string(stat), ") ")
		var state string
		var skip, user, system int64
		if _, err := fmt.Sscan(fields, &state, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(user+system) * tick
	}
	return sum
}
