//go:build linux

package natlab

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Where TestMain puts the programs under test.
var earshot, earshotd string

// What `make nat-matrix` sets.
var (
	results = flag.String("results", "", "run every cell of the matrix and write the table to this `file`")
	runs    = flag.Int("runs", 3, "how often each cell of the whole matrix is run; hard and easy against each other 20 times")
)

func TestMain(m *testing.M) {
	flag.Parse()
	sweep()
	dir, err := os.MkdirTemp("", "earshot-natlab-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "earshot/svc/earshotd", "earshot/tray/earshot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as shipped
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		earshot, earshotd = filepath.Join(dir, "earshot"), filepath.Join(dir, "earshotd")
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}
