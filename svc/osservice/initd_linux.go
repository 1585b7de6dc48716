package osservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kardianos/service"
)

// What the scripts say as well.
const (
	scriptFile = "/etc/init.d/" + Name
	// scriptAside is where a script waits while its successor is written. No init
	// takes a name with a dot for a service's.
	scriptAside = "/etc/init.d/." + Name + ".old"
	account     = Name
	stateDir    = "/var/lib/" + Name
	pidFile     = "/run/" + Name + ".pid"
	readyFile   = "/run/" + Name + "/ready"
	logFile     = "/var/log/" + Name + ".log"
)

// initd is what OpenRC and SysV's init have in common: a script in /etc/init.d, and
// an account, a directory and a log that nobody makes for it.
type initd struct{}

func (initd) logs() string { return logFile + " is its log" }

// findPrograms has the programs of an init found from the terminal of anybody: it may
// know nothing of their directories, after `su` for example.
func findPrograms() error {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if !slices.Contains(filepath.SplitList(path), dir) {
			path += string(filepath.ListSeparator) + dir
		}
	}
	return os.Setenv("PATH", path)
}

// program refuses one that the service's account could not run.
func (initd) program(path string) error {
	for _, emptied := range []string{"/tmp/", "/run/"} {
		if strings.HasPrefix(path, emptied) {
			return fmt.Errorf("%w: %s is gone after the next start of the computer; move it to /usr/local/bin for example, and install from there", ErrService, path)
		}
	}
	return reachable(path, 0o005)
}

// reachable refuses a file in which the service's account may not do what the bits
// of others say. There may be no such account yet, so it is nobody's group.
func reachable(path string, bits fs.FileMode) error {
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%w: the service's account can't reach %s, for %s is closed to it; move the file, a program to /usr/local/bin for example and a configuration to /etc, and install from there", ErrService, path, dir)
		}
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&bits != bits {
		return fmt.Errorf("%w: the service's account may not use %s; `chmod o+%s` lets it", ErrService, path, map[bool]string{true: "r", false: "rx"}[bits == 0o004])
	}
	return nil
}

func (initd) prepare(needs Needs) error {
	if needs.Data != needs.DefaultData {
		return fmt.Errorf("%w: the service has a directory of its own, %s, so its data can't be in %s; leave --data (or the file's data) out",
			ErrService, needs.DefaultData, needs.Data)
	}
	if needs.Config == "" {
		return nil
	}
	return reachable(needs.Config, 0o004)
}

// removable refuses nothing: packages bring no script.
func (initd) removable() error { return nil }

// put writes the script by the library, and enters it in the runlevels.
func (initd) put(s service.Service, enter func() error) error {
	if err := makeAccount(); err != nil {
		return err
	}
	if err := giveDirectory(); err != nil {
		return err
	}
	return renew(scriptFile, scriptAside, func() error {
		if err := s.Install(); err != nil {
			return err
		}
		return enter()
	}, func() {})
}

// purge removes the account, its log, and what is in /run.
func (initd) purge() error {
	err := errors.Join(removeIfThere(logFile), os.RemoveAll(filepath.Dir(readyFile)))
	if _, missing := user.Lookup(account); missing != nil {
		return err
	}
	for _, program := range []string{"userdel", "deluser"} {
		if has(program) {
			return errors.Join(err, command(context.Background(), program, account))
		}
	}
	return err
}

// makeAccount makes the service's, unless it is there.
func makeAccount() error {
	if u, err := user.Lookup(account); err == nil {
		if u.Uid == "0" {
			return fmt.Errorf("%w: the account %s is root's, and the service must not be root; remove that account", ErrService, account)
		}
		return nil
	}
	shell := "/bin/false"
	for _, nologin := range []string{"/usr/sbin/nologin", "/sbin/nologin"} {
		if _, err := os.Stat(nologin); err == nil {
			shell = nologin
			break
		}
	}
	if has("useradd") {
		return command(context.Background(), "useradd", "--system", "--user-group", "--home-dir", stateDir, "--no-create-home", "--shell", shell, account)
	}
	// Busybox has these, which take no long options.
	if err := command(context.Background(), "addgroup", "-S", account); err != nil {
		return err
	}
	return command(context.Background(), "adduser", "-S", "-D", "-H", "-h", stateDir, "-s", shell, "-G", account, account)
}

