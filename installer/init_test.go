//go:build linux

package installer

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"earshot/installer/bed"
)

// The inits besides systemd that the coordinator is a service of.
var (
	tail   = []string{"tail", "-n", "30", "/var/log/earshotd.log"}
	openrc = kind{"initd-box-openrc", "initd-box.sh", []string{"make", "openrc"}, tail}
	sysv   = kind{"initd-box-sysv", "initd-box.sh", []string{"make", "sysv"}, tail}
)

// initBox is a box whose services are scripts in /etc/init.d.
type initBox struct {
	*box
	before []string // all files, before anything was installed
}

// The coordinator as a service of OpenRC, from install to purge, on the real thing.
func TestServiceOnOpenRC(t *testing.T) {
	b := installed(t, openrc, "Its log is /var/log/earshotd.log.")
	if out := b.does("rc-update", "show", "default"); !strings.Contains(out, "earshotd |") {
		t.Errorf("the runlevel has:\n%s", out)
	}
	t.Run("serves people", func(t *testing.T) { b.servesPeople(t) })

	was := b.process()
	b.does("kill", "-9", was)
	within(t, "kill -9 to answering", 2*time.Second, b.eventually("it answers after kill -9", func() bool { return b.process() != was && b.answers() }))
	b.says("status", "restarted once")

	// Its supervisor can be killed as well.
	was = b.process()
	b.does("bash", "-c", "kill -9 $(cat /run/earshotd.pid)")
	b.says("status", "nothing looks after it")
	b.says("restart", "has restarted")
	b.says("status", "running since")
	if b.process() == was {
		t.Error("what had no supervisor still runs")
	}
	b.does("bash", "-c", "kill -9 $(cat /run/earshotd.pid) "+b.process())
	if out := b.fails("earshotd", "status"); !strings.Contains(out, "unsupervised") {
		t.Errorf("with both killed, status says: %s", out)
	}
	b.says("start", "has started")

	t.Run("reload", func(t *testing.T) { b.reloads(t, "rc-service") })
	t.Run("installed again", func(t *testing.T) { b.installsAgain(t) })
	t.Run("boots", func(t *testing.T) { b.boots(t) })

	// As long as another program has the port, it is started again and again.
	if out := b.portTaken(t); !strings.Contains(out, "it has ended by itself") {
		t.Errorf("starting while the port is taken says: %s", out)
	}
	b.eventually("status tells that it fails", func() bool {
		out, err := b.run("earshotd", "status")
		return err != nil && strings.Contains(out, "starting, restarted 2 times")
	})
	b.does("pkill", "nc")
	b.eventually("it comes by itself when the port is free", b.answers)

	t.Run("low port", func(t *testing.T) { b.lowPort(t) })
	t.Run("uninstalled", func(t *testing.T) { b.uninstalls(t) })
}

// The same on SysV's init, which starts nothing again.
func TestServiceOnSysV(t *testing.T) {
	b := installed(t, sysv, "Nothing starts it again if it ends by itself")
	b.does("bash", "-c", "ls /etc/rc[2345].d/S??earshotd /etc/rc[016].d/K??earshotd")
	b.does("bash", "-c", "! ls /etc/rc?.d/S50earshotd") // the library's, of no order
	t.Run("serves people", func(t *testing.T) { b.servesPeople(t) })
	b.does("service", "earshotd", "status")

	b.does("kill", "-9", b.process())
	if out := b.fails("earshotd", "status"); !strings.Contains(out, "crashed") {
		t.Errorf("after kill -9, status says: %s", out)
	}
	exits := func(how, want string) {
		t.Helper()
		if out := b.does("bash", "-c", "service earshotd status >/dev/null; echo $?"); out != want {
			t.Errorf("%s, the script's status is %s", how, out)
		}
	}
	exits("crashed", "1")
	b.says("stop", "has stopped")
	exits("stopped", "3")
	b.says("start", "has started")

	t.Run("reload", func(t *testing.T) { b.reloads(t, "service") })
	t.Run("installed again", func(t *testing.T) { b.installsAgain(t) })
	t.Run("boots", func(t *testing.T) { b.boots(t) })

	if out := b.portTaken(t); !strings.Contains(out, "another program has UDP port 13277") {
		t.Errorf("starting while the port is taken says: %s", out)
	}
	b.does("pkill", "nc")
	b.says("start", "has started")

	t.Run("low port", func(t *testing.T) { b.lowPort(t) })
	t.Run("uninstalled", func(t *testing.T) { b.uninstalls(t) })
}

