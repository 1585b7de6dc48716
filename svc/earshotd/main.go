// Command earshotd is Earshot's coordinator.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"earshot/svc/config"
	"earshot/svc/coordinator"
	"earshot/svc/engine"
	"earshot/svc/osservice"
)

// version is set by the linker: -ldflags '-X main.version=1.2.3'.
var version string

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage is a command line that can't be understood; its text is a sentence.
var errUsage = errors.New("usage")

// errHelp is a command line that asks for help.
var errHelp = errors.New("help wanted")

func main() {
	os.Exit(realMain(os.Args[1:], os.Stdout, os.Stderr))
}

func realMain(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout)
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return exitDone
	}
	fmt.Fprintln(stderr, "earshotd: "+sentence(err))
	if errors.Is(err, errUsage) {
		fmt.Fprintln(stderr, "`earshotd help` explains the commands.")
		return exitUsage
	}
	return exitFailed
}

// families are errors whose names are for programs, and start the texts of
// those that wrap them. The longer one is before the one that it wraps.
var families = []error{
	errUsage, osservice.ErrUnsupported, osservice.ErrTimeout, osservice.ErrService,
	config.ErrConfig, coordinator.ErrConfig, coordinator.ErrPortTaken, engine.ErrNewer, engine.ErrEngine,
}

// sentence is what a person reads of an error: without its family's name, on
// one line, with a full stop.
func sentence(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, family := range families {
		text = strings.TrimPrefix(text, family.Error()+": ")
	}
	return strings.TrimSuffix(text, ".") + "."
}

func dispatch(args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: no command is given", errUsage)
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "--help", "-h", "-help":
		return errHelp
	case "--version", "-version":
		name = "version"
	}
	command, ok := commands[name]
	if !ok {
		return fmt.Errorf("%w: there is no command %q", errUsage, name)
	}
	return command(rest, stdout)
}

func printVersion(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: version takes nothing, and got %q", errUsage, args[0])
	}
	_, err := fmt.Fprintln(stdout, "earshotd", ownVersion())
	return err
}

// ownVersion is the linker's version, or what the module system knows.
func ownVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
