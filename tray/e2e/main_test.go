package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Where TestMain puts the programs under test.
var earshot, earshotd string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "earshot-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "earshot/svc/earshotd", "earshot/tray/earshot", "earshot/tray/demo")
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