// installed boots a box and installs and starts the service. Installing makes a
// remark.
func installed(t *testing.T, k kind, remark string) initBox {
	t.Helper()
	bed.Need(t, "shellcheck")
	b := initBox{box: k.boot(t, "/usr/local/bin", programs(t))}
	if out := b.fails("earshotd", "start"); !strings.Contains(out, "earshotd install") {
		t.Errorf("starting what is not installed says: %s", out)
	}
	b.before = everything(b.box)
	// What a coordinator of root's has left is the service's from then on.
	b.does("earshotd", "check")
	b.does("touch", "/var/lib/earshotd/roots")
	if out := b.does("earshotd", "install"); !strings.Contains(out, remark) {
		t.Errorf("install says: %s", out)
	}
	if out := b.fails("earshotd", "status"); !strings.Contains(out, "installed and not running (stopped)") {
		t.Errorf("before it was started, status says: %s", out)
	}
	script := filepath.Join(b.root(), "etc/init.d/earshotd")
	run(t, nil, "shellcheck", "-s", "dash", "-e", "SC2034", script) // OpenRC reads variables that the script doesn't

	b.says("start", "has started")
	if !b.answers() {
		t.Error("it doesn't answer when start has returned")
	}
	t.Log(b.does("earshotd", "status"))
	pid := b.process()
	for what, c := range map[string]struct{ command, want string }{
		"its account":         {"ps -o user= -p " + pid, "earshotd"},
		"its directory":       {"stat -c '%U %a' /var/lib/earshotd", "earshotd 700"},
		"what root had left":  {"stat -c %U /var/lib/earshotd/roots", "earshotd"},
		"its log":             {"stat -c %a /var/log/earshotd.log", "640"},
		"its capabilities":    {"awk '/CapEff/ { print $2 }' /proc/" + pid + "/status", "0000000000000000"},
		"its program":         {"readlink /proc/" + pid + "/exe", "/usr/local/bin/earshotd"},
		"files it may open":   {"test $(ulimit -H -n) = $(awk '/open files/ { print $4 }' /proc/" + pid + "/limits) && echo all", "all"},
		"status for who asks": {"PATH=/usr/local/bin:/usr/bin:/bin setpriv --reuid 65534 --regid 65534 --clear-groups earshotd status >/dev/null && echo running", "running"},
	} {
		if out := b.does("bash", "-c", c.command); out != c.want {
			t.Errorf("%s: %s, not %s", what, out, c.want)
		}
	}
	return b
}

// root is where the box's files are.
func (b initBox) root() string { return strings.TrimPrefix(b.env[0], "BOX=") }

// says runs a command of earshotd's, which has to succeed with some words.
func (b initBox) says(verb, want string) {
	b.t.Helper()
	if out := b.does("earshotd", verb); !strings.Contains(out, want) {
		b.t.Errorf("%s says: %s", verb, out)
	}
}

// process is the coordinator's, as words; empty if there is none.
func (b initBox) process() string {
	b.t.Helper()
	out, err := b.run("pgrep", "-x", "-u", "earshotd", "earshotd")
	if err != nil {
		return ""
	}
	return out
}

// servesPeople logs two clients in, and sends a message from one to the other.
func (b initBox) servesPeople(t *testing.T) {
	people := []string{"Ann", "Bo"}
	for _, name := range people {
		b.does("bash", "-c", "setsid earshot run --headless --profile /var/tmp/"+name+" --server 127.0.0.1 --name "+name+" </dev/null >/dev/null 2>&1 &")
	}
	for _, name := range people {
		b.eventually(name+" sees all", func() bool { return b.sees(name, people) })
	}
	b.does("earshot", "send", "--profile", "/var/tmp/Ann", "Bo", "through the service")
	b.eventually("Bo has the message", func() bool {
		out, err := b.run("earshot", "history", "--json", "--profile", "/var/tmp/Bo")
		return err == nil && strings.Contains(out, "through the service")
	})
	for port := 13277; port <= 13279; port++ {
		b.does("nc", "-z", "127.0.0.1", strconv.Itoa(port))
	}
	if out := b.does("ss", "-Hlun", "sport = :13277"); out == "" {
		t.Error("nobody has the UDP port")
	}
	for _, name := range people {
		b.does("earshot", "quit", "--profile", "/var/tmp/"+name)
	}
}

// reloads has the init reload the service, whose configuration's name is an odd one.
func (b initBox) reloads(t *testing.T, manager string) {
	const file = `/etc/it's a "$HOME" of earshot.toml`
	write := func(text string) {
		t.Helper()
		b.does("bash", "-c", `printf '%s\n' "$2" >"$1"`, "write", file, text)
	}
	write(`public_host = "first.example"`)
	b.does("earshotd", "install", "--config", file)
	b.says("restart", "has restarted")
	was := b.process()
	b.says("link", "first.example")
	write(`public_host = "second.example"`)
	if out := b.does(manager, "earshotd", "reload"); !strings.Contains(out, "public_host") {
		t.Errorf("reload says: %s", out)
	}
	b.says("link", "second.example")
	write(`public_hots = "third.example"`)
	if out := b.fails(manager, "earshotd", "reload"); !strings.Contains(out, "public_hots") {
		t.Errorf("reload of a mistake says: %s", out)
	}
	write(`public_host = "fourth.example"`)
	b.does("kill", "-HUP", was)
	b.eventually("a signal reloads it", func() bool {
		out, err := b.run("earshotd", "link")
		return err == nil && strings.Contains(out, "fourth.example")
	})
	if b.process() != was {
		t.Error("reloading has ended the coordinator")
	}
	b.does("chmod", "600", file)
	if out := b.fails("earshotd", "install", "--config", file); !strings.Contains(out, "chmod o+r") {
		t.Errorf("with a configuration that is root's, install says: %s", out)
	}
	b.does("rm", file) // what runs has read it
}