// giveDirectory gives the account all that is in the data directory, which may have
// come from a coordinator that root ran. If there is none, the script makes it.
func giveDirectory() error {
	info, err := os.Lstat(stateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrService, err)
	case info.Mode().Type() == fs.ModeSymlink:
		return fmt.Errorf("%w: %s is a link, as systemd makes it; move the directory that it leads to into its place", ErrService, stateDir)
	}
	u, err := user.Lookup(account)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	// What is below is the account's, which could put links there meanwhile.
	root, err := os.OpenRoot(stateDir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrService, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = root.Lchown(name, uid, gid)
		}
		if errors.Is(err, fs.ErrNotExist) { // it runs, and makes and removes files
			return nil
		}
		return err
	})
	if err = errors.Join(err, root.Chmod(".", 0o700)); err != nil {
		return fmt.Errorf("%w: the service's account can't be given %s: %w", ErrService, stateDir, err)
	}
	return nil
}

// installed says whether there is a script, and not an empty file.
func (initd) installed() bool {
	info, err := os.Stat(scriptFile)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}

// serving is the service's process if it serves people, and since when.
func serving() (pid int, since time.Time) {
	// The directory is the account's, so the file might be a pipe on which nobody
	// writes.
	f, err := os.OpenFile(readyFile, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, time.Time{}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, time.Time{}
	}
	var text [20]byte
	n, _ := f.Read(text[:])
	if pid = number(text[:n]); !alive(pid) {
		return 0, time.Time{}
	}
	return pid, info.ModTime()
}

// number is that of a file which has nothing else; 0 if it hasn't one.
func number(text []byte) int {
	n, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// alive says whether a process is there and the service's account's. A number alone
// may be another program's by now.
func alive(pid int) bool {
	u, err := user.Lookup(account)
	if pid == 0 || err != nil {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && ownedBy(string(text), u.Uid)
}

// ownedBy reads the status of a process (proc(5)): whose it is, and that it isn't a
// dead one that nobody has buried yet.
func ownedBy(status, uid string) bool {
	owned := false
	for line := range strings.Lines(status) {
		switch fields := strings.Fields(line); {
		case len(fields) < 2:
		case fields[0] == "State:" && (fields[1] == "Z" || fields[1] == "X"):
			return false
		case fields[0] == "Uid:":
			owned = fields[1] == uid
		}
	}
	return owned
}

// quote spells a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// line is a command line with this program before it, each word spelled by quote.
func line(arguments []string, quote func(string) string) ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	words := []string{quote(path)}
	for _, a := range arguments {
		words = append(words, quote(a))
	}
	return words, nil
}

// has says whether a program is there.
func has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// command runs a program of the system, which has to succeed.
func command(ctx context.Context, program string, args ...string) error {
	said, code, err := run(ctx, program, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("%w: %s failed: %s", ErrService, program, said)
	}
	return err
}

// run runs a program of the system to its end, and returns what it printed, on one
// line, and its exit code. That it fails is no error, only that it can't be asked.
func run(ctx context.Context, program string, args ...string) (said string, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second // a daemon that it has started may hold on to its output
	out, err := cmd.CombinedOutput()
	said = strings.Join(strings.Fields(string(out)), " ")
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return said, 0, fmt.Errorf("%w: %s took too long", ErrTimeout, program)
	case failed:
		return said, exit.ExitCode(), nil
	case errors.Is(err, exec.ErrNotFound):
		return said, 0, fmt.Errorf("%w: %s is not here, and the service needs it", ErrService, program)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return said, 0, fmt.Errorf("%w: %w", ErrService, err)
	}
	return said, 0, nil
}

// order has an init's program start or stop the service. Its own words are the error.
func order(ctx context.Context, program, action string) error {
	said, code, err := run(ctx, program, Name, action)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s says %q", program, said)
	}
	return err
}