// installsAgain changes the registration and not the state, and mends what an
// interrupted installation has left.
func (b initBox) installsAgain(t *testing.T) {
	was := b.process()
	b.does("earshotd", "install", "--log-level", "debug")
	if b.process() != was {
		t.Error("a second install restarted the service")
	}
	b.says("restart", "has restarted")
	if out := b.does("ps", "-o", "args=", "-p", b.process()); out != "/usr/local/bin/earshotd run --log-level debug" {
		t.Errorf("after the second install it runs %s", out)
	}
	for _, left := range []string{"truncate -s 0 /etc/init.d/earshotd", "mv /etc/init.d/earshotd /etc/init.d/.earshotd.old"} {
		b.says("stop", "has stopped")
		b.does("bash", "-c", left)
		if out := b.fails("earshotd", "status"); !strings.Contains(out, "not installed") {
			t.Errorf("after %s, status says: %s", left, out)
		}
		b.does("earshotd", "install")
		b.does("bash", "-c", "! ls /etc/init.d/.earshotd*")
		b.says("start", "has started")
	}
}

// boots reboots the computer, in order and not.
func (b initBox) boots(t *testing.T) {
	b.must(b.script("reboot"))
	t.Logf("booted to answering: %v", b.eventually("it answers after a reboot", b.answers))
	b.says("status", "running since")
	b.must(b.script("powercut"))
	b.up()
	t.Logf("booted after a power cut to answering: %v", b.eventually("it answers after a power cut", b.answers))
	b.says("status", "running since")
}

// portTaken has another program take the port, and returns what starting says.
func (b initBox) portTaken(t *testing.T) string {
	t.Helper()
	b.says("stop", "has stopped")
	b.does("bash", "-c", "setsid nc -klu 13277 </dev/null >/dev/null 2>&1 &")
	b.eventually("the port is taken", func() bool {
		out, err := b.run("ss", "-Hlun", "sport = :13277")
		return err == nil && out != ""
	})
	out := b.fails("earshotd", "start")
	t.Log(out)
	if log := b.does(tail...); !strings.Contains(log, "another program has UDP port 13277") {
		t.Errorf("the log does not say what is wrong:\n%s", log)
	}
	return out
}

// lowPort has the program listen on a port below 1024 as the guide says, and from a
// folder with a space in its name.
func (b initBox) lowPort(t *testing.T) {
	const program = "/opt/our programs/earshotd"
	b.does("bash", "-c", `mkdir "$(dirname "$1")" && cp /usr/local/bin/earshotd "$1" && setcap cap_net_bind_service=+ep "$1"`, "copy", program)
	b.does(program, "install", "--web-listen", ":443")
	b.does(program, "restart")
	b.says("status", "running since")
	if out := b.does("curl", "-fsSk", "--max-time", "5", "https://127.0.0.1/"); !strings.Contains(out, "This is Earshot's coordinator.") {
		t.Errorf("the web port says: %s", out)
	}
	b.does("rm", "-r", "/opt/our programs")
	if out := b.fails("earshotd", "restart"); !strings.Contains(out, program+" is not there any more") {
		t.Errorf("without its program, starting says: %s", out)
	}
	if out := b.fails("bash", "-c", "cp /usr/local/bin/earshotd /root && /root/earshotd install"); !strings.Contains(out, "/root is closed") {
		t.Errorf("from root's home, install says: %s", out)
	}
	b.does("rm", "/root/earshotd")
}

// uninstalls removes the service, and then all that there was of it.
func (b initBox) uninstalls(t *testing.T) {
	t.Log(b.does("earshotd", "uninstall"))
	if b.answers() || b.process() != "" {
		t.Error("it runs after uninstall")
	}
	if out := b.fails("earshotd", "uninstall"); !strings.Contains(out, "not installed") {
		t.Errorf("a second uninstall says: %s", out)
	}
	if out := b.does("find", "/etc", "-name", "*earshotd*"); out != "" {
		t.Errorf("these stay behind: %s", out)
	}
	b.does("test", "-d", "/var/lib/earshotd/engine")
	b.does("id", "earshotd")

	b.does("earshotd", "install")
	b.says("start", "has started")
	t.Log(b.does("earshotd", "uninstall", "--purge"))
	// By who became root with a plain su, and without a start.
	for _, verb := range []string{"install", "uninstall --purge"} {
		b.does("bash", "-c", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/games earshotd "+verb)
	}
	b.fails("id", "earshotd")
	for _, file := range everything(b.box) {
		if strings.Contains(file, "earshot") && !slices.Contains(b.before, file) {
			t.Errorf("%s stays behind", file)
		}
	}
	b.does("bash", "-c", "! ls /var/log/earshotd* /run/earshotd*")
}
